/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From matchers to references.
 *
 * A matcher that names its values (="x", =~"a|b") has lists in the index. The
 * shortest is where to begin; the other single lists are intersected with it
 * right there, under the lock. What is left then is usually short, and the
 * remaining matchers are asked about each series' own value: once per
 * distinct value, because answers are remembered by symbol. So
 * {job="a",instance=~".+",path!~"/x.*"} never unites the lists of all
 * instances, and a costly expression is not run over values that the rest of
 * the selection excludes.
 *
 * Without such a matcher, one that does not accept the empty value is tried
 * on all values of its name and their lists are united; without that too,
 * all series are asked. A matcher that accepts the empty value accepts
 * series without the label, which no list has; asking the series gets that
 * right without subtracting.
 *
 * The index lock is held while lists are copied, never while an expression
 * runs, and is let go every fraction of a millisecond: a slow query does not
 * hold up a scrape that meets a new series. What was looked at is therefore
 * found again by its symbols and by the last reference that was taken.
 * Labels and symbols do not change while their series is there.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/index_hold.h"
#include "tsdb/walk.h"
#include "util/mem.h"
#include "util/str.h"

#define INTERSECT_PIECE 1024 /* candidates                               */

/* What becomes of a matcher. */
struct choice {
    const struct matcher *matcher;
    bool named; /* it names its values: `values`, and `total` series     */
    bool done;  /* taken into account already                            */
    symbol name;
    symbol *values; /* those that exist                                  */
    size_t count;
    size_t total;
};

struct selection {
    struct head *head;
    struct choice *choices;
    size_t count;
};

/* ---- matchers that name their values ---------------------------------- */

static bool names_values(const struct matcher *m, const sonde_str **values,
                         size_t *n)
{
    if (m->op == MATCH_EQ) {
        *values = &m->value;
        *n = 1;
    } else if (m->op != MATCH_RE || !regex_literals(m->re, values, n)) {
        return false;
    }
    for (size_t i = 0; i < *n; i++)
        if ((*values)[i].len == 0)
            return false;
    return true;
}

static void choice_init(struct choice *c, const struct head *h,
                        const struct matcher *m)
{
    const sonde_str *values;
    size_t n;

    *c = (struct choice){ .matcher = m, .named = names_values(m, &values, &n) };
    if (!c->named || !symtab_find(h->symbols, m->name, &c->name))
        return;
    c->values = mem_alloc(n * sizeof(*c->values));
    for (size_t i = 0; i < n; i++)
        if (symtab_find(h->symbols, values[i], &c->values[c->count]))
            c->count++;
}

static void totals_find(struct selection *s, struct index_hold *hold)
{
    for (size_t i = 0; i < s->count; i++) {
        struct choice *c = &s->choices[i];

        for (size_t k = 0; k < c->count; k++) {
            const struct postings_list *l =
                postings_get(&s->head->postings, c->name, c->values[k]);

            c->total += l ? l->count : 0;
            index_hold_spend(hold, HOLD_LOOKUP);
        }
    }
}

/* Appends a list. */
static void list_copy(struct index_hold *hold, symbol name, symbol value,
                      struct refs *out)
{
    uint32_t last = 0;
    size_t n;

    do {
        const struct postings_list *l =
            postings_get(&hold->head->postings, name, value);
        size_t from;

        if (!l)
            return;
        from = refs_after(postings_refs(l), l->count, last);
        n = l->count - from;
        if (n > HOLD_BUDGET)
            n = HOLD_BUDGET;
        refs_append(out, postings_refs(l) + from, n);
        last = out->count ? out->items[out->count - 1] : 0;
        index_hold_spend(hold, n + HOLD_LOOKUP);
    } while (n == HOLD_BUDGET);
}

static void lists_copy(struct index_hold *hold, symbol name,
                       const symbol *values, size_t n, struct refs *out)
{
    for (size_t i = 0; i < n; i++)
        list_copy(hold, name, values[i], out);
}

/* Cuts the references down to those of one list, some at a time. */
static void list_intersect(struct index_hold *hold, symbol name, symbol value,
                           struct refs *out)
{
    size_t kept = 0;

    for (size_t i = 0; i < out->count; i += INTERSECT_PIECE) {
        const struct postings_list *l =
            postings_get(&hold->head->postings, name, value);
        struct refs piece = { out->items + i, out->count - i, 0 };

        if (piece.count > INTERSECT_PIECE)
            piece.count = INTERSECT_PIECE;
        if (l)
            refs_intersect(&piece, postings_refs(l), l->count);
        else
            piece.count = 0;
        memmove(out->items + kept, piece.items,
                piece.count * sizeof(*out->items));
        kept += piece.count;
        index_hold_spend(hold, (size_t)INTERSECT_PIECE * HOLD_JUMP);
    }
    out->count = kept;
}

static void named_intersect(struct selection *s, struct index_hold *hold,
                            struct refs *out)
{
    for (size_t i = 0; i < s->count && out->count; i++) {
        struct choice *c = &s->choices[i];

        if (!c->named || c->done || c->count > 1)
            continue;
        if (c->count == 1)
            list_intersect(hold, c->name, c->values[0], out);
        else
            out->count = 0;
        c->done = true;
    }
}

static struct choice *smallest(struct selection *s)
{
    struct choice *best = NULL;

    for (size_t i = 0; i < s->count; i++)
        if (s->choices[i].named && (!best || s->choices[i].total < best->total))
            best = &s->choices[i];
    return best;
}

/* False if no matcher names its values. */
static bool begin_with_lists(struct selection *s, struct refs *out)
{
    struct index_hold hold;
    struct choice *first;

    index_hold_begin(&hold, s->head);
    totals_find(s, &hold);
    first = smallest(s);
    if (first) {
        lists_copy(&hold, first->name, first->values, first->count, out);
        first->done = true;
        if (first->count > 1)
            refs_sort(out);
        named_intersect(s, &hold, out);
    }
    index_hold_end(&hold);
    return first != NULL;
}

/* ---- without: all values of a name, or all series ---------------------- */

static bool accepts(const struct matcher *m, sonde_str prefix, sonde_str value)
{
    return str_starts(value, prefix) && matcher_matches(m, value);
}

/* Unites the lists of all values that the matcher accepts. */
static void begin_with_values(struct selection *s, struct choice *c,
                              struct refs *out)
{
    struct head *h = s->head;
    struct refs values = { 0 };
    sonde_str prefix = { 0 };
    struct index_hold hold;
    size_t kept = 0;

    c->done = true;
    if (!symtab_find(h->symbols, c->matcher->name, &c->name))
        return;
    head_values(h, c->name, &values);
    if (c->matcher->op == MATCH_RE)
        prefix = regex_prefix(c->matcher->re);
    for (size_t k = 0; k < values.count; k++)
        if (accepts(c->matcher, prefix,
                    symtab_str(h->symbols, values.items[k])))
            values.items[kept++] = values.items[k];
    index_hold_begin(&hold, h);
    lists_copy(&hold, c->name, values.items, kept, out);
    index_hold_end(&hold);
    refs_sort(out);
    refs_fini(&values);
}

static void page_refs(struct series_page *p, uint32_t page, struct refs *out)
{
    uint32_t refs[PAGE_SERIES];
    size_t n = 0;

    (void)pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < PAGE_SERIES && p->number == page; i++)
        if (p->present >> i & 1)
            refs[n++] = page * PAGE_SERIES + i + 1;
    (void)pthread_mutex_unlock(&p->lock);
    refs_append(out, refs, n);
}

static void begin_with_all(struct head *h, struct refs *out)
{
    struct series_page *p;

    for (uint32_t page = 0; (p = series_table_next(&h->table, &page)); page++)
        page_refs(p, page, out);
}

/* The first matcher that a series without the label fails. */
static struct choice *needs_label(const struct selection *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!matcher_matches(s->choices[i].matcher, (sonde_str){ 0 }))
            return &s->choices[i];
    return NULL;
}

/* ---- asking the series ------------------------------------------------ */

/* What a matcher said about values: cells of symbol << 2 | answer << 1 | 1. */
struct memo {
    uint64_t *cells;
    size_t size, used;
    symbol last;
    bool last_answer, any;
};

static uint64_t *memo_cell(const struct memo *m, symbol value)
{
    size_t i = (value * 0x9e3779b1u) & (m->size - 1);

    while (m->cells[i] && m->cells[i] >> 2 != value)
        i = (i + 1) & (m->size - 1);
    return &m->cells[i];
}

static void memo_grow(struct memo *m)
{
    struct memo old = *m;

    m->size = old.size ? old.size * 2 : 64;
    m->cells = mem_zalloc(m->size * sizeof(*m->cells));
    for (size_t i = 0; i < old.size; i++)
        if (old.cells[i])
            *memo_cell(m, (symbol)(old.cells[i] >> 2)) = old.cells[i];
    free(old.cells);
}

static bool memo_ask(struct memo *memo, const struct head *h,
                     const struct matcher *m, symbol value)
{
    uint64_t *cell;

    if (memo->any && memo->last == value)
        return memo->last_answer;
    if (memo->used + 1 > memo->size / 2)
        memo_grow(memo);
    cell = memo_cell(memo, value);
    if (!*cell) {
        bool answer = matcher_matches(m, symtab_str(h->symbols, value));

        *cell = (uint64_t)value << 2 | (uint64_t)answer << 1 | 1;
        memo->used++;
    }
    memo->any = true;
    memo->last = value;
    memo->last_answer = *cell >> 1 & 1;
    return memo->last_answer;
}

/* Keeps the series whose own label the matcher accepts; `places` moves with
 * them. */
static void filter(struct head *h, const struct matcher *m, struct refs *refs,
                   uint32_t *places)
{
    bool without = matcher_matches(m, (sonde_str){ 0 });
    struct memo memo = { 0 };
    size_t kept = 0;
    symbol name, value;

    if (!symtab_find(h->symbols, m->name, &name)) {
        refs->count = without ? refs->count : 0;
        return;
    }
    for (size_t i = 0; i < refs->count; i++) {
        struct label_set set = label_store_get(&h->labels, places[i]);

        if (label_set_find(&set, name, &value) ? !memo_ask(&memo, h, m, value)
                                               : !without)
            continue;
        refs->items[kept] = refs->items[i];
        places[kept++] = places[i];
    }
    refs->count = kept;
    free(memo.cells);
}

uint32_t *head_label_places(struct head *h, struct refs *refs)
{
    uint32_t *places = mem_alloc(refs->count * sizeof(*places));
    struct walk w = walk_of(h);
    size_t kept = 0;

    for (size_t i = 0; i < refs->count; i++) {
        uint32_t ref = refs->items[i];
        struct series *s = walk_to_id(&w, ref);

        if (s) {
            refs->items[kept] = ref;
            places[kept++] = s->labels;
        }
    }
    walk_end(&w);
    refs->count = kept;
    return places;
}

static void filter_rest(struct selection *s, struct refs *refs)
{
    uint32_t *places = NULL;

    for (size_t i = 0; i < s->count && refs->count; i++) {
        if (s->choices[i].done)
            continue;
        if (!places)
            places = head_label_places(s->head, refs);
        filter(s->head, s->choices[i].matcher, refs, places);
    }
    free(places);
}

void head_select(struct head *h, const struct matcher *ms, size_t n,
                 struct refs *out)
{
    struct selection s = { .head = h, .count = n };
    struct choice *c;

    s.choices = mem_alloc((n + 1) * sizeof(*s.choices));
    for (size_t i = 0; i < n; i++)
        choice_init(&s.choices[i], h, &ms[i]);
    if (!begin_with_lists(&s, out)) {
        c = needs_label(&s);
        if (c)
            begin_with_values(&s, c, out);
        else
            begin_with_all(h, out);
    }
    filter_rest(&s, out);
    for (size_t i = 0; i < n; i++)
        free(s.choices[i].values);
    free(s.choices);
}
