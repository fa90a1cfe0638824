/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native histograms: copies, comparison, and what a receiver refuses.
 *
 * Buckets that exist are listed twice removed: spans of indices, and for
 * integers differences between neighbours. Whoever needs a bucket's index and
 * count walks (histogram_walk); nobody else looks through both.
 *
 * Counts of integers are added without sign, so that damaged ones wrap around
 * instead of being undefined. The texts of histogram_check are Prometheus',
 * so that a sender's log reads the same.
 */
#include "model/histogram.h"

#include <math.h>

#include "model/number.h"

/* ---- walking ------------------------------------------------------------ */

void histogram_walk_init(struct histogram_walk *w,
                         const struct histogram_side *side, bool is_float)
{
    *w = (struct histogram_walk){
        .side = side,
        .is_float = is_float,
        .at = SIZE_MAX,
        .index = -1,
    };
    if (side->span_count)
        w->index += side->spans[0].offset;
}

static void walk_value(struct histogram_walk *w)
{
    if (w->is_float) {
        if (w->side->buckets.f)
            w->value.f = w->side->buckets.f[w->at];
    } else if (w->side->buckets.i) {
        w->value.i += (uint64_t)w->side->buckets.i[w->at];
    }
}

bool histogram_walk_next(struct histogram_walk *w)
{
    while (w->span < w->side->span_count &&
           w->in_span == w->side->spans[w->span].length) {
        w->span++;
        w->in_span = 0;
        if (w->span < w->side->span_count)
            w->index += w->side->spans[w->span].offset;
    }
    if (w->span >= w->side->span_count)
        return false;
    w->in_span++;
    w->index++;
    w->at++;
    walk_value(w);
    return true;
}

/* ---- copies ------------------------------------------------------------- */

static void *dup_array(struct arena *a, const void *p, size_t n, size_t size)
{
    void *copy;

    if (n == 0)
        return NULL;
    copy = arena_alloc_array(a, size, n);
    memcpy(copy, p, n * size);
    return copy;
}

static void dup_spans(struct arena *a, struct histogram_side *s)
{
    s->spans = dup_array(a, s->spans, s->span_count, sizeof(*s->spans));
}

static struct histogram *dup_frame(struct arena *a, const struct histogram *h)
{
    struct histogram *copy = arena_new(a, struct histogram);

    *copy = *h;
    dup_spans(a, &copy->positive);
    dup_spans(a, &copy->negative);
    copy->custom_bounds = dup_array(a, h->custom_bounds, h->custom_count,
                                    sizeof(*h->custom_bounds));
    return copy;
}

static void dup_buckets(struct arena *a, struct histogram_side *s)
{
    /* integers and floats are of one size */
    s->buckets.i =
        dup_array(a, s->buckets.i, s->bucket_count, sizeof(*s->buckets.i));
}

struct histogram *histogram_dup(struct arena *a, const struct histogram *h)
{
    struct histogram *copy = dup_frame(a, h);

    dup_buckets(a, &copy->positive);
    dup_buckets(a, &copy->negative);
    return copy;
}

static void side_to_float(struct arena *a, struct histogram_side *s)
{
    double *f = arena_array(a, double, s->bucket_count);
    double count = 0;

    for (size_t i = 0; i < s->bucket_count; i++) {
        count += (double)s->buckets.i[i];
        f[i] = count;
    }
    s->buckets.f = s->bucket_count ? f : NULL;
}

struct histogram *histogram_to_float(struct arena *a, const struct histogram *h)
{
    struct histogram *copy;

    if (h->is_float)
        return histogram_dup(a, h);
    copy = dup_frame(a, h);
    copy->is_float = true;
    copy->count.f = (double)h->count.i;
    copy->zero_count.f = (double)h->zero_count.i;
    side_to_float(a, &copy->positive);
    side_to_float(a, &copy->negative);
    return copy;
}

/* ---- a coarser schema --------------------------------------------------- */

/* Where a reduced side is put together. */
struct reduced {
    struct histogram_side side;
    int64_t last;    /* index of its last bucket                             */
    uint64_t count;  /* in that, of integers                                 */
    uint64_t before; /* in the one before                                   */
};

static void reduced_add(struct reduced *r, const struct histogram_walk *w,
                        int64_t index)
{
    struct histogram_side *s = &r->side;
    bool any = s->bucket_count != 0;

    if (!any || index != r->last) {
        if (any && index == r->last + 1) {
            s->spans[s->span_count - 1].length++;
        } else {
            s->spans[s->span_count++] = (struct histogram_span){
                .offset = (int32_t)(any ? index - r->last - 1 : index),
                .length = 1,
            };
        }
        s->bucket_count++;
        r->before = any ? r->count : 0;
        r->count = 0;
        r->last = index;
        if (w->is_float)
            s->buckets.f[s->bucket_count - 1] = 0;
    }
    if (w->is_float) {
        s->buckets.f[s->bucket_count - 1] += w->value.f;
    } else {
        r->count += w->value.i;
        s->buckets.i[s->bucket_count - 1] = (int64_t)(r->count - r->before);
    }
}

static void side_reduce(struct arena *a, struct histogram_side *s,
                        bool is_float, unsigned by)
{
    struct reduced r = { .side = { 0 } };
    struct histogram_walk w;

    r.side.spans = arena_array(a, struct histogram_span, s->bucket_count);
    r.side.buckets.i = arena_array(a, int64_t, s->bucket_count);
    histogram_walk_init(&w, s, is_float);
    while (histogram_walk_next(&w))
        reduced_add(&r, &w, ((w.index - 1) >> by) + 1);
    *s = r.side;
}

struct histogram *histogram_reduce(struct arena *a, const struct histogram *h,
                                   int32_t schema)
{
    struct histogram *copy = arena_new(a, struct histogram);
    unsigned by = (unsigned)(h->schema - schema);

    *copy = *h;
    copy->schema = schema;
    side_reduce(a, &copy->positive, h->is_float, by);
    side_reduce(a, &copy->negative, h->is_float, by);
    return copy;
}

/* ---- comparison --------------------------------------------------------- */

/* -0 and 0 are the same number, a NaN is the same as itself. */
static bool same_number(double a, double b)
{
    return a == b || double_bits(a) == double_bits(b);
}

static bool bucket_is_empty(const struct histogram_walk *w)
{
    return w->is_float ? w->value.f == 0 : w->value.i == 0;
}

static bool next_filled(struct histogram_walk *w)
{
    while (histogram_walk_next(w))
        if (!bucket_is_empty(w))
            return true;
    return false;
}

static bool side_same(const struct histogram_side *a,
                      const struct histogram_side *b, bool is_float)
{
    struct histogram_walk wa, wb;
    bool more;

    histogram_walk_init(&wa, a, is_float);
    histogram_walk_init(&wb, b, is_float);
    while ((more = next_filled(&wa)) == next_filled(&wb)) {
        if (!more)
            return true;
        if (wa.index != wb.index || wa.value.i != wb.value.i)
            return false;
    }
    return false;
}

bool histogram_bounds_same(const struct histogram *a, const struct histogram *b)
{
    if (a->custom_count != b->custom_count)
        return false;
    for (size_t i = 0; i < a->custom_count; i++)
        if (!same_number(a->custom_bounds[i], b->custom_bounds[i]))
            return false;
    return true;
}

bool histogram_same(const struct histogram *a, const struct histogram *b)
{
    /* counts of both kinds are compared by their bits */
    return a->is_float == b->is_float && a->schema == b->schema &&
           same_number(a->zero_threshold, b->zero_threshold) &&
           a->count.i == b->count.i && a->zero_count.i == b->zero_count.i &&
           double_bits(a->sum) == double_bits(b->sum) &&
           (a->schema != HISTOGRAM_CUSTOM || histogram_bounds_same(a, b)) &&
           side_same(&a->positive, &b->positive, a->is_float) &&
           side_same(&a->negative, &b->negative, a->is_float);
}

/* ---- what is refused ---------------------------------------------------- */

static sonde_code check_spans(const struct histogram_side *s,
                              bool first_may_be_negative, struct sonde_err *err)
{
    uint64_t buckets = 0;

    for (size_t i = 0; i < s->span_count; i++) {
        if (s->spans[i].offset < 0 && (i > 0 || !first_may_be_negative))
            return sonde_err_set(
                err, SONDE_EINVAL,
                "span number %zu with offset %d: histogram has a span whose "
                "offset is negative",
                i + 1, s->spans[i].offset);
        buckets += s->spans[i].length;
    }
    if (buckets != s->bucket_count)
        return sonde_err_set(
            err, SONDE_EINVAL,
            "spans need %llu buckets, have %zu buckets: histogram spans "
            "specify different number of buckets than provided",
            (unsigned long long)buckets, s->bucket_count);
    return SONDE_OK;
}

static sonde_code negative_bucket(const struct histogram_walk *w,
                                  struct sonde_err *err)
{
    char text[NUMBER_MAX_BYTES];
    size_t n = w->is_float ? number_format(text, w->value.f, NUMBER_API)
                           : (size_t)snprintf(text, sizeof(text), "%lld",
                                              (long long)w->value.i);

    return sonde_err_set(err, SONDE_EINVAL,
                         "bucket number %zu has observation count of %.*s: "
                         "histogram has a bucket whose observation count is "
                         "negative",
                         w->at + 1, (int)n, text);
}

/* Adds the buckets of integers to `*count`. */
static sonde_code check_buckets(const struct histogram_side *s, bool is_float,
                                uint64_t *count, struct sonde_err *err)
{
    struct histogram_walk w;

    histogram_walk_init(&w, s, is_float);
    while (histogram_walk_next(&w)) {
        if (is_float ? w.value.f < 0 : (int64_t)w.value.i < 0)
            return negative_bucket(&w, err);
        if (!is_float)
            *count += w.value.i;
    }
    return SONDE_OK;
}

static sonde_code check_side(const struct histogram *h,
                             const struct histogram_side *s, uint64_t *count,
                             struct sonde_err *err)
{
    bool is_custom = h->schema == HISTOGRAM_CUSTOM;
    sonde_code rc = check_spans(s, !is_custom, err);

    if (rc == SONDE_OK)
        rc = check_buckets(s, h->is_float, count, err);
    if (rc != SONDE_OK)
        sonde_err_prefix(err,
                         s == &h->positive ? "positive side" : "negative side");
    return rc;
}

static sonde_code check_bounds(const struct histogram *h, struct sonde_err *err)
{
    double before = -INFINITY;
    int64_t end = 0;

    for (size_t i = 0; i < h->custom_count; i++) {
        double bound = h->custom_bounds[i];

        if (isnan(bound) || bound <= before)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "custom buckets: previous bound is %f and "
                                 "current is %f: histogram custom bounds must "
                                 "be in strictly increasing order",
                                 before, bound);
        before = bound;
    }
    if (before == INFINITY)
        return sonde_err_set(err, SONDE_EINVAL,
                             "custom buckets: last +Inf bound must not be "
                             "explicitly defined: histogram custom bounds "
                             "must be finite");
    for (size_t i = 0; i < h->positive.span_count; i++)
        end +=
            (int64_t)h->positive.spans[i].offset + h->positive.spans[i].length;
    if ((int64_t)h->custom_count + 1 < end)
        return sonde_err_set(err, SONDE_EINVAL,
                             "custom buckets: only %zu custom bounds defined "
                             "which is insufficient to cover total span "
                             "length of %lld: histogram custom bounds are "
                             "too few",
                             h->custom_count, (long long)end);
    return SONDE_OK;
}

static sonde_code check_custom(const struct histogram *h, struct sonde_err *err)
{
    bool has_zeros = h->is_float ? h->zero_count.f != 0 : h->zero_count.i != 0;

    if (has_zeros)
        return sonde_err_set(err, SONDE_EINVAL,
                             "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "custom buckets: must have zero threshold of 0");
    if (h->negative.span_count)
        return sonde_err_set(err, SONDE_EINVAL,
                             "custom buckets: must not have negative spans");
    if (h->negative.bucket_count)
        return sonde_err_set(err, SONDE_EINVAL,
                             "custom buckets: must not have negative buckets");
    return check_bounds(h, err);
}

static sonde_code check_schema(const struct histogram *h, struct sonde_err *err)
{
    if (h->schema == HISTOGRAM_CUSTOM)
        return check_custom(h, err);
    if (h->schema < HISTOGRAM_SCHEMA_MIN || h->schema > HISTOGRAM_SCHEMA_MAX)
        return sonde_err_set(
            err, SONDE_EINVAL,
            "histogram has an invalid schema, which must be between %d and %d "
            "for exponential buckets, or %d for custom buckets, got schema %d",
            HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_CUSTOM,
            h->schema);
    if (h->custom_count)
        return sonde_err_set(err, SONDE_EINVAL,
                             "histogram with exponential schema must not have "
                             "custom bounds");
    return SONDE_OK;
}

/* Not of floats, which may miss by a rounding. An observation of NaN is
 * counted, but by no bucket. */
static sonde_code check_total(const struct histogram *h, uint64_t buckets,
                              struct sonde_err *err)
{
    bool has_nan = isnan(h->sum);

    buckets += h->zero_count.i;
    if (h->is_float || buckets == h->count.i ||
        (has_nan && buckets < h->count.i))
        return SONDE_OK;
    return sonde_err_set(
        err, SONDE_EINVAL,
        "%llu observations found in buckets, but the Count field is %llu: "
        "histogram's observation count should %s",
        (unsigned long long)buckets, (unsigned long long)h->count.i,
        has_nan ? "be at least the number of observations found in the buckets"
                : "equal the number of observations found in the buckets (in "
                  "absence of NaN)");
}

sonde_code histogram_check(const struct histogram *h, struct sonde_err *err)
{
    uint64_t count = 0;
    sonde_code rc;

    if (h->positive.bucket_count + h->negative.bucket_count >
            HISTOGRAM_BUCKETS_MAX ||
        h->positive.span_count + h->negative.span_count >
            HISTOGRAM_BUCKETS_MAX ||
        h->custom_count > HISTOGRAM_BUCKETS_MAX)
        return sonde_err_set(err, SONDE_EINVAL,
                             "histogram has more than %d buckets",
                             HISTOGRAM_BUCKETS_MAX);
    rc = check_schema(h, err);
    if (rc == SONDE_OK)
        rc = check_side(h, &h->positive, &count, err);
    if (rc == SONDE_OK)
        rc = check_side(h, &h->negative, &count, err);
    return rc == SONDE_OK ? check_total(h, count, err) : rc;
}
