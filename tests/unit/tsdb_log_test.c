/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: long replays on several threads, and cutting the log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsdb/head.h"
#include "tsdb/store.h"
#include "unit/tsdb_kit.h"
#include "util/fs.h"

static struct wal *log_of(struct kit *k)
{
    return tsdb_wal(k->db);
}

static void next_segment(struct kit *k)
{
    struct sonde_err err;

    CU_ASSERT_EQUAL(wal_next_segment(log_of(k), &err), SONDE_OK);
}

static bool has_file(struct kit *k, const char *name)
{
    char path[640];

    (void)snprintf(path, sizeof(path), "%s/wal/%s", k->dir, name);
    return fs_exists(path);
}

static size_t corruptions(struct kit *k)
{
    struct tsdb_stats stats;

    tsdb_stats(k->db, &stats);
    return stats.corruptions;
}

/* ---- long replays ----------------------------------------------------- */

#define MANY_SERIES 2000
#define MANY_ROUNDS 420

static double value_of(size_t series, size_t round)
{
    return (double)(series * 1000 + round % 7);
}

static void fill(struct kit *k, series_ref *refs)
{
    struct appender *a = storage_appender(tsdb_storage(k->db));
    struct storage_sample *batch = mem_alloc(MANY_SERIES * sizeof(*batch));
    struct append_stats stats;
    char text[64];

    for (size_t i = 0; i < MANY_SERIES; i++) {
        (void)snprintf(text, sizeof(text), "many i=%zu", i);
        refs[i] = kit_series(k, a, text);
    }
    for (size_t round = 0; round < MANY_ROUNDS; round++) {
        for (size_t i = 0; i < MANY_SERIES; i++)
            batch[i] = (struct storage_sample){
                refs[i], KIT_NOW + (sonde_msec)round * 1000, value_of(i, round)
            };
        appender_append(a, batch, MANY_SERIES);
        CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    }
    free(batch);
    appender_free(a);
}

/* More than a batch of lanes holds, so that several threads are at work. */
static void test_long_replay(void)
{
    series_ref *refs = mem_alloc(MANY_SERIES * sizeof(*refs));
    struct kit k;

    kit_init(&k, "long-replay");
    fill(&k, refs);
    kit_reopen(&k);
    for (size_t i = 0; i < MANY_SERIES; i += 97) {
        char text[64];
        struct columns c;
        size_t wrong = 0;

        (void)snprintf(text, sizeof(text), "many i=%zu", i);
        c = kit_read(&k, text, INT64_MIN, INT64_MAX);
        CU_ASSERT_EQUAL(c.count, MANY_ROUNDS);
        for (size_t n = 0; n < c.count; n++)
            wrong += c.t[n] != KIT_NOW + (sonde_msec)n * 1000 ||
                     double_bits(c.v[n]) != double_bits(value_of(i, n));
        CU_ASSERT_EQUAL(wrong, 0);
        columns_fini(&c);
    }
    CU_ASSERT_EQUAL(corruptions(&k), 0);
    kit_fini(&k);
    free(refs);
}

static bool after_some(void *arg)
{
    size_t *left = arg;

    return *left == 0 || --*left == 0;
}

/* Asked to stop at any record: no store, no leak, and the next start has all
 * of it. */
static void test_canceled(void)
{
    struct kit k;

    kit_init(&k, "canceled");
    for (int i = 0; i < 20; i++)
        (void)kit_put(&k, "a", KIT_NOW + i, i);
    tsdb_close(k.db);
    for (size_t records = 1; records < 10; records++) {
        size_t left = records;
        struct sonde_err err;

        k.db = NULL;
        k.options.canceled = after_some;
        k.options.canceled_arg = &left;
        CU_ASSERT_EQUAL(tsdb_open(k.dir, &k.options, &k.db, &err),
                        SONDE_ECANCELED);
    }
    k.options.canceled = NULL;
    kit_open(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "a"), 20);
    kit_fini(&k);
}

/* ---- cutting ---------------------------------------------------------- */

/* Segments 0...5, each with a sample of `old` and one of `s<segment>`, ten
 * seconds apart. */
static void fill_segments(struct kit *k)
{
    for (int i = 0; i < 6; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "s%d", i);
        (void)kit_put(k, "old", KIT_NOW + i * 10000, i);
        (void)kit_put(k, text, KIT_NOW + i * 10000, i);
        if (i < 5)
            next_segment(k);
    }
}

static void cut(struct kit *k, sonde_msec t, uint64_t needed)
{
    struct sonde_err err = { 0 };

    CU_ASSERT_EQUAL(
        head_cut_log(k->db->head, tsdb_wal_dir(k->db), t, needed, &err),
        SONDE_OK);
}

/* Five finished segments: 0...3 become a checkpoint, as in Prometheus. */
static void test_cut(void)
{
    struct kit k;

    kit_init(&k, "cut");
    fill_segments(&k);
    cut(&k, KIT_NOW + 15000, UINT64_MAX);
    CU_ASSERT_TRUE(has_file(&k, "checkpoint.00000002"));
    CU_ASSERT_FALSE(has_file(&k, "00000002"));
    CU_ASSERT_TRUE(has_file(&k, "00000003"));
    CU_ASSERT_EQUAL(wal_end(log_of(&k)).segment, 6);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "old"), 4);
    CU_ASSERT_EQUAL(kit_count(&k, "s0"), 0);
    CU_ASSERT_EQUAL(kit_count(&k, "s2"), 1);
    CU_ASSERT_EQUAL(kit_count(&k, "s5"), 1);
    CU_ASSERT_EQUAL(corruptions(&k), 0);
    /* New samples of a series whose record is in the checkpoint only. */
    (void)kit_put(&k, "s2", KIT_NOW + 90000, 9);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "s2"), 2);
    kit_fini(&k);
}

/* Somebody still reads segment 1: it stays, and goes with a later cut. */
static void test_cut_keeps_what_is_read(void)
{
    struct kit k;

    kit_init(&k, "cut-needed");
    fill_segments(&k);
    cut(&k, KIT_NOW + 15000, 1);
    CU_ASSERT_TRUE(has_file(&k, "checkpoint.00000002"));
    CU_ASSERT_FALSE(has_file(&k, "00000000"));
    CU_ASSERT_TRUE(has_file(&k, "00000001"));
    CU_ASSERT_TRUE(has_file(&k, "00000002"));
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "old"), 4);
    cut(&k, KIT_NOW + 15000, UINT64_MAX);
    CU_ASSERT_FALSE(has_file(&k, "00000001"));
    CU_ASSERT_FALSE(has_file(&k, "00000002"));
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "old"), 4);
    CU_ASSERT_EQUAL(corruptions(&k), 0);
    kit_fini(&k);
}

/* Cut again and again; samples at or behind the cut are always there. */
static void test_cut_often(void)
{
    struct kit k;

    kit_init(&k, "cut-often");
    for (int i = 0; i < 60; i++) {
        (void)kit_put(&k, "a", KIT_NOW + i * 1000, i);
        if (i % 20 == 0)
            (void)kit_put(&k, "rare", KIT_NOW + i * 1000, i);
        cut(&k, KIT_NOW + i * 500, UINT64_MAX);
        if (i % 10 == 9) {
            struct columns c;

            kit_reopen(&k);
            c = kit_read(&k, "a", KIT_NOW + i * 500, INT64_MAX);
            CU_ASSERT_EQUAL(c.count, (size_t)(i - (i + 1) / 2 + 1));
            columns_fini(&c);
            CU_ASSERT_EQUAL(corruptions(&k), 0);
        }
    }
    CU_ASSERT_TRUE(kit_count(&k, "rare") > 0);
    kit_fini(&k);
}

/* A series record that was damaged on the disk since: the checkpoint has it
 * from memory. */
static void test_cut_mends_series(void)
{
    struct buf bytes = { 0 };
    struct sonde_err err;
    char path[640];
    struct kit k;

    kit_init(&k, "cut-mends");
    fill_segments(&k);
    (void)snprintf(path, sizeof(path), "%s/wal/00000000", k.dir);
    CU_ASSERT_EQUAL(fs_read(path, (size_t)1 << 20, &bytes, &err), SONDE_OK);
    bytes.data[10] ^= 1; /* in the first record */
    CU_ASSERT_EQUAL(fs_write_atomic(path, buf_str(&bytes), 0644, &err),
                    SONDE_OK);
    cut(&k, KIT_NOW + 15000, UINT64_MAX);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "old"), 4);
    CU_ASSERT_EQUAL(corruptions(&k), 0);
    kit_fini(&k);
    buf_fini(&bytes);
}

/* A checkpoint with damage costs what it hits; the log stays, and is cut as
 * ever. */
static void test_damaged_checkpoint(void)
{
    struct buf bytes = { 0 };
    struct sonde_err err;
    char path[640];
    struct kit k;

    kit_init(&k, "cut-damaged");
    fill_segments(&k);
    cut(&k, KIT_NOW, UINT64_MAX);
    tsdb_close(k.db);
    k.db = NULL;
    (void)snprintf(path, sizeof(path), "%s/wal/checkpoint.00000002/00000000",
                   k.dir);
    CU_ASSERT_EQUAL(fs_read(path, (size_t)1 << 20, &bytes, &err), SONDE_OK);
    memset(bytes.data, 'x', bytes.len);
    CU_ASSERT_EQUAL(fs_write_atomic(path, buf_str(&bytes), 0644, &err),
                    SONDE_OK);
    kit_open(&k);
    CU_ASSERT_TRUE(corruptions(&k) > 0);
    CU_ASSERT_TRUE(has_file(&k, "00000003"));
    CU_ASSERT_EQUAL(kit_count(&k, "s5"), 1); /* its record is in segment 5 */
    for (int i = 0; i < 4; i++) {
        (void)kit_put(&k, "s5", KIT_NOW + 100000 + i, 1);
        cut(&k, KIT_NOW, UINT64_MAX);
    }
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "s5"), 5);
    CU_ASSERT_EQUAL(corruptions(&k), 0);
    kit_fini(&k);
    buf_fini(&bytes);
}

/* ---- agent posture ---------------------------------------------------- */

#define HOUR_MS INT64_C(3600000)

static uint64_t need_segment_1(void *arg)
{
    (void)arg;
    return 1;
}

static size_t series_there(struct kit *k)
{
    struct tsdb_stats stats;

    tsdb_stats(k->db, &stats);
    return stats.series;
}

static void compact(struct kit *k)
{
    struct sonde_err err = { 0 };

    CU_ASSERT_EQUAL(tsdb_compact(k->db, &err), SONDE_OK);
}

/* Series without a sample for hours go, what is younger stays, and a reader
 * holds the segments that it needs. */
static void test_agent_posture(void)
{
    struct kit k;

    kit_init(&k, "agent");
    k.options.log_only = true;
    k.options.no_thread = true;
    k.options.log_needed = need_segment_1;
    kit_reopen(&k);
    (void)kit_put(&k, "idle", KIT_NOW - 5 * HOUR_MS, 1);
    fill_segments(&k);
    compact(&k);
    CU_ASSERT_EQUAL(series_there(&k), 8); /* not due */
    clock_manual_advance(&k.clock, 3 * HOUR_MS);
    (void)kit_put(&k, "old", KIT_NOW + 3 * HOUR_MS, 1);
    compact(&k); /* who was asked for lately stays once more */
    clock_manual_advance(&k.clock, 3 * HOUR_MS);
    compact(&k);
    CU_ASSERT_EQUAL(series_there(&k), 1);
    CU_ASSERT_FALSE(has_file(&k, "00000000"));
    CU_ASSERT_TRUE(has_file(&k, "00000001"));
    k.options.log_needed = NULL;
    kit_reopen(&k);
    clock_manual_advance(&k.clock, 3 * HOUR_MS);
    compact(&k);
    CU_ASSERT_FALSE(has_file(&k, "00000001"));
    CU_ASSERT_EQUAL(corruptions(&k), 0);
    (void)kit_put(&k, "old", KIT_NOW + 9 * HOUR_MS, 2);
    kit_fini(&k);
}

/* A series left the head, but a later segment has samples of it: its record
 * stays until a checkpoint stands for that segment. */
static void test_gone_series_keep_their_record(void)
{
    struct selfmetrics *metrics = selfmetrics_new();
    struct kit k;

    kit_init(&k, "gone");
    k.options.metrics = metrics;
    k.options.log_only = true;
    k.options.no_thread = true;
    kit_reopen(&k);
    fill_segments(&k); /* s4 has its samples in segment 5 */
    for (int i = 0; i < 2; i++) {
        clock_manual_advance(&k.clock, 10 * HOUR_MS);
        compact(&k);
        CU_ASSERT_EQUAL(corruptions(&k), 0);
        tsdb_close(k.db);
        k.db = NULL;
        kit_open(&k);
        CU_ASSERT_EQUAL(corruptions(&k), 0);
    }
    CU_ASSERT_EQUAL(metric_get(k.db->head->metrics.replay_unknown), 0);
    kit_fini(&k);
    selfmetrics_free(metrics);
}

static const struct tap_test tests[] = {
    { "a long replay", test_long_replay },
    { "a replay is stopped", test_canceled },
    { "the log is cut", test_cut },
    { "what is read stays", test_cut_keeps_what_is_read },
    { "cut again and again", test_cut_often },
    { "damaged series records are mended", test_cut_mends_series },
    { "a damaged checkpoint", test_damaged_checkpoint },
    { "agent posture", test_agent_posture },
    { "series that are gone keep their record",
      test_gone_series_keep_their_record },
};

int main(void)
{
    return TAP_RUN("tsdb log", tests);
}
