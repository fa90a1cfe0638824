/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key is JSON, ["metric", "sample", {"label": "value"}, "help"]; the help
 * came with prometheus_client 0.15. The kind of the file says what the sample
 * means: of a histogram there are x_sum and x_bucket with a label le, whose
 * values are not cumulative and have no x_count; a summary has x_sum and
 * x_count; the sample of a counter is its whole name, x_total.
 *
 * Applications put into labels what their clients send. Whatever the sink
 * would refuse must end here, one value at a time: it would cost the whole
 * collection there.
 */
#include "key.h"

#include <math.h>
#include <stdlib.h>

static bool name_ok(sonde_str s, bool colons)
{
    if (s.len == 0 || s.len > KEY_NAME_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' &&
            (c != ':' || !colons) && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return true;
}

static bool label_name_ok(sonde_str s)
{
    return name_ok(s, false) && !(s.len >= 2 && memcmp(s.ptr, "__", 2) == 0);
}

static sonde_str text_of(const json_t *json)
{
    return (sonde_str){ json_string_value(json), json_string_length(json) };
}

/* ---- labels -------------------------------------------------------------- */

static bool bucket_bound(sonde_str text, double *out)
{
    char *end;

    *out = strtod(text.ptr, &end);
    return text.len > 0 && end == text.ptr + text.len && !isnan(*out) &&
           *out != -INFINITY;
}

static int name_order(sonde_str a, sonde_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = memcmp(a.ptr, b.ptr, n);

    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static bool add_label(struct key *k, sonde_str name, sonde_str value)
{
    size_t i = k->label_count;

    if (value.len == 0) /* as if it were absent */
        return true;
    if (i == SONDE_LABELS_MAX || !label_name_ok(name))
        return false;
    for (; i > 0 && name_order(k->labels[i - 1].name, name) > 0; i--)
        k->labels[i] = k->labels[i - 1];
    k->labels[i] = (struct key_label){ name, value };
    k->label_count++;
    return true;
}

static bool parse_labels(struct key *k, json_t *labels, enum db_kind kind)
{
    const char *name;
    json_t *value;

    json_object_foreach(labels, name, value)
    {
        sonde_str n = sonde_cstr(name);

        if (!json_is_string(value))
            return false;
        if (kind == DB_HISTOGRAM && sonde_str_eq(n, SONDE_STR("le"))) {
            k->part = KEY_BUCKET;
            if (!bucket_bound(text_of(value), &k->upper))
                return false;
        } else if (kind == DB_GAUGE && sonde_str_eq(n, SONDE_STR("pid"))) {
            continue; /* the file's name says whose it is */
        } else if (!add_label(k, n, text_of(value))) {
            return false;
        }
    }
    return true;
}

/* ---- the sample's name --------------------------------------------------- */

static bool is_suffixed(sonde_str sample, sonde_str metric, sonde_str suffix)
{
    return sample.len == metric.len + suffix.len &&
           memcmp(sample.ptr, metric.ptr, metric.len) == 0 &&
           memcmp(sample.ptr + metric.len, suffix.ptr, suffix.len) == 0;
}

static bool parse_name(struct key *k, sonde_str metric, sonde_str sample,
                       enum db_kind kind)
{
    if (kind == DB_COUNTER || kind == DB_GAUGE) {
        k->family = sample;
        k->part = KEY_VALUE;
        return name_ok(sample, true);
    }
    k->family = metric;
    if (k->part == KEY_BUCKET)
        return name_ok(metric, true);
    if (is_suffixed(sample, metric, SONDE_STR("_sum")))
        k->part = KEY_SUM;
    else if (kind == DB_SUMMARY &&
             is_suffixed(sample, metric, SONDE_STR("_count")))
        k->part = KEY_COUNT;
    else
        return false;
    return name_ok(metric, true);
}

bool key_parse(sonde_str text, enum db_kind kind, struct key *k)
{
    json_t *metric, *sample, *labels, *help;

    *k = (struct key){ .json = NULL };
    if (text.len > KEY_BYTES_MAX)
        return false;
    k->json = json_loadb(text.ptr, text.len, JSON_ALLOW_NUL, NULL);
    metric = json_array_get(k->json, 0);
    sample = json_array_get(k->json, 1);
    labels = json_array_get(k->json, 2);
    help = json_array_get(k->json, 3);
    if (!json_is_string(metric) || !json_is_string(sample) ||
        !json_is_object(labels))
        return false;
    k->help = json_is_string(help) ? text_of(help) : SONDE_STR("");
    return parse_labels(k, labels, kind) &&
           parse_name(k, text_of(metric), text_of(sample), kind);
}

void key_fini(struct key *k)
{
    json_decref(k->json);
    k->json = NULL;
}
