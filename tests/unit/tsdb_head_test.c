/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: appending, verdicts, chunks, replay, the lock. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/tap.h"
#include "unit/tsdb_kit.h"
#include "util/fs.h"
#include "util/str.h"

/* ---- verdicts --------------------------------------------------------- */

static bool same_counts(const struct append_stats *a,
                        const struct append_stats *b)
{
    return memcmp(a, b, offsetof(struct append_stats, rejected)) == 0;
}

static void test_verdicts(void)
{
    static const struct {
        int line;
        sonde_msec t;
        uint64_t v;
        struct append_stats want;
    } rows[] = {
        { __LINE__, KIT_NOW, 1, { .appended = 1 } },
        { __LINE__, KIT_NOW, 1, { .duplicate_same = 1 } },
        { __LINE__, KIT_NOW, 2, { .duplicate_other = 1 } },
        { __LINE__, KIT_NOW - 1, 1, { .out_of_order = 1 } },
        { __LINE__, KIT_NOW + 1, KIT_STALE, { .appended = 1 } },
        { __LINE__, KIT_NOW + 1, KIT_STALE, { .duplicate_same = 1 } },
        /* a NaN is not another NaN */
        { __LINE__,
          KIT_NOW + 1,
          UINT64_C(0x7ff8000000000001),
          { .duplicate_other = 1 } },
        { __LINE__, KIT_NOW + 1 - 3600000, 1, { .out_of_order = 1 } },
        { __LINE__, KIT_NOW + 1 - 3600001, 1, { .too_old = 1 } },
        { __LINE__, KIT_NOW + 600001, 1, { .too_far = 1 } },
        { __LINE__, KIT_NOW + 600000, 1, { .appended = 1 } },
    };
    struct kit k;

    kit_init(&k, "verdicts");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct append_stats got =
            kit_put(&k, "up job=a", rows[i].t, bits_double(rows[i].v));

        ROW_ASSERT(&rows[i], same_counts(&got, &rows[i].want));
    }
    CU_ASSERT_EQUAL(kit_count(&k, "up job=a"), 3);
    kit_fini(&k);
}

static void test_unknown_series(void)
{
    static const series_ref refs[] = { 0,         1,          64,
                                       65,        UINT32_MAX, UINT64_C(1) << 32,
                                       UINT64_MAX };
    struct kit k;
    struct appender *a;
    struct append_stats stats;

    kit_init(&k, "unknown");
    a = storage_appender(tsdb_storage(k.db));
    for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        struct storage_sample s = { refs[i], KIT_NOW, 1 };

        CU_ASSERT_FALSE(appender_known(a, refs[i]));
        appender_append(a, &s, 1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.unknown_series, 7);
    CU_ASSERT_EQUAL(stats.appended, 0);
    appender_free(a);
    kit_fini(&k);
}

/* The first that were refused are listed, with why; those that hurt nobody
 * are not. */
static void test_rejected(void)
{
    static const struct append_rejected want[] = {
        { 1, KIT_NOW, APPEND_DUPLICATE_OTHER },
        { 1, KIT_NOW - 1, APPEND_OUT_OF_ORDER },
        { 1, KIT_NOW - 3600001, APPEND_TOO_OLD },
        { 1, KIT_NOW + 600001, APPEND_TOO_FAR },
        { 99, KIT_NOW, APPEND_UNKNOWN_SERIES },
    };
    struct kit k;
    struct appender *a;
    struct append_stats stats;

    kit_init(&k, "rejected");
    (void)kit_put(&k, "up", KIT_NOW, 1);
    a = storage_appender(tsdb_storage(k.db));
    for (size_t i = 0; i < 5; i++) {
        struct storage_sample s = { want[i].ref, want[i].t, 2 };

        appender_append(a, &s, 1);
        s = (struct storage_sample){ 1, KIT_NOW, 1 };
        appender_append(a, &s, 1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.rejected_count, 5);
    CU_ASSERT_EQUAL(stats.duplicate_same, 5);
    for (size_t i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(stats.rejected[i].ref, want[i].ref);
        CU_ASSERT_EQUAL(stats.rejected[i].t, want[i].t);
        CU_ASSERT_EQUAL(stats.rejected[i].why, want[i].why);
    }
    for (size_t i = 0; i < 2 * (size_t)APPEND_REJECTED_MAX; i++) {
        struct storage_sample s = { 1, KIT_NOW, 2 };

        appender_append(a, &s, 1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.rejected_count, APPEND_REJECTED_MAX);
    CU_ASSERT_EQUAL(stats.duplicate_other, 2 * (size_t)APPEND_REJECTED_MAX);
    appender_free(a);
    kit_fini(&k);
}

/* Time is the data's: an empty store takes what comes, and goes on there. */
static void test_old_times(void)
{
    struct kit k;
    struct tsdb_stats s;

    kit_init(&k, "old");
    tsdb_stats(k.db, &s);
    CU_ASSERT_TRUE(s.min_time > s.max_time);
    CU_ASSERT_EQUAL(kit_put(&k, "up", -86400000, 1).appended, 1);
    CU_ASSERT_EQUAL(kit_put(&k, "up", 1, 1).appended, 1);
    CU_ASSERT_EQUAL(kit_put(&k, "down", 0, 1).appended, 1);
    kit_reopen(&k);
    tsdb_stats(k.db, &s);
    CU_ASSERT_EQUAL(s.min_time, -86400000);
    CU_ASSERT_EQUAL(s.max_time, 1);
    CU_ASSERT_EQUAL(s.series, 2);
    CU_ASSERT_EQUAL(kit_count(&k, "up"), 2);
    kit_fini(&k);
}

/* ---- transactions ----------------------------------------------------- */

static void test_nothing_before_commit(void)
{
    struct kit k;
    struct appender *a;
    struct storage_sample s = { .t = KIT_NOW, .v = 1 };

    kit_init(&k, "before");
    a = storage_appender(tsdb_storage(k.db));
    s.ref = kit_series(&k, a, "up");
    CU_ASSERT_TRUE(appender_known(a, s.ref));
    appender_append(a, &s, 1);
    CU_ASSERT_EQUAL(kit_count(&k, "up"), 0);
    appender_rollback(a);
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(kit_count(&k, "up"), 0);
    appender_append(a, &s, 1);
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(kit_count(&k, "up"), 1);
    appender_free(a);
    kit_fini(&k);
}

/* A batch may have a series more than once, side by side or apart. */
static void test_series_twice(void)
{
    struct kit k;
    struct appender *a;
    struct append_stats stats;
    struct storage_sample s[8];
    series_ref x, y;

    kit_init(&k, "twice");
    a = storage_appender(tsdb_storage(k.db));
    x = kit_series(&k, a, "x");
    y = kit_series(&k, a, "y");
    s[0] = (struct storage_sample){ x, KIT_NOW, 1 };
    s[1] = (struct storage_sample){ x, KIT_NOW + 1, 2 };
    s[2] = (struct storage_sample){ x, KIT_NOW + 1, 2 };
    s[3] = (struct storage_sample){ x, KIT_NOW + 1, 3 };
    s[4] = (struct storage_sample){ x, KIT_NOW, 1 };
    appender_append(a, s, 5);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 2);
    CU_ASSERT_EQUAL(stats.duplicate_same, 1);
    CU_ASSERT_EQUAL(stats.duplicate_other, 1);
    CU_ASSERT_EQUAL(stats.out_of_order, 1);

    s[0] = (struct storage_sample){ x, KIT_NOW + 2, 1 };
    s[1] = (struct storage_sample){ y, KIT_NOW, 1 };
    s[2] = (struct storage_sample){ x, KIT_NOW + 4, 1 };
    s[3] = (struct storage_sample){ y, KIT_NOW, 1 };
    s[4] = (struct storage_sample){ x, KIT_NOW + 3, 1 };
    appender_append(a, s, 5);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 3);
    CU_ASSERT_EQUAL(stats.duplicate_same, 1);
    CU_ASSERT_EQUAL(stats.out_of_order, 1);
    appender_free(a);
    for (int round = 0; round < 2; round++) {
        CU_ASSERT_EQUAL(kit_count(&k, "x"), 4);
        CU_ASSERT_EQUAL(kit_count(&k, "y"), 1);
        kit_reopen(&k);
    }
    kit_fini(&k);
}

static void test_bad_labels(void)
{
    const struct label unsorted[] = { { SONDE_STR("b"), SONDE_STR("1") },
                                      { SONDE_STR("a"), SONDE_STR("1") } };
    const struct label twice[] = { { SONDE_STR("a"), SONDE_STR("1") },
                                   { SONDE_STR("a"), SONDE_STR("2") } };
    const struct label empty[] = { { SONDE_STR("a"), SONDE_STR("") } };
    const struct labels bad[] = {
        { NULL, 0 }, { unsorted, 2 }, { twice, 2 }, { empty, 1 }
    };
    struct label many[5000];
    char names[5000][8];
    struct labels too_many = { many, 5000 };
    struct kit k;
    struct appender *a;
    series_ref ref;

    kit_init(&k, "bad_labels");
    a = storage_appender(tsdb_storage(k.db));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CU_ASSERT_EQUAL(appender_series(a, &bad[i], &ref, NULL), SONDE_EINVAL);
    for (size_t i = 0; i < 5000; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "l%04zu", i);
        many[i] = (struct label){ sonde_cstr(names[i]), SONDE_STR("v") };
    }
    CU_ASSERT_EQUAL(appender_series(a, &too_many, &ref, NULL), SONDE_ELIMIT);
    too_many.count = 4096;
    CU_ASSERT_EQUAL(appender_series(a, &too_many, &ref, NULL), SONDE_OK);
    appender_free(a);
    kit_fini(&k);
}

/* When the log can not be written nothing is appended, and a series that was
 * made meanwhile is logged with the next transaction. A limit on file sizes
 * stands for the full disk. */
static void test_log_fails(void)
{
    struct kit k;
    struct appender *a;
    struct storage_sample s[2] = { { .t = KIT_NOW, .v = 1 },
                                   { .t = KIT_NOW, .v = 2 } };
    struct append_stats stats;
    struct sonde_err err = { 0 };
    char wal[600], moved[600];

    kit_init(&k, "log_fails");
    (void)kit_put(&k, "x", KIT_NOW, 1);
    (void)snprintf(wal, sizeof(wal), "%s/wal", k.dir);
    (void)snprintf(moved, sizeof(moved), "%s/wal.away", k.dir);
    tsdb_close(k.db);
    k.db = NULL;
    k.options.wal.segment_bytes = 32768;
    kit_open(&k);
    /* The next segment can not be made where there is no folder. */
    a = storage_appender(tsdb_storage(k.db));
    for (int i = 0; i < 4000; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "fill n=%d", i);
        s[0].ref = kit_series(&k, a, text);
        appender_append(a, s, 1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, &stats, &err), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 4000);
    CU_ASSERT_EQUAL(rename(wal, moved), 0);
    s[0].ref = kit_series(&k, a, "y");
    s[1].ref = kit_series(&k, a, "x");
    s[1].t++;
    appender_append(a, s, 2);
    CU_ASSERT_NOT_EQUAL(appender_commit(a, &stats, &err), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 0);
    CU_ASSERT_EQUAL(kit_count(&k, "x"), 1);
    CU_ASSERT_EQUAL(kit_count(&k, "y"), 0);
    CU_ASSERT_EQUAL(rename(moved, wal), 0);
    appender_append(a, s, 2);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, &err), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 2);
    appender_free(a);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "x"), 2);
    CU_ASSERT_EQUAL(kit_count(&k, "y"), 1);
    CU_ASSERT_EQUAL(kit_count(&k, "fill n=3999"), 1);
    kit_fini(&k);
}

/* ---- chunks ----------------------------------------------------------- */

static size_t chunks_of(struct kit *k)
{
    struct tsdb_stats s;

    tsdb_stats(k->db, &s);
    return s.chunks;
}

/* How many chunks `n` samples make, one every `step`. */
static void test_cutting(void)
{
    static const struct {
        int line;
        sonde_msec start, step;
        size_t n, chunks;
    } rows[] = {
        /* 2 h from a round time, every 15 s: 480 samples, 120 a chunk */
        { __LINE__, 0, 15000, 480, 4 },
        { __LINE__, 0, 15000, 481, 5 },
        /* every minute: one chunk is the range */
        { __LINE__, 0, 60000, 120, 1 },
        { __LINE__, 0, 60000, 121, 2 },
        /* a range ends in the middle */
        { __LINE__, 7200000 - 60000, 60000, 2, 2 },
        { __LINE__, -60000, 60000, 2, 1 },
        /* where time is negative, ranges end one later */
        { __LINE__, -7200000 - 60000, 60000, 2, 1 },
        { __LINE__, -7200000, 60000, 121, 2 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kit k;
        struct appender *a;
        struct storage_sample s;
        struct columns c;
        char name[32];

        (void)snprintf(name, sizeof(name), "cut%zu", i);
        kit_init(&k, name);
        a = storage_appender(tsdb_storage(k.db));
        s.ref = kit_series(&k, a, "up");
        for (size_t j = 0; j < rows[i].n; j++) {
            s.t = rows[i].start + (sonde_msec)j * rows[i].step;
            s.v = 1;
            appender_append(a, &s, 1);
        }
        CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
        appender_free(a);
        ROW_ASSERT(&rows[i], chunks_of(&k) == rows[i].chunks);
        c = kit_read(&k, "up", INT64_MIN, INT64_MAX);
        ROW_ASSERT(&rows[i], c.count == rows[i].n);
        for (size_t j = 0; j < c.count; j++)
            ROW_ASSERT(&rows[i],
                       c.t[j] == rows[i].start + (sonde_msec)j * rows[i].step);
        columns_fini(&c);
        kit_fini(&k);
    }
}

/* Samples that come faster than foreseen, and ones that compress badly. */
static void test_cutting_by_size(void)
{
    struct kit k;
    struct appender *a;
    struct storage_sample s[2] = { { .t = 0 }, { .t = 0 } };
    uint64_t x = 1;

    kit_init(&k, "cut_size");
    a = storage_appender(tsdb_storage(k.db));
    s[0].ref = kit_series(&k, a, "fast");
    s[1].ref = kit_series(&k, a, "wild");
    for (int i = 0; i < 31; i++, s[0].t += 60000)
        appender_append(a, s, 1);
    for (int i = 31; i < 241; i++, s[0].t++)
        appender_append(a, s, 1);
    for (int i = 0; i < 119; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        s[1].t += 59000 + (sonde_msec)(x >> 60);
        s[1].v = bits_double(x);
        appender_append(a, s + 1, 1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    appender_free(a);
    CU_ASSERT_EQUAL(chunks_of(&k), 2 + 3);
    CU_ASSERT_EQUAL(kit_count(&k, "fast"), 241);
    CU_ASSERT_EQUAL(kit_count(&k, "wild"), 119);
    kit_fini(&k);
}

static void test_read_ranges(void)
{
    static const struct {
        int line;
        sonde_msec mint, maxt;
        size_t n;
    } rows[] = {
        { __LINE__, INT64_MIN, INT64_MAX, 1000 },
        { __LINE__, 0, 0, 1 },
        { __LINE__, 1, 14999, 0 },
        { __LINE__, 15000, 30000, 2 },
        { __LINE__, 119 * 15000, 120 * 15000, 2 },
        { __LINE__, 100 * 15000, 899 * 15000, 800 },
        { __LINE__, 999 * 15000, INT64_MAX, 1 },
        { __LINE__, 999 * 15000 + 1, INT64_MAX, 0 },
        { __LINE__, 10, 5, 0 },
    };
    struct kit k;
    struct appender *a;
    struct storage_sample s = { 0 };

    kit_init(&k, "ranges");
    a = storage_appender(tsdb_storage(k.db));
    s.ref = kit_series(&k, a, "up");
    for (int i = 0; i < 1000; i++) {
        s.t = i * 15000;
        s.v = i;
        appender_append(a, &s, 1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    appender_free(a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct columns c = kit_read(&k, "up", rows[i].mint, rows[i].maxt);

        ROW_ASSERT(&rows[i], c.count == rows[i].n);
        for (size_t j = 0; j < c.count; j++)
            ROW_ASSERT(&rows[i], c.t[j] >= rows[i].mint &&
                                     c.t[j] <= rows[i].maxt &&
                                     c.v[j] * 15000 == (double)c.t[j]);
        columns_fini(&c);
    }
    kit_fini(&k);
}

/* ---- replay ----------------------------------------------------------- */

static void test_replay(void)
{
    static const uint64_t values[] = { 0,
                                       KIT_STALE,
                                       UINT64_C(0x7ff8000000000001),
                                       UINT64_C(0xfff0000000000000),
                                       UINT64_C(0x8000000000000000),
                                       UINT64_C(0x7ff0000000000001) };
    struct kit k;
    struct columns c;
    struct tsdb_stats s;
    struct labels l;
    series_ref ref;
    struct appender *a;

    kit_init(&k, "replay");
    for (size_t i = 0; i < 6; i++) {
        (void)kit_put(&k, "up job=a", KIT_NOW + (sonde_msec)i,
                      bits_double(values[i]));
        (void)kit_put(&k, "up job=b", KIT_NOW + (sonde_msec)i, (double)i);
    }
    kit_reopen(&k);
    tsdb_stats(k.db, &s);
    CU_ASSERT_EQUAL(s.series, 2);
    CU_ASSERT_EQUAL(s.corruptions, 0);
    CU_ASSERT_EQUAL(s.max_time, KIT_NOW + 5);
    c = kit_read(&k, "up job=a", INT64_MIN, INT64_MAX);
    CU_ASSERT_EQUAL_FATAL(c.count, 6);
    for (size_t i = 0; i < 6; i++)
        CU_ASSERT_EQUAL(double_bits(c.v[i]), values[i]);
    columns_fini(&c);
    /* References go on, and mean the same as before. */
    a = storage_appender(tsdb_storage(k.db));
    CU_ASSERT_EQUAL(kit_series(&k, a, "up job=a"), 1);
    CU_ASSERT_EQUAL(kit_series(&k, a, "up job=b"), 2);
    CU_ASSERT_EQUAL(ref = kit_series(&k, a, "up job=c"), 3);
    CU_ASSERT_TRUE(
        tsdb_storage(k.db)->ops->labels(tsdb_storage(k.db), ref, &k.arena, &l));
    CU_ASSERT_TRUE(
        sonde_str_eq(labels_get(&l, SONDE_STR("job")), SONDE_STR("c")));
    CU_ASSERT_FALSE(
        tsdb_storage(k.db)->ops->labels(tsdb_storage(k.db), 4, &k.arena, &l));
    appender_free(a);
    CU_ASSERT_EQUAL(kit_put(&k, "up job=a", KIT_NOW + 5, 1).duplicate_other, 1);
    CU_ASSERT_EQUAL(kit_put(&k, "up job=a", KIT_NOW + 6, 1).appended, 1);
    kit_fini(&k);
}

struct strange {
    struct kit *k;
    struct wal *wal;
    struct buf b;
};

static void strange_open(struct strange *x, struct kit *k)
{
    x->k = k;
    tsdb_close(k->db);
    k->db = NULL;
    buf_init(&x->b);
    CU_ASSERT_EQUAL(wal_open(k->db ? ""
                                   : fs_join(&k->arena, sonde_cstr(k->dir),
                                             SONDE_STR("wal")),
                             &k->options.wal, &x->wal, NULL),
                    SONDE_OK);
}

static void strange_record(struct strange *x)
{
    sonde_str r = buf_str(&x->b);

    CU_ASSERT_EQUAL(wal_append(x->wal, &r, 1, NULL), SONDE_OK);
    buf_reset(&x->b);
}

static void strange_series(struct strange *x, uint64_t ref, const char *text)
{
    struct labels l = kit_labels(x->k, text);

    wal_series_begin(&x->b);
    wal_series_add(&x->b, ref, &l);
    strange_record(x);
}

static void strange_sample(struct strange *x, uint64_t ref, sonde_msec t)
{
    struct wal_samples_writer w;

    wal_samples_begin(&w, &x->b);
    wal_samples_add(&w, ref, t, (double)t);
    strange_record(x);
}

static void strange_close(struct strange *x)
{
    wal_close(x->wal);
    buf_fini(&x->b);
    kit_open(x->k);
}

/* What other programs, and long lives, leave in a log. */
static void test_replay_strange(void)
{
    struct kit k;
    struct strange x;
    struct tsdb_stats s;
    struct appender *a;
    struct labels l;

    kit_init(&k, "strange");
    strange_open(&x, &k);
    strange_series(&x, 1000, "later n=1");
    strange_series(&x, 7, "early n=1");
    strange_series(&x, 7, "early n=1");
    strange_sample(&x, 7, 1000);
    strange_sample(&x, 1000, 1000);
    strange_series(&x, 2000, "early n=1"); /* an alias */
    strange_sample(&x, 2000, 2000);
    strange_sample(&x, 2000, 1500);                   /* not behind the last */
    strange_sample(&x, 5000, 1000);                   /* unknown */
    strange_series(&x, 7, "usurper n=1");             /* damage */
    strange_series(&x, UINT64_C(1) << 40, "far n=1"); /* out of range */
    buf_bytes(&x.b, "\xc8 unknown type", 14);
    strange_record(&x);
    buf_bytes(&x.b, "\x02 cut short", 12);
    strange_record(&x);
    strange_close(&x);

    tsdb_stats(k.db, &s);
    CU_ASSERT_EQUAL(s.series, 2);
    CU_ASSERT_EQUAL(s.corruptions, 3);
    CU_ASSERT_EQUAL(kit_count(&k, "early n=1"), 2);
    CU_ASSERT_EQUAL(kit_count(&k, "later n=1"), 1);
    CU_ASSERT_TRUE(tsdb_storage(k.db)->ops->labels(tsdb_storage(k.db), 2000,
                                                   &k.arena, &l));
    CU_ASSERT_TRUE(sonde_str_eq(labels_get(&l, SONDE_STR(LABEL_NAME)),
                                SONDE_STR("early")));
    a = storage_appender(tsdb_storage(k.db));
    CU_ASSERT_EQUAL(kit_series(&k, a, "early n=1"), 7);
    CU_ASSERT_EQUAL(kit_series(&k, a, "new"), 5001);
    appender_free(a);
    kit_fini(&k);
}

static void test_replay_torn(void)
{
    struct kit k;
    struct tsdb_stats s;
    struct wal_position end;
    char path[700];

    kit_init(&k, "torn");
    (void)kit_put(&k, "up", KIT_NOW, 1);
    (void)kit_put(&k, "up", KIT_NOW + 1, 2);
    end = wal_end(tsdb_wal(k.db));
    tsdb_close(k.db);
    k.db = NULL;
    (void)snprintf(path, sizeof(path), "%s/wal/00000000", k.dir);
    CU_ASSERT_EQUAL(truncate(path, (off_t)end.offset - 10), 0);
    kit_open(&k);
    tsdb_stats(k.db, &s);
    CU_ASSERT_EQUAL(s.corruptions, 1);
    CU_ASSERT_EQUAL(kit_count(&k, "up"), 1);
    (void)kit_put(&k, "up", KIT_NOW + 2, 3);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "up"), 2);
    /* The torn end was cut off: nobody finds damage there again. */
    tsdb_stats(k.db, &s);
    CU_ASSERT_EQUAL(s.corruptions, 0);
    kit_fini(&k);
}

static void note_progress(void *arg, uint64_t segment, uint64_t last)
{
    size_t *calls = arg;

    CU_ASSERT_TRUE(segment <= last);
    ++*calls;
}

static void test_progress(void)
{
    struct kit k;
    size_t calls = 0;

    kit_init(&k, "progress");
    (void)kit_put(&k, "up", KIT_NOW, 1);
    k.options.progress = note_progress;
    k.options.progress_arg = &calls;
    kit_reopen(&k);
    CU_ASSERT_TRUE(calls >= 1);
    kit_fini(&k);
}

/* ---- the directory ---------------------------------------------------- */

static void test_lock(void)
{
    struct kit k;
    struct tsdb *other = NULL;
    struct sonde_err err;
    char path[600];

    kit_init(&k, "lock");
    CU_ASSERT_EQUAL(tsdb_open(k.dir, &k.options, &other, &err), SONDE_ELOCKED);
    CU_ASSERT_PTR_NULL(other);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, k.dir));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "stop"));
    tsdb_close(k.db);
    (void)snprintf(path, sizeof(path), "%s/lock", k.dir);
    CU_ASSERT_FALSE(fs_exists(path));
    /* One that was left behind blocks nobody. */
    CU_ASSERT_EQUAL(fs_write_atomic(path, SONDE_STR(""), 0600, NULL), SONDE_OK);
    kit_open(&k);
    kit_fini(&k);
}

static void test_not_writable(void)
{
    struct kit k;
    struct tsdb *db = NULL;
    struct sonde_err err;
    char file[600];

    kit_init(&k, "file");
    tsdb_close(k.db);
    (void)snprintf(file, sizeof(file), "%s/plain", k.dir);
    CU_ASSERT_EQUAL(fs_write_atomic(file, SONDE_STR("x"), 0600, NULL),
                    SONDE_OK);
    CU_ASSERT_NOT_EQUAL(tsdb_open(file, &k.options, &db, &err), SONDE_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, file));
    CU_ASSERT_NOT_EQUAL(tsdb_open("/proc/sonde", &k.options, &db, &err),
                        SONDE_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/proc/sonde"));
    CU_ASSERT_PTR_NULL(db);
    k.db = NULL;
    kit_fini(&k);
}

/* ---- agent posture, metrics ------------------------------------------- */

static void test_log_only(void)
{
    struct kit k;
    struct querier *q;
    struct sonde_err err;
    struct tsdb_stats s;
    struct labels l;

    kit_init(&k, "agent");
    tsdb_close(k.db);
    k.options.log_only = true;
    kit_open(&k);
    CU_ASSERT_EQUAL(kit_put(&k, "up", KIT_NOW, 1).appended, 1);
    CU_ASSERT_EQUAL(kit_put(&k, "up", KIT_NOW, 1).duplicate_same, 1);
    CU_ASSERT_EQUAL(kit_put(&k, "up", KIT_NOW - 1, 1).out_of_order, 1);
    CU_ASSERT_EQUAL(
        tsdb_storage(k.db)->ops->querier(tsdb_storage(k.db), 0, 1, &q, &err),
        SONDE_EUNSUPPORTED);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_put(&k, "up", KIT_NOW, 1).duplicate_same, 1);
    CU_ASSERT_EQUAL(kit_put(&k, "up", KIT_NOW + 1, 1).appended, 1);
    CU_ASSERT_TRUE(
        tsdb_storage(k.db)->ops->labels(tsdb_storage(k.db), 1, &k.arena, &l));
    tsdb_stats(k.db, &s);
    CU_ASSERT_EQUAL(s.series, 1);
    CU_ASSERT_EQUAL(s.chunks, 0);
    /* A server on the same directory has the samples. */
    tsdb_close(k.db);
    k.options.log_only = false;
    kit_open(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "up"), 2);
    kit_fini(&k);
}

static void test_metrics(void)
{
    static const char *const lines[] = {
        "prometheus_tsdb_head_series 2\n",
        "prometheus_tsdb_head_chunks 2\n",
        "prometheus_tsdb_head_series_created_total 2\n",
        "prometheus_tsdb_head_samples_appended_total{type=\"float\"} 2\n",
        "prometheus_tsdb_out_of_order_samples_total{type=\"float\"} 1\n",
        "prometheus_tsdb_out_of_bound_samples_total{type=\"float\"} 1\n",
        "prometheus_tsdb_too_old_samples_total{type=\"float\"} 0\n",
        "prometheus_tsdb_wal_corruptions_total 0\n",
        "sonde_storage_corruptions_total 0\n",
    };
    struct kit k;
    struct selfmetrics *m = selfmetrics_new();
    struct buf page;

    kit_init(&k, "metrics");
    tsdb_close(k.db);
    k.options.metrics = m;
    kit_open(&k);
    (void)kit_put(&k, "x", KIT_NOW, 1);
    (void)kit_put(&k, "y", KIT_NOW, 1);
    (void)kit_put(&k, "x", KIT_NOW - 1, 1);
    (void)kit_put(&k, "x", 0, 1);
    buf_init(&page);
    selfmetrics_write(m, &page);
    buf_char(&page, '\0');
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        CU_ASSERT_PTR_NOT_NULL(strstr(page.data, lines[i]));
        if (!strstr(page.data, lines[i]))
            tap_note("missing: %s", lines[i]);
    }
    buf_fini(&page);
    kit_fini(&k);
    selfmetrics_free(m);
}

static const struct tap_test tests[] = {
    { "each sample gets its verdict", test_verdicts },
    { "unknown references are counted", test_unknown_series },
    { "what was refused is listed", test_rejected },
    { "time is the data's", test_old_times },
    { "nothing is seen before commit", test_nothing_before_commit },
    { "a batch may have a series twice", test_series_twice },
    { "bad label sets are refused", test_bad_labels },
    { "a failing log loses nothing", test_log_fails },
    { "chunks end where Prometheus ends them", test_cutting },
    { "chunks end by count and by size", test_cutting_by_size },
    { "ranges are closed", test_read_ranges },
    { "a replay brings everything back", test_replay },
    { "a replay copes with strange logs", test_replay_strange },
    { "a torn log loses its tail only", test_replay_torn },
    { "replay tells its progress", test_progress },
    { "a directory is one process'", test_lock },
    { "what can not be opened is said", test_not_writable },
    { "agent posture keeps the log only", test_log_only },
    { "metrics have Prometheus' names", test_metrics },
};

int main(void)
{
    return TAP_RUN("tsdb_head", tests);
}
