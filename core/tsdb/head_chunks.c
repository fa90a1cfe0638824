/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of a series: one open chunk that grows, full ones behind it.
 *
 * When a chunk ends is Prometheus' rule, sample for sample, so that blocks
 * made from either look alike: at the end of a two-hour range, at 240
 * samples, above 1005 bytes, and after a quarter of the 120 samples aimed at
 * the end is moved so that the chunks of the range come out equal. A full
 * chunk is copied to where it needs no byte more than it has; its room goes
 * to the next one to grow.
 *
 * Reading: full chunks never change and need no lock; the open one is copied
 * under the page's lock, a kilobyte at most, and decoded outside of it.
 */
#include <stdlib.h>

#include "tsdb/head.h"
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

static void seal(struct head *h, struct series *s)
{
    size_t len = xor_len(&s->open);
    struct chunk_desc *c = chunk_mem_pack(&h->mem, sizeof(*c), 8);
    uint8_t *data = chunk_mem_pack(&h->mem, len, 1);

    xor_seal(&s->open, s->chunk);
    memcpy(data, s->chunk, len);
    *c = (struct chunk_desc){
        .mint = xor_first_time(data),
        .maxt = s->open.t,
        .data = data,
        .before = s->full,
        .len = (uint32_t)len,
        .count = s->open.count,
    };
    s->full = c;
    chunk_mem_put(&h->mem, s->size_class, s->chunk);
    s->chunk = NULL;
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

bool head_append(struct head *h, struct series *s, sonde_msec t, double v)
{
    bool begun = false;
    size_t need;

    s->flags |= SERIES_SEEN;
    if (h->log_only) {
        s->open.t = t;
        s->open.v = double_bits(v);
        return false;
    }
    if (s->open.count && is_full(s, t)) {
        seal(h, s);
        s->open.count = 0;
    }
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

bool series_overlaps(const struct series *s, sonde_msec mint, sonde_msec maxt)
{
    if (s->open.count && s->open.t >= mint && xor_first_time(s->chunk) <= maxt)
        return true;
    for (const struct chunk_desc *c = s->full; c && c->maxt >= mint;
         c = c->before)
        if (c->mint <= maxt)
            return true;
    return false;
}

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
    if (h->grew)
        h->grew(h->grew_arg);
}

static sonde_code read_chunk(const struct chunk_desc *d, sonde_msec mint,
                             sonde_msec maxt, struct columns *out,
                             struct sonde_err *err)
{
    sonde_str chunk = { (const char *)d->data, d->len };
    size_t n, from = out->count;
    sonde_code rc;

    columns_reserve(out, xor_count(chunk));
    rc = xor_decode(chunk, out->t + out->count, out->v + out->count, &n, err);
    out->count += n;
    if (d->mint < mint || d->maxt > maxt)
        columns_trim(out, from, mint, maxt);
    return rc;
}

/* What a reader takes along from under the page's lock. */
struct snapshot {
    const struct chunk_desc *full;
    bool late;
    struct chunk_desc open; /* count 0: none                              */
    uint8_t data[OPEN_MAX];
};

static bool snapshot_take(struct head *h, uint32_t ref, struct snapshot *snap)
{
    struct series_page *p = series_table_page(&h->table, ref);
    struct series *s;

    if (!p)
        return false;
    (void)pthread_mutex_lock(&p->lock);
    s = series_page_get(p, ref);
    if (s) {
        snap->full = s->full;
        snap->late = s->flags & SERIES_LATE;
        snap->open =
            (struct chunk_desc){ .data = snap->data, .count = s->open.count };
    }
    if (s && s->open.count) {
        snap->open.len = (uint32_t)xor_len(&s->open);
        snap->open.mint = xor_first_time(s->chunk);
        snap->open.maxt = s->open.t;
        memcpy(snap->data, s->chunk, snap->open.len);
        xor_seal(&s->open, snap->data);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return s != NULL;
}

static bool overlaps(const struct chunk_desc *c, sonde_msec mint,
                     sonde_msec maxt)
{
    return c->mint <= maxt && c->maxt >= mint;
}

/* Full chunks are chained from the newest back; they are read forwards. */
static sonde_code read_full(const struct chunk_desc *newest, sonde_msec mint,
                            sonde_msec maxt, struct columns *out,
                            struct sonde_err *err)
{
    const struct chunk_desc **chain = NULL;
    size_t n = 0, cap = 0;
    sonde_code rc = SONDE_OK;

    for (const struct chunk_desc *c = newest; c && c->maxt >= mint;
         c = c->before) {
        if (!overlaps(c, mint, maxt))
            continue;
        chain = mem_grow(chain, &cap, n + 1, sizeof(struct chunk_desc *));
        chain[n++] = c;
    }
    while (n && rc == SONDE_OK)
        rc = read_chunk(chain[--n], mint, maxt, out, err);
    free(chain);
    return rc;
}

sonde_code head_read(struct head *h, uint32_t ref, sonde_msec mint,
                     sonde_msec maxt, struct columns *out,
                     struct sonde_err *err)
{
    struct snapshot snap;
    size_t from = out->count;
    sonde_code rc;

    if (!snapshot_take(h, ref, &snap))
        return SONDE_OK;
    rc = read_full(snap.full, mint, maxt, out, err);
    if (rc == SONDE_OK && snap.open.count && overlaps(&snap.open, mint, maxt))
        rc = read_chunk(&snap.open, mint, maxt, out, err);
    if (rc == SONDE_OK && snap.late)
        rc = late_read(&h->late, ref, mint, maxt, out, from, err);
    head_deleted_apply(&h->deleted, ref, out, from);
    return rc;
}
