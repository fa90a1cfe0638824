/* SPDX-License-Identifier: Apache-2.0 */
/* Samples and durations in the letters that promtool prints. */
#include <inttypes.h>
#include <math.h>

#include "cli/tsdb_cmd.h"
#include "model/histogram_bounds.h"
#include "model/number.h"
#include "util/utf8.h"

void print_labels(struct buf *b, const struct labels *l)
{
    buf_char(b, '{');
    for (size_t i = 0; i < l->count; i++) {
        if (i)
            buf_cstr(b, ", ");
        if (label_name_is_legacy(l->items[i].name))
            buf_put(b, l->items[i].name);
        else
            buf_quote(b, l->items[i].name);
        buf_char(b, '=');
        buf_quote(b, l->items[i].value);
    }
    buf_char(b, '}');
}

void print_value(struct buf *b, double v)
{
    if (v == 0 && signbit(v))
        buf_char(b, '-');
    buf_number(b, v, NUMBER_TEXT);
}

/* ---- histograms --------------------------------------------------------- */

static double bound(const struct histogram *h, int64_t index)
{
    if (h->schema != HISTOGRAM_CUSTOM)
        return histogram_bound(h->schema, index);
    if (index < 0)
        return -INFINITY;
    return (uint64_t)index < h->custom_count ? h->custom_bounds[index]
                                             : INFINITY;
}

struct bucket {
    double lower, upper; /* of the positive side                          */
    union histogram_count count;
};

/* The buckets of a side that are not empty, from zero outwards. */
static size_t side_buckets(const struct histogram *h,
                           const struct histogram_side *side,
                           struct bucket *out)
{
    int64_t index = 0, sum = 0;
    size_t at = 0, n = 0;

    for (size_t s = 0; s < side->span_count; s++) {
        index += side->spans[s].offset;
        for (uint32_t i = 0; i < side->spans[s].length; i++, index++, at++) {
            struct bucket *k = &out[n];
            bool any;

            if (h->is_float) {
                k->count.f = side->buckets.f[at];
                any = k->count.f != 0;
            } else {
                sum += side->buckets.i[at];
                k->count.i = (uint64_t)sum;
                any = sum != 0;
            }
            k->lower = bound(h, index - 1);
            k->upper = bound(h, index);
            n += any;
        }
    }
    return n;
}

static void put_count(struct buf *b, const struct histogram *h,
                      union histogram_count c)
{
    if (h->is_float)
        print_value(b, c.f);
    else
        buf_uint(b, c.i);
}

static void put_bucket(struct buf *b, const struct histogram *h, char open,
                       double lower, double upper, char close,
                       union histogram_count count)
{
    buf_printf(b, ", %c", open);
    print_value(b, lower);
    buf_char(b, ',');
    print_value(b, upper);
    buf_printf(b, "%c:", close);
    put_count(b, h, count);
}

void print_histogram(struct buf *b, const struct histogram *h)
{
    struct arena a;
    struct bucket *k;
    size_t n;

    arena_init(&a);
    buf_cstr(b, "{count:");
    put_count(b, h, h->count);
    buf_cstr(b, ", sum:");
    print_value(b, h->sum);
    k = arena_array(&a, struct bucket,
                    h->negative.bucket_count + h->positive.bucket_count + 1);
    n = side_buckets(h, &h->negative, k);
    while (n--)
        put_bucket(b, h, '[', -k[n].upper, -k[n].lower, ')', k[n].count);
    if (h->is_float ? h->zero_count.f != 0 : h->zero_count.i != 0)
        put_bucket(b, h, '[', -h->zero_threshold, h->zero_threshold, ']',
                   h->zero_count);
    n = side_buckets(h, &h->positive, k);
    for (size_t i = 0; i < n; i++)
        put_bucket(b, h, isinf(k[i].lower) ? '[' : '(', k[i].lower, k[i].upper,
                   ']', k[i].count);
    buf_char(b, '}');
    arena_fini(&a);
}

/* ---- durations ---------------------------------------------------------- */

void print_duration(struct buf *b, sonde_msec d)
{
    uint64_t ms = d < 0 ? 0 - (uint64_t)d : (uint64_t)d;
    unsigned rest = (unsigned)(ms % 1000);

    if (d < 0)
        buf_char(b, '-');
    if (ms && ms < 1000) {
        buf_printf(b, "%ums", rest);
        return;
    }
    if (ms >= 3600000)
        buf_printf(b, "%" PRIu64 "h", ms / 3600000);
    if (ms >= 60000)
        buf_printf(b, "%" PRIu64 "m", ms / 60000 % 60);
    buf_printf(b, "%" PRIu64, ms / 1000 % 60);
    if (rest) {
        buf_printf(b, ".%03u", rest);
        while (b->data[b->len - 1] == '0')
            b->len--;
    }
    buf_char(b, 's');
}
