/* temporary */
#include "promql/aggregate.h"
#include "promql/call.h"
#pragma GCC diagnostic ignored "-Wunused-parameter"
const struct call_maker histogram_makers[] = { { 0 } };
void row_negate_histograms(struct node *n, struct worker *w, struct row *r)
{
}
bool histogram_growth(struct range_call *c, const struct window *w,
                      bool counter, bool per_second, struct worker *worker,
                      struct point *out)
{
    return false;
}
void histograms_with_scalar(struct node *n, struct worker *w,
                            const double *scalar, bool scalar_left,
                            struct row *r)
{
}
const struct histogram *histogram_unhinted(struct arena *a,
                                           const struct histogram *h)
{
    return h;
}
void histograms_fold(struct node *child, enum promql_op op,
                     const struct promql_expr *e, struct histogram_fold **to,
                     struct row *r, struct worker *w)
{
}
void histograms_unite(struct node *child, enum promql_op op,
                      const struct promql_expr *e, struct histogram_fold **to,
                      const struct histogram_fold *from)
{
}
void histograms_finish(struct node *child, enum promql_op op,
                       const struct promql_expr *e,
                       const struct histogram_fold *from, const uint32_t *c,
                       double *v, const struct histogram **h)
{
}
bool histogram_binary(struct node *n, struct worker *w, const struct point *l,
                      const struct point *r, struct point *out)
{
    return false;
}
sonde_str histogram_text(struct arena *a, const struct histogram *h)
{
    return (sonde_str){ 0 };
}
sonde_code info_make(struct exec *x, const struct promql_expr *e,
                     const struct steps *steps, struct node **out,
                     struct sonde_err *err)
{
    return exec_error(err, "not yet");
}
bool histogram_sums(struct range_call *c, const struct window *w, bool mean,
                    struct worker *worker, struct point *out)
{
    return false;
}
bool histogram_step(struct range_call *c, const struct histogram *before,
                    const struct histogram *last, bool counter,
                    struct worker *worker, struct point *out)
{
    return false;
}
bool histogram_equal(const struct histogram *a, const struct histogram *b)
{
    return false;
}
bool histogram_was_reset(const struct histogram *before,
                         const struct histogram *after)
{
    return false;
}
