/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See posting_runs.h. A run is a list of groups: name, value, how many, and
 * the numbers as differences, all uvarints. Runs follow one another in the
 * order of the series, so a pair's numbers are simply those of the first run,
 * then those of the second...: what is merged are groups, not numbers, and
 * the cost of merging does not show beside that of sorting.
 *
 * Sorting is by radix, digit by digit from the lowest; digits that are the
 * same everywhere, which are most, are left out. Numbers come ascending and
 * the sort is stable, so they need no digit.
 */
#include "block/posting_runs.h"

#include <stdlib.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/mem.h"

#define DIGIT_BITS 11
#define DIGITS     (1u << DIGIT_BITS)

sonde_code posting_runs_init(struct posting_runs *r, const char *dir,
                             size_t bytes, struct sonde_err *err)
{
    struct arena a;
    const char *path;
    sonde_code rc;

    *r = (struct posting_runs){ 0 };
    r->cap = (bytes ? bytes : POSTING_RUNS_BYTES) / (2 * sizeof(*r->items)) + 1;
    arena_init(&a);
    path = arena_printf(&a, "%s/postings.tmp", dir).ptr;
    rc = out_file_open(&r->file, path, err);
    if (rc == SONDE_OK)
        (void)unlink(path);
    arena_fini(&a);
    return rc;
}

void posting_runs_fini(struct posting_runs *r)
{
    out_file_discard(&r->file);
    mapped_close(&r->map);
    free(r->items);
    free(r->other);
    free(r->begins);
    free(r->runs);
    free(r->heap);
    free(r->group);
    *r = (struct posting_runs){ .file.fd = -1 };
}

/* ---- runs --------------------------------------------------------------- */

static uint64_t key_of(const struct posting *p)
{
    return (uint64_t)p->pair.name << 32 | p->pair.value;
}

static void sort_digit(struct posting_runs *r, unsigned shift)
{
    uint32_t at[DIGITS] = { 0 }, sum = 0;
    struct posting *swap = r->items;

    for (size_t i = 0; i < r->count; i++)
        at[key_of(&r->items[i]) >> shift & (DIGITS - 1)]++;
    for (size_t d = 0; d < DIGITS; d++) {
        uint32_t n = at[d];

        at[d] = sum;
        sum += n;
    }
    for (size_t i = 0; i < r->count; i++)
        r->other[at[key_of(&r->items[i]) >> shift & (DIGITS - 1)]++] =
            r->items[i];
    r->items = r->other;
    r->other = swap;
}

static void sort_items(struct posting_runs *r)
{
    uint64_t differ = 0;

    for (size_t i = 1; i < r->count; i++)
        differ |= key_of(&r->items[i]) ^ key_of(&r->items[0]);
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS)
        if (differ >> shift & (DIGITS - 1))
            sort_digit(r, shift);
}

static size_t group_end(const struct posting_runs *r, size_t from)
{
    uint64_t key = key_of(&r->items[from]);

    while (++from < r->count && key_of(&r->items[from]) == key)
        ;
    return from;
}

static void put_group(struct posting_runs *r, size_t from, size_t to)
{
    uint32_t last = 0;

    out_file_uvarint(&r->file, r->items[from].pair.name);
    out_file_uvarint(&r->file, r->items[from].pair.value);
    out_file_uvarint(&r->file, to - from);
    for (size_t i = from; i < to; i++) {
        out_file_uvarint(&r->file, r->items[i].series - last);
        last = r->items[i].series;
    }
}

static void end_run(struct posting_runs *r)
{
    if (!r->count)
        return;
    if (!r->other)
        r->other = mem_alloc(r->cap * sizeof(*r->other));
    sort_items(r);
    r->begins =
        mem_grow(r->begins, &r->run_cap, r->run_count + 1, sizeof(*r->begins));
    r->begins[r->run_count++] = out_file_pos(&r->file);
    for (size_t i = 0; i < r->count;) {
        size_t end = group_end(r, i);

        put_group(r, i, end);
        i = end;
    }
    r->count = 0;
}

void posting_runs_add(struct posting_runs *r, struct block_pair pair,
                      uint32_t series)
{
    if (!r->items)
        r->items = mem_alloc(r->cap * sizeof(*r->items));
    r->items[r->count++] = (struct posting){ pair, series };
    if (r->count == r->cap)
        end_run(r);
}

/* ---- merging ------------------------------------------------------------ */

/* Reads the head of a run's next group; false at its end. */
static bool open_group(struct posting_runs *r, struct posting_run *run)
{
    struct reader in = { run->p, run->end, false };

    if (!reader_left(&in))
        return false;
    run->pair.name = (uint32_t)reader_uvarint(&in);
    run->pair.value = (uint32_t)reader_uvarint(&in);
    run->left = (uint32_t)reader_uvarint(&in);
    run->last = 0;
    mapped_pass(&r->map, (size_t)(in.p - run->p));
    run->p = in.p;
    r->damaged = r->damaged || in.failed;
    return !in.failed;
}

static bool before(const struct posting_runs *r, uint32_t a, uint32_t b)
{
    const struct block_pair *x = &r->runs[a].pair, *y = &r->runs[b].pair;

    if (x->name != y->name)
        return x->name < y->name;
    return x->value != y->value ? x->value < y->value : a < b;
}

static void heap_push(struct posting_runs *r, uint32_t run)
{
    size_t i = r->heap_len++;

    for (; i && before(r, run, r->heap[(i - 1) / 2]); i = (i - 1) / 2)
        r->heap[i] = r->heap[(i - 1) / 2];
    r->heap[i] = run;
}

static uint32_t heap_pop(struct posting_runs *r)
{
    uint32_t top = r->heap[0], last = r->heap[--r->heap_len];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < r->heap_len &&
            before(r, r->heap[child + 1], r->heap[child]))
            child++;
        if (child >= r->heap_len || !before(r, r->heap[child], last))
            break;
        r->heap[i] = r->heap[child];
        i = child;
    }
    r->heap[i] = last;
    return top;
}

sonde_code posting_runs_merge(struct posting_runs *r, struct sonde_err *err)
{
    sonde_code rc;

    end_run(r);
    free(r->items);
    free(r->other);
    r->items = r->other = NULL;
    rc = out_file_map(&r->file, &r->map, err);
    if (rc != SONDE_OK)
        return rc;
    r->runs = mem_zalloc(r->run_count * sizeof(*r->runs));
    r->heap = mem_alloc((r->run_count + 1) * sizeof(*r->heap));
    r->group = mem_alloc((r->run_count + 1) * sizeof(*r->group));
    for (size_t i = 0; i < r->run_count; i++) {
        uint64_t end = i + 1 < r->run_count ? r->begins[i + 1] : r->map.len;

        r->runs[i].p = r->map.data + r->begins[i];
        r->runs[i].end = r->map.data + end;
        if (open_group(r, &r->runs[i]))
            heap_push(r, (uint32_t)i);
    }
    return SONDE_OK;
}

bool posting_runs_next(struct posting_runs *r, struct block_pair *pair,
                       uint64_t *count)
{
    for (size_t i = 0; i < r->group_len; i++)
        if (open_group(r, &r->runs[r->group[i]]))
            heap_push(r, r->group[i]);
    r->group_len = r->group_at = 0;
    *count = 0;
    if (!r->heap_len)
        return false;
    *pair = r->runs[r->heap[0]].pair;
    while (r->heap_len) {
        const struct posting_run *top = &r->runs[r->heap[0]];

        if (top->pair.name != pair->name || top->pair.value != pair->value)
            break;
        *count += top->left;
        r->group[r->group_len++] = heap_pop(r);
    }
    return true;
}

size_t posting_runs_read(struct posting_runs *r, uint32_t *out, size_t cap)
{
    size_t n = 0;

    while (n < cap && r->group_at < r->group_len) {
        struct posting_run *run = &r->runs[r->group[r->group_at]];
        struct reader in = { run->p, run->end, false };

        for (; n < cap && run->left; run->left--)
            out[n++] = run->last += (uint32_t)reader_uvarint(&in);
        mapped_pass(&r->map, (size_t)(in.p - run->p));
        run->p = in.p;
        r->group_at += !run->left;
        r->damaged = r->damaged || in.failed;
    }
    return n;
}
