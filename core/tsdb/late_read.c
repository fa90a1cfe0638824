/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading late samples into those that came in order.
 *
 * Chunks of a series overlap each other and the buffer, so what is decoded is
 * sorted, the first accepted of one time first, and then merged from the back
 * into what the caller has: usually a few samples into many, and all before
 * the oldest late one stays where it is. Bytes in memory are copied under the
 * lock and decoded outside of it; those in files stay as long as the caller
 * is registered with the head.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "util/buf.h"
#include "util/mem.h"

/* What is taken along from under the lock. */
struct late_view {
    struct buf bytes; /* of chunks in memory, one behind the other         */
    struct late_chunk *chunks; /* their bytes are there if they have any   */
    size_t count, cap;
    struct columns buffer; /* histograms are the output's arena's          */
};

static bool chunk_in(const struct late_chunk *c, sonde_msec mint,
                     sonde_msec maxt)
{
    return c->mint <= maxt && c->maxt >= mint;
}

static void view_chunk(struct late_view *v, const struct late_chunk *c)
{
    v->chunks = mem_grow(v->chunks, &v->cap, v->count + 1, sizeof(*v->chunks));
    v->chunks[v->count++] = *c;
    if (c->len)
        buf_bytes(&v->bytes, c->data, c->len);
}

static void view_buffer(struct late_view *v, const struct columns *b,
                        sonde_msec mint, sonde_msec maxt, struct columns *out)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct histogram *h = b->h ? b->h[i] : NULL;

        if (b->t[i] < mint || b->t[i] > maxt)
            continue;
        if (h)
            columns_push_histogram(&v->buffer, b->t[i],
                                   histogram_dup(columns_arena(out), h));
        else
            columns_push(&v->buffer, b->t[i], b->v[i]);
    }
}

/* `closed`: the chunks of the cut only. */
static void view_take(struct late *l, uint32_t id, sonde_msec mint,
                      sonde_msec maxt, bool closed, struct late_view *v,
                      struct columns *out)
{
    const struct late_series *s;
    size_t n;

    (void)pthread_mutex_lock(&l->lock);
    s = late_find(l, id);
    n = !s ? 0 : closed ? s->closed : s->chunk_count;
    for (size_t i = 0; i < n; i++)
        if (chunk_in(&s->chunks[i], mint, maxt))
            view_chunk(v, &s->chunks[i]);
    if (s && !closed)
        view_buffer(v, &s->buffer, mint, maxt, out);
    (void)pthread_mutex_unlock(&l->lock);
}

static void view_fini(struct late_view *v)
{
    buf_fini(&v->bytes);
    free(v->chunks);
    columns_fini(&v->buffer);
}

sonde_code late_chunk_decode(struct late *l, const struct late_chunk *c,
                             struct columns *out, struct sonde_err *err)
{
    struct head_chunk found;
    struct buf copy;
    bool copied;
    sonde_code rc;

    if (c->len)
        return chunk_decode((enum chunk_encoding)c->encoding,
                            (sonde_str){ c->data, c->len }, out, err);
    buf_init(&copy);
    head_files_read(l->files, c->place, &copy, &found, &copied);
    rc = chunk_decode(found.chunk.encoding, found.chunk.data, out, err);
    buf_fini(&copy);
    return rc;
}

static sonde_code view_decode(struct late *l, const struct late_view *v,
                              sonde_msec mint, sonde_msec maxt,
                              struct columns *out, struct sonde_err *err)
{
    size_t from = out->count, at = 0;

    for (size_t i = 0; i < v->count; i++) {
        struct late_chunk c = v->chunks[i];
        sonde_code rc;

        if (c.len)
            c.data = v->bytes.data + at;
        rc = late_chunk_decode(l, &c, out, err);
        if (rc != SONDE_OK)
            return sonde_err_prefix(err, "read late samples");
        at += c.len;
    }
    columns_trim(out, from, mint, maxt);
    for (size_t i = 0; i < v->buffer.count; i++) {
        if (v->buffer.h && v->buffer.h[i])
            columns_push_histogram(out, v->buffer.t[i], v->buffer.h[i]);
        else
            columns_push(out, v->buffer.t[i], v->buffer.v[i]);
    }
    return SONDE_OK;
}

/* ---- sorting and merging ---------------------------------------------- */

struct late_row {
    sonde_msec t;
    size_t at; /* where it was: the first of a time stays                  */
    double v;
    const struct histogram *h;
};

static int by_time(const void *a, const void *b)
{
    const struct late_row *x = a, *y = b;

    if (x->t != y->t)
        return x->t < y->t ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static bool has_time(const struct columns *c, size_t low, size_t high,
                     sonde_msec t)
{
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (c->t[mid] == t)
            return true;
        if (c->t[mid] < t)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* The rows from `mid` on, sorted, without those whose time is there. */
static struct late_row *rows_of(const struct columns *c, size_t from,
                                size_t mid, size_t *n)
{
    size_t all = c->count - mid, kept = 0;
    struct late_row *rows = mem_alloc(all * sizeof(*rows));

    for (size_t i = 0; i < all; i++)
        rows[i] = (struct late_row){ c->t[mid + i], i, c->v[mid + i],
                                     c->h ? c->h[mid + i] : NULL };
    qsort(rows, all, sizeof(*rows), by_time);
    for (size_t i = 0; i < all; i++)
        if ((kept == 0 || rows[kept - 1].t != rows[i].t) &&
            !has_time(c, from, mid, rows[i].t))
            rows[kept++] = rows[i];
    *n = kept;
    return rows;
}

/* What a histogram's hint says is about the one before it; of two that were
 * not appended one after the other nothing is known. */
static void forget_hint(struct columns *c, size_t at)
{
    const struct histogram *h = at < c->count ? c->h[at] : NULL;
    struct histogram *copy;

    if (!h || h->hint == HISTOGRAM_GAUGE || h->hint == HISTOGRAM_UNKNOWN_RESET)
        return;
    copy = arena_new(columns_arena(c), struct histogram);
    *copy = *h;
    copy->hint = HISTOGRAM_UNKNOWN_RESET;
    c->h[at] = copy;
}

/* Sorts what is from `mid` on into what is sorted from `from` on. */
static void merge(struct columns *c, size_t from, size_t mid)
{
    size_t n, i = mid, to;
    struct late_row *rows;

    if (c->count == mid)
        return;
    rows = rows_of(c, from, mid, &n);
    to = c->count = mid + n;
    while (n) {
        if (i > from && c->t[i - 1] > rows[n - 1].t) {
            i--;
            to--;
            c->t[to] = c->t[i];
            c->v[to] = c->v[i];
            if (c->h)
                c->h[to] = c->h[i];
            continue;
        }
        n--;
        to--;
        c->t[to] = rows[n].t;
        c->v[to] = rows[n].v;
        if (c->h) {
            c->h[to] = rows[n].h;
            forget_hint(c, to);
            forget_hint(c, to + 1);
        }
    }
    free(rows);
}

static sonde_code read_some(struct late *l, uint32_t id, sonde_msec mint,
                            sonde_msec maxt, bool closed, struct columns *out,
                            size_t from, struct sonde_err *err)
{
    struct late_view v = { 0 };
    size_t mid = out->count;
    sonde_code rc;

    buf_init(&v.bytes);
    view_take(l, id, mint, maxt, closed, &v, out);
    rc = view_decode(l, &v, mint, maxt, out, err);
    view_fini(&v);
    if (rc == SONDE_OK)
        merge(out, from, mid);
    return rc;
}

sonde_code late_read(struct late *l, uint32_t id, sonde_msec mint,
                     sonde_msec maxt, struct columns *out, size_t from,
                     struct sonde_err *err)
{
    return read_some(l, id, mint, maxt, false, out, from, err);
}

sonde_code late_cut_read(const struct late_cut *cut, uint32_t id,
                         sonde_msec mint, sonde_msec maxt, struct columns *out,
                         struct sonde_err *err)
{
    size_t from = out->count;
    sonde_code rc =
        read_some(&cut->head->late, id, mint, maxt, true, out, from, err);

    head_deleted_apply(&cut->head->deleted, id, out, from);
    return rc;
}

bool late_overlaps(struct late *l, uint32_t id, sonde_msec mint,
                   sonde_msec maxt)
{
    const struct late_series *s;
    bool yes;

    (void)pthread_mutex_lock(&l->lock);
    s = late_find(l, id);
    yes = s && s->buffer.count && s->buffer.t[0] <= maxt &&
          s->buffer.t[s->buffer.count - 1] >= mint;
    for (size_t i = 0; s && !yes && i < s->chunk_count; i++)
        yes = chunk_in(&s->chunks[i], mint, maxt);
    (void)pthread_mutex_unlock(&l->lock);
    return yes;
}
