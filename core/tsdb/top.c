/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the head has most of: the first questions when a store grows are which
 * metric has so many series, and which label so many values. One walk over
 * the lists of series by label; of each of the four lists only the longest
 * entries are kept, in a heap whose smallest is on top.
 */
#include <stdlib.h>

#include "tsdb/store.h"
#include "util/mem.h"

struct entry {
    uint64_t count;
    symbol name, value; /* value 0: a name or value alone                  */
};

struct heap {
    struct entry *items;
    size_t count, limit;
};

static bool smaller(const struct entry *a, const struct entry *b)
{
    if (a->count != b->count)
        return a->count < b->count;
    return a->name != b->name ? a->name > b->name : a->value > b->value;
}

static void swap(struct entry *a, struct entry *b)
{
    struct entry t = *a;

    *a = *b;
    *b = t;
}

static void sink(struct heap *h, size_t i)
{
    for (;;) {
        size_t least = i;

        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < h->count; k++)
            if (smaller(&h->items[k], &h->items[least]))
                least = k;
        if (least == i)
            return;
        swap(&h->items[i], &h->items[least]);
        i = least;
    }
}

static void offer(struct heap *h, struct entry e)
{
    if (h->count == h->limit) {
        if (!smaller(&h->items[0], &e))
            return;
        h->items[0] = e;
        sink(h, 0);
        return;
    }
    h->items[h->count] = e;
    for (size_t i = h->count++; i > 0; i = (i - 1) / 2) {
        if (!smaller(&h->items[i], &h->items[(i - 1) / 2]))
            break;
        swap(&h->items[i], &h->items[(i - 1) / 2]);
    }
}

/* ---- the walk ----------------------------------------------------------- */

enum {
    TOP_METRICS,
    TOP_VALUES,
    TOP_BYTES,
    TOP_PAIRS,
    TOPS
};

/* What a label costs in each series, by Prometheus' reckoning. */
static uint64_t label_bytes(size_t name, size_t value)
{
    return name + value + 2;
}

static void walk_name(const struct head *h, const struct postings_name *n,
                      bool is_metric, struct heap heaps[TOPS])
{
    size_t name_len = symtab_str(h->symbols, n->name).len;
    uint64_t values = 0, bytes = 0;

    for (uint32_t i = 0; i < n->count; i++) {
        const struct postings_list *l = &h->postings.lists[n->lists[i]];

        if (l->count == 0)
            continue;
        values++;
        bytes += l->count *
                 label_bytes(name_len, symtab_str(h->symbols, l->value).len);
        if (is_metric)
            offer(&heaps[TOP_METRICS], (struct entry){ l->count, l->value, 0 });
        offer(&heaps[TOP_PAIRS], (struct entry){ l->count, l->name, l->value });
    }
    if (values == 0)
        return;
    offer(&heaps[TOP_VALUES], (struct entry){ values, n->name, 0 });
    offer(&heaps[TOP_BYTES], (struct entry){ bytes, n->name, 0 });
}

static int descending(const void *a, const void *b)
{
    return smaller(a, b) ? 1 : smaller(b, a) ? -1 : 0;
}

static void take(const struct head *h, struct heap *heap, bool pairs,
                 struct arena *a, struct tsdb_top_list *out)
{
    if (heap->count)
        qsort(heap->items, heap->count, sizeof(*heap->items), descending);
    out->items = arena_array(a, struct tsdb_top, heap->count);
    out->count = heap->count;
    for (size_t i = 0; i < heap->count; i++) {
        const struct entry *e = &heap->items[i];
        sonde_str name = symtab_str(h->symbols, e->name);
        sonde_str value = symtab_str(h->symbols, e->value);

        out->items[i].count = e->count;
        out->items[i].name = pairs
                                 ? arena_printf(a, "%.*s=%.*s", SONDE_ARG(name),
                                                SONDE_ARG(value))
                                 : arena_str(a, name);
    }
}

void tsdb_top(struct tsdb *db, size_t limit, struct arena *a,
              struct tsdb_top_lists *out)
{
    struct head *h = db->head;
    struct heap heaps[TOPS];

    for (size_t i = 0; i < TOPS; i++)
        heaps[i] = (struct heap){
            .items = mem_alloc((limit + 1) * sizeof(struct entry)),
            .limit = limit,
        };
    (void)pthread_rwlock_rdlock(&h->index_lock);
    for (uint32_t i = 0; limit > 0 && i < h->postings.name_count; i++) {
        const struct postings_name *n = &h->postings.names[i];

        walk_name(h, n,
                  sonde_str_eq(symtab_str(h->symbols, n->name),
                               SONDE_STR(LABEL_NAME)),
                  heaps);
    }
    take(h, &heaps[TOP_METRICS], false, a, &out->metrics);
    take(h, &heaps[TOP_VALUES], false, a, &out->label_values);
    take(h, &heaps[TOP_BYTES], false, a, &out->label_bytes);
    take(h, &heaps[TOP_PAIRS], true, a, &out->pairs);
    (void)pthread_rwlock_unlock(&h->index_lock);
    for (size_t i = 0; i < TOPS; i++)
        free(heaps[i].items);
}
