/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a query is evaluated; shared by the engine's files only.
 *
 * The tree of a query becomes a tree of nodes. A node's *series* (their label
 * sets) are known as soon as it is made; its *rows* - the values of one series
 * at all steps - are computed when somebody asks for one, by any worker, in any
 * order. So `sum(rate(x[5m]))` over a day and ten thousand series decodes and
 * slides over one series after the other, on all cores, and holds nothing but
 * the sums. Nodes that need all rows at once (aggregations, sorting) take them
 * while they are made. A scalar is a node of one row without labels.
 *
 * Life: making a node is one thread's; row() and columns() are called from
 * several, each with its own struct worker; then everything is freed at once.
 */
#ifndef PROMQL_ENGINE_H
#define PROMQL_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "promql/promql.h"
#include "util/mem.h"

/* The instants that a node is evaluated at. */
struct steps {
    sonde_msec start, step;
    size_t count;
};
static inline sonde_msec step_time(const struct steps *s, size_t i)
{
    return s->start + (sonde_msec)i * s->step;
}

/* One thread's part of a query. */
struct worker {
    size_t number;
    struct exec *exec;
    /* Histograms of rows: whoever keeps none of them goes back to where the
     * arena was before it asked for the row. */
    struct arena arena;
    struct arena scratch; /* of the nodes' buffers, until the end       */
    /* Samples, for the statistics; `pinned` are seen at each of the query's
     * steps, `step_samples` is NULL unless asked for. */
    uint64_t queryable, pinned, read;
    uint64_t *step_samples;
    size_t series; /* that a range function is at, for notes     */
};

/* What the samples count for that a node looks at: tally.h. */
enum tally_mode {
    TALLY_STEPS,  /* each for its step                                     */
    TALLY_PINNED, /* for all steps of the query                            */
    TALLY_NOT     /* within a subquery                                     */
};

struct exec_hold; /* what must be freed at the end                         */

/* One evaluation. */
struct exec {
    const struct promql_query *query;
    const struct promql_expr *root;
    struct steps steps;    /* of the root                                     */
    struct arena arena;    /* nodes, labels; only used while nodes are made   */
    enum tally_mode tally; /* of nodes that are made now                   */
    struct worker *workers;
    size_t worker_count;
    struct exec_hold *holds;
    struct exec_querier {
        struct exec_querier *next;
        struct querier *querier;
    } * queriers; /* asked for their warnings at the end                    */
    struct trace *trace; /* NULL unless the plan was asked for: explain.c  */
    _Atomic uint64_t held, peak; /* samples                                */
    _Atomic int64_t asked;       /* when the client was asked for last      */
    _Atomic bool failed;         /* no further row is needed               */
    pthread_mutex_t mutex;       /* guards all below                       */
    sonde_code failure;
    struct sonde_err err;
    struct arena note_arena;
    struct exec_note {
        bool warning;
        sonde_str message;
        const struct promql_expr *place; /* NULL: of the store              */
        size_t order;                    /* when its owner is evaluated     */
    } * notes;
    size_t note_count, note_cap;
};

/* The values of one series: `v` of all steps, absent ones marked. Where `h`
 * is not NULL and h[i] is not, the value is that histogram and v[i] its sum.
 * `v` and `h` may be overwritten by who asked, unless `shared`. Valid until
 * the node's next row in the same worker. */
struct row {
    double *v;
    const struct histogram **h;
    bool shared;
};

/* One value of a row. */
struct point {
    double v;
    const struct histogram *h; /* not NULL: the value, `v` its sum         */
};
static inline struct point row_point(const struct row *r, size_t i)
{
    return (struct point){ r->v[i], r->h ? r->h[i] : NULL };
}

/* A label set of a node's series. */
struct vseries {
    struct labels labels;
    bool drop_name; /* with delayed name removal: the name goes at the end  */
};

/* What a node needs to make rows, for each worker; made when first used. */
struct scratch {
    double *v;
    const struct histogram **h;
    struct columns columns;
    uint32_t *numbers; /* for who makes the row; by scratch_numbers        */
    size_t number_cap;
};

struct node;
struct node_ops {
    /* The row of series `i`. Vectors and scalars have it. */
    sonde_code (*row)(struct node *n, size_t i, struct worker *w,
                      struct row *out, struct sonde_err *err);
    /* All samples of series `i` that any window needs, in order of time,
     * without stale markers. Range vectors have it. Valid until the next call
     * for the node in the same worker. */
    sonde_code (*columns)(struct node *n, size_t i, struct worker *w,
                          struct columns **out, struct sonde_err *err);
};
/* Embedded first in what each kind of node needs; the exec's arena's. */
struct node {
    const struct node_ops *ops;
    const struct promql_expr *expr;
    struct exec *exec;
    struct steps steps;
    struct vseries *series;
    size_t count;
    bool one_name; /* all series have the same name (or none): without it
                      label sets still differ from each other              */
    /* Of a range vector: the window of step i is (right - range, right],
     * with right = window_right(n, i). */
    sonde_msec range_ms;
    /* How much farther than its window what a window's function sees
     * reaches: anchored and smoothed look for samples outside. */
    sonde_msec before_ms, after_ms;
    enum tally_mode tally;
    struct scratch *scratch;  /* by worker                                  */
    struct trace_node *trace; /* NULL unless its operations are metered    */
};

/* ---- the evaluation: engine.c ------------------------------------------ */

#define SAMPLES_MAX_DEFAULT 50000000

/* Whether to go on: the deadline, the client. To be asked once a row. */
SONDE_NODISCARD sonde_code exec_check(struct exec *x, struct sonde_err *err);
/* Samples that are held from now on; SONDE_ELIMIT above the budget. */
SONDE_NODISCARD sonde_code exec_hold(struct exec *x, uint64_t samples,
                                     struct sonde_err *err);
void exec_release(struct exec *x, uint64_t samples);
/* Calls `fini(p)` at the end of the query, the last registered first. */
void exec_at_end(struct exec *x, void (*fini)(void *p), void *p);

/* Calls fn for every i < n, on all workers; the first error ends it. */
SONDE_NODISCARD sonde_code exec_each(struct exec *x, size_t n, size_t piece,
                                     sonde_code (*fn)(void *arg,
                                                      struct worker *w,
                                                      size_t i,
                                                      struct sonde_err *err),
                                     void *arg, struct sonde_err *err);

/* An execution error, as the API shows it. */
#define exec_error(err, ...) sonde_err_set((err), SONDE_EINVAL, __VA_ARGS__)

/* ---- notes: notes.c ----------------------------------------------------- */

/* Adds an annotation, once for each message; the position of `e` is appended,
 * the prefix put in front. From any thread. */
SONDE_PRINTF(3, 4)
void note_warning(struct exec *x, const struct promql_expr *e, const char *fmt,
                  ...);
SONDE_PRINTF(3, 4)
void note_info(struct exec *x, const struct promql_expr *e, const char *fmt,
               ...);

/* Hands them over at the end. */
void notes_take(struct exec *x, struct promql_result *r);

/* ---- nodes: node.c ------------------------------------------------------ */

/* Makes the node of an expression and of all below it. */
SONDE_NODISCARD sonde_code node_make(struct exec *x,
                                     const struct promql_expr *e,
                                     const struct steps *steps,
                                     struct node **out, struct sonde_err *err);
/* For those who make nodes: zeroed memory of `bytes`, the head filled in. */
void *node_new(struct exec *x, size_t bytes, const struct node_ops *ops,
               const struct promql_expr *e, const struct steps *steps);
/* Memory until the end of the query; while nodes are made. */
void *exec_alloc(struct exec *x, size_t bytes);
/* How many rows to hand to a worker at once. */
size_t rows_piece(const struct node *n);
/* Without parentheses. */
const struct promql_expr *expr_bare(const struct promql_expr *e);
/* Whether an expression has the same value at all steps: literals and what
 * is pinned by `@`. */
bool expr_invariant(const struct promql_expr *e);

static inline sonde_code node_row(struct node *n, size_t i, struct worker *w,
                                  struct row *out, struct sonde_err *err)
{
    return n->ops->row(n, i, w, out, err);
}
/* A buffer of the node's own for a row, all absent and without histograms. */
void row_begin(struct node *n, struct worker *w, struct row *out);
/* Room for `n` numbers of the node's own. */
uint32_t *scratch_numbers(struct node *n, struct worker *w, size_t count);
/* The row may be written: copied into the node's own buffer if it is shared. */
void row_own(struct node *n, struct worker *w, struct row *r);
/* Room for histograms in a row that has none: NULL at all steps. */
void row_histograms(struct node *n, struct worker *w, struct row *r);
static inline void row_set(struct row *r, size_t i, double v)
{
    r->v[i] = v;
    if (r->h)
        r->h[i] = NULL;
}
static inline void row_clear(struct row *r, size_t i)
{
    row_set(r, i, bits_double(PROMQL_ABSENT_BITS));
}
static inline bool row_has(const struct row *r, size_t i)
{
    return !promql_absent(r->v[i]);
}
static inline const struct histogram *row_histogram(const struct row *r,
                                                    size_t i)
{
    return r->h ? r->h[i] : NULL;
}

/* Whether making a row may leave notes: not for selectors and what is kept. */
bool node_tells(const struct node *n);
/* Whether all its rows are there already. */
bool node_is_kept(const struct node *n);
/* A node with the same series whose rows are all there: computed on all
 * workers, held until the end. Rows are shared. */
SONDE_NODISCARD sonde_code node_keep(struct node *n, struct node **out,
                                     struct sonde_err *err);
/* A node over rows that were made elsewhere: `v` has count * steps.count
 * values, `h` as many or NULL. */
struct node *node_of_rows(struct exec *x, const struct promql_expr *e,
                          const struct steps *steps, struct vseries *series,
                          size_t count, double *v, const struct histogram **h);
/* The values of a scalar argument at all steps: the exec's arena's. */
SONDE_NODISCARD sonde_code node_scalar(struct exec *x,
                                       const struct promql_expr *e,
                                       const struct steps *steps,
                                       double **values, struct sonde_err *err);

/* ---- labels: names.c ---------------------------------------------------- */

/* The series of `child` without their names, as most functions have it; with
 * delayed removal they are only marked. Two that become the same are an error
 * where both have a value at one step, so such nodes are checked row by row:
 * see node_unique. */
void series_drop_names(struct node *n, const struct node *child);
/* As they are. */
void series_keep(struct node *n, const struct node *child);
/* Wraps a node so that series with equal labels are one, and an error
 * ("vector cannot contain metrics with the same labelset") where they have
 * values at one step. Gives `n` itself back where all differ. */
SONDE_NODISCARD sonde_code node_unique(struct node *n, struct node **out,
                                       struct sonde_err *err);
/* The same of the label sets as they are when all marked names are gone. */
struct node *node_unique_at_end(struct node *n);
/* The same with another error. */
SONDE_NODISCARD sonde_code node_unique_or(struct node *n, const char *error,
                                          struct node **out);
/* Without the name (and what else names drop with it); a view where it can. */
struct labels labels_nameless(struct exec *x, const struct labels *l);
/* As the result shows them. */
static inline struct labels series_labels(struct node *n, size_t i)
{
    return n->series[i].drop_name
               ? labels_nameless(n->exec, &n->series[i].labels)
               : n->series[i].labels;
}

/* Label sets by number, open addressing; sets are borrowed. */
/* Whether a list of label names has this one. */
bool names_have(const struct sonde_list *l, sonde_str name);
/* Whether dropping names drops this label. */
bool label_drops(const struct exec *x, sonde_str name);
struct label_index_slot {
    uint64_t hash;
    const struct labels *labels; /* NULL: empty                            */
    size_t number;
};
struct label_index {
    struct label_index_slot *slots;
    size_t size, used;
};
/* Grows as needed; `expect` spares that. */
void label_index_init(struct label_index *ix, size_t expect);
void label_index_fini(struct label_index *ix);
/* The number of an equal set; SIZE_MAX: there is none. */
size_t label_index_find(const struct label_index *ix, uint64_t hash,
                        const struct labels *l);
/* The number of an equal set that is there, or `number`, which it has from now
 * on. */
size_t label_index_put(struct label_index *ix, uint64_t hash,
                       const struct labels *l, size_t number);

/* ---- selectors: instant.c, range.c -------------------------------------- */

SONDE_NODISCARD sonde_code instant_make(struct exec *x,
                                        const struct promql_expr *e,
                                        const struct steps *steps,
                                        bool want_times, struct node **out,
                                        struct sonde_err *err);
SONDE_NODISCARD sonde_code range_make(struct exec *x,
                                      const struct promql_expr *e,
                                      const struct steps *steps,
                                      struct node **out, struct sonde_err *err);
/* ---- duration expressions: span.c --------------------------------------- */

/* Works out all of a tree; SONDE_EPARSE says which is wrong, and where. */
SONDE_NODISCARD sonde_code spans_check(const struct promql_query *q,
                                       const struct promql_expr *e,
                                       struct sonde_err *err);
/* The value of one that was checked, `literal` where there is none. */
sonde_msec span_ms(const struct exec *x, const struct promql_span *s,
                   sonde_msec literal);
/* A shift whose offset is a number. */
static inline struct promql_shift shift_settled(const struct exec *x,
                                                const struct promql_shift *s)
{
    struct promql_shift settled = *s;

    settled.offset_ms = span_ms(x, s->offset, s->offset_ms);
    return settled;
}

/* Where `offset` and `@` put the time of step i; the shift is settled. */
static inline sonde_msec shift_time(const struct exec *x,
                                    const struct promql_shift *s,
                                    const struct steps *steps, size_t i)
{
    switch (s->at) {
    case PROMQL_AT_TIME:
        return s->at_ms - s->offset_ms;
    case PROMQL_AT_START:
        return x->query->start - s->offset_ms;
    case PROMQL_AT_END:
        return x->query->end - s->offset_ms;
    default:
        return step_time(steps, i) - s->offset_ms;
    }
}
/* The right edge of a range vector's window at step i. */
sonde_msec window_right(const struct node *range, size_t i);

/* What a function over a range sees at one step: samples of the window, and
 * with anchored and smoothed ranges those outside too. */
struct window {
    const sonde_msec *t;
    const double *v;
    const struct histogram *const *h; /* NULL: floats only                 */
    size_t n;
    sonde_msec left, right; /* its edges; left is outside                  */
    sonde_msec at;          /* the time of the step                        */
};
/* Slides over a range vector's columns step by step. Right edges are as far
 * apart as steps are, or all the same (`@`). */
struct slide {
    const struct node *range;
    const struct columns *c;
    size_t lo, hi, step;
    sonde_msec right, apart;
};
static inline struct slide slide_begin(const struct node *range,
                                       const struct columns *c)
{
    sonde_msec first = window_right(range, 0);

    return (struct slide){
        range, c, 0, 0, 0, first, window_right(range, 1) - first
    };
}
/* The window of the next step; false after the last. */
static inline bool slide_next(struct slide *s, struct window *w)
{
    const struct node *r = s->range;
    const sonde_msec *t = s->c->t;
    sonde_msec right = s->right, left = right - r->range_ms;
    size_t lo = s->lo, hi = s->hi, n = s->c->count;

    if (s->step == r->steps.count)
        return false;
    while (hi < n && t[hi] <= right + r->after_ms)
        hi++;
    while (lo < hi && t[lo] <= left - r->before_ms)
        lo++;
    *w = (struct window){
        .t = t + lo,
        .v = s->c->v + lo,
        .h = s->c->h ? s->c->h + lo : NULL,
        .n = hi - lo,
        .left = left,
        .right = right,
        .at = step_time(&r->steps, s->step),
    };
    s->lo = lo;
    s->hi = hi;
    s->right = right + s->apart;
    s->step++;
    return true;
}
/* Its samples as a series of a result, in the arena. */
struct promql_series window_copy(struct arena *a, const struct labels *labels,
                                 const struct window *w);

/* ---- native histograms: histogram_rows.c -------------------------------- */

/* -1 times every histogram of a row that may be written. */
void row_negate_histograms(struct node *n, struct worker *w, struct row *r);

/* Histograms of a row, which may be written, with a scalar at each step:
 * what is not possible has no value, and is noted. */
void histograms_with_scalar(struct node *n, struct worker *w,
                            const double *scalar, bool scalar_left,
                            struct row *r);
/* Whether an operator has a value for operands of these kinds. */
bool binary_takes(enum promql_op op, bool left_histogram, bool right_histogram);
/* Tells that it has none. */
void note_operands(const struct node *n, bool left_histogram,
                   bool right_histogram);
/* Two values of which at least one is a histogram; false: no value (noted).
 * A comparison gives the left value if it is true, or 0 and 1 with `bool`. */
bool histogram_binary(struct node *n, struct worker *w, const struct point *l,
                      const struct point *r, struct point *out);
/* {count:12, sum:18.4, (0.5,1]:1}, as count_values labels it. */
sonde_str histogram_text(struct arena *a, const struct histogram *h);
/* A copy without what it says of resets. */
const struct histogram *histogram_unhinted(struct arena *a,
                                           const struct histogram *h);

/* ---- kinds of nodes ----------------------------------------------------- */

/* Each makes the node of a call, an aggregation, ... whose arguments it makes
 * itself. */
typedef sonde_code (*node_maker)(struct exec *x, const struct promql_expr *e,
                                 const struct steps *steps, struct node **out,
                                 struct sonde_err *err);
sonde_code aggregate_make(struct exec *x, const struct promql_expr *e,
                          const struct steps *steps, struct node **out,
                          struct sonde_err *err);
sonde_code binary_make(struct exec *x, const struct promql_expr *e,
                       const struct steps *steps, struct node **out,
                       struct sonde_err *err);
sonde_code call_make(struct exec *x, const struct promql_expr *e,
                     const struct steps *steps, struct node **out,
                     struct sonde_err *err);

/* Writes a value into a row that may be written. */
void row_put(struct node *n, struct worker *w, struct row *r, size_t i,
             const struct point *p);

/* Vector against vector, with matching: match.c. */
sonde_code match_make(struct exec *x, const struct promql_expr *e,
                      const struct steps *steps, struct node **out,
                      struct sonde_err *err);

/* Two floats under an operator that takes them. */
double binary_floats(enum promql_op op, double a, double b);

#endif
