/* SPDX-License-Identifier: Apache-2.0 */
/* util/regex: RE2's syntax and nothing else, matching, expanding, bounds. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "unit/tap.h"
#include "util/regex.h"
#include "util/str.h"
#include "util/utf8.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct regex *compile(const char *pattern)
{
    struct sonde_err err = { 0 };
    struct regex *re;

    if (regex_new(sonde_cstr(pattern), &re, &err) != SONDE_OK)
        tap_note("%s: %s", pattern, err.text);
    return re;
}

/* `yes` and `no` are lists separated by '~'; NULL: none. */
static const struct {
    int line;
    const char *pattern, *yes, *no;
} matches[] = {
    { __LINE__, "", "", "a" },
    { __LINE__, "a", "a", "~b~aa" },
    { __LINE__, "a|b|", "a~b~", "c~ab" },
    { __LINE__, "^(a|b)$", "a~b", "~ab" },
    { __LINE__, "foo(bar|baz)?", "foo~foobar~foobaz", "foob~bar" },
    { __LINE__, "x[ab]y[0-2]", "xay0~xby2", "xay3~xy0" },
    { __LINE__, ".*", "~a~a\nb~\xc3\xbc", NULL },
    { __LINE__, ".+", "a~\n", "" },
    { __LINE__, "a.*", "a~abc~a\n", "~ba" },
    { __LINE__, "a.+", "ab", "a~~b" },
    { __LINE__, ".*a", "a~ba", "ab~" },
    { __LINE__, ".*a.*", "a~bab", "b~" },
    { __LINE__, ".+a.+", "bab~aaa", "a~ab~ba~aa" },
    { __LINE__, "a.*b.*a", "aba~abba~axbya", "ab~aa~abab" },
    { __LINE__, "ab.*ba", "abba~ab1ba", "aba" },
    { __LINE__, "foo.*|.*bar|x", "foo1~1bar~x", "1foo~bar1~xx" },
    { __LINE__, "(?:a|b).*", "a~bc", "c" },
    { __LINE__, "(?-s).*", "~a", "a\nb" },
    { __LINE__, "(?-s:.)(?s:.)", "a\n", "\na" },
    { __LINE__, "(?i)HeLLo", "hello~HELLO", "hell" },
    { __LINE__, "(?i:a)b", "Ab~ab", "AB" },
    { __LINE__, "a(?i)b|c", "ab~aB~C", "Ab" },
    { __LINE__, "(a(?i)b)c", "aBc", "aBC" },
    { __LINE__, "(?i)a(?-i)b", "Ab", "aB" },
    { __LINE__, "(?i)k", "k~K~\xe2\x84\xaa", "x" },
    { __LINE__, "(?i)\xc3\xa4", "\xc3\xa4~\xc3\x84", "a" },
    { __LINE__, "(?i)[a-c]+", "aBC", "d" },
    { __LINE__, "(?i)\\W", "-~\xc3\xa4", "k~\xe2\x84\xaa~\xc5\xbf" },
    { __LINE__, "\\W", "-~\xe2\x84\xaa", "k" },
    { __LINE__, "(?i)\\p{Lu}", "a~A", "1" },
    { __LINE__, "\\p{Lu}\\PL\\pN", "A-1~\xc3\x84.2", "a-1" },
    { __LINE__, "\\p{Greek}+", "\xce\xb1\xce\xb2", "a" },
    { __LINE__, "\\P{^Greek}", "\xce\xb1", "a" },
    { __LINE__, "\\p{^Greek}", "a", "\xce\xb1" },
    { __LINE__, "[\\p{Greek}\\d]+", "1\xce\xb1", "a" },
    { __LINE__, "\\p{Old_Italic}", "\xf0\x90\x8c\x80", "a" },
    { __LINE__, "\\p{Any}\\PL", "a1", "aa" },
    { __LINE__, "[[:alpha:]][[:^digit:]][[:word:]]", "ab_~a-1", "1ab~a1a" },
    { __LINE__, "[[:space:]]", " ~\v", "a" },
    { __LINE__, "\\s", " ~\t", "\v~\xc2\xa0" },
    { __LINE__, "\\S", "\v", " " },
    { __LINE__, "[[:x]+", ":~[x", "a" },
    { __LINE__, "[]a]", "]~a", "b" },
    { __LINE__, "[^]a]", "b", "]~a" },
    { __LINE__, "[a-]", "a~-", "b" },
    { __LINE__, "[-a]", "a~-", "b" },
    { __LINE__, "[a\\-z]", "a~-~z", "b" },
    { __LINE__, "[\\d-z]", "1~-~z", "a" },
    { __LINE__, "[^\\x00-\\x{10FFFF}]", NULL, "a~" },
    { __LINE__, "[^a]", "b~\n", "a" },
    { __LINE__, "\\d\\D\\w", "1a_", "aaa~1 -" },
    { __LINE__, "\\x41\\x{42}\\103\\0", NULL, "ABC" },
    { __LINE__, "\\x41\\x{42}\\103", "ABC", "abc" },
    { __LINE__, "\\a\\f\\n\\r\\t\\v", "\a\f\n\r\t\v", "a" },
    { __LINE__, "\\.\\-\\_\\/\\\"", ".-_/\"", "a" },
    { __LINE__, "\\Qa.b*\\Ec", "a.b*c", "axbbc" },
    { __LINE__, "\\Qa.*", "a.*", "ab" },
    { __LINE__, "\\Qab\\E*", "a~abb", "abab" },
    { __LINE__, "ab*", "a~abb", "abab" },
    { __LINE__, "(?:ab)*", "~abab", "abb" },
    { __LINE__, "(ab){2}", "abab", "ab" },
    { __LINE__, "a{2,}b{0,1}", "aa~aaab", "a~aabb" },
    { __LINE__, "a{,2}", "a{,2}", "aa" },
    { __LINE__, "a{x}", "a{x}", "a" },
    { __LINE__, "a{01}", "a{01}", "a" },
    { __LINE__, "{", "{", "" },
    { __LINE__, "a}", "a}", "a" },
    { __LINE__, "a]", "a]", "a" },
    { __LINE__, "a{1", "a{1", "a" },
    { __LINE__, "a{0}", "", "a" },
    { __LINE__, "(a){0}b", "b", "ab" },
    { __LINE__, "a*?b+?c??", "b~abc", "a" },
    { __LINE__, "(?U)a*b+", "b~aab", "a" },
    { __LINE__, "^*a", "a", "" },
    { __LINE__, "a(?i)*", "~aa", "A" },
    { __LINE__, "a*(?i)*", "~aa", "A" },
    { __LINE__, "(?:(?:))*", "", "a" },
    { __LINE__, "(|a)*b", "b~aab", "a" },
    { __LINE__, "(a*)*", "~aa", "b" },
    { __LINE__, "(a|b*)*c", "abbac~c", "d" },
    { __LINE__, "()|x", "~x", "y" },
    { __LINE__, "(?i-s:A.)", "ab", "a\n" },
    { __LINE__, "(?)a", "a", "b" },
    { __LINE__, "a\\b-\\bb", "a-b", "ab" },
    { __LINE__, "a\\Bb", "ab", "a-b" },
    { __LINE__, "\\b\xc3\xa4", NULL, "\xc3\xa4" },
    { __LINE__, "\\Aa\\z", "a", "ab" },
    { __LINE__, "a$b", NULL, "ab~a\nb" },
    { __LINE__, "(?m)a$\n^b", "a\nb", "ab" },
    { __LINE__, "(?m)a\n^", "a\n", "a" },
    { __LINE__, "(?m:$)\n", "\n", "" },
    { __LINE__, "a.$", "ab~a\n", "a" },
    { __LINE__, "(?P<n>a)(?<m>b)", "ab", "a" },
    { __LINE__, "(?P<n>a)|(?P<n>b)", "a~b", "c" },
    { __LINE__, "\xe4\xb8\x96.", "\xe4\xb8\x96\xe7\x95\x8c", "\xe4\xb8\x96" },
    { __LINE__, "..", "\xe4\xb8\x96x~\xff\xfe", "\xe4\xb8\x96" },
    { __LINE__, "[^x]\xef\xbf\xbd", "a\xff", "x\xff" },
    { __LINE__, "(([0-9]+)\\.){3}[0-9]+", "10.0.0.1", "10.0.0" },
    { __LINE__, "#a b", "#a b", "ab" },
    { __LINE__, "(?s).", "\n", "" },
    { __LINE__, "[[:ascii:]]", "a", "\xc3\xa4" },
    { __LINE__, "[[.]", "[~.", "a" },
    { __LINE__, "[a&&b]", "a~&~b", "c" },
};

static void check_list(size_t row, const struct regex *re, const char *list,
                       bool want)
{
    sonde_str rest = sonde_cstr(list), s;

    while (list && str_split(&rest, '~', &s)) {
        struct buf b;

        if (regex_match(re, s) != want)
            tap_note("%s on \"%.*s\"", matches[row].pattern, SONDE_ARG(s));
        ROW_ASSERT(&matches[row], regex_match(re, s) == want);
        buf_init(&b);
        ROW_ASSERT(&matches[row],
                   regex_expand(re, s, SONDE_STR("x$0"), &b) == want);
        if (want && str_is_utf8(s))
            ROW_ASSERT(
                &matches[row],
                b.len == s.len + 1 &&
                    (s.len == 0 || memcmp(b.data + 1, s.ptr, s.len) == 0));
        if (want)
            ROW_ASSERT(&matches[row], str_starts(s, regex_prefix(re)));
        buf_fini(&b);
    }
}

static void test_match(void)
{
    for (size_t i = 0; i < COUNT(matches); i++) {
        struct regex *re = compile(matches[i].pattern);

        ROW_ASSERT(&matches[i], re != NULL);
        if (!re)
            continue;
        check_list(i, re, matches[i].yes, true);
        check_list(i, re, matches[i].no, false);
        regex_unref(re);
    }
}

/* The same rows again, written so that no shortcut applies. */
static void test_match_by_engine(void)
{
    for (size_t i = 0; i < COUNT(matches); i++) {
        char pattern[256];
        struct regex *re;

        (void)snprintf(pattern, sizeof(pattern),
                       "(?:%s\\E)|[^\\x00-\\x{10ffff}]", matches[i].pattern);
        if (!strstr(matches[i].pattern, "\\Q") ||
            strstr(matches[i].pattern, "\\E"))
            (void)snprintf(pattern, sizeof(pattern),
                           "(?:%s)|[^\\x00-\\x{10ffff}]", matches[i].pattern);
        re = compile(pattern);
        ROW_ASSERT(&matches[i], re != NULL);
        if (!re)
            continue;
        check_list(i, re, matches[i].yes, true);
        check_list(i, re, matches[i].no, false);
        regex_unref(re);
    }
}

static void test_errors(void)
{
    static const struct {
        int line;
        const char *pattern, *error; /* behind "error parsing regexp: "   */
    } rows[] = {
        { __LINE__, "(", "missing closing ): `(`" },
        { __LINE__, "(abc", "missing closing ): `(abc`" },
        { __LINE__, ")", "unexpected ): `)`" },
        { __LINE__, "a)b", "unexpected ): `a)b`" },
        { __LINE__, "a)(?:b", "unexpected ): `a)(?:b`" },
        { __LINE__, "[a", "missing closing ]: `[a`" },
        { __LINE__, "[", "missing closing ]: `[`" },
        { __LINE__, "[]", "missing closing ]: `[]`" },
        { __LINE__, "x[^]", "missing closing ]: `[^]`" },
        { __LINE__, "[b-a]", "invalid character class range: `b-a`" },
        { __LINE__, "[[:foo:]]", "invalid character class range: `[:foo:]`" },
        { __LINE__, "[a-\\d]", "invalid escape sequence: `\\d`" },
        { __LINE__, "*", "missing argument to repetition operator: `*`" },
        { __LINE__, "a|*", "missing argument to repetition operator: `*`" },
        { __LINE__, "(+?)", "missing argument to repetition operator: `+?`" },
        { __LINE__, "(?i)*", "missing argument to repetition operator: `*`" },
        { __LINE__, "{2}", "missing argument to repetition operator: `{2}`" },
        { __LINE__, "a**", "invalid nested repetition operator: `**`" },
        { __LINE__, "a*+", "invalid nested repetition operator: `*+`" },
        { __LINE__, "a++", "invalid nested repetition operator: `++`" },
        { __LINE__, "a?+", "invalid nested repetition operator: `?+`" },
        { __LINE__, "a???", "invalid nested repetition operator: `???`" },
        { __LINE__, "a{2}{3}", "invalid nested repetition operator: `{2}{3}`" },
        { __LINE__, "a{2}+", "invalid nested repetition operator: `{2}+`" },
        { __LINE__, "a{1001}", "invalid repeat count: `{1001}`" },
        { __LINE__, "a{3,2}", "invalid repeat count: `{3,2}`" },
        { __LINE__, "a{99999999999}", "invalid repeat count: `{99999999999}`" },
        { __LINE__, "((a{100}){10}){2}", "invalid repeat count: `{2}`" },
        { __LINE__, "(a{1000}){1000}", "invalid repeat count: `{1000}`" },
        { __LINE__, "(?=a)", "invalid or unsupported Perl syntax: `(?=`" },
        { __LINE__, "(?!a)", "invalid or unsupported Perl syntax: `(?!`" },
        { __LINE__, "(?<=a)", "invalid named capture: `(?<=a)`" },
        { __LINE__, "(?>a)", "invalid or unsupported Perl syntax: `(?>`" },
        { __LINE__, "(?#c)", "invalid or unsupported Perl syntax: `(?#`" },
        { __LINE__, "(?|a)", "invalid or unsupported Perl syntax: `(?|`" },
        { __LINE__, "(?R)", "invalid or unsupported Perl syntax: `(?R`" },
        { __LINE__, "(?1)", "invalid or unsupported Perl syntax: `(?1`" },
        { __LINE__, "(?x)a", "invalid or unsupported Perl syntax: `(?x`" },
        { __LINE__, "(?P=n)", "invalid or unsupported Perl syntax: `(?P`" },
        { __LINE__, "(?P>n)", "invalid or unsupported Perl syntax: `(?P`" },
        { __LINE__, "(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`" },
        { __LINE__, "(?", "invalid or unsupported Perl syntax: `(?`" },
        { __LINE__, "(?C)", "invalid or unsupported Perl syntax: `(?C`" },
        { __LINE__, "(?P<n", "invalid named capture: `(?P<n`" },
        { __LINE__, "(?P<>a)", "invalid named capture: `(?P<>`" },
        { __LINE__, "(?P<a b>a)", "invalid named capture: `(?P<a b>`" },
        { __LINE__, "(a)\\1", "invalid escape sequence: `\\1`" },
        { __LINE__, "\\8", "invalid escape sequence: `\\8`" },
        { __LINE__, "\\G", "invalid escape sequence: `\\G`" },
        { __LINE__, "\\K", "invalid escape sequence: `\\K`" },
        { __LINE__, "\\R", "invalid escape sequence: `\\R`" },
        { __LINE__, "\\X", "invalid escape sequence: `\\X`" },
        { __LINE__, "\\Z", "invalid escape sequence: `\\Z`" },
        { __LINE__, "\\C", "invalid escape sequence: `\\C`" },
        { __LINE__, "\\h", "invalid escape sequence: `\\h`" },
        { __LINE__, "\\N", "invalid escape sequence: `\\N`" },
        { __LINE__, "\\e", "invalid escape sequence: `\\e`" },
        { __LINE__, "\\cA", "invalid escape sequence: `\\c`" },
        { __LINE__, "\\k<n>", "invalid escape sequence: `\\k`" },
        { __LINE__, "\\g1", "invalid escape sequence: `\\g`" },
        { __LINE__, "\\u0041", "invalid escape sequence: `\\u`" },
        { __LINE__, "\\E", "invalid escape sequence: `\\E`" },
        { __LINE__, "[\\b]", "invalid escape sequence: `\\b`" },
        { __LINE__, "\\x{110000}", "invalid escape sequence: `\\x`" },
        { __LINE__, "\\x{}", "invalid escape sequence: `\\x`" },
        { __LINE__, "\\xg1", "invalid escape sequence: `\\x`" },
        { __LINE__, "a\\", "trailing backslash at end of expression: ``" },
        { __LINE__, "\\pX", "invalid character class range: `\\pX`" },
        { __LINE__, "\\p", "invalid character class range: `\\p`" },
        { __LINE__, "\\p{Foo}", "invalid character class range: `\\p{Foo}`" },
        { __LINE__, "\\p{L", "invalid character class range: `\\p{L`" },
        { __LINE__, "\\p{greek}",
          "invalid character class range: `\\p{greek}`" },
        { __LINE__, "\\p{Grek}", "invalid character class range: `\\p{Grek}`" },
        { __LINE__, "\\p{L&}", "invalid character class range: `\\p{L&}`" },
        { __LINE__, "\xff", "invalid UTF-8: ``" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sonde_err err = { 0 };
        struct regex *re;
        const char *prefix = "error parsing regexp: ";
        sonde_code rc = regex_new(sonde_cstr(rows[i].pattern), &re, &err);
        bool same = rc == SONDE_EPARSE &&
                    strncmp(err.text, prefix, strlen(prefix)) == 0 &&
                    strcmp(err.text + strlen(prefix), rows[i].error) == 0;

        if (!same)
            tap_note("%s: %s", rows[i].pattern, err.text);
        ROW_ASSERT(&rows[i], same);
        ROW_ASSERT(&rows[i], re == NULL);
        regex_unref(re);
    }
}

static void test_expand(void)
{
    static const struct {
        int line;
        const char *pattern, *subject, *template, *want; /* NULL: no match */
    } rows[] = {
        { __LINE__, "(.*)", "abc", "$1", "abc" },
        { __LINE__, "(.*)", "", "<$1>", "<>" },
        { __LINE__, "(.*)", "abc", "${1}x", "abcx" },
        { __LINE__, "(.*)", "abc", "$1x", "" },
        { __LINE__, "(.*)", "abc", "$1_x", "" },
        { __LINE__, "(.*)", "abc", "$1-x", "abc-x" },
        { __LINE__, "(.*)", "abc", "$$1", "$1" },
        { __LINE__, "(.*)", "abc", "$0$2$10", "abc" },
        { __LINE__, "(.*)", "abc", "$", "$" },
        { __LINE__, "(.*)", "abc", "a$-", "a$-" },
        { __LINE__, "(.*)", "abc", "${", "${" },
        { __LINE__, "(.*)", "abc", "${1", "${1" },
        { __LINE__, "(.*)", "abc", "${}", "${}" },
        { __LINE__, "(.*)", "abc", "${1-}", "${1-}" },
        { __LINE__, "(.*)", "abc", "$01", "" },
        { __LINE__, "(.*)", "abc", "$99999999999999999999", "" },
        { __LINE__, "(.*)", "abc", "$1\xc3\xa4", "" },
        { __LINE__, "(.*)", "abc", "$1\xe2\x80\x93", "abc\xe2\x80\x93" },
        { __LINE__, "pre_(.+)", "pre_x", "$1", "x" },
        { __LINE__, "pre_(.+)", "pre_", "$1", NULL },
        { __LINE__, "(.+):9100", "host:9100", "$1", "host" },
        { __LINE__, "a(.*)b", "axyb", "$1", "xy" },
        { __LINE__, "a(.*)b", "ab", "<$1>", "<>" },
        { __LINE__, "(a|b)", "b", "$1", "b" },
        { __LINE__, "^(a|b)$", "b", "$1", "b" },
        { __LINE__, "(a|b)c", "bc", "$1", "b" },
        { __LINE__, "(.*)-(.*)", "a-b-c", "$1/$2", "a-b/c" },
        { __LINE__, "(.*?)-(.*)", "a-b-c", "$1/$2", "a/b-c" },
        { __LINE__, "(?U)(.*)-(.*)", "a-b-c", "$1/$2", "a/b-c" },
        { __LINE__, "(.*)(.+)", "abc", "$1/$2", "ab/c" },
        { __LINE__, "((.*))", "abc", "$1/$2", "abc/abc" },
        { __LINE__, "(.*)|x", "x", "$1", "x" },
        { __LINE__, "([^:]+)(?::\\d+)?;(\\d+)", "h:1;2", "$1:$2", "h:2" },
        { __LINE__, "([^:]+)(?::\\d+)?;(\\d+)", "h;2", "$1:$2", "h:2" },
        { __LINE__, "(a)|(b)", "b", "<$1$2>", "<b>" },
        { __LINE__, "(?P<x>a)|(?P<x>b)", "b", "$x", "b" },
        { __LINE__, "(?P<x>.*)", "b", "${x}y$x", "byb" },
        { __LINE__, "(?P<x>.*)", "b", "$y", "" },
        { __LINE__, "(?P<x1>a)(?P<y>b)", "ab", "$y$x1", "ba" },
        { __LINE__, "\\w(.)", "a\xff", "$1", "\xef\xbf\xbd" },
    };
    struct buf b;

    buf_init(&b);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct regex *re = compile(rows[i].pattern);
        bool ok;

        buf_reset(&b);
        ok = regex_expand(re, sonde_cstr(rows[i].subject),
                          sonde_cstr(rows[i].template), &b);
        ROW_ASSERT(&rows[i], ok == (rows[i].want != NULL));
        if (ok && !str_eq_cstr(buf_str(&b), rows[i].want))
            tap_note("got %.*s", SONDE_ARG(buf_str(&b)));
        ROW_ASSERT(&rows[i], !ok || str_eq_cstr(buf_str(&b), rows[i].want));
        regex_unref(re);
    }
    buf_fini(&b);
}

static void test_literals(void)
{
    static const struct {
        int line;
        const char *pattern, *want; /* NULL: not a list of literals       */
    } rows[] = {
        { __LINE__, "", "" },
        { __LINE__, "a", "a" },
        { __LINE__, "b|a|b", "a,b" },
        { __LINE__, "(b|a)", "a,b" },
        { __LINE__, "^b|a$", NULL },
        { __LINE__, "^(?:b|a)$", "a,b" },
        { __LINE__, "x(a|b)(c|)", "xa,xac,xb,xbc" },
        { __LINE__, "a|b(c|d)|(?:e)?", ",a,bc,bd,e" },
        { __LINE__, "[bca]", "a,b,c" },
        { __LINE__, "a\\.b", "a.b" },
        { __LINE__, "(?i)1\\.2", "1.2" },
        { __LINE__, "(?i)a", NULL },
        { __LINE__, "a.*", NULL },
        { __LINE__, "a+", NULL },
        { __LINE__, "[^a]", NULL },
        { __LINE__, "\\w", NULL },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct regex *re = compile(rows[i].pattern);
        const sonde_str *items;
        size_t n;
        struct buf b;
        bool list = regex_literals(re, &items, &n);

        ROW_ASSERT(&rows[i], list == (rows[i].want != NULL));
        buf_init(&b);
        for (size_t j = 0; list && j < n; j++) {
            buf_cstr(&b, j ? "," : "");
            buf_put(&b, items[j]);
        }
        ROW_ASSERT(&rows[i], !list || str_eq_cstr(buf_str(&b), rows[i].want));
        buf_fini(&b);
        regex_unref(re);
    }
}

static void test_prefix(void)
{
    static const struct {
        int line;
        const char *pattern, *want;
    } rows[] = {
        { __LINE__, "abc", "abc" },
        { __LINE__, "abc.*", "abc" },
        { __LINE__, "abc*", "ab" },
        { __LINE__, "^ab(c|d)", "ab" },
        { __LINE__, "(abc)+x", "" },
        { __LINE__, "foox|foob.*", "foo" },
        { __LINE__, "(ab)(c[de]).*", "abc" },
        { __LINE__, "(?i)abc", "" },
        { __LINE__, "a(?i)b", "a" },
        { __LINE__, ".*a", "" },
        { __LINE__, "abcd|ab", "ab" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct regex *re = compile(rows[i].pattern);
        sonde_str prefix = regex_prefix(re);
        bool ok = str_starts(prefix, sonde_cstr(rows[i].want)) ||
                  str_eq_cstr(prefix, rows[i].want);

        if (strcmp(rows[i].pattern, "^ab(c|d)") != 0)
            ok = str_eq_cstr(prefix, rows[i].want);
        if (!ok)
            tap_note("%s: %.*s", rows[i].pattern, SONDE_ARG(prefix));
        ROW_ASSERT(&rows[i], ok);
        regex_unref(re);
    }
}

static void add_hosts(struct buf *b, const char *dot)
{
    buf_cstr(b, "(");
    for (int i = 0; i < 8000; i++)
        buf_printf(b, "%shost-%05d%sexample%sorg", i ? "|" : "", i * 7 % 8000,
                   dot, dot);
    buf_cstr(b, ")");
}

/* Thousands of values, as a dashboard sends them, also inside a group. */
static void test_many_literals(void)
{
    struct buf b;
    struct regex *re;
    const sonde_str *items;
    size_t n;

    buf_init(&b);
    add_hosts(&b, "\\.");
    CU_ASSERT_EQUAL(regex_new(buf_str(&b), &re, NULL), SONDE_OK);
    CU_ASSERT_TRUE(regex_literals(re, &items, &n));
    CU_ASSERT_EQUAL(n, 8000);
    CU_ASSERT_TRUE(regex_match(re, SONDE_STR("host-07999.example.org")));
    CU_ASSERT_FALSE(regex_match(re, SONDE_STR("host-08000.example.org")));
    CU_ASSERT_TRUE(regex_can_expand(re));
    regex_unref(re);
    buf_cstr(&b, ":9100");
    CU_ASSERT_EQUAL(regex_new(buf_str(&b), &re, NULL), SONDE_OK);
    CU_ASSERT_TRUE(regex_match(re, SONDE_STR("host-07999.example.org:9100")));
    CU_ASSERT_FALSE(regex_can_expand(re));
    regex_unref(re);
    buf_cstr(&b, ".*[0-9]");
    CU_ASSERT_EQUAL(regex_new(buf_str(&b), &re, NULL), SONDE_EPARSE);
    buf_reset(&b);
    add_hosts(&b, "."); /* more than one program holds */
    CU_ASSERT_EQUAL_FATAL(regex_new(buf_str(&b), &re, NULL), SONDE_OK);
    CU_ASSERT_TRUE(regex_match(re, SONDE_STR("host-00000.example.org")));
    CU_ASSERT_TRUE(regex_match(re, SONDE_STR("host-07993xexample.org")));
    CU_ASSERT_FALSE(regex_match(re, SONDE_STR("host-08000.example.org")));
    CU_ASSERT_FALSE(regex_can_expand(re));
    regex_unref(re);
    buf_fini(&b);
}

static void test_bounds(void)
{
    size_t n = 600000;
    char *s = malloc(n);
    struct sonde_err err;
    struct regex *re;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    memset(s, 'a', n);
    CU_ASSERT_EQUAL(regex_new((sonde_str){ s, n }, &re, &err), SONDE_EPARSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "expression too large"));
    memset(s, '(', n);
    CU_ASSERT_EQUAL(regex_new((sonde_str){ s, 500000 }, &re, &err),
                    SONDE_EPARSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "nests too deeply"));
    for (size_t i = 0; i + 6 <= 500000; i += 6)
        memcpy(s + i, "a*(?i)", 6);
    CU_ASSERT_EQUAL(regex_new((sonde_str){ s, 499998 }, &re, &err),
                    SONDE_EPARSE);
    for (size_t i = 0; i + 6 <= 500000; i += 6)
        memcpy(s + i, i ? "*(?i)" : "a*(?i)", i ? 5 : 6);
    CU_ASSERT_NOT_EQUAL(regex_new((sonde_str){ s, 400000 }, &re, &err),
                        SONDE_OK);
    for (size_t i = 0; i + 3 <= 500000; i += 3)
        memcpy(s + i, "[a]", 3);
    CU_ASSERT_EQUAL(regex_new((sonde_str){ s, 499998 }, &re, &err),
                    SONDE_EPARSE);
    memset(s, 'a', n);
    re = compile("(a+a+)+b"); /* more steps than anybody wants to wait for */
    CU_ASSERT_FALSE(regex_match(re, (sonde_str){ s, 5000 }));
    regex_unref(re);
    re = compile("(a|b|ab)*c?"); /* needs more stack than is borrowed */
    CU_ASSERT_TRUE(regex_match(re, (sonde_str){ s, 10000 }));
    regex_unref(re);
    free(s);
}

static void *match_on(void *arg)
{
    struct regex *re = regex_ref(arg);
    uintptr_t wrong = 0;

    for (int i = 0; i < 5000; i++) {
        wrong += !regex_match(re, SONDE_STR("host-17.rack3"));
        wrong += regex_match(re, SONDE_STR("host-x.rack3"));
    }
    regex_unref(re);
    return (void *)wrong;
}

static void test_threads(void)
{
    struct regex *re = compile("host-([0-9]+)\\.rack[0-9]");
    pthread_t threads[3];
    void *wrong;

    for (size_t i = 0; i < COUNT(threads); i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, match_on, re),
                              0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        (void)pthread_join(threads[i], &wrong);
        CU_ASSERT_PTR_NULL(wrong);
    }
    CU_ASSERT_TRUE(str_eq_cstr(regex_pattern(re), "host-([0-9]+)\\.rack[0-9]"));
    regex_unref(re);
    regex_unref(NULL);
}

static void test_utf8(void)
{
    static const uint32_t runes[] = {
        0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff
    };

    for (size_t i = 0; i < COUNT(runes); i++) {
        char text[UTF8_MAX_BYTES];
        size_t n = utf8_encode(text, runes[i]);
        bool ok = true;
        uint32_t back;

        CU_ASSERT_EQUAL(utf8_decode((sonde_str){ text, n }, &back, &ok), n);
        CU_ASSERT_TRUE(ok && back == runes[i]);
        if (n == 1)
            continue;
        CU_ASSERT_EQUAL(utf8_decode((sonde_str){ text, n - 1 }, &back, &ok), 1);
        CU_ASSERT_TRUE(!ok && back == UTF8_INVALID);
    }
}

static const struct tap_test tests[] = {
    { "whole strings match", test_match },
    { "the engine agrees with the shortcuts", test_match_by_engine },
    { "what RE2 does not have is refused", test_errors },
    { "templates expand by Go's rules", test_expand },
    { "finite expressions are spelled out", test_literals },
    { "prefixes are found", test_prefix },
    { "thousands of literals", test_many_literals },
    { "bounds hold", test_bounds },
    { "one expression in several threads", test_threads },
    { "characters in UTF-8", test_utf8 },
};

int main(void)
{
    return TAP_RUN("regex", tests);
}
