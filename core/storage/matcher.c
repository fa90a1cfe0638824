/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One condition on one label. An absent label has the empty value, so
 * {a=""} and {a!~".+"} select what has no label a. The operators that need a
 * regular expression hold a reference to it; a matcher is copied by copying
 * the struct and taking another reference.
 */
#include "storage/matcher.h"

#include "util/utf8.h"

sonde_code matcher_init(struct matcher *m, enum matcher_op op, sonde_str name,
                        sonde_str value, struct sonde_err *err)
{
    *m = (struct matcher){ .op = op, .name = name, .value = value };
    if (op == MATCH_EQ || op == MATCH_NE)
        return SONDE_OK;
    return regex_new(value, &m->re, err);
}

void matcher_fini(struct matcher *m)
{
    regex_unref(m->re);
    m->re = NULL;
}

bool matcher_matches(const struct matcher *m, sonde_str value)
{
    switch (m->op) {
    case MATCH_EQ:
        return sonde_str_eq(m->value, value);
    case MATCH_NE:
        return !sonde_str_eq(m->value, value);
    case MATCH_RE:
        return regex_match(m->re, value);
    case MATCH_NRE:
        return !regex_match(m->re, value);
    }
    return false;
}

bool matchers_match(const struct matcher *ms, size_t n, const struct labels *l)
{
    for (size_t i = 0; i < n; i++)
        if (!matcher_matches(&ms[i], labels_get(l, ms[i].name)))
            return false;
    return true;
}

void matcher_print(struct buf *b, const struct matcher *m)
{
    static const char *const operators[] = {
        [MATCH_EQ] = "=",
        [MATCH_NE] = "!=",
        [MATCH_RE] = "=~",
        [MATCH_NRE] = "!~",
    };

    if (label_name_is_legacy(m->name))
        buf_put(b, m->name);
    else
        buf_quote(b, m->name);
    buf_cstr(b, operators[m->op]);
    buf_quote(b, m->value);
}
