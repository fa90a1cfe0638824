/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plain scalar means, and how a text is written back.
 *
 * The rules are those that Prometheus' YAML reader has (YAML 1.1 with the
 * usual exceptions), because a file that works there must mean the same
 * here: `on` is true, 0x10 is 16, 1_000 is 1000, 1e3 is a good integer, a
 * quoted "true" is no bool. Base-60 numbers and dates are texts there and
 * here.
 *
 * Printing quotes a text when reading it back plain would give another value
 * or an error: what reads as another type gets double quotes, what has
 * characters with a meaning in YAML single ones, what does not print escapes.
 */
#include "config/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/number.h"
#include "util/str.h"

static bool one_of(sonde_str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_cstr(s, words[i]))
            return true;
    return false;
}
#define ONE_OF(s, words)                                                       \
    one_of((s), (words), sizeof(words) / sizeof((words)[0]))

bool value_is_null(sonde_str s)
{
    static const char *const words[] = { "", "~", "null", "Null", "NULL" };

    return ONE_OF(s, words);
}

bool value_bool(sonde_str s, bool *out)
{
    static const char *const yes[] = { "y",   "Y",    "yes",  "Yes",
                                       "YES", "true", "True", "TRUE",
                                       "on",  "On",   "ON" };
    static const char *const no[] = { "n",   "N",     "no",    "No",
                                      "NO",  "false", "False", "FALSE",
                                      "off", "Off",   "OFF" };

    *out = ONE_OF(s, yes);
    return *out || ONE_OF(s, no);
}

/* ---- numbers ----------------------------------------------------------- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Takes the base's prefix off; 10 if there is none. */
static unsigned take_base(sonde_str *s)
{
    unsigned base;

    if (s->len < 2 || s->ptr[0] != '0')
        return 10;
    switch (s->ptr[1]) {
    case 'x':
    case 'X':
        base = 16;
        break;
    case 'b':
    case 'B':
        base = 2;
        break;
    case 'o':
    case 'O':
        base = 8;
        break;
    default:
        *s = str_sub(*s, 1, s->len);
        return 8;
    }
    *s = str_sub(*s, 2, s->len);
    return base;
}

static bool parse_digits(sonde_str s, unsigned base, uint64_t *out)
{
    uint64_t v = 0;
    bool any = false;

    for (size_t i = 0; i < s.len; i++) {
        int d = digit_of(s.ptr[i]);

        if (s.ptr[i] == '_' && any)
            continue;
        if (d >= (int)base || __builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, (uint64_t)d, &v))
            return false;
        any = true;
    }
    *out = v;
    return any;
}

static bool parse_integer(sonde_str s, int64_t *out)
{
    bool negative = s.len && s.ptr[0] == '-';
    uint64_t v;

    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        s = str_sub(s, 1, s.len);
    if (!parse_digits(s, take_base(&s), &v))
        return false;
    if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool value_int(sonde_str s, int64_t *out)
{
    double d;

    if (parse_integer(s, out))
        return true;
    if (!value_float(s, &d) || !(fabs(d) < 9.2e18) || d != trunc(d))
        return false;
    *out = (int64_t)d;
    return true;
}

bool value_float(sonde_str s, double *out)
{
    static const char *const inf[] = { ".inf", ".Inf", ".INF" };
    static const char *const nan_words[] = { ".nan", ".NaN", ".NAN" };
    bool negative = s.len && s.ptr[0] == '-';
    sonde_str rest = s;
    int64_t i;

    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        rest = str_sub(s, 1, s.len);
    if (ONE_OF(rest, inf)) {
        *out = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (ONE_OF(s, nan_words)) {
        *out = NAN;
        return true;
    }
    if (parse_integer(s, &i)) {
        *out = (double)i;
        return true;
    }
    /* "inf" and "nan" are texts in YAML. */
    if (rest.len == 0 ||
        !((rest.ptr[0] >= '0' && rest.ptr[0] <= '9') || rest.ptr[0] == '.'))
        return false;
    return number_parse(s, out);
}

/* ---- URLs and environment ---------------------------------------------- */

/* The part between "://" and the next '/', '?' or '#'; false if there is no
 * "://" after a scheme. */
static bool url_authority(sonde_str s, sonde_str *out)
{
    const char *colon = s.len ? memmem(s.ptr, s.len, "://", 3) : NULL;
    size_t i;

    if (!colon || colon == s.ptr)
        return false;
    *out = str_sub(s, (size_t)(colon - s.ptr) + 3, s.len);
    for (i = 0; i < out->len; i++)
        if (strchr("/?#", out->ptr[i]))
            break;
    out->len = i;
    return true;
}

/* Index of the last '@', or len. */
static size_t userinfo_end(sonde_str authority)
{
    for (size_t i = authority.len; i > 0; i--)
        if (authority.ptr[i - 1] == '@')
            return i - 1;
    return authority.len;
}

bool value_is_url(sonde_str s)
{
    sonde_str authority, host;
    size_t at;

    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
            return false;
    if (!url_authority(s, &authority))
        return false;
    at = userinfo_end(authority);
    host = at < authority.len ? str_sub(authority, at + 1, authority.len)
                              : authority;
    return host.len > 0 && host.ptr[0] != ':';
}

sonde_str value_mask_url(struct arena *a, sonde_str s)
{
    sonde_str authority, user;
    size_t colon, before;

    if (!url_authority(s, &authority))
        return s;
    user = str_sub(authority, 0, userinfo_end(authority));
    colon = str_index(user, ':');
    if (user.len == authority.len || colon == user.len)
        return s;
    before = (size_t)(authority.ptr - s.ptr) + colon + 1;
    return arena_printf(
        a, "%.*sxxxxx%.*s", (int)before, s.ptr,
        SONDE_ARG(
            str_sub(s, (size_t)(authority.ptr - s.ptr) + user.len, s.len)));
}

static bool is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

/* The name of "${NAME}" that begins at `i`; empty if there is none, as in
 * the ${1} of a replacement. */
static sonde_str variable_at(sonde_str s, size_t i)
{
    size_t end = i + 2;

    if (i + 3 >= s.len || s.ptr[i + 1] != '{')
        return (sonde_str){ 0 };
    while (end < s.len && is_name_char(s.ptr[end], end == i + 2))
        end++;
    if (end == s.len || s.ptr[end] != '}')
        return (sonde_str){ 0 };
    return str_sub(s, i + 2, end);
}

sonde_code value_expand(struct arena *a, sonde_str s, sonde_str *out,
                        struct sonde_err *err)
{
    struct buf b;

    *out = s;
    if (str_index(s, '$') == s.len)
        return SONDE_OK;
    buf_init(&b);
    for (size_t i = 0; i < s.len; i++) {
        sonde_str name = { 0 };
        const char *value;

        if (s.ptr[i] == '$')
            name = variable_at(s, i);
        if (s.ptr[i] == '$' && i + 1 < s.len && s.ptr[i + 1] == '$')
            i++;
        if (name.len == 0) {
            buf_char(&b, s.ptr[i]);
            continue;
        }
        value = getenv(arena_cstr(a, name));
        if (!value) {
            buf_fini(&b);
            return sonde_err_set(err, SONDE_ENOTFOUND,
                                 "environment variable \"%.*s\" is not set "
                                 "(write $$ for a dollar sign)",
                                 SONDE_ARG(str_sub(name, 0, 64)));
        }
        buf_cstr(&b, value);
        i += name.len + 2;
    }
    *out = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return SONDE_OK;
}

bool value_name_is_secret(sonde_str name)
{
    static const char *const parts[] = {
        "password", "passwd", "secret",      "token",     "credential",
        "api_key",  "apikey", "private_key", "access_key"
    };
    char lower[64];
    size_t n = name.len < sizeof(lower) - 1 ? name.len : sizeof(lower) - 1;

    for (size_t i = 0; i < n; i++) {
        char c = name.ptr[i];

        lower[i] = c == '-' ? '_' : c;
        if (c >= 'A' && c <= 'Z')
            lower[i] = (char)(c | 0x20);
    }
    lower[n] = 0;
    if (str_ends(name, SONDE_STR("_file")) ||
        str_ends(name, SONDE_STR("_files")) ||
        str_ends(name, SONDE_STR("token_url")))
        return false;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strstr(lower, parts[i]))
            return true;
    return false;
}

/* ---- writing ----------------------------------------------------------- */

/* Length of the UTF-8 character at `i` if it must be escaped: C1 controls,
 * line and paragraph separators, byte order marks. Else 0. */
static size_t special_utf8(sonde_str s, size_t i, unsigned *point)
{
    const unsigned char *p = (const unsigned char *)s.ptr + i;
    size_t left = s.len - i;

    if (left >= 2 && p[0] == 0xc2 && p[1] < 0xa0) {
        *point = p[1];
        return 2;
    }
    if (left >= 3 && p[0] == 0xe2 && p[1] == 0x80 &&
        (p[2] == 0xa8 || p[2] == 0xa9)) {
        *point = 0x2000u + (p[2] & 0x3fu);
        return 3;
    }
    if (left >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) {
        *point = 0xfeff;
        return 3;
    }
    return 0;
}

static bool needs_escapes(sonde_str s)
{
    unsigned point;

    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f ||
            special_utf8(s, i, &point))
            return true;
    return false;
}

static bool reads_as_other_type(sonde_str s)
{
    bool flag;
    double d;

    return value_is_null(s) || value_bool(s, &flag) || value_float(s, &d) ||
           str_eq_cstr(s, "<<") || str_eq_cstr(s, "=");
}

static bool is_plain(sonde_str s, bool flow)
{
    if (s.len == 0 || strchr("-?:,[]{}#&*!|>'\"%@` ", s.ptr[0]) ||
        s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == ':')
        return false;
    if (str_starts(s, SONDE_STR("...")))
        return false;
    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.ptr[i] == ':' && s.ptr[i + 1] == ' ')
            return false;
        if (s.ptr[i] == ' ' && s.ptr[i + 1] == '#')
            return false;
    }
    for (size_t i = 0; flow && i < s.len; i++)
        if (strchr(",[]{}:", s.ptr[i]))
            return false;
    return true;
}

static void print_escaped(struct buf *b, sonde_str s)
{
    unsigned point;

    buf_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        size_t special = special_utf8(s, i, &point);

        if (special) {
            buf_printf(b, "\\u%04x", point);
            i += special - 1;
        } else if (c == '"' || c == '\\') {
            buf_printf(b, "\\%c", c);
        } else if (c == '\n') {
            buf_cstr(b, "\\n");
        } else if (c == '\t') {
            buf_cstr(b, "\\t");
        } else if (c < ' ' || c == 0x7f) {
            buf_printf(b, "\\x%02x", c);
        } else {
            buf_char(b, (char)c);
        }
    }
    buf_char(b, '"');
}

static void print_single_quoted(struct buf *b, sonde_str s)
{
    buf_char(b, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\'')
            buf_char(b, '\'');
        buf_char(b, s.ptr[i]);
    }
    buf_char(b, '\'');
}

void value_print(struct buf *b, sonde_str s, bool typed, bool flow)
{
    bool other = reads_as_other_type(s);

    if (needs_escapes(s) || (other && !typed))
        print_escaped(b, s);
    else if (is_plain(s, flow) || (other && typed))
        buf_put(b, s);
    else
        print_single_quoted(b, s);
}

/* ---- words for messages ------------------------------------------------ */

const char *value_kind_text(enum config_kind kind)
{
    switch (kind) {
    case CONFIG_STR:
    case CONFIG_SECRET:
    case CONFIG_ENUM:
        return "a text";
    case CONFIG_PATH:
        return "a path";
    case CONFIG_URL:
        return "a URL such as http://host:port/path";
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_INT:
        return "a whole number";
    case CONFIG_FLOAT:
        return "a number";
    case CONFIG_DURATION:
        return "a duration such as 30s, 5m or 1h30m";
    case CONFIG_SIZE:
        return "a size with a unit such as 512KB or 10MB";
    case CONFIG_STR_LIST:
    case CONFIG_PATH_LIST:
    case CONFIG_BLOCK_LIST:
        return "a list";
    case CONFIG_STR_MAP:
    case CONFIG_LIST_MAP:
    case CONFIG_BLOCK:
    case CONFIG_INLINE:
        return "a mapping (key: value)";
    case CONFIG_NODE:
        break;
    }
    return "a value";
}

sonde_str value_describe(struct arena *a, const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_NULL:
        return SONDE_STR("nothing");
    case YAML_SEQUENCE:
        return SONDE_STR("a list");
    case YAML_MAPPING:
        return SONDE_STR("a mapping");
    case YAML_SCALAR:
        break;
    }
    return arena_printf(a, "%s\"%.*s\"%s", node->quoted ? "the text " : "",
                        SONDE_ARG(str_sub(node->scalar, 0, 64)),
                        node->scalar.len > 64 ? "..." : "");
}
