/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From matchers to numbers of series.
 *
 * Matchers that name their values (="x", =~"a|b") have lists in the index.
 * The one with the fewest series begins, the others cut it down, smallest
 * first, jumping through their lists where they lie. A matcher that needs the
 * label but does not name values (=~"a.*", !="") is tried on the values of
 * its name, from its prefix on, and the lists of those it accepts are
 * marked among the candidates; where there are more values than half of the
 * candidates that would cost more than asking each of them.
 *
 * Matchers that accept the empty value accept series that no list has. They
 * are asked about the candidates' own labels, when these are decoded anyway:
 * answers are remembered by symbol, so an expression runs once per value.
 * Only many candidates against plain values (!="x", !~"a|b") are worth
 * subtracting lists.
 *
 * Lists have checksums, which are looked at each time, so what is selected
 * is right or an error.
 */
#include "block/block_select.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"

#define NO_SYMBOL      UINT32_MAX
#define SUBTRACT_ABOVE 4096 /* candidates                               */
#define VALUES_PER_ASK 2    /* what asking a series costs in values     */

/* A matcher's lists. */
struct lists {
    struct block_postings *items;
    size_t count, cap;
    uint64_t total; /* series of all                                      */
};

/* What becomes of a matcher. */
struct choice {
    const struct matcher *matcher;
    bool named; /* `lists` are those of the values that it names  */
    bool done;  /* taken into account already                     */
    struct lists lists;
};

struct selecting {
    const struct block *block;
    struct choice *choices;
    size_t count;
    bool begun; /* `out->refs` is something already                       */
    struct block_selection *out;
};

/* ---- lists -------------------------------------------------------------- */

static void lists_add(struct lists *l, const struct block_postings *p)
{
    if (p->count == 0)
        return;
    l->items = mem_grow(l->items, &l->cap, l->count + 1, sizeof(*l->items));
    l->items[l->count++] = *p;
    l->total += p->count;
}

/* Cuts the candidates down to what is in one of the lists; begins with them
 * if nothing was there before. */
static void apply_lists(struct selecting *s, const struct lists *l)
{
    struct refs *refs = &s->out->refs;
    bool *marks;

    if (!s->begun) {
        for (size_t i = 0; i < l->count; i++)
            refs_append_be(refs, l->items[i].be32, l->items[i].count);
        refs_sort(refs);
        s->begun = true;
    } else if (l->count == 0) {
        refs->count = 0;
    } else if (l->count == 1) {
        refs_intersect_be(refs, l->items[0].be32, l->items[0].count);
    } else {
        marks = mem_zalloc(refs->count + 1);
        for (size_t i = 0; i < l->count; i++)
            refs_mark_be(refs, l->items[i].be32, l->items[i].count, marks);
        refs_keep(refs, marks);
        free(marks);
    }
}

/* ---- matchers that name their values ------------------------------------ */

/* The plain values that a matcher speaks of, none of them empty. */
static bool names_values(const struct matcher *m, const sonde_str **values,
                         size_t *n)
{
    if (m->op == MATCH_EQ || m->op == MATCH_NE) {
        *values = &m->value;
        *n = 1;
    } else if (!regex_literals(m->re, values, n)) {
        return false;
    }
    for (size_t i = 0; i < *n; i++)
        if ((*values)[i].len == 0)
            return false;
    return true;
}

static sonde_code lists_of_values(const struct block *b, sonde_str name,
                                  const sonde_str *values, size_t n,
                                  struct lists *out, struct sonde_err *err)
{
    struct block_postings p;

    for (size_t i = 0; i < n; i++) {
        sonde_code rc = block_postings(b, name, values[i], &p, err);

        if (rc != SONDE_OK)
            return rc;
        lists_add(out, &p);
    }
    return SONDE_OK;
}

static sonde_code find_named(struct selecting *s, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < s->count; i++) {
        struct choice *c = &s->choices[i];
        const sonde_str *values;
        size_t n;

        if ((c->matcher->op != MATCH_EQ && c->matcher->op != MATCH_RE) ||
            !names_values(c->matcher, &values, &n))
            continue;
        c->named = true;
        rc = lists_of_values(s->block, c->matcher->name, values, n, &c->lists,
                             err);
    }
    return rc;
}

/* The one with the fewest series of those that are not done. */
static struct choice *smallest(struct selecting *s)
{
    struct choice *best = NULL;

    for (size_t i = 0; i < s->count; i++) {
        struct choice *c = &s->choices[i];

        if (c->named && !c->done &&
            (!best || c->lists.total < best->lists.total))
            best = c;
    }
    return best;
}

static sonde_code begin_with_named(struct selecting *s, struct sonde_err *err)
{
    sonde_code rc = find_named(s, err);
    struct choice *c;

    while (rc == SONDE_OK && (c = smallest(s)) != NULL) {
        apply_lists(s, &c->lists);
        c->done = true;
    }
    return rc;
}

/* ---- matchers that need the label ---------------------------------------- */

/* The values of a name that a matcher accepts, by the places of their
 * lists. */
struct values {
    const struct matcher *matcher;
    sonde_str prefix;
    uint64_t *offsets;
    size_t count, cap;
    size_t seen, most; /* more than `most` values: asking is cheaper      */
};

static bool each_value(void *arg, sonde_str value, uint64_t offset)
{
    struct values *v = arg;

    if (v->prefix.len && !str_starts(value, v->prefix))
        return str_cmp(value, v->prefix) < 0; /* before it, or behind */
    if (++v->seen > v->most)
        return false;
    if (value.len && matcher_matches(v->matcher, value)) {
        v->offsets =
            mem_grow(v->offsets, &v->cap, v->count + 1, sizeof(*v->offsets));
        v->offsets[v->count++] = offset;
    }
    return true;
}

/* Tries a matcher on the values of its name, unless they are too many. */
static sonde_code try_values(struct selecting *s, struct choice *c,
                             struct sonde_err *err)
{
    struct values v = { .matcher = c->matcher, .most = SIZE_MAX };
    struct block_postings p;
    sonde_code rc = SONDE_OK;

    if (c->matcher->op == MATCH_RE)
        v.prefix = regex_prefix(c->matcher->re);
    if (s->begun)
        v.most = s->out->refs.count / VALUES_PER_ASK;
    block_values(s->block, c->matcher->name, each_value, &v);
    if (v.seen <= v.most) {
        for (size_t i = 0; rc == SONDE_OK && i < v.count; i++) {
            rc = block_postings_at(s->block, v.offsets[i], &p, err);
            if (rc == SONDE_OK)
                lists_add(&c->lists, &p);
        }
        if (rc == SONDE_OK)
            apply_lists(s, &c->lists);
        c->done = true;
    }
    free(v.offsets);
    return rc;
}

static sonde_code narrow_by_values(struct selecting *s, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < s->count; i++) {
        struct choice *c = &s->choices[i];

        if (s->begun && s->out->refs.count == 0)
            break;
        if (!c->done && !matcher_matches(c->matcher, (sonde_str){ 0 }))
            rc = try_values(s, c, err);
    }
    return rc;
}

/* ---- the rest: all, without some ----------------------------------------- */

static sonde_code begin_with_all(struct selecting *s, struct sonde_err *err)
{
    struct block_postings p;
    sonde_code rc =
        block_postings(s->block, (sonde_str){ 0 }, (sonde_str){ 0 }, &p, err);

    if (rc == SONDE_OK) {
        refs_append_be(&s->out->refs, p.be32, p.count);
        s->begun = true;
    }
    return rc;
}

static sonde_code subtract_named(struct selecting *s, struct sonde_err *err)
{
    struct refs *refs = &s->out->refs;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < s->count; i++) {
        struct choice *c = &s->choices[i];
        const sonde_str *values;
        size_t n;

        if (c->done || refs->count <= SUBTRACT_ABOVE ||
            (c->matcher->op != MATCH_NE && c->matcher->op != MATCH_NRE) ||
            !names_values(c->matcher, &values, &n))
            continue;
        rc = lists_of_values(s->block, c->matcher->name, values, n, &c->lists,
                             err);
        for (size_t k = 0; rc == SONDE_OK && k < c->lists.count; k++)
            refs_subtract_be(refs, c->lists.items[k].be32,
                             c->lists.items[k].count);
        c->done = true;
    }
    return rc;
}

/* ---- asking series --------------------------------------------------------
 */

static uint32_t symbol_of(const struct block *b, sonde_str s)
{
    uint32_t number;

    return block_symbol_find(b, s, &number) ? number : NO_SYMBOL;
}

static void ask_init(struct block_ask *a, const struct block *b,
                     const struct matcher *m)
{
    *a = (struct block_ask){
        .name = symbol_of(b, m->name),
        .op = m->op,
        .without = matcher_matches(m, (sonde_str){ 0 }),
    };
    if (m->re) {
        a->re = regex_ref(m->re);
        a->answers = mem_zalloc((size_t)block_symbol_count(b) + 1);
    } else {
        a->value = symbol_of(b, m->value);
    }
}

static void ask_the_rest(struct selecting *s)
{
    struct block_selection *out = s->out;

    out->asks = mem_zalloc((s->count + 1) * sizeof(*out->asks));
    for (size_t i = 0; i < s->count && out->refs.count; i++)
        if (!s->choices[i].done)
            ask_init(&out->asks[out->ask_count++], s->block,
                     s->choices[i].matcher);
}

static bool value_accepted(const struct block *b, struct block_ask *a,
                           uint32_t value)
{
    uint8_t *answer;

    if (!a->re)
        return (value == a->value) == (a->op == MATCH_EQ);
    if (value >= block_symbol_count(b))
        return false;
    answer = &a->answers[value];
    if (*answer == 0)
        *answer = regex_match(a->re, block_symbol(b, value)) ? 2 : 1;
    return (*answer == 2) == (a->op == MATCH_RE);
}

bool block_accepts(const struct block *b, struct block_selection *s,
                   const struct block_series *series)
{
    for (size_t i = 0; i < s->ask_count; i++) {
        struct block_ask *a = &s->asks[i];
        size_t k = 0;

        while (k < series->pair_count && series->pairs[k].name != a->name)
            k++;
        if (k == series->pair_count
                ? !a->without
                : !value_accepted(b, a, series->pairs[k].value))
            return false;
    }
    return true;
}

/* ---- doors ----------------------------------------------------------------
 */

void block_selection_fini(struct block_selection *s)
{
    for (size_t i = 0; i < s->ask_count; i++) {
        regex_unref(s->asks[i].re);
        free(s->asks[i].answers);
    }
    free(s->asks);
    refs_fini(&s->refs);
    *s = (struct block_selection){ 0 };
}

sonde_code block_candidates(const struct block *b, const struct matcher *ms,
                            size_t n, struct block_selection *out,
                            struct sonde_err *err)
{
    struct selecting s = { .block = b, .count = n, .out = out };
    sonde_code rc;

    *out = (struct block_selection){ 0 };
    s.choices = mem_zalloc((n + 1) * sizeof(*s.choices));
    for (size_t i = 0; i < n; i++)
        s.choices[i].matcher = &ms[i];
    rc = begin_with_named(&s, err);
    if (rc == SONDE_OK)
        rc = narrow_by_values(&s, err);
    if (rc == SONDE_OK && !s.begun)
        rc = begin_with_all(&s, err);
    if (rc == SONDE_OK)
        rc = subtract_named(&s, err);
    if (rc == SONDE_OK)
        ask_the_rest(&s);
    else
        block_selection_fini(out);
    for (size_t i = 0; i < n; i++)
        free(s.choices[i].lists.items);
    free(s.choices);
    return rc;
}

sonde_code block_select(const struct block *b, const struct matcher *ms,
                        size_t n, struct refs *out, struct sonde_err *err)
{
    struct block_series series = { 0 };
    struct block_selection s;
    size_t kept = 0;
    sonde_code rc = block_candidates(b, ms, n, &s, err);

    if (rc != SONDE_OK)
        return rc;
    for (size_t i = 0; s.ask_count && i < s.refs.count; i++) {
        rc = block_series(b, s.refs.items[i], &series, err);
        if (rc != SONDE_OK)
            break;
        if (block_accepts(b, &s, &series))
            s.refs.items[kept++] = s.refs.items[i];
    }
    if (s.ask_count)
        s.refs.count = kept;
    if (rc == SONDE_OK) {
        refs_fini(out);
        *out = s.refs;
        s.refs = (struct refs){ 0 };
    }
    block_series_fini(&series);
    block_selection_fini(&s);
    return rc;
}
