/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The series part of a line taken apart: name{label="value",...}. This runs
 * once for each series a target has, not once for each sample, so it checks
 * everything and hurries nowhere. Both formats allow the same things but for
 * blanks, raw LFs and commas:
 *
 *             blanks between tokens   raw LF in quotes   comma between pairs
 *   text      any                     yes                may be missing
 *   OM        none                    no                 must be there
 *
 * A comma may follow the last pair in both. Names may be quoted; a quoted
 * string without a value is the metric's name, wherever it stands. In the
 * text format the blanks a line begins with belong to the name, as they do
 * in Prometheus 3 (2.x refused such lines).
 *
 * Deliberately refused although Prometheus 3 takes it: an unquoted name
 * alone in braces, {foo}, of which it cuts the first and last letter.
 *
 * A label given twice is an error. An empty value is an absent label, and if
 * the same label was also given a value, that one goes as well.
 */
#include "expo/expo_int.h"
#include "model/number.h"
#include "util/arena.h"
#include "util/str.h"

static const char *blanks(const struct pairs *r, const char *p)
{
    return r->format == EXPO_TEXT ? skip_blanks(p, r->end) : p;
}

/* Says what was expected at `p`. */
static sonde_code expected(const struct pairs *r, const char *p,
                           const char *what, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EPARSE, "expected %s, got \"%s\"", what,
                         p < r->end ? show(p, r->end).text : "end of line");
}

static sonde_code read_quoted(struct pairs *r, const char *what, sonde_str *out,
                              struct sonde_err *err)
{
    const char *first = r->p;

    if (first == r->end || *first != '"')
        return expected(r, first, what, err);
    r->p = quoted_end(first, r->end, r->format == EXPO_TEXT);
    if (!r->p) {
        r->p = first;
        return expected(r, first, what, err);
    }
    *out = (sonde_str){ first + 1, (size_t)(r->p - first) - 2 };
    if (!str_is_utf8(*out))
        return sonde_err_set(err, SONDE_EPARSE,
                             "expected %s of valid UTF-8, got \"%s\"", what,
                             show(first, r->p).text);
    return SONDE_OK;
}

static sonde_code read_name(struct pairs *r, struct pair *out,
                            struct sonde_err *err)
{
    const char *first = r->p;

    out->quoted = first < r->end && *first == '"';
    if (out->quoted)
        return read_quoted(r, "a label name", &out->name, err);
    while (r->p < r->end && char_is(*r->p, CHAR_NAME) && *r->p != ':')
        r->p++;
    if (r->p == first || char_is(*first, CHAR_DIGIT)) {
        r->p = first;
        return expected(r, first, "a label name", err);
    }
    out->name = (sonde_str){ first, (size_t)(r->p - first) };
    return SONDE_OK;
}

/* A name without a value: only a quoted one is, and is the metric's. */
static sonde_code read_alone(struct pairs *r, struct pair *out,
                             struct sonde_err *err)
{
    if (r->exemplar || !out->quoted)
        return expected(r, r->p, "'=' after a label name", err);
    out->is_value = false;
    if (*r->p == ',')
        r->p++;
    return SONDE_OK;
}

sonde_code pairs_next(struct pairs *r, struct pair *out, bool *more,
                      struct sonde_err *err)
{
    sonde_code rc;

    r->p = blanks(r, r->p);
    *more = !(r->p < r->end && *r->p == '}');
    if (!*more) {
        r->p++;
        return SONDE_OK;
    }
    if (++r->count > EXPO_LABELS_MAX)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "a line has more than %d labels", EXPO_LABELS_MAX);
    rc = read_name(r, out, err);
    if (rc)
        return rc;
    r->p = blanks(r, r->p);
    if (r->p < r->end && (*r->p == ',' || *r->p == '}'))
        return read_alone(r, out, err);
    if (r->p == r->end || *r->p != '=')
        return expected(r, r->p, "'=' after a label name", err);
    r->p = blanks(r, r->p + 1);
    rc = read_quoted(r, "a quoted label value", &out->value, err);
    if (rc)
        return rc;
    out->is_value = true;
    r->p = blanks(r, r->p);
    if (r->p < r->end && *r->p == ',')
        r->p++;
    else if (r->format != EXPO_TEXT && (r->p == r->end || *r->p != '}'))
        return expected(r, r->p, "',' or '}' after a label value", err);
    return SONDE_OK;
}

/* ---- a series ----------------------------------------------------------- */

sonde_str unescape_in(struct arena *a, sonde_str s)
{
    if (s.len == 0 || !memchr(s.ptr, '\\', s.len))
        return s;
    return unescape(s, ESCAPES_VALUE, arena_alloc(a, s.len));
}

static sonde_code set_label(struct labels_builder *out, sonde_str name,
                            sonde_str value, struct sonde_err *err)
{
    if (name.len == 0)
        return sonde_err_set(err, SONDE_EPARSE, "a label name is empty");
    if (value.len == 0)
        return SONDE_OK;
    if (labels_builder_get(out, name).len)
        return sonde_err_set(err, SONDE_EPARSE,
                             "label name \"%s\" is not unique",
                             show_str(name).text);
    labels_builder_set(out, name, value);
    return SONDE_OK;
}

static sonde_code set_name(struct labels_builder *out, sonde_str name,
                           struct sonde_err *err)
{
    if (labels_builder_get(out, SONDE_STR(LABEL_NAME)).len)
        return sonde_err_set(err, SONDE_EPARSE,
                             "the metric's name is set twice");
    if (name.len == 0)
        return sonde_err_set(err, SONDE_EPARSE, "the metric's name is empty");
    labels_builder_set(out, SONDE_STR(LABEL_NAME), name);
    return SONDE_OK;
}

static sonde_code no_name(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EPARSE, "the metric has no name");
}

/* All pairs into the builder. `named`: a bare name stood before the brace. */
static sonde_code read_pairs(struct pairs *r, bool named,
                             struct labels_builder *out, bool *any_empty,
                             struct sonde_err *err)
{
    struct pair pair;
    bool more;
    sonde_code rc;

    while ((rc = pairs_next(r, &pair, &more, err)) == SONDE_OK && more) {
        pair.name = unescape_in(out->arena, pair.name);
        if (pair.is_value) {
            pair.value = unescape_in(out->arena, pair.value);
            *any_empty |= pair.value.len == 0;
            rc = set_label(out, pair.name, pair.value, err);
        } else {
            rc = set_name(out, pair.name, err);
            named = true;
        }
        if (rc)
            return rc;
    }
    return rc || named ? rc : no_name(err);
}

/* Labels with an empty value are none; the pairs were read once already. */
static void drop_empty(struct pairs r, struct labels_builder *out)
{
    struct pair pair;
    bool more;

    while (pairs_next(&r, &pair, &more, NULL) == SONDE_OK && more)
        if (pair.is_value && pair.value.len == 0)
            labels_builder_del(out, unescape_in(out->arena, pair.name));
}

sonde_code expo_series(sonde_str series, enum expo_format format,
                       struct labels_builder *out, struct sonde_err *err)
{
    const char *p = series.ptr, *end = series.ptr + series.len;
    struct pairs r = { .end = end, .format = format };
    const char *name = p;
    bool any_empty = false;
    sonde_code rc;

    labels_builder_reset(out);
    if (format == EXPO_TEXT)
        name = skip_blanks(p, end);
    r.p = name_end(name, end);
    if (r.p != name)
        labels_builder_set(out, SONDE_STR(LABEL_NAME),
                           (sonde_str){ p, (size_t)(r.p - p) });
    if (r.p == end && r.p != name)
        return SONDE_OK;
    r.p = r.p == name ? name : blanks(&r, r.p);
    if (r.p == end || *r.p != '{')
        return expected(&r, r.p, "a metric name", err);
    r.p++;
    p = r.p;
    rc = read_pairs(&r, p - 1 != name, out, &any_empty, err);
    if (rc)
        return rc;
    if (r.p != end)
        return expected(&r, r.p, "nothing after the labels", err);
    if (any_empty)
        drop_empty((struct pairs){ .p = p, .end = end, .format = format }, out);
    if (labels_builder_get(out, SONDE_STR(LABEL_NAME)).len == 0)
        return no_name(err); /* __name__="" */
    return SONDE_OK;
}

void expo_normalise_bounds(struct labels_builder *lb, enum metric_type type)
{
    sonde_str name = type == METRIC_HISTOGRAM ? SONDE_STR("le")
                     : type == METRIC_SUMMARY ? SONDE_STR("quantile")
                                              : (sonde_str){ 0 };
    sonde_str value = name.len ? labels_builder_get(lb, name) : name;
    char text[NUMBER_MAX_BYTES];
    size_t n;
    double v;

    if (value.len == 0 || !number_parse(value, &v))
        return;
    n = number_format(text, v, NUMBER_OM);
    if (!sonde_str_eq(value, (sonde_str){ text, n }))
        labels_builder_set(lb, name,
                           arena_str(lb->arena, (sonde_str){ text, n }));
}
