/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations that are expressions: [step() * 2], offset (range() / 2). They are
 * worked out once for each query, all of them before anything else, so that
 * what is wrong with one is told first.
 *
 * The tree is shared by all who run it, so nothing is stored in it; places
 * that need the value ask for it again.
 */
#include <math.h>

#include "promql/call.h"
#include "promql/engine.h"

static sonde_code span_error(const struct promql_span *s, const char *text,
                             struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EPARSE, "%zu:%zu: %s", s->begin, s->end,
                         text);
}

static sonde_code operate(const struct promql_span *s, double a, double b,
                          double *out, struct sonde_err *err)
{
    if (b == 0 && s->op == PROMQL_DIV)
        return span_error(s, "division by zero", err);
    if (b == 0 && s->op == PROMQL_MOD)
        return span_error(s, "modulo by zero", err);
    *out = binary_floats(s->op, a, b);
    return SONDE_OK;
}

static sonde_code seconds(const struct promql_query *q,
                          const struct promql_span *s, double *out,
                          struct sonde_err *err)
{
    double a = 0, b = 0;
    sonde_code rc = s->lhs ? seconds(q, s->lhs, &a, err) : SONDE_OK;

    if (rc == SONDE_OK && s->rhs)
        rc = seconds(q, s->rhs, &b, err);
    if (rc != SONDE_OK)
        return rc;
    switch (s->kind) {
    case PROMQL_SPAN_NUMBER:
        *out = s->value;
        break;
    case PROMQL_SPAN_STEP:
        *out = (double)q->step / 1000;
        break;
    case PROMQL_SPAN_RANGE:
        *out = (double)(q->end - q->start) / 1000;
        break;
    case PROMQL_SPAN_MIN:
        *out = min_of(a, b);
        break;
    case PROMQL_SPAN_MAX:
        *out = max_of(a, b);
        break;
    case PROMQL_SPAN_NEGATE:
        *out = -b;
        break;
    case PROMQL_SPAN_BINARY:
        return operate(s, a, b, out, err);
    }
    return SONDE_OK;
}

/* An int64 of nanoseconds: sums of times and spans stay in an int64. */
#define SPAN_MAX_S 9223372036.0

static sonde_code span_value(const struct promql_query *q,
                             const struct promql_span *s, bool positive,
                             sonde_msec *out, struct sonde_err *err)
{
    double v;
    sonde_code rc = seconds(q, s, &v, err);

    if (rc != SONDE_OK)
        return rc;
    if (isnan(v) || isinf(v))
        return span_error(s, "duration is NaN or infinite", err);
    if (positive && v <= 0)
        return span_error(s, "duration must be greater than 0", err);
    if (fabs(v) > SPAN_MAX_S)
        return span_error(s, "duration is out of range", err);
    *out = (sonde_msec)(v * 1000);
    return SONDE_OK;
}

sonde_msec span_ms(const struct exec *x, const struct promql_span *s,
                   sonde_msec literal)
{
    struct sonde_err ignored;
    sonde_msec ms = literal;

    if (s && span_value(x->query, s, false, &ms, &ignored) != SONDE_OK)
        SONDE_BUG("a duration expression was not checked");
    return ms;
}

static sonde_code check(const struct promql_query *q,
                        const struct promql_span *s, bool positive,
                        struct sonde_err *err)
{
    sonde_msec ignored;

    return s ? span_value(q, s, positive, &ignored, err) : SONDE_OK;
}

static sonde_code check_own(const struct promql_query *q,
                            const struct promql_expr *e, struct sonde_err *err)
{
    sonde_code rc;

    switch (e->kind) {
    case PROMQL_SELECTOR:
        return check(q, e->selector.shift.offset, false, err);
    case PROMQL_RANGE:
        return check(q, e->range.range, true, err);
    case PROMQL_SUBQUERY:
        rc = check(q, e->subquery.shift.offset, false, err);
        if (rc == SONDE_OK)
            rc = check(q, e->subquery.step, true, err);
        return rc == SONDE_OK ? check(q, e->subquery.range, true, err) : rc;
    default:
        return SONDE_OK;
    }
}

sonde_code spans_check(const struct promql_query *q,
                       const struct promql_expr *e, struct sonde_err *err)
{
    const struct promql_expr *child;
    sonde_code rc = check_own(q, e, err);

    for (size_t i = 0; rc == SONDE_OK && (child = promql_child(e, i)); i++)
        rc = spans_check(q, child, err);
    return rc;
}
