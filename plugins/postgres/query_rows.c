/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a user's query as samples.
 *
 * A column that the file does not list is untyped if it is a number. NULL is
 * NaN, as in the exporter; other values that are no numbers are left out. A
 * label that the query does not return is an error (the exporter takes the
 * first column's value for it).
 *
 * A histogram comes in four columns: its bounds, and its counts, sum and
 * count under the same name with a suffix. Its name and those with the
 * suffixes are its own: another column that would be called so is left out.
 */
#include <math.h>
#include <stdlib.h>

#include "queries.h"
#include "query_values.h"

enum {
    BOUNDS_MAX = 256
};

struct histogram {
    struct sonde_bucket buckets[BOUNDS_MAX];
    size_t n;
    uint64_t count;
    double sum;
};

/* How a result is read: which column is what. */
struct plan {
    const struct query_set *set;
    const struct query *query;
    const struct rows *rows;
    const struct query_column *of[ROWS_COLUMNS_MAX]; /* NULL: not listed */
    bool part[ROWS_COLUMNS_MAX];    /* of a histogram, of this query or
                                       another                              */
    size_t label[SONDE_LABELS_MAX]; /* columns                           */
    const char *label_name[SONDE_LABELS_MAX + 1];
    size_t labels; /* of the query; then come server and datname         */
    sonde_str values[SONDE_LABELS_MAX];
    char times[SONDE_LABELS_MAX][32]; /* labels that are times           */
};

static size_t find_column(const struct rows *r, const char *name)
{
    for (size_t i = 0; i < r->columns; i++) {
        if (strcmp(rows_name(r, i), name) == 0)
            return i;
    }
    return SIZE_MAX;
}

static size_t find_part(const struct rows *r, const char *name,
                        const char *suffix)
{
    char full[256];

    (void)snprintf(full, sizeof(full), "%s%s", name, suffix);
    return find_column(r, full);
}

static sonde_code plan_column(struct plan *p, const struct query_column *c,
                              struct sonde_err *err)
{
    size_t at = find_column(p->rows, c->name);

    if (at == SIZE_MAX && c->usage == USAGE_LABEL)
        return sonde_err_set(err, SONDE_ENOTFOUND,
                             "the query returns no column %.60s, which is a "
                             "label",
                             c->name);
    if (at == SIZE_MAX)
        return SONDE_OK;
    p->of[at] = c;
    if (c->usage == USAGE_LABEL) {
        if (p->labels >= SONDE_LABELS_MAX - 2)
            return sonde_err_set(err, SONDE_ELIMIT, "more than %d labels",
                                 SONDE_LABELS_MAX - 2);
        p->label[p->labels] = at;
        p->label_name[p->labels++] = c->family;
    }
    for (size_t i = 0; c->usage == USAGE_HISTOGRAM && i < HISTOGRAM_PARTS;
         i++) {
        at = find_part(p->rows, c->name, histogram_parts[i]);
        if (at != SIZE_MAX)
            p->part[at] = true;
    }
    return SONDE_OK;
}

/* Names of columns become names of metrics. */
static void unlisted_name(const struct plan *p, size_t column, char *out,
                          size_t cap)
{
    (void)snprintf(out, cap, "%.200s_%.60s", p->query->name,
                   rows_name(p->rows, column));
    for (char *z = out; *z; z++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                    "0123456789_:",
                    *z))
            *z = '_';
    }
}

/* Whether `name` is that of a histogram, or with one of its suffixes. */
static bool of_histogram(const struct query_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        for (size_t k = 0; k < set->items[i].column_count; k++) {
            const struct query_column *c = &set->items[i].columns[k];
            size_t n = strlen(c->family);

            if (c->usage != USAGE_HISTOGRAM || strncmp(name, c->family, n) != 0)
                continue;
            if (!name[n])
                return true;
            for (size_t s = 0; s < HISTOGRAM_PARTS; s++) {
                if (strcmp(name + n, histogram_parts[s]) == 0)
                    return true;
            }
        }
    }
    return false;
}

static void plan_parts(struct plan *p)
{
    char name[280];

    for (size_t i = 0; i < p->rows->columns; i++) {
        const struct query_column *c = p->of[i];

        if (c && (c->usage == USAGE_LABEL || c->usage == USAGE_HISTOGRAM))
            continue;
        if (!c)
            unlisted_name(p, i, name, sizeof(name));
        if (of_histogram(p->set, c ? c->family : name))
            p->part[i] = true;
    }
}

static void add_label(struct plan *p, size_t *n, const char *name,
                      sonde_str value)
{
    for (size_t i = 0; i < p->labels; i++) {
        if (strcmp(p->label_name[i], name) == 0)
            return;
    }
    if (value.len == 0)
        return;
    p->label_name[*n] = name;
    p->values[(*n)++] = value;
}

static sonde_code make_plan(struct plan *p, sonde_str server, sonde_str datname,
                            struct sonde_err *err)
{
    const struct query *q = p->query;
    sonde_code rc = SONDE_OK;
    size_t n;

    for (size_t i = 0; rc == SONDE_OK && i < q->column_count; i++)
        rc = plan_column(p, &q->columns[i], err);
    plan_parts(p);
    n = p->labels;
    add_label(p, &n, "server", server);
    add_label(p, &n, "datname", datname);
    return rc;
}

/* ---- values -------------------------------------------------------------- */

static void read_labels(struct plan *p, size_t row)
{
    double t;

    for (size_t i = 0; i < p->labels; i++) {
        size_t column = p->label[i];
        uint32_t type = rows_type(p->rows, column);
        sonde_str s = { 0 };

        if (!rows_null(p->rows, row, column))
            s = rows_text(p->rows, row, column);
        if (type == SQL_BOOL && s.len)
            s = s.ptr[0] == 't' ? SONDE_STR("true") : SONDE_STR("false");
        else if ((type == SQL_DATE || type == SQL_TIMESTAMP ||
                  type == SQL_TIMESTAMPTZ) &&
                 sql_time(s, &t)) {
            (void)snprintf(p->times[i], sizeof(p->times[i]), "%.0f", t);
            s = sonde_cstr(p->times[i]);
        }
        p->values[i] = s;
    }
}

static bool mapped(const struct query_column *c, sonde_str s, double *out)
{
    for (size_t i = 0; i < c->mapping_count; i++) {
        if (text_is(s, c->mapping[i].text)) {
            *out = c->mapping[i].value;
            return true;
        }
    }
    return false;
}

static bool read_value(const struct plan *p, size_t row, size_t column,
                       double *out)
{
    const struct query_column *c = p->of[column];
    uint32_t type = rows_type(p->rows, column);
    sonde_str s;

    *out = NAN;
    if (rows_null(p->rows, row, column))
        return true;
    s = rows_text(p->rows, row, column);
    if (c && c->usage == USAGE_DURATION)
        return type == SQL_INTERVAL ? sql_interval(s, out)
                                    : query_duration(s, out);
    if (c && c->usage == USAGE_MAPPED && mapped(c, s, out))
        return true;
    return sql_number(type, s, out);
}

static enum sonde_metric_type type_of(const struct query_column *c)
{
    if (!c)
        return SONDE_METRIC_UNKNOWN;
    switch (c->usage) {
    case USAGE_COUNTER:
        return SONDE_METRIC_COUNTER;
    case USAGE_GAUGE:
    case USAGE_MAPPED:
    case USAGE_DURATION:
        return SONDE_METRIC_GAUGE;
    default:
        return SONDE_METRIC_UNKNOWN;
    }
}

static void emit_value(struct plan *p, size_t row, size_t column,
                       struct emit *e)
{
    const struct query_column *c = p->of[column];
    char name[280];
    struct sonde_family f = { .name = c ? c->family : name,
                              .type = type_of(c),
                              .help = c ? c->help : "" };
    double value;

    if (!read_value(p, row, column, &value))
        return;
    if (!c)
        unlisted_name(p, column, name, sizeof(name));
    for (size_t i = 0; i < SONDE_LABELS_MAX; i++)
        f.labels[i] = p->label_name[i];
    emit_dynamic(e, &f, p->values, value);
}

/* ---- histograms ---------------------------------------------------------- */

static bool read_array(const struct rows *r, size_t row, size_t column,
                       double out[BOUNDS_MAX], size_t *n)
{
    sonde_str rest;
    bool ok = false;
    double v;

    *n = 0;
    if (column == SIZE_MAX || rows_null(r, row, column))
        return false;
    rest = rows_text(r, row, column);
    while (sql_array_next(&rest, &v, &ok)) {
        if (*n == BOUNDS_MAX)
            return false;
        out[(*n)++] = v;
        if (!rest.ptr)
            return true;
    }
    return ok;
}

/* What is counted must be a whole number. */
static bool as_count(double v, uint64_t *out)
{
    if (!(v >= 0 && v <= 9007199254740992.0 && v == floor(v)))
        return false;
    *out = (uint64_t)v;
    return true;
}

/* The host takes bounds that rise and counts that do not fall, and fails the
 * collection otherwise: one row of a query is not worth that. */
static bool in_order(const struct sonde_bucket *b, size_t n, uint64_t count)
{
    for (size_t i = 0; i < n; i++) {
        if (isnan(b[i].upper) || b[i].count > count ||
            (i &&
             (b[i].upper <= b[i - 1].upper || b[i].count < b[i - 1].count)))
            return false;
    }
    return true;
}

static bool read_cell(const struct rows *r, size_t row, size_t column,
                      double *out)
{
    return column != SIZE_MAX && !rows_null(r, row, column) &&
           text_number(rows_text(r, row, column), out);
}

static bool read_histogram(const struct rows *r, size_t row, const char *name,
                           struct histogram *h)
{
    double bounds[BOUNDS_MAX], counts[BOUNDS_MAX], count;
    size_t n = 0, m = 0;

    if (!read_array(r, row, find_column(r, name), bounds, &n) ||
        !read_array(r, row, find_part(r, name, "_bucket"), counts, &m) ||
        n != m || !read_cell(r, row, find_part(r, name, "_sum"), &h->sum) ||
        !read_cell(r, row, find_part(r, name, "_count"), &count) ||
        !as_count(count, &h->count))
        return false;
    for (h->n = 0; h->n < n; h->n++) {
        h->buckets[h->n].upper = bounds[h->n];
        if (!as_count(counts[h->n], &h->buckets[h->n].count))
            return false;
    }
    return in_order(h->buckets, n, h->count);
}

static void emit_histogram_row(struct plan *p, size_t row,
                               const struct query_column *c, struct emit *e)
{
    struct sonde_family f = { .name = c->family,
                              .type = SONDE_METRIC_HISTOGRAM,
                              .help = c->help };
    struct histogram h;

    for (size_t i = 0; i < SONDE_LABELS_MAX; i++)
        f.labels[i] = p->label_name[i];
    if (read_histogram(p->rows, row, c->name, &h))
        emit_dynamic_histogram(e, &f, p->values, h.buckets, h.n, h.count,
                               h.sum);
    else
        emit_drop(e, &f, p->values);
}

/* ---- all ----------------------------------------------------------------- */

static void emit_row(struct plan *p, size_t row, struct emit *e)
{
    read_labels(p, row);
    for (size_t i = 0; i < p->rows->columns; i++) {
        const struct query_column *c = p->of[i];

        if (p->part[i] ||
            (c && (c->usage == USAGE_LABEL || c->usage == USAGE_DISCARD)))
            continue;
        if (c && c->usage == USAGE_HISTOGRAM)
            emit_histogram_row(p, row, c, e);
        else
            emit_value(p, row, i, e);
    }
}

sonde_code query_emit(const struct query_set *set, const struct query *q,
                      const struct rows *r, sonde_str server, sonde_str datname,
                      struct emit *e, struct sonde_err *err)
{
    struct plan *p = calloc(1, sizeof(*p));
    sonde_code rc;

    if (!p)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    p->set = set;
    p->query = q;
    p->rows = r;
    rc = r->columns <= ROWS_COLUMNS_MAX
             ? make_plan(p, server, datname, err)
             : sonde_err_set(err, SONDE_ELIMIT, "more than %d columns",
                             ROWS_COLUMNS_MAX);
    for (size_t i = 0; rc == SONDE_OK && i < r->count; i++)
        emit_row(p, i, e);
    free(p);
    return rc;
}
