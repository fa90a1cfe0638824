/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histograms under operators: unary minus, with a scalar, with each other,
 * and what of them can be compared. What is not possible has no value, and a
 * note says so.
 */
#include <math.h>

#include "model/number.h"
#include "promql/call.h"
#include "promql/hist.h"
#include "util/buf.h"

static const char *op_text(const struct node *n)
{
    return promql_op_name(n->expr->binary.op);
}

void note_operands(const struct node *n, bool left_histogram,
                   bool right_histogram)
{
    note_info(n->exec, n->expr,
              "incompatible sample types encountered for binary operator "
              "\"%s\": %s %s %s",
              op_text(n), left_histogram ? "histogram" : "float", op_text(n),
              right_histogram ? "histogram" : "float");
}

const struct histogram *histogram_unhinted(struct arena *a,
                                           const struct histogram *h)
{
    struct histogram *copy = histogram_dup(a, h);

    if (copy->hint != HISTOGRAM_GAUGE)
        copy->hint = HISTOGRAM_UNKNOWN_RESET;
    return copy;
}

/* ---- with a scalar ------------------------------------------------------- */

static const struct histogram *
scaled(struct arena *a, const struct histogram *h, double f, bool divide)
{
    struct hist work = hist_open(a, h);

    if (divide)
        hist_divide(&work, f);
    else
        hist_multiply(&work, f);
    return hist_close(a, &work);
}

void row_negate_histograms(struct node *n, struct worker *w, struct row *r)
{
    for (size_t k = 0; k < n->steps.count; k++)
        if (r->h[k])
            row_put(
                n, w, r, k,
                &(struct point){ 0, scaled(&w->arena, r->h[k], -1, false) });
}

static bool with_number(struct node *n, struct worker *w,
                        const struct histogram *h, double f, bool number_left,
                        struct point *out)
{
    enum promql_op op = n->expr->binary.op;

    if (op == PROMQL_MUL || (op == PROMQL_DIV && !number_left)) {
        out->h = scaled(&w->arena, h, f, op == PROMQL_DIV);
        return true;
    }
    if (promql_op_trims(op) && !number_left) {
        out->h = histogram_trim(&w->arena, h, f, op == PROMQL_TRIM_UPPER);
        return true;
    }
    note_operands(n, !number_left, number_left);
    return false;
}

void histograms_with_scalar(struct node *n, struct worker *w,
                            const double *scalar, bool scalar_left,
                            struct row *r)
{
    for (size_t k = 0; k < n->steps.count; k++) {
        struct point p = { 0 };

        if (!r->h[k])
            continue;
        if (with_number(n, w, r->h[k], scalar[k], scalar_left, &p))
            row_put(n, w, r, k, &p);
        else
            row_clear(r, k);
    }
}

/* ---- with each other ----------------------------------------------------- */

static bool added(struct node *n, struct worker *w, const struct histogram *l,
                  const struct histogram *r, struct point *out)
{
    bool minus = n->expr->binary.op == PROMQL_SUB;
    const char *what = minus ? "subtraction" : "addition";
    struct hist a = hist_open(&w->arena, l), b = hist_open(&w->arena, r);
    unsigned met =
        minus ? hist_subtract(&w->arena, &a, &b) : hist_add(&w->arena, &a, &b);

    if (met & HIST_INCOMPATIBLE) {
        note_warning(n->exec, n->expr,
                     "incompatible bucket layout encountered for binary "
                     "operator %s",
                     op_text(n));
        return false;
    }
    if (met & HIST_RECONCILED)
        note_info(n->exec, n->expr,
                  "mismatched custom buckets were reconciled during %s", what);
    if (met & HIST_RESET_CONFLICT) {
        note_warning(n->exec, n->expr,
                     "conflicting counter resets during histogram %s", what);
        return false;
    }
    out->h = hist_close(&w->arena, &a);
    return true;
}

static bool compared(struct node *n, const struct histogram *l,
                     const struct histogram *r, struct point *out)
{
    bool equal = histogram_equal(l, r);
    bool keep = n->expr->binary.op == PROMQL_EQL ? equal : !equal;

    if (n->expr->binary.return_bool) {
        *out = (struct point){ keep, NULL };
        return true;
    }
    *out = (struct point){ l->sum, l };
    return keep;
}

bool binary_takes(enum promql_op op, bool left_histogram, bool right_histogram)
{
    bool trims = promql_op_trims(op);

    if (left_histogram && right_histogram)
        return op == PROMQL_ADD || op == PROMQL_SUB || op == PROMQL_EQL ||
               op == PROMQL_NEQ;
    if (left_histogram)
        return op == PROMQL_MUL || op == PROMQL_DIV || trims;
    if (right_histogram)
        return op == PROMQL_MUL;
    return !trims;
}

bool histogram_binary(struct node *n, struct worker *w, const struct point *l,
                      const struct point *r, struct point *out)
{
    enum promql_op op = n->expr->binary.op;

    *out = (struct point){ 0 };
    if (!l->h)
        return with_number(n, w, r->h, l->v, true, out);
    if (!r->h)
        return with_number(n, w, l->h, r->v, false, out);
    if (op == PROMQL_ADD || op == PROMQL_SUB)
        return added(n, w, l->h, r->h, out);
    if (op == PROMQL_EQL || op == PROMQL_NEQ)
        return compared(n, l->h, r->h, out);
    note_operands(n, true, true);
    return false;
}

/* ---- text ---------------------------------------------------------------- */

static void put_bucket(struct buf *b, char open, double lower, double upper,
                       char close, double n)
{
    if (n == 0)
        return;
    buf_printf(b, ", %c", open);
    buf_number(b, lower, NUMBER_TEXT);
    buf_char(b, ',');
    buf_number(b, upper, NUMBER_TEXT);
    buf_printf(b, "%c:", close);
    buf_number(b, n, NUMBER_TEXT);
}

sonde_str histogram_text(struct arena *a, const struct histogram *h)
{
    struct hist_walk w = hist_walk_begin(a, h);
    struct hist_range r;
    sonde_str text;
    struct buf b;

    buf_init(&b);
    buf_cstr(&b, "{count:");
    buf_number(&b, h->count.f, NUMBER_TEXT);
    buf_cstr(&b, ", sum:");
    buf_number(&b, h->sum, NUMBER_TEXT);
    while (hist_walk_next(&w, &r))
        put_bucket(&b, r.lower_in ? '[' : '(', r.lower, r.upper,
                   r.upper_in ? ']' : ')', r.n);
    buf_char(&b, '}');
    text = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

/* ---- comparing ----------------------------------------------------------- */

static bool same_side(const struct histogram_side *a,
                      const struct histogram_side *b)
{
    return a->span_count == b->span_count &&
           a->bucket_count == b->bucket_count &&
           (a->span_count == 0 ||
            memcmp(a->spans, b->spans, a->span_count * sizeof(*a->spans)) ==
                0) &&
           (a->bucket_count == 0 ||
            memcmp(a->buckets.f, b->buckets.f,
                   a->bucket_count * sizeof(*a->buckets.f)) == 0);
}

static bool same_bits(double a, double b)
{
    return double_bits(a) == double_bits(b);
}

bool histogram_equal(const struct histogram *a, const struct histogram *b)
{
    return a->schema == b->schema && same_bits(a->count.f, b->count.f) &&
           same_bits(a->sum, b->sum) &&
           (a->schema == HISTOGRAM_CUSTOM
                ? histogram_bounds_same(a, b)
                : a->zero_threshold == b->zero_threshold &&
                      same_bits(a->zero_count.f, b->zero_count.f) &&
                      same_side(&a->negative, &b->negative)) &&
           same_side(&a->positive, &b->positive);
}
