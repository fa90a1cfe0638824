/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binary operators with a scalar on at least one side; vectors against
 * vectors are match.c's. Comparisons filter: what is not true has no value;
 * with `bool` it is 0 or 1.
 */
#include <math.h>

#include "promql/engine.h"

double binary_floats(enum promql_op op, double a, double b)
{
    switch (op) {
    case PROMQL_ADD:
        return a + b;
    case PROMQL_SUB:
        return a - b;
    case PROMQL_MUL:
        return a * b;
    case PROMQL_DIV:
        return a / b;
    case PROMQL_MOD:
        return fmod(a, b);
    case PROMQL_POW:
        return pow(a, b);
    case PROMQL_ATAN2:
        return atan2(a, b);
    case PROMQL_EQL:
        return a == b;
    case PROMQL_NEQ:
        return a != b;
    case PROMQL_LSS:
        return a < b;
    case PROMQL_LTE:
        return a <= b;
    case PROMQL_GTR:
        return a > b;
    case PROMQL_GTE:
        return a >= b;
    default: /* set operators and aggregations have no numbers */
        SONDE_BUG("operator %d between numbers", (int)op);
    }
}

struct with_scalar {
    struct node node;
    struct node *vector; /* or the left scalar of two                      */
    double *scalar;      /* by step                                        */
    bool scalar_left;
    bool filters; /* a comparison without bool                             */
};

static double clean(double v)
{
    return promql_absent(v) ? bits_double(NORMAL_NAN_BITS) : v;
}

/* What trims has no value for floats. */
static void refuse_floats(const struct with_scalar *b, struct row *r)
{
    for (size_t k = 0; k < b->node.steps.count; k++) {
        if (!row_has(r, k) || row_histogram(r, k))
            continue;
        note_operands(&b->node, false, false);
        row_clear(r, k);
    }
}

static void floats_with_scalar(const struct with_scalar *b, struct row *r)
{
    enum promql_op op = b->node.expr->binary.op;

    for (size_t k = 0; k < b->node.steps.count; k++) {
        double result;

        if (!row_has(r, k) || row_histogram(r, k))
            continue;
        result = b->scalar_left ? binary_floats(op, b->scalar[k], r->v[k])
                                : binary_floats(op, r->v[k], b->scalar[k]);
        if (!b->filters)
            r->v[k] = clean(result);
        else if (result == 0)
            row_clear(r, k);
    }
}

static sonde_code with_scalar_row(struct node *n, size_t i, struct worker *w,
                                  struct row *out, struct sonde_err *err)
{
    struct with_scalar *b = (struct with_scalar *)n;
    sonde_code rc = node_row(b->vector, i, w, out, err);

    if (rc != SONDE_OK)
        return rc;
    row_own(n, w, out);
    if (promql_op_trims(n->expr->binary.op))
        refuse_floats(b, out);
    else
        floats_with_scalar(b, out);
    if (out->h)
        histograms_with_scalar(n, w, b->scalar, b->scalar_left, out);
    return SONDE_OK;
}

static const struct node_ops with_scalar_ops = { .row = with_scalar_row };

static sonde_code with_scalar_make(struct exec *x, const struct promql_expr *e,
                                   const struct steps *steps, struct node **out,
                                   struct sonde_err *err)
{
    struct with_scalar *b = node_new(x, sizeof(*b), &with_scalar_ops, e, steps);
    const struct promql_expr *vector = e->binary.lhs, *scalar = e->binary.rhs;
    sonde_code rc;

    if (e->type == PROMQL_SCALAR && promql_op_trims(e->binary.op))
        return exec_error(err,
                          "operator \"%s\" not allowed for Scalar "
                          "operations",
                          promql_op_name(e->binary.op));
    b->scalar_left =
        vector->type == PROMQL_SCALAR && scalar->type != PROMQL_SCALAR;
    if (b->scalar_left) {
        vector = e->binary.rhs;
        scalar = e->binary.lhs;
    }
    b->filters = promql_op_is_comparison(e->binary.op) &&
                 !e->binary.return_bool && e->type == PROMQL_VECTOR;
    rc = node_make(x, vector, steps, &b->vector, err);
    if (rc == SONDE_OK)
        rc = node_scalar(x, scalar, steps, &b->scalar, err);
    if (rc != SONDE_OK)
        return rc;
    if (b->filters || promql_op_trims(e->binary.op))
        series_keep(&b->node, b->vector);
    else
        series_drop_names(&b->node, b->vector);
    return node_unique(&b->node, out, err);
}

sonde_code binary_make(struct exec *x, const struct promql_expr *e,
                       const struct steps *steps, struct node **out,
                       struct sonde_err *err)
{
    if (e->binary.lhs->type == PROMQL_VECTOR &&
        e->binary.rhs->type == PROMQL_VECTOR)
        return match_make(x, e, steps, out, err);
    return with_scalar_make(x, e, steps, out, err);
}
