/* SPDX-License-Identifier: Apache-2.0 */
/* One value from one value: rows of the argument, changed in place. */
#include "promql/element.h"

static sonde_code element_row(struct node *n, size_t i, struct worker *w,
                              struct row *out, struct sonde_err *err)
{
    struct element_call *c = (struct element_call *)n;
    sonde_code rc = node_row(c->of, i, w, out, err);

    if (rc != SONDE_OK)
        return rc;
    row_own(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++) {
        double args[3] = { 0 };

        if (!row_has(out, k))
            continue;
        if (row_histogram(out, k)) {
            row_clear(out, k);
            continue;
        }
        for (size_t a = 0; a < c->scalar_count; a++)
            args[a] = c->scalars[a][k];
        row_set(out, k, c->fn(out->v[k], args));
    }
    return SONDE_OK;
}

static const struct node_ops element_ops = { .row = element_row };

sonde_code element_make(struct exec *x, const struct promql_expr *e,
                        const struct steps *steps, size_t vector_arg,
                        element_fn fn, struct node **out, struct sonde_err *err)
{
    struct element_call *c = node_new(x, sizeof(*c), &element_ops, e, steps);
    sonde_code rc = SONDE_OK;

    c->fn = fn;
    for (size_t i = 0; rc == SONDE_OK && i < e->call.count; i++) {
        if (i == vector_arg)
            rc = node_make(x, e->call.args[i], steps, &c->of, err);
        else
            rc = node_scalar(x, e->call.args[i], steps,
                             &c->scalars[c->scalar_count++], err);
    }
    if (rc != SONDE_OK)
        return rc;
    series_drop_names(&c->node, c->of);
    return node_unique(&c->node, out, err);
}
