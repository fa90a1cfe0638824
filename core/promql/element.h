/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that make one value of one value, for all series of a vector. */
#ifndef PROMQL_ELEMENT_H
#define PROMQL_ELEMENT_H

#include "promql/call.h"

struct element_call;
/* What becomes of a float (the absent bits: nothing); `args` are the scalar
 * arguments at the step. */
typedef double (*element_fn)(double v, const double *args);
struct element_call {
    struct node node;
    struct node *of;
    element_fn fn;
    double *scalars[3]; /* by step                                         */
    size_t scalar_count;
};
/* The node of a call whose argument `vector_arg` is the vector and whose other
 * arguments are scalars. Histograms have no value; names are dropped. */
SONDE_NODISCARD sonde_code element_make(
    struct exec *x, const struct promql_expr *e, const struct steps *steps,
    size_t vector_arg, element_fn fn, struct node **out, struct sonde_err *err);

#endif
