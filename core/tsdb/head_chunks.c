/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of a series: one open chunk that grows, full ones behind it.
 *
 * When a chunk ends is Prometheus' rule, sample for sample, so that blocks
 * made from either look alike: at the end of a two-hour range, at 240
 * samples, above 1005 bytes, and after a quarter of the 120 samples aimed at
 * the end is moved so that the chunks of the range come out equal. A full
 * chunk goes to head_files.h, which says where it is from then on; its room
 * goes to the next one to grow.
 *
 * Reading: the list of full chunks and the open chunk are copied under the
 * page's lock, a kilobyte or so; all else happens outside of it. Times of
 * full chunks are in their headers, which may have to come from the disk.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "util/mem.h"

#define TARGET_SAMPLES 120
#define BYTES_MAX      1005
#define FIRST_BYTES    32
#define OPEN_MAX       CHUNK_MEM_MAX

/* ---- appending -------------------------------------------------------- */

/* The end of the two-hour range of a time; division truncates as in Go. */
static sonde_msec range_end(sonde_msec t)
{
    sonde_msec end;

    if (__builtin_add_overflow(t / CHUNK_RANGE_MS * CHUNK_RANGE_MS,
                               CHUNK_RANGE_MS, &end))
        return INT64_MAX;
    return end;
}

/* At a quarter of a chunk: where it ends if the rest of the range is to be
 * divided evenly. */
static sonde_msec even_end(sonde_msec start, sonde_msec last, sonde_msec end)
{
    double left = (double)((uint64_t)end - (uint64_t)start);
    double n = left / (((double)((uint64_t)last - (uint64_t)start) + 1) * 4);

    if (n <= 1)
        return end;
    return (sonde_msec)((double)start + left / (double)(uint64_t)n);
}

static bool is_full(struct series *s, sonde_msec t)
{
    if (xor_len(&s->open) > BYTES_MAX)
        return true;
    if (s->open.count == TARGET_SAMPLES / 4)
        s->next_at = even_end(xor_first_time(s->chunk), s->open.t, s->next_at);
    return t >= s->next_at || s->open.count >= TARGET_SAMPLES * 2;
}

void head_chunk_add(struct head *h, struct series *s, uint32_t id,
                    const struct chunk *c)
{
    struct head_chunk full = { series_ref_of(s, id), false, *c };

    chunk_list_push(&h->mem, &s->full, head_files_add(h->files, &full));
    metric_inc(h->metrics.chunks_mapped);
}

void head_seal(struct head *h, struct series *s, uint32_t id)
{
    struct chunk c = {
        .encoding = CHUNK_XOR,
        .data = { (const char *)s->chunk, xor_len(&s->open) },
        .mint = xor_first_time(s->chunk),
        .maxt = s->open.t,
    };

    xor_seal(&s->open, s->chunk);
    head_chunk_add(h, s, id, &c);
    chunk_mem_put(&h->mem, s->size_class, s->chunk);
    s->chunk = NULL;
    s->open.count = 0;
}

static void begin(struct head *h, struct series *s, sonde_msec t)
{
    s->size_class = (uint8_t)chunk_class_for(FIRST_BYTES);
    s->chunk = chunk_mem_get(&h->mem, s->size_class);
    s->next_at = range_end(t);
    xor_begin(&s->open);
}

static void grow(struct head *h, struct series *s, size_t need)
{
    unsigned cls = chunk_class_for(need);
    uint8_t *p = chunk_mem_get(&h->mem, cls);

    memcpy(p, s->chunk, xor_len(&s->open));
    chunk_mem_put(&h->mem, s->size_class, s->chunk);
    s->chunk = p;
    s->size_class = (uint8_t)cls;
}

bool head_append(struct head *h, struct series *s, uint32_t id, sonde_msec t,
                 double v)
{
    bool begun = false;
    size_t need;

    s->flags |= SERIES_SEEN;
    if (h->log_only) {
        s->open.t = t;
        s->open.v = double_bits(v);
        return false;
    }
    if (s->open.count && is_full(s, t))
        head_seal(h, s, id);
    if (s->open.count == 0) {
        begin(h, s, t);
        begun = true;
    }
    need =
        xor_append(&s->open, s->chunk, chunk_class_bytes(s->size_class), t, v);
    if (need) {
        grow(h, s, need);
        need = xor_append(&s->open, s->chunk, chunk_class_bytes(s->size_class),
                          t, v);
        if (need)
            SONDE_BUG("a sample did not fit in its chunk: %zu", need);
    }
    return begun;
}

/* ---- reading ---------------------------------------------------------- */

void head_saw(struct head *h, sonde_msec mint, sonde_msec maxt)
{
    int64_t have = atomic_load(&h->min_time);

    while (mint < have &&
           !atomic_compare_exchange_weak(&h->min_time, &have, mint))
        ;
    have = atomic_load(&h->max_time);
    while (maxt > have &&
           !atomic_compare_exchange_weak(&h->max_time, &have, maxt))
        ;
}

/* Copies the list of full chunks; under the page's lock. */
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

static void push(struct head_snapshot *snap, const struct chunk *c)
{
    snap->chunks = mem_grow(snap->chunks, &snap->cap, snap->count + 1,
                            sizeof(*snap->chunks));
    snap->chunks[snap->count++] = *c;
}

/* `copied` chunks lie in memory that may move until all are there, so their
 * address is an offset and their count a mark. */
static void push_copied(struct head_snapshot *snap, const struct chunk *c,
                        size_t offset)
{
    push(snap, c);
    snap->chunks[snap->count - 1].data.ptr = (const char *)offset;
    snap->chunks[snap->count - 1].count = 1;
}

static bool overlaps(const struct chunk *c, sonde_msec mint, sonde_msec maxt)
{
    return c->mint <= maxt && c->maxt >= mint;
}

static struct chunk open_chunk(const struct series *s)
{
    return (struct chunk){
        .encoding = CHUNK_XOR,
        .data = { (const char *)s->chunk, xor_len(&s->open) },
        .mint = xor_first_time(s->chunk),
        .maxt = s->open.t,
    };
}

/* Under the page's lock. */
static void copy_open(const struct series *s, sonde_msec mint, sonde_msec maxt,
                      struct head_snapshot *snap)
{
    struct chunk c;

    if (s->open.count == 0)
        return;
    c = open_chunk(s);
    if (!overlaps(&c, mint, maxt))
        return;
    buf_put(&snap->bytes, c.data);
    xor_seal(&s->open, (uint8_t *)snap->bytes.data);
    push_copied(snap, &c, 0);
}

/* From the newest back. */
static void add_full(struct head *h, size_t n, sonde_msec mint, sonde_msec maxt,
                     struct head_snapshot *snap)
{
    while (n--) {
        size_t had = snap->bytes.len;
        struct head_chunk c;
        bool copied;

        head_files_read(h->files, chunk_list_get(snap->places, n), &snap->bytes,
                        &c, &copied);
        if (c.chunk.maxt < mint)
            return;
        if (c.chunk.mint > maxt)
            continue;
        if (copied)
            push_copied(snap, &c.chunk, had);
        else
            push(snap, &c.chunk);
    }
}

/* The oldest first, all with addresses and counts. */
static void put_in_order(struct head_snapshot *snap)
{
    for (size_t i = 0, k = snap->count; i + 1 < k; i++) {
        struct chunk c = snap->chunks[--k];

        snap->chunks[k] = snap->chunks[i];
        snap->chunks[i] = c;
    }
    for (size_t i = 0; i < snap->count; i++) {
        struct chunk *c = &snap->chunks[i];

        if (c->count)
            c->data.ptr = snap->bytes.data + (size_t)c->data.ptr;
        c->count = (uint32_t)xor_count(c->data);
    }
}

bool head_snapshot_take(struct head *h, uint32_t id, sonde_msec mint,
                        sonde_msec maxt, struct head_snapshot *snap)
{
    struct walk w = walk_of(h);
    struct series *s = walk_to_id(&w, id);
    size_t n = 0;

    snap->count = 0;
    buf_reset(&snap->bytes);
    if (s) {
        n = copy_places(s, snap);
        copy_open(s, mint, maxt, snap);
    }
    walk_end(&w);
    if (!s)
        return false;
    add_full(h, n, mint, maxt, snap);
    put_in_order(snap);
    return true;
}

void head_snapshot_fini(struct head_snapshot *snap)
{
    buf_fini(&snap->bytes);
    free(snap->chunks);
    free(snap->places);
    *snap = (struct head_snapshot){ 0 };
}

bool head_has(struct head *h, uint32_t id, sonde_msec mint, sonde_msec maxt)
{
    struct head_snapshot snap = { 0 };
    struct walk w = walk_of(h);
    struct series *s = walk_to_id(&w, id);
    size_t n = 0;
    bool yes = false;

    if (s && s->open.count) {
        struct chunk c = open_chunk(s);

        yes = overlaps(&c, mint, maxt);
    }
    if (s && !yes)
        n = copy_places(s, &snap);
    walk_end(&w);
    while (n-- && !yes) {
        struct head_chunk c;
        bool copied;

        buf_reset(&snap.bytes);
        head_files_read(h->files, chunk_list_get(snap.places, n), &snap.bytes,
                        &c, &copied);
        if (c.chunk.maxt < mint)
            break;
        yes = c.chunk.mint <= maxt;
    }
    head_snapshot_fini(&snap);
    return yes;
}

static sonde_code read_chunk(const struct chunk *c, sonde_msec mint,
                             sonde_msec maxt, struct columns *out,
                             struct sonde_err *err)
{
    size_t n, from = out->count;
    sonde_code rc;

    if (c->encoding != CHUNK_XOR)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "read a chunk: expected encoding %d, got %d",
                             CHUNK_XOR, (int)c->encoding);
    columns_reserve(out, c->count);
    rc = xor_decode(c->data, out->t + out->count, out->v + out->count, &n, err);
    out->count += n;
    if (c->mint < mint || c->maxt > maxt)
        columns_trim(out, from, mint, maxt);
    return rc;
}

sonde_code head_read(struct head *h, uint32_t id, sonde_msec mint,
                     sonde_msec maxt, struct columns *out,
                     struct sonde_err *err)
{
    struct head_snapshot snap = { 0 };
    sonde_code rc = SONDE_OK;

    (void)head_snapshot_take(h, id, mint, maxt, &snap);
    for (size_t i = 0; i < snap.count && rc == SONDE_OK; i++)
        rc = read_chunk(&snap.chunks[i], mint, maxt, out, err);
    head_snapshot_fini(&snap);
    return rc;
}

/* ---- the files -------------------------------------------------------- */

sonde_code head_map_chunks(struct head *h, struct sonde_err *err)
{
    if (!h->files)
        return SONDE_OK;
    head_files_cool(h->files);
    return head_files_flush(h->files, err);
}

void head_free_chunks(struct head *h)
{
    struct series_page *p;

    for (uint32_t n = 0; (p = series_table_next(&h->table, &n)); n++)
        for (uint32_t slot = 0; slot < PAGE_SERIES; slot++) {
            struct series *s = series_page_get(p, n * PAGE_SERIES + slot + 1);

            if (s)
                chunk_list_drop(&h->mem, &s->full, chunk_list_count(s->full));
        }
}
