/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recursive-descent parser with precedence climbing. Prometheus generates
 * its parser from a grammar; what is accepted, the tree and the position and
 * text of the first error are meant to be the same. Nesting is bounded, so
 * that ten thousand parentheses are an error and not an overflow.
 *
 * Precedence, high to low: [..] offset @ (postfix), ^ (right), unary and
 * * / % atan2, + -, comparisons, and unless, or.
 */
#include <math.h>
#include <string.h>

#include "promql/parse_int.h"
#include "util/str.h"

#define TEXT_BYTES_DEFAULT ((size_t)1 << 20)
#define DEPTH_DEFAULT      200
/* a + b + c + ... and x[1m:][1m:]... do not nest in the text, but in the tree,
 * which is walked by recursion. */
#define CHAIN_MAX 1000

/* ---- errors -------------------------------------------------------------- */

void parse_fail(struct parser *p, size_t at, const char *fmt, ...)
{
    size_t line = 1, column = 1;
    char text[512];
    va_list ap;

    if (p->failed)
        return;
    p->failed = true;
    for (size_t i = 0; i < at && i < p->lex.in.len; i++) {
        column++;
        if (p->lex.in.ptr[i] == '\n') {
            line++;
            column = 1;
        }
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)sonde_err_set(p->err, SONDE_EPARSE, "%zu:%zu: parse error: %s", line,
                        column, text);
}

void parse_advance(struct parser *p)
{
    if (p->failed) {
        p->token.kind = TOKEN_END;
        return;
    }
    lex_next(&p->lex, &p->token);
    if (p->token.kind == TOKEN_ERROR) {
        parse_fail(p, p->lex.error_at, "%s", p->lex.error);
        p->token.kind = TOKEN_END;
    }
}

void parse_unexpected(struct parser *p, const char *context,
                      const char *expected)
{
    parse_fail(p, p->token.begin, "unexpected %s%s%s%s%s",
               token_describe(p->arena, &p->token), context ? " in " : "",
               context ? context : "", expected ? ", expected " : "",
               expected ? expected : "");
}

struct promql_expr *parse_node(struct parser *p, enum promql_kind kind,
                               size_t begin)
{
    struct promql_expr *e = arena_new(p->arena, struct promql_expr);

    e->kind = kind;
    e->begin = begin;
    e->end = p->token.begin;
    return e;
}

static bool accept(struct parser *p, enum token_kind kind)
{
    if (p->token.kind != kind)
        return false;
    parse_advance(p);
    return true;
}

static bool expect(struct parser *p, enum token_kind kind, const char *context,
                   const char *expected)
{
    if (accept(p, kind))
        return true;
    parse_unexpected(p, context, expected);
    return false;
}

static struct promql_expr *parse_binary(struct parser *p, int level);

static void chain(struct parser *p, struct promql_expr *e,
                  const struct promql_expr *below)
{
    e->chain = below->chain + 1;
    if (e->chain > CHAIN_MAX)
        parse_fail(p, e->begin,
                   "expression nests too deeply (more than %d operators in a "
                   "row)",
                   CHAIN_MAX);
}

/* ---- label lists --------------------------------------------------------- */

#define LABELS_MAX 256

static struct sonde_list parse_labels(struct parser *p)
{
    sonde_str *items = arena_array(p->arena, sonde_str, LABELS_MAX);
    struct sonde_list list = { .items = items };

    if (!expect(p, TOKEN_LPAREN, "grouping opts", "\"(\""))
        return list;
    while (!p->failed && p->token.kind != TOKEN_RPAREN) {
        if (!token_is_label_name(&p->token) && p->token.kind != TOKEN_STRING)
            parse_unexpected(p, "grouping opts", "label");
        else if (p->token.kind == TOKEN_METRIC)
            parse_unexpected(p, "grouping opts", "label");
        else if (p->token.kind == TOKEN_STRING &&
                 (p->token.text.len == 0 || !str_is_utf8(p->token.text)))
            parse_fail(p, p->token.begin,
                       "invalid label name for grouping: \"%.*s\"",
                       SONDE_ARG(p->token.text));
        else if (list.count == LABELS_MAX)
            parse_fail(p, p->token.begin, "more than %d labels", LABELS_MAX);
        if (p->failed)
            return list;
        items[list.count++] = p->token.text;
        parse_advance(p);
        if (!accept(p, TOKEN_COMMA) && p->token.kind != TOKEN_RPAREN)
            parse_unexpected(p, "grouping opts", "\",\" or \")\"");
    }
    parse_advance(p);
    return list;
}

/* ---- calls and aggregations ---------------------------------------------- */

#define ARGS_MAX 64

static size_t parse_args(struct parser *p, struct promql_expr ***out)
{
    struct promql_expr **args =
        arena_array(p->arena, struct promql_expr *, ARGS_MAX);
    size_t n = 0;

    *out = args;
    if (!expect(p, TOKEN_LPAREN, "function call", "\"(\""))
        return 0;
    if (accept(p, TOKEN_RPAREN))
        return 0;
    while (!p->failed) {
        if (n == ARGS_MAX) {
            parse_fail(p, p->token.begin, "more than %d arguments", ARGS_MAX);
            return n;
        }
        args[n++] = parse_binary(p, 0);
        if (accept(p, TOKEN_RPAREN))
            return n;
        if (!expect(p, TOKEN_COMMA, NULL, NULL))
            return n;
        if (p->token.kind == TOKEN_RPAREN)
            parse_fail(p, p->token.begin,
                       "trailing commas not allowed in function call args");
    }
    return n;
}

static struct promql_expr *parse_call(struct parser *p,
                                      const struct token *name)
{
    struct promql_expr *e;
    const struct promql_function *f = promql_function_find(name->text);
    struct promql_expr **args;
    size_t n;

    if (!f) {
        parse_fail(p, name->begin, "unknown function with name \"%.*s\"",
                   SONDE_ARG(name->text));
        return NULL;
    }
    n = parse_args(p, &args);
    e = parse_node(p, PROMQL_CALL, name->begin);
    e->type = f->returns;
    e->call.function = f;
    e->call.args = args;
    e->call.count = n;
    if (f->experimental && !(p->features & PROMQL_EXPERIMENTAL_FUNCTIONS))
        parse_fail(p, name->begin, "function \"%s\" is not enabled", f->name);
    return e;
}

static bool op_has_param(enum promql_op op)
{
    switch (op) {
    case PROMQL_TOPK:
    case PROMQL_BOTTOMK:
    case PROMQL_COUNT_VALUES:
    case PROMQL_QUANTILE:
    case PROMQL_LIMITK:
    case PROMQL_LIMIT_RATIO:
        return true;
    default:
        return false;
    }
}

static bool at_grouping(const struct parser *p)
{
    return p->token.kind == TOKEN_BY || p->token.kind == TOKEN_WITHOUT;
}

static void parse_grouping(struct parser *p, struct promql_expr *e)
{
    e->aggregate.without = p->token.kind == TOKEN_WITHOUT;
    parse_advance(p);
    e->aggregate.labels = parse_labels(p);
}

static void take_aggregate_args(struct parser *p, struct promql_expr *e,
                                struct promql_expr **args, size_t n)
{
    size_t want = op_has_param(e->aggregate.op) ? 2 : 1;

    if (p->failed)
        return;
    if (n == 0)
        parse_fail(p, e->begin,
                   "no arguments for aggregate expression provided");
    else if (n != want)
        parse_fail(p, e->begin,
                   "wrong number of arguments for aggregate expression "
                   "provided, expected %zu, got %zu",
                   want, n);
    if (p->failed)
        return;
    e->aggregate.param = want == 2 ? args[0] : NULL;
    e->aggregate.expr = args[want - 1];
}

static struct promql_expr *parse_aggregate(struct parser *p,
                                           const struct token *name)
{
    struct promql_expr *e = parse_node(p, PROMQL_AGGREGATE, name->begin);
    bool grouped = at_grouping(p);
    struct promql_expr **args;
    size_t n;

    e->type = PROMQL_VECTOR;
    e->aggregate.op = name->op;
    if (grouped)
        parse_grouping(p, e);
    if (!p->failed && p->token.kind != TOKEN_LPAREN) {
        parse_unexpected(p, "aggregation", NULL);
        return e;
    }
    n = parse_args(p, &args);
    take_aggregate_args(p, e, args, n);
    if (!p->failed && at_grouping(p)) {
        if (grouped)
            parse_unexpected(p, "aggregation", NULL);
        else
            parse_grouping(p, e);
    }
    if ((name->op == PROMQL_LIMITK || name->op == PROMQL_LIMIT_RATIO) &&
        !(p->features & PROMQL_EXPERIMENTAL_FUNCTIONS))
        parse_fail(p, name->begin,
                   "%s() is experimental and must be enabled with "
                   "--enable-feature=promql-experimental-functions",
                   promql_op_name(name->op));
    e->end = p->token.begin;
    return e;
}

/* ---- atoms --------------------------------------------------------------- */

static struct promql_expr *parse_literal(struct parser *p)
{
    struct token t = p->token;
    struct promql_expr *e = parse_node(p, PROMQL_NUMBER, t.begin);

    e->end = t.end;
    if (t.kind == TOKEN_STRING) {
        e->kind = PROMQL_TEXT;
        e->type = PROMQL_STRING;
        e->text = t.text;
    } else {
        e->type = PROMQL_SCALAR;
        e->number.value = t.number;
        e->number.duration = t.kind == TOKEN_DURATION;
    }
    parse_advance(p);
    return e;
}

static struct promql_expr *parse_paren(struct parser *p)
{
    size_t begin = p->token.begin;
    struct promql_expr *inner;
    struct promql_expr *e;

    parse_advance(p);
    inner = parse_binary(p, 0);
    if (!p->failed)
        (void)expect(p, TOKEN_RPAREN, NULL, NULL);
    e = parse_node(p, PROMQL_PAREN, begin);
    e->paren = inner;
    e->type = inner ? inner->type : PROMQL_NONE;
    return e;
}

/* A word may begin a call, an aggregation or a selector: what follows it
 * decides, so the lexer is looked ahead on a copy. */
static enum token_kind peek_kind(const struct parser *p)
{
    struct lexer ahead = p->lex;
    struct token t;

    lex_next(&ahead, &t);
    return t.kind;
}

static struct promql_expr *parse_word(struct parser *p)
{
    struct token name = p->token;
    enum token_kind next = peek_kind(p);

    if (name.kind == TOKEN_AGGREGATE &&
        (next == TOKEN_LPAREN || next == TOKEN_BY || next == TOKEN_WITHOUT)) {
        parse_advance(p);
        return parse_aggregate(p, &name);
    }
    if ((name.kind == TOKEN_IDENT || name.kind == TOKEN_START ||
         name.kind == TOKEN_ENDWORD || name.kind == TOKEN_METRIC) &&
        next == TOKEN_LPAREN) {
        parse_advance(p);
        return parse_call(p, &name);
    }
    return parse_selector(p);
}

static struct promql_expr *parse_atom(struct parser *p)
{
    switch (p->token.kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_STRING:
        return parse_literal(p);
    case TOKEN_LPAREN:
        return parse_paren(p);
    case TOKEN_LBRACE:
        return parse_selector(p);
    default:
        if (token_is_metric_name(&p->token))
            return parse_word(p);
        break;
    }
    parse_unexpected(p, NULL, NULL);
    return NULL;
}

/* ---- postfix: ranges, offset, @ ------------------------------------------ */

static struct promql_shift *shift_of(struct promql_expr *e)
{
    switch (e->kind) {
    case PROMQL_SELECTOR:
        return &e->selector.shift;
    case PROMQL_RANGE:
        return &e->range.selector->selector.shift;
    case PROMQL_SUBQUERY:
        return &e->subquery.shift;
    default:
        return NULL;
    }
}

/* A signed number or duration, in milliseconds. */
static bool parse_seconds(struct parser *p, const char *context,
                          const char *expected, double *out)
{
    double sign = 1;

    if (p->token.kind == TOKEN_OP &&
        (p->token.op == PROMQL_ADD || p->token.op == PROMQL_SUB)) {
        sign = p->token.op == PROMQL_SUB ? -1 : 1;
        parse_advance(p);
    }
    if (p->token.kind != TOKEN_NUMBER && p->token.kind != TOKEN_DURATION) {
        if (!p->failed)
            parse_unexpected(p, context, expected);
        return false;
    }
    *out = sign * p->token.number;
    return true;
}

/* A span must fit an int64 of nanoseconds. */
static bool to_ms(struct parser *p, double seconds, sonde_msec *out)
{
    if (!(fabs(seconds) <= 9223372036.0)) {
        parse_fail(p, p->token.begin, "duration out of range");
        return false;
    }
    *out = (sonde_msec)(nearbyint(seconds * 1e9) / 1e6);
    return true;
}

static void parse_offset(struct parser *p, struct promql_expr *e)
{
    struct promql_shift *s = shift_of(e);
    size_t at = p->token.begin;
    double seconds;
    sonde_msec ms = 0;

    parse_advance(p);
    if (!parse_seconds(p, "offset", "number or duration", &seconds) ||
        !to_ms(p, seconds, &ms))
        return;
    if (!s)
        parse_fail(p, e->begin,
                   "offset modifier must be preceded by an instant vector "
                   "selector or range vector selector or a subquery");
    else if (s->offset_ms)
        parse_fail(p, at, "offset may not be set multiple times");
    else
        s->offset_ms = ms;
    parse_advance(p);
}

static void set_at_time(struct parser *p, struct promql_shift *s,
                        double seconds)
{
    if (!(fabs(seconds) < 9223372036854775.0)) {
        parse_fail(p, p->token.begin,
                   "timestamp out of bounds for @ modifier: %f", seconds);
        return;
    }
    s->at = PROMQL_AT_TIME;
    s->at_ms = (sonde_msec)round(seconds * 1000);
}

static void parse_at(struct parser *p, struct promql_expr *e)
{
    struct promql_shift *s = shift_of(e);
    size_t at = p->token.begin;
    double seconds = 0;

    parse_advance(p);
    if (!s) {
        parse_fail(p, e->begin,
                   "@ modifier must be preceded by an instant vector selector "
                   "or range vector selector or a subquery");
        return;
    }
    if (s->at != PROMQL_AT_NONE) {
        parse_fail(p, at, "@ <timestamp> may not be set multiple times");
        return;
    }
    if (p->token.kind == TOKEN_START || p->token.kind == TOKEN_ENDWORD) {
        s->at = p->token.kind == TOKEN_START ? PROMQL_AT_START : PROMQL_AT_END;
        parse_advance(p);
        (void)(expect(p, TOKEN_LPAREN, "@", "\"(\"") &&
               expect(p, TOKEN_RPAREN, "@", "\")\""));
        return;
    }
    if (parse_seconds(p, "@", "timestamp", &seconds))
        set_at_time(p, s, seconds);
    parse_advance(p);
}

/* A positive span within brackets. */
static bool parse_span(struct parser *p, sonde_msec *out)
{
    double seconds;

    if (!parse_seconds(p, "subquery or range selector", "number or duration",
                       &seconds) ||
        !to_ms(p, seconds, out))
        return false;
    if (*out <= 0) {
        parse_fail(p, p->token.begin, "duration must be greater than 0");
        return false;
    }
    parse_advance(p);
    return true;
}

static struct promql_expr *make_range(struct parser *p, struct promql_expr *of,
                                      sonde_msec range_ms)
{
    struct promql_expr *e = parse_node(p, PROMQL_RANGE, of->begin);

    e->type = PROMQL_MATRIX;
    e->range.selector = of;
    e->range.range_ms = range_ms;
    if (of->kind != PROMQL_SELECTOR)
        parse_fail(p, of->begin, "ranges only allowed for vector selectors");
    else if (of->selector.shift.offset_ms)
        parse_fail(p, of->begin, "no offset modifiers allowed before range");
    else if (of->selector.shift.at != PROMQL_AT_NONE)
        parse_fail(p, of->begin, "no @ modifiers allowed before range");
    return e;
}

static struct promql_expr *parse_brackets(struct parser *p,
                                          struct promql_expr *of)
{
    struct promql_expr *e;
    sonde_msec range_ms = 0;

    parse_advance(p);
    if (!parse_span(p, &range_ms))
        return of;
    if (accept(p, TOKEN_RBRACKET))
        return make_range(p, of, range_ms);
    if (!expect(p, TOKEN_COLON, "subquery or range", "\":\" or \"]\""))
        return of;
    e = parse_node(p, PROMQL_SUBQUERY, of->begin);
    e->type = PROMQL_MATRIX;
    e->subquery.expr = of;
    chain(p, e, of);
    e->subquery.range_ms = range_ms;
    if (p->token.kind != TOKEN_RBRACKET && !parse_span(p, &e->subquery.step_ms))
        return e;
    (void)expect(p, TOKEN_RBRACKET, "subquery selector", "\"]\"");
    e->end = p->token.begin;
    return e;
}

static struct promql_expr *parse_postfix(struct parser *p)
{
    struct promql_expr *e = parse_atom(p);

    while (!p->failed && e) {
        if (p->token.kind == TOKEN_LBRACKET)
            e = parse_brackets(p, e);
        else if (p->token.kind == TOKEN_OFFSET)
            parse_offset(p, e);
        else if (p->token.kind == TOKEN_AT)
            parse_at(p, e);
        else
            break;
    }
    return e;
}

/* ---- operators ----------------------------------------------------------- */

enum {
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_COMPARE,
    LEVEL_ADD,
    LEVEL_MUL,
    LEVEL_POW
};

static int op_level(enum promql_op op)
{
    switch (op) {
    case PROMQL_OR:
        return LEVEL_OR;
    case PROMQL_AND:
    case PROMQL_UNLESS:
        return LEVEL_AND;
    case PROMQL_ADD:
    case PROMQL_SUB:
        return LEVEL_ADD;
    case PROMQL_POW:
        return LEVEL_POW;
    default:
        return promql_op_is_comparison(op) ? LEVEL_COMPARE : LEVEL_MUL;
    }
}

static void parse_group(struct parser *p, struct promql_matching *m)
{
    if (p->token.kind != TOKEN_GROUP_LEFT && p->token.kind != TOKEN_GROUP_RIGHT)
        return;
    m->card = p->token.kind == TOKEN_GROUP_LEFT ? PROMQL_MANY_TO_ONE
                                                : PROMQL_ONE_TO_MANY;
    parse_advance(p);
    if (p->token.kind == TOKEN_LPAREN)
        m->include = parse_labels(p);
}

static void parse_modifiers(struct parser *p, struct promql_expr *e)
{
    struct promql_matching *m = &e->binary.matching;

    if (promql_op_is_set(e->binary.op))
        m->card = PROMQL_MANY_TO_MANY;
    e->binary.return_bool = accept(p, TOKEN_BOOL);
    if (p->token.kind != TOKEN_ON && p->token.kind != TOKEN_IGNORING)
        return;
    m->given = true;
    m->on = p->token.kind == TOKEN_ON;
    parse_advance(p);
    m->labels = parse_labels(p);
    if (!p->failed)
        parse_group(p, m);
}

static bool enter(struct parser *p)
{
    if (++p->depth <= p->depth_max)
        return true;
    parse_fail(p, p->token.begin,
               "expression nests too deeply (more than %zu levels)",
               p->depth_max);
    return false;
}

/* -5 is a number, not an operation on one. */
static struct promql_expr *make_unary(struct parser *p, size_t begin,
                                      bool minus, struct promql_expr *of)
{
    struct promql_expr *e;

    if (of->kind == PROMQL_NUMBER) {
        if (minus)
            of->number.value = -of->number.value;
        of->begin = begin;
        return of;
    }
    e = parse_node(p, PROMQL_UNARY, begin);
    e->type = of->type;
    e->unary.minus = minus;
    e->unary.expr = of;
    return e;
}

static struct promql_expr *parse_unary(struct parser *p)
{
    size_t begin = p->token.begin;
    struct promql_expr *of;
    bool minus;

    if (p->token.kind != TOKEN_OP ||
        (p->token.op != PROMQL_ADD && p->token.op != PROMQL_SUB))
        return parse_postfix(p);
    minus = p->token.op == PROMQL_SUB;
    parse_advance(p);
    /* Binds as * does: weaker than ^. */
    of = parse_binary(p, LEVEL_POW);
    return of && !p->failed ? make_unary(p, begin, minus, of) : of;
}

static enum promql_type binary_type(const struct promql_expr *l,
                                    const struct promql_expr *r)
{
    return l->type == PROMQL_SCALAR && r->type == PROMQL_SCALAR ? PROMQL_SCALAR
                                                                : PROMQL_VECTOR;
}

static struct promql_expr *parse_operator(struct parser *p,
                                          struct promql_expr *left, int level)
{
    struct promql_expr *e = parse_node(p, PROMQL_BINARY, left->begin);

    e->binary.op = p->token.op;
    e->binary.lhs = left;
    chain(p, e, left);
    /* Errors about an operation point at its operator. */
    e->end = p->token.begin;
    parse_advance(p);
    parse_modifiers(p, e);
    if (p->failed)
        return e;
    e->binary.rhs = parse_binary(p, level == LEVEL_POW ? level : level + 1);
    if (!p->failed && e->binary.rhs)
        e->type = binary_type(left, e->binary.rhs);
    return e;
}

static struct promql_expr *parse_binary(struct parser *p, int level)
{
    struct promql_expr *e;

    if (!enter(p))
        return NULL;
    e = parse_unary(p);
    while (!p->failed && e && p->token.kind == TOKEN_OP &&
           op_level(p->token.op) >= level)
        e = parse_operator(p, e, op_level(p->token.op));
    p->depth--;
    return e;
}

/* ---- the doors ----------------------------------------------------------- */

static bool begin(struct parser *p, struct arena *a, sonde_str text,
                  struct sonde_err *err)
{
    *p = (struct parser){ .arena = a, .err = err, .depth_max = DEPTH_DEFAULT };
    lex_init(&p->lex, a, text);
    parse_advance(p);
    return !p->failed;
}

static sonde_code finish(struct parser *p, struct promql_expr *e,
                         struct promql_expr **out)
{
    if (!p->failed && p->token.kind != TOKEN_END)
        parse_unexpected(p, NULL, NULL);
    if (!p->failed)
        parse_check(p, e);
    if (p->failed || !e) {
        /* The tree may be in pieces; the selectors are all in the chain. */
        for (e = p->selectors; e; e = e->selector.older)
            promql_fini(e);
        return SONDE_EPARSE;
    }
    *out = e;
    return SONDE_OK;
}

sonde_code promql_parse(struct arena *a, sonde_str text,
                        const struct promql_limits *limits,
                        struct promql_expr **out, struct sonde_err *err)
{
    size_t most =
        limits && limits->text_bytes ? limits->text_bytes : TEXT_BYTES_DEFAULT;
    struct parser p;
    struct promql_expr *e = NULL;

    if (text.len > most)
        return sonde_err_set(err, SONDE_EPARSE,
                             "1:1: parse error: the query has %zu bytes, at "
                             "most %zu are allowed",
                             text.len, most);
    if (begin(&p, a, text, err)) {
        if (limits && limits->depth)
            p.depth_max = limits->depth;
        p.features = limits ? limits->features : 0;
        if (p.token.kind != TOKEN_END)
            e = parse_binary(&p, 0);
        else
            p.failed = sonde_err_set(err, SONDE_EPARSE,
                                     "unknown position: parse error: no "
                                     "expression found in input") != SONDE_OK;
    }
    return finish(&p, e, out);
}

sonde_code promql_parse_selector(struct arena *a, sonde_str text,
                                 struct matcher **out, size_t *n,
                                 struct sonde_err *err)
{
    struct parser p;
    struct promql_expr *e = NULL;
    sonde_code rc;

    if (begin(&p, a, text, err)) {
        p.any_selector = true;
        if (p.token.kind != TOKEN_LBRACE && !token_is_metric_name(&p.token))
            parse_unexpected(&p, NULL, NULL);
        else
            e = parse_selector(&p);
    }
    rc = finish(&p, e, &e);
    if (rc != SONDE_OK)
        return rc;
    *out = e->selector.matchers;
    *n = e->selector.count;
    return SONDE_OK;
}
