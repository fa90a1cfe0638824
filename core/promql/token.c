/* SPDX-License-Identifier: Apache-2.0 */
/* Keywords, and how messages name tokens. */
#include "model/number.h"
#include "promql/lex_int.h"
#include "util/buf.h"
#include "util/str.h"
#include "util/utf8.h"

static const struct {
    const char *word;
    enum token_kind kind;
    enum promql_op op;
} keywords[] = {
    { "and", TOKEN_OP, PROMQL_AND },
    { "or", TOKEN_OP, PROMQL_OR },
    { "unless", TOKEN_OP, PROMQL_UNLESS },
    { "atan2", TOKEN_OP, PROMQL_ATAN2 },
    { "sum", TOKEN_AGGREGATE, PROMQL_SUM },
    { "avg", TOKEN_AGGREGATE, PROMQL_AVG },
    { "count", TOKEN_AGGREGATE, PROMQL_COUNT },
    { "min", TOKEN_AGGREGATE, PROMQL_MIN },
    { "max", TOKEN_AGGREGATE, PROMQL_MAX },
    { "group", TOKEN_AGGREGATE, PROMQL_GROUP },
    { "stddev", TOKEN_AGGREGATE, PROMQL_STDDEV },
    { "stdvar", TOKEN_AGGREGATE, PROMQL_STDVAR },
    { "topk", TOKEN_AGGREGATE, PROMQL_TOPK },
    { "bottomk", TOKEN_AGGREGATE, PROMQL_BOTTOMK },
    { "count_values", TOKEN_AGGREGATE, PROMQL_COUNT_VALUES },
    { "quantile", TOKEN_AGGREGATE, PROMQL_QUANTILE },
    { "limitk", TOKEN_AGGREGATE, PROMQL_LIMITK },
    { "limit_ratio", TOKEN_AGGREGATE, PROMQL_LIMIT_RATIO },
    { "offset", TOKEN_OFFSET, 0 },
    { "by", TOKEN_BY, 0 },
    { "without", TOKEN_WITHOUT, 0 },
    { "on", TOKEN_ON, 0 },
    { "ignoring", TOKEN_IGNORING, 0 },
    { "group_left", TOKEN_GROUP_LEFT, 0 },
    { "group_right", TOKEN_GROUP_RIGHT, 0 },
    { "bool", TOKEN_BOOL, 0 },
    { "anchored", TOKEN_ANCHORED, 0 },
    { "smoothed", TOKEN_SMOOTHED, 0 },
    { "fill", TOKEN_FILL, 0 },
    { "fill_left", TOKEN_FILL_LEFT, 0 },
    { "fill_right", TOKEN_FILL_RIGHT, 0 },
    { "start", TOKEN_START, 0 },
    { "end", TOKEN_ENDWORD, 0 },
    { "step", TOKEN_STEP, 0 },
    { "range", TOKEN_RANGE, 0 },
    { "min_of", TOKEN_MIN_OF, 0 },
    { "max_of", TOKEN_MAX_OF, 0 },
};

void token_classify(struct token *t)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (str_eq_nocase(t->text, sonde_cstr(keywords[i].word))) {
            t->kind = keywords[i].kind;
            t->op = keywords[i].op;
            return;
        }
    }
    if (str_eq_nocase(t->text, SONDE_STR("inf")) ||
        str_eq_nocase(t->text, SONDE_STR("nan"))) {
        t->kind = TOKEN_NUMBER;
        (void)number_parse(t->text, &t->number);
    }
}

bool token_is_span_word(const struct token *t)
{
    return t->kind >= TOKEN_STEP;
}

/* ---- names of tokens ----------------------------------------------------- */

/* Quoted, at most ten characters of it. */
static void put_short(struct buf *b, sonde_str s)
{
    size_t at = 0;

    if (s.len <= 10) {
        buf_quote(b, s);
        return;
    }
    for (int n = 0; n < 10 && at < s.len; n++) {
        uint32_t rune;
        bool ok = true;

        at += utf8_decode(str_sub(s, at, s.len), &rune, &ok);
    }
    buf_quote(b, str_sub(s, 0, at));
    buf_cstr(b, "...");
}

static const struct {
    enum token_kind kind;
    const char *name;
} kind_names[] = {
    { TOKEN_IDENT, "identifier" }, { TOKEN_METRIC, "metric identifier" },
    { TOKEN_NUMBER, "number" },    { TOKEN_DURATION, "duration" },
    { TOKEN_STRING, "string" },
};

static void put_value(struct buf *b, const struct token *t)
{
    if (t->kind == TOKEN_IDENT || t->kind == TOKEN_METRIC)
        buf_quote(b, t->raw);
    else if (t->kind == TOKEN_OP || t->kind == TOKEN_MATCH_RE ||
             t->kind == TOKEN_MATCH_NRE || t->kind == TOKEN_AT)
        buf_printf(b, "<op:%.*s>", SONDE_ARG(t->raw));
    else if (t->kind == TOKEN_AGGREGATE)
        buf_printf(b, "<aggr:%.*s>", SONDE_ARG(t->raw));
    else if (t->kind >= TOKEN_OFFSET && t->kind < TOKEN_START)
        buf_printf(b, "<%.*s>", SONDE_ARG(t->raw));
    else
        put_short(b, t->raw);
}

const char *token_describe(struct arena *a, const struct token *t)
{
    struct buf b;
    const char *text;

    if (t->kind == TOKEN_END)
        return "end of input";
    buf_init(&b);
    for (size_t i = 0; i < sizeof(kind_names) / sizeof(*kind_names); i++)
        if (kind_names[i].kind == t->kind)
            buf_printf(&b, "%s ", kind_names[i].name);
    put_value(&b, t);
    text = arena_str(a, buf_str(&b)).ptr;
    buf_fini(&b);
    return text;
}

bool token_is_metric_name(const struct token *t)
{
    switch (t->kind) {
    case TOKEN_IDENT:
    case TOKEN_METRIC:
    case TOKEN_AGGREGATE:
    case TOKEN_OFFSET:
    case TOKEN_BY:
    case TOKEN_WITHOUT:
    case TOKEN_ANCHORED:
    case TOKEN_SMOOTHED:
    case TOKEN_START:
    case TOKEN_ENDWORD:
    case TOKEN_STEP:
    case TOKEN_RANGE:
    case TOKEN_MIN_OF:
    case TOKEN_MAX_OF:
        return true;
    case TOKEN_OP: /* and, or, unless; not atan2 */
        return promql_op_is_set(t->op);
    default:
        return false;
    }
}

bool token_is_label_name(const struct token *t)
{
    if (t->kind == TOKEN_WITHOUT)
        return false;
    return token_is_metric_name(t) || t->kind >= TOKEN_OFFSET ||
           (t->kind == TOKEN_OP && t->op == PROMQL_ATAN2);
}
