/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that begin with a '#': HELP, TYPE, UNIT, EOF, comments.
 *
 *           blanks around the keyword   other lines   UNIT, EOF   types
 *   text    one or more                 comments      comments    five
 *   OM      one space                   errors        read        eight
 *
 * After the family's name exactly one byte separates, whatever it is in the
 * text format; what follows belongs to the text to the end of the line, so
 * "# TYPE a  gauge" has a type " gauge" and is refused. A family's name may
 * be quoted, and then holds anything, raw LFs included.
 *
 * A NUL inside of a comment is part of it. (Prometheus' lexer takes it for
 * the end of the body if it is among the first characters; an accident that
 * nothing relies on.)
 */
#include "expo/expo_int.h"
#include "util/str.h"

static const struct {
    const char *word;
    enum expo_meta_kind kind;
} keywords[] = {
    { "HELP", EXPO_META_HELP },
    { "TYPE", EXPO_META_TYPE },
    { "UNIT", EXPO_META_UNIT },
};

/* The keyword at `p`, which must be followed by a blank: past it, or NULL. */
static const char *keyword(const char *p, const char *end,
                           enum expo_meta_kind *kind)
{
    if (end - p < 5 || !char_is(p[4], CHAR_BLANK))
        return NULL;
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (memcmp(p, keywords[i].word, 4) == 0) {
            *kind = keywords[i].kind;
            return p + 4;
        }
    }
    return NULL;
}

const char *line_meta_quote(enum expo_format format, const char *p,
                            const char *end)
{
    enum expo_meta_kind kind;

    p = skip_blanks(p, end);
    if (p == end || *p != '#')
        return NULL;
    p = keyword(skip_blanks(p + 1, end), end, &kind);
    if (!p || (kind == EXPO_META_UNIT && format == EXPO_TEXT))
        return NULL;
    p = skip_blanks(p, end);
    return p < end && *p == '"' ? p : NULL;
}

static bool type_parse(enum expo_format format, sonde_str s,
                       enum metric_type *out)
{
    bool om = format == EXPO_OPENMETRICS;

    if (str_eq_cstr(s, "untyped")) {
        *out = METRIC_UNKNOWN;
        return !om;
    }
    for (int t = 0; t < METRIC_TYPE_COUNT; t++) {
        if (!str_eq_cstr(s, metric_type_name((enum metric_type)t)))
            continue;
        *out = (enum metric_type)t;
        return om || t == METRIC_COUNTER || t == METRIC_GAUGE ||
               t == METRIC_HISTOGRAM || t == METRIC_SUMMARY;
    }
    return false;
}

/* A unit is the last word of its family's name. */
static bool unit_fits(sonde_str family, sonde_str unit)
{
    return unit.len == 0 || (str_ends(family, unit) && family.len > unit.len &&
                             family.ptr[family.len - unit.len - 1] == '_');
}

/* Family name and text as written; `p` is past the keyword and its blank. */
static sonde_code meta_parts(struct meta_line *l, const char *p,
                             struct sonde_err *err)
{
    const char *end = l->end;
    bool quoted = p < end && *p == '"';
    const char *after = quoted ? quoted_end(p, end, true) : name_end(p, end);

    if (!after || after == p)
        return sonde_err_set(err, SONDE_EPARSE,
                             "expected a metric name, got \"%s\"",
                             show(p, end).text);
    if ((l->format == EXPO_OPENMETRICS && (after == end || *after != ' ')) ||
        (after < end && *after == '\0'))
        return sonde_err_set(err, SONDE_EPARSE,
                             "expected a space after the metric name in "
                             "\"%s\"",
                             show(p, end).text);
    l->meta.family =
        (sonde_str){ p + quoted, (size_t)(after - p) - 2 * quoted };
    if (after < end) /* one separator, whatever it is */
        after++;
    l->meta.text = (sonde_str){ after, (size_t)(end - after) };
    return SONDE_OK;
}

static sonde_code meta_check(enum expo_format format, struct expo_meta *m,
                             struct sonde_err *err)
{
    if (!str_is_utf8(m->family))
        return sonde_err_set(err, SONDE_EPARSE,
                             "a family's name is not valid UTF-8");
    if (m->kind == EXPO_META_TYPE && !type_parse(format, m->text, &m->type))
        return sonde_err_set(err, SONDE_EPARSE, "invalid metric type \"%s\"",
                             show_str(m->text).text);
    if (m->kind == EXPO_META_HELP && !str_is_utf8(m->text))
        return sonde_err_set(err, SONDE_EPARSE,
                             "help text \"%s\" is not valid UTF-8",
                             show_str(m->text).text);
    if (m->kind == EXPO_META_UNIT && !unit_fits(m->family, m->text))
        return sonde_err_set(err, SONDE_EPARSE,
                             "unit \"%s\" is not a suffix of metric \"%s\"",
                             show_str(m->text).text, show_str(m->family).text);
    return SONDE_OK;
}

static sonde_code meta_read(struct meta_line *l, const char *p,
                            struct sonde_err *err)
{
    bool text = l->format == EXPO_TEXT;
    struct expo_meta *m = &l->meta;
    sonde_code rc = meta_parts(l, p, err);
    char *room;

    if (rc == SONDE_OK)
        rc = meta_check(l->format, m, err);
    if (rc)
        return rc;
    buf_reset(l->scratch);
    room = buf_reserve(l->scratch, m->family.len + m->text.len + 1);
    if (!room)
        return sonde_err_set(err, SONDE_ELIMIT, "a comment is too long");
    m->family = unescape(m->family, ESCAPES_VALUE, room);
    if (m->kind == EXPO_META_HELP)
        m->text = unescape(m->text, text ? ESCAPES_HELP : ESCAPES_VALUE,
                           room + m->family.len);
    return SONDE_OK;
}

static sonde_code om_comment(struct meta_line *l, struct sonde_err *err)
{
    sonde_str all = { l->p, (size_t)(l->end - l->p) };

    l->kind = LINE_EOF;
    if (str_eq_cstr(all, "# EOF"))
        return SONDE_OK;
    if (str_starts(all, SONDE_STR("# EOF")))
        return sonde_err_set(err, SONDE_EPARSE, "unexpected data after # EOF");
    return sonde_err_set(err, SONDE_EPARSE,
                         "expected HELP, TYPE, UNIT or EOF after \"# \", got "
                         "\"%s\"",
                         show_str(all).text);
}

sonde_code line_meta(struct meta_line *l, struct sonde_err *err)
{
    const char *word = l->p + 1, *after = NULL;
    bool text = l->format == EXPO_TEXT;

    l->meta = (struct expo_meta){ 0 };
    l->kind = LINE_META;
    if (word < l->end && char_is(*word, CHAR_BLANK)) {
        word = text ? skip_blanks(word, l->end) : word + 1;
        after = keyword(word, l->end, &l->meta.kind);
    }
    if (text && (!after || l->meta.kind == EXPO_META_UNIT)) {
        l->kind = LINE_COMMENT;
        return SONDE_OK;
    }
    if (!after || (!text && (l->p[1] != ' ' || *after != ' ')))
        return om_comment(l, err);
    return meta_read(l, text ? skip_blanks(after, l->end) : after + 1, err);
}
