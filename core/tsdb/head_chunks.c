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

#include "tsdb/head_histograms.h"
#include "util/mem.h"

#define TARGET_SAMPLES 120
#define BYTES_MAX      1005
#define FIRST_BYTES    32
#define OPEN_MAX       CHUNK_MEM_MAX

/* ---- appending -------------------------------------------------------- */

/* Division truncates as in Go. */
sonde_msec head_range_end(sonde_msec t)
{
    sonde_msec end;

    if (__builtin_add_overflow(t / CHUNK_RANGE_MS * CHUNK_RANGE_MS,
                               CHUNK_RANGE_MS, &end))
        return INT64_MAX;
    return end;
}

sonde_msec head_even_end(sonde_msec start, sonde_msec last, sonde_msec end,
                         double ratio)
{
    double left = (double)((uint64_t)end - (uint64_t)start);
    double n =
        left / (((double)((uint64_t)last - (uint64_t)start) + 1) * ratio);

    if (n <= 1)
        return end;
    return (sonde_msec)((double)start + left / (double)(uint64_t)n);
}

static bool is_full(struct series *s, sonde_msec t)
{
    if (xor_len(&s->open) > BYTES_MAX)
        return true;
    if (s->open.count == TARGET_SAMPLES / 4)
        s->next_at =
            head_even_end(xor_first_time(s->chunk), s->open.t, s->next_at, 4);
    return t >= s->next_at || s->open.count >= TARGET_SAMPLES * 2;
}

void head_chunk_add(struct head *h, struct series *s, uint32_t id,
                    const struct chunk *full)
{
    struct chunk_desc *c = chunk_mem_pack(&h->mem, sizeof(*c), 8);
    uint8_t *data = full->data.len <= CHUNK_MEM_REGION
                        ? chunk_mem_pack(&h->mem, full->data.len, 1)
                        : mem_alloc(full->data.len);

    (void)id;
    memcpy(data, full->data.ptr, full->data.len);
    *c = (struct chunk_desc){
        .mint = full->mint,
        .maxt = full->maxt,
        .data = data,
        .before = s->full,
        .len = (uint32_t)full->data.len,
        .encoding = full->encoding,
        .count = chunk_count(full->data),
    };
    s->full = c;
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
    s->next_at = head_range_end(t);
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

    if (__builtin_expect(s->flags & SERIES_HIST, 0))
        head_hist_leave(h, s, id);
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

static sonde_msec open_first_time(const struct series *s)
{
    return s->flags & SERIES_HIST ? head_hist_open(s).mint
                                  : xor_first_time(s->chunk);
}

bool series_overlaps(const struct series *s, sonde_msec mint, sonde_msec maxt)
{
    if (s->open.count && s->open.t >= mint && open_first_time(s) <= maxt)
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
    size_t from = out->count;
    sonde_code rc =
        chunk_decode((enum chunk_encoding)d->encoding, chunk, out, err);

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
    uint8_t *large; /* instead of `data`, of histograms                    */
};

static void copy_histograms(struct snapshot *snap, const struct series *s)
{
    struct chunk c = head_hist_open(s);

    snap->large = mem_alloc(c.data.len);
    memcpy(snap->large, c.data.ptr, c.data.len);
    snap->open = (struct chunk_desc){
        .mint = c.mint,
        .maxt = c.maxt,
        .data = snap->large,
        .len = (uint32_t)c.data.len,
        .count = (uint16_t)c.count,
        .encoding = c.encoding,
    };
}

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
        snap->open = (struct chunk_desc){ .data = snap->data,
                                          .count = s->open.count,
                                          .encoding = CHUNK_XOR };
    }
    if (s && s->open.count && s->flags & SERIES_HIST) {
        copy_histograms(snap, s);
    } else if (s && s->open.count) {
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

    snap.large = NULL;
    if (!snapshot_take(h, ref, &snap))
        return SONDE_OK;
    rc = read_full(snap.full, mint, maxt, out, err);
    if (rc == SONDE_OK && snap.open.count && overlaps(&snap.open, mint, maxt))
        rc = read_chunk(&snap.open, mint, maxt, out, err);
    free(snap.large);
    if (rc == SONDE_OK && snap.late)
        rc = late_read(&h->late, ref, mint, maxt, out, from, err);
    head_deleted_apply(&h->deleted, ref, out, from);
    return rc;
}
