/* SPDX-License-Identifier: Apache-2.0 */
/*
 * label_replace and label_join: the rows stay, only the label sets change,
 * once for all steps.
 */
#include "promql/call.h"
#include "util/buf.h"
#include "util/regex.h"
#include "util/str.h"

struct relabeled {
    struct node node;
    struct node *of;
};

static sonde_code relabeled_row(struct node *n, size_t i, struct worker *w,
                                struct row *out, struct sonde_err *err)
{
    return node_row(((struct relabeled *)n)->of, i, w, out, err);
}

static const struct node_ops relabeled_ops = { .row = relabeled_row };

static sonde_str text_arg(const struct promql_expr *e, size_t i)
{
    return expr_bare(e->call.args[i])->text;
}

/* What is done to one label set; the result's strings live as long as the
 * query. */
typedef void (*relabel_fn)(struct exec *x, const struct promql_expr *e,
                           void *arg, const struct labels *l,
                           struct labels_builder *lb);

/* With delayed removal, writing the name makes it a new one that stays. */
static bool writes_name(sonde_str dst)
{
    return str_eq_cstr(dst, LABEL_NAME);
}

static sonde_code relabel_make(struct exec *x, const struct promql_expr *e,
                               const struct steps *steps, sonde_str dst,
                               relabel_fn fn, void *arg, struct node **out,
                               struct sonde_err *err)
{
    struct relabeled *r = node_new(x, sizeof(*r), &relabeled_ops, e, steps);
    sonde_code rc = node_make(x, e->call.args[0], steps, &r->of, err);
    struct node *n = &r->node;

    if (rc != SONDE_OK)
        return rc;
    n->count = r->of->count;
    n->series = arena_array(&x->arena, struct vseries, n->count);
    for (size_t i = 0; i < n->count; i++) {
        struct labels_builder lb;

        labels_builder_init(&lb, &x->arena);
        labels_builder_from(&lb, &r->of->series[i].labels);
        fn(x, e, arg, &r->of->series[i].labels, &lb);
        n->series[i] = (struct vseries){
            .labels = labels_builder_view(&lb),
            .drop_name = r->of->series[i].drop_name && !writes_name(dst),
        };
    }
    return node_unique(n, out, err);
}

static sonde_code bad_name(const char *function, const char *which,
                           sonde_str name, struct sonde_err *err)
{
    return exec_error(err, "invalid %s label name in %s(): %.*s", which,
                      function, SONDE_ARG(name));
}

static bool is_label_name(sonde_str s)
{
    return s.len && str_is_utf8(s);
}

/* ---- label_replace ---------------------------------------------------------
 */

static void replace(struct exec *x, const struct promql_expr *e, void *arg,
                    const struct labels *l, struct labels_builder *lb)
{
    struct regex *re = arg;
    sonde_str value = labels_get(l, text_arg(e, 3));
    struct buf b;

    buf_init(&b);
    if (regex_expand(re, value, text_arg(e, 2), &b))
        labels_builder_set(lb, text_arg(e, 1),
                           arena_str(&x->arena, buf_str(&b)));
    buf_fini(&b);
}

static sonde_code label_replace_make(struct exec *x,
                                     const struct promql_expr *e,
                                     const struct steps *steps,
                                     struct node **out, struct sonde_err *err)
{
    struct sonde_err why;
    struct regex *re;
    sonde_code rc;

    if (regex_new(text_arg(e, 4), &re, &why) != SONDE_OK)
        return exec_error(err,
                          "invalid regular expression in label_replace(): "
                          "%.*s",
                          SONDE_ARG(text_arg(e, 4)));
    if (!is_label_name(text_arg(e, 1)))
        rc = bad_name("label_replace", "destination", text_arg(e, 1), err);
    else
        rc = relabel_make(x, e, steps, text_arg(e, 1), replace, re, out, err);
    regex_unref(re);
    return rc;
}

/* ---- label_join ------------------------------------------------------------
 */

static void join(struct exec *x, const struct promql_expr *e, void *arg,
                 const struct labels *l, struct labels_builder *lb)
{
    struct buf b;

    (void)arg;
    buf_init(&b);
    for (size_t i = 3; i < e->call.count; i++) {
        if (i > 3)
            buf_put(&b, text_arg(e, 2));
        buf_put(&b, labels_get(l, text_arg(e, i)));
    }
    labels_builder_set(lb, text_arg(e, 1), arena_str(&x->arena, buf_str(&b)));
    buf_fini(&b);
}

static sonde_code label_join_make(struct exec *x, const struct promql_expr *e,
                                  const struct steps *steps, struct node **out,
                                  struct sonde_err *err)
{
    for (size_t i = 3; i < e->call.count; i++)
        if (!is_label_name(text_arg(e, i)))
            return bad_name("label_join", "source", text_arg(e, i), err);
    if (!is_label_name(text_arg(e, 1)))
        return bad_name("label_join", "destination", text_arg(e, 1), err);
    return relabel_make(x, e, steps, text_arg(e, 1), join, NULL, out, err);
}

const struct call_maker label_makers[] = {
    { "label_join", label_join_make },
    { "label_replace", label_replace_make },
    { 0 },
};
