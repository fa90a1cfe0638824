/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One complete line, read exactly as Prometheus 3's parsers read it: where a
 * sample's series part ends and what follows it. (Lines that begin with a '#'
 * are meta.c's.) The scanner comes here for all lines that its short cut does
 * not know, so this is the place that says what is accepted:
 *
 *   text   series [blanks] value [blanks digits] [blanks]
 *   OM     series SP value [SP seconds] [SP # SP {labels} SP value [SP secs]]
 *
 * The number after '#' { } in OpenMetrics is an exemplar's; its labels are
 * checked here (nobody may need them later) and handed on as text.
 *
 * In the text format a bare name may be followed by its value without a
 * blank between ("a-1"): the name ends where its characters end.
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

/* A label of an exemplar; an empty value is an absent label. */
static void keep_pair(struct labels_builder *labels, const struct pair *pair)
{
    sonde_str name, value;

    if (!labels)
        return;
    name = unescape_in(labels->arena, pair->name);
    value = unescape_in(labels->arena, pair->value);
    if (value.len)
        labels_builder_set(labels, name, value);
}

/* "{labels} value [seconds]", all of [p, end). The labels are only kept if
 * somebody wants them. */
static sonde_code exemplar(const char *p, const char *end,
                           struct labels_builder *labels,
                           struct expo_exemplar *out, struct sonde_err *err)
{
    struct pairs r = {
        .p = p + 1, .end = end, .format = EXPO_OPENMETRICS, .exemplar = true
    };
    struct pair pair;
    bool more = true;
    sonde_code rc;

    while ((rc = pairs_next(&r, &pair, &more, err)) == SONDE_OK && more)
        keep_pair(labels, &pair);
    if (rc)
        return rc;
    p = r.p;
    if (!om_number(&p, end, &out->value))
        return bad_tail("a value after the exemplar's labels", r.p, end, err);
    r.p = p;
    out->has_t = p < end;
    if (out->has_t && (!om_seconds(&p, end, &out->t) || p != end))
        return bad_tail("the end of the line or a timestamp after the "
                        "exemplar's value",
                        r.p, end, err);
    return SONDE_OK;
}

sonde_code expo_exemplar(sonde_str text, struct labels_builder *labels,
                         struct expo_exemplar *out, struct sonde_err *err)
{
    labels_builder_reset(labels);
    return exemplar(text.ptr, text.ptr + text.len, labels, out, err);
}

static bool at_exemplar(const char *p, const char *end)
{
    return end - p >= 4 && memcmp(p, " # {", 4) == 0;
}

static sonde_code om_tail(const char *p, const char *end,
                          struct expo_sample *out, struct sonde_err *err)
{
    const char *at = p;
    struct expo_exemplar ignored;

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
    return exemplar(p + 3, end, NULL, &ignored, err);
}

sonde_code line_tail(enum expo_format format, const char *p, const char *end,
                     struct expo_sample *out, struct sonde_err *err)
{
    return format == EXPO_TEXT ? text_tail(p, end, out, err)
                               : om_tail(p, end, out, err);
}
