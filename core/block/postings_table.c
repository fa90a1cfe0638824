/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the postings of each label pair are. The table in the file is sorted
 * by name and value, and a name's entries lie together, so it is enough to
 * remember some of them and read on from there. Tables of index version 1
 * may be in any order: for these every entry is remembered, sorted.
 */
#include <stdlib.h>

#include "block/index.h"
#include "util/bytes.h"
#include "util/mem.h"
#include "util/str.h"

#define STRIDE      32
#define ENTRY_BYTES 4 /* of the shortest                                    */

static struct table_entry read_entry(struct reader *r)
{
    struct table_entry e = { 0 };
    uint64_t keys = reader_uvarint(r);

    e.name = reader_uvarint_str(r);
    e.value = reader_uvarint_str(r);
    e.offset = reader_uvarint(r);
    r->failed = r->failed || keys != 2;
    return e;
}

/* The entry at `*at`, which moves behind it; only after the first walk. */
static struct table_entry take(const struct postings_table *t, uint32_t *at)
{
    struct reader r = { t->base + *at, t->base + t->len, false };
    struct table_entry e = read_entry(&r);

    *at = (uint32_t)(r.p - t->base);
    return e;
}

/* ---- opening ------------------------------------------------------------ */

static void add_name(struct postings_table *t, sonde_str name)
{
    t->names =
        mem_grow(t->names, &t->name_cap, t->name_count + 1, sizeof(*t->names));
    t->names[t->name_count++] =
        (struct table_name){ name, 0, (uint32_t)t->sample_count };
}

static void add_sample(struct postings_table *t, uint32_t at)
{
    t->samples = mem_grow(t->samples, &t->sample_cap, t->sample_count + 1,
                          sizeof(*t->samples));
    t->samples[t->sample_count++] = at;
}

static void add_entry(struct postings_table *t, const struct table_entry *e,
                      uint32_t at)
{
    struct table_name *n;

    if (!t->name_count ||
        !sonde_str_eq(t->names[t->name_count - 1].name, e->name))
        add_name(t, e->name);
    n = &t->names[t->name_count - 1];
    if (n->count++ % t->stride == 0)
        add_sample(t, at);
}

static int cmp_entries(const struct table_entry *a, const struct table_entry *b)
{
    int cmp = str_cmp(a->name, b->name);

    return cmp ? cmp : str_cmp(a->value, b->value);
}

/* Reads all entries; `*sorted` tells of their order. */
static sonde_code walk(struct postings_table *t, bool *sorted,
                       struct sonde_err *err)
{
    struct reader r = { t->base, t->base + t->len, false };
    struct table_entry before = { 0 };

    *sorted = true;
    for (uint32_t i = 0; i < t->entries; i++) {
        uint32_t at = (uint32_t)(r.p - t->base);
        struct table_entry e = read_entry(&r);

        if (r.failed)
            return sonde_err_set(err, SONDE_ECORRUPT, "entry %u is malformed",
                                 i);
        if (i && cmp_entries(&before, &e) >= 0)
            *sorted = false;
        add_entry(t, &e, at);
        before = e;
    }
    return SONDE_OK;
}

struct sort_item {
    struct table_entry e;
    uint32_t at;
};

static int cmp_sort_items(const void *a, const void *b)
{
    const struct sort_item *x = a, *y = b;

    return cmp_entries(&x->e, &y->e);
}

static sonde_code open_unsorted(struct postings_table *t, struct sonde_err *err)
{
    struct sort_item *items = mem_alloc(t->entries * sizeof(*items));
    uint32_t at = 0;
    sonde_code rc = SONDE_OK;

    t->stride = 1;
    t->name_count = t->sample_count = 0;
    for (uint32_t i = 0; i < t->entries; i++) {
        items[i].at = at;
        items[i].e = take(t, &at);
    }
    qsort(items, t->entries, sizeof(*items), cmp_sort_items);
    for (uint32_t i = 0; i < t->entries; i++) {
        if (i && cmp_sort_items(&items[i - 1], &items[i]) == 0)
            rc = sonde_err_set(err, SONDE_ECORRUPT,
                               "two entries for one label pair");
        add_entry(t, &items[i].e, items[i].at);
    }
    free(items);
    return rc;
}

sonde_code postings_table_open(struct postings_table *t, sonde_str body,
                               struct sonde_err *err)
{
    bool sorted;
    sonde_code rc;

    *t = (struct postings_table){ .stride = STRIDE };
    if (body.len < 4)
        return sonde_err_set(err, SONDE_ECORRUPT, "%zu bytes are too few",
                             body.len);
    t->base = (const uint8_t *)body.ptr + 4;
    t->len = (uint32_t)(body.len - 4);
    t->entries = be32_get(body.ptr);
    if (t->entries > t->len / ENTRY_BYTES)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "%u entries in a table of %u bytes", t->entries,
                             t->len);
    rc = walk(t, &sorted, err);
    return rc == SONDE_OK && !sorted ? open_unsorted(t, err) : rc;
}

void postings_table_close(struct postings_table *t)
{
    free(t->names);
    free(t->samples);
    *t = (struct postings_table){ 0 };
}

/* ---- looking up --------------------------------------------------------- */

const struct table_name *postings_table_name(const struct postings_table *t,
                                             sonde_str name)
{
    size_t lo = 0, hi = t->name_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int cmp = str_cmp(t->names[mid].name, name);

        if (cmp == 0)
            return &t->names[mid];
        if (cmp < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

struct table_entry postings_table_entry(const struct postings_table *t,
                                        const struct table_name *n, uint32_t i,
                                        uint32_t *at)
{
    if (i % t->stride == 0)
        *at = t->samples[n->sample + i / t->stride];
    return take(t, at);
}

/* The last sample of the name that is not after `value`. */
static uint32_t sample_before(const struct postings_table *t,
                              const struct table_name *n, sonde_str value)
{
    uint32_t lo = 0, hi = (n->count - 1) / t->stride;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo + 1) / 2, at = t->samples[n->sample + mid];

        if (str_cmp(take(t, &at).value, value) <= 0)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

bool postings_table_find(const struct postings_table *t, sonde_str name,
                         sonde_str value, uint64_t *offset)
{
    const struct table_name *n = postings_table_name(t, name);
    uint32_t first, at = 0;

    if (!n)
        return false;
    first = sample_before(t, n, value) * t->stride;
    for (uint32_t i = first; i < n->count && i - first < t->stride; i++) {
        struct table_entry e = postings_table_entry(t, n, i, &at);
        int cmp = str_cmp(e.value, value);

        if (cmp == 0)
            *offset = e.offset;
        if (cmp >= 0)
            return cmp == 0;
    }
    return false;
}
