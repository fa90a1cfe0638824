/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The remote-write receiver behind its headers: bodies by the specification
 * and against it, what is stored of them, and what the sender is told.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto_kit.h"
#include "remote/encode.h"
#include "remote/receive_int.h"
#include "spy_store.h"
#include "tap.h"

struct rig {
    struct spy_store store;
    struct remote_receiver *receiver;
    int status;
    struct buf text; /* of the last answer                    */
    size_t samples, histograms, exemplars; /* written                      */
};

static void rig_start_with(struct rig *g, size_t cache_limit, bool plain)
{
    struct remote_receiver_options options = { .cache_limit = cache_limit };
    struct sonde_err err;

    spy_init(&g->store);
    g->store.no_histograms = plain;
    buf_init(&g->text);
    options.storage = &g->store.storage;
    CU_ASSERT_EQUAL_FATAL(remote_receiver_new(&options, &g->receiver, &err),
                          SONDE_OK);
}

static void rig_start(struct rig *g)
{
    rig_start_with(g, 0, false);
}

static void rig_stop(struct rig *g)
{
    remote_receiver_free(g->receiver);
    buf_fini(&g->text);
    spy_fini(&g->store);
}

static void send_raw(struct rig *g, int version, sonde_str body)
{
    struct receive_desk *d = receive_desk_get(g->receiver);
    struct sonde_err err = { 0 };
    sonde_code rc;

    buf_reset(&g->text);
    buf_reset(&g->store.told);
    rc = receive_work(d, version, body, &err);
    g->status = receive_verdict(d, rc, &err, &g->text);
    g->samples = receive_written(&d->tally, RECEIVED_SAMPLES);
    g->histograms = receive_written(&d->tally, RECEIVED_HISTOGRAMS);
    g->exemplars = receive_written(&d->tally, RECEIVED_EXEMPLARS);
    receive_desk_put(d);
    buf_char(&g->text, '\0');
    buf_char(&g->store.told, '\0');
}

/* Compresses and sends; the message is emptied. */
static void send_message(struct rig *g, int version, struct buf *message)
{
    struct buf body;

    buf_init(&body);
    encode_body(buf_str(message), &body);
    buf_reset(message);
    send_raw(g, version, buf_str(&body));
    buf_fini(&body);
}

static bool told(const struct rig *g, const char *want)
{
    if (strcmp(g->store.told.data, want) == 0)
        return true;
    tap_note("stored:\n%swanted:\n%s", g->store.told.data, want);
    return false;
}

static bool says(const struct rig *g, const char *part)
{
    if (strstr(g->text.data, part))
        return true;
    tap_note("answer: %d %s, wanted: %s", g->status, g->text.data, part);
    return false;
}

/* ---- 1.0 bodies -------------------------------------------------------- */

/* Labels as "a=1,b=2"; "a" alone has no value field. */
static void put_labels(struct buf *series, const char *text)
{
    struct buf label;

    buf_init(&label);
    while (*text) {
        size_t n = strcspn(text, ","), eq = strcspn(text, "=");

        if (eq > n)
            eq = n;
        pb_bytes(&label, 1, (sonde_str){ text, eq });
        if (eq < n)
            pb_bytes(&label, 2, (sonde_str){ text + eq + 1, n - eq - 1 });
        pb_message(series, 1, &label);
        text += n + (text[n] == ',');
    }
    buf_fini(&label);
}

static void put_sample(struct buf *series, sonde_msec t, double v)
{
    struct buf m;

    buf_init(&m);
    if (v != 0) /* as proto3 writes it */
        pb_double(&m, 1, v);
    if (t != 0)
        pb_varint(&m, 2, (uint64_t)t);
    pb_message(series, 2, &m);
    buf_fini(&m);
}

static void put_series(struct buf *message, const char *labels, sonde_msec t,
                       double v)
{
    struct buf series;

    buf_init(&series);
    put_labels(&series, labels);
    put_sample(&series, t, v);
    pb_message(message, 1, &series);
    buf_fini(&series);
}

static void test_v1_samples(void)
{
    struct rig g;
    struct buf m;

    rig_start(&g);
    buf_init(&m);
    put_series(&m, "__name__=up,job=a", 1000, 1);
    put_series(&m, "__name__=up,job=b", 1000, 0);
    put_series(&m, "__name__=up,job=c", -5, NAN);
    put_series(&m, "__name__=up,job=d", 0, 2.5);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 204);
    CU_ASSERT(told(&g, "up{job=\"a\"} 1000 1\nup{job=\"b\"} 1000 0\n"
                       "up{job=\"c\"} -5 nan\nup{job=\"d\"} 0 2.5\n"));
    CU_ASSERT_EQUAL(g.samples, 4);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 204);
    CU_ASSERT(told(&g, ""));
    buf_fini(&m);
    rig_stop(&g);
}

/* The same series again, in other orders and with new ones between, are
 * looked up and not made. */
static void test_series_are_cached(void)
{
    static const char *const orders[] = { "abcd",   "abcd", "dcba",
                                          "axbcyd", "aabb", "yxdcba" };
    struct rig g;
    struct buf m;
    sonde_msec t = 0;

    rig_start(&g);
    buf_init(&m);
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct buf want;

        buf_init(&want);
        for (const char *c = orders[i]; *c; c++) {
            char labels[] = "__name__=up,job=?";

            labels[sizeof(labels) - 2] = *c;
            t++;
            put_series(&m, labels, t, (double)t);
            buf_printf(&want, "up{job=\"%c\"} %lld %lld\n", *c, (long long)t,
                       (long long)t);
        }
        send_message(&g, 1, &m);
        buf_char(&want, '\0');
        CU_ASSERT_EQUAL(g.status, 204);
        CU_ASSERT(told(&g, want.data));
        buf_fini(&want);
    }
    CU_ASSERT_EQUAL(g.store.made, 6);
    CU_ASSERT_EQUAL(g.receiver->cache.count, 6);
    buf_fini(&m);
    rig_stop(&g);
}

static void test_cache_is_bounded(void)
{
    enum {
        LIMIT = 64,
        SERIES = 500
    };
    struct rig g;
    struct buf m;

    rig_start_with(&g, LIMIT, false);
    buf_init(&m);
    for (int round = 1; round < 4; round++) {
        for (int i = 0; i < SERIES; i++) {
            char labels[64];

            (void)snprintf(labels, sizeof(labels), "__name__=n,i=%d", i);
            put_series(&m, labels, round, i);
        }
        send_message(&g, 1, &m);
        CU_ASSERT_EQUAL(g.status, 204);
        CU_ASSERT_EQUAL(g.samples, SERIES);
        CU_ASSERT(g.receiver->cache.count <= LIMIT);
    }
    buf_fini(&m);
    rig_stop(&g);
}

static void test_many_samples_are_stored_in_pieces(void)
{
    enum {
        SAMPLES = 300000
    };
    struct rig g;
    struct buf m, series;

    rig_start(&g);
    buf_init(&m);
    buf_init(&series);
    put_labels(&series, "__name__=long");
    for (int i = 1; i <= SAMPLES; i++)
        put_sample(&series, i, i);
    pb_message(&m, 1, &series);
    put_series(&m, "__name__=short", 7, 7);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 204);
    CU_ASSERT_EQUAL(g.samples, SAMPLES + 1);
    CU_ASSERT_EQUAL(g.store.series[0].last, SAMPLES);
    CU_ASSERT_EQUAL(g.store.made, 2);
    buf_fini(&series);
    buf_fini(&m);
    rig_stop(&g);
}

static void test_labels(void)
{
    static const struct {
        int line;
        const char *labels, *stored, *says;
    } rows[] = {
        { __LINE__, "__name__=a", "a 1 1\n", NULL },
        { __LINE__, "z=1,__name__=a,b=2", "a{b=\"2\", z=\"1\"} 1 1\n", NULL },
        { __LINE__, "__name__=a,empty=,none", "a 1 1\n", NULL },
        { __LINE__, "__name__=a:b c\xc3\xa9,x.y=1",
          "{__name__=\"a:b c\xc3\xa9\", \"x.y\"=\"1\"} 1 1\n", NULL },
        { __LINE__, "", "", "no metric name (series {}" },
        { __LINE__, "job=x", "", "no metric name (series {job=\"x\"}" },
        { __LINE__, "__name__=,job=x", "", "no metric name" },
        { __LINE__, "__name__=a,=x", "", "a label without a name" },
        { __LINE__, "__name__=a,b=1,b=1", "", "label b twice" },
        { __LINE__, "b=1,__name__=a,b=2", "", "label b twice" },
        { __LINE__, "__name__=a,b\xff=1", "", "not UTF-8" },
        { __LINE__, "__name__=a\xff", "", "not UTF-8" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig g;
        struct buf m;

        rig_start(&g);
        buf_init(&m);
        put_series(&m, rows[i].labels, 1, 1);
        send_message(&g, 1, &m);
        ROW_ASSERT(&rows[i], told(&g, rows[i].stored));
        ROW_ASSERT(&rows[i], g.status == (rows[i].says ? 400 : 204));
        ROW_ASSERT(&rows[i], !rows[i].says || says(&g, rows[i].says));
        buf_fini(&m);
        rig_stop(&g);
    }
}

static void test_too_many_labels(void)
{
    struct rig g;
    struct buf m, series, label;

    rig_start(&g);
    buf_init(&m);
    buf_init(&series);
    buf_init(&label);
    put_series(&m, "__name__=good", 1, 1);
    put_labels(&series, "__name__=bad");
    for (int i = 0; i < 1000000; i++) {
        pb_bytes(&label, 1, SONDE_STR("l"));
        pb_message(&series, 1, &label);
    }
    put_sample(&series, 1, 1);
    pb_message(&m, 1, &series);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 400);
    CU_ASSERT(says(&g, "1 of 2 samples refused, the others are stored: "
                       "1000001 labels, at most 4096 are taken"));
    CU_ASSERT(told(&g, "good 1 1\n"));
    buf_fini(&label);
    buf_fini(&series);
    buf_fini(&m);
    rig_stop(&g);
}

/* ---- what the sender is told ------------------------------------------- */

static void test_partial_write(void)
{
    struct rig g;
    struct buf m;

    rig_start(&g);
    buf_init(&m);
    put_series(&m, "__name__=a", 2000, 1);
    put_series(&m, "__name__=b", 2000, 1);
    send_message(&g, 1, &m);
    put_series(&m, "__name__=a", 1000, 1);
    put_series(&m, "__name__=b", 2000, 9);
    put_series(&m, "job=nameless", 2000, 9);
    put_series(&m, "__name__=c", 3000, 3);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 400);
    CU_ASSERT(told(&g, "c 3000 3\n"));
    CU_ASSERT(says(&g, "3 of 4 samples refused, the others are stored"));
    CU_ASSERT(says(&g, "out of order sample (series a, timestamp 1000, "
                       "1970-01-01T00:00:01.000Z)"));
    CU_ASSERT(says(&g, "duplicate sample for timestamp with another value "
                       "(series b, timestamp 2000"));
    CU_ASSERT(says(&g, "no metric name (series {job=\"nameless\"}, timestamp "
                       "2000"));
    CU_ASSERT_EQUAL(g.samples, 1);
    buf_fini(&m);
    rig_stop(&g);
}

static void test_the_text_is_bounded(void)
{
    struct rig g;
    struct buf m;

    rig_start(&g);
    buf_init(&m);
    for (int i = 0; i < 1000; i++)
        put_series(&m, "job=nameless", 1, i);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 400);
    CU_ASSERT(says(&g, "1000 of 1000 samples refused"));
    CU_ASSERT(says(&g, "; and 992 more\n"));
    CU_ASSERT(g.text.len < 2500);
    buf_fini(&m);
    rig_stop(&g);
}

static void test_storage_trouble(void)
{
    static const struct {
        int line;
        sonde_code code;
        int status;
    } rows[] = {
        { __LINE__, SONDE_ENOSPACE, 503 },
        { __LINE__, SONDE_EIO, 500 },
        { __LINE__, SONDE_EUNAVAILABLE, 503 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig g;
        struct buf m;

        rig_start(&g);
        buf_init(&m);
        g.store.fail = rows[i].code;
        put_series(&m, "__name__=a", 1, 1);
        send_message(&g, 1, &m);
        ROW_ASSERT(&rows[i], g.status == rows[i].status);
        ROW_ASSERT(&rows[i], says(&g, "write the log"));
        ROW_ASSERT(&rows[i], g.samples == 0);
        g.store.fail = SONDE_OK;
        put_series(&m, "__name__=a", 1, 1);
        send_message(&g, 1, &m);
        ROW_ASSERT(&rows[i], g.status == 204);
        ROW_ASSERT(&rows[i], told(&g, "a 1 1\n"));
        buf_fini(&m);
        rig_stop(&g);
    }
}

/* The store collected the series that the cache knows: nothing is lost. */
static void test_forgotten_series(void)
{
    struct rig g;
    struct buf m;

    rig_start(&g);
    buf_init(&m);
    put_series(&m, "__name__=a", 1, 1);
    put_series(&m, "__name__=b", 1, 1);
    send_message(&g, 1, &m);
    spy_forget(&g.store);
    put_series(&m, "__name__=a", 2, 1);
    put_series(&m, "__name__=new", 2, 1);
    put_series(&m, "nameless=1", 2, 1);
    put_series(&m, "__name__=b", 2, 1);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 400);
    CU_ASSERT(told(&g, "new 2 1\na 2 1\nb 2 1\n"));
    CU_ASSERT(says(&g, "1 of 4 samples refused"));
    CU_ASSERT_EQUAL(g.samples, 3);
    put_series(&m, "__name__=a", 3, 1);
    put_series(&m, "__name__=b", 3, 1);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 204);
    CU_ASSERT(told(&g, "a 3 1\nb 3 1\n"));
    CU_ASSERT_EQUAL(g.store.made, 5);
    buf_fini(&m);
    rig_stop(&g);
}

/* ---- histograms, exemplars, metadata ------------------------------------ */

static void put_span(struct buf *h, unsigned field, int offset, unsigned length)
{
    struct buf m;

    buf_init(&m);
    pb_sint(&m, 1, offset);
    pb_varint(&m, 2, length);
    pb_message(h, field, &m);
    buf_fini(&m);
}

static void put_int_histogram(struct buf *h, sonde_msec t)
{
    struct buf m;

    buf_init(&m);
    pb_varint(h, 1, 12);
    pb_double(h, 3, 18.4);
    pb_sint(h, 4, 1);
    pb_double(h, 5, 0.001);
    pb_varint(h, 6, 2);
    put_span(h, 8, 0, 2);
    put_span(h, 8, 1, 2);
    for (int i = 0; i < 4; i++)
        buf_varint(&m, i % 2 ? 1 : i == 0 ? 1 : -1);
    pb_message(h, 9, &m);
    put_span(h, 11, -3, 2);
    buf_varint(&m, 2);
    buf_varint(&m, 0);
    pb_message(h, 12, &m);
    pb_varint(h, 14, 2);
    pb_varint(h, 15, (uint64_t)t);
    buf_fini(&m);
}

static void put_float_histogram(struct buf *h, sonde_msec t)
{
    double counts[2] = { 2.5, 1.5 };

    pb_double(h, 2, 4);
    pb_double(h, 3, 7);
    pb_sint(h, 4, HISTOGRAM_CUSTOM);
    put_span(h, 11, 0, 2);
    pb_bytes(h, 13, (sonde_str){ (const char *)counts, sizeof(counts) });
    pb_double(h, 16, 0.5); /* not packed, which is allowed */
    pb_double(h, 16, 1.5);
    pb_varint(h, 15, (uint64_t)t);
    pb_varint(h, 17, 99); /* start timestamp */
}

static void test_histograms(void)
{
    struct rig g;
    struct buf m, series, h;

    rig_start(&g);
    buf_init(&m);
    buf_init(&series);
    buf_init(&h);
    put_labels(&series, "__name__=h");
    put_int_histogram(&h, 5);
    pb_message(&series, 4, &h);
    put_float_histogram(&h, 6);
    pb_message(&series, 4, &h);
    pb_message(&m, 1, &series);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 204);
    CU_ASSERT(told(&g,
                   "histogram h 5 int count=12 sum=18.4 schema=1 zero=2/0.001 "
                   "- 0:2 1:2; 1 1 -1 1 + -3:2; 2 0 hint=2\n"
                   "histogram h 6 float count=4 sum=7 schema=-53 zero=0/0 "
                   "-; + 0:2; 2.5 1.5 <0.5 <1.5 hint=0\n"));
    CU_ASSERT_EQUAL(g.histograms, 2);
    CU_ASSERT_EQUAL(g.samples, 0);
    buf_fini(&h);
    buf_fini(&series);
    buf_fini(&m);
    rig_stop(&g);
}

static void test_bad_histograms(void)
{
    struct rig g;
    struct buf m, series, h;

    rig_start(&g);
    buf_init(&m);
    buf_init(&series);
    buf_init(&h);
    put_labels(&series, "__name__=h");
    pb_varint(&h, 1, 1);
    put_span(&h, 11, 0, 5); /* five buckets, none given */
    pb_varint(&h, 15, 5);
    pb_message(&series, 4, &h);
    put_int_histogram(&h, 6);
    pb_message(&series, 4, &h);
    pb_message(&m, 1, &series);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 400);
    CU_ASSERT(says(&g, "1 of 2 samples refused"));
    CU_ASSERT(says(&g, "(series h, timestamp 5"));
    CU_ASSERT_EQUAL(g.histograms, 1);
    put_labels(&series, "__name__=h");
    pb_varint(&h, 3, 1); /* a sum that is no double */
    pb_message(&series, 4, &h);
    pb_message(&m, 1, &series);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 400);
    CU_ASSERT(says(&g, "a broken histogram"));
    buf_fini(&h);
    buf_fini(&series);
    buf_fini(&m);
    rig_stop(&g);
}

/* A store without native histograms: refused, not dropped in silence. */
static void test_no_histograms(void)
{
    struct rig g;
    struct buf m, series, h;

    rig_start_with(&g, 0, true);
    buf_init(&m);
    buf_init(&series);
    buf_init(&h);
    put_labels(&series, "__name__=h");
    put_int_histogram(&h, 5);
    pb_message(&series, 4, &h);
    pb_message(&m, 1, &series);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 400);
    CU_ASSERT(says(&g, "native histograms can not be stored"));
    buf_fini(&h);
    buf_fini(&series);
    buf_fini(&m);
    rig_stop(&g);
}

static void test_exemplars(void)
{
    struct rig g;
    struct buf m, series, e;

    rig_start(&g);
    buf_init(&m);
    buf_init(&series);
    buf_init(&e);
    put_labels(&series, "__name__=a_total");
    put_sample(&series, 9, 4);
    put_labels(&e, "trace_id=xyz,span=1");
    pb_double(&e, 2, 0.5);
    pb_varint(&e, 3, 8);
    pb_message(&series, 3, &e);
    put_labels(&e, "trace_id=\xff");
    pb_message(&series, 3, &e);
    pb_message(&m, 1, &series);
    send_message(&g, 1, &m);
    CU_ASSERT_EQUAL(g.status, 204);
    CU_ASSERT(told(&g, "a_total 9 4\nexemplar a_total {span=\"1\", "
                       "trace_id=\"xyz\"} 8 0.5\n"));
    CU_ASSERT_EQUAL(g.exemplars, 1);
    buf_fini(&e);
    buf_fini(&series);
    buf_fini(&m);
    rig_stop(&g);
}

/* ---- 2.0 --------------------------------------------------------------- */

static void put_symbols(struct buf *m, const char *text)
{
    do {
        size_t n = strcspn(text, ",");

        pb_bytes(m, 4, (sonde_str){ text, n });
        text += n + (text[n] == ',');
    } while (*text);
}

/* References as text of letters: 'a' is 0. */
static void put_refs(struct buf *series, unsigned field, const char *refs)
{
    struct buf m;

    buf_init(&m);
    for (; *refs; refs++)
        buf_uvarint(&m, (uint64_t)(*refs - 'a'));
    pb_message(series, field, &m);
    buf_fini(&m);
}

static void put_series_2(struct buf *m, const char *refs, sonde_msec t,
                         double v)
{
    struct buf series, sample;

    buf_init(&series);
    buf_init(&sample);
    put_refs(&series, 1, refs);
    pb_double(&sample, 1, v);
    pb_varint(&sample, 2, (uint64_t)t);
    pb_varint(&sample, 3, (uint64_t)t - 1); /* start timestamp */
    pb_message(&series, 2, &sample);
    pb_message(m, 5, &series);
    buf_fini(&sample);
    buf_fini(&series);
}

static void test_v2_samples(void)
{
    struct rig g;
    struct buf m;

    rig_start(&g);
    buf_init(&m);
    put_symbols(&m, ",__name__,up,job,a,b");
    put_series_2(&m, "bcde", 1000, 1);
    put_series_2(&m, "bcdf", 1000, 2);
    send_message(&g, 2, &m);
    CU_ASSERT_EQUAL(g.status, 204);
    CU_ASSERT(told(&g, "up{job=\"a\"} 1000 1\nup{job=\"b\"} 1000 2\n"));
    CU_ASSERT_EQUAL(g.samples, 2);
    /* Symbols behind the series that need them. */
    put_series_2(&m, "bcde", 2000, 1);
    put_symbols(&m, ",__name__,up,job,a,b");
    send_message(&g, 2, &m);
    CU_ASSERT_EQUAL(g.status, 204);
    CU_ASSERT(told(&g, "up{job=\"a\"} 2000 1\n"));
    buf_fini(&m);
    rig_stop(&g);
}

static void test_v2_series_by_symbols(void)
{
    struct rig g;
    struct buf m;

    rig_start(&g);
    buf_init(&m);
    put_symbols(&m, ",__name__,up,job,a,b");
    put_series_2(&m, "bcde", 1000, 1);
    send_message(&g, 2, &m);
    put_symbols(&m, ",a,b,up,job,__name__");
    put_series_2(&m, "fdeb", 2000, 1);
    put_series_2(&m, "fdec", 2000, 2);
    send_message(&g, 2, &m);
    CU_ASSERT_EQUAL(g.status, 204);
    CU_ASSERT(told(&g, "up{job=\"a\"} 2000 1\nup{job=\"b\"} 2000 2\n"));
    CU_ASSERT_EQUAL(g.store.made, 2);
    buf_fini(&m);
    rig_stop(&g);
}

static void test_v2_bad_references(void)
{
    static const struct {
        int line;
        const char *refs, *says;
    } rows[] = {
        { __LINE__, "bcd", "3 label references, which is odd" },
        { __LINE__, "bcdz", "label reference 25 of 6 symbols" },
        { __LINE__, "", "no metric name" },
        { __LINE__, "bcdedf", "label job twice" },
        { __LINE__, "bcae", "a label without a name" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig g;
        struct buf m;

        rig_start(&g);
        buf_init(&m);
        put_symbols(&m, ",__name__,up,job,a,b");
        put_series_2(&m, "bcde", 1000, 1);
        put_series_2(&m, rows[i].refs, 1000, 1);
        send_message(&g, 2, &m);
        ROW_ASSERT(&rows[i], g.status == 400);
        ROW_ASSERT(&rows[i], says(&g, rows[i].says));
        ROW_ASSERT(&rows[i], says(&g, "1 of 2 samples refused"));
        ROW_ASSERT(&rows[i], told(&g, "up{job=\"a\"} 1000 1\n"));
        ROW_ASSERT(&rows[i], g.samples == 1);
        buf_fini(&m);
        rig_stop(&g);
    }
}

static void put_described(struct buf *m, sonde_msec t, uint64_t help)
{
    struct buf series, x;

    buf_init(&series);
    buf_init(&x);
    put_refs(&series, 1, "bc");
    pb_double(&x, 1, 1);
    pb_varint(&x, 2, (uint64_t)t);
    pb_message(&series, 2, &x);
    put_refs(&x, 1, "fe");
    pb_double(&x, 2, 3);
    pb_varint(&x, 3, 7);
    pb_message(&series, 4, &x);
    pb_varint(&x, 1, METRIC_COUNTER);
    pb_varint(&x, 3, help);
    pb_varint(&x, 4, 4);
    pb_message(&series, 5, &x);
    pb_message(m, 5, &series);
    buf_fini(&x);
    buf_fini(&series);
}

/* Metadata is told once, and again when it changes or was not stored. */
static void test_v2_metadata(void)
{
    struct rig g;
    struct buf m;

    rig_start(&g);
    buf_init(&m);
    for (int i = 1; i < 6; i++) {
        put_symbols(&m, ",__name__,up,Help me.,seconds,trace_id,Other.");
        put_described(&m, i, i < 3 ? 3 : 6);
        g.store.fail = i == 3 ? SONDE_EIO : SONDE_OK;
        send_message(&g, 2, &m);
        CU_ASSERT_EQUAL(g.status, i == 3 ? 500 : 204);
        CU_ASSERT_EQUAL(strstr(g.store.told.data,
                               "metadata up up counter \"seconds\" \"Help "
                               "me.\"\n") != NULL,
                        i == 1);
        CU_ASSERT_EQUAL(strstr(g.store.told.data,
                               "metadata up up counter \"seconds\" "
                               "\"Other.\"\n") != NULL,
                        i == 4);
        CU_ASSERT_EQUAL(strstr(g.store.told.data,
                               "exemplar up {trace_id=\"seconds\"} 7 3\n") !=
                            NULL,
                        i != 3);
    }
    buf_fini(&m);
    rig_stop(&g);
}

/* ---- malformed --------------------------------------------------------- */

static void test_snappy(void)
{
    static const struct {
        int line;
        const char *body;
        size_t len;
        const char *says;
    } rows[] = {
        { __LINE__, "", 0, "no snappy block" },
        { __LINE__, "\xff\xff\xff\xff\xff", 5, "no snappy block" },
        { __LINE__, "\xff\xff\xff\xff\x0f\x00", 6,
          "they declare 4294967295 bytes, at most 33554432" },
        { __LINE__, "\x81\x80\x80\x10\x00", 5, "they declare 33554433 bytes" },
        { __LINE__, "\x80\x80\x80\x10\x00", 5, "they can not become" },
        { __LINE__,
          "\x04\x0c"
          "ab",
          4, "the snappy block is corrupt" },
        { __LINE__, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8, "corrupt" },
        { __LINE__, "hello, this is no snappy", 24, "snappy" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig g;

        rig_start(&g);
        send_raw(&g, 1, (sonde_str){ rows[i].body, rows[i].len });
        ROW_ASSERT(&rows[i], g.status == 400);
        ROW_ASSERT(&rows[i], says(&g, rows[i].says));
        rig_stop(&g);
    }
}

static void test_empty_requests(void)
{
    struct rig g;
    struct buf m;

    rig_start(&g);
    buf_init(&m);
    for (int version = 1; version <= 2; version++) {
        send_message(&g, version, &m);
        CU_ASSERT_EQUAL(g.status, 204);
        pb_varint(&m, 9, 1); /* fields nobody knows */
        pb_bytes(&m, 100, SONDE_STR("x"));
        pb_double(&m, 77, 2);
        send_message(&g, version, &m);
        CU_ASSERT_EQUAL(g.status, 204);
    }
    buf_fini(&m);
    rig_stop(&g);
}

static void test_malformed(void)
{
    static const struct {
        int line;
        int version;
        const char *bytes;
        size_t len;
    } rows[] = {
        { __LINE__, 1, "\x0a\x05\x0a", 3 },     /* series too long      */
        { __LINE__, 1, "\x0a\x02\x0a\x05", 4 }, /* labels too long      */
        { __LINE__, 1, "\x0a\x02\x12\x05", 4 }, /* a sample too long    */
        { __LINE__, 1, "\x08\x01", 2 },         /* timeseries: varint   */
        { __LINE__, 1, "\x18\x01", 2 },         /* metadata: varint     */
        { __LINE__, 1, "\x0a\x02\x10\x01", 4 }, /* samples: varint      */
        { __LINE__, 1, "\x0a\x02\x18\x01", 4 }, /* exemplars: varint    */
        { __LINE__, 1, "\x0a\x04\x12\x02\x08\x01", 6 }, /* value: varint     */
        { __LINE__, 1, "\x0a\x04\x12\x02\x12\x00", 6 }, /* time: bytes       */
        { __LINE__, 1, "\x0a\x04\x12\x00\x0a\x00", 6 }, /* labels behind     */
        { __LINE__, 1, "\x0b", 1 },     /* a group              */
        { __LINE__, 1, "\x00\x01", 2 }, /* field 0              */
        { __LINE__, 1, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },
        { __LINE__, 1, "\x0a\x06\x0a\x02\x0a\x05\x12\x00", 8 },
        { __LINE__, 1, "\x0a\x06\x0a\x02\x08\x05\x12\x00", 8 },
        { __LINE__, 2, "\x20\x01", 2 },         /* symbols: varint      */
        { __LINE__, 2, "\x28\x01", 2 },         /* timeseries: varint   */
        { __LINE__, 2, "\x22\x01x", 3 },        /* symbols[0] = "x"     */
        { __LINE__, 2, "\x2a\x02\x08\x01", 4 }, /* not packed           */
        { __LINE__, 2, "\x2a\x02\x0a\x05", 4 },
        { __LINE__, 2, "\x2a\x02\x2a\x05", 4 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig g;
        struct buf m;

        rig_start(&g);
        buf_init(&m);
        if (rows[i].version == 1)
            put_series(&m, "__name__=good", 1, 1);
        buf_bytes(&m, rows[i].bytes, rows[i].len);
        send_message(&g, rows[i].version, &m);
        ROW_ASSERT(&rows[i], g.status == 400);
        ROW_ASSERT(&rows[i], told(&g, ""));
        buf_fini(&m);
        rig_stop(&g);
    }
}

/* Each beginning of a good message is malformed or a shorter good one; none
 * reads past its end (the sanitizers' eye). */
static void test_truncated(void)
{
    struct rig g;
    struct buf m, series, x, cut;

    rig_start(&g);
    buf_init(&m);
    buf_init(&series);
    buf_init(&x);
    buf_init(&cut);
    put_labels(&series, "__name__=h,job=x");
    put_sample(&series, 1, 1);
    put_int_histogram(&x, 5);
    pb_message(&series, 4, &x);
    put_labels(&x, "trace=1");
    pb_message(&series, 3, &x);
    pb_message(&m, 1, &series);
    for (size_t n = 0; n < m.len; n++) {
        buf_bytes(&cut, m.data, n);
        send_message(&g, 1, &cut);
        CU_ASSERT_EQUAL(g.status, n == 0 ? 204 : 400);
    }
    buf_fini(&cut);
    buf_fini(&x);
    buf_fini(&series);
    buf_fini(&m);
    rig_stop(&g);
}

static void test_messages_taken(void)
{
    static const sonde_str bad = { "prometheus.Nothing", 18 };
    struct spy_store store;
    struct remote_receiver *r = NULL;
    struct sonde_err err;

    spy_init(&store);
    struct remote_receiver_options options = {
        .storage = &store.storage, .messages = { (sonde_str *)&bad, 1 }
    };
    CU_ASSERT_EQUAL(remote_receiver_new(&options, &r, &err), SONDE_EINVAL);
    CU_ASSERT(strstr(err.text, "prometheus.Nothing") != NULL);
    spy_fini(&store);
}

static const struct tap_test tests[] = {
    { "1.0 samples", test_v1_samples },
    { "series are cached", test_series_are_cached },
    { "the cache is bounded", test_cache_is_bounded },
    { "many samples are stored in pieces",
      test_many_samples_are_stored_in_pieces },
    { "labels", test_labels },
    { "too many labels", test_too_many_labels },
    { "partial write", test_partial_write },
    { "the text is bounded", test_the_text_is_bounded },
    { "storage trouble", test_storage_trouble },
    { "forgotten series", test_forgotten_series },
    { "histograms", test_histograms },
    { "bad histograms", test_bad_histograms },
    { "no histograms", test_no_histograms },
    { "exemplars", test_exemplars },
    { "2.0 samples", test_v2_samples },
    { "2.0 series by symbols", test_v2_series_by_symbols },
    { "2.0 bad references", test_v2_bad_references },
    { "2.0 metadata", test_v2_metadata },
    { "snappy", test_snappy },
    { "empty requests", test_empty_requests },
    { "malformed", test_malformed },
    { "truncated", test_truncated },
    { "messages taken", test_messages_taken },
};

int main(void)
{
    return TAP_RUN("receive", tests);
}
