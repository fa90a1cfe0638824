/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access logs: the first line is a log_format, the rest are lines of a log.
 * What is counted must add up, and the sink must not find fault with it.
 */
#include <stdlib.h>

#include <sonde/testing.h>

#include "nginx/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const sonde_str patterns[] = {
    SONDE_STR("/api/users/:id"),
    SONDE_STR("/static/*"),
    SONDE_STR("/a/{b}/c"),
    SONDE_STR("/"),
};
static const struct sonde_list routes_list = {
    patterns, sizeof(patterns) / sizeof(patterns[0])
};

static sonde_str take_line(sonde_str *rest)
{
    const char *at = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    size_t n = at ? (size_t)(at - rest->ptr) : rest->len;
    sonde_str line = { rest->ptr, n };

    rest->ptr += at ? n + 1 : n;
    rest->len -= at ? n + 1 : n;
    return line;
}

static void count(struct sonde_fake *f, const struct log_format *format,
                  sonde_str rest)
{
    const struct nginx_options options = { .series_max = 8 };
    struct nginx_emit e = { .host = &f->host, .sink = &f->sink };
    struct log_routes routes;
    struct log_counts counts;
    struct sonde_err err;

    if (log_routes_parse(&routes, &routes_list, &err) != SONDE_OK ||
        log_counts_init(&counts, format, &routes, &options, &err) != SONDE_OK)
        abort();
    while (rest.len) {
        struct log_record record;

        if (log_line_parse(format, take_line(&rest), &record))
            log_counts_add(&counts, &record);
    }
    log_counts_emit(&counts, &e);
    if (f->sink.code != SONDE_OK) {
        (void)fprintf(stderr, "%s\n", f->err.text);
        abort();
    }
    log_counts_fini(&counts);
    log_routes_fini(&routes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str rest = { (const char *)data, size };
    sonde_str first = take_line(&rest);
    struct log_format format;
    struct sonde_fake f;
    struct sonde_err err;

    if (size > 65536)
        return 0;
    sonde_fake_init(&f, sonde_plugin_entry);
    if (log_format_parse(&format, first,
                         memmem(first.ptr, first.len, "$host", 5)
                             ? SONDE_STR("host")
                             : SONDE_STR(""),
                         &err) == SONDE_OK)
        count(&f, &format, rest);
    log_format_fini(&format);
    sonde_fake_fini(&f);
    return 0;
}
