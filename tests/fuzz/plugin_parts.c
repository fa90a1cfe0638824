/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin that calls the sink's functions in any order, over several
 * collections: whatever it does, a page has each family and each series once,
 * and the samples outside of parts are never lost to a part.
 */
#include <stdlib.h>

#include "plugin/parts.h"
#include "util/log.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sonde_family families[] = {
    { .name = "a", .type = SONDE_METRIC_GAUGE, .help = "", .labels = { "x" } },
    { .name = "h", .type = SONDE_METRIC_HISTOGRAM, .help = "" },
    { .name = "outside", .type = SONDE_METRIC_GAUGE, .help = "" },
};
static const struct sonde_collector collectors[] = {
    { .name = "fast", .help = "" },
    { .name = "slow", .flags = SONDE_COLLECTOR_SLOW, .help = "" },
    { .name = "slower", .flags = SONDE_COLLECTOR_SLOW, .help = "" },
};
static const struct sonde_plugin desc = {
    SONDE_PLUGIN_HEAD,
    .name = "fuzz",
    SONDE_PLUGIN_FAMILIES(families),
    SONDE_PLUGIN_COLLECTORS(collectors),
};
static const struct plugin plugin = { .desc = &desc };
static const struct sonde_target target = { .plugin = "fuzz" };

static void count_lines(sonde_str page, sonde_str line)
{
    size_t found = 0, n = line.len;
    sonde_str other;

    if (line.ptr[0] != '#') /* the series alone */
        while (n && line.ptr[n - 1] != ' ')
            n--;
    while (str_split(&page, '\n', &other))
        found += str_starts(other, str_sub(line, 0, n));
    if (found != 1)
        abort();
}

static void check_page(sonde_str page, bool outside)
{
    sonde_str rest = page, line;
    bool found = false;

    while (str_split(&rest, '\n', &line)) {
        if (line.len == 0 || str_starts(line, SONDE_STR("# HELP")))
            continue;
        count_lines(page, line);
        found = found || str_eq_cstr(line, "outside 1");
    }
    if (found != outside)
        abort();
}

struct play {
    struct parts *parts;
    struct sonde_sink *s;
    sonde_msec time;
    bool outside; /* was emitted and must be there                         */
    bool open;    /* a part is                                             */
};

static void begin_collection(struct play *p, uint8_t seconds)
{
    p->time += (sonde_msec)seconds * 1000;
    p->outside = p->open = false;
    parts_begin(p->parts,
                (struct parts_time){ .monotonic = p->time, .now = p->time });
    p->s = sink_new(&plugin, p->parts);
}

static void end_collection(struct play *p, bool ok)
{
    struct sonde_err err;
    struct buf page;

    buf_init(&page);
    parts_end(p->parts, p->s, ok);
    if (sink_finish(p->s, &page, &err) == SONDE_OK)
        check_page(buf_str(&page), p->outside);
    sink_free(p->s);
    buf_fini(&page);
}

static void emit(struct play *p, uint8_t what)
{
    static const struct sonde_family dynamic[] = {
        { .name = "d", .type = SONDE_METRIC_GAUGE, .help = "d" },
        { .name = "e", .type = SONDE_METRIC_COUNTER, .help = "e" },
    };
    const struct sonde_bucket bucket = { 1, 1 };
    char x[2] = { (char)(what >> 3), 0 };

    switch (what & 7) {
    case 0:
        (void)sink_histogram(p->s, 1, NULL, &bucket, 1, 2, 3);
        break;
    case 1:
        (void)sink_dynamic(p->s, &dynamic[what >> 7], NULL, what);
        break;
    case 2:
        if (!p->open && !p->outside)
            p->outside = sink_sample(p->s, 2, NULL, 1) == SONDE_OK;
        break;
    case 3:
        x[0] = (char)0xff; /* no UTF-8 */
        if (p->open)
            (void)sink_sample(p->s, 0, SONDE_LABELS(sonde_cstr(x)), what);
        break;
    default:
        x[0] = (char)('a' + (what >> 3));
        (void)sink_sample(p->s, 0, SONDE_LABELS(sonde_cstr(x)), what);
        break;
    }
}

static void step(struct play *p, uint8_t op, uint8_t arg)
{
    static const sonde_code codes[] = { SONDE_OK, SONDE_OK, SONDE_EAGAIN,
                                        SONDE_EUNSUPPORTED, SONDE_EIO };

    switch (op % 8) {
    case 0:
        if (!p->open)
            sink_begin(p->s, arg % 3);
        p->open = true;
        break;
    case 1:
        if (p->open)
            sink_end(p->s, codes[arg % 5], "why", arg % 7);
        p->open = false;
        break;
    case 2:
        (void)sink_due(p->s, arg % 3);
        break;
    case 3:
        if (arg == 0) {
            sink_discard(p->s);
            p->outside = false;
        }
        break;
    case 4:
        end_collection(p, arg & 1);
        begin_collection(p, arg);
        break;
    default:
        emit(p, arg);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = { 0 };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    p.parts = parts_new(&plugin, &target, 15000,
                        size ? (sonde_msec)(data[0] % 3) * 30000 : 0);
    begin_collection(&p, 1);
    for (size_t i = 1; i + 1 < size; i += 2)
        step(&p, data[i], data[i + 1]);
    end_collection(&p, true);
    parts_free(p.parts);
    return 0;
}
