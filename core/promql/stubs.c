/* temporary */
#include "promql/aggregate.h"
#include "promql/call.h"
const struct call_maker math_makers[] = { { 0 } }, date_makers[] = { { 0 } },
                        label_makers[] = { { 0 } }, shape_makers[] = { { 0 } },
                        histogram_makers[] = { { 0 } };
const struct range_function over_time_functions[] = { { 0 } },
                            regress_functions[] = { { 0 } };
void row_negate_histograms(struct node *n, struct worker *w, struct row *r)
{
    (void)n;
    (void)w;
    (void)r;
}
bool histogram_growth(struct range_call *c, const struct window *w,
                      bool counter, bool per_second, struct worker *worker,
                      struct point *out)
{
    (void)c;
    (void)w;
    (void)counter;
    (void)per_second;
    (void)worker;
    (void)out;
    return false;
}
void histograms_with_scalar(struct node *n, struct worker *w,
                            const double *scalar, bool scalar_left,
                            struct row *r)
{
    (void)n;
    (void)w;
    (void)scalar;
    (void)scalar_left;
    (void)r;
}
const struct histogram *histogram_unhinted(struct arena *a,
                                           const struct histogram *h)
{
    (void)a;
    return h;
}
void histograms_fold(struct node *child, enum promql_op op,
                     const struct promql_expr *e, struct histogram_fold **to,
                     struct row *r, struct worker *w)
{
    (void)child;
    (void)op;
    (void)e;
    (void)to;
    (void)r;
    (void)w;
}
void histograms_unite(struct node *child, enum promql_op op,
                      const struct promql_expr *e, struct histogram_fold **to,
                      const struct histogram_fold *from)
{
    (void)child;
    (void)op;
    (void)e;
    (void)to;
    (void)from;
}
void histograms_finish(struct node *child, enum promql_op op,
                       const struct promql_expr *e,
                       const struct histogram_fold *from, const uint32_t *c,
                       double *v, const struct histogram **h)
{
    (void)child;
    (void)op;
    (void)e;
    (void)from;
    (void)c;
    (void)v;
    (void)h;
}
sonde_code ranked_make(struct exec *x, const struct promql_expr *e,
                       struct node *child, const struct grouping *g,
                       struct node **out, struct sonde_err *err)
{
    (void)x;
    (void)e;
    (void)child;
    (void)g;
    (void)out;
    return exec_error(err, "not yet");
}
sonde_code match_make(struct exec *x, const struct promql_expr *e,
                      const struct steps *steps, struct node **out,
                      struct sonde_err *err)
{
    (void)x;
    (void)e;
    (void)steps;
    (void)out;
    return exec_error(err, "not yet");
}
