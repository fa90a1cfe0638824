/* SPDX-License-Identifier: Apache-2.0 */
/* Which series of two vectors belong together. */
#ifndef PROMQL_MATCH_H
#define PROMQL_MATCH_H

#include "promql/engine.h"

#define MATCH_NONE UINT32_MAX

/* The series of one side, by the number of their signature. */
struct match_side {
    struct node *node;
    uint32_t *signature; /* by series                                      */
    uint32_t *first;     /* by signature: its first series, or MATCH_NONE  */
    uint32_t *next;      /* by series: the next of its signature           */
    bool *lonely;        /* by series: nobody has its signature            */
};
struct match {
    struct match_side lhs, rhs;
    size_t signatures;
    struct labels *labels; /* by signature: the labels that are compared   */
};
/* Makes both sides and matches them. */
SONDE_NODISCARD sonde_code match_series(struct exec *x,
                                        const struct promql_expr *e,
                                        const struct steps *steps,
                                        struct match *out,
                                        struct sonde_err *err);
/* and, or, unless: match_sets.c. */
SONDE_NODISCARD sonde_code match_sets_make(struct exec *x,
                                           const struct promql_expr *e,
                                           struct match *m, struct node **out,
                                           struct sonde_err *err);

#endif
