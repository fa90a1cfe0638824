/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A federated page as delimited MetricFamily messages, the only exposition
 * that has native histograms. A name whose samples are of several kinds gives
 * a family of each kind, which Prometheus reads.
 *
 * A message's length stands before it, so a family is gathered and goes when
 * it is complete; a long one goes in parts, as families of the same name.
 *
 * Histograms keep their kind: integers stay integers. Custom buckets do not
 * exist in the format and become classic ones.
 */
#include <endian.h>

#include "api/federate.h"
#include "model/number.h"
#include "util/bytes.h"
#include "util/str.h"

#define FAMILY_CUT_BYTES ((size_t)128 << 10)

enum {
    VARINT = 0,
    FIXED64 = 1,
    BYTES = 2
};
static const uint8_t family_types[] = {
    [FED_FLOAT] = 3, [FED_HISTOGRAM] = 4, [FED_GAUGE_HISTOGRAM] = 5
};

/* ---- what the client reads ----------------------------------------------- */

static bool has_param(sonde_str params, sonde_str name, sonde_str *value)
{
    sonde_str p;

    while (str_split(&params, ';', &p)) {
        size_t eq = str_index(p, '=');

        *value = str_trim(str_sub(p, eq + 1, p.len));
        if (eq < p.len && str_eq_nocase(str_trim(str_sub(p, 0, eq)), name))
            return true;
    }
    return false;
}

static bool param_is(sonde_str params, const char *name, const char *value)
{
    sonde_str got;

    return has_param(params, sonde_cstr(name), &got) && str_eq_cstr(got, value);
}

/* An entry's weight; 1 without one. */
static double weight(sonde_str params)
{
    double w;
    sonde_str q;

    return has_param(params, SONDE_STR("q"), &q) && number_parse(q, &w) ? w : 1;
}

static bool is_proto(sonde_str type, sonde_str params)
{
    return str_eq_nocase(type, SONDE_STR("application/vnd.google.protobuf")) &&
           param_is(params, "proto", "io.prometheus.client.MetricFamily") &&
           param_is(params, "encoding", "delimited");
}

static bool is_text(sonde_str type, sonde_str params)
{
    sonde_str version;

    return str_eq_nocase(type, SONDE_STR("text/plain")) &&
           (!has_param(params, SONDE_STR("version"), &version) ||
            str_eq_cstr(version, "0.0.4"));
}

/* The heavier of the two counts, or the first. */
bool federate_wants_proto(sonde_str accept)
{
    double best = 0;
    bool proto = false;
    sonde_str entry;

    while (str_split(&accept, ',', &entry)) {
        size_t end = str_index(entry, ';');
        sonde_str type = str_trim(str_sub(entry, 0, end));
        sonde_str params = str_sub(entry, end + 1, entry.len);
        bool wanted = is_proto(type, params);
        double q = weight(params);

        if (q <= best || (!wanted && !is_text(type, params)))
            continue;
        best = q;
        proto = wanted;
    }
    return proto;
}

/* ---- messages ------------------------------------------------------------ */

static void put_tag(struct buf *b, unsigned field, unsigned type)
{
    buf_uvarint(b, (uint64_t)field << 3 | type);
}

static void put_text(struct buf *b, unsigned field, sonde_str s)
{
    put_tag(b, field, BYTES);
    buf_uvarint_str(b, s);
}

static void put_uint(struct buf *b, unsigned field, uint64_t v)
{
    put_tag(b, field, VARINT);
    buf_uvarint(b, v);
}

static void put_bits(struct buf *b, double v)
{
    uint64_t bits = htole64(double_bits(v));

    buf_bytes(b, &bits, sizeof(bits));
}

static void put_double(struct buf *b, unsigned field, double v)
{
    put_tag(b, field, FIXED64);
    put_bits(b, v);
}

/* Scratch: a message within a message is made before its length is known. */
struct proto {
    const struct federation *f;
    struct buf family, metric, inner, part;
};

static void put_name(const struct federation *f, struct buf *b, unsigned field,
                     sonde_str name, bool metric)
{
    bool legacy =
        metric ? metric_name_is_legacy(name) : label_name_is_legacy(name);
    struct buf shown;

    if (legacy || f->utf8) {
        put_text(b, field, name);
        return;
    }
    buf_init(&shown);
    federate_put_name(&shown, name, metric);
    put_text(b, field, buf_str(&shown));
    buf_fini(&shown);
}

static void put_label(struct proto *p, const struct label *l)
{
    buf_reset(&p->part);
    put_name(p->f, &p->part, 1, l->name, false);
    put_text(&p->part, 2, l->value);
    put_text(&p->metric, 1, buf_str(&p->part));
}

static void put_labels(struct proto *p, const struct labels *own)
{
    const struct labels *external = &p->f->external;

    for (size_t i = 0; i < own->count; i++)
        if (!str_eq_cstr(own->items[i].name, LABEL_NAME))
            put_label(p, &own->items[i]);
    for (size_t i = 0; i < external->count; i++)
        if (labels_get(own, external->items[i].name).len == 0)
            put_label(p, &external->items[i]);
}

/* ---- histograms ---------------------------------------------------------- */

/* Spans and buckets of one side, in three fields from `field` on. */
static void put_side(struct proto *p, const struct histogram_side *s,
                     bool is_float, unsigned field)
{
    struct buf *b = &p->inner;

    for (size_t i = 0; i < s->span_count; i++) {
        buf_reset(&p->part);
        put_uint(&p->part, 1, zigzag(s->spans[i].offset));
        put_uint(&p->part, 2, s->spans[i].length);
        put_text(b, field, buf_str(&p->part));
    }
    if (s->bucket_count == 0)
        return;
    buf_reset(&p->part);
    for (size_t i = 0; i < s->bucket_count; i++)
        if (is_float)
            put_bits(&p->part, s->buckets.f[i]);
        else
            buf_varint(&p->part, s->buckets.i[i]);
    put_text(b, field + (is_float ? 2 : 1), buf_str(&p->part));
}

static void put_totals(struct buf *b, const struct histogram *h)
{
    if (h->is_float)
        put_double(b, 4, h->count.f);
    else
        put_uint(b, 1, h->count.i);
    put_double(b, 2, h->sum);
}

/* Without anything in it a histogram is known as a native one by a span. */
static void put_native(struct proto *p, const struct histogram *h)
{
    static const char none[] = { 8, 0, 16, 0 }; /* offset 0, length 0 */
    struct buf *b = &p->inner;
    bool nothing = h->is_float && h->count.f == 0 && h->zero_count.f == 0;

    put_totals(b, h);
    put_uint(b, 5, zigzag(h->schema));
    put_double(b, 6, h->zero_threshold);
    if (h->is_float)
        put_double(b, 8, h->zero_count.f);
    else
        put_uint(b, 7, h->zero_count.i);
    if (!nothing) {
        put_side(p, &h->negative, h->is_float, 9);
        put_side(p, &h->positive, h->is_float, 12);
    }
    if (nothing || h->negative.span_count + h->positive.span_count == 0)
        put_text(b, 12, (sonde_str){ none, sizeof(none) });
}

static void put_classic_bucket(struct proto *p, bool is_float, double bound,
                               union histogram_count below)
{
    buf_reset(&p->part);
    if (is_float)
        put_double(&p->part, 4, below.f);
    else
        put_uint(&p->part, 1, below.i);
    put_double(&p->part, 2, bound);
    put_text(&p->inner, 3, buf_str(&p->part));
}

static void put_custom(struct proto *p, const struct histogram *h)
{
    union histogram_count below = { 0 };
    struct histogram_walk w;
    bool more;

    put_totals(&p->inner, h);
    histogram_walk_init(&w, &h->positive, h->is_float);
    more = histogram_walk_next(&w);
    for (size_t i = 0; i < h->custom_count; i++) {
        if (more && w.index == (int64_t)i) {
            if (h->is_float)
                below.f += w.value.f;
            else
                below.i += w.value.i;
            more = histogram_walk_next(&w);
        }
        put_classic_bucket(p, h->is_float, h->custom_bounds[i], below);
    }
}

/* ---- families ------------------------------------------------------------ */

static void put_metric(struct proto *p, const struct fed_sample *s)
{
    buf_reset(&p->metric);
    buf_reset(&p->inner);
    put_labels(p, s->labels);
    if (!s->h)
        put_double(&p->inner, 1, s->v);
    else if (s->h->schema == HISTOGRAM_CUSTOM)
        put_custom(p, s->h);
    else
        put_native(p, s->h);
    put_text(&p->metric, s->h ? 7 : 5, buf_str(&p->inner));
    put_uint(&p->metric, 6, (uint64_t)s->t);
    put_text(&p->family, 4, buf_str(&p->metric));
}

static void begin_family(struct proto *p, const struct fed_sample *s)
{
    buf_reset(&p->family);
    put_name(p->f, &p->family, 1, s->name, true);
    put_uint(&p->family, 3, family_types[s->kind]);
}

static bool same_family(const struct fed_sample *a, const struct fed_sample *b)
{
    return a->kind == b->kind && sonde_str_eq(a->name, b->name);
}

void federate_proto(const struct federation *f, struct http_stream *h)
{
    struct proto p = { .f = f };
    struct buf *const all[] = { &p.family, &p.metric, &p.inner, &p.part };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buf_init(all[i]);
    for (size_t i = 0; i < f->count && http_stream_flush(h); i++) {
        const struct fed_sample *s = &f->samples[i];

        if (p.family.len == 0)
            begin_family(&p, s);
        put_metric(&p, s);
        if (i + 1 == f->count || !same_family(s, s + 1) ||
            p.family.len > FAMILY_CUT_BYTES) {
            buf_uvarint_str(&h->buf, buf_str(&p.family));
            buf_reset(&p.family);
        }
    }
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buf_fini(all[i]);
}
