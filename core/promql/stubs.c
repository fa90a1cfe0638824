/* temporary */
#include "promql/aggregate.h"
#include "promql/call.h"
#include "promql/hist.h"
#pragma GCC diagnostic ignored "-Wunused-parameter"
sonde_code info_make(struct exec *x, const struct promql_expr *e,
                     const struct steps *steps, struct node **out,
                     struct sonde_err *err)
{
    return exec_error(err, "not yet");
}
const struct histogram *histogram_trim(struct arena *a,
                                       const struct histogram *h, double at,
                                       bool upper)
{
    return h;
}
