/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a collection: what a failed one leaves, when a slow one is due,
 * what is emitted again meanwhile, what is reported. Time is given, nothing
 * waits.
 */
#include <stdlib.h>

#include "plugin/parts.h"
#include "unit/tap.h"
#include "util/log.h"
#include "util/str.h"

enum { /* families */
    A,
    B
};
enum { /* collectors */
    FAST,
    SLOW,
    SIZES
};

static const struct sonde_family families[] = {
    [A] = { .name = "a",
            .type = SONDE_METRIC_GAUGE,
            .help = "",
            .labels = { "x" } },
    [B] = { .name = "b", .type = SONDE_METRIC_GAUGE, .help = "" },
};
static const struct sonde_collector collectors[] = {
    [FAST] = { .name = "fast", .help = "" },
    [SLOW] = { .name = "slow", .flags = SONDE_COLLECTOR_SLOW, .help = "" },
    [SIZES] = { .name = "sizes", .flags = SONDE_COLLECTOR_SLOW, .help = "" },
};
static const struct sonde_plugin desc = {
    SONDE_PLUGIN_HEAD,
    .name = "parts_test",
    SONDE_PLUGIN_FAMILIES(families),
    SONDE_PLUGIN_COLLECTORS(collectors),
};
static const struct plugin plugin = { .desc = &desc };
static const struct sonde_target target = { .plugin = "parts_test" };

/* A collection every 15 s, slow parts every minute. */
#define INTERVAL 15000
#define START    INT64_C(1700000000000)

struct world {
    struct parts *parts;
    struct sonde_sink *s;
    sonde_msec time; /* since START */
    struct buf text; /* of the last collection, without comments */
    sonde_code code;
    char why[300];
};

static void world_init(struct world *w, sonde_msec slow)
{
    *w = (struct world){ .time = -INTERVAL };
    w->parts = parts_new(&plugin, &target, INTERVAL, slow);
    buf_init(&w->text);
}

static void world_fini(struct world *w)
{
    parts_free(w->parts);
    buf_fini(&w->text);
}

static void begin(struct world *w)
{
    w->time += INTERVAL;
    parts_begin(w->parts, (struct parts_time){ .monotonic = 1000 + w->time,
                                               .now = START + w->time });
    w->s = sink_new(&plugin, w->parts);
}

static void keep_values(struct world *w, sonde_str page)
{
    sonde_str line;

    buf_reset(&w->text);
    buf_char(&w->text, '\n');
    while (str_split(&page, '\n', &line))
        if (line.len && line.ptr[0] != '#')
            buf_printf(&w->text, "%.*s\n", SONDE_ARG(line));
    buf_char(&w->text, '\0');
}

static void end(struct world *w, bool ok)
{
    struct sonde_err err = { 0 };
    struct buf page;

    buf_init(&page);
    parts_end(w->parts, w->s, ok);
    w->code = sink_finish(w->s, &page, &err);
    (void)snprintf(w->why, sizeof(w->why), "%.299s", err.text);
    keep_values(w, buf_str(&page));
    sink_free(w->s);
    w->s = NULL;
    buf_fini(&page);
}

static void emit_a(struct world *w, const char *x, double value)
{
    (void)sink_sample(w->s, A, SONDE_LABELS(sonde_cstr(x)), value);
}

/* A part that emits a{x="X"} VALUE and ends so. */
static void part(struct world *w, size_t i, const char *x, double value,
                 sonde_code code)
{
    sink_begin(w->s, i);
    emit_a(w, x, value);
    sink_end(w->s, code, code ? "it broke" : NULL, 0.5);
}

/* Whether the collection's values have this line. */
static bool has(const struct world *w, const char *line)
{
    char text[200];
    bool found;

    (void)snprintf(text, sizeof(text), "\n%s\n", line);
    found = strstr(w->text.data, text) != NULL;
    if (!found)
        tap_note("at %lld s no \"%s\" in:%s", (long long)w->time / 1000, line,
                 w->text.data);
    return found;
}

static bool lacks(const struct world *w, const char *word)
{
    bool found = strstr(w->text.data, word) != NULL;

    if (found)
        tap_note("at %lld s \"%s\" in:%s", (long long)w->time / 1000, word,
                 w->text.data);
    return !found;
}

#define OK_OF(name)     "sonde_collector_success{collector=\"" name "\"} 1"
#define FAILED_OF(name) "sonde_collector_success{collector=\"" name "\"} 0"

static void test_reports(void)
{
    struct world w;

    world_init(&w, 60000);
    begin(&w);
    part(&w, FAST, "1", 1, SONDE_OK);
    part(&w, FAST, "2", 2, SONDE_OK);
    end(&w, true);
    CU_ASSERT(has(&w, "a{x=\"1\"} 1"));
    CU_ASSERT(has(&w, "a{x=\"2\"} 2"));
    CU_ASSERT(has(&w, OK_OF("fast")));
    CU_ASSERT(
        has(&w, "sonde_collector_duration_seconds{collector=\"fast\"} 1"));
    CU_ASSERT(has(&w, "sonde_collector_last_success_timestamp_seconds{"
                      "collector=\"fast\"} 1.7e+09"));
    CU_ASSERT(lacks(&w, "\"slow\""));
    begin(&w); /* a part that was not begun is not reported */
    end(&w, true);
    CU_ASSERT(lacks(&w, "sonde_collector"));
    world_fini(&w);
}

static void test_failed_part(void)
{
    struct world w;

    world_init(&w, 60000);
    begin(&w);
    (void)sink_sample(w.s, B, NULL, 7);
    part(&w, FAST, "1", 1, SONDE_EIO);
    part(&w, SLOW, "1", 2, SONDE_OK); /* the series is free again */
    emit_a(&w, "3", 3);
    end(&w, true);
    CU_ASSERT_EQUAL(w.code, SONDE_OK);
    CU_ASSERT(has(&w, "b 7"));
    CU_ASSERT(has(&w, "a{x=\"1\"} 2"));
    CU_ASSERT(has(&w, "a{x=\"3\"} 3"));
    CU_ASSERT(has(&w, FAILED_OF("fast")));
    CU_ASSERT(lacks(&w, "last_success_timestamp_seconds{collector=\"fast\""));
    world_fini(&w);
}

/* Families that go on after a part that was cut off: each line once. */
static void test_cut_chain(void)
{
    struct world w;
    const char *b;

    world_init(&w, 60000);
    begin(&w);
    emit_a(&w, "1", 1);
    part(&w, FAST, "2", 2, SONDE_EIO);
    (void)sink_sample(w.s, B, NULL, 7);
    end(&w, true);
    CU_ASSERT(has(&w, "a{x=\"1\"} 1"));
    CU_ASSERT(has(&w, "b 7"));
    b = strstr(w.text.data, "\nb 7\n");
    CU_ASSERT(b && !strstr(b + 1, "\nb 7\n"));
    world_fini(&w);
}

/* One of two begins fails: the other's values stay, the part has failed. */
static void test_partly_failed(void)
{
    struct world w;

    world_init(&w, 60000);
    begin(&w);
    part(&w, FAST, "1", 1, SONDE_OK);
    part(&w, FAST, "2", 2, SONDE_EIO);
    part(&w, FAST, "3", 3, SONDE_OK);
    end(&w, true);
    CU_ASSERT(has(&w, "a{x=\"1\"} 1"));
    CU_ASSERT(lacks(&w, "x=\"2\""));
    CU_ASSERT(has(&w, "a{x=\"3\"} 3"));
    CU_ASSERT(has(&w, FAILED_OF("fast")));
    world_fini(&w);
}

/* A duplicate or a bad label inside a part is that part's failure. */
static void test_wrong_inside(void)
{
    struct world w;

    world_init(&w, 60000);
    begin(&w);
    emit_a(&w, "1", 1);
    part(&w, FAST, "1", 2, SONDE_OK);
    part(&w, SLOW, "\xff", 3, SONDE_OK);
    end(&w, true);
    CU_ASSERT_EQUAL(w.code, SONDE_OK);
    CU_ASSERT(has(&w, "a{x=\"1\"} 1"));
    CU_ASSERT(has(&w, FAILED_OF("fast")));
    CU_ASSERT(has(&w, FAILED_OF("slow")));

    begin(&w); /* outside it is the collection's */
    emit_a(&w, "1", 1);
    emit_a(&w, "1", 2);
    end(&w, true);
    CU_ASSERT_EQUAL(w.code, SONDE_EDUPLICATE);
    world_fini(&w);
}

static void test_misuse(void)
{
    static const struct {
        int line;
        const char *calls; /* b: begin, e: end, x: begin what is not there */
        const char *part;
    } rows[] = {
        { __LINE__, "e", "ended and not begun" },
        { __LINE__, "x", "collector 9 was named, the plugin declares 3" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world w;

        world_init(&w, 60000);
        begin(&w);
        for (const char *c = rows[i].calls; *c; c++)
            *c == 'e' ? sink_end(w.s, SONDE_OK, NULL, -1)
                      : sink_begin(w.s, *c == 'x' ? 9 : FAST);
        end(&w, true);
        ROW_ASSERT(&rows[i], w.code == SONDE_EINVAL);
        ROW_ASSERT(&rows[i], strstr(w.why, rows[i].part));
        world_fini(&w);
    }
}

static void test_left_open(void)
{
    struct world w;

    world_init(&w, 60000);
    begin(&w);
    sink_begin(w.s, FAST);
    emit_a(&w, "1", 1);
    end(&w, true);
    CU_ASSERT(has(&w, FAILED_OF("fast")));
    CU_ASSERT(lacks(&w, "x=\"1\""));
    world_fini(&w);
}

/* Due at the first collection and then every fourth; in between the last
 * values come again, also those of families known only at run time. */
static void test_schedule(void)
{
    static const struct sonde_family dynamic = { .name = "d",
                                                 .type = SONDE_METRIC_COUNTER,
                                                 .help = "dyn" };
    struct world w;

    world_init(&w, 60000);
    for (int i = 0; i < 10; i++) {
        begin(&w);
        w.time += i % 3 - 1; /* the clock's tremble does not matter */
        CU_ASSERT_TRUE(sink_due(w.s, FAST));
        CU_ASSERT_EQUAL(sink_due(w.s, SLOW), i % 4 == 0);
        emit_a(&w, "fast", i);
        if (sink_due(w.s, SLOW)) {
            sink_begin(w.s, SLOW);
            emit_a(&w, "slow", i);
            (void)sink_dynamic(w.s, &dynamic, NULL, i);
            sink_end(w.s, SONDE_OK, NULL, 0);
            CU_ASSERT_TRUE(sink_due(w.s, SLOW)); /* once per database */
        }
        end(&w, true);
        CU_ASSERT(has(&w, i < 4   ? "a{x=\"slow\"} 0"
                          : i < 8 ? "a{x=\"slow\"} 4"
                                  : "a{x=\"slow\"} 8"));
        CU_ASSERT(has(&w, i < 4 ? "d 0" : i < 8 ? "d 4" : "d 8"));
        CU_ASSERT(has(&w, OK_OF("slow")));
    }
    world_fini(&w);
}

static void test_every_collection(void)
{
    struct world w;

    world_init(&w, 0);
    for (int i = 0; i < 3; i++) {
        begin(&w);
        CU_ASSERT_TRUE(sink_due(w.s, SLOW));
        part(&w, SLOW, "s", i, i == 1 ? SONDE_EIO : SONDE_OK);
        end(&w, true);
        CU_ASSERT(i == 1 ? lacks(&w, "x=\"s\"")
                         : has(&w, i ? "a{x=\"s\"} 2" : "a{x=\"s\"} 0"));
    }
    world_fini(&w);
}

/* Last values survive failures for three slow intervals, then go. */
static void test_kept_while_failing(void)
{
    struct world w;
    int tried = 0;

    world_init(&w, 60000);
    for (int i = 0; i <= 13; i++) {
        begin(&w);
        if (sink_due(w.s, SLOW)) {
            part(&w, SLOW, "s", i, tried ? SONDE_EIO : SONDE_OK);
            tried++;
        }
        end(&w, true);
        CU_ASSERT(i <= 12 ? has(&w, "a{x=\"s\"} 0") : lacks(&w, "x=\"s\""));
        CU_ASSERT(has(&w, i < 4 ? OK_OF("slow") : FAILED_OF("slow")));
        CU_ASSERT(has(&w, "sonde_collector_last_success_timestamp_seconds{"
                          "collector=\"slow\"} 1.7e+09"));
    }
    CU_ASSERT_EQUAL(tried, 4); /* not more often than when it is well */
    world_fini(&w);
}

/* One database of two fails: new values of the one, old ones of the other. */
static void test_kept_partly(void)
{
    struct world w;

    world_init(&w, 60000);
    for (int i = 0; i <= 6; i++) {
        begin(&w);
        if (sink_due(w.s, SLOW)) {
            part(&w, SLOW, "well", i, SONDE_OK);
            part(&w, SLOW, "ill", i, i ? SONDE_EIO : SONDE_OK);
        }
        end(&w, true);
        CU_ASSERT(has(&w, i < 4 ? "a{x=\"well\"} 0" : "a{x=\"well\"} 4"));
        CU_ASSERT(has(&w, "a{x=\"ill\"} 0"));
    }
    world_fini(&w);
}

/* A series that another part emits now is not emitted again. */
static void test_fresh_wins(void)
{
    struct world w;

    world_init(&w, 60000);
    begin(&w);
    part(&w, SLOW, "s", 1, SONDE_OK);
    end(&w, true);
    begin(&w);
    part(&w, FAST, "s", 2, SONDE_OK);
    end(&w, true);
    CU_ASSERT_EQUAL(w.code, SONDE_OK);
    CU_ASSERT(has(&w, "a{x=\"s\"} 2"));
    CU_ASSERT(lacks(&w, "a{x=\"s\"} 1"));
    world_fini(&w);
}

/* Work in pieces: not through, still due, last values meanwhile; what it took
 * is what all the pieces took. */
static void test_again(void)
{
    static const sonde_code codes[] = { SONDE_OK, SONDE_OK, SONDE_EAGAIN,
                                        SONDE_EAGAIN, SONDE_OK };
    struct world w;
    int n = 0;

    world_init(&w, 30000);
    for (int i = 0; i <= 6; i++) {
        begin(&w);
        CU_ASSERT_EQUAL(sink_due(w.s, SLOW), i == 0 || i == 2 || i > 3);
        if (sink_due(w.s, SLOW) && n < 5) {
            part(&w, SLOW, "s", n, codes[n]);
            n++;
        }
        end(&w, true);
        CU_ASSERT(has(&w, OK_OF("slow")));
        CU_ASSERT(has(&w, i < 2   ? "a{x=\"s\"} 0"
                          : i < 6 ? "a{x=\"s\"} 1"
                                  : "a{x=\"s\"} 4"));
    }
    CU_ASSERT(
        has(&w, "sonde_collector_duration_seconds{collector=\"slow\"} 1.5"));
    world_fini(&w);
}

/* Pieces for longer than last values are kept, and at every collection. */
static void test_again_for_long(void)
{
    struct world w;

    world_init(&w, 0);
    for (int i = 0; i <= 20; i++) {
        begin(&w);
        CU_ASSERT_TRUE(sink_due(w.s, SLOW));
        part(&w, SLOW, "s", i, i % 20 ? SONDE_EAGAIN : SONDE_OK);
        end(&w, true);
        CU_ASSERT(has(&w, i < 20 ? "a{x=\"s\"} 0" : "a{x=\"s\"} 20"));
    }
    world_fini(&w);
}

static void test_unsupported(void)
{
    struct world w;

    world_init(&w, 60000);
    begin(&w);
    part(&w, FAST, "1", 1, SONDE_EUNSUPPORTED);
    part(&w, SLOW, "2", 1, SONDE_EUNSUPPORTED);
    end(&w, true);
    CU_ASSERT(lacks(&w, "a{"));
    CU_ASSERT(lacks(&w, "sonde_collector"));
    begin(&w);
    CU_ASSERT_FALSE(sink_due(w.s, SLOW));
    end(&w, true);
    world_fini(&w);
}

static void test_discard(void)
{
    struct world w;

    world_init(&w, 60000);
    begin(&w);
    part(&w, SLOW, "s", 1, SONDE_OK);
    end(&w, true);
    begin(&w);
    part(&w, FAST, "1", 1, SONDE_OK);
    part(&w, SIZES, "2", 1, SONDE_EIO);
    sink_discard(w.s);
    (void)sink_sample(w.s, B, NULL, 0);
    emit_a(&w, "1", 5); /* free again */
    end(&w, true);
    CU_ASSERT_EQUAL(w.code, SONDE_OK);
    CU_ASSERT(has(&w, "b 0"));
    CU_ASSERT(has(&w, "a{x=\"1\"} 5"));
    CU_ASSERT(has(&w, FAILED_OF("sizes")));
    CU_ASSERT(lacks(&w, "x=\"s\""));
    CU_ASSERT(lacks(&w, "\"slow\""));
    CU_ASSERT(lacks(&w, "\"fast\""));
    begin(&w); /* at once due again */
    CU_ASSERT_TRUE(sink_due(w.s, SLOW));
    end(&w, true);
    world_fini(&w);
}

/* What a slow part read in a collection that failed as a whole is not lost. */
static void test_failed_collection(void)
{
    struct world w;

    world_init(&w, 60000);
    begin(&w);
    part(&w, SLOW, "s", 1, SONDE_OK);
    sink_begin(w.s, FAST); /* broken off in here */
    end(&w, false);
    begin(&w);
    CU_ASSERT_FALSE(sink_due(w.s, SLOW));
    end(&w, true);
    CU_ASSERT(has(&w, "a{x=\"s\"} 1"));
    CU_ASSERT(lacks(&w, "\"fast\""));
    world_fini(&w);
}

/* As a plugin that fetches does it: a sink for each answer, and one at last
 * that has all that is kept, once. */
static void test_several_sinks(void)
{
    struct world w;

    world_init(&w, 60000);
    for (int i = 0; i <= 4; i++) {
        begin(&w);
        if (sink_due(w.s, SLOW)) {
            part(&w, SLOW, "s", i, SONDE_OK);
            part(&w, SIZES, "y", i, SONDE_OK);
            part(&w, SIZES, "z", i, i ? SONDE_EIO : SONDE_OK);
        }
        parts_take(w.parts, w.s, true);
        sink_free(w.s);
        w.s = sink_new(&plugin, w.parts);
        end(&w, true);
        CU_ASSERT(i % 4 ? has(&w, "a{x=\"s\"} 0") : lacks(&w, "x=\"s\""));
        CU_ASSERT(i % 4 ? has(&w, "a{x=\"y\"} 0") : lacks(&w, "x=\"y\""));
        CU_ASSERT(i ? has(&w, "a{x=\"z\"} 0") : lacks(&w, "x=\"z\""));
        CU_ASSERT(has(&w, OK_OF("slow")));
    }
    world_fini(&w);
}

/* Many lines in many chunks, cut off again and again. */
static void test_rewind(void)
{
    struct world w;
    char x[32];

    world_init(&w, 60000);
    begin(&w);
    for (int round = 0; round < 20; round++) {
        sink_begin(w.s, FAST);
        for (int i = 0; i < 100; i++) {
            (void)snprintf(x, sizeof(x), "%d", i);
            emit_a(&w, x, round);
            if (i == 50)
                (void)sink_sample(w.s, B, NULL, round);
        }
        sink_end(w.s, round == 13 ? SONDE_OK : SONDE_EIO, NULL, 0);
    }
    end(&w, true);
    CU_ASSERT_EQUAL(w.code, SONDE_OK);
    CU_ASSERT(has(&w, "a{x=\"0\"} 13"));
    CU_ASSERT(has(&w, "a{x=\"99\"} 13"));
    CU_ASSERT(has(&w, "b 13"));
    CU_ASSERT(has(&w, FAILED_OF("fast")));
    world_fini(&w);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "reports", test_reports },
        { "a failed part alone is dropped", test_failed_part },
        { "families around a failed part", test_cut_chain },
        { "one failure of several begins", test_partly_failed },
        { "what is wrong inside a part", test_wrong_inside },
        { "misuse", test_misuse },
        { "a part left open", test_left_open },
        { "the schedule of slow parts", test_schedule },
        { "slow parts at every collection", test_every_collection },
        { "last values while failing", test_kept_while_failing },
        { "last values of what failed", test_kept_partly },
        { "fresh values win", test_fresh_wins },
        { "work in pieces", test_again },
        { "work in many pieces", test_again_for_long },
        { "parts that do not apply", test_unsupported },
        { "discard", test_discard },
        { "a collection that failed", test_failed_collection },
        { "several sinks in one collection", test_several_sinks },
        { "going back", test_rewind },
    };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    return TAP_RUN("plugin_parts", tests);
}
