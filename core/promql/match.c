/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic and comparisons between vectors. A pair is a series of the many
 * side and one of the one side with the same signature (one-to-one: the left
 * is called many); each pair is a series of the result with values where both
 * have one. Nearly always a signature has one series on each side.
 *
 * Where it has more they may still take turns in time, so what must be unique
 * is checked step by step, before any row is made: values of the one side
 * with the same signature, and with one-to-one matching those of the other.
 *
 * Where a fill value is given, series without a partner at a step are paired
 * with the value: pairs with MATCH_NONE on one side.
 */
#include "promql/match.h"

#include <stdlib.h>

#include "util/buf.h"
#include "util/str.h"

struct pair {
    uint32_t many, one; /* MATCH_NONE: the fill value                      */
};

struct pairs {
    struct node node;
    struct match match;
    struct match_side *many, *one;
    const double *fill_many, *fill_one;
    bool swapped; /* the left side is the one side                         */
    bool filters;
    bool keeps_names; /* a filter, or what trims                           */
    struct pair *items;
};

/* ---- uniqueness ---------------------------------------------------------- */

/* At which steps a side has any value at all. */
static sonde_code anything(struct match_side *s, uint8_t *there,
                           struct sonde_err *err)
{
    struct node *n = s->node;
    sonde_code rc = SONDE_OK;

    memset(there, 0, n->steps.count);
    for (size_t i = 0; rc == SONDE_OK && i < n->count; i++) {
        struct row r;

        rc = node_row(n, i, &n->exec->workers[0], &r, err);
        for (size_t k = 0; rc == SONDE_OK && k < n->steps.count; k++)
            there[k] |= row_has(&r, k);
        if (rc == SONDE_OK)
            rc = exec_check(n->exec, err);
    }
    return rc;
}

static sonde_code duplicate(const struct pairs *p, uint32_t signature,
                            uint32_t first, uint32_t second,
                            struct sonde_err *err)
{
    struct buf b;

    buf_init(&b);
    buf_cstr(&b, "found duplicate series for the match group ");
    labels_print_set(&b, &p->match.labels[signature]);
    buf_printf(&b, " on the %s hand-side of the operation: [",
               p->swapped ? "left" : "right");
    labels_print_set(&b, &p->one->node->series[second].labels);
    buf_cstr(&b, ", ");
    labels_print_set(&b, &p->one->node->series[first].labels);
    (void)exec_error(err,
                     "%.*s];many-to-many matching not allowed: matching labels "
                     "must be unique on one side",
                     (int)b.len, b.data);
    buf_fini(&b);
    return SONDE_EINVAL;
}

/* The steps where both sides have anything; computed when first asked for. */
static sonde_code both_sides(struct pairs *p, uint8_t **steps,
                             struct sonde_err *err)
{
    size_t n = p->node.steps.count;
    uint8_t *many;
    sonde_code rc;

    if (*steps)
        return SONDE_OK;
    many = exec_alloc(p->node.exec, n);
    *steps = exec_alloc(p->node.exec, n);
    rc = anything(p->many, many, err);
    if (rc == SONDE_OK)
        rc = anything(p->one, *steps, err);
    for (size_t k = 0; k < n; k++)
        (*steps)[k] &= p->fill_many || p->fill_one || many[k];
    return rc;
}

/* What a signature has at each step on one side. */
enum {
    HAS_FLOAT = 1,
    HAS_HISTOGRAM = 2
};
static uint8_t kind_at(const struct row *r, size_t k)
{
    if (!row_has(r, k))
        return 0;
    return row_histogram(r, k) ? HAS_HISTOGRAM : HAS_FLOAT;
}

/* The first step at which two series have values that exclude each other. */
struct clash {
    size_t step; /* the number of steps: none                              */
    bool many;   /* of the many side                                       */
    uint32_t signature, first, second;
};

/* Clashes are told as they are met: step by step, the one side first, in the
 * order of the series. */
static bool sooner(const struct clash *a, const struct clash *b)
{
    if (a->step != b->step)
        return a->step < b->step;
    if (a->many != b->many)
        return b->many;
    return a->second < b->second;
}

/* Finds the first clash of a side's series with one signature. At step k only
 * those of kinds that `counts(arg, kind, k)` accepts count. */
typedef bool (*counts_fn)(void *arg, uint8_t kind, size_t k);

static sonde_code find_clash(struct match_side *s, struct clash *found,
                             uint32_t *holders, counts_fn counts, void *arg,
                             struct sonde_err *err)
{
    struct node *n = s->node;
    sonde_code rc = SONDE_OK;

    found->step = n->steps.count;
    for (size_t k = 0; k < n->steps.count; k++)
        holders[k] = MATCH_NONE;
    for (uint32_t i = s->first[found->signature];
         rc == SONDE_OK && i != MATCH_NONE; i = s->next[i]) {
        struct row r;

        rc = node_row(n, i, &n->exec->workers[0], &r, err);
        for (size_t k = 0; rc == SONDE_OK && k < n->steps.count; k++) {
            uint8_t kind = kind_at(&r, k);

            if (!kind || !counts(arg, kind, k))
                continue;
            if (holders[k] == MATCH_NONE) {
                holders[k] = i;
            } else if (k < found->step) {
                found->step = k;
                found->first = holders[k];
                found->second = i;
            }
        }
    }
    return rc;
}

static bool several(const struct match_side *s, uint32_t signature)
{
    uint32_t first = s->first[signature];

    return first != MATCH_NONE && s->next[first] != MATCH_NONE;
}

struct checking {
    struct pairs *pairs;
    uint8_t *both;     /* by step: both sides have anything                */
    uint8_t *one;      /* by step: kinds of the one side's value           */
    uint32_t *holders; /* by step                                          */
    struct clash worst;
};

static bool where_both(void *arg, uint8_t kind, size_t k)
{
    (void)kind;
    return ((struct checking *)arg)->both[k];
}

static sonde_code check_one(struct checking *c, uint32_t signature,
                            struct sonde_err *err)
{
    struct clash found = { .signature = signature };
    sonde_code rc = both_sides(c->pairs, &c->both, err);

    if (rc == SONDE_OK)
        rc = find_clash(c->pairs->one, &found, c->holders, where_both, c, err);
    if (rc == SONDE_OK && sooner(&found, &c->worst))
        c->worst = found;
    return rc;
}

/* Pairs of kinds that the operator does not take do not count. */
static bool where_paired(void *arg, uint8_t kind, size_t k)
{
    struct checking *c = arg;
    struct pairs *p = c->pairs;
    bool many = kind == HAS_HISTOGRAM, one = c->one[k] == HAS_HISTOGRAM;

    if (!c->one[k])
        return p->fill_one != NULL;
    return binary_takes(p->node.expr->binary.op, p->swapped ? one : many,
                        p->swapped ? many : one);
}

static sonde_code kinds_of_one(struct checking *c, uint32_t signature,
                               struct sonde_err *err)
{
    struct match_side *s = c->pairs->one;
    size_t n = c->pairs->node.steps.count;
    sonde_code rc = SONDE_OK;

    memset(c->one, 0, n);
    for (uint32_t i = s->first[signature]; rc == SONDE_OK && i != MATCH_NONE;
         i = s->next[i]) {
        struct row r;

        rc = node_row(s->node, i, &s->node->exec->workers[0], &r, err);
        for (size_t k = 0; rc == SONDE_OK && k < n; k++)
            c->one[k] |= kind_at(&r, k);
    }
    return rc;
}

static sonde_code check_many(struct checking *c, uint32_t signature,
                             struct sonde_err *err)
{
    struct clash found = { .signature = signature, .many = true };
    sonde_code rc = kinds_of_one(c, signature, err);

    if (rc == SONDE_OK)
        rc = find_clash(c->pairs->many, &found, c->holders, where_paired, c,
                        err);
    if (rc == SONDE_OK && sooner(&found, &c->worst))
        c->worst = found;
    return rc;
}

static sonde_code check_unique(struct pairs *p, struct sonde_err *err)
{
    struct exec *x = p->node.exec;
    size_t n = p->node.steps.count;
    bool one_to_one = p->node.expr->binary.matching.card == PROMQL_ONE_TO_ONE;
    struct checking c = { .pairs = p,
                          .one = arena_array(&x->arena, uint8_t, n),
                          .holders = arena_array(&x->arena, uint32_t, n),
                          .worst.step = n };
    sonde_code rc = SONDE_OK;

    for (uint32_t s = 0; rc == SONDE_OK && s < p->match.signatures; s++) {
        if (several(p->one, s))
            rc = check_one(&c, s, err);
        if (rc == SONDE_OK && one_to_one && several(p->many, s))
            rc = check_many(&c, s, err);
    }
    if (rc != SONDE_OK || c.worst.step == n)
        return rc;
    if (c.worst.many)
        return exec_error(err, "multiple matches for labels: many-to-one "
                               "matching must be explicit "
                               "(group_left/group_right)");
    return duplicate(p, c.worst.signature, c.worst.first, c.worst.second, err);
}

/* ---- labels of results --------------------------------------------------- */

/* One-to-one: `on` keeps what it lists, else what is ignored goes. */
static bool keeps(const struct pairs *p, sonde_str name)
{
    const struct promql_matching *m = &p->node.expr->binary.matching;

    if (!p->keeps_names &&
        !(p->node.exec->query->features & PROMQL_DELAYED_NAME_REMOVAL) &&
        label_drops(p->node.exec, name))
        return false;
    if (m->card != PROMQL_ONE_TO_ONE)
        return true;
    return m->on ? names_have(&m->labels, name) : !names_have(&m->labels, name);
}

static struct labels labels_of(const struct pairs *p, const struct pair *pair,
                               uint32_t signature)
{
    const struct promql_matching *m = &p->node.expr->binary.matching;
    const struct labels *group = &p->match.labels[signature];
    const struct labels *many = pair->many == MATCH_NONE
                                    ? group
                                    : &p->many->node->series[pair->many].labels;
    const struct labels *one = pair->one == MATCH_NONE
                                   ? NULL
                                   : &p->one->node->series[pair->one].labels;
    struct labels_builder lb;

    labels_builder_init(&lb, &p->node.exec->arena);
    for (size_t i = 0; i < many->count; i++)
        if (keeps(p, many->items[i].name))
            labels_builder_set(&lb, many->items[i].name, many->items[i].value);
    for (size_t i = 0;
         m->card != PROMQL_ONE_TO_ONE && one && i < m->include.count; i++)
        labels_builder_set(&lb, m->include.items[i],
                           labels_get(one, m->include.items[i]));
    return labels_builder_view(&lb);
}

/* ---- rows ---------------------------------------------------------------- */

/* The values of one side of a pair; where the series of the pair is missing,
 * the fill value where nobody of the signature has one. */
static sonde_code side_row(struct match_side *s, uint32_t series,
                           struct worker *w, struct row *out,
                           struct sonde_err *err)
{
    if (series == MATCH_NONE) {
        *out = (struct row){ 0 };
        return SONDE_OK;
    }
    return node_row(s->node, series, w, out, err);
}

static bool combine(struct pairs *p, struct worker *w, const struct point *l,
                    const struct point *r, struct point *out)
{
    enum promql_op op = p->node.expr->binary.op;
    double v;

    if (l->h || r->h)
        return histogram_binary(&p->node, w, l, r, out);
    if (promql_op_trims(op)) {
        note_operands(&p->node, false, false);
        return false;
    }
    v = binary_floats(op, l->v, r->v);
    *out = (struct point){ v, NULL };
    if (!p->filters)
        return true;
    out->v = l->v;
    return v != 0;
}

/* Whether anybody of a signature has a value at each step. */
static sonde_code anybody(struct match_side *s, uint32_t signature,
                          struct worker *w, uint32_t *there, size_t n,
                          struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    memset(there, 0, n * sizeof(*there));
    for (uint32_t i = s->first[signature]; rc == SONDE_OK && i != MATCH_NONE;
         i = s->next[i]) {
        struct row r;

        rc = node_row(s->node, i, w, &r, err);
        for (size_t k = 0; rc == SONDE_OK && k < n; k++)
            there[k] |= row_has(&r, k);
    }
    return rc;
}

static sonde_code filled_row(struct pairs *p, const struct pair *pair,
                             struct worker *w, struct row *out,
                             struct sonde_err *err)
{
    bool many = pair->many != MATCH_NONE;
    struct match_side *have = many ? p->many : p->one;
    struct match_side *lack = many ? p->one : p->many;
    uint32_t series = many ? pair->many : pair->one;
    struct point fill = { many ? *p->fill_one : *p->fill_many, NULL };
    bool have_left = many != p->swapped;
    size_t n = p->node.steps.count;
    uint32_t *there = scratch_numbers(&p->node, w, n);
    struct row r;
    sonde_code rc = anybody(lack, have->signature[series], w, there, n, err);

    if (rc == SONDE_OK)
        rc = node_row(have->node, series, w, &r, err);
    if (rc != SONDE_OK)
        return rc;
    row_begin(&p->node, w, out);
    for (size_t k = 0; k < n; k++) {
        struct point value, got;

        if (!row_has(&r, k) || there[k])
            continue;
        value = row_point(&r, k);
        if (combine(p, w, have_left ? &value : &fill,
                    have_left ? &fill : &value, &got))
            row_put(&p->node, w, out, k, &got);
    }
    return SONDE_OK;
}

static sonde_code pairs_row(struct node *n, size_t i, struct worker *w,
                            struct row *out, struct sonde_err *err)
{
    struct pairs *p = (struct pairs *)n;
    const struct pair *pair = &p->items[i];
    struct row many, one;
    sonde_code rc;

    if (pair->many == MATCH_NONE || pair->one == MATCH_NONE)
        return filled_row(p, pair, w, out, err);
    rc = side_row(p->many, pair->many, w, &many, err);
    if (rc == SONDE_OK)
        rc = side_row(p->one, pair->one, w, &one, err);
    if (rc != SONDE_OK)
        return rc;
    row_begin(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++) {
        struct point a, b, got;

        if (!row_has(&many, k) || !row_has(&one, k))
            continue;
        a = row_point(&many, k);
        b = row_point(&one, k);
        if (combine(p, w, p->swapped ? &b : &a, p->swapped ? &a : &b, &got))
            row_put(n, w, out, k, &got);
    }
    return SONDE_OK;
}

static const struct node_ops pairs_ops = { .row = pairs_row };

/* ---- making -------------------------------------------------------------- */

struct listing {
    struct pairs *pairs;
    size_t count, cap, cap_series;
    struct vseries *series;
};

static void list_pair(struct listing *l, uint32_t many, uint32_t one,
                      uint32_t signature)
{
    struct pairs *p = l->pairs;
    struct pair pair = { many, one };

    p->items = mem_grow(p->items, &l->cap, l->count + 1, sizeof(*p->items));
    l->series =
        mem_grow(l->series, &l->cap_series, l->count + 1, sizeof(*l->series));
    p->items[l->count] = pair;
    l->series[l->count] = (struct vseries){
        .labels = labels_of(p, &pair, signature),
        .drop_name = !p->keeps_names && p->node.exec->query->features &
                                            PROMQL_DELAYED_NAME_REMOVAL,
    };
    l->count++;
}

static void list_signature(struct listing *l, uint32_t s)
{
    struct match_side *many = l->pairs->many, *one = l->pairs->one;

    for (uint32_t i = many->first[s]; i != MATCH_NONE; i = many->next[i]) {
        for (uint32_t k = one->first[s]; k != MATCH_NONE; k = one->next[k])
            list_pair(l, i, k, s);
        if (l->pairs->fill_one)
            list_pair(l, i, MATCH_NONE, s);
    }
    for (uint32_t k = one->first[s]; l->pairs->fill_many && k != MATCH_NONE;
         k = one->next[k])
        list_pair(l, MATCH_NONE, k, s);
}

static void list_pairs(struct pairs *p)
{
    struct listing l = { .pairs = p };

    for (uint32_t s = 0; s < p->match.signatures; s++)
        list_signature(&l, s);
    exec_at_end(p->node.exec, free, p->items);
    exec_at_end(p->node.exec, free, l.series);
    p->node.series = l.series;
    p->node.count = l.count;
}

static void choose_sides(struct pairs *p)
{
    const struct promql_matching *m = &p->node.expr->binary.matching;

    p->swapped = m->card == PROMQL_ONE_TO_MANY;
    p->many = p->swapped ? &p->match.rhs : &p->match.lhs;
    p->one = p->swapped ? &p->match.lhs : &p->match.rhs;
    p->fill_many = p->swapped ? m->fill_rhs : m->fill_lhs;
    p->fill_one = p->swapped ? m->fill_lhs : m->fill_rhs;
    p->filters = promql_op_is_comparison(p->node.expr->binary.op) &&
                 !p->node.expr->binary.return_bool;
    p->keeps_names = p->filters || promql_op_trims(p->node.expr->binary.op);
}

/* Rows without a partner have no value, but may have something to tell. */
static sonde_code look_at(void *arg, struct worker *w, size_t i,
                          struct sonde_err *err)
{
    struct match_side *s = arg;
    struct arena_mark mark = arena_mark(&w->arena);
    struct row r;
    sonde_code rc = s->lonely[i] ? node_row(s->node, i, w, &r, err) : SONDE_OK;

    arena_rewind(&w->arena, mark);
    return rc;
}

static sonde_code look_at_lonely(struct match_side *s,
                                 const struct match_side *other,
                                 struct sonde_err *err)
{
    struct node *n = s->node;
    bool any = false;

    if (!node_tells(n))
        return SONDE_OK;
    s->lonely = arena_array(&n->exec->arena, bool, n->count);
    for (size_t i = 0; i < n->count; i++) {
        s->lonely[i] = other->first[s->signature[i]] == MATCH_NONE;
        any |= s->lonely[i];
    }
    return any ? exec_each(n->exec, n->count, rows_piece(n), look_at, s, err)
               : SONDE_OK;
}

/* Rows of the one side are asked for again and again with many-to-one. */
static sonde_code keep_one(struct pairs *p, struct sonde_err *err)
{
    if (p->node.expr->binary.matching.card == PROMQL_ONE_TO_ONE)
        return SONDE_OK;
    return node_keep(p->one->node, &p->one->node, err);
}

sonde_code match_make(struct exec *x, const struct promql_expr *e,
                      const struct steps *steps, struct node **out,
                      struct sonde_err *err)
{
    struct pairs *p = node_new(x, sizeof(*p), &pairs_ops, e, steps);
    sonde_code rc = match_series(x, e, steps, &p->match, err);

    if (rc != SONDE_OK)
        return rc;
    if (promql_op_is_set(e->binary.op))
        return match_sets_make(x, e, &p->match, out, err);
    choose_sides(p);
    rc = keep_one(p, err);
    if (rc == SONDE_OK)
        rc = check_unique(p, err);
    if (rc == SONDE_OK)
        rc = look_at_lonely(p->many, p->one, err);
    if (rc == SONDE_OK)
        rc = look_at_lonely(p->one, p->many, err);
    if (rc != SONDE_OK)
        return rc;
    list_pairs(p);
    return node_unique_or(&p->node,
                          "multiple matches for labels: grouping labels must "
                          "ensure unique matches",
                          out);
}
