/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: native histograms in the head, from appender to reader and log. */
#include "unit/histograms.h"
#include "unit/tap.h"
#include "unit/tsdb_kit.h"

static struct histogram plain(uint64_t count)
{
    return (struct histogram){ .schema = 0,
                               .zero_count.i = count,
                               .count.i = count,
                               .sum = (double)count };
}

static struct histogram plain_float(double count)
{
    return (struct histogram){ .is_float = true,
                               .schema = 0,
                               .zero_count.f = count,
                               .count.f = count,
                               .sum = count };
}

static struct append_stats put(struct kit *k, const char *text, sonde_msec t,
                               const struct histogram *h)
{
    struct appender *a = storage_appender(tsdb_storage(k->db));
    series_ref ref = kit_series(k, a, text);
    struct append_stats stats;

    appender_histogram(a, ref, t, h);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    appender_free(a);
    return stats;
}

static struct columns read_all(struct kit *k, const char *text)
{
    return kit_read(k, text, INT64_MIN, INT64_MAX);
}

/* As judged: each row behind those that were taken. */
static void test_judged(void)
{
    struct histogram h = plain(5), other = plain(6), f = plain_float(5);
    struct kit k;
    struct append_stats s;
    struct columns c;

    kit_init(&k, "judged");
    s = put(&k, "h", KIT_NOW, &h);
    CU_ASSERT_EQUAL(s.appended, 1);
    CU_ASSERT_EQUAL(s.histograms, 1);
    s = put(&k, "h", KIT_NOW, &h);
    CU_ASSERT_EQUAL(s.duplicate_same, 1);
    s = put(&k, "h", KIT_NOW, &other);
    CU_ASSERT_EQUAL(s.duplicate_other, 1);
    s = put(&k, "h", KIT_NOW, &f);
    CU_ASSERT_EQUAL(s.duplicate_other, 1);
    s = put(&k, "h", KIT_NOW - 1, &other);
    CU_ASSERT_EQUAL(s.out_of_order, 1);
    s = put(&k, "h", KIT_NOW - 3600001, &other);
    CU_ASSERT_EQUAL(s.too_old, 1);
    s = put(&k, "h", KIT_NOW + 600001, &other);
    CU_ASSERT_EQUAL(s.too_far, 1);
    CU_ASSERT_EQUAL(s.rejected_count, 1);
    s = kit_put(&k, "h", KIT_NOW, 5);
    CU_ASSERT_EQUAL(s.duplicate_other, 1);
    (void)kit_put(&k, "f", KIT_NOW, 5);
    s = put(&k, "f", KIT_NOW, &h);
    CU_ASSERT_EQUAL(s.duplicate_other, 1);
    c = read_all(&k, "h");
    CU_ASSERT_EQUAL(c.count, 1);
    CU_ASSERT_TRUE(c.count == 1 && histogram_same(c.h[0], &h));
    columns_fini(&c);
    kit_fini(&k);
}

/* Floats, histograms of both kinds and stale markers in one series: also after
 * a replay. */
static void test_kinds(void)
{
    struct histogram h = plain(5), h2 = plain(7), f = plain_float(2.5);
    struct kit k;
    struct columns c;

    kit_init(&k, "kinds");
    (void)kit_put(&k, "x", KIT_NOW, 1);
    (void)kit_put(&k, "x", KIT_NOW + 1, 2);
    (void)put(&k, "x", KIT_NOW + 2, &h);
    (void)put(&k, "x", KIT_NOW + 3, &h2);
    (void)kit_put(&k, "x", KIT_NOW + 4, bits_double(KIT_STALE));
    (void)put(&k, "x", KIT_NOW + 5, &f);
    (void)kit_put(&k, "x", KIT_NOW + 6, bits_double(KIT_STALE));
    (void)kit_put(&k, "x", KIT_NOW + 7, 3);
    (void)put(&k, "x", KIT_NOW + 8, &h);
    for (int round = 0; round < 2; round++) {
        c = read_all(&k, "x");
        CU_ASSERT_EQUAL_FATAL(c.count, 9);
        CU_ASSERT_PTR_NULL(c.h[0]);
        CU_ASSERT_EQUAL(c.v[1], 2);
        CU_ASSERT_TRUE(histogram_same(c.h[2], &h));
        CU_ASSERT_TRUE(histogram_same(c.h[3], &h2));
        CU_ASSERT_TRUE(c.h[4] && histogram_is_stale(c.h[4]));
        CU_ASSERT_FALSE(c.h[4]->is_float);
        CU_ASSERT_EQUAL(double_bits(c.v[4]), KIT_STALE);
        CU_ASSERT_TRUE(histogram_same(c.h[5], &f));
        CU_ASSERT_TRUE(c.h[6] && c.h[6]->is_float);
        CU_ASSERT_PTR_NULL(c.h[7]);
        CU_ASSERT_EQUAL(c.v[7], 3);
        CU_ASSERT_TRUE(histogram_same(c.h[8], &h));
        columns_fini(&c);
        kit_reopen(&k);
    }
    kit_fini(&k);
}

static void grow_some(struct histogram_counter *k, uint64_t *state)
{
    k->n = 30;
    for (int i = 0; i < 5; i++)
        k->counts[histograms_random(state) % 30] +=
            histograms_random(state) % 50;
}

/* Many samples: chunks are cut where Prometheus cuts them, and all is there
 * after a replay too. */
static void test_many(void)
{
    struct kit k;
    struct columns want = { 0 }, c;
    struct tsdb_stats stats;

    kit_init(&k, "many");
    k.options.no_thread = true;
    kit_reopen(&k);
    for (int is_float = 0; is_float < 2; is_float++) {
        struct histogram_counter pos = { .n = 0 }, neg = { .n = 0 };
        const char *name = is_float ? "f" : "i";
        sonde_msec t0 = KIT_NOW + is_float * 15000000;
        uint64_t state = 4711;

        columns_reset(&want);
        for (int i = 0; i < 1000; i++) {
            sonde_msec t = t0 + i * 15000;
            struct histogram *h;

            grow_some(&pos, &state);
            if (i % 3 == 0)
                grow_some(&neg, &state);
            h = histograms_of(columns_arena(&want), &pos, &neg, is_float);
            k.clock.now_ms = t;
            columns_push_histogram(&want, t, h);
            CU_ASSERT_EQUAL(put(&k, name, t, h).appended, 1);
        }
        for (int round = 0; round < 2; round++) {
            c = read_all(&k, name);
            CU_ASSERT_EQUAL_FATAL(c.count, 1000);
            for (size_t i = 0; i < 1000; i++) {
                CU_ASSERT_EQUAL(c.t[i], want.t[i]);
                CU_ASSERT_TRUE(histogram_same(c.h[i], want.h[i]));
            }
            columns_fini(&c);
            c = kit_read(&k, name, t0 + 100 * 15000, t0 + 109 * 15000);
            CU_ASSERT_EQUAL(c.count, 10);
            columns_fini(&c);
            kit_reopen(&k);
        }
        tsdb_stats(k.db, &stats);
        CU_ASSERT_TRUE(stats.chunks > 10);
    }
    columns_fini(&want);
    kit_fini(&k);
}

/* Several of a series in one batch, and other series between: the batch goes
 * again alone. */
static void test_batch(void)
{
    struct kit k;
    struct appender *a;
    struct append_stats stats;
    struct columns c;
    struct histogram h[4] = { plain(1), plain(2), plain(3), plain(4) };
    series_ref x, y;

    kit_init(&k, "batch");
    a = storage_appender(tsdb_storage(k.db));
    x = kit_series(&k, a, "x");
    y = kit_series(&k, a, "y");
    appender_append(a, &(struct storage_sample){ x, KIT_NOW, 0.5 }, 1);
    for (int i = 0; i < 4; i++) {
        appender_histogram(a, x, KIT_NOW + 1 + i, &h[i]);
        appender_histogram(a, y, KIT_NOW + 1 + i, &h[i]);
    }
    appender_histogram(a, y, KIT_NOW + 4, &h[3]);
    appender_histogram(a, 99, KIT_NOW + 4, &h[3]);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 9);
    CU_ASSERT_EQUAL(stats.histograms, 8);
    CU_ASSERT_EQUAL(stats.duplicate_same, 1);
    CU_ASSERT_EQUAL(stats.unknown_series, 1);
    appender_histogram(a, x, KIT_NOW + 10, &h[0]);
    appender_rollback(a);
    appender_free(a);
    kit_reopen(&k);
    c = read_all(&k, "x");
    CU_ASSERT_EQUAL_FATAL(c.count, 5);
    CU_ASSERT_EQUAL(c.v[0], 0.5);
    CU_ASSERT_TRUE(histogram_same(c.h[4], &h[3]));
    columns_fini(&c);
    kit_fini(&k);
}

/* Behind the newest, within the window. */
static void test_late(void)
{
    struct histogram h[3] = { plain(1), plain(2), plain(3) };
    struct kit k;
    struct tsdb_limits limits = { .out_of_order_ms = 1000000 };
    struct append_stats stats;
    struct columns c;

    kit_init(&k, "late");
    tsdb_set_limits(k.db, &limits);
    (void)put(&k, "x", KIT_NOW, &h[2]);
    stats = put(&k, "x", KIT_NOW - 1000, &h[0]);
    CU_ASSERT_EQUAL(stats.out_of_order_taken, 1);
    (void)kit_put(&k, "x", KIT_NOW - 500, 17);
    for (int round = 0; round < 2; round++) {
        c = read_all(&k, "x");
        CU_ASSERT_EQUAL_FATAL(c.count, 3);
        CU_ASSERT_TRUE(histogram_same(c.h[0], &h[0]));
        CU_ASSERT_EQUAL(c.v[1], 17);
        CU_ASSERT_PTR_NULL(c.h[1]);
        CU_ASSERT_TRUE(histogram_same(c.h[2], &h[2]));
        columns_fini(&c);
        kit_reopen(&k);
    }
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "histograms are judged like floats", test_judged },
    { "a series may change its kind", test_kinds },
    { "many histograms, chunk by chunk", test_many },
    { "a batch of histograms", test_batch },
    { "late histograms", test_late },
};

int main(void)
{
    return TAP_RUN("tsdb_histogram", tests);
}
