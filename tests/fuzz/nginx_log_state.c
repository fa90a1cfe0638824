/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document of access logs that outlives the process. The input is taken as
 * a whole document, and then as the part behind a good checksum. What is taken
 * must be emitted without fault, and be the same when it is put and taken
 * again.
 */
#include <stdlib.h>

#include <sonde/testing.h>

#include "nginx/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const sonde_str patterns[] = { SONDE_STR("/a/:b"), SONDE_STR("/") };
static const struct sonde_list routes_list = { patterns, 2 };

struct world {
    struct log_file file;
    struct log_counts counts;
    struct log_state state;
};

static void no_line(void *arg, sonde_str line)
{
    (void)arg;
    (void)line;
}

static bool take(struct world *w, struct sonde_fake *f,
                 const struct log_format *format,
                 const struct log_routes *routes, sonde_str doc)
{
    const struct nginx_options options = { .series_max = 8 };
    struct log_reader r = { .host = &f->host,
                            .target = &f->target,
                            .line = no_line };
    struct sonde_err err;

    *w = (struct world){ .file = { .path = SONDE_STR("/nowhere/x") } };
    if (log_counts_init(&w->counts, format, routes, &options, &err) != SONDE_OK)
        abort();
    w->counts.fingerprint = 0; /* which inputs can have */
    w->state = (struct log_state){ .host = &f->host,
                                   .target = &f->target,
                                   .files = &w->file,
                                   .file_count = 1,
                                   .counts = &w->counts };
    return log_state_take(&w->state, doc, &r);
}

static void leave(struct world *w)
{
    log_file_close(&w->file);
    log_state_fini(&w->state);
    log_counts_fini(&w->counts);
}

static void go(struct sonde_fake *f, const struct log_format *format,
               const struct log_routes *routes, sonde_str doc)
{
    struct nginx_emit e = { .host = &f->host, .sink = &f->sink };
    struct world first, second;

    if (take(&first, f, format, routes, doc)) {
        const struct log_doc *a = &first.state.doc, *b = &second.state.doc;

        log_counts_emit(&first.counts, &e);
        if (f->sink.code != SONDE_OK || !log_state_put(&first.state) ||
            !take(&second, f, format, routes,
                  (sonde_str){ (char *)a->bytes, a->len }) ||
            !log_state_put(&second.state) || a->len != b->len ||
            memcmp(a->bytes, b->bytes, a->len) != 0)
            abort();
        leave(&second);
    }
    leave(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_format format;
    struct log_routes routes;
    struct log_doc d = { 0 };
    struct sonde_fake f;
    struct sonde_err err;

    if (size > 65536)
        return 0;
    sonde_fake_init(&f, sonde_plugin_entry);
    if (log_format_parse(&format, SONDE_STR("$status $host $request_time"),
                         SONDE_STR("host"), &err) != SONDE_OK ||
        log_routes_parse(&routes, &routes_list, &err) != SONDE_OK)
        abort();
    go(&f, &format, &routes, (sonde_str){ (const char *)data, size });
    log_doc_begin(&d);
    log_doc_put_bytes(&d, data, size);
    log_doc_seal(&d);
    go(&f, &format, &routes, (sonde_str){ (char *)d.bytes, d.len });
    log_doc_fini(&d);
    log_routes_fini(&routes);
    log_format_fini(&format);
    sonde_fake_fini(&f);
    return 0;
}
