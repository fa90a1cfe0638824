/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An API answer's JSON, read. The text comes from whoever the user asks, so
 * nothing in it is taken for granted: what has not the shape that the API
 * promises is an error that says where it stopped.
 */
#include <jansson.h>
#include <math.h>

#include "cli/query_cmd.h"
#include "model/number.h"
#include "util/str.h"

#define SECONDS_MAX 9.2e15

static sonde_code bad(struct sonde_err *err, const char *what)
{
    return sonde_err_set(err, SONDE_EPARSE, "not an answer of the API: %s",
                         what);
}

static sonde_str text_of(struct arena *a, const json_t *v)
{
    return arena_str(
        a, (sonde_str){ json_string_value(v), json_string_length(v) });
}

/* ---- values -------------------------------------------------------------- */

static bool read_time(const json_t *v, sonde_msec *out)
{
    double sec = json_number_value(v);

    if (!json_is_number(v) || !(fabs(sec) <= SECONDS_MAX))
        return false;
    *out = llround(sec * 1000);
    return true;
}

static bool read_number(const json_t *v, double *out)
{
    return json_is_string(v) &&
           number_parse(
               (sonde_str){ json_string_value(v), json_string_length(v) }, out);
}

/* [time, "value"] */
static bool read_point(const json_t *v, struct answer_point *out)
{
    *out = (struct answer_point){ 0 };
    return json_array_size(v) == 2 &&
           read_time(json_array_get(v, 0), &out->t) &&
           read_number(json_array_get(v, 1), &out->v);
}

/* [kind of bounds, "lower", "upper", "count"] */
static bool read_bucket(const json_t *v, struct promql_bucket *out)
{
    json_int_t kind = json_integer_value(json_array_get(v, 0));

    out->lower_in = kind == 1 || kind == 3;
    out->upper_in = kind == 0 || kind == 3;
    return json_array_size(v) == 4 && kind >= 0 && kind <= 3 &&
           read_number(json_array_get(v, 1), &out->lower) &&
           read_number(json_array_get(v, 2), &out->upper) &&
           read_number(json_array_get(v, 3), &out->count);
}

/* [time, {"count": "2", "sum": "3", "buckets": [...]}] */
static bool read_histogram(struct arena *a, const json_t *v,
                           struct answer_point *out)
{
    struct answer_histogram *h = arena_new(a, struct answer_histogram);
    const json_t *o = json_array_get(v, 1),
                 *buckets = json_object_get(o, "buckets");
    size_t n = json_array_size(buckets);

    *out = (struct answer_point){ .h = h };
    if (json_array_size(v) != 2 || !read_time(json_array_get(v, 0), &out->t) ||
        !read_number(json_object_get(o, "count"), &h->count) ||
        !read_number(json_object_get(o, "sum"), &h->sum))
        return false;
    out->v = h->sum;
    h->buckets = arena_array(a, struct promql_bucket, n);
    for (; h->bucket_count < n; h->bucket_count++)
        if (!read_bucket(json_array_get(buckets, h->bucket_count),
                         &h->buckets[h->bucket_count]))
            return false;
    return true;
}

/* ---- series -------------------------------------------------------------- */

static bool read_labels(struct arena *a, const json_t *o, struct labels *out)
{
    struct labels_builder lb;
    const char *key;
    json_t *v;

    if (!json_is_object(o))
        return false;
    labels_builder_init(&lb, a);
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        if (!json_is_string(v))
            return false;
        labels_builder_set(&lb, arena_str(a, sonde_cstr(key)), text_of(a, v));
    }
    *out = labels_builder_view(&lb);
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct answer_point *x = a, *y = b;

    return x->t < y->t ? -1 : x->t > y->t;
}

/* Floats and histograms come in two lists and become one. */
static bool read_values(struct arena *a, const json_t *o,
                        struct answer_series *out)
{
    const json_t *floats = json_object_get(o, "values"),
                 *histograms = json_object_get(o, "histograms");
    size_t n = json_array_size(floats), m = json_array_size(histograms);

    out->points = arena_array(a, struct answer_point, n + m);
    for (size_t i = 0; i < n; i++)
        if (!read_point(json_array_get(floats, i), &out->points[out->count++]))
            return false;
    for (size_t i = 0; i < m; i++)
        if (!read_histogram(a, json_array_get(histograms, i),
                            &out->points[out->count++]))
            return false;
    if (n && m)
        qsort(out->points, out->count, sizeof(*out->points), by_time);
    return true;
}

static bool read_series(struct arena *a, const json_t *o, bool matrix,
                        struct answer_series *out)
{
    const json_t *value = json_object_get(o, "value"),
                 *histogram = json_object_get(o, "histogram");

    if (!read_labels(a, json_object_get(o, "metric"), &out->labels))
        return false;
    if (matrix)
        return read_values(a, o, out);
    out->points = arena_new(a, struct answer_point);
    out->count = 1;
    return value       ? read_point(value, out->points)
           : histogram ? read_histogram(a, histogram, out->points)
                       : false;
}

/* ---- by type ------------------------------------------------------------- */

static sonde_code read_vector(const json_t *result, struct answer *out,
                              bool matrix, struct sonde_err *err)
{
    size_t n = json_array_size(result);

    if (!json_is_array(result))
        return bad(err, "\"result\" is no list");
    out->kind = matrix ? ANSWER_MATRIX : ANSWER_VECTOR;
    out->series = arena_array(out->arena, struct answer_series, n);
    for (; out->count < n; out->count++)
        if (!read_series(out->arena, json_array_get(result, out->count), matrix,
                         &out->series[out->count]))
            return bad(err, "a series of \"result\"");
    return SONDE_OK;
}

static sonde_code read_scalar(const json_t *result, struct answer *out,
                              struct sonde_err *err)
{
    struct answer_series *s = arena_new(out->arena, struct answer_series);

    s->points = arena_new(out->arena, struct answer_point);
    s->count = 1;
    out->kind = ANSWER_SCALAR;
    out->series = s;
    out->count = 1;
    if (!read_point(result, s->points))
        return bad(err, "a scalar");
    out->t = s->points[0].t;
    return SONDE_OK;
}

static sonde_code read_string(const json_t *result, struct answer *out,
                              struct sonde_err *err)
{
    const json_t *v = json_array_get(result, 1);
    sonde_str *s = arena_new(out->arena, sonde_str);

    if (!json_is_string(v) || !read_time(json_array_get(result, 0), &out->t))
        return bad(err, "a string");
    *s = text_of(out->arena, v);
    out->kind = ANSWER_STRING;
    out->strings = (struct sonde_list){ s, 1 };
    return SONDE_OK;
}

static sonde_code read_result(const json_t *data, struct answer *out,
                              struct sonde_err *err)
{
    const char *type = json_string_value(json_object_get(data, "resultType"));
    const json_t *result = json_object_get(data, "result");

    if (!type)
        return bad(err, "\"resultType\" is missing");
    if (strcmp(type, "scalar") == 0)
        return read_scalar(result, out, err);
    if (strcmp(type, "string") == 0)
        return read_string(result, out, err);
    if (strcmp(type, "vector") == 0 || strcmp(type, "matrix") == 0)
        return read_vector(result, out, *type == 'm', err);
    return bad(err, "an unknown \"resultType\"");
}

static sonde_code read_sets(const json_t *data, struct answer *out,
                            struct sonde_err *err)
{
    size_t n = json_array_size(data);

    out->kind = ANSWER_SERIES;
    out->series = arena_array(out->arena, struct answer_series, n);
    for (; out->count < n; out->count++)
        if (!read_labels(out->arena, json_array_get(data, out->count),
                         &out->series[out->count].labels))
            return bad(err, "a label set");
    return SONDE_OK;
}

static sonde_code read_strings(const json_t *data, struct answer *out,
                               struct sonde_err *err)
{
    size_t n = json_array_size(data);
    sonde_str *items = arena_array(out->arena, sonde_str, n);

    out->kind = ANSWER_VALUES;
    out->strings = (struct sonde_list){ items, n };
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(data, i);

        if (!json_is_string(v))
            return bad(err, "a label value");
        items[i] = text_of(out->arena, v);
    }
    return SONDE_OK;
}

/* ---- the envelope -------------------------------------------------------- */

static void read_notes(const json_t *root, struct answer *out)
{
    static const char *const keys[] = { "infos", "warnings" };
    size_t cap = json_array_size(json_object_get(root, keys[0])) +
                 json_array_size(json_object_get(root, keys[1]));

    out->notes = arena_array(out->arena, struct answer_note, cap);
    for (size_t k = 2; k-- > 0;) {
        const json_t *list = json_object_get(root, keys[k]);

        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *v = json_array_get(list, i);

            if (json_is_string(v))
                out->notes[out->note_count++] =
                    (struct answer_note){ k == 1, text_of(out->arena, v) };
        }
    }
}

static sonde_code read_root(const json_t *root, enum query_kind kind,
                            struct answer *out, struct sonde_err *err)
{
    const char *status = json_string_value(json_object_get(root, "status"));
    const json_t *data = json_object_get(root, "data");

    if (status && strcmp(status, "error") == 0) {
        const char *type =
            json_string_value(json_object_get(root, "errorType"));
        const char *text = json_string_value(json_object_get(root, "error"));

        return sonde_err_set(err, SONDE_EINVAL, "%s: %s", type ? type : "error",
                             text ? text : "without a text");
    }
    if (!status || strcmp(status, "success") != 0)
        return bad(err, "\"status\" is missing");
    read_notes(root, out);
    if (kind == QUERY_INSTANT || kind == QUERY_RANGE)
        return read_result(data, out, err);
    if (!json_is_array(data))
        return bad(err, "\"data\" is no list");
    return kind == QUERY_SERIES ? read_sets(data, out, err)
                                : read_strings(data, out, err);
}

sonde_code answer_read_json(sonde_str text, enum query_kind kind,
                            struct answer *out, struct sonde_err *err)
{
    json_error_t why;
    json_t *root = json_loadb(text.ptr, text.len, 0, &why);
    sonde_code rc = root ? read_root(root, kind, out, err) : bad(err, why.text);

    json_decref(root);
    return rc;
}
