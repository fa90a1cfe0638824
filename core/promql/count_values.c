/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count_values: for each value of a group, how many series have it. The value
 * is a label of the result, so the series of the result are found by going
 * through all values once; a row is made for each on the way.
 */
#include <stdlib.h>

#include "model/number.h"
#include "promql/aggregate.h"
#include "util/buf.h"
#include "util/str.h"

struct counting {
    struct exec *exec;
    const struct promql_expr *expr;
    sonde_str label;
    bool drop_name; /* of the series that is counted                       */
    bool unlabeled; /* `without` takes the label off again                 */
    struct label_index index;
    struct vseries *series;
    double **rows;
    size_t count, cap_series, cap_rows, steps;
};

static sonde_str value_text(struct counting *c, const struct row *r, size_t k)
{
    char text[NUMBER_MAX_BYTES];
    size_t n;

    if (row_histogram(r, k))
        return histogram_text(&c->exec->arena, r->h[k]);
    n = number_format(text, r->v[k], NUMBER_PLAIN);
    return arena_str(&c->exec->arena, (sonde_str){ text, n });
}

static sonde_code row_of(struct counting *c, const struct labels *group,
                         sonde_str value, double **out, struct sonde_err *err)
{
    struct labels_builder lb;
    struct labels *key = arena_new(&c->exec->arena, struct labels);
    uint64_t hash;
    size_t at;
    sonde_code rc = SONDE_OK;

    labels_builder_init(&lb, &c->exec->arena);
    labels_builder_from(&lb, group);
    if (!c->unlabeled)
        labels_builder_set(&lb, c->label, value);
    *key = labels_builder_view(&lb);
    hash = labels_hash(key);
    at = label_index_put(&c->index, hash, key, c->count);
    if (at == c->count) {
        rc = exec_hold(c->exec, c->steps, err);
        c->series = mem_grow(c->series, &c->cap_series, c->count + 1,
                             sizeof(*c->series));
        c->rows =
            mem_grow(c->rows, &c->cap_rows, c->count + 1, sizeof(double *));
        c->series[c->count] = (struct vseries){ .labels = *key };
        c->rows[c->count++] = arena_array(&c->exec->arena, double, c->steps);
    }
    c->series[at].drop_name |= c->drop_name;
    *out = c->rows[at];
    return rc;
}

static sonde_code count_series(struct counting *c, struct node *child,
                               uint32_t i, struct label *items,
                               struct sonde_err *err)
{
    struct row r;
    struct labels group =
        group_labels(c->exec, c->expr, &child->series[i].labels, items);
    sonde_code rc = node_row(child, i, &c->exec->workers[0], &r, err);

    c->drop_name = child->series[i].drop_name;
    for (size_t k = 0; rc == SONDE_OK && k < c->steps; k++) {
        double *row;

        if (!row_has(&r, k))
            continue;
        rc = row_of(c, &group, value_text(c, &r, k), &row, err);
        if (rc == SONDE_OK)
            row[k] += 1;
    }
    return rc;
}

/* A count of none is no value. */
static struct node *rows_node(struct counting *c, struct node *child)
{
    size_t n = c->count * c->steps;
    double *v = exec_alloc(c->exec, n * sizeof(*v));

    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->steps; k++)
            v[i * c->steps + k] = c->rows[i][k] > 0
                                      ? c->rows[i][k]
                                      : bits_double(PROMQL_ABSENT_BITS);
    exec_at_end(c->exec, free, c->series);
    return node_of_rows(c->exec, c->expr, &child->steps, c->series, c->count, v,
                        NULL);
}

sonde_code count_values_make(struct exec *x, const struct promql_expr *e,
                             struct node *child, struct node **out,
                             struct sonde_err *err)
{
    const struct promql_expr *param = expr_bare(e->aggregate.param);
    struct counting c = {
        .exec = x, .expr = e, .label = param->text, .steps = child->steps.count
    };
    struct label *items;
    size_t widest = 1;
    sonde_code rc = SONDE_OK;

    if (c.label.len == 0 || !str_is_utf8(c.label))
        return exec_error(err, "invalid label name \"%.*s\"",
                          SONDE_ARG(c.label));
    c.unlabeled =
        e->aggregate.without &&
        (names_have(&e->aggregate.labels, c.label) || label_drops(x, c.label));
    for (size_t i = 0; i < child->count; i++)
        if (child->series[i].labels.count > widest)
            widest = child->series[i].labels.count;
    items = arena_array(&x->arena, struct label, widest);
    label_index_init(&c.index, 0);
    for (uint32_t i = 0; rc == SONDE_OK && i < child->count; i++) {
        rc = count_series(&c, child, i, items, err);
        if (rc == SONDE_OK)
            rc = exec_check(x, err);
    }
    *out = rows_node(&c, child);
    label_index_fini(&c.index);
    free(c.rows);
    return rc;
}
