/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One complete line, read exactly as Prometheus 3's parsers read it: where a
 * sample's series part ends, what follows it, and the lines that begin with
 * a '#'. The scanner comes here for all lines that its short cut does not
 * know, so this is the place that says what is accepted:
 *
 *   text   series [blanks] value [blanks digits] [blanks]
 *   OM     series SP value [SP seconds] [SP # SP {labels} SP value [SP secs]]
 *
 * The number after '#' { } in OpenMetrics is an exemplar's; its labels are
 * checked here (nobody may need them later) and handed on as text.
 *
 * In the text format a bare name may be followed by its value without a
 * blank between ("a-1"): the name ends where its characters end.
 *
 * A NUL inside of a comment is part of it. (Prometheus' lexer takes it for
 * the end of the body if it is among the first characters; an accident that
 * nothing relies on.)
 */
#include "expo/expo_int.h"
#include "model/number.h"
#include "util/str.h"

/* ---- a sample ----------------------------------------------------------- */

const char *line_series_end(enum expo_format format, const char *p,
                            const char *end, struct sonde_err *err)
{
    bool text = format == EXPO_TEXT;
    const char *name = text ? skip_blanks(p, end) : p;
    const char *after = name_end(name, end);
    const char *brace = text && after != name ? skip_blanks(after, end) : after;

    if (brace == end || *brace != '{') {
        if (after != name)
            return after;
        (void)sonde_err_set(err, SONDE_EPARSE,
                            "expected a metric name, got \"%s\"",
                            show(name, end).text);
        return NULL;
    }
    for (const char *q = brace + 1; q < end; q++) {
        if (*q == '}')
            return q + 1;
        if (*q == '"') {
            q = quoted_end(q, end, text);
            if (!q)
                break;
            q--;
        }
    }
    (void)sonde_err_set(err, SONDE_EPARSE,
                        "expected a closing '}' or '\"' in \"%s\"",
                        show(p, end).text);
    return NULL;
}

/* The run of bytes up to the next blank of the format. */
static sonde_str token(enum expo_format format, const char *p, const char *end)
{
    const char *q = p;

    while (q < end && *q != ' ' && (format != EXPO_TEXT || *q != '\t'))
        q++;
    return (sonde_str){ p, (size_t)(q - p) };
}

static sonde_code bad_tail(const char *what, const char *p, const char *end,
                           struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EPARSE, "expected %s, got \"%s\"", what,
                         p < end ? show(p, end).text : "end of line");
}

static sonde_code text_tail(const char *p, const char *end,
                            struct expo_sample *out, struct sonde_err *err)
{
    sonde_str t;
    uint64_t v;

    p = skip_blanks(p, end);
    t = token(EXPO_TEXT, p, end);
    if (!number_parse(t, &out->value))
        return bad_tail("a value after the metric", p, end, err);
    p = skip_blanks(p + t.len, end);
    if (p == end)
        return SONDE_OK;
    t = token(EXPO_TEXT, p, end);
    if (!char_is(*p, CHAR_DIGIT) || !str_to_u64(t, &v) || v > INT64_MAX)
        return bad_tail("a timestamp in milliseconds or the end of the line", p,
                        end, err);
    out->t = (sonde_msec)v;
    out->has_t = true;
    p = skip_blanks(p + t.len, end);
    if (p != end)
        return bad_tail("the end of the line after the timestamp", p, end, err);
    return SONDE_OK;
}

/* Seconds to milliseconds, cut towards zero; what no time can hold becomes
 * the farthest one, which the store then refuses. */
static bool seconds_parse(sonde_str s, sonde_msec *out)
{
    double v;

    if (!number_parse(s, &v) || !__builtin_isfinite(v))
        return false;
    v *= 1000;
    if (v >= 0x1p63)
        *out = INT64_MAX;
    else if (v <= -0x1p63)
        *out = INT64_MIN;
    else
        *out = (sonde_msec)v;
    return true;
}

/* " number" at *p. */
static bool om_number(const char **p, const char *end, double *out)
{
    sonde_str t;

    if (*p == end || **p != ' ')
        return false;
    t = token(EXPO_OPENMETRICS, *p + 1, end);
    *p = t.ptr + t.len;
    return number_parse(t, out);
}

/* " seconds" at *p. */
static bool om_seconds(const char **p, const char *end, sonde_msec *out)
{
    sonde_str t;

    if (*p == end || **p != ' ')
        return false;
    t = token(EXPO_OPENMETRICS, *p + 1, end);
    *p = t.ptr + t.len;
    return seconds_parse(t, out);
}

/* "{labels} value [seconds]", all of [p, end). */
static sonde_code exemplar(const char *p, const char *end,
                           struct sonde_err *err)
{
    struct pairs r = {
        .p = p + 1, .end = end, .format = EXPO_OPENMETRICS, .exemplar = true
    };
    struct pair pair;
    bool more = true;
    sonde_msec t;
    double v;

    while (more) {
        sonde_code rc = pairs_next(&r, &pair, &more, err);

        if (rc)
            return rc;
    }
    p = r.p;
    if (!om_number(&p, end, &v))
        return bad_tail("a value after the exemplar's labels", r.p, end, err);
    r.p = p;
    if (p < end && (!om_seconds(&p, end, &t) || p != end))
        return bad_tail("the end of the line or a timestamp after the "
                        "exemplar's value",
                        r.p, end, err);
    return SONDE_OK;
}

static bool at_exemplar(const char *p, const char *end)
{
    return end - p >= 4 && memcmp(p, " # {", 4) == 0;
}

static sonde_code om_tail(const char *p, const char *end,
                          struct expo_sample *out, struct sonde_err *err)
{
    const char *at = p;

    if (!om_number(&p, end, &out->value))
        return bad_tail("a space and a value after the metric", at, end, err);
    if (p < end && !at_exemplar(p, end)) {
        at = p;
        if (!om_seconds(&p, end, &out->t))
            return bad_tail("a timestamp, an exemplar or the end of the line",
                            at, end, err);
        out->has_t = true;
    }
    if (p == end)
        return SONDE_OK;
    if (!at_exemplar(p, end))
        return bad_tail("an exemplar or the end of the line", p, end, err);
    out->exemplar = (sonde_str){ p + 3, (size_t)(end - p) - 3 };
    return exemplar(p + 3, end, err);
}

sonde_code line_tail(enum expo_format format, const char *p, const char *end,
                     struct expo_sample *out, struct sonde_err *err)
{
    return format == EXPO_TEXT ? text_tail(p, end, out, err)
                               : om_tail(p, end, out, err);
}

/* ---- lines that begin with # -------------------------------------------- */

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
static sonde_code meta_parts(enum expo_format format, const char *p,
                             const char *end, struct expo_meta *out,
                             struct sonde_err *err)
{
    bool quoted = p < end && *p == '"';
    const char *after = quoted ? quoted_end(p, end, true) : name_end(p, end);

    if (!after || after == p)
        return sonde_err_set(err, SONDE_EPARSE,
                             "expected a metric name, got \"%s\"",
                             show(p, end).text);
    if ((format == EXPO_OPENMETRICS && (after == end || *after != ' ')) ||
        (after < end && *after == '\0'))
        return sonde_err_set(err, SONDE_EPARSE,
                             "expected a space after the metric name in "
                             "\"%s\"",
                             show(p, end).text);
    out->family = (sonde_str){ p + quoted, (size_t)(after - p) - 2 * quoted };
    if (after < end) /* one separator, whatever it is */
        after++;
    out->text = (sonde_str){ after, (size_t)(end - after) };
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

static sonde_code meta_read(enum expo_format format, const char *p,
                            const char *end, struct buf *scratch,
                            struct expo_meta *out, struct sonde_err *err)
{
    sonde_code rc = meta_parts(format, p, end, out, err);
    char *room;

    if (rc == SONDE_OK)
        rc = meta_check(format, out, err);
    if (rc)
        return rc;
    buf_reset(scratch);
    room = buf_reserve(scratch, out->family.len + out->text.len + 1);
    if (!room)
        return sonde_err_set(err, SONDE_ELIMIT, "a comment is too long");
    out->family = unescape(out->family, ESCAPES_VALUE, room);
    if (out->kind == EXPO_META_HELP)
        out->text = unescape(out->text,
                             format == EXPO_TEXT ? ESCAPES_HELP : ESCAPES_VALUE,
                             room + out->family.len);
    return SONDE_OK;
}

static sonde_code om_comment(const char *p, const char *end,
                             enum line_kind *kind, struct sonde_err *err)
{
    if (end - p >= 5 && memcmp(p, "# EOF", 5) == 0) {
        *kind = LINE_EOF;
        return end - p == 5 ? SONDE_OK
                            : sonde_err_set(err, SONDE_EPARSE,
                                            "unexpected data after # EOF");
    }
    return sonde_err_set(err, SONDE_EPARSE,
                         "expected HELP, TYPE, UNIT or EOF after \"# \", got "
                         "\"%s\"",
                         show(p, end).text);
}

sonde_code line_meta(enum expo_format format, const char *p, const char *end,
                     struct buf *scratch, struct expo_meta *out,
                     enum line_kind *kind, struct sonde_err *err)
{
    const char *word = p + 1, *after = NULL;
    bool text = format == EXPO_TEXT;

    *out = (struct expo_meta){ 0 };
    *kind = LINE_META;
    if (word < end && char_is(*word, CHAR_BLANK)) {
        word = text ? skip_blanks(word, end) : word + 1;
        after = keyword(word, end, &out->kind);
    }
    if (text && (!after || out->kind == EXPO_META_UNIT)) {
        *kind = LINE_COMMENT;
        return SONDE_OK;
    }
    if (!after || (!text && (p[1] != ' ' || *after != ' ')))
        return om_comment(p, end, kind, err);
    after = text ? skip_blanks(after, end) : after + 1;
    return meta_read(format, after, end, scratch, out, err);
}
