/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples as arrays, times and values, so that functions over a window walk
 * memory once. They grow by doubling and keep their memory between uses. The
 * third array, histograms, is made with the first of them and filled up with
 * NULL for the floats around it.
 */
#include "storage/columns.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

void columns_fini(struct columns *c)
{
    free(c->t);
    free(c->v);
    free(c->h);
    if (c->arena) {
        arena_fini(c->arena);
        free(c->arena);
    }
    *c = (struct columns){ 0 };
}

void columns_reset(struct columns *c)
{
    c->count = 0;
    free(c->h);
    c->h = NULL;
    c->cap_h = 0;
    if (c->arena)
        arena_reset(c->arena);
}

void columns_reserve(struct columns *c, size_t n)
{
    size_t want = c->count + n;

    if (want > c->cap_t)
        c->t = mem_grow(c->t, &c->cap_t, want, sizeof(*c->t));
    if (want > c->cap_v)
        c->v = mem_grow(c->v, &c->cap_v, want, sizeof(*c->v));
}

void columns_push(struct columns *c, sonde_msec t, double v)
{
    columns_reserve(c, 1);
    if (c->h)
        columns_push_histogram(c, t, NULL);
    else
        c->t[c->count++] = t;
    c->v[c->count - 1] = v;
}

void columns_floats_added(struct columns *c, size_t n)
{
    if (c->h) {
        if (c->count + n > c->cap_h)
            c->h = mem_grow(c->h, &c->cap_h, c->count + n, sizeof(*c->h));
        memset(c->h + c->count, 0, n * sizeof(*c->h));
    }
    c->count += n;
}

struct arena *columns_arena(struct columns *c)
{
    if (!c->arena) {
        c->arena = mem_new(struct arena);
        arena_init(c->arena);
    }
    return c->arena;
}

void columns_push_histogram(struct columns *c, sonde_msec t,
                            const struct histogram *h)
{
    size_t had = c->h ? c->count : 0;

    columns_reserve(c, 1);
    if (c->count + 1 > c->cap_h)
        c->h = mem_grow(c->h, &c->cap_h, c->count + 1, sizeof(*c->h));
    for (; had < c->count; had++)
        c->h[had] = NULL;
    c->t[c->count] = t;
    c->v[c->count] = h ? h->sum : 0;
    c->h[c->count++] = h;
}

void columns_trim(struct columns *c, size_t from, sonde_msec mint,
                  sonde_msec maxt)
{
    size_t kept = from;

    for (size_t i = from; i < c->count; i++) {
        if (c->t[i] < mint || c->t[i] > maxt)
            continue;
        c->t[kept] = c->t[i];
        c->v[kept] = c->v[i];
        if (c->h)
            c->h[kept] = c->h[i];
        kept++;
    }
    c->count = kept;
}

/* ---- merging two runs --------------------------------------------------- */

/* What is put aside of the first run, while the place is written to. */
struct run {
    sonde_msec *t;
    double *v;
    const struct histogram **h;
    size_t count;
};

static struct run run_copy(const struct columns *c, size_t from, size_t to)
{
    struct run r = { .count = to - from };

    r.t = mem_alloc(r.count * sizeof(*r.t));
    r.v = mem_alloc(r.count * sizeof(*r.v));
    memcpy(r.t, c->t + from, r.count * sizeof(*r.t));
    memcpy(r.v, c->v + from, r.count * sizeof(*r.v));
    if (c->h) {
        r.h = mem_alloc(r.count * sizeof(*r.h));
        memcpy(r.h, c->h + from, r.count * sizeof(*r.h));
    }
    return r;
}

static void run_fini(struct run *r)
{
    free(r->t);
    free(r->v);
    free(r->h);
}

static void put_from_run(struct columns *c, size_t at, const struct run *r,
                         size_t i)
{
    c->t[at] = r->t[i];
    c->v[at] = r->v[i];
    if (c->h)
        c->h[at] = r->h[i];
}

static void put_own(struct columns *c, size_t at, size_t i)
{
    c->t[at] = c->t[i];
    c->v[at] = c->v[i];
    if (c->h)
        c->h[at] = c->h[i];
}

/* The first index in [low, high) whose time is not below `t`. */
static size_t place_of(const struct columns *c, size_t low, size_t high,
                       sonde_msec t)
{
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (c->t[mid] < t)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Writing never overtakes the second run: it is behind what was put aside. */
void columns_join(struct columns *c, size_t from, size_t mid)
{
    size_t i = 0, k = mid, at;
    struct run first;

    if (from == mid || mid == c->count || c->t[mid - 1] < c->t[mid])
        return;
    at = place_of(c, from, mid, c->t[mid]);
    first = run_copy(c, at, mid);
    while (i < first.count && k < c->count) {
        if (first.t[i] < c->t[k]) {
            put_from_run(c, at++, &first, i++);
            continue;
        }
        i += first.t[i] == c->t[k];
        put_own(c, at++, k++);
    }
    while (i < first.count)
        put_from_run(c, at++, &first, i++);
    while (k < c->count)
        put_own(c, at++, k++);
    c->count = at;
    run_fini(&first);
}
