/* SPDX-License-Identifier: Apache-2.0 */
/* promql: what parses and how it prints, what does not and why, values. */
#include <math.h>
#include <string.h>

#include "promql/promql.h"
#include "unit/tap.h"
#include "util/buf.h"
#include "util/str.h"

static const struct {
    int line;
    const char *in, *print;
} good[] = {
    { __LINE__, "1", "1" },
    { __LINE__, "1e9", "1000000000" },
    { __LINE__, "010", "8" },
    { __LINE__, "08", "8" },
    { __LINE__, "0x1F", "31" },
    { __LINE__, "1_000", "1000" },
    { __LINE__, ".5", "0.5" },
    { __LINE__, "5.", "5" },
    { __LINE__, "Inf", "+Inf" },
    { __LINE__, "-nan", "NaN" },
    { __LINE__, "5m", "5m" },
    { __LINE__, "90s", "1m30s" },
    { __LINE__, "5m + 1", "5m + 1" },
    { __LINE__, "-2^2", "-2 ^ 2" },
    { __LINE__, "2^3^2", "2 ^ 3 ^ 2" },
    { __LINE__, "'a\\'b'", "\"a'b\"" },
    { __LINE__, "`raw\\n`", "\"raw\\\\n\"" },
    { __LINE__, "up", "up" },
    { __LINE__, "foo:bar", "foo:bar" },
    { __LINE__, "up{}", "up" },
    { __LINE__, "foo{b=\"1\",a=\"2\"}", "foo{a=\"2\",b=\"1\"}" },
    { __LINE__, "foo{a=~\"x|y\",b!~\"z\",c!=\"\",}",
      "foo{a=~\"x|y\",b!~\"z\",c!=\"\"}" },
    { __LINE__, "{__name__=~\"a.*\"}", "{__name__=~\"a.*\"}" },
    { __LINE__, "{\"a.b\", x=\"1\"}", "{__name__=\"a.b\",x=\"1\"}" },
    { __LINE__, "sum", "sum" },
    { __LINE__, "offset", "offset" },
    { __LINE__, "start", "start" },
    { __LINE__, "foo[5m]", "foo[5m]" },
    { __LINE__, "foo[60]", "foo[1m]" },
    { __LINE__, "foo[1w1d]", "foo[8d]" },
    { __LINE__, "foo offset 5m", "foo offset 5m" },
    { __LINE__, "foo offset -1h", "foo offset -1h" },
    { __LINE__, "foo[5m] @ 123.4567 offset -3600s",
      "foo[5m] @ 123.457 offset -1h" },
    { __LINE__, "foo @ start()", "foo @ start()" },
    { __LINE__, "foo[5m:1m]", "foo[5m:1m]" },
    { __LINE__, "sum(foo)[5m:] offset 1m", "sum(foo)[5m:] offset 1m" },
    { __LINE__, "SUM(tick) BY (k)", "sum by (k) (tick)" },
    { __LINE__, "sum without () (x)", "sum without () (x)" },
    { __LINE__, "sum by () (x)", "sum(x)" },
    { __LINE__, "sum by (on, bool, atan2) (x)",
      "sum by (on, bool, atan2) (x)" },
    { __LINE__, "topk(5, rate(foo[5m]))", "topk(5, rate(foo[5m]))" },
    { __LINE__, "count_values('v', x)", "count_values(\"v\", x)" },
    { __LINE__, "a + on(x) group_left b", "a + on (x) group_left () b" },
    { __LINE__, "a > bool b", "a > bool b" },
    { __LINE__, "a and b or c unless d", "a and b or c unless d" },
    { __LINE__, "a * ignoring(y) group_right(z) b",
      "a * ignoring (y) group_right (z) b" },
    { __LINE__, "(a)", "(a)" },
    { __LINE__, "-foo", "-foo" },
    { __LINE__, "--1", "1" },
    { __LINE__, "time()", "time()" },
    { __LINE__, "round(x, 5)", "round(x, 5)" },
    { __LINE__, "day_of_month()", "day_of_month()" },
    { __LINE__, "label_join(x, \"a\", \"b\")", "label_join(x, \"a\", \"b\")" },
    { __LINE__, "up # a comment\n", "up" },
    { __LINE__, "foo{ # c\n a=\"1\" }", "foo{a=\"1\"}" },
};

static void test_good(void)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct sonde_err err = { .text = "" };
        struct promql_expr *e = NULL;
        struct buf b = { 0 };
        struct arena a;

        arena_init(&a);
        ROW_ASSERT(&good[i], promql_parse(&a, sonde_cstr(good[i].in), NULL, &e,
                                          &err) == SONDE_OK);
        if (e) {
            promql_print(&b, e);
            ROW_ASSERT(&good[i], str_eq_cstr(buf_str(&b), good[i].print));
            if (!str_eq_cstr(buf_str(&b), good[i].print))
                tap_note("got %.*s", SONDE_ARG(buf_str(&b)));
        } else {
            tap_note("%s", err.text);
        }
        promql_fini(e);
        buf_fini(&b);
        arena_fini(&a);
    }
}

/* Texts and positions as Prometheus has them. */
static const struct {
    int line;
    const char *in, *want;
} bad[] = {
    { __LINE__, "",
      "unknown position: parse error: no expression found in input" },
    { __LINE__, "# c", "no expression found in input" },
    { __LINE__, "rate(foo)",
      "expected type range vector in call to function \"rate\", got instant "
      "vector" },
    { __LINE__, "rate()",
      "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0" },
    { __LINE__, "round(x, 1, 2)",
      "expected at most 2 argument(s) in call to \"round\", got 3" },
    { __LINE__, "label_join(x)",
      "expected at least 3 argument(s) in call to \"label_join\", got 1" },
    { __LINE__, "Rate(foo[5m])", "unknown function with name \"Rate\"" },
    { __LINE__, "info(x)", "function \"info\" is not enabled" },
    { __LINE__, "limitk(1, x)", "limitk() is experimental" },
    { __LINE__, "sum()", "no arguments for aggregate expression provided" },
    { __LINE__, "topk(x)",
      "wrong number of arguments for aggregate expression provided, expected "
      "2, got 1" },
    { __LINE__, "sum(1)",
      "expected type instant vector in aggregation expression, got scalar" },
    { __LINE__, "1 == 1",
      "1:3: parse error: comparisons between scalars must use BOOL modifier" },
    { __LINE__, "one + bool one",
      "1:5: parse error: bool modifier can only be used on comparison "
      "operators" },
    { __LINE__, "\"x\" + 1",
      "binary expression must contain only scalar and instant vector types" },
    { __LINE__, "1 or x",
      "set operator \"or\" not allowed in binary scalar expression" },
    { __LINE__, "1 + on(a) x",
      "vector matching only allowed between instant vectors" },
    { __LINE__, "a and on(x) group_left b",
      "no grouping allowed for \"and\" operation" },
    { __LINE__, "a + on(x) group_left(x) b",
      "label \"x\" must not occur in ON and GROUP clause at once" },
    { __LINE__, "-\"a\"",
      "unary expression only allowed on expressions of type scalar or "
      "instant vector, got \"string\"" },
    { __LINE__, "foo[5m][5m]", "ranges only allowed for vector selectors" },
    { __LINE__, "(foo)[5m]", "ranges only allowed for vector selectors" },
    { __LINE__, "1[5m:1m]",
      "subquery is only allowed on instant vector, got scalar instead" },
    { __LINE__, "foo offset 1m [5m]",
      "no offset modifiers allowed before range" },
    { __LINE__, "foo @ 1 [5m]", "no @ modifiers allowed before range" },
    { __LINE__, "sum(foo) offset 1m",
      "offset modifier must be preceded by an instant vector selector" },
    { __LINE__, "foo offset 1m offset 1m",
      "offset may not be set multiple times" },
    { __LINE__, "foo @ 1 @ 1", "@ <timestamp> may not be set multiple times" },
    { __LINE__, "foo @ inf", "timestamp out of bounds for @ modifier" },
    { __LINE__, "{}",
      "vector selector must contain at least one non-empty "
      "matcher" },
    { __LINE__, "{a=~\".*\"}", "at least one non-empty matcher" },
    { __LINE__, "foo{\"bar\"}",
      "metric name must not be set twice: \"foo\" or \"bar\"" },
    { __LINE__, "foo{a=~\"(\"}", "error parsing regexp" },
    { __LINE__, "tick{k=\"a\"",
      "1:11: parse error: unexpected end of input inside braces" },
    { __LINE__, "(1", "1:3: parse error: unclosed left parenthesis" },
    { __LINE__, "1)", "1:3: parse error: unexpected right parenthesis ')'" },
    { __LINE__, "foo[5m", "unclosed left bracket" },
    { __LINE__, "foo{1}", "unexpected character inside braces: '1'" },
    { __LINE__, "foo{a=1}", "unexpected character inside braces: '1'" },
    { __LINE__, "$x", "unexpected character: '$'" },
    { __LINE__, "a =~ b", "unexpected character after '=': '~'" },
    { __LINE__, "a ! b", "unexpected character after '!': ' '" },
    { __LINE__, "foo[0s]", "duration must be greater than 0" },
    { __LINE__, "1.5.2", "bad number or duration syntax: \"1.5.\"" },
    { __LINE__, "1e309", "error parsing number" },
    { __LINE__, "\"a", "unterminated quoted string" },
    { __LINE__, "`a", "unterminated raw string" },
    { __LINE__, "'\\q'", "unknown escape sequence U+0071 'q'" },
    { __LINE__, "rate(foo[5m],)",
      "trailing commas not allowed in function call args" },
    { __LINE__, "foo{,}", "unexpected \",\" in label matching" },
    { __LINE__, "foo bar", "unexpected identifier \"bar\"" },
    { __LINE__, "1 +", "unexpected end of input" },
    { __LINE__, "on", "unexpected <on>" },
    { __LINE__, "a\n+ $", "2:3: parse error" },
};

static void test_bad(void)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sonde_err err = { .text = "" };
        struct promql_expr *e = NULL;
        struct arena a;

        arena_init(&a);
        ROW_ASSERT(&bad[i], promql_parse(&a, sonde_cstr(bad[i].in), NULL, &e,
                                         &err) == SONDE_EPARSE);
        ROW_ASSERT(&bad[i], strstr(err.text, bad[i].want) != NULL);
        if (!strstr(err.text, bad[i].want))
            tap_note("got %s", err.text);
        arena_fini(&a);
    }
}

static void test_deep(void)
{
    struct promql_expr *e;
    struct sonde_err err;
    struct buf b = { 0 };
    struct arena a;

    arena_init(&a);
    for (int i = 0; i < 10000; i++)
        buf_char(&b, '(');
    buf_char(&b, '1');
    for (int i = 0; i < 10000; i++)
        buf_char(&b, ')');
    CU_ASSERT_EQUAL(promql_parse(&a, buf_str(&b), NULL, &e, &err),
                    SONDE_EPARSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "nests too deeply"));
    buf_reset(&b);
    for (int i = 0; i < 10000; i++)
        buf_char(&b, '-');
    buf_char(&b, '1');
    CU_ASSERT_EQUAL(promql_parse(&a, buf_str(&b), NULL, &e, &err),
                    SONDE_EPARSE);
    buf_fini(&b);
    arena_fini(&a);
}

static void test_match(void)
{
    struct matcher *m;
    struct sonde_err err;
    struct arena a;
    size_t n;

    arena_init(&a);
    CU_ASSERT_EQUAL(
        promql_parse_selector(&a, SONDE_STR("up{job=\"x\"}"), &m, &n, &err),
        SONDE_OK);
    CU_ASSERT_EQUAL(n, 2);
    for (size_t i = 0; i < n; i++)
        matcher_fini(&m[i]);
    CU_ASSERT_EQUAL(
        promql_parse_selector(&a, SONDE_STR("up[5m]"), &m, &n, &err),
        SONDE_EPARSE);
    CU_ASSERT_EQUAL(promql_parse_selector(&a, SONDE_STR("1"), &m, &n, &err),
                    SONDE_EPARSE);
    arena_fini(&a);
}

static const struct tap_test tests[] = {
    { "what is right parses and prints canonically", test_good },
    { "what is wrong is refused where and why", test_bad },
    { "deep nesting is an error", test_deep },
    { "a series selector stands alone", test_match },
};

int main(void)
{
    return TAP_RUN("promql", tests);
}
