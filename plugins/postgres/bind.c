/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A result's columns, read by their names. With the collector's prefix in
 * front a column is a family, or by itself (for a family that is the prefix),
 * or else a label of the families beside it. So a statement's text says all
 * that is to be said, and what does not fit is an error with a name, not a
 * value in the wrong place.
 *
 * Names are looked up once for each statement and connection.
 */
#include "bind.h"

#include "families.h"

static size_t family_of(const struct collector *c, const char *column)
{
    char name[160];
    size_t f;

    (void)snprintf(name, sizeof(name), "%s%s", c->prefix, column);
    f = families_find(name);
    return f < PG_FAMILY_COUNT ? f : families_find(column);
}

static const char *label_name(const char *column)
{
    return strncmp(column, "label_", 6) == 0 ? column + 6 : column;
}

static uint8_t find_label(const struct binding *b, const struct rows *r,
                          const char *label)
{
    for (size_t i = 0; i < b->columns; i++) {
        if (b->family[i] == PG_FAMILY_COUNT &&
            strcmp(label_name(rows_name(r, i)), label) == 0)
            return (uint8_t)i;
    }
    return strcmp(label, "server") == 0 ? BIND_SERVER : BIND_NOTHING;
}

static void bind_labels(struct binding *b, const struct rows *r, size_t column,
                        bool used[BIND_COLUMNS_MAX])
{
    const struct sonde_family *f = &pg_families[b->family[column]];

    for (size_t k = 0; k < SONDE_LABELS_MAX && f->labels[k]; k++) {
        b->labels[column][k] = find_label(b, r, f->labels[k]);
        if (b->labels[column][k] < BIND_COLUMNS_MAX)
            used[b->labels[column][k]] = true;
    }
}

sonde_code bind_columns(const struct collector *c, const struct rows *r,
                        struct binding *out, struct sonde_err *err)
{
    bool used[BIND_COLUMNS_MAX] = { false };

    if (r->columns > BIND_COLUMNS_MAX)
        return sonde_err_set(err, SONDE_EPROTO,
                             "%zu columns, expected at most %d", r->columns,
                             BIND_COLUMNS_MAX);
    *out = (struct binding){ .columns = r->columns };
    for (size_t i = 0; i < r->columns; i++)
        out->family[i] = (uint16_t)family_of(c, rows_name(r, i));
    for (size_t i = 0; i < r->columns; i++) {
        if (out->family[i] < PG_FAMILY_COUNT)
            bind_labels(out, r, i, used);
    }
    for (size_t i = 0; i < r->columns; i++) {
        if (out->family[i] == PG_FAMILY_COUNT && !used[i])
            return sonde_err_set(err, SONDE_EPROTO,
                                 "column %.60s is neither a family nor a label",
                                 rows_name(r, i));
    }
    return SONDE_OK;
}

/* ---- rows ---------------------------------------------------------------- */

struct place { /* where a row's labels come from */
    const struct collector *collector;
    const struct binding *binding;
    const struct rows *rows;
    sonde_str server;
    bool main_database;
};

static sonde_str label_value(const struct place *p, size_t row,
                             const char *name, uint8_t from)
{
    if (from == BIND_SERVER)
        return p->server;
    if (from == BIND_NOTHING ||
        (p->collector->datname_elsewhere && p->main_database &&
         strcmp(name, "datname") == 0))
        return (sonde_str){ 0 };
    if (rows_null(p->rows, row, from))
        return sonde_cstr(p->collector->null_label ? p->collector->null_label
                                                   : "unknown");
    return rows_text(p->rows, row, from);
}

/* False: no number. *skip: there is nothing to say. */
static bool cell_value(const struct place *p, size_t row, size_t column,
                       double *out, bool *skip)
{
    sonde_str s;

    *skip = false;
    if (rows_null(p->rows, row, column)) {
        *out = 0;
        *skip = p->collector->nulls == NULL_NONE;
        return true;
    }
    s = rows_text(p->rows, row, column);
    if (s.len == 1 && (s.ptr[0] == 't' || s.ptr[0] == 'f')) {
        *out = s.ptr[0] == 't';
        return true;
    }
    return text_number(s, out);
}

static sonde_code emit_row(const struct place *p, size_t row, struct emit *e,
                           struct sonde_err *err)
{
    const struct binding *b = p->binding;
    sonde_str labels[SONDE_LABELS_MAX];
    double value;
    bool skip;

    for (size_t i = 0; i < b->columns; i++) {
        const struct sonde_family *f;

        if (b->family[i] >= PG_FAMILY_COUNT)
            continue;
        if (!cell_value(p, row, i, &value, &skip))
            return sonde_err_set(
                err, SONDE_EPARSE, "row %zu: %s: expected a number, got %.40s",
                row, rows_name(p->rows, i), rows_text(p->rows, row, i).ptr);
        if (skip)
            continue;
        f = &pg_families[b->family[i]];
        for (size_t k = 0; k < SONDE_LABELS_MAX && f->labels[k]; k++)
            labels[k] = label_value(p, row, f->labels[k], b->labels[i][k]);
        emit_sample(e, b->family[i], labels, value);
    }
    return SONDE_OK;
}

sonde_code bind_emit(const struct collector *c, const struct binding *b,
                     const struct rows *r, size_t rows_max, sonde_str server,
                     bool main_database, struct emit *e, struct sonde_err *err)
{
    const struct place p = { .collector = c,
                             .binding = b,
                             .rows = r,
                             .server = server,
                             .main_database = main_database };
    size_t n = rows_max && r->count > rows_max ? rows_max : r->count;

    if (r->columns != b->columns)
        return sonde_err_set(err, SONDE_EPROTO, "expected %zu columns, got %zu",
                             b->columns, r->columns);
    for (size_t i = 0; i < n; i++) {
        sonde_code rc = emit_row(&p, i, e, err);

        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}
