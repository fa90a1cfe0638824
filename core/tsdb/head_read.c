/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a series. Its list of full chunks and its open chunk are copied
 * under the page's lock, a kilobyte or so; all else happens outside of it:
 * the times of full chunks are in their headers, which may have to come from
 * the disk. The first chunk that is wanted is searched for from the newest
 * back in doubling steps, for most questions are about what was just now.
 */
#include <stdlib.h>

#include "tsdb/head_histograms.h"
#include "tsdb/walk.h"
#include "util/mem.h"

/* ---- under the page's lock --------------------------------------------- */

static size_t copy_places(const struct series *s, struct head_snapshot *snap)
{
    size_t n = chunk_list_count(s->full);

    if (n == 0)
        return 0;
    snap->places = mem_grow(snap->places, &snap->place_cap, chunk_list_bytes(n),
                            sizeof(*snap->places));
    memcpy(snap->places, s->full, chunk_list_bytes(n));
    return n;
}

static bool overlaps(const struct chunk *c, sonde_msec mint, sonde_msec maxt)
{
    return c->mint <= maxt && c->maxt >= mint;
}

/* False if it does not overlap. */
static bool copy_open(const struct series *s, sonde_msec mint, sonde_msec maxt,
                      struct head_snapshot *snap, struct chunk *out)
{
    if (s->open.count == 0)
        return false;
    *out = head_open_chunk(s);
    if (!overlaps(out, mint, maxt))
        return false;
    buf_put(&snap->bytes, out->data);
    if (out->encoding == CHUNK_XOR)
        xor_seal(&s->open, (uint8_t *)snap->bytes.data);
    return true;
}

/* ---- full chunks ------------------------------------------------------- */

static struct head_chunk full_chunk(struct head *h, struct head_snapshot *snap,
                                    size_t i, bool *copied)
{
    struct head_chunk c;

    head_files_read(h->files, chunk_list_get(snap->places, i), &snap->bytes, &c,
                    copied);
    return c;
}

static sonde_msec full_end(struct head *h, struct head_snapshot *snap, size_t i)
{
    size_t had = snap->bytes.len;
    bool copied;
    sonde_msec end = full_chunk(h, snap, i, &copied).chunk.maxt;

    snap->bytes.len = had;
    return end;
}

/* The first of `n` that does not end before `mint`. */
static size_t first_full(struct head *h, struct head_snapshot *snap, size_t n,
                         sonde_msec mint)
{
    size_t low = 0, high = n, step = 1;

    while (low < high) {
        size_t mid = step < high - low ? high - step : low;

        if (full_end(h, snap, mid) < mint) {
            low = mid + 1;
            step = (high - low + 1) / 2;
        } else {
            high = mid;
            step *= 2;
        }
    }
    return low;
}

/* Copied chunks lie in memory that may move until all are there: until then
 * their address is an offset and their count a mark. */
static void push(struct head_snapshot *snap, const struct chunk *c, bool copied,
                 size_t offset)
{
    struct chunk *to;

    snap->chunks = mem_grow(snap->chunks, &snap->cap, snap->count + 1,
                            sizeof(*snap->chunks));
    to = &snap->chunks[snap->count++];
    *to = *c;
    to->count = copied;
    if (copied)
        to->data.ptr = (const char *)(uintptr_t)offset;
}

static void add_full(struct head *h, size_t n, sonde_msec mint, sonde_msec maxt,
                     struct head_snapshot *snap)
{
    for (size_t i = first_full(h, snap, n, mint); i < n; i++) {
        size_t had = snap->bytes.len;
        bool copied;
        struct head_chunk c = full_chunk(h, snap, i, &copied);

        if (c.chunk.mint > maxt)
            return;
        push(snap, &c.chunk, copied, had);
    }
}

static void settle(struct head_snapshot *snap)
{
    for (size_t i = 0; i < snap->count; i++) {
        struct chunk *c = &snap->chunks[i];

        if (c->count)
            c->data.ptr = snap->bytes.data + (uintptr_t)c->data.ptr;
        c->count = chunk_count(c->data);
    }
}

/* ---- the doors -------------------------------------------------------- */

/* The flags of the series; -1: there is none. */
static int take(struct head *h, uint32_t id, sonde_msec mint, sonde_msec maxt,
                struct head_snapshot *snap)
{
    struct walk w = walk_of(h);
    struct series *s = walk_to_id(&w, id);
    struct chunk open;
    bool opened = false;
    size_t n = 0;
    int flags = -1;

    snap->count = 0;
    buf_reset(&snap->bytes);
    if (s) {
        n = copy_places(s, snap);
        opened = copy_open(s, mint, maxt, snap, &open);
        flags = s->flags;
    }
    walk_end(&w);
    add_full(h, n, mint, maxt, snap);
    if (opened)
        push(snap, &open, true, 0);
    settle(snap);
    return flags;
}

bool head_snapshot_take(struct head *h, uint32_t id, sonde_msec mint,
                        sonde_msec maxt, struct head_snapshot *snap)
{
    return take(h, id, mint, maxt, snap) >= 0;
}

void head_snapshot_fini(struct head_snapshot *snap)
{
    buf_fini(&snap->bytes);
    free(snap->chunks);
    free(snap->places);
    *snap = (struct head_snapshot){ 0 };
}

static sonde_code read_chunk(const struct chunk *c, sonde_msec mint,
                             sonde_msec maxt, struct columns *out,
                             struct sonde_err *err)
{
    size_t from = out->count;
    sonde_code rc = chunk_decode(c->encoding, c->data, out, err);

    if (c->mint < mint || c->maxt > maxt)
        columns_trim(out, from, mint, maxt);
    return rc;
}

sonde_code head_read(struct head *h, uint32_t id, sonde_msec mint,
                     sonde_msec maxt, struct columns *out,
                     struct sonde_err *err)
{
    struct head_snapshot snap = { 0 };
    size_t from = out->count;
    int flags = take(h, id, mint, maxt, &snap);
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < snap.count && rc == SONDE_OK; i++)
        rc = read_chunk(&snap.chunks[i], mint, maxt, out, err);
    head_snapshot_fini(&snap);
    if (rc == SONDE_OK && flags > 0 && flags & SERIES_LATE)
        rc = late_read(&h->late, id, mint, maxt, out, from, err);
    head_deleted_apply(&h->deleted, id, out, from);
    return rc;
}

/* Whether one of the full chunks whose list was copied overlaps. */
static bool full_overlaps(struct head *h, struct head_snapshot *snap, size_t n,
                          sonde_msec mint, sonde_msec maxt)
{
    size_t i = first_full(h, snap, n, mint);
    bool copied;

    return i < n && full_chunk(h, snap, i, &copied).chunk.mint <= maxt;
}

bool head_has_in_order(struct head *h, uint32_t id, sonde_msec mint,
                       sonde_msec maxt)
{
    struct head_snapshot snap = { 0 };
    struct walk w = walk_of(h);
    struct series *s = walk_to_id(&w, id);
    bool yes = false;
    size_t n = 0;

    if (s && s->open.count) {
        struct chunk c = head_open_chunk(s);

        yes = overlaps(&c, mint, maxt);
    }
    if (s && !yes)
        n = copy_places(s, &snap);
    walk_end(&w);
    if (!yes)
        yes = full_overlaps(h, &snap, n, mint, maxt);
    head_snapshot_fini(&snap);
    return yes;
}

bool head_has(struct head *h, uint32_t id, sonde_msec mint, sonde_msec maxt)
{
    struct walk w = walk_of(h);
    struct series *s = walk_to_id(&w, id);
    bool late = s && s->flags & SERIES_LATE;

    walk_end(&w);
    return head_has_in_order(h, id, mint, maxt) ||
           (late && late_overlaps(&h->late, id, mint, maxt));
}
