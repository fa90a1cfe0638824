/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character classes and escapes of RE2's syntax. Everything that has a name
 * (\d, [:word:]) becomes plain ranges, because the same names mean other
 * sets elsewhere; only Unicode properties stay names, and their letter case
 * and spelling are checked first, since PCRE2 is more forgiving than RE2.
 *
 * Negated named sets under (?i): RE2 folds the set, then complements it. The
 * engine would complement first, and then find that the Kelvin sign, which
 * is not in \w, is a k. So the set is folded here before it is complemented.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include <pcre2.h>
#include <stdlib.h>

#include "util/regex_syntax.h"
#include "util/str.h"
#include "util/utf8.h"

#define KELVIN_SIGN 0x212a
#define LONG_S      0x17f
#define SCRIPT_MAX  40

struct named_set {
    const char *name;
    const char *pairs; /* first and last character, and so on             */
    size_t length;     /* of `pairs`                                      */
};
#define SET(name, pairs)                                                       \
    {                                                                          \
        name, pairs, sizeof(pairs) - 1                                         \
    }

static const struct named_set posix_sets[] = {
    SET("alnum", "09AZaz"),
    SET("alpha", "AZaz"),
    SET("ascii", "\x00\x7f"),
    SET("blank", "\t\t  "),
    SET("cntrl", "\x00\x1f\x7f\x7f"),
    SET("digit", "09"),
    SET("graph", "!~"),
    SET("lower", "az"),
    SET("print", " ~"),
    SET("punct", "!/:@[`{~"),
    SET("space", "\t\r  "),
    SET("upper", "AZ"),
    SET("word", "09AZaz__"),
    SET("xdigit", "09AFaf"),
};

static const struct named_set perl_sets[] = {
    SET("d", "09"),
    SET("s", "\t\n\f\r  "),
    SET("w", "09AZaz__"),
};

static struct regex_class *class_new(struct arena *a)
{
    return arena_new(a, struct regex_class);
}

static void class_add(struct arena *a, struct regex_class *c, uint32_t lo,
                      uint32_t hi)
{
    if (c->count == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 8;
        struct rune_range *r = arena_array(a, struct rune_range, cap);

        if (c->count)
            memcpy(r, c->ranges, c->count * sizeof(*r));
        c->ranges = r;
        c->cap = cap;
    }
    c->ranges[c->count++] = (struct rune_range){ lo, hi };
}

static int by_lo(const void *a, const void *b)
{
    const struct rune_range *x = a, *y = b;

    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Adds what is in none of the ranges. */
static void class_add_complement(struct arena *a, struct regex_class *c,
                                 struct rune_range *ranges, size_t n)
{
    uint32_t next = 0;

    qsort(ranges, n, sizeof(*ranges), by_lo);
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].lo > next)
            class_add(a, c, next, ranges[i].lo - 1);
        if (ranges[i].hi >= next)
            next = ranges[i].hi + 1;
    }
    if (next <= UTF8_MAX_RUNE)
        class_add(a, c, next, UTF8_MAX_RUNE);
}

/* The case partners of letters, for sets that are complemented. The sets
 * here have all letters of a case, or those up to f, or none. */
static size_t fold_set(struct rune_range *r, size_t n)
{
    size_t count = n;

    for (size_t i = 0; i < n; i++) {
        uint32_t lo = r[i].lo | 0x20, hi = r[i].hi | 0x20;

        if (lo < 'a' || hi > 'z')
            continue;
        r[count++] = (struct rune_range){ lo, hi };
        r[count++] = (struct rune_range){ lo - 0x20, hi - 0x20 };
        if (hi == 'z') {
            r[count++] = (struct rune_range){ LONG_S, LONG_S };
            r[count++] = (struct rune_range){ KELVIN_SIGN, KELVIN_SIGN };
        }
    }
    return count;
}

static void class_add_set(struct arena *a, struct regex_class *c,
                          const struct named_set *set, bool negated, bool fold)
{
    struct rune_range r[24];
    size_t n = 0;

    for (size_t i = 0; i < set->length; i += 2)
        r[n++] = (struct rune_range){ (unsigned char)set->pairs[i],
                                      (unsigned char)set->pairs[i + 1] };
    if (!negated) {
        for (size_t i = 0; i < n; i++)
            class_add(a, c, r[i].lo, r[i].hi);
        return;
    }
    if (fold)
        n = fold_set(r, n);
    class_add_complement(a, c, r, n);
}

/* [:alpha:] or [:^alpha:]; text that merely begins like it is no set. */
static sonde_code add_posix(struct arena *a, struct regex_class *c,
                            sonde_str *s, bool fold, struct sonde_err *err)
{
    size_t end = 2;
    sonde_str name;
    bool negated;

    while (end + 1 < s->len && (s->ptr[end] != ':' || s->ptr[end + 1] != ']'))
        end++;
    if (end + 1 >= s->len)
        return SONDE_ENOTFOUND;
    name = str_sub(*s, 2, end);
    negated = name.len && name.ptr[0] == '^';
    if (negated)
        name = str_sub(name, 1, name.len);
    for (size_t i = 0; i < sizeof(posix_sets) / sizeof(posix_sets[0]); i++) {
        if (!str_eq_cstr(name, posix_sets[i].name))
            continue;
        class_add_set(a, c, &posix_sets[i], negated, fold);
        *s = str_sub(*s, end + 2, s->len);
        return SONDE_OK;
    }
    return regex_fail(err, "invalid character class range",
                      str_sub(*s, 0, end + 2));
}

/* ---- Unicode properties -------------------------------------------------- */

static bool is_category(sonde_str name)
{
    static const char *const names[] = {
        "C",  "Cc", "Cf", "Co", "Cs", "L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",
        "Mc", "Me", "Mn", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Pe", "Pf",
        "Pi", "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (str_eq_cstr(name, names[i]))
            return true;
    return false;
}

/* Old_Italic, not old_italic and not Ital, which the engine takes too. */
static bool is_script_spelling(sonde_str name)
{
    static const char *const four[] = { "Ahom", "Cham", "Kawi", "Lisu",
                                        "Newa", "Thai", "Toto" };
    bool first = true;

    if (str_eq_cstr(name, "SignWriting"))
        return true;
    if (name.len < 2 || name.len > SCRIPT_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool ok = first ? c >= 'A' && c <= 'Z' : c == '_' || c >= 'a';

        if (!ok || c > 'z')
            return false;
        first = c == '_';
    }
    for (size_t i = 0; name.len == 4 && i < sizeof(four) / sizeof(four[0]); i++)
        if (str_eq_cstr(name, four[i]))
            return true;
    return name.len != 4;
}

static bool is_script(sonde_str name)
{
    char pattern[SCRIPT_MAX + 8];
    pcre2_code *code;
    int number;
    size_t at;
    int n;

    if (!is_script_spelling(name))
        return false;
    n = snprintf(pattern, sizeof(pattern), "\\p{sc:%.*s}", SONDE_ARG(name));
    code = pcre2_compile((PCRE2_SPTR)pattern, (size_t)n, PCRE2_UTF, &number,
                         &at, NULL);
    pcre2_code_free(code);
    return code != NULL;
}

static bool add_property(struct arena *a, struct regex_class *c, sonde_str name,
                         bool negated, bool fold)
{
    struct buf b;

    if (str_eq_cstr(name, "Any")) {
        if (!negated)
            class_add(a, c, 0, UTF8_MAX_RUNE);
        return true;
    }
    if (!is_category(name) && !is_script(name))
        return false;
    if (fold && (str_eq_cstr(name, "Lu") || str_eq_cstr(name, "Ll") ||
                 str_eq_cstr(name, "Lt")))
        name = SONDE_STR("L&");
    buf_init(&b);
    buf_put(&b, c->properties);
    buf_printf(&b, "\\%c{%s%.*s}", negated ? 'P' : 'p',
               name.len > 2 ? "sc:" : "", SONDE_ARG(name));
    c->properties = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return true;
}

/* \pL, \p{Greek}, \P{^Lu} */
static sonde_code add_unicode(struct arena *a, struct regex_class *c,
                              sonde_str *s, bool fold, struct sonde_err *err)
{
    bool negated = s->ptr[1] == 'P', ok = true;
    size_t end = 2;
    sonde_str name;
    uint32_t r = 0;

    if (s->len > 2)
        end += utf8_decode(str_sub(*s, 2, s->len), &r, &ok);
    name = str_sub(*s, 2, end);
    if (r == '{') {
        end = str_index(*s, '}');
        if (end == s->len)
            return regex_fail(err, "invalid character class range", *s);
        name = str_sub(*s, 3, end++);
    }
    if (name.len && name.ptr[0] == '^') {
        negated = !negated;
        name = str_sub(name, 1, name.len);
    }
    if (!add_property(a, c, name, negated, fold))
        return regex_fail(err, "invalid character class range",
                          str_sub(*s, 0, end));
    *s = str_sub(*s, end, s->len);
    return SONDE_OK;
}

/* SONDE_ENOTFOUND if `*s` begins with no such escape. */
static sonde_code add_escape(struct arena *a, struct regex_class *c,
                             sonde_str *s, bool fold, struct sonde_err *err)
{
    char letter;

    if (s->len < 2 || s->ptr[0] != '\\')
        return SONDE_ENOTFOUND;
    letter = s->ptr[1];
    if (letter == 'p' || letter == 'P')
        return add_unicode(a, c, s, fold, err);
    for (size_t i = 0; i < sizeof(perl_sets) / sizeof(perl_sets[0]); i++) {
        if ((letter | 0x20) != perl_sets[i].name[0])
            continue;
        class_add_set(a, c, &perl_sets[i], !(letter & 0x20), fold);
        *s = str_sub(*s, 2, s->len);
        return SONDE_OK;
    }
    return SONDE_ENOTFOUND;
}

sonde_code regex_class_escape(struct arena *a, sonde_str *s, bool fold,
                              struct regex_class **out, struct sonde_err *err)
{
    struct regex_class *c = class_new(a);
    sonde_code rc = add_escape(a, c, s, fold, err);

    *out = rc == SONDE_OK ? c : NULL;
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

/* ---- single characters --------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Behind "\x": two digits, or any number in braces. Bytes used, 0: bad. */
static size_t take_hex(sonde_str s, uint32_t *rune)
{
    size_t i = 1;

    *rune = 0;
    if (s.len >= 2 && hex_digit(s.ptr[0]) >= 0 && hex_digit(s.ptr[1]) >= 0) {
        *rune = (uint32_t)(hex_digit(s.ptr[0]) * 16 + hex_digit(s.ptr[1]));
        return 2;
    }
    if (s.len == 0 || s.ptr[0] != '{')
        return 0;
    for (; i < s.len && hex_digit(s.ptr[i]) >= 0; i++) {
        *rune = *rune * 16 + (uint32_t)hex_digit(s.ptr[i]);
        if (*rune > UTF8_MAX_RUNE)
            return 0;
    }
    return i > 1 && i < s.len && s.ptr[i] == '}' ? i + 1 : 0;
}

/* A digit and up to two more octal ones; a single one other than 0 would be
 * a backreference. */
static size_t take_octal(sonde_str s, uint32_t *rune)
{
    size_t n = 0;

    *rune = 0;
    while (n < s.len && n < 3 && s.ptr[n] >= '0' && s.ptr[n] <= '7')
        *rune = *rune * 8 + (uint32_t)(s.ptr[n++] - '0');
    return n == 1 && s.ptr[0] != '0' ? 0 : n;
}

sonde_code regex_escape_parse(sonde_str *s, uint32_t *rune,
                              struct sonde_err *err)
{
    static const char letters[] = "afnrtv", controls[] = "\a\f\n\r\t\v";
    sonde_str rest = str_sub(*s, 1, s->len);
    bool ok = true;
    size_t n, used = 0;
    const char *at;

    if (rest.len == 0)
        return regex_fail(err, "trailing backslash at end of expression", rest);
    n = utf8_decode(rest, rune, &ok);
    if (*rune >= '0' && *rune <= '7') {
        used = take_octal(rest, rune);
    } else if (*rune == 'x') {
        used = take_hex(str_sub(rest, 1, rest.len), rune);
        used += used != 0;
    } else if (*rune < 0x80 && !rune_is_word(*rune)) {
        used = 1;
    } else if (*rune < 0x80 && (at = strchr(letters, (int)*rune)) && *at) {
        *rune = (unsigned char)controls[at - letters];
        used = 1;
    }
    if (used == 0)
        return regex_fail(err, "invalid escape sequence",
                          str_sub(*s, 0, 1 + n));
    *s = str_sub(*s, 1 + used, s->len);
    return SONDE_OK;
}

static sonde_code take_char(sonde_str *s, sonde_str whole, uint32_t *rune,
                            struct sonde_err *err)
{
    bool ok = true;

    if (s->len == 0)
        return regex_fail(err, "missing closing ]", whole);
    if (s->ptr[0] == '\\')
        return regex_escape_parse(s, rune, err);
    *s = str_sub(*s, utf8_decode(*s, rune, &ok), s->len);
    return SONDE_OK;
}

static sonde_code add_range(struct arena *a, struct regex_class *c,
                            sonde_str *s, sonde_str whole,
                            struct sonde_err *err)
{
    sonde_str start = *s;
    uint32_t lo = 0, hi;
    sonde_code rc = take_char(s, whole, &lo, err);

    if (rc != SONDE_OK)
        return rc;
    hi = lo;
    if (s->len >= 2 && s->ptr[0] == '-' && s->ptr[1] != ']') {
        *s = str_sub(*s, 1, s->len);
        rc = take_char(s, whole, &hi, err);
        if (rc != SONDE_OK)
            return rc;
        if (hi < lo)
            return regex_fail(err, "invalid character class range",
                              str_sub(start, 0, start.len - s->len));
    }
    class_add(a, c, lo, hi);
    return SONDE_OK;
}

sonde_code regex_class_parse(struct arena *a, sonde_str *s, bool fold,
                             struct regex_class **out, struct sonde_err *err)
{
    struct regex_class *c = class_new(a);
    sonde_str whole = *s;
    bool first = true;

    *s = str_sub(*s, 1, s->len);
    if (s->len && s->ptr[0] == '^') {
        c->negated = true;
        *s = str_sub(*s, 1, s->len);
    }
    for (; s->len == 0 || s->ptr[0] != ']' || first; first = false) {
        sonde_code rc = SONDE_ENOTFOUND;

        if (s->len > 2 && s->ptr[0] == '[' && s->ptr[1] == ':')
            rc = add_posix(a, c, s, fold, err);
        if (rc == SONDE_ENOTFOUND)
            rc = add_escape(a, c, s, fold, err);
        if (rc == SONDE_ENOTFOUND)
            rc = add_range(a, c, s, whole, err);
        if (rc != SONDE_OK)
            return rc;
    }
    *s = str_sub(*s, 1, s->len);
    *out = c;
    return SONDE_OK;
}
