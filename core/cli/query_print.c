/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers for programs: CSV, JSON, and the lines that promtool prints. Values
 * are in the shortest digits that read back to the same number.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "api/json.h"
#include "cli/query_cmd.h"
#include "model/number.h"
#include "util/str.h"
#include "util/utf8.h"

static const struct {
    const char *name;
    answer_printer *print;
} formats[] = {
    { "table", answer_print_table },
    { "csv", answer_print_csv },
    { "json", answer_print_json },
    { "promql", answer_print_promql },
};

answer_printer *answer_printer_find(const char *format)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (strcmp(formats[i].name, format) == 0)
            return formats[i].print;
    return NULL;
}

void answer_put_value(struct buf *b, const struct answer_point *p)
{
    if (!p->h) {
        buf_number(b, p->v, NUMBER_PLAIN);
        return;
    }
    buf_cstr(b, "{count:");
    buf_number(b, p->h->count, NUMBER_API);
    buf_cstr(b, ", sum:");
    buf_number(b, p->h->sum, NUMBER_API);
    for (size_t i = 0; i < p->h->bucket_count; i++) {
        const struct promql_bucket *k = &p->h->buckets[i];

        buf_cstr(b, k->lower_in ? ", [" : ", (");
        buf_number(b, k->lower, NUMBER_API);
        buf_char(b, ',');
        buf_number(b, k->upper, NUMBER_API);
        buf_cstr(b, k->upper_in ? "]:" : "):");
        buf_number(b, k->count, NUMBER_API);
    }
    buf_char(b, '}');
}

/* Seconds without zeros at the end, as promtool has stamps. */
static void put_stamp(struct buf *b, sonde_msec t)
{
    uint64_t ms = t < 0 ? 0 - (uint64_t)t : (uint64_t)t;
    unsigned rest = (unsigned)(ms % 1000);

    if (t < 0)
        buf_char(b, '-');
    buf_uint(b, ms / 1000);
    if (rest) {
        buf_printf(b, ".%03u", rest);
        while (b->data[b->len - 1] == '0')
            b->len--;
    }
}

/* ---- promql ----------------------------------------------------------------
 */

/* Count: 3.000000, Sum: 4.500000, Buckets: [(1,2]:3 ...] */
static void put_promtool_histogram(struct buf *b,
                                   const struct answer_histogram *h)
{
    buf_printf(b, "Count: %f, Sum: %f, Buckets: [", h->count, h->sum);
    for (size_t i = 0; i < h->bucket_count; i++) {
        const struct promql_bucket *k = &h->buckets[i];

        buf_printf(b, "%s%c", i ? " " : "", k->lower_in ? '[' : '(');
        buf_number(b, k->lower, NUMBER_API);
        buf_char(b, ',');
        buf_number(b, k->upper, NUMBER_API);
        buf_printf(b, "%c:", k->upper_in ? ']' : ')');
        buf_number(b, k->count, NUMBER_API);
    }
    buf_char(b, ']');
}

static void put_promtool_point(struct buf *b, const struct answer_point *p)
{
    if (p->h)
        put_promtool_histogram(b, p->h);
    else
        buf_number(b, p->v, NUMBER_PLAIN);
    buf_cstr(b, " @[");
    put_stamp(b, p->t);
    buf_char(b, ']');
}

/* The order in which promtool prints a matrix: fewer labels first, then by
 * the names of both, where a set without a name that the other has is first.
 */
static int promtool_order(const void *a, const void *b)
{
    const struct labels *x = &((const struct answer_series *)a)->labels;
    const struct labels *y = &((const struct answer_series *)b)->labels;

    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    for (size_t i = 0; i < x->count; i++) {
        int order = str_cmp(x->items[i].name, y->items[i].name);

        if (order)
            return -order;
        order = str_cmp(x->items[i].value, y->items[i].value);
        if (order)
            return order;
    }
    return 0;
}

static void put_promtool_series(struct buf *b, const struct answer *a,
                                const struct answer_series *s)
{
    labels_print(b, &s->labels);
    buf_cstr(b, a->kind == ANSWER_MATRIX ? " =>\n" : " => ");
    for (size_t i = 0; i < s->count; i++) {
        put_promtool_point(b, &s->points[i]);
        if (i + 1 < s->count)
            buf_char(b, '\n');
    }
    buf_char(b, '\n');
}

static void put_lines(struct buf *b, const struct answer *a)
{
    for (size_t i = 0; i < a->strings.count; i++) {
        buf_put(b, a->strings.items[i]);
        buf_char(b, '\n');
    }
}

static void put_sets(struct buf *b, const struct answer *a)
{
    for (size_t i = 0; i < a->count; i++) {
        labels_print_set(b, &a->series[i].labels);
        buf_char(b, '\n');
    }
}

static void put_promtool_all(struct buf *b, const struct answer *a)
{
    struct answer_series *sorted =
        arena_array(a->arena, struct answer_series, a->count);

    if (a->count)
        memcpy(sorted, a->series, a->count * sizeof(*sorted));
    if (a->count && a->kind == ANSWER_MATRIX)
        qsort(sorted, a->count, sizeof(*sorted), promtool_order);
    for (size_t i = 0; i < a->count; i++)
        put_promtool_series(b, a, &sorted[i]);
    if (a->count == 0)
        buf_char(b, '\n');
}

void answer_print_promql(struct buf *b, const struct answer *a)
{
    switch (a->kind) {
    case ANSWER_SCALAR:
        buf_cstr(b, "scalar: ");
        put_promtool_point(b, &a->series[0].points[0]);
        buf_char(b, '\n');
        break;
    case ANSWER_STRING:
    case ANSWER_VALUES:
        put_lines(b, a);
        break;
    case ANSWER_SERIES:
        put_sets(b, a);
        break;
    case ANSWER_VECTOR:
    case ANSWER_MATRIX:
        put_promtool_all(b, a);
        break;
    }
}

/* ---- JSON -------------------------------------------------------------------
 */

static void json_number(struct jsonw *j, double v)
{
    char text[NUMBER_MAX_BYTES];
    size_t n = number_format(text, v, NUMBER_PLAIN);

    jsonw_str(j, (sonde_str){ text, n });
}

static void json_bucket(struct jsonw *j, const struct promql_bucket *k)
{
    jsonw_array(j);
    jsonw_int(j, k->lower_in ? (k->upper_in ? 3 : 1) : k->upper_in ? 0 : 2);
    json_number(j, k->lower);
    json_number(j, k->upper);
    json_number(j, k->count);
    jsonw_array_end(j);
}

static void json_histogram(struct jsonw *j, const struct answer_histogram *h)
{
    jsonw_object(j);
    jsonw_key(j, "count");
    json_number(j, h->count);
    jsonw_key(j, "sum");
    json_number(j, h->sum);
    jsonw_key(j, "buckets");
    jsonw_array(j);
    for (size_t i = 0; i < h->bucket_count; i++)
        json_bucket(j, &h->buckets[i]);
    jsonw_array_end(j);
    jsonw_object_end(j);
}

static void json_point(struct jsonw *j, const struct answer_point *p)
{
    jsonw_array(j);
    jsonw_seconds(j, p->t);
    if (p->h)
        json_histogram(j, p->h);
    else
        json_number(j, p->v);
    jsonw_array_end(j);
}

/* The points of one kind, if there are any. */
static void json_points(struct jsonw *j, const struct answer_series *s,
                        bool histograms)
{
    bool any = false;

    for (size_t i = 0; i < s->count; i++) {
        if ((s->points[i].h != NULL) != histograms)
            continue;
        if (!any) {
            jsonw_key(j, histograms ? "histograms" : "values");
            jsonw_array(j);
        }
        any = true;
        json_point(j, &s->points[i]);
    }
    if (any)
        jsonw_array_end(j);
}

static void json_series(struct jsonw *j, const struct answer *a,
                        const struct answer_series *s)
{
    jsonw_object(j);
    jsonw_key(j, "metric");
    jsonw_labels(j, &s->labels);
    if (a->kind == ANSWER_VECTOR) {
        jsonw_key(j, s->points[0].h ? "histogram" : "value");
        json_point(j, &s->points[0]);
    } else {
        json_points(j, s, false);
        json_points(j, s, true);
    }
    jsonw_object_end(j);
}

static void json_list(struct jsonw *j, const struct answer *a)
{
    jsonw_array(j);
    for (size_t i = 0; i < a->strings.count; i++)
        jsonw_str(j, a->strings.items[i]);
    for (size_t i = 0; i < a->count; i++)
        if (a->kind == ANSWER_SERIES)
            jsonw_labels(j, &a->series[i].labels);
        else
            json_series(j, a, &a->series[i]);
    jsonw_array_end(j);
}

void answer_print_json(struct buf *b, const struct answer *a)
{
    struct jsonw j = jsonw_to(b);

    if (a->kind == ANSWER_SCALAR) {
        json_point(&j, &a->series[0].points[0]);
    } else if (a->kind == ANSWER_STRING) {
        jsonw_array(&j);
        jsonw_seconds(&j, a->t);
        jsonw_str(&j, a->strings.items[0]);
        jsonw_array_end(&j);
    } else {
        json_list(&j, a);
    }
    buf_char(b, '\n');
}

/* ---- CSV (RFC 4180, lines end with LF) ----------------------------------- */

static void csv_field(struct buf *b, sonde_str s)
{
    bool quote = false;

    for (size_t i = 0; i < s.len; i++)
        quote |= s.ptr[i] == ',' || s.ptr[i] == '"' || s.ptr[i] == '\n' ||
                 s.ptr[i] == '\r';
    if (!quote) {
        buf_put(b, s);
        return;
    }
    buf_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            buf_char(b, '"');
        buf_char(b, s.ptr[i]);
    }
    buf_char(b, '"');
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

/* All names of labels of all series, sorted: the columns. */
static struct sonde_list csv_names(const struct answer *a)
{
    size_t n = 0, kept = 0;
    sonde_str *names;

    for (size_t i = 0; i < a->count; i++)
        n += a->series[i].labels.count;
    names = arena_array(a->arena, sonde_str, n);
    n = 0;
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < a->series[i].labels.count; k++)
            names[n++] = a->series[i].labels.items[k].name;
    if (n)
        qsort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !sonde_str_eq(names[kept - 1], names[i]))
            names[kept++] = names[i];
    return (struct sonde_list){ names, kept };
}

static void csv_labels(struct buf *b, const struct sonde_list *names,
                       const struct labels *l)
{
    for (size_t i = 0; i < names->count; i++) {
        if (i)
            buf_char(b, ',');
        csv_field(b, labels_get(l, names->items[i]));
    }
}

static void csv_points(struct buf *b, const struct sonde_list *names,
                       const struct answer_series *s)
{
    struct buf value;

    buf_init(&value);
    for (size_t i = 0; i < s->count; i++) {
        csv_labels(b, names, &s->labels);
        if (names->count)
            buf_char(b, ',');
        put_stamp(b, s->points[i].t);
        buf_char(b, ',');
        buf_reset(&value);
        answer_put_value(&value, &s->points[i]);
        csv_field(b, buf_str(&value));
        buf_char(b, '\n');
    }
    buf_fini(&value);
}

static void csv_series(struct buf *b, const struct answer *a)
{
    struct sonde_list names = csv_names(a);

    for (size_t i = 0; i < names.count; i++) {
        if (i)
            buf_char(b, ',');
        csv_field(b, names.items[i]);
    }
    if (a->kind != ANSWER_SERIES)
        buf_cstr(b, names.count ? ",time,value" : "time,value");
    buf_char(b, '\n');
    for (size_t i = 0; i < a->count; i++) {
        if (a->kind != ANSWER_SERIES) {
            csv_points(b, &names, &a->series[i]);
            continue;
        }
        csv_labels(b, &names, &a->series[i].labels);
        buf_char(b, '\n');
    }
}

void answer_print_csv(struct buf *b, const struct answer *a)
{
    if (a->kind != ANSWER_STRING && a->kind != ANSWER_VALUES) {
        csv_series(b, a);
        return;
    }
    buf_cstr(b, "value\n");
    for (size_t i = 0; i < a->strings.count; i++) {
        csv_field(b, a->strings.items[i]);
        buf_char(b, '\n');
    }
}
