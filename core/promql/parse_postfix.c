/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind an expression and binds to it: [5m], [1h:1m], offset, @,
 * anchored, smoothed.
 */
#include <math.h>

#include "promql/parse_int.h"
#include "util/str.h"

static const char spans_wanted[] = "number, duration, step(), or range()";

static struct promql_expr *selector_of(struct promql_expr *e)
{
    if (e->kind == PROMQL_SELECTOR)
        return e;
    return e->kind == PROMQL_RANGE ? e->range.selector : NULL;
}

static struct promql_shift *shift_of(struct promql_expr *e)
{
    struct promql_expr *selector = selector_of(e);

    if (selector)
        return &selector->selector.shift;
    return e->kind == PROMQL_SUBQUERY ? &e->subquery.shift : NULL;
}

/* ---- spans --------------------------------------------------------------- */

/* What is but a number becomes milliseconds, all else stays to be worked
 * out. */
static void settle(struct promql_span *s, sonde_msec *ms,
                   struct promql_span **left)
{
    if (s->kind == PROMQL_SPAN_NUMBER)
        *ms = (sonde_msec)(round(s->value * 1e9) / 1e6);
    else
        *left = s;
}

/* ---- offset -------------------------------------------------------------- */

void parse_offset(struct parser *p, struct promql_expr *e)
{
    struct promql_shift *s = shift_of(e);
    struct promql_span *span;

    parse_advance(p);
    span = parse_offset_span(p, "offset", spans_wanted);
    if (p->failed)
        return;
    if (!s)
        parse_fail(p, e->begin,
                   "offset modifier must be preceded by an instant vector "
                   "selector or range vector selector or a subquery");
    else if (s->offset_ms || s->offset)
        parse_fail(p, e->begin, "offset may not be set multiple times");
    else
        settle(span, &s->offset_ms, &s->offset);
}

/* ---- @ ------------------------------------------------------------------- */

/* A signed number or duration, in seconds, or start() or end(); up to its last
 * token, which is not taken: what is wrong with the time is told before what
 * is wrong behind it. */
static bool parse_time(struct parser *p, double *seconds, enum promql_at *at)
{
    double sign = 1;

    *at = PROMQL_AT_TIME;
    if (p->token.kind == TOKEN_START || p->token.kind == TOKEN_ENDWORD) {
        *at = p->token.kind == TOKEN_START ? PROMQL_AT_START : PROMQL_AT_END;
        parse_advance(p);
        if (parse_expect(p, TOKEN_LPAREN, "@", "timestamp") &&
            p->token.kind != TOKEN_RPAREN)
            parse_unexpected(p, "@", "timestamp");
        return !p->failed;
    }
    if (p->token.kind == TOKEN_OP &&
        (p->token.op == PROMQL_ADD || p->token.op == PROMQL_SUB)) {
        sign = p->token.op == PROMQL_SUB ? -1 : 1;
        parse_advance(p);
    }
    if (p->token.kind != TOKEN_NUMBER && p->token.kind != TOKEN_DURATION)
        parse_unexpected(p, "@", "timestamp");
    else if (p->token.problem)
        parse_fail(p, p->token.begin, "%s", p->token.problem);
    *seconds = sign * p->token.number;
    return !p->failed;
}

static void check_time(struct parser *p, const struct promql_expr *e,
                       double seconds)
{
    if (isnan(seconds) || isinf(seconds))
        parse_fail(p, e->begin, "timestamp out of bounds for @ modifier: %s",
                   isnan(seconds) ? "NaN"
                   : seconds > 0  ? "+Inf"
                                  : "-Inf");
    else if (fabs(seconds) >= 9223372036854775807.0)
        parse_fail(p, e->begin, "timestamp out of bounds for @ modifier: %f",
                   seconds);
}

void parse_at(struct parser *p, struct promql_expr *e)
{
    struct promql_shift *s = shift_of(e);
    enum promql_at at;
    double seconds = 0;

    parse_advance(p);
    if (!parse_time(p, &seconds, &at))
        return;
    check_time(p, e, seconds);
    if (!s)
        parse_fail(p, e->begin,
                   "@ modifier must be preceded by an instant vector selector "
                   "or range vector selector or a subquery");
    else if (s->at != PROMQL_AT_NONE)
        parse_fail(p, e->begin, "@ <timestamp> may not be set multiple times");
    if (p->failed)
        return;
    s->at = at;
    s->at_ms =
        (sonde_msec)fmax(fmin(round(seconds * 1000), AT_MAX_MS), -AT_MAX_MS);
    parse_advance(p);
}

/* ---- anchored, smoothed -------------------------------------------------- */

void parse_edges(struct parser *p, struct promql_expr *e)
{
    enum promql_edges edges = p->token.kind == TOKEN_ANCHORED
                                  ? PROMQL_EDGES_ANCHORED
                                  : PROMQL_EDGES_SMOOTHED;
    const char *name = edges == PROMQL_EDGES_ANCHORED ? "anchored" : "smoothed";
    struct promql_expr *selector = selector_of(e);

    parse_advance(p);
    if (!(p->features & PROMQL_EXTENDED_RANGES))
        parse_fail(p, e->begin, "%s modifier is experimental and not enabled",
                   name);
    else if (e->kind == PROMQL_SUBQUERY)
        parse_fail(p, e->begin, "%s modifier is not supported for subqueries",
                   name);
    else if (!selector)
        parse_fail(p, e->begin, "%s modifier not implemented", name);
    else if (selector->selector.edges != PROMQL_EDGES_PLAIN &&
             selector->selector.edges != edges)
        parse_fail(p, e->begin,
                   "anchored and smoothed modifiers cannot be used together");
    else
        selector->selector.edges = edges;
}

/* ---- brackets ------------------------------------------------------------ */

/* A positive span within brackets. */
static struct promql_span *parse_positive(struct parser *p, const char *context,
                                          const char *wanted)
{
    struct promql_span *s = parse_span(p, context, wanted);

    if (!p->failed && s->kind == PROMQL_SPAN_NUMBER && !(s->value > 0))
        parse_fail(p, s->begin, "duration must be greater than 0");
    return s;
}

static struct promql_expr *make_range(struct parser *p, struct promql_expr *of,
                                      struct promql_span *range, size_t bracket)
{
    struct promql_expr *e = parse_node(p, PROMQL_RANGE, of->begin);
    const struct promql_shift *s = shift_of(of);

    e->type = PROMQL_MATRIX;
    e->range.selector = of;
    settle(range, &e->range.range_ms, &e->range.range);
    if (of->kind != PROMQL_SELECTOR)
        parse_fail(p, bracket, "ranges only allowed for vector selectors");
    else if (s->offset_ms || s->offset)
        parse_fail(p, bracket, "no offset modifiers allowed before range");
    else if (s->at != PROMQL_AT_NONE)
        parse_fail(p, bracket, "no @ modifiers allowed before range");
    return e;
}

static struct promql_expr *make_subquery(struct parser *p,
                                         struct promql_expr *of,
                                         struct promql_span *range)
{
    struct promql_expr *e = parse_node(p, PROMQL_SUBQUERY, of->begin);

    e->type = PROMQL_MATRIX;
    e->subquery.expr = of;
    parse_chain(p, e, of);
    settle(range, &e->subquery.range_ms, &e->subquery.range);
    if (p->token.kind != TOKEN_RBRACKET) {
        struct promql_span *step =
            parse_positive(p, "subquery selector",
                           "number, duration, step(), range(), or "
                           "\"]\"");

        if (!p->failed)
            settle(step, &e->subquery.step_ms, &e->subquery.step);
    }
    if (!p->failed)
        (void)parse_expect(p, TOKEN_RBRACKET, "subquery selector", "\"]\"");
    e->end = p->token.begin;
    return e;
}

struct promql_expr *parse_brackets(struct parser *p, struct promql_expr *of)
{
    size_t bracket = p->token.begin;
    struct promql_span *range;

    parse_advance(p);
    range = parse_positive(p, "subquery or range selector", spans_wanted);
    if (p->failed)
        return of;
    if (parse_accept(p, TOKEN_RBRACKET))
        return make_range(p, of, range, bracket);
    if (!parse_expect(p, TOKEN_COLON, "subquery or range", "\":\" or \"]\""))
        return of;
    return make_subquery(p, of, range);
}
