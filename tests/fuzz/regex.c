/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An expression up to the first LF, a template up to the second, the rest is
 * the subject. The same expression written so that only the engine can take
 * it must say the same as whatever shortcut was found for it.
 */
#include "util/regex.h"

#include <stdint.h>
#include <stdlib.h>

#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_literals(const struct regex *re)
{
    const sonde_str *items;
    size_t n;

    if (!regex_literals(re, &items, &n))
        return;
    check(n > 0);
    for (size_t i = 0; i < n && i < 100; i++) {
        check(regex_match(re, items[i]));
        check(str_starts(items[i], regex_prefix(re)));
    }
}

static void compare(const struct regex *re, sonde_str subject,
                    sonde_str template)
{
    struct regex *slow;
    struct buf long_way, a, b;
    bool matches = regex_match(re, subject);

    if (matches)
        check(str_starts(subject, regex_prefix(re)));
    buf_init(&long_way);
    buf_init(&a);
    buf_init(&b);
    buf_printf(&long_way, "(?:%.*s)|[^\\x00-\\x{10ffff}]",
               SONDE_ARG(regex_pattern(re)));
    if (regex_new(buf_str(&long_way), &slow, NULL) == SONDE_OK) {
        check(regex_match(slow, subject) == matches);
        if (regex_can_expand(re)) {
            check(regex_expand(re, subject, template, &a) == matches);
            check(regex_expand(slow, subject, template, &b) == matches);
            check(sonde_str_eq(buf_str(&a), buf_str(&b)));
        }
        regex_unref(slow);
    }
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&long_way);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str rest = { (const char *)data, size }, pattern, template;
    struct sonde_err err;
    struct regex *re;

    if (size == 0 || size > 4096 || memchr(data, '\0', size))
        return 0;
    if (!str_split(&rest, '\n', &pattern) ||
        !str_split(&rest, '\n', &template) || !str_is_utf8(rest))
        return 0;
    if (regex_new(pattern, &re, &err) != SONDE_OK) {
        check(str_starts(sonde_cstr(err.text),
                         SONDE_STR("error parsing regexp: ")));
        return 0;
    }
    check_literals(re);
    compare(re, rest, template);
    regex_unref(re);
    return 0;
}
