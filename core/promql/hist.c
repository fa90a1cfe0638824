/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histograms opened, brought to the same layout, added, closed.
 *
 * Two exponential histograms are added at the coarser of their resolutions and
 * with the wider of their zero buckets. A zero bucket that would end inside a
 * populated bucket is widened to that bucket's outer edge; buckets within it
 * are added to it. Custom ones with different bounds are added at the bounds
 * that both have.
 */
#include "promql/hist.h"

#include <float.h>
#include <math.h>

#include "promql/kahan.h"

/* ---- open and close ---------------------------------------------------------
 */

static struct hist_buckets
buckets_open(struct arena *a, const struct histogram_side *s, bool is_float)
{
    struct hist_buckets b = {
        arena_array(a, struct hist_bucket, s->bucket_count), 0
    };
    struct histogram_walk w;

    histogram_walk_init(&w, s, is_float);
    while (histogram_walk_next(&w))
        b.items[b.count++] = (struct hist_bucket){
            (int32_t)w.index, { is_float ? w.value.f : (double)w.value.i, 0 }
        };
    return b;
}

struct hist hist_open(struct arena *a, const struct histogram *h)
{
    struct hist out = {
        .schema = h->schema,
        .hint = h->hint,
        .zero_threshold = h->zero_threshold,
        .sum = { h->sum, 0 },
        .bounds = h->custom_bounds,
        .bound_count = h->custom_count,
    };

    out.zero.v = h->is_float ? h->zero_count.f : (double)h->zero_count.i;
    out.count.v = h->is_float ? h->count.f : (double)h->count.i;
    out.positive = buckets_open(a, &h->positive, h->is_float);
    out.negative = buckets_open(a, &h->negative, h->is_float);
    return out;
}

static double precise_value(struct precise p)
{
    return p.v + p.lost;
}

static struct histogram_side side_close(struct arena *a,
                                        const struct hist_buckets *b)
{
    struct histogram_side s = { 0 };
    int32_t next = 0;

    s.spans = arena_array(a, struct histogram_span, b->count);
    s.buckets.f = arena_array(a, double, b->count);
    for (size_t i = 0; i < b->count; i++) {
        double n = precise_value(b->items[i].n);

        if (n == 0)
            continue;
        if (s.span_count == 0 || b->items[i].at != next)
            s.spans[s.span_count++] =
                (struct histogram_span){ b->items[i].at - next, 0 };
        s.spans[s.span_count - 1].length++;
        s.buckets.f[s.bucket_count++] = n;
        next = b->items[i].at + 1;
    }
    return s;
}

const struct histogram *hist_close(struct arena *a, const struct hist *h)
{
    struct histogram *out = arena_new(a, struct histogram);

    *out = (struct histogram){
        .is_float = true,
        .hint = h->hint,
        .schema = h->schema,
        .zero_threshold = h->zero_threshold,
        .sum = precise_value(h->sum),
        .positive = side_close(a, &h->positive),
        .negative = side_close(a, &h->negative),
    };
    out->zero_count.f = precise_value(h->zero);
    out->count.f = precise_value(h->count);
    if (h->bound_count) {
        out->custom_bounds = arena_array(a, double, h->bound_count);
        memcpy(out->custom_bounds, h->bounds,
               h->bound_count * sizeof(*h->bounds));
        out->custom_count = h->bound_count;
    }
    return out;
}

/* ---- layout -------------------------------------------------------------- */

/* 2^(2^-n), as Prometheus' table of bounds is made with; the first is one step
 * below the nearest double, and so are bounds made with it. */
static const double roots[] = {
    0,
    1.414213562373095,
    1.189207115002721,
    1.0905077326652577,
    1.0442737824274138,
    1.0218971486541166,
    1.0108892860517005,
    1.0054299011128027,
    1.0027112750502025,
};

/* 2^(at / 2^schema): each bit of the fraction stands for a root. */
static double fine_bound(int32_t schema, int32_t at)
{
    double b = 0.5;

    for (int32_t i = 1; i <= schema; i++)
        if (at & 1 << (schema - i))
            b *= roots[i];
    return ldexp(b, (at >> schema) + 1);
}

double hist_bound(int32_t schema, int32_t at)
{
    if (schema < 0) {
        int64_t e = (int64_t)at * (INT64_C(1) << -schema);

        /* The last bucket with a finite bound ends at the largest number. */
        if (e == 1024)
            return DBL_MAX;
        return e > 1024 ? INFINITY : ldexp(1, (int)(e < -1100 ? -1100 : e));
    }
    if (at == 1024 << schema)
        return DBL_MAX;
    return fine_bound(schema, at);
}

static void precise_add(struct precise *to, struct precise from)
{
    kahan_add(&to->v, &to->lost, from.v);
    if (from.lost != 0)
        kahan_add(&to->v, &to->lost, from.lost);
}

static int32_t coarser(int32_t at, int32_t by)
{
    return ((at - 1) >> by) + 1;
}

static void buckets_reduce(struct hist_buckets *b, int32_t by)
{
    size_t n = 0;

    for (size_t i = 0; i < b->count; i++) {
        int32_t at = coarser(b->items[i].at, by);

        if (n && b->items[n - 1].at == at)
            precise_add(&b->items[n - 1].n, b->items[i].n);
        else
            b->items[n++] = (struct hist_bucket){ at, b->items[i].n };
    }
    b->count = n;
}

void hist_reduce(struct hist *h, int32_t schema)
{
    if (h->schema <= schema || h->schema == HISTOGRAM_CUSTOM)
        return;
    buckets_reduce(&h->positive, h->schema - schema);
    buckets_reduce(&h->negative, h->schema - schema);
    h->schema = schema;
}

/* Whether a threshold lies inside a populated bucket, and where that ends. */
static bool cuts(const struct hist *h, const struct hist_buckets *b,
                 double threshold, double *outer)
{
    for (size_t i = 0; i < b->count; i++) {
        double lower = hist_bound(h->schema, b->items[i].at - 1);
        double upper = hist_bound(h->schema, b->items[i].at);

        if (lower >= threshold)
            return false;
        if (upper > threshold && precise_value(b->items[i].n) != 0) {
            *outer = upper;
            return true;
        }
    }
    return false;
}

/* The threshold that a wider one becomes in this histogram: out of populated
 * buckets. */
static double settled(const struct hist *h, double threshold)
{
    double outer;

    while (cuts(h, &h->positive, threshold, &outer) ||
           cuts(h, &h->negative, threshold, &outer))
        threshold = outer;
    return threshold;
}

static void swallow(struct hist *h, struct hist_buckets *b, double threshold)
{
    size_t n = 0;

    for (size_t i = 0; i < b->count; i++) {
        if (hist_bound(h->schema, b->items[i].at) <= threshold)
            precise_add(&h->zero, b->items[i].n);
        else
            b->items[n++] = b->items[i];
    }
    b->count = n;
}

static void widen_zero(struct hist *h, double threshold)
{
    swallow(h, &h->positive, threshold);
    swallow(h, &h->negative, threshold);
    h->zero_threshold = threshold;
}

bool hist_widen_zero(struct hist *h, double threshold)
{
    if (settled(h, threshold) != threshold)
        return false;
    widen_zero(h, threshold);
    return true;
}

/* Both zero buckets become the same. */
static void same_zero(struct hist *a, struct hist *b)
{
    while (a->zero_threshold != b->zero_threshold) {
        struct hist *narrow = a->zero_threshold < b->zero_threshold ? a : b;
        struct hist *wide = narrow == a ? b : a;

        widen_zero(narrow, settled(narrow, wide->zero_threshold));
    }
}

/* ---- custom bounds ------------------------------------------------------- */

static bool same_bounds(const struct hist *a, const struct hist *b)
{
    return a->bound_count == b->bound_count &&
           (a->bound_count == 0 ||
            memcmp(a->bounds, b->bounds, a->bound_count * sizeof(double)) == 0);
}

/* Those that both have. */
static double *common_bounds(struct arena *a, const struct hist *x,
                             const struct hist *y, size_t *n)
{
    double *out = arena_array(a, double, x->bound_count);
    size_t i = 0, k = 0;

    *n = 0;
    while (i < x->bound_count && k < y->bound_count) {
        if (x->bounds[i] == y->bounds[k]) {
            out[(*n)++] = x->bounds[i];
            i++;
            k++;
        } else if (x->bounds[i] < y->bounds[k]) {
            i++;
        } else {
            k++;
        }
    }
    return out;
}

/* Into buckets with fewer bounds, which are a part of its own. */
static void rebucket(struct hist *h, const double *bounds, size_t n)
{
    struct hist_buckets *b = &h->positive;
    size_t kept = 0, to = 0;

    for (size_t i = 0; i < b->count; i++) {
        size_t at = (size_t)b->items[i].at;
        double upper = at < h->bound_count ? h->bounds[at] : INFINITY;

        while (to < n && bounds[to] < upper)
            to++;
        if (kept && b->items[kept - 1].at == (int32_t)to)
            precise_add(&b->items[kept - 1].n, b->items[i].n);
        else
            b->items[kept++] =
                (struct hist_bucket){ (int32_t)to, b->items[i].n };
    }
    b->count = kept;
    h->bounds = bounds;
    h->bound_count = n;
}

bool hist_reconcile(struct arena *a, struct hist *x, struct hist *y)
{
    double *bounds;
    size_t n;

    if (same_bounds(x, y))
        return false;
    bounds = common_bounds(a, x, y, &n);
    rebucket(x, bounds, n);
    rebucket(y, bounds, n);
    return true;
}

/* ---- arithmetic ---------------------------------------------------------- */

static struct precise negative_of(struct precise p, double sign)
{
    return (struct precise){ p.v * sign, p.lost * sign };
}

static struct hist_buckets merge(struct arena *a, const struct hist_buckets *x,
                                 const struct hist_buckets *y, double sign)
{
    struct hist_buckets out = {
        arena_array(a, struct hist_bucket, x->count + y->count), 0
    };
    size_t i = 0, k = 0;

    while (i < x->count || k < y->count) {
        struct hist_bucket *to = &out.items[out.count++];

        if (k == y->count ||
            (i < x->count && x->items[i].at < y->items[k].at)) {
            *to = x->items[i++];
        } else if (i == x->count || y->items[k].at < x->items[i].at) {
            *to = y->items[k++];
            to->n = negative_of(to->n, sign);
        } else {
            *to = x->items[i++];
            precise_add(&to->n, negative_of(y->items[k++].n, sign));
        }
    }
    return out;
}

struct hist hist_copy(struct arena *a, const struct hist *h)
{
    struct hist c = *h;

    c.positive.items = arena_array(a, struct hist_bucket, h->positive.count);
    c.negative.items = arena_array(a, struct hist_bucket, h->negative.count);
    memcpy(c.positive.items, h->positive.items,
           h->positive.count * sizeof(struct hist_bucket));
    memcpy(c.negative.items, h->negative.items,
           h->negative.count * sizeof(struct hist_bucket));
    if (h->bound_count) {
        double *bounds = arena_array(a, double, h->bound_count);

        memcpy(bounds, h->bounds, h->bound_count * sizeof(*bounds));
        c.bounds = bounds;
    }
    return c;
}

/* What the sum says of resets. */
static unsigned join_hints(struct hist *to, enum histogram_hint from)
{
    enum histogram_hint had = to->hint;

    if (had == from)
        return 0;
    if (had == HISTOGRAM_GAUGE || from == HISTOGRAM_GAUGE) {
        to->hint = HISTOGRAM_GAUGE;
        return 0;
    }
    to->hint = HISTOGRAM_UNKNOWN_RESET;
    return had == HISTOGRAM_UNKNOWN_RESET || from == HISTOGRAM_UNKNOWN_RESET
               ? 0
               : HIST_RESET_CONFLICT;
}

static unsigned combine(struct arena *a, struct hist *to,
                        const struct hist *from, double sign)
{
    struct hist other = hist_copy(a, from);
    unsigned met = 0;

    if ((to->schema == HISTOGRAM_CUSTOM) != (from->schema == HISTOGRAM_CUSTOM))
        return HIST_INCOMPATIBLE;
    met = join_hints(to, from->hint);
    if (to->schema == HISTOGRAM_CUSTOM) {
        if (hist_reconcile(a, to, &other))
            met |= HIST_RECONCILED;
    } else {
        same_zero(to, &other);
        hist_reduce(to, other.schema);
        hist_reduce(&other, to->schema);
    }
    precise_add(&to->zero, negative_of(other.zero, sign));
    precise_add(&to->count, negative_of(other.count, sign));
    precise_add(&to->sum, negative_of(other.sum, sign));
    to->positive = merge(a, &to->positive, &other.positive, sign);
    to->negative = merge(a, &to->negative, &other.negative, sign);
    return met;
}

unsigned hist_add(struct arena *a, struct hist *to, const struct hist *from)
{
    return combine(a, to, from, 1);
}

unsigned hist_subtract(struct arena *a, struct hist *to,
                       const struct hist *from)
{
    unsigned met = combine(a, to, from, -1);

    to->hint = HISTOGRAM_GAUGE;
    return met;
}

/* What was lost is 0 mostly, and stays so whatever it is scaled with. */
static void scale(struct precise *p, double f, bool divide)
{
    p->v = divide ? p->v / f : p->v * f;
    if (p->lost != 0)
        p->lost = divide ? p->lost / f : p->lost * f;
}

static void buckets_scale(struct hist_buckets *b, double f, bool divide)
{
    for (size_t i = 0; i < b->count; i++)
        scale(&b->items[i].n, f, divide);
}

static void hist_scale(struct hist *h, double f, bool divide)
{
    scale(&h->zero, f, divide);
    scale(&h->count, f, divide);
    scale(&h->sum, f, divide);
    buckets_scale(&h->positive, f, divide);
    buckets_scale(&h->negative, f, divide);
    if (f < 0)
        h->hint = HISTOGRAM_GAUGE;
}

void hist_multiply(struct hist *h, double f)
{
    hist_scale(h, f, false);
}

void hist_divide(struct hist *h, double f)
{
    hist_scale(h, f, true);
    if (f == 0)
        h->positive.count = h->negative.count = 0;
}
