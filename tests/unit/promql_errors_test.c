/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promql: what is wrong with a query, and where. Texts and positions are those
 * of Prometheus, of which the newest at hand was asked, but for what later
 * versions expect in brackets and after offset.
 */
#include <string.h>

#include "unit/promql_kit.h"
#include "unit/tap.h"
#include "util/buf.h"

// clang-format off: rows as they were printed
static const struct kit_row errors[] = {
    { __LINE__, "",
      "error: unknown position: parse error: no expression found in input" },
    { __LINE__, "# comment",
      "error: 1:1: parse error: no expression found in input" },
    { __LINE__, "rate(foo)",
      "error: 1:6: parse error: expected type range vector in call to function "
      "\"rate\", got instant vector" },
    { __LINE__, "rate()",
      "error: 1:1: parse error: expected 1 argument(s) in call to \"rate\", "
      "got 0" },
    { __LINE__, "rate(foo[5m], 1)",
      "error: 1:1: parse error: expected 1 argument(s) in call to \"rate\", "
      "got 2" },
    { __LINE__, "round(x, 1, 2)",
      "error: 1:1: parse error: expected at most 2 argument(s) in call to "
      "\"round\", got 3" },
    { __LINE__, "label_join(x)",
      "error: 1:1: parse error: expected at least 3 argument(s) in call to "
      "\"label_join\", got 1" },
    { __LINE__, "label_replace(x, \"a\", \"b\", \"c\")",
      "error: 1:1: parse error: expected 5 argument(s) in call to "
      "\"label_replace\", got 4" },
    { __LINE__, "foo(x)",
      "error: 1:1: parse error: unknown function with name \"foo\"" },
    { __LINE__, "Rate(foo[5m])",
      "error: 1:1: parse error: unknown function with name \"Rate\"" },
    { __LINE__, "sum()",
      "error: 1:1: parse error: no arguments for aggregate expression "
      "provided" },
    { __LINE__, "sum by (a) ()",
      "error: 1:1: parse error: no arguments for aggregate expression "
      "provided" },
    { __LINE__, "topk(x)",
      "error: 1:1: parse error: wrong number of arguments for aggregate "
      "expression provided, expected 2, got 1" },
    { __LINE__, "sum(1, x)",
      "error: 1:1: parse error: wrong number of arguments for aggregate "
      "expression provided, expected 1, got 2" },
    { __LINE__, "sum(1)",
      "error: 1:5: parse error: expected type instant vector in aggregation "
      "expression, got scalar" },
    { __LINE__, "topk(\"a\", x)",
      "error: 1:6: parse error: expected type scalar in aggregation parameter, "
      "got string" },
    { __LINE__, "count_values(1, x)",
      "error: 1:14: parse error: expected type string in aggregation "
      "parameter, got scalar" },
    { __LINE__, "sum(foo[5m])",
      "error: 1:5: parse error: expected type instant vector in aggregation "
      "expression, got range vector" },
    { __LINE__, "1 == 1",
      "error: 1:3: parse error: comparisons between scalars must use BOOL "
      "modifier" },
    { __LINE__, "x > bool (1 < 2)",
      "error: 1:13: parse error: comparisons between scalars must use BOOL "
      "modifier" },
    { __LINE__, "one + bool one",
      "error: 1:5: parse error: bool modifier can only be used on comparison "
      "operators" },
    { __LINE__, "one and bool one",
      "error: 1:5: parse error: bool modifier can only be used on comparison "
      "operators" },
    { __LINE__, "\"x\" + 1",
      "error: 1:1: parse error: binary expression must contain only scalar and "
      "instant vector types" },
    { __LINE__, "1 + \"x\"",
      "error: 1:5: parse error: binary expression must contain only scalar and "
      "instant vector types" },
    { __LINE__, "foo[5m] + 1",
      "error: 1:1: parse error: binary expression must contain only scalar and "
      "instant vector types" },
    { __LINE__, "1 or x",
      "error: 1:1: parse error: set operator \"or\" not allowed in binary "
      "scalar expression" },
    { __LINE__, "x unless 1",
      "error: 1:1: parse error: set operator \"unless\" not allowed in binary "
      "scalar expression" },
    { __LINE__, "1 + on(a) x",
      "error: 1:1: parse error: vector matching only allowed between instant "
      "vectors" },
    { __LINE__, "1 + on() x{",
      "error: 1:12: parse error: unexpected end of input inside braces" },
    { __LINE__, "a and on(x) group_left b",
      "error: 1:1: parse error: no grouping allowed for \"and\" operation" },
    { __LINE__, "a + on(x) group_left(x) b",
      "error: 1:3: parse error: label \"x\" must not occur in ON and GROUP "
      "clause at once" },
    { __LINE__, "a + on(x, y) group_right(z, y) b",
      "error: 1:3: parse error: label \"y\" must not occur in ON and GROUP "
      "clause at once" },
    { __LINE__, "-\"a\"",
      "error: 1:1: parse error: unary expression only allowed on expressions "
      "of type scalar or instant vector, got \"string\"" },
    { __LINE__, "+foo[5m]",
      "error: 1:1: parse error: unary expression only allowed on expressions "
      "of type scalar or instant vector, got \"range vector\"" },
    { __LINE__, "foo[5m][5m]",
      "error: 1:8: parse error: ranges only allowed for vector selectors" },
    { __LINE__, "  foo[5m] [5m]",
      "error: 1:11: parse error: ranges only allowed for vector selectors" },
    { __LINE__, "(foo)[5m]",
      "error: 1:6: parse error: ranges only allowed for vector selectors" },
    { __LINE__, "sum(foo)[5m]",
      "error: 1:9: parse error: ranges only allowed for vector selectors" },
    { __LINE__, "1[5m:1m]",
      "error: 1:1: parse error: subquery is only allowed on instant vector, "
      "got scalar instead" },
    { __LINE__, "\"a\"[5m:1m]",
      "error: 1:1: parse error: subquery is only allowed on instant vector, "
      "got string instead" },
    { __LINE__, "foo[5m][5m:1m]",
      "error: 1:1: parse error: subquery is only allowed on instant vector, "
      "got matrix instead" },
    { __LINE__, "foo offset 1m [5m]",
      "error: 1:15: parse error: no offset modifiers allowed before range" },
    { __LINE__, "foo @ 1 [5m]",
      "error: 1:9: parse error: no @ modifiers allowed before range" },
    { __LINE__, "sum(foo) offset 1m",
      "error: 1:1: parse error: offset modifier must be preceded by an instant "
      "vector selector or range vector selector or a subquery" },
    { __LINE__, "1 offset 1m",
      "error: 1:1: parse error: offset modifier must be preceded by an instant "
      "vector selector or range vector selector or a subquery" },
    { __LINE__, "(foo) offset 1m",
      "error: 1:1: parse error: offset modifier must be preceded by an instant "
      "vector selector or range vector selector or a subquery" },
    { __LINE__, "sum(foo) @ 1",
      "error: 1:1: parse error: @ modifier must be preceded by an instant "
      "vector selector or range vector selector or a subquery" },
    { __LINE__, "1 @ 1",
      "error: 1:1: parse error: @ modifier must be preceded by an instant "
      "vector selector or range vector selector or a subquery" },
    { __LINE__, "foo offset 1m offset 1m",
      "error: 1:1: parse error: offset may not be set multiple times" },
    { __LINE__, "foo[5m] offset 1m offset 1m",
      "error: 1:1: parse error: offset may not be set multiple times" },
    { __LINE__, "foo @ 1 @ 1",
      "error: 1:1: parse error: @ <timestamp> may not be set multiple times" },
    { __LINE__, "foo[5m:1m] @ start() @ 1",
      "error: 1:1: parse error: @ <timestamp> may not be set multiple times" },
    { __LINE__, "foo @ inf",
      "error: 1:1: parse error: timestamp out of bounds for @ modifier: +Inf" },
    { __LINE__, "foo @ -inf",
      "error: 1:1: parse error: timestamp out of bounds for @ modifier: -Inf" },
    { __LINE__, "foo @ nan",
      "error: 1:1: parse error: timestamp out of bounds for @ modifier: NaN" },
    { __LINE__, "foo @ 1e20",
      "error: 1:1: parse error: timestamp out of bounds for @ modifier: "
      "100000000000000000000.000000" },
    { __LINE__, "{}",
      "error: 1:1: parse error: vector selector must contain at least one "
      "non-empty matcher" },
    { __LINE__, "sum({})",
      "error: 1:5: parse error: vector selector must contain at least one "
      "non-empty matcher" },
    { __LINE__, "{a=\"\"}",
      "error: 1:1: parse error: vector selector must contain at least one "
      "non-empty matcher" },
    { __LINE__, "{a=~\".*\"}",
      "error: 1:1: parse error: vector selector must contain at least one "
      "non-empty matcher" },
    { __LINE__, "{a!~\".+\"}",
      "error: 1:1: parse error: vector selector must contain at least one "
      "non-empty matcher" },
    { __LINE__, "{a!=\"x\"}",
      "error: 1:1: parse error: vector selector must contain at least one "
      "non-empty matcher" },
    { __LINE__, "rate({a=~\".*\"}[5m])",
      "error: 1:6: parse error: vector selector must contain at least one "
      "non-empty matcher" },
    { __LINE__, "foo{\"bar\"}",
      "error: 1:1: parse error: metric name must not be set twice: \"foo\" or "
      "\"bar\"" },
    { __LINE__, "foo{__name__=\"bar\"}",
      "error: 1:1: parse error: metric name must not be set twice: \"foo\" or "
      "\"bar\"" },
    { __LINE__, "foo{a=\"1\", __name__=~\"b.*\"}",
      "error: 1:1: parse error: metric name must not be set twice: \"foo\" or "
      "\"b.*\"" },
    { __LINE__, "foo{a=~\"(\"}",
      "error: 1:5: parse error: error parsing regexp: missing closing ): `(`" },
    { __LINE__, "foo{a!~\"*\"}",
      "error: 1:5: parse error: error parsing regexp: missing argument to "
      "repetition operator: `*`" },
    { __LINE__, "foo{a=~\"a{2,1}\"}",
      "error: 1:5: parse error: error parsing regexp: invalid repeat count: "
      "`{2,1}`" },
    { __LINE__, "foo{a=\"1\" b=\"2\"}",
      "error: 1:11: parse error: unexpected identifier \"b\" in label "
      "matching, expected \",\" or \"}\"" },
    { __LINE__, "foo{a=\"1\"",
      "error: 1:10: parse error: unexpected end of input inside braces" },
    { __LINE__, "foo{a",
      "error: 1:6: parse error: unexpected end of input inside braces" },
    { __LINE__, "foo{a=",
      "error: 1:7: parse error: unexpected end of input inside braces" },
    { __LINE__, "foo{a=1}",
      "error: 1:7: parse error: unexpected character inside braces: '1'" },
    { __LINE__, "foo{a=b}",
      "error: 1:7: parse error: unexpected identifier \"b\" in label matching, "
      "expected string" },
    { __LINE__, "foo{a b}",
      "error: 1:7: parse error: unexpected identifier \"b\" in label matching, "
      "expected label matching operator" },
    { __LINE__, "foo{,}",
      "error: 1:5: parse error: unexpected \",\" in label matching, expected "
      "identifier or \"}\"" },
    { __LINE__, "foo{1}",
      "error: 1:5: parse error: unexpected character inside braces: '1'" },
    { __LINE__, "foo{a:b=\"1\"}",
      "error: 1:6: parse error: unexpected character inside braces: ':'" },
    { __LINE__, "foo{a==\"1\"}",
      "error: 1:7: parse error: unexpected \"=\" in label matching, expected "
      "string" },
    { __LINE__, "foo{{", "error: 1:5: parse error: unexpected left brace '{'" },
    { __LINE__, "foo{\"a\" \"b\"}",
      "error: 1:9: parse error: unexpected string \"\\\"b\\\"\" in label "
      "matching, expected \",\" or \"}\"" },
    { __LINE__, "foo{\"a\"=\"b\" \"c\"}",
      "error: 1:13: parse error: unexpected string \"\\\"c\\\"\" in label "
      "matching, expected \",\" or \"}\"" },
    { __LINE__, "{\"a\"=}",
      "error: 1:6: parse error: unexpected \"}\" in label matching, expected "
      "string" },
    { __LINE__, "tick{k=\"a\"",
      "error: 1:11: parse error: unexpected end of input inside braces" },
    { __LINE__, "(1", "error: 1:3: parse error: unclosed left parenthesis" },
    { __LINE__, "((1)", "error: 1:5: parse error: unclosed left parenthesis" },
    { __LINE__, "1)",
      "error: 1:3: parse error: unexpected right parenthesis ')'" },
    { __LINE__, "(1))",
      "error: 1:5: parse error: unexpected right parenthesis ')'" },
    { __LINE__, "foo[5m", "error: 1:7: parse error: unclosed left bracket" },
    { __LINE__, "foo[",
      "error: 1:5: parse error: unexpected end of input in duration "
      "expression" },
    { __LINE__, "foo]",
      "error: 1:4: parse error: unexpected right bracket ']'" },
    { __LINE__, "foo[5m]]",
      "error: 1:8: parse error: unexpected right bracket ']'" },
    { __LINE__, "foo[[5m]]",
      "error: 1:5: parse error: unexpected character in duration expression: "
      "'['" },
    { __LINE__, "foo[5m:1m",
      "error: 1:10: parse error: unclosed left bracket" },
    { __LINE__, "(foo[5m)",
      "error: 1:8: parse error: unexpected \")\" in subquery or range, "
      "expected \":\" or \"]\"" },
    { __LINE__, "sum(foo",
      "error: 1:8: parse error: unclosed left parenthesis" },
    { __LINE__, "foo bar",
      "error: 1:5: parse error: unexpected identifier \"bar\"" },
    { __LINE__, "foo 5", "error: 1:5: parse error: unexpected number \"5\"" },
    { __LINE__, "foo 5m",
      "error: 1:5: parse error: unexpected duration \"5m\"" },
    { __LINE__, "foo \"a string that is long\"",
      "error: 1:5: parse error: unexpected string \"\\\"a string \"..." },
    { __LINE__, "foo 12345678901234567890",
      "error: 1:5: parse error: unexpected number \"1234567890\"..." },
    { __LINE__, "foo by (a)", "error: 1:5: parse error: unexpected <by>" },
    { __LINE__, "foo and", "error: 1:8: parse error: unexpected end of input" },
    { __LINE__, "foo atan2",
      "error: 1:10: parse error: unexpected end of input" },
    { __LINE__, "foo sum", "error: 1:5: parse error: unexpected <aggr:sum>" },
    { __LINE__, "foo offset",
      "error: 1:11: parse error: unexpected end of input in offset, expected "
      "number, duration, step(), or range()" },
    { __LINE__, "foo offset bar",
      "error: 1:12: parse error: unexpected identifier \"bar\" in offset, "
      "expected number, duration, step(), or range()" },
    { __LINE__, "foo @",
      "error: 1:6: parse error: unexpected end of input in @, expected "
      "timestamp" },
    { __LINE__, "foo @ bar",
      "error: 1:7: parse error: unexpected identifier \"bar\" in @, expected "
      "timestamp" },
    { __LINE__, "foo @ start",
      "error: 1:12: parse error: unexpected end of input in @, expected "
      "timestamp" },
    { __LINE__, "foo @ start(",
      "error: 1:13: parse error: unclosed left parenthesis" },
    { __LINE__, "foo @ start(1)",
      "error: 1:13: parse error: unexpected number \"1\" in @, expected "
      "timestamp" },
    { __LINE__, "1 +", "error: 1:4: parse error: unexpected end of input" },
    { __LINE__, "1 + * 2", "error: 1:5: parse error: unexpected <op:*>" },
    { __LINE__, "+", "error: 1:2: parse error: unexpected end of input" },
    { __LINE__, "*", "error: 1:1: parse error: unexpected <op:*>" },
    { __LINE__, ",", "error: 1:1: parse error: unexpected \",\"" },
    { __LINE__, "=", "error: 1:1: parse error: unexpected \"=\"" },
    { __LINE__, "foo = 1", "error: 1:5: parse error: unexpected \"=\"" },
    { __LINE__, "foo =~ 1",
      "error: 1:5: parse error: unexpected character after '=': '~'" },
    { __LINE__, "foo ! 1",
      "error: 1:5: parse error: unexpected character after '!': ' '" },
    { __LINE__, "foo !",
      "error: 1:5: parse error: unexpected character after '!': "
      "'\357\277\275'" },
    { __LINE__, "foo !~ 1",
      "error: 1:5: parse error: unexpected character after '!': '~'" },
    { __LINE__, "foo $ 1",
      "error: 1:5: parse error: unexpected character: '$'" },
    { __LINE__, "foo ; 1",
      "error: 1:5: parse error: unexpected character: ';'" },
    { __LINE__, "\303\251",
      "error: 1:1: parse error: unexpected character: '\303\251'" },
    { __LINE__, "foo{\303\251=\"1\"}",
      "error: 1:5: parse error: unexpected character inside braces: "
      "'\303\251'" },
    { __LINE__, "on", "error: 1:1: parse error: unexpected <on>" },
    { __LINE__, "bool", "error: 1:1: parse error: unexpected <bool>" },
    { __LINE__, "group_left",
      "error: 1:1: parse error: unexpected <group_left>" },
    { __LINE__, "a + on b",
      "error: 1:8: parse error: unexpected identifier \"b\" in grouping opts, "
      "expected \"(\"" },
    { __LINE__, "a + on(x b",
      "error: 1:10: parse error: unexpected identifier \"b\" in grouping opts, "
      "expected \",\" or \")\"" },
    { __LINE__, "a + on(x,,y) b",
      "error: 1:10: parse error: unexpected \",\" in grouping opts, expected "
      "label" },
    { __LINE__, "a + on(1) b",
      "error: 1:8: parse error: unexpected number \"1\" in grouping opts, "
      "expected label" },
    { __LINE__, "a + on(\"\") b",
      "error: 1:8: parse error: invalid label name for grouping: \"\"" },
    { __LINE__, "a + ignoring(x) group_left",
      "error: 1:27: parse error: unexpected end of input in grouping opts, "
      "expected \"(\"" },
    { __LINE__, "sum by a (foo)",
      "error: 1:8: parse error: unexpected identifier \"a\" in grouping opts, "
      "expected \"(\"" },
    { __LINE__, "sum by (1) (foo)",
      "error: 1:9: parse error: unexpected number \"1\" in grouping opts, "
      "expected label" },
    { __LINE__, "sum by (\"\") (foo)",
      "error: 1:9: parse error: invalid label name for grouping: \"\"" },
    { __LINE__, "sum by (\"\\xff\") (foo)",
      "error: 1:9: parse error: invalid label name for grouping: \"\\xff\"" },
    { __LINE__, "sum by (without) (foo)",
      "error: 1:9: parse error: unexpected <without> in grouping opts, "
      "expected label" },
    { __LINE__, "sum by (a) foo",
      "error: 1:12: parse error: unexpected identifier \"foo\" in "
      "aggregation" },
    { __LINE__, "sum by (a) (foo) by (a)",
      "error: 1:18: parse error: unexpected <by>" },
    { __LINE__, "sum (foo) by (a) by (b)",
      "error: 1:18: parse error: unexpected <by>" },
    { __LINE__, "sum(foo bar)",
      "error: 1:9: parse error: unexpected identifier \"bar\" in aggregation" },
    { __LINE__, "sum(rate(foo bar))",
      "error: 1:14: parse error: unexpected identifier \"bar\" in "
      "aggregation" },
    { __LINE__, "rate(foo[5m],)",
      "error: 1:13: parse error: trailing commas not allowed in function call "
      "args" },
    { __LINE__, "rate(,foo[5m])", "error: 1:6: parse error: unexpected \",\"" },
    { __LINE__, "rate(foo[5m],,)",
      "error: 1:13: parse error: trailing commas not allowed in function call "
      "args" },
    { __LINE__, "sum(foo,)",
      "error: 1:8: parse error: trailing commas not allowed in function call "
      "args" },
    { __LINE__, "foo(bar",
      "error: 1:8: parse error: unclosed left parenthesis" },
    { __LINE__, "foo(bar,",
      "error: 1:9: parse error: unclosed left parenthesis" },
    { __LINE__, "1.5.2",
      "error: 1:1: parse error: bad number or duration syntax: \"1.5.\"" },
    { __LINE__, "1..2",
      "error: 1:1: parse error: bad number or duration syntax: \"1..\"" },
    { __LINE__, "1e",
      "error: 1:1: parse error: bad number or duration syntax: \"1e\"" },
    { __LINE__, "1e+",
      "error: 1:1: parse error: bad number or duration syntax: \"1e+\"" },
    { __LINE__, "1_",
      "error: 1:1: parse error: bad number or duration syntax: \"1_\"" },
    { __LINE__, "1__0",
      "error: 1:1: parse error: bad number or duration syntax: \"1__\"" },
    { __LINE__, "1._5",
      "error: 1:1: parse error: bad number or duration syntax: \"1._\"" },
    { __LINE__, ".5.5",
      "error: 1:1: parse error: error parsing number: strconv.ParseFloat: "
      "parsing \".5.5\": invalid syntax" },
    { __LINE__, "0x",
      "error: 1:1: parse error: error parsing number: strconv.ParseFloat: "
      "parsing \"0x\": invalid syntax" },
    { __LINE__, "0xg",
      "error: 1:1: parse error: bad number or duration syntax: \"0x\"" },
    { __LINE__, "0x1.5",
      "error: 1:1: parse error: bad number or duration syntax: \"0x1.\"" },
    { __LINE__, "0xee",
      "error: 1:1: parse error: bad number or duration syntax: \"0xee\"" },
    { __LINE__, "0b1",
      "error: 1:1: parse error: bad number or duration syntax: \"0\"" },
    { __LINE__, "1mm",
      "error: 1:1: parse error: bad number or duration syntax: \"1mm\"" },
    { __LINE__, "5m5",
      "error: 1:1: parse error: bad number or duration syntax: \"5m5\"" },
    { __LINE__, "5hs",
      "error: 1:1: parse error: unknown unit \"hs\" in duration \"5hs\"" },
    { __LINE__, "1h1h",
      "error: 1:1: parse error: not a valid duration string: \"1h1h\"" },
    { __LINE__, "1s1m",
      "error: 1:1: parse error: not a valid duration string: \"1s1m\"" },
    { __LINE__, "5y1y",
      "error: 1:1: parse error: bad number or duration syntax: \"5y1\"" },
    { __LINE__, "400y", "error: 1:1: parse error: duration out of range" },
    { __LINE__, "1e309",
      "error: 1:1: parse error: error parsing number: strconv.ParseFloat: "
      "parsing \"1e309\": value out of range" },
    { __LINE__, "-1e309",
      "error: 1:2: parse error: error parsing number: strconv.ParseFloat: "
      "parsing \"1e309\": value out of range" },
    { __LINE__, "99999999999999999999y",
      "error: 1:1: parse error: not a valid duration string: "
      "\"99999999999999999999y\"" },
    { __LINE__, "0xFFFFFFFFFFFFFFFFFFFF",
      "error: 1:1: parse error: error parsing number: strconv.ParseFloat: "
      "parsing \"0xFFFFFFFFFFFFFFFFFFFF\": invalid syntax" },
    { __LINE__, "1 + 1e",
      "error: 1:5: parse error: bad number or duration syntax: \"1e\"" },
    { __LINE__, "infinity(1)",
      "error: 1:1: parse error: unknown function with name \"infinity\"" },
    { __LINE__, "\"a", "error: 1:1: parse error: unterminated quoted string" },
    { __LINE__, "'a", "error: 1:1: parse error: unterminated quoted string" },
    { __LINE__, "`a", "error: 1:1: parse error: unterminated raw string" },
    { __LINE__, "\"a\nb\"",
      "error: 1:1: parse error: unterminated quoted string" },
    { __LINE__, "'\\q'",
      "error: 1:1: parse error: unknown escape sequence U+0071 'q'" },
    { __LINE__, "\"\\400\"",
      "error: 1:1: parse error: escape sequence is an invalid Unicode code "
      "point" },
    { __LINE__, "\"\\x1\"",
      "error: 1:1: parse error: illegal character U+0022 '\"' in escape "
      "sequence" },
    { __LINE__, "\"\\xzz\"",
      "error: 1:1: parse error: illegal character U+007A 'z' in escape "
      "sequence" },
    { __LINE__, "\"\\u12\"",
      "error: 1:1: parse error: illegal character U+0022 '\"' in escape "
      "sequence" },
    { __LINE__, "\"\\ud800\"",
      "error: 1:1: parse error: escape sequence is an invalid Unicode code "
      "point" },
    { __LINE__, "\"\\U00110000\"",
      "error: 1:1: parse error: escape sequence is an invalid Unicode code "
      "point" },
    { __LINE__, "\"\\",
      "error: 1:1: parse error: escape sequence not terminated" },
    { __LINE__, "\"a\" \"b\"",
      "error: 1:5: parse error: unexpected string \"\\\"b\\\"\"" },
    { __LINE__, "foo[0s]",
      "error: 1:5: parse error: duration must be greater than 0" },
    { __LINE__, "foo[0]",
      "error: 1:5: parse error: duration must be greater than 0" },
    { __LINE__, "foo[-5m]",
      "error: 1:5: parse error: duration must be greater than 0" },
    { __LINE__, "foo[5m:0s]",
      "error: 1:8: parse error: duration must be greater than 0" },
    { __LINE__, "foo[5m:-1]",
      "error: 1:8: parse error: duration must be greater than 0" },
    { __LINE__, "foo[1e30]", "error: 1:5: parse error: duration out of range" },
    { __LINE__, "foo[inf]",
      "error: 1:5: parse error: unexpected character in duration expression: "
      "'i'" },
    { __LINE__, "foo[\"5m\"]",
      "error: 1:5: parse error: unexpected character in duration expression: "
      "'\"'" },
    { __LINE__, "foo[a]",
      "error: 1:5: parse error: unexpected character in duration expression: "
      "'a'" },
    { __LINE__, "foo[5m 5m]",
      "error: 1:8: parse error: unexpected duration \"5m\" in subquery or "
      "range, expected \":\" or \"]\"" },
    { __LINE__, "foo[5m:1m 5m]",
      "error: 1:11: parse error: unexpected duration \"5m\" in subquery "
      "selector, expected \"]\"" },
    { __LINE__, "foo[5m:1m:1m]",
      "error: 1:10: parse error: unexpected colon ':'" },
    { __LINE__, "foo[:5m]",
      "error: 1:6: parse error: unexpected colon before duration in duration "
      "expression" },
    { __LINE__, "foo[5m/0]", "error: 1:7: parse error: division by zero" },
    { __LINE__, "foo[5m % 0]", "error: 1:8: parse error: modulo by zero" },
    { __LINE__, "foo[(5m]",
      "error: 1:8: parse error: unexpected \"]\" in subquery or range "
      "selector, expected number, duration, step(), or range()" },
    { __LINE__, "foo[5m)]",
      "error: 1:8: parse error: unexpected right parenthesis ')'" },
    { __LINE__, "foo[5m,1]",
      "error: 1:7: parse error: unexpected \",\" in subquery or range, "
      "expected \":\" or \"]\"" },
    { __LINE__, "foo[#c\n5m]",
      "error: 1:5: parse error: unexpected character in duration expression: "
      "'#'" },
    { __LINE__, "foo offset -1e30",
      "error: 1:12: parse error: duration out of range" },
    { __LINE__, "foo offset (5m",
      "error: 1:15: parse error: unclosed left parenthesis" },
    { __LINE__, "foo offset 5m)",
      "error: 1:15: parse error: unexpected right parenthesis ')'" },
    { __LINE__, "a\n+ $",
      "error: 2:3: parse error: unexpected character: '$'" },
    { __LINE__, "sum(\n foo\n bar)",
      "error: 3:2: parse error: unexpected identifier \"bar\" in aggregation" },
};
// clang-format on

static void test_errors(void)
{
    struct promql_kit k;

    kit_init(&k);
    k.query.features = PROMQL_EXPERIMENTAL_FUNCTIONS;
    KIT_CHECK(&k, 0, errors);
    kit_fini(&k);
}

/* What nests too deeply is an error wherever it stands, and costs nothing. */
static void deep(struct promql_kit *k, const char *head, const char *open,
                 const char *middle, const char *close, int times)
{
    struct buf b;
    const char *got;

    buf_init(&b);
    buf_cstr(&b, head);
    for (int i = 0; i < times; i++)
        buf_cstr(&b, open);
    buf_cstr(&b, middle);
    for (int i = 0; i < times; i++)
        buf_cstr(&b, close);
    buf_char(&b, 0);
    got = kit_instant(k, b.data, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(got, "nests too deeply"));
    if (!strstr(got, "nests too deeply"))
        tap_note("%s: %.200s", open, got);
    buf_fini(&b);
}

static void test_deep(void)
{
    static const struct {
        const char *head, *open, *middle, *close;
    } shapes[] = {
        { "", "(", "1", ")" },         { "", "-", "x", "" },
        { "", "abs(", "x", ")" },      { "", "sum(", "x", ")" },
        { "", "1 ^ ", "x", "" },       { "", "1 + (", "x", ")" },
        { "", "", "x", "[1m:1m]" },    { "", "", "x", " + 1" },
        { "", "", "x", " or x" },      { "", "", "1", " * 2" },
        { "", "topk(1, ", "x", ")" },  { "x offset ", "(", "1", ")" },
        { "x offset ", "-", "1", "" }, { "x[", "-(", "5m", ")" },
        { "x[", "1 + (", "5m", ")" },  { "x[", "min_of(1, ", "1", ")" },
        { "x[5m:", "2 ^ ", "5m", "" },
    };
    struct promql_kit k;

    kit_init(&k);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        deep(&k, shapes[i].head, shapes[i].open, shapes[i].middle,
             shapes[i].close, 10000);
    kit_fini(&k);
}

/* As deep as it may be it is evaluated, printed and told of. */
static void test_deepest(void)
{
    static const struct {
        const char *open, *middle, *close, *want;
        int times;
    } shapes[] = {
        { "(", "1", ")", "1", 199 },          { "-", "x", "", "{} -1", 199 },
        { "abs(", "x", ")", "{} 1", 199 },    { "sum(", "x", ")", "{} 1", 199 },
        { "", "x", " + 1", "{} 1001", 1000 }, { "", "x", " or x", "x 1", 1000 },
        { "1 + (", "x", ")", "{} 100", 99 },
    };
    struct promql_kit k;

    kit_init(&k);
    kit_load(&k, "x 1\n", 1000);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        struct buf b;

        buf_init(&b);
        for (int n = 0; n < shapes[i].times; n++)
            buf_cstr(&b, shapes[i].open);
        buf_cstr(&b, shapes[i].middle);
        for (int n = 0; n < shapes[i].times; n++)
            buf_cstr(&b, shapes[i].close);
        buf_char(&b, 0);
        CU_ASSERT_STRING_EQUAL(kit_instant(&k, b.data, 0), shapes[i].want);
        if (strcmp(k.text.data, shapes[i].want) != 0)
            tap_note("%s: %.300s", shapes[i].open, k.text.data);
        buf_fini(&b);
    }
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "what is wrong, and where", test_errors },
    { "what nests too deeply is refused", test_deep },
    { "what nests as deeply as it may is evaluated", test_deepest },
};

int main(void)
{
    return TAP_RUN("promql errors", tests);
}
