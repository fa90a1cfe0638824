/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tsdb: late samples leave the head by cuts. Whatever happens, each sample
 * that was taken is in the head or in what was cut, also over restarts, and
 * while several threads commit, read and cut.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "unit/histograms.h"
#include "unit/tap.h"
#include "unit/tsdb_kit.h"
#include "util/fs.h"

#define SERIES 5
#define TIMES  4000 /* seconds before KIT_NOW                              */
#define WINDOW (INT64_C(2) * TIMES * 1000)

/* A head with both logs, without the store around it. */
struct bare {
    char dir[512], wal[600], wbl[600];
    struct clock_manual clock;
    struct head *head;
    uint64_t corruptions;
};

static void bare_open(struct bare *b)
{
    struct wal_options wal = { .compress = WAL_SNAPPY };
    struct head_replay_options replay = { .corruptions = &b->corruptions };

    b->head = head_new(&b->clock.clock, false);
    head_metrics_register(&b->head->metrics, NULL);
    if (fs_exists(b->wal))
        CU_ASSERT_EQUAL(head_replay(b->head, b->wal, &replay, NULL), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(wal_open(b->wal, &wal, &b->head->wal, NULL),
                          SONDE_OK);
    CU_ASSERT_EQUAL(late_open(b->head, b->wbl, &wal, &replay, NULL), SONDE_OK);
    late_set_window(&b->head->late, WINDOW);
}

static void bare_close(struct bare *b)
{
    wal_close(b->head->wal);
    head_free(b->head);
}

static void bare_init(struct bare *b, const char *name)
{
    log_setup(LOG_ERROR, LOG_LOGFMT);
    memset(b, 0, sizeof(*b));
    (void)snprintf(b->dir, sizeof(b->dir), "%s/%s", tap_tmpdir(), name);
    (void)snprintf(b->wal, sizeof(b->wal), "%s/wal", b->dir);
    (void)snprintf(b->wbl, sizeof(b->wbl), "%s/wbl", b->dir);
    CU_ASSERT_EQUAL(fs_mkdirs(b->dir, 0750, NULL), SONDE_OK);
    clock_manual_init(&b->clock, KIT_NOW);
    bare_open(b);
}

static series_ref bare_series(struct appender *a, int n)
{
    char text[16];
    struct label items[2] = { { SONDE_STR(LABEL_NAME), SONDE_STR("late") },
                              { SONDE_STR("n"), { text, 0 } } };
    struct labels l = { items, 2 };
    series_ref ref = 0;

    items[1].value.len = (size_t)snprintf(text, sizeof(text), "%d", n);
    CU_ASSERT_EQUAL(appender_series(a, &l, &ref, NULL), SONDE_OK);
    return ref;
}

/* One sample that makes the rest late. */
static void newest(struct bare *b, series_ref refs[SERIES])
{
    struct appender *a = head_appender(b->head);

    for (int i = 0; i < SERIES; i++) {
        refs[i] = bare_series(a, i);
        appender_append(a, &(struct storage_sample){ refs[i], KIT_NOW, 0 }, 1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    appender_free(a);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* ---- against a model -------------------------------------------------- */

/* 0: never taken; else the value. */
typedef double table[SERIES][TIMES];

static size_t at_of(sonde_msec t)
{
    return (size_t)((KIT_NOW - t) / 1000);
}

static void put_some(struct bare *b, const series_ref *refs, table want,
                     uint32_t *random)
{
    struct appender *a = head_appender(b->head);
    size_t n = next_random(random) % 100;

    for (size_t i = 0; i < n; i++) {
        size_t s = next_random(random) % SERIES;
        size_t at = 1 + next_random(random) % (TIMES - 1);
        double v = 1 + next_random(random) % 1000;

        if (want[s][at] != 0)
            continue;
        want[s][at] = v;
        appender_append(a,
                        &(struct storage_sample){
                            refs[s], KIT_NOW - (sonde_msec)at * 1000, v },
                        1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    appender_free(a);
}

static void take(const struct columns *c, double *into, bool *ascending)
{
    for (size_t i = 0; i < c->count; i++) {
        *ascending = *ascending && (i == 0 || c->t[i] > c->t[i - 1]);
        into[at_of(c->t[i])] = c->v[i];
    }
}

/* What the head has and what is in blocks is what was taken. */
static void check(struct bare *b, const series_ref *refs, table want,
                  table blocks)
{
    bool same = true, ascending = true;

    for (int s = 0; s < SERIES; s++) {
        struct columns c = { 0 };
        double have[TIMES];

        memcpy(have, blocks[s], sizeof(have));
        CU_ASSERT_EQUAL(head_read(b->head, (uint32_t)refs[s], INT64_MIN,
                                  INT64_MAX, &c, NULL),
                        SONDE_OK);
        take(&c, have, &ascending);
        same = same && memcmp(have + 1, want[s] + 1,
                              sizeof(have) - sizeof(have[0])) == 0;
        columns_fini(&c);
    }
    CU_ASSERT_TRUE(same);
    CU_ASSERT_TRUE(ascending);
}

/* Writes the cut's samples to "blocks", in two ranges. */
static void write_cut(const struct late_cut *cut, const series_ref *refs,
                      table blocks)
{
    bool ascending = true, in_range = true;

    for (size_t i = 0; i < cut->count; i++) {
        sonde_msec half = cut->mint + (cut->maxt - cut->mint) / 2;
        struct columns c = { 0 };
        size_t s = 0;

        while ((uint32_t)refs[s] != cut->refs[i])
            s++;
        CU_ASSERT_EQUAL(
            late_cut_read(cut, cut->refs[i], cut->mint, half, &c, NULL),
            SONDE_OK);
        CU_ASSERT_EQUAL(
            late_cut_read(cut, cut->refs[i], half + 1, cut->maxt, &c, NULL),
            SONDE_OK);
        for (size_t k = 0; k < c.count; k++)
            in_range = in_range && c.t[k] >= cut->mint && c.t[k] <= cut->maxt;
        take(&c, blocks[s], &ascending);
        columns_fini(&c);
    }
    CU_ASSERT_TRUE(ascending);
    CU_ASSERT_TRUE(in_range);
}

static void cut_some(struct bare *b, const series_ref *refs, table want,
                     table blocks, uint32_t *random)
{
    bool written = next_random(random) % 4 != 0;
    struct late_cut cut;

    CU_ASSERT_EQUAL(late_cut_begin(b->head, &cut, NULL), SONDE_OK);
    if (next_random(random) % 2)
        put_some(b, refs, want, random);
    if (written)
        write_cut(&cut, refs, blocks);
    check(b, refs, want, blocks);
    CU_ASSERT_EQUAL(late_cut_end(&cut, written, NULL), SONDE_OK);
}

static void test_model(void)
{
    table *want = mem_zalloc(sizeof(table)),
          *blocks = mem_zalloc(sizeof(table));
    series_ref refs[SERIES];
    uint32_t random = 3;
    struct bare b;

    bare_init(&b, "model");
    newest(&b, refs);
    for (int round = 0; round < 300; round++) {
        put_some(&b, refs, *want, &random);
        if (next_random(&random) % 10 == 0)
            cut_some(&b, refs, *want, *blocks, &random);
        check(&b, refs, *want, *blocks);
        if (next_random(&random) % 20 == 0) {
            bare_close(&b);
            bare_open(&b);
            check(&b, refs, *want, *blocks);
        }
    }
    CU_ASSERT_EQUAL(b.corruptions, 0);
    bare_close(&b);
    free(want);
    free(blocks);
}

/* After all is cut nothing is left but what came in order. */
static void test_nothing_left(void)
{
    table *want = mem_zalloc(sizeof(table));
    series_ref refs[SERIES];
    uint32_t random = 5;
    struct late_cut cut;
    struct bare b;
    uint64_t first, last;

    bare_init(&b, "nothing");
    newest(&b, refs);
    for (int i = 0; i < 5; i++)
        put_some(&b, refs, *want, &random);
    CU_ASSERT_TRUE(
        late_overlaps(&b.head->late, (uint32_t)refs[0], INT64_MIN, INT64_MAX));
    CU_ASSERT_EQUAL(late_cut_begin(b.head, &cut, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(cut.count, SERIES);
    CU_ASSERT_EQUAL(late_cut_end(&cut, true, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(b.head->late.count, 0);
    CU_ASSERT_EQUAL(atomic_load(&b.head->late.chunk_count), 0);
    CU_ASSERT_TRUE(atomic_load(&b.head->late.min_time) == INT64_MAX);
    CU_ASSERT_FALSE(
        late_overlaps(&b.head->late, (uint32_t)refs[0], INT64_MIN, INT64_MAX));
    CU_ASSERT_TRUE(wal_segments_range(b.wbl, &first, &last));
    CU_ASSERT_EQUAL(first, last);
    CU_ASSERT_EQUAL(late_cut_begin(b.head, &cut, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(cut.count, 0);
    CU_ASSERT_TRUE(cut.mint > cut.maxt);
    CU_ASSERT_EQUAL(late_cut_end(&cut, true, NULL), SONDE_OK);
    bare_close(&b);
    bare_open(&b);
    CU_ASSERT_EQUAL(b.head->late.count, 0);
    bare_close(&b);
    free(want);
}

/* ---- histograms ------------------------------------------------------- */

static const struct histogram integer = {
    .hint = HISTOGRAM_NO_RESET,
    .schema = 1,
    .count.i = 7,
    .sum = 18.4,
    .zero_threshold = 0.001,
    .zero_count.i = 1,
    .positive = { SPANS({ 0, 2 }, { 1, 1 }), INTS(1, 2, -1) },
};
static const struct histogram floating = {
    .is_float = true,
    .hint = HISTOGRAM_GAUGE,
    .count.f = 3.5,
    .sum = 2,
    .positive = { SPANS({ -1, 2 }), FLOATS(1.5, 2) },
};
static const struct histogram bounded = {
    BOUNDS(0.5, 1, 2),
    .count.i = 3,
    .sum = 4,
    .positive = { SPANS({ 0, 2 }), INTS(2, -1) },
};

static void check_histograms(struct bare *b, series_ref ref)
{
    static const struct histogram *const want[] = { &bounded, NULL, &floating,
                                                    &integer, NULL };
    struct columns c = { 0 };

    CU_ASSERT_EQUAL(
        head_read(b->head, (uint32_t)ref, INT64_MIN, INT64_MAX, &c, NULL),
        SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(c.count, 5);
    for (size_t i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(c.t[i], i < 4 ? KIT_NOW - 4000 + (sonde_msec)i * 1000
                                      : KIT_NOW);
        CU_ASSERT_EQUAL(!c.h[i], !want[i]);
        if (c.h[i] && want[i])
            CU_ASSERT_TRUE(histogram_same(c.h[i], want[i]));
    }
    CU_ASSERT_EQUAL(c.v[1], 5);
    CU_ASSERT_EQUAL(c.h[3]->hint, HISTOGRAM_UNKNOWN_RESET);
    CU_ASSERT_EQUAL(c.h[2]->hint, HISTOGRAM_GAUGE);
    columns_fini(&c);
}

/* All kinds in one series, from the buffer, the log and chunks. */
static void test_histograms(void)
{
    series_ref refs[SERIES];
    struct append_stats stats = { 0 };
    struct late_cut cut;
    struct walk w;
    struct bare b;

    bare_init(&b, "histograms");
    newest(&b, refs);
    {
        const struct late_sample samples[] = {
            { refs[0], KIT_NOW - 1000, 0, &integer },
            { refs[0], KIT_NOW - 2000, 0, &floating },
            { refs[0], KIT_NOW - 3000, 5, NULL },
            { refs[0], KIT_NOW - 4000, 0, &bounded },
            { refs[0], KIT_NOW - 2000, 0, &floating },
            { refs[0], KIT_NOW - 2000, 0, &integer },
            { refs[0], KIT_NOW - 2000, 2, NULL },
        };

        CU_ASSERT_EQUAL(wbl_append(&b.head->late, samples, 7, NULL), SONDE_OK);
        late_insert(b.head, samples, 7, &stats);
    }
    CU_ASSERT_EQUAL(stats.histograms, 3);
    CU_ASSERT_EQUAL(stats.out_of_order_taken, 4);
    CU_ASSERT_EQUAL(stats.duplicate_same, 1);
    CU_ASSERT_EQUAL(stats.duplicate_other, 2);
    w = walk_of(b.head);
    walk_to(&w, refs[0])->flags |= SERIES_LATE;
    walk_end(&w);
    check_histograms(&b, refs[0]);
    bare_close(&b);
    bare_open(&b);
    check_histograms(&b, refs[0]);
    CU_ASSERT_EQUAL(late_cut_begin(b.head, &cut, NULL), SONDE_OK);
    check_histograms(&b, refs[0]);
    CU_ASSERT_EQUAL(late_cut_end(&cut, false, NULL), SONDE_OK);
    bare_close(&b);
}

/* ---- threads ---------------------------------------------------------- */

struct shared {
    struct bare *b;
    const series_ref *refs;
    _Atomic bool stop;
    _Atomic uint32_t taken[SERIES]; /* times 1 to this are committed       */
};

static void *commit_main(void *arg)
{
    struct shared *sh = arg;
    struct appender *a = head_appender(sh->b->head);

    for (uint32_t at = 1; at < TIMES; at++) {
        for (int s = 0; s < SERIES; s++)
            appender_append(
                a,
                &(struct storage_sample){ sh->refs[s],
                                          KIT_NOW - (sonde_msec)at * 1000, at },
                1);
        if (appender_commit(a, NULL, NULL) != SONDE_OK)
            break;
        for (int s = 0; s < SERIES; s++)
            atomic_store(&sh->taken[s], at);
    }
    appender_free(a);
    atomic_store(&sh->stop, true);
    return NULL;
}

/* Readers see everything that was committed before they came, if nothing is
 * given up meanwhile. */
static void *read_main(void *arg)
{
    struct shared *sh = arg;
    size_t missing = 0;

    while (!atomic_load(&sh->stop)) {
        for (int s = 0; s < SERIES; s++) {
            uint32_t least = atomic_load(&sh->taken[s]);
            struct columns c = { 0 };

            if (head_read(sh->b->head, (uint32_t)sh->refs[s], INT64_MIN,
                          INT64_MAX, &c, NULL) != SONDE_OK ||
                c.count < least + 1)
                missing++;
            columns_fini(&c);
        }
    }
    return (void *)missing;
}

static void test_threads(void)
{
    table *blocks = mem_zalloc(sizeof(table));
    series_ref refs[SERIES];
    struct shared sh = { .refs = refs };
    struct late_cut cut;
    pthread_t commits, reads;
    struct bare b;
    void *missing;
    bool all = true;

    bare_init(&b, "threads");
    sh.b = &b;
    newest(&b, refs);
    (void)pthread_create(&commits, NULL, commit_main, &sh);
    (void)pthread_create(&reads, NULL, read_main, &sh);
    while (!atomic_load(&sh.stop)) {
        CU_ASSERT_EQUAL(late_cut_begin(b.head, &cut, NULL), SONDE_OK);
        write_cut(&cut, refs, *blocks);
        CU_ASSERT_EQUAL(late_cut_end(&cut, false, NULL), SONDE_OK);
    }
    (void)pthread_join(commits, NULL);
    (void)pthread_join(reads, &missing);
    CU_ASSERT_EQUAL(missing, NULL);
    CU_ASSERT_EQUAL(late_cut_begin(b.head, &cut, NULL), SONDE_OK);
    write_cut(&cut, refs, *blocks);
    CU_ASSERT_EQUAL(late_cut_end(&cut, true, NULL), SONDE_OK);
    for (int s = 0; s < SERIES; s++)
        for (int at = 1; at < TIMES; at++)
            all = all && (*blocks)[s][at] == at;
    CU_ASSERT_TRUE(all);
    bare_close(&b);
    free(blocks);
}

/* The same, and what was cut is given up. */
static void test_threads_giving_up(void)
{
    table *blocks = mem_zalloc(sizeof(table));
    series_ref refs[SERIES];
    struct shared sh = { .refs = refs };
    struct late_cut cut;
    pthread_t commits;
    struct bare b;
    bool all = true;
    int cuts = 0;

    bare_init(&b, "giving_up");
    sh.b = &b;
    newest(&b, refs);
    (void)pthread_create(&commits, NULL, commit_main, &sh);
    while (!atomic_load(&sh.stop) || cuts++ < 1) {
        CU_ASSERT_EQUAL(late_cut_begin(b.head, &cut, NULL), SONDE_OK);
        write_cut(&cut, refs, *blocks);
        CU_ASSERT_EQUAL(late_cut_end(&cut, true, NULL), SONDE_OK);
    }
    (void)pthread_join(commits, NULL);
    for (int s = 0; s < SERIES; s++)
        for (int at = 1; at < TIMES; at++)
            all = all && (*blocks)[s][at] == at;
    CU_ASSERT_TRUE(all);
    CU_ASSERT_EQUAL(b.head->late.count, 0);
    bare_close(&b);
    free(blocks);
}

static const struct tap_test tests[] = {
    { "cuts and restarts against a model", test_model },
    { "nothing is left behind", test_nothing_left },
    { "histograms are late too", test_histograms },
    { "commits, reads and cuts at once", test_threads },
    { "and what was cut is given up", test_threads_giving_up },
};

int main(void)
{
    return TAP_RUN("tsdb_late_cut", tests);
}
