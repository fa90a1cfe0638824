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
 * runs: a slow query does not hold up a scrape that meets a new series.
 * Labels and symbols do not change while their series is there.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "util/mem.h"
#include "util/str.h"

struct selection {
    struct head *head;
    const struct matcher *matchers;
    size_t count;
    bool *done; /* by matcher: already taken into account               */
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

static const struct postings_list *list_of(struct head *h, sonde_str name,
                                           sonde_str value)
{
    symbol n, v;

    if (!symtab_find(h->symbols, name, &n) ||
        !symtab_find(h->symbols, value, &v))
        return NULL;
    return postings_get(&h->postings, n, v);
}

/* How many series a matcher's lists have in all; false: it has none to name.
 * Under the index lock, as what follows. */
static bool lists_total(struct selection *s, size_t i, size_t *total)
{
    const struct matcher *m = &s->matchers[i];
    const sonde_str *values;
    size_t n;

    if (!names_values(m, &values, &n))
        return false;
    *total = 0;
    for (size_t k = 0; k < n; k++) {
        const struct postings_list *l = list_of(s->head, m->name, values[k]);

        *total += l ? l->count : 0;
    }
    return true;
}

static void lists_unite(struct selection *s, size_t i, struct refs *out)
{
    const struct matcher *m = &s->matchers[i];
    const sonde_str *values;
    size_t n;

    if (!names_values(m, &values, &n))
        return;
    for (size_t k = 0; k < n; k++) {
        const struct postings_list *l = list_of(s->head, m->name, values[k]);

        if (l)
            refs_append(out, postings_refs(l), l->count);
    }
    refs_sort(out);
    s->done[i] = true;
}

static void lists_intersect(struct selection *s, size_t i, struct refs *out)
{
    const struct matcher *m = &s->matchers[i];
    const struct postings_list *l;

    if (s->done[i] || m->op != MATCH_EQ || m->value.len == 0)
        return;
    l = list_of(s->head, m->name, m->value);
    if (l)
        refs_intersect(out, postings_refs(l), l->count);
    else
        out->count = 0;
    s->done[i] = true;
}

/* False if no matcher names its values. */
static bool begin_with_lists(struct selection *s, struct refs *out)
{
    size_t best = SIZE_MAX, best_total = SIZE_MAX, total;

    for (size_t i = 0; i < s->count; i++)
        if (lists_total(s, i, &total) && total < best_total) {
            best = i;
            best_total = total;
        }
    if (best == SIZE_MAX)
        return false;
    lists_unite(s, best, out);
    for (size_t i = 0; i < s->count && out->count; i++)
        lists_intersect(s, i, out);
    return true;
}

/* ---- without: all values of a name, or all series ---------------------- */

/* The values of a name, with the numbers of their lists. */
struct values {
    uint32_t *lists;
    symbol *symbols;
    size_t count;
};

static struct values values_copy(struct head *h, sonde_str name)
{
    const struct postings_name *n;
    struct values v = { 0 };
    symbol sym;

    (void)pthread_rwlock_rdlock(&h->index_lock);
    n = symtab_find(h->symbols, name, &sym) ? postings_name(&h->postings, sym)
                                            : NULL;
    if (n) {
        v.count = n->count;
        v.lists = mem_alloc(v.count * sizeof(*v.lists));
        v.symbols = mem_alloc(v.count * sizeof(*v.symbols));
        memcpy(v.lists, n->lists, v.count * sizeof(*v.lists));
        for (size_t i = 0; i < v.count; i++)
            v.symbols[i] = h->postings.lists[v.lists[i]].value;
    }
    (void)pthread_rwlock_unlock(&h->index_lock);
    return v;
}

static bool accepts(const struct matcher *m, sonde_str prefix, sonde_str value)
{
    return str_starts(value, prefix) && matcher_matches(m, value);
}

/* Unites the lists of all values that the matcher accepts. */
static void begin_with_values(struct selection *s, size_t i, struct refs *out)
{
    const struct matcher *m = &s->matchers[i];
    struct head *h = s->head;
    struct values v = values_copy(h, m->name);
    sonde_str prefix = { 0 };
    size_t kept = 0;

    if (m->op == MATCH_RE)
        prefix = regex_prefix(m->re);
    for (size_t k = 0; k < v.count; k++)
        if (accepts(m, prefix, symtab_str(h->symbols, v.symbols[k])))
            v.lists[kept++] = v.lists[k];
    (void)pthread_rwlock_rdlock(&h->index_lock);
    for (size_t k = 0; k < kept; k++) {
        const struct postings_list *l = &h->postings.lists[v.lists[k]];

        refs_append(out, postings_refs(l), l->count);
    }
    (void)pthread_rwlock_unlock(&h->index_lock);
    refs_sort(out);
    s->done[i] = true;
    free(v.lists);
    free(v.symbols);
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
static size_t needs_label(const struct selection *s)
{
    size_t i = 0;

    while (i < s->count && matcher_matches(&s->matchers[i], (sonde_str){ 0 }))
        i++;
    return i;
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

static bool pair_find(const struct label_pair *pairs, size_t n, symbol name,
                      symbol *value)
{
    for (size_t i = 0; i < n; i++)
        if (pairs[i].name == name) {
            *value = pairs[i].value;
            return true;
        }
    return false;
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
        size_t n;
        const struct label_pair *pairs =
            label_store_get(&h->labels, places[i], &n);

        if (pair_find(pairs, n, name, &value) ? !memo_ask(&memo, h, m, value)
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
        if (s->done[i])
            continue;
        if (!places)
            places = head_label_places(s->head, refs);
        filter(s->head, &s->matchers[i], refs, places);
    }
    free(places);
}

void head_select(struct head *h, const struct matcher *ms, size_t n,
                 struct refs *out)
{
    struct selection s = { h, ms, n, mem_zalloc(n * sizeof(bool)) };
    bool begun;

    (void)pthread_rwlock_rdlock(&h->index_lock);
    begun = begin_with_lists(&s, out);
    (void)pthread_rwlock_unlock(&h->index_lock);
    if (!begun) {
        size_t i = needs_label(&s);

        if (i < n)
            begin_with_values(&s, i, out);
        else
            begin_with_all(h, out);
    }
    filter_rest(&s, out);
    free(s.done);
}
