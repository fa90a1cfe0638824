/* SPDX-License-Identifier: Apache-2.0 */
/* Series of the store for a selector, held until the query ends. */
#ifndef PROMQL_SELECT_H
#define PROMQL_SELECT_H

#include "promql/engine.h"

struct selected {
    struct storage_series **items;
    size_t count;
    sonde_msec mint, maxt; /* closed: what is read of each                 */
};
/* Selects and fills in the node's series. */
SONDE_NODISCARD sonde_code select_series(struct node *n,
                                         const struct promql_expr *selector,
                                         sonde_msec mint, sonde_msec maxt,
                                         struct selected *out,
                                         struct sonde_err *err);
/* Reads one series into the worker's columns. */
SONDE_NODISCARD sonde_code select_read(struct node *n, const struct selected *s,
                                       size_t i, struct worker *w,
                                       struct columns **out,
                                       struct sonde_err *err);
/* The same without stale markers, histograms with float counts. */
SONDE_NODISCARD sonde_code select_read_live(struct node *n,
                                            const struct selected *s, size_t i,
                                            struct worker *w,
                                            struct columns **out,
                                            struct sonde_err *err);

#endif
