/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions: the table that says who makes a call's node (call.c), and what
 * functions over ranges share (range_call.c). A function lives in the file of
 * its theme, which lists it in a table of its own.
 */
#ifndef PROMQL_CALL_H
#define PROMQL_CALL_H

#include "promql/engine.h"

struct call_maker {
    const char *name;
    node_maker make;
};
/* Each ends with a row without a name. */
extern const struct call_maker math_makers[];      /* math.c               */
extern const struct call_maker date_makers[];      /* dates.c              */
extern const struct call_maker label_makers[];     /* label_functions.c    */
extern const struct call_maker shape_makers[];     /* shapes.c: scalar,
                                       vector, time, timestamp, absent, sort */
extern const struct call_maker histogram_makers[]; /* histogram_functions.c */

sonde_code absent_make(struct exec *x, const struct promql_expr *e,
                       const struct steps *steps, struct node **out,
                       struct sonde_err *err); /* absent.c                 */
sonde_code absent_over_time_make(struct exec *x, const struct promql_expr *e,
                                 const struct steps *steps, struct node **out,
                                 struct sonde_err *err);
sonde_code sort_make(struct exec *x, const struct promql_expr *e,
                     const struct steps *steps, struct node **out,
                     struct sonde_err *err); /* sort.c: all four           */
sonde_code info_make(struct exec *x, const struct promql_expr *e,
                     const struct steps *steps, struct node **out,
                     struct sonde_err *err); /* info.c                     */
/* By Go's rules for NaN, infinity and -0: math.c. */
double min_of(double a, double b);
double max_of(double a, double b);

/* ---- over ranges -------------------------------------------------------- */

struct range_call;
struct range_function {
    const char *name;
    bool keeps_name;
    size_t range_arg; /* which argument is the range; others are scalars   */
    /* The value of one window that has samples; false: none. */
    bool (*window)(struct range_call *c, const struct window *w, size_t step,
                   struct worker *worker, struct point *out);
    /* The whole row where there are only floats; NULL: window by window. */
    void (*floats)(struct range_call *c, const struct columns *cols,
                   struct worker *worker, struct row *out);
    /* Checks the scalars before anything is read; may be NULL. */
    sonde_code (*check)(struct range_call *c, struct sonde_err *err);
};
struct range_call {
    struct node node;
    struct node *range;
    const struct range_function *function;
    double *scalars[2]; /* the other arguments, by step                    */
};
/* Each ends with a row without a name. */
extern const struct range_function rate_functions[];      /* rate.c         */
extern const struct range_function over_time_functions[]; /* over_time.c   */
extern const struct range_function regress_functions[];   /* regress.c      */

/* How many of a window's samples are histograms. */
static inline size_t window_histograms(const struct window *w)
{
    size_t n = 0;

    for (size_t i = 0; w->h && i < w->n; i++)
        n += w->h[i] != NULL;
    return n;
}
/* rate, increase, delta of a window with histograms: histogram_rate.c. */
bool histogram_growth(struct range_call *c, const struct window *win,
                      bool counter, bool per_second, struct worker *w,
                      struct point *out);
/* sum_over_time and avg_over_time of histograms only: histogram_rate.c. */
bool histogram_sums(struct range_call *c, const struct window *win, bool mean,
                    struct worker *w, struct point *out);
/* irate (with the seconds between them) and idelta (0) of two histograms. */
bool histogram_step(struct range_call *c, const struct histogram *before,
                    const struct histogram *last, double gap_s,
                    struct worker *w, struct point *out);
/* Same layout and counts, bit by bit; what they say of resets apart. */
bool histogram_equal(const struct histogram *a, const struct histogram *b);
/* Whether a counter histogram began anew between two samples. */
bool histogram_was_reset(const struct histogram *before,
                         const struct histogram *after);
/* How far growth from first to last sample is extended: rate.c. */
double extrapolate_factor(const struct window *w, double growth,
                          double first_value, bool counter);

/* Where notes about the range point to: a subquery's are told at the query's
 * beginning. */
const struct promql_expr *range_call_place(const struct range_call *c);
/* The metric name of a series, for notes. */
sonde_str range_call_name(const struct range_call *c, size_t series);

#endif
