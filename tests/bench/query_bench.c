/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the store: 10,000 series with eight labels, a sample each 15 s for
 * six hours, in three blocks and the head. Times are CPU, the best of several
 * rounds; with two threads their sum, and the time on the clock beside it.
 *
 *     query_bench [FOLDER]      data is made in FOLDER/sonde-query-bench
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chunk/xor_chunk.h"
#include "tsdb/store_querier.h"
#include "tsdb/tsdb.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define METRICS  10
#define HOSTS    100
#define MODES    10
#define SERIES   (METRICS * HOSTS * MODES)
#define STEP_MS  15000
#define BASE     INT64_C(1700006400000)
#define HOUR_MS  INT64_C(3600000)
#define CHUNK    120
#define ROUNDS   7
#define BLOCKS   3
#define NAME     "sonde-query-bench"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void check(sonde_code rc, const struct sonde_err *err)
{
    if (rc == SONDE_OK)
        return;
    (void)fprintf(stderr, "query_bench: %s\n", err->text);
    exit(1);
}

static double now_ns(clockid_t clock)
{
    struct timespec ts;

    (void)clock_gettime(clock, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ---- data ---------------------------------------------------------------- */

static struct labels labels_make(struct arena *a, int i)
{
    struct label *l = arena_array(a, struct label, 8);
    int metric = i / (HOSTS * MODES), host = i / MODES % HOSTS;

    l[0] = (struct label){ SONDE_STR(LABEL_NAME),
                           arena_printf(a, "node_metric_%d_seconds_total",
                                        metric) };
    l[1] = (struct label){ SONDE_STR("cluster"), SONDE_STR("eu-west-1") };
    l[2] = (struct label){ SONDE_STR("cpu"), arena_printf(a, "%d", host % 8) };
    l[3] = (struct label){ SONDE_STR("env"), SONDE_STR("production") };
    l[4] =
        (struct label){ SONDE_STR("instance"),
                        arena_printf(a, "host-%03d.example.com:9100", host) };
    l[5] = (struct label){ SONDE_STR("job"), SONDE_STR("node-exporter") };
    l[6] = (struct label){ SONDE_STR("mode"),
                           arena_printf(a, "mode-%d", i % MODES) };
    l[7] = (struct label){ SONDE_STR("zone"),
                           arena_printf(a, "zone-%d", host % 3) };
    return (struct labels){ l, 8 };
}

static int by_labels(const void *a, const void *b)
{
    return labels_cmp(a, b);
}

static int by_str(const void *a, const void *b)
{
    return str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

/* A counter that grows by a little more or less each time. */
static double value_at(int series, sonde_msec t)
{
    uint64_t step = (uint64_t)(t - BASE) / STEP_MS;
    uint64_t noise = (step * 2654435761u + (uint64_t)series * 40503u) >> 7 & 63;

    return (double)(step * 100 + noise + (uint64_t)series);
}

struct symbols {
    sonde_str *items;
    size_t count;
};

static struct symbols symbols_make(struct arena *a, const struct labels *series)
{
    struct symbols s = { arena_array(a, sonde_str, SERIES * 16), 0 };
    size_t kept = 0;

    for (int i = 0; i < SERIES; i++)
        for (size_t k = 0; k < 8; k++) {
            s.items[s.count++] = series[i].items[k].name;
            s.items[s.count++] = series[i].items[k].value;
        }
    qsort(s.items, s.count, sizeof(*s.items), by_str);
    for (size_t i = 0; i < s.count; i++)
        if (!kept || !sonde_str_eq(s.items[kept - 1], s.items[i]))
            s.items[kept++] = s.items[i];
    s.count = kept;
    return s;
}

static uint32_t symbol_of(const struct symbols *s, sonde_str x)
{
    const sonde_str *at =
        bsearch(&x, s->items, s->count, sizeof(*s->items), by_str);

    return (uint32_t)(at - s->items);
}

static void series_write(struct block_writer *w, const struct symbols *symbols,
                         const struct labels *l, int number, sonde_msec from,
                         sonde_msec to)
{
    static uint8_t data[8][CHUNK * 20];
    struct block_pair pairs[8];
    struct chunk chunks[8];
    struct sonde_err err;
    size_t n = 0;

    for (size_t k = 0; k < 8; k++)
        pairs[k] = (struct block_pair){ symbol_of(symbols, l->items[k].name),
                                        symbol_of(symbols, l->items[k].value) };
    for (sonde_msec t = from; t < to && n < COUNT(chunks); n++) {
        struct xor_state x = { 0 };
        sonde_msec first = t;

        xor_begin(&x);
        for (; t < to && x.count < CHUNK; t += STEP_MS)
            (void)xor_append(&x, data[n], sizeof(data[n]), t,
                             value_at(number, t));
        xor_seal(&x, data[n]);
        chunks[n] = (struct chunk){ CHUNK_XOR,
                                    { (char *)data[n], xor_len(&x) },
                                    first,
                                    t - STEP_MS,
                                    x.count };
    }
    check(block_writer_series(w, pairs, 8, chunks, n, &err), &err);
}

static struct block *block_make(const char *dir, struct arena *a,
                                const struct labels *series, sonde_msec from,
                                sonde_msec to)
{
    struct block_writer_options options = { .ulid = ulid_new(1) };
    struct block_meta meta = { .mint = from, .maxt = to };
    struct symbols symbols = symbols_make(a, series);
    struct block_writer *w;
    struct sonde_err err;
    struct block *b;

    check(block_writer_new(dir, &options, &w, &err), &err);
    for (size_t i = 0; i < symbols.count; i++)
        (void)block_writer_symbol(w, symbols.items[i]);
    for (int i = 0; i < SERIES; i++)
        series_write(w, &symbols, &series[i], i, from, to);
    check(block_writer_finish(w, &meta, NULL, &err), &err);
    block_meta_fini(&meta);
    check(block_open(arena_printf(a, "%s/%s", dir, options.ulid.text).ptr, &b,
                     &err),
          &err);
    return b;
}

static void head_fill(struct tsdb *db, const struct labels *series,
                      sonde_msec from, sonde_msec to)
{
    struct appender *a = storage_appender(tsdb_storage(db));
    struct storage_sample *batch = mem_alloc(SERIES * sizeof(*batch));
    struct sonde_err err;

    for (int i = 0; i < SERIES; i++)
        check(appender_series(a, &series[i], &batch[i].ref, &err), &err);
    for (sonde_msec t = from; t < to; t += STEP_MS) {
        for (int i = 0; i < SERIES; i++) {
            batch[i].t = t;
            batch[i].v = value_at(i, t);
        }
        appender_append(a, batch, SERIES);
        check(appender_commit(a, NULL, &err), &err);
    }
    appender_free(a);
    free(batch);
}

/* ---- measuring ----------------------------------------------------------- */

struct store {
    struct tsdb *db; /* NULL: blocks only */
    struct block *blocks[BLOCKS];
    size_t count;
};

static struct querier *querier_open(const struct store *s)
{
    struct store_view view = { .blocks = s->blocks, .count = s->count };
    struct sonde_err err;
    struct querier *q;

    if (s->db) {
        struct storage *head = tsdb_storage(s->db);

        check(head->ops->querier(head, BASE, BASE + 6 * HOUR_MS, &view.head,
                                 &err),
              &err);
    }
    check(store_querier(&view, BASE, BASE + 6 * HOUR_MS, &q, &err), &err);
    return q;
}

struct selected {
    struct series_set *set;
    struct storage_series **items;
    size_t count, cap;
};

static void select_all(struct querier *q, const struct matcher *ms, size_t n,
                       struct selected *out)
{
    struct storage_series *one;
    struct sonde_err err;

    out->count = 0;
    check(q->ops->select(q, ms, n, NULL, &out->set, &err), &err);
    while (out->set->ops->next(out->set, &one, &err) == SONDE_OK) {
        out->items = mem_grow(out->items, &out->cap, out->count + 1,
                              sizeof(struct storage_series *));
        out->items[out->count++] = one;
    }
}

static void bench_select(const struct store *s, const char *what,
                         const struct matcher *ms, size_t n)
{
    double best = 1e18;
    struct selected all = { 0 };

    for (int i = 0; i < ROUNDS; i++) {
        struct querier *q = querier_open(s);
        double t = now_ns(CLOCK_PROCESS_CPUTIME_ID);

        select_all(q, ms, n, &all);
        t = now_ns(CLOCK_PROCESS_CPUTIME_ID) - t;
        best = t < best ? t : best;
        all.set->ops->free(all.set);
        q->ops->free(q);
    }
    printf("%-34s %7zu series %8.0f us %6.0f ns/series\n", what, all.count,
           best / 1e3, best / (double)(all.count ? all.count : 1));
    free(all.items);
}

/* Series are taken one by one from a common counter. */
struct work {
    const struct selected *all;
    _Atomic size_t next;
    _Atomic uint64_t samples;
};

static void *read_series(void *arg)
{
    struct work *w = arg;
    struct columns c = { 0 };
    struct sonde_err err;
    uint64_t samples = 0;
    size_t i;

    while ((i = atomic_fetch_add(&w->next, 1)) < w->all->count) {
        struct storage_series *s = w->all->items[i];

        c.count = 0;
        check(s->ops->read(s, BASE, BASE + 6 * HOUR_MS, &c, &err), &err);
        samples += c.count;
    }
    atomic_fetch_add(&w->samples, samples);
    columns_fini(&c);
    return NULL;
}

static void read_all(struct work *w, int threads)
{
    pthread_t ids[8];

    atomic_store(&w->next, 0);
    atomic_store(&w->samples, 0);
    for (int k = 1; k < threads; k++)
        (void)pthread_create(&ids[k], NULL, read_series, w);
    (void)read_series(w);
    for (int k = 1; k < threads; k++)
        (void)pthread_join(ids[k], NULL);
}

static void bench_read(const struct store *s, const char *what, int threads)
{
    struct querier *q = querier_open(s);
    struct selected all = { 0 };
    struct work w = { .all = &all };
    double best = 1e18, best_wall = 1e18, n;

    select_all(q, NULL, 0, &all);
    for (int i = 0; i < ROUNDS; i++) {
        double wall = now_ns(CLOCK_MONOTONIC);
        double cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);

        read_all(&w, threads);
        cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        wall = now_ns(CLOCK_MONOTONIC) - wall;
        best = cpu < best ? cpu : best;
        best_wall = wall < best_wall ? wall : best_wall;
    }
    n = (double)w.samples;
    printf("%-34s %7.1f M samples %5.2f ns/sample, %5.2f on the clock\n", what,
           n / 1e6, best / n, best_wall / n);
    all.set->ops->free(all.set);
    q->ops->free(q);
    free(all.items);
}

static void bench_values(const struct store *s, const char *what,
                         const struct matcher *ms, size_t n)
{
    static const sonde_str label = { "instance", 8 };
    double best = 1e18;
    struct sonde_list out;

    for (int i = 0; i < ROUNDS; i++) {
        struct querier *q = querier_open(s);
        struct sonde_err err;
        struct arena a;
        double t = now_ns(CLOCK_PROCESS_CPUTIME_ID);

        arena_init(&a);
        check(q->ops->label_values(q, &label, ms, n, NULL, &a, &out, &err),
              &err);
        t = now_ns(CLOCK_PROCESS_CPUTIME_ID) - t;
        best = t < best ? t : best;
        arena_fini(&a);
        q->ops->free(q);
    }
    printf("%-34s %7zu values %8.0f us\n", what, out.count, best / 1e3);
}

static void bench_selects(const struct store *s, const char *what)
{
    static const struct {
        const char *what;
        struct {
            enum matcher_op op;
            const char *name, *value;
        } m[3];
    } rows[] = {
        { "all", { { 0 } } },
        { "a metric",
          { { MATCH_EQ, LABEL_NAME, "node_metric_3_seconds_total" } } },
        { "a metric of a host",
          { { MATCH_EQ, LABEL_NAME, "node_metric_3_seconds_total" },
            { MATCH_EQ, "instance", "host-042.example.com:9100" } } },
        { "a metric, hosts by expression",
          { { MATCH_EQ, LABEL_NAME, "node_metric_3_seconds_total" },
            { MATCH_RE, "instance", "host-0[0-4].*" },
            { MATCH_NE, "mode", "mode-3" } } },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct matcher ms[3];
        struct sonde_err err;
        char text[80];
        size_t n = 0;

        for (; n < 3 && rows[i].m[n].name; n++)
            check(matcher_init(&ms[n], rows[i].m[n].op,
                               sonde_cstr(rows[i].m[n].name),
                               sonde_cstr(rows[i].m[n].value), &err),
                  &err);
        (void)snprintf(text, sizeof(text), "%s: %s", what, rows[i].what);
        bench_select(s, text, ms, n);
        if (i == 0 || i == 3) {
            (void)snprintf(text, sizeof(text), "%s: values, %s", what,
                           rows[i].what);
            bench_values(s, text, ms, n);
        }
        while (n)
            matcher_fini(&ms[--n]);
    }
}

static void run(const char *dir, struct arena *a)
{
    struct labels *series = arena_array(a, struct labels, SERIES);
    struct clock_manual clock;
    struct tsdb_options options = { .no_thread = true };
    struct store all = { .count = BLOCKS }, one = { .count = 1 }, head = { 0 };
    struct sonde_err err;

    for (int i = 0; i < SERIES; i++)
        series[i] = labels_make(a, i);
    qsort(series, SERIES, sizeof(*series), by_labels);
    clock_manual_init(&clock, BASE + 6 * HOUR_MS);
    options.clock = &clock.clock;
    check(
        tsdb_open(arena_printf(a, "%s/head", dir).ptr, &options, &all.db, &err),
        &err);
    head_fill(all.db, series, BASE + 5 * HOUR_MS, BASE + 6 * HOUR_MS);
    check(fs_mkdirs(arena_printf(a, "%s/blocks", dir).ptr, 0777, &err), &err);
    for (int i = 0; i < BLOCKS; i++)
        all.blocks[i] = block_make(arena_printf(a, "%s/blocks", dir).ptr, a,
                                   series, BASE + 2 * i * HOUR_MS,
                                   BASE + (i == 2 ? 5 : 2 * i + 2) * HOUR_MS);
    one.blocks[0] = all.blocks[0];
    head.db = all.db;
    bench_selects(&one, "block");
    bench_selects(&head, "head");
    bench_selects(&all, "store");
    bench_read(&one, "read: one block", 1);
    bench_read(&head, "read: head", 1);
    bench_read(&all, "read: store", 1);
    bench_read(&all, "read: store, two threads", 2);
    for (int i = 0; i < BLOCKS; i++)
        block_unref(all.blocks[i]);
    tsdb_close(all.db);
}

int main(int argc, char **argv)
{
    struct sonde_err err;
    struct arena a;
    char *dir;

    log_setup(LOG_ERROR, LOG_LOGFMT);
    arena_init(&a);
    dir = arena_cstr(&a,
                     arena_printf(&a, "%s/" NAME, argc > 1 ? argv[1] : "/tmp"));
    check(fs_remove_all(dir, &err), &err);
    check(fs_mkdirs(dir, 0777, &err), &err);
    run(dir, &a);
    check(fs_remove_all(dir, &err), &err);
    arena_fini(&a);
    return 0;
}
