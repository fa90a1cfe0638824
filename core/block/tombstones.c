/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleted ranges, in memory and as a block's file. Prometheus writes them in
 * the order of a hash map, so they are sorted here after reading; added one
 * by one in order they go to the end without a search.
 */
#include <stdlib.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/fs.h"
#include "util/mem.h"

#define MAGIC                UINT32_C(0x0130BA30)
#define VERSION              1
#define HEADER_BYTES         5
#define CRC_BYTES            4
#define TOMBSTONES_BYTES_MAX (1u << 30)

void tombstones_fini(struct tombstones *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->items[i].ranges);
    free(t->items);
    *t = (struct tombstones){ 0 };
}

/* The first item whose ref is not below. */
static size_t lower_bound(const struct tombstones *t, uint64_t ref)
{
    size_t lo = 0, hi = t->count;

    if (hi && t->items[hi - 1].ref < ref)
        return hi;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (t->items[mid].ref < ref)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool touches(struct time_range a, struct time_range b)
{
    /* a begins first; one millisecond apart is together */
    return a.maxt == INT64_MAX || b.mint <= a.maxt + 1;
}

static void add_range(struct tombstone_series *s, struct time_range r)
{
    size_t at = s->count, end;

    while (at > 0 && s->ranges[at - 1].mint > r.mint)
        at--;
    if (at > 0 && touches(s->ranges[at - 1], r))
        r.mint = s->ranges[--at].mint;
    for (end = at; end < s->count && touches(r, s->ranges[end]); end++)
        if (s->ranges[end].maxt > r.maxt)
            r.maxt = s->ranges[end].maxt;
    if (end == at) { /* a place of its own */
        s->ranges =
            mem_grow(s->ranges, &s->cap, s->count + 1, sizeof(*s->ranges));
        memmove(s->ranges + at + 1, s->ranges + at,
                (s->count - at) * sizeof(*s->ranges));
        s->count++;
    } else { /* in place of those it touches */
        memmove(s->ranges + at + 1, s->ranges + end,
                (s->count - end) * sizeof(*s->ranges));
        s->count -= end - at - 1;
    }
    s->ranges[at] = r;
}

void tombstones_add(struct tombstones *t, uint64_t ref, struct time_range r)
{
    size_t at = lower_bound(t, ref);

    if (r.mint > r.maxt)
        return;
    if (at == t->count || t->items[at].ref != ref) {
        t->items = mem_grow(t->items, &t->cap, t->count + 1, sizeof(*t->items));
        memmove(t->items + at + 1, t->items + at,
                (t->count - at) * sizeof(*t->items));
        t->items[at] = (struct tombstone_series){ .ref = ref };
        t->count++;
    }
    add_range(&t->items[at], r);
}

const struct tombstone_series *tombstones_get(const struct tombstones *t,
                                              uint64_t ref)
{
    size_t at = lower_bound(t, ref);

    return at < t->count && t->items[at].ref == ref ? &t->items[at] : NULL;
}

size_t tombstones_ranges(const struct tombstones *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->count; i++)
        n += t->items[i].count;
    return n;
}

void tombstones_apply(const struct tombstone_series *s, struct columns *c,
                      size_t from)
{
    size_t kept = from, r = 0;

    if (!s)
        return;
    for (size_t i = from; i < c->count; i++) {
        while (r < s->count && s->ranges[r].maxt < c->t[i])
            r++;
        if (r < s->count && s->ranges[r].mint <= c->t[i])
            continue;
        c->t[kept] = c->t[i];
        c->v[kept] = c->v[i];
        if (c->h)
            c->h[kept] = c->h[i];
        kept++;
    }
    c->count = kept;
}

/* ---- the file ----------------------------------------------------------- */

struct stone {
    uint64_t ref;
    struct time_range range;
};

static int cmp_stones(const void *a, const void *b)
{
    const struct stone *x = a, *y = b;

    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return x->range.mint < y->range.mint ? -1 : x->range.mint > y->range.mint;
}

static sonde_code read_stones(sonde_str body, struct tombstones *out,
                              struct sonde_err *err)
{
    struct reader r = reader_of(body);
    struct stone *stones = NULL;
    size_t n = 0, cap = 0;

    while (reader_left(&r) && !r.failed) {
        stones = mem_grow(stones, &cap, n + 1, sizeof(*stones));
        stones[n].ref = reader_uvarint(&r);
        stones[n].range.mint = reader_varint(&r);
        stones[n].range.maxt = reader_varint(&r);
        n += !r.failed;
    }
    if (n)
        qsort(stones, n, sizeof(*stones), cmp_stones);
    for (size_t i = 0; i < n; i++)
        tombstones_add(out, stones[i].ref, stones[i].range);
    free(stones);
    return r.failed ? sonde_err_set(err, SONDE_ECORRUPT, "malformed entry")
                    : SONDE_OK;
}

static sonde_code read_file(sonde_str file, struct tombstones *out,
                            struct sonde_err *err)
{
    sonde_str body;

    if (file.len < HEADER_BYTES + CRC_BYTES)
        return sonde_err_set(err, SONDE_ECORRUPT, "%zu bytes are too few",
                             file.len);
    if (be32_get(file.ptr) != MAGIC || file.ptr[4] != VERSION)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "magic number or version is wrong");
    body = (sonde_str){ file.ptr + HEADER_BYTES,
                        file.len - HEADER_BYTES - CRC_BYTES };
    if (crc32c(0, body.ptr, body.len) != be32_get(body.ptr + body.len))
        return sonde_err_set(err, SONDE_ECORRUPT, "checksum is wrong");
    return read_stones(body, out, err);
}

sonde_code tombstones_read(const char *block_dir, struct tombstones *out,
                           struct sonde_err *err)
{
    struct arena a;
    struct buf file;
    const char *path;
    sonde_code rc;

    *out = (struct tombstones){ 0 };
    arena_init(&a);
    buf_init(&file);
    path = arena_printf(&a, "%s/tombstones", block_dir).ptr;
    rc = fs_read(path, TOMBSTONES_BYTES_MAX, &file, err);
    if (rc == SONDE_ENOTFOUND)
        rc = SONDE_OK;
    else if (rc == SONDE_OK && (rc = read_file(buf_str(&file), out, err)))
        (void)sonde_err_prefix(err, "%s", path);
    if (rc != SONDE_OK)
        tombstones_fini(out);
    buf_fini(&file);
    arena_fini(&a);
    return rc;
}

static void put_series(struct buf *b, const struct tombstone_series *s)
{
    for (size_t i = 0; i < s->count; i++) {
        buf_uvarint(b, s->ref);
        buf_varint(b, s->ranges[i].mint);
        buf_varint(b, s->ranges[i].maxt);
    }
}

sonde_code tombstones_write(const char *block_dir, const struct tombstones *t,
                            struct sonde_err *err)
{
    struct arena a;
    struct buf b;
    sonde_code rc;

    arena_init(&a);
    buf_init(&b);
    buf_be32(&b, MAGIC);
    buf_u8(&b, VERSION);
    for (size_t i = 0; i < t->count; i++)
        put_series(&b, &t->items[i]);
    buf_be32(&b,
             crc32c(0, b.data + HEADER_BYTES, b.len - (size_t)HEADER_BYTES));
    rc = fs_write_atomic(arena_printf(&a, "%s/tombstones", block_dir).ptr,
                         buf_str(&b), 0666, err);
    buf_fini(&b);
    arena_fini(&a);
    return rc;
}
