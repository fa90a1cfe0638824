/* SPDX-License-Identifier: Apache-2.0 */
/* wal: records of histograms, exemplars, deletions and markers. */
#include <inttypes.h>
#include <stdio.h>

#include "unit/wal_kit.h"
#include "util/mem.h"

/* ---- elements as text ------------------------------------------------- */

static void print_side(struct buf *b, const struct histogram *h,
                       const struct histogram_side *s)
{
    buf_char(b, '[');
    for (size_t i = 0; i < s->span_count; i++)
        buf_printf(b, "%" PRId32 "+%" PRIu32 ",", s->spans[i].offset,
                   s->spans[i].length);
    for (size_t i = 0; i < s->bucket_count; i++) {
        if (h->is_float)
            buf_printf(b, " %g", s->buckets.f[i]);
        else
            buf_printf(b, " %" PRId64, s->buckets.i[i]);
    }
    buf_char(b, ']');
}

static void print_histogram(void *arg, uint64_t ref, sonde_msec t,
                            const struct histogram *h)
{
    struct buf *b = arg;

    buf_printf(b, "%" PRIu64 " %" PRId64 " %c hint=%d schema=%" PRId32 " zt=%g",
               ref, t - BASE_T, h->is_float ? 'f' : 'i', (int)h->hint,
               h->schema, h->zero_threshold);
    if (h->is_float)
        buf_printf(b, " zero=%g count=%g", h->zero_count.f, h->count.f);
    else
        buf_printf(b, " zero=%" PRIu64 " count=%" PRIu64, h->zero_count.i,
                   h->count.i);
    buf_printf(b, " sum=%016" PRIx64 " ", double_bits(h->sum));
    print_side(b, h, &h->positive);
    print_side(b, h, &h->negative);
    for (size_t i = 0; i < h->custom_count; i++)
        buf_printf(b, " le=%g", h->custom_bounds[i]);
    buf_char(b, '\n');
}

static void print_exemplar(void *arg, const struct wal_exemplar *e)
{
    struct buf *b = arg;

    buf_printf(b, "%" PRIu64 " %" PRId64 " %g", e->ref, e->t - BASE_T, e->v);
    for (size_t i = 0; i < e->labels.count; i++)
        buf_printf(b, " %.*s=%.*s", SONDE_ARG(e->labels.items[i].name),
                   SONDE_ARG(e->labels.items[i].value));
    buf_char(b, '\n');
}

static void print_range(void *arg, uint64_t ref, sonde_msec mint,
                        sonde_msec maxt)
{
    buf_printf(arg, "%" PRIu64 " %" PRId64 " %" PRId64 "\n", ref, mint, maxt);
}

static void print_marker(void *arg, uint64_t ref, uint64_t chunk)
{
    buf_printf(arg, "%" PRIu64 " %" PRIu64 "\n", ref, chunk);
}

static sonde_code print_record(sonde_str r, struct buf *b)
{
    switch (wal_record_type(r)) {
    case WAL_EXEMPLARS:
        return wal_exemplars_decode(r, print_exemplar, b, NULL);
    case WAL_TOMBSTONES:
        return wal_tombstones_decode(r, print_range, b, NULL);
    case WAL_MMAP_MARKERS:
        return wal_markers_decode(r, print_marker, b, NULL);
    default:
        return wal_histograms_decode(r, print_histogram, b, NULL);
    }
}

/* ---- bytes of Prometheus ------------------------------------------------ */

#define PROM_HISTOGRAM                                                         \
    "07 0000000000000003 0000018bd04713e8 00 00 00 02 3f50624dd2f1a9fc"        \
    "02 0c 4032666666666666 02 00 02 02 02 00 04 02 02 01 00 00"
#define PROM_EXEMPLAR                                                          \
    "04 0000000000000001 0000018bd047bbe0 00 00 400c000000000000"              \
    "01 08 74726163655f6964 02 7431"

struct row {
    int line;
    const char *hex;
    const char *text; /* NULL: malformed                                  */
};

static const struct row rows[] = {
    { __LINE__, PROM_HISTOGRAM,
      "3 1000 i hint=0 schema=1 zt=0.001 zero=2 count=12 "
      "sum=4032666666666666 [0+2,1+2, 1 1 -1 0][]\n" },
    { __LINE__, PROM_EXEMPLAR, "1 44000 3.5 trace_id=t1\n" },
    { __LINE__, "03 0000000000000001 80eede8efa62 82eede8efa62",
      "1 1700017200000 1700017200001\n" },
    { __LINE__, "05 0000000000000001 0000000000000000", "1 0\n" },
    { __LINE__,
      "05 0000000000000001 0000000000000000"
      "0000000000000002 0000000100000008",
      "1 0\n2 4294967304\n" },
    /* Nothing in it. */
    { __LINE__, "03", "" },
    { __LINE__, "04", "" },
    { __LINE__, "05", "" },
    { __LINE__, "07", "" },
    { __LINE__, "0d", "" },
    { __LINE__, "07 0000000000000003 0000018bd04713e8", "" },
    { __LINE__, "04 0000000000000003 0000018bd04713e8", "" },
    /* Cut off. */
    { __LINE__, "07 0000000000000003 0000018bd047", NULL },
    { __LINE__, "07 0000000000000003 0000018bd04713e8 00", NULL },
    { __LINE__, "07 0000000000000003 0000018bd04713e8 00 00", NULL },
    { __LINE__, PROM_HISTOGRAM "00", NULL },
    { __LINE__, PROM_EXEMPLAR "00", NULL },
    { __LINE__, "03 0000000000000001 80eede8efa62", NULL },
    { __LINE__, "05 0000000000000001 00000000000000", NULL },
    { __LINE__, "04 0000000000000003 0000018bd047", NULL },
    /* Other kinds. */
    { __LINE__, "c8", NULL },
    { __LINE__, "", NULL },
    /* Lengths of which nothing is there. */
    { __LINE__,
      "07 0000000000000003 0000018bd04713e8 00 00 00 02"
      "3f50624dd2f1a9fc 02 0c 4032666666666666 ffffffff0f",
      NULL },
    { __LINE__,
      "07 0000000000000003 0000018bd04713e8 00 00 00 02"
      "3f50624dd2f1a9fc 02 0c 4032666666666666 00 00 ffffffff0f",
      NULL },
    { __LINE__,
      "04 0000000000000001 0000018bd047bbe0 00 00 400c000000000000"
      "ffffffffffffffff7f 08",
      NULL },
    /* Spans that do not cover the buckets, by one and by wrap-around. */
    { __LINE__,
      "07 0000000000000003 0000018bd04713e8 00 00 00 02"
      "3f50624dd2f1a9fc 02 0c 4032666666666666 01 00 03 00"
      "02 02 02 00",
      NULL },
    { __LINE__,
      "07 0000000000000003 0000018bd04713e8 00 00 00 02"
      "3f50624dd2f1a9fc 02 0c 4032666666666666 01 00"
      "8180808010 00 01 02 00",
      NULL },
    /* An unknown hint, a schema out of all range. */
    { __LINE__,
      "07 0000000000000003 0000018bd04713e8 00 00 04 02"
      "3f50624dd2f1a9fc 02 0c 4032666666666666 00 00 00 00",
      NULL },
    { __LINE__,
      "07 0000000000000003 0000018bd04713e8 00 00 00"
      "ffffffffffffff01 3f50624dd2f1a9fc 02 0c 4032666666666666"
      "00 00 00 00",
      NULL },
    /* With start times: none, as before, given; a mark that is none. */
    { __LINE__,
      "0c 06 80c0b884fa62 00"
      "00 00 3f50624dd2f1a9fc 00 00 4032666666666666 00 00 00 00"
      "02 d00f 01"
      "00 00 3f50624dd2f1a9fc 00 00 4032666666666666 00 00 00 00"
      "02 a01f 02 02"
      "00 00 3f50624dd2f1a9fc 00 00 4032666666666666 00 00 00 00",
      "3 0 i hint=0 schema=0 zt=0.001 zero=0 count=0 sum=4032666666666666 "
      "[][]\n"
      "4 1000 i hint=0 schema=0 zt=0.001 zero=0 count=0 sum=4032666666666666 "
      "[][]\n"
      "5 2000 i hint=0 schema=0 zt=0.001 zero=0 count=0 sum=4032666666666666 "
      "[][]\n" },
    { __LINE__,
      "0c 06 80c0b884fa62 00"
      "00 00 3f50624dd2f1a9fc 00 00 4032666666666666 00 00 00 00"
      "02 d00f 03"
      "00 00 3f50624dd2f1a9fc 00 00 4032666666666666 00 00 00 00",
      NULL },
};

static void test_bytes(void)
{
    struct buf bytes = { 0 }, text = { 0 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_code rc;

        buf_reset(&bytes);
        buf_reset(&text);
        unhex(rows[i].hex, &bytes);
        rc = print_record(buf_str(&bytes), &text);
        ROW_ASSERT(&rows[i], (rc == SONDE_OK) == (rows[i].text != NULL));
        if (rows[i].text)
            ROW_ASSERT(&rows[i],
                       sonde_str_eq(buf_str(&text), sonde_cstr(rows[i].text)));
    }
    buf_fini(&bytes);
    buf_fini(&text);
}

/* Every proper prefix is refused, or is a shorter list. */
static void test_cut_anywhere(void)
{
    struct buf bytes = { 0 }, text = { 0 };

    unhex(PROM_HISTOGRAM, &bytes);
    for (size_t len = 18; len < bytes.len; len++)
        CU_ASSERT_NOT_EQUAL(print_record((sonde_str){ bytes.data, len }, &text),
                            SONDE_OK);
    buf_reset(&bytes);
    unhex(PROM_EXEMPLAR, &bytes);
    for (size_t len = 18; len < bytes.len; len++)
        CU_ASSERT_NOT_EQUAL(print_record((sonde_str){ bytes.data, len }, &text),
                            SONDE_OK);
    CU_ASSERT_EQUAL(text.len, 0);
    buf_fini(&bytes);
    buf_fini(&text);
}

/* ---- round trips ------------------------------------------------------ */

static struct histogram_span spans[] = { { -3, 2 }, { 1, 1 } };
static int64_t ints[] = { 1, INT64_MIN, INT64_MAX };
static double floats[] = { 0.5, -1e300, 3 };
static double bounds[] = { 0.1, 1, 2.5 };

static struct histogram integer_histogram(void)
{
    return (struct histogram){
        .hint = HISTOGRAM_GAUGE,
        .schema = -4,
        .zero_threshold = 1e-128,
        .sum = -7.25,
        .zero_count.i = UINT64_MAX,
        .count.i = 1234567,
        .positive = { spans, 2, { .i = ints }, 3 },
        .negative = { spans + 1, 1, { .i = ints }, 1 },
    };
}

static struct histogram float_histogram(void)
{
    struct histogram h = integer_histogram();

    h.is_float = true;
    h.hint = HISTOGRAM_NO_RESET;
    h.zero_count.f = 0.25;
    h.count.f = 1e10;
    h.positive.buckets.f = floats;
    h.negative.buckets.f = floats;
    return h;
}

static struct histogram custom(struct histogram h)
{
    h.schema = HISTOGRAM_CUSTOM;
    h.custom_bounds = bounds;
    h.custom_count = 3;
    return h;
}

/* Exponential ones go to one record, those with bounds to the other, and the
 * difference is taken to the first of all. */
static void round_trip(bool is_float, struct histogram h)
{
    struct buf a = { 0 }, b = { 0 }, want = { 0 }, got = { 0 };
    struct histogram stale = { .is_float = is_float, .sum = stale_nan() };
    struct histogram listed = custom(h);
    struct wal_histograms_writer w;

    wal_histograms_begin(&w, is_float, &a, &b);
    CU_ASSERT_EQUAL(a.len + b.len, 0);
    wal_histograms_add(&w, 900, BASE_T, &listed);
    CU_ASSERT_EQUAL(a.len, 0);
    wal_histograms_add(&w, 7, BASE_T - 5, &h);
    wal_histograms_add(&w, 1000, BASE_T + 70000, &stale);
    wal_histograms_add(&w, 901, BASE_T, &listed);
    print_histogram(&want, 7, BASE_T - 5, &h);
    print_histogram(&want, 1000, BASE_T + 70000, &stale);
    print_histogram(&want, 900, BASE_T, &listed);
    print_histogram(&want, 901, BASE_T, &listed);
    CU_ASSERT_EQUAL(a.data[0],
                    is_float ? WAL_FLOAT_HISTOGRAMS : WAL_HISTOGRAMS);
    CU_ASSERT_EQUAL(b.data[0], is_float ? WAL_CUSTOM_FLOAT_HISTOGRAMS
                                        : WAL_CUSTOM_HISTOGRAMS);
    CU_ASSERT_EQUAL(print_record(buf_str(&a), &got), SONDE_OK);
    CU_ASSERT_EQUAL(print_record(buf_str(&b), &got), SONDE_OK);
    CU_ASSERT_TRUE(sonde_str_eq(buf_str(&got), buf_str(&want)));
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&want);
    buf_fini(&got);
}

static void test_histograms_round_trip(void)
{
    round_trip(false, integer_histogram());
    round_trip(true, float_histogram());
}

static void test_others_round_trip(void)
{
    struct label pair = { SONDE_STR("trace_id"), SONDE_STR("0af7") };
    struct wal_exemplar e = { 5, BASE_T, 0.5, { &pair, 1 } };
    struct buf record = { 0 }, want = { 0 }, got = { 0 };
    struct wal_exemplars_writer w;

    wal_exemplars_begin(&w, &record);
    for (int i = 0; i < 3; i++) {
        wal_exemplars_add(&w, &e);
        print_exemplar(&want, &e);
        e.ref -= 2;
        e.t -= 1000;
        e.labels.count = 0;
    }
    CU_ASSERT_EQUAL(print_record(buf_str(&record), &got), SONDE_OK);
    wal_tombstones_begin(&record);
    wal_tombstones_add(&record, 1, INT64_MIN, INT64_MAX);
    wal_tombstones_add(&record, UINT64_MAX, -5, 5);
    print_range(&want, 1, INT64_MIN, INT64_MAX);
    print_range(&want, UINT64_MAX, -5, 5);
    CU_ASSERT_EQUAL(print_record(buf_str(&record), &got), SONDE_OK);
    wal_markers_begin(&record);
    wal_markers_add(&record, 1, 0);
    wal_markers_add(&record, 2, UINT64_MAX);
    print_marker(&want, 1, 0);
    print_marker(&want, 2, UINT64_MAX);
    CU_ASSERT_EQUAL(print_record(buf_str(&record), &got), SONDE_OK);
    CU_ASSERT_TRUE(sonde_str_eq(buf_str(&got), buf_str(&want)));
    buf_fini(&record);
    buf_fini(&want);
    buf_fini(&got);
}

static const struct tap_test tests[] = {
    { "bytes of Prometheus, and bad ones", test_bytes },
    { "cut anywhere", test_cut_anywhere },
    { "histograms round-trip", test_histograms_round_trip },
    { "exemplars, deletions and markers round-trip", test_others_round_trip },
};

int main(void)
{
    return TAP_RUN("wal records", tests);
}
