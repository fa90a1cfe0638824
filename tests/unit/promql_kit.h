/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the query engine: series written as text, results as text, so
 * that a case is a row of a table.
 *
 * kit_load takes lines of a series and its values, one value a step:
 *     http_total{code="200"} 0+10x5 _ stale 7
 * A+BxN is A, A+B, ... (N+1 values), AxN is A (N+1 times), `_` (or _xN)
 * no sample.
 *
 * kit_instant and kit_range give lines sorted by labels, each `LABELS VALUE`
 * or `LABELS VALUE@SECONDS ...`, joined by '\n'; a scalar or string is its
 * value; an error `error: TEXT`; notes follow as lines of their own.
 */
#ifndef UNIT_PROMQL_KIT_H
#define UNIT_PROMQL_KIT_H

#include "promql/promql.h"

struct promql_kit {
    struct storage *storage;
    struct parallel *pool;
    struct promql_query query; /* what every query begins with             */
    sonde_msec load_from;      /* the time of the first value of a line    */
    struct buf text;           /* of the last result                       */
};

void kit_init(struct promql_kit *k);
void kit_fini(struct promql_kit *k);
void kit_load(struct promql_kit *k, const char *lines, sonde_msec step);
/* One histogram sample. */
void kit_load_histogram(struct promql_kit *k, const char *series, sonde_msec t,
                        const struct histogram *h);
/* Valid until the next query. */
const char *kit_instant(struct promql_kit *k, const char *query, sonde_msec at);
const char *kit_range(struct promql_kit *k, const char *query, sonde_msec start,
                      sonde_msec end, sonde_msec step);

/* Rows of a table: a query, and the text of its result. */
struct kit_row {
    int line;
    const char *query, *want;
};
struct kit_at_row {
    int line;
    const char *query;
    sonde_msec at;
    const char *want;
};
void kit_check(struct promql_kit *k, sonde_msec at, const struct kit_row *rows,
               size_t n);
void kit_check_at(struct promql_kit *k, const struct kit_at_row *rows,
                  size_t n);
#define KIT_CHECK(k, at, rows)                                                 \
    kit_check((k), (at), (rows), sizeof(rows) / sizeof((rows)[0]))
#define KIT_CHECK_AT(k, rows)                                                  \
    kit_check_at((k), (rows), sizeof(rows) / sizeof((rows)[0]))

#endif
