/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples out of order in memory.
 *
 * A series that is late has a sorted buffer of a few samples (32, as in
 * Prometheus); a full one is encoded and becomes a chunk, so that a series
 * which stays late for hours costs bytes a sample, not 16. Chunks of a series
 * overlap as they like: a reader sorts. Series that never are late, nearly
 * all, pay a bit in their flags, so this is a table beside the head's.
 *
 * The first sample of a time stays: later ones are dropped while the buffer
 * shows them, and passed over by readers when it does not any more.
 *
 * A buffer is closed at the end of the commit that made it full. The chunk is
 * named in the log ("these samples are in that chunk") with the
 * samples that are logged next; a mark that was never written only costs a
 * replay some work. See wbl.c.
 */
#include "tsdb/late.h"

#include <stdlib.h>

#include "tsdb/head.h"
#include "util/mem.h"

#define INSERT_RUN    256   /* samples under the lock at once                */
#define CHUNK_SAMPLES 32768 /* of a buffer that one commit filled        */
#define LAZY_MAX      1024  /* samples of a buffer in a replay               */

void late_init(struct late *l)
{
    *l = (struct late){ .buffer_max = LATE_BUFFER_DEFAULT };
    (void)pthread_mutex_init(&l->log_lock, NULL);
    (void)pthread_mutex_init(&l->lock, NULL);
    atomic_init(&l->window_ms, 0);
    atomic_init(&l->min_time, INT64_MAX);
    atomic_init(&l->max_time, INT64_MIN);
    atomic_init(&l->chunk_count, 0);
}

void late_set_cap(struct late *l, size_t samples)
{
    if (samples > LATE_BUFFER_MAX)
        samples = LATE_BUFFER_MAX;
    l->buffer_max = samples ? samples : LATE_BUFFER_DEFAULT;
}

/* ---- the table: under the lock ---------------------------------------- */

static size_t place(const struct late *l, uint32_t id)
{
    size_t mask = l->table_size - 1;
    size_t i = (size_t)(id * UINT64_C(0x9E3779B97F4A7C15) >> 32) & mask;

    while (l->table[i] && (uint32_t)l->table[i]->ref != id)
        i = (i + 1) & mask;
    return i;
}

struct late_series *late_find(const struct late *l, uint32_t id)
{
    return l->table_size ? l->table[place(l, id)] : NULL;
}

void late_rebuild(struct late *l, size_t want)
{
    struct late_series **had = l->table;
    size_t had_size = l->table_size, size = 64;

    while (size < want * 2)
        size *= 2;
    l->table = mem_zalloc(size * sizeof(struct late_series *));
    l->table_size = size;
    l->count = 0;
    for (size_t i = 0; i < had_size; i++) {
        if (!had[i])
            continue;
        l->table[place(l, (uint32_t)had[i]->ref)] = had[i];
        l->count++;
    }
    free(had);
}

static struct late_series *find_or_make(struct late *l, series_ref ref)
{
    struct late_series *s = late_find(l, (uint32_t)ref);

    if (s)
        return s;
    if (l->count * 2 >= l->table_size)
        late_rebuild(l, l->count * 2);
    s = mem_new(struct late_series);
    s->ref = ref;
    s->epoch = l->epoch;
    l->table[place(l, (uint32_t)ref)] = s;
    l->count++;
    return s;
}

static void chunk_free(struct late_chunk *c)
{
    if (c->len)
        free(c->data);
}

void late_drop_chunks(struct late *l, struct late_series *s, uint32_t n)
{
    if (n == 0)
        return;
    for (uint32_t i = 0; i < n; i++)
        chunk_free(&s->chunks[i]);
    s->chunk_count -= n;
    memmove(s->chunks, s->chunks + n, s->chunk_count * sizeof(*s->chunks));
    atomic_fetch_sub(&l->chunk_count, n);
}

void late_series_free(struct late *l, struct late_series *s)
{
    if (!s)
        return;
    late_drop_chunks(l, s, (uint32_t)s->chunk_count);
    free(s->chunks);
    columns_fini(&s->buffer);
    free(s);
}

void late_fini(struct late *l)
{
    if (l->wbl && l->mark_count && wbl_append(l, NULL, 0, NULL) != SONDE_OK) {
        /* without its marks the log is read all the same */
    }
    for (size_t i = 0; i < l->table_size; i++)
        late_series_free(l, l->table[i]);
    free(l->table);
    free(l->marks);
    free(l->dir);
    wal_close(l->wbl);
    (void)pthread_mutex_destroy(&l->lock);
    (void)pthread_mutex_destroy(&l->log_lock);
}

/* ---- chunks: under the lock ------------------------------------------- */

static void chunk_add(struct late *l, struct late_series *s,
                      const struct late_chunk *c)
{
    s->chunks = mem_grow(s->chunks, &s->chunk_cap, s->chunk_count + 1,
                         sizeof(*s->chunks));
    s->chunks[s->chunk_count++] = *c;
    atomic_fetch_add(&l->chunk_count, 1);
}

struct closing {
    struct late *late;
    struct late_series *series;
};

static struct late_chunk in_memory(const struct chunk *chunk)
{
    struct late_chunk c = { .mint = chunk->mint,
                            .maxt = chunk->maxt,
                            .len = (uint32_t)chunk->data.len,
                            .encoding = (uint8_t)chunk->encoding,
                            .named = true };

    c.data = mem_alloc(c.len);
    memcpy(c.data, chunk->data.ptr, c.len);
    return c;
}

/* And the log shall know it. */
static struct late_chunk in_files(struct late *l, series_ref ref,
                                  const struct chunk *chunk)
{
    const struct head_chunk full = { ref, true, *chunk };
    struct late_chunk c = { .mint = chunk->mint,
                            .maxt = chunk->maxt,
                            .place = head_files_add(l->files, &full),
                            .encoding = (uint8_t)chunk->encoding,
                            .named = true };

    l->marks =
        mem_grow(l->marks, &l->mark_cap, l->mark_count + 1, sizeof(*l->marks));
    l->marks[l->mark_count++] =
        (struct late_mark){ ref, head_files_ref(l->files, c.place) };
    return c;
}

static sonde_code keep_chunk(void *arg, const struct chunk *chunk,
                             struct sonde_err *err)
{
    struct closing *c = arg;
    struct late_chunk kept = c->late->files
                                 ? in_files(c->late, c->series->ref, chunk)
                                 : in_memory(chunk);

    (void)err;
    chunk_add(c->late, c->series, &kept);
    return SONDE_OK;
}

void late_close_buffer(struct late *l, struct late_series *s)
{
    static const struct chunk_limits limits = { .samples = CHUNK_SAMPLES,
                                                .bytes = UINT32_MAX };
    struct closing c = { l, s };
    struct sonde_err err = { 0 };

    if (s->buffer.count == 0)
        return;
    if (chunks_cut(&s->buffer, 0, s->buffer.count, &limits, true, keep_chunk,
                   &c, &err) != SONDE_OK)
        SONDE_BUG("a buffer of late samples can not be encoded: %s", err.text);
    columns_reset(&s->buffer);
}

void late_series_cut(struct late *l, struct late_series *s)
{
    if (s->epoch == l->epoch)
        return;
    late_close_buffer(l, s);
    s->closed = (uint32_t)s->chunk_count;
    s->epoch = l->epoch;
}

void late_found_chunk(struct late *l, const struct head_chunk *c,
                      chunk_place place)
{
    const struct late_chunk found = { .mint = c->chunk.mint,
                                      .maxt = c->chunk.maxt,
                                      .place = place,
                                      .encoding = (uint8_t)c->chunk.encoding };

    (void)pthread_mutex_lock(&l->lock);
    chunk_add(l, find_or_make(l, c->series), &found);
    late_saw(l, found.mint, found.maxt);
    (void)pthread_mutex_unlock(&l->lock);
}

uint32_t late_oldest_file(struct late *l)
{
    uint32_t oldest = UINT32_MAX;

    (void)pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->table_size; i++) {
        const struct late_series *s = l->table[i];

        for (size_t k = 0; s && k < s->chunk_count; k++) {
            uint32_t file;

            if (s->chunks[k].len)
                continue;
            file =
                (uint32_t)(head_files_ref(l->files, s->chunks[k].place) >> 32);
            oldest = file < oldest ? file : oldest;
        }
    }
    (void)pthread_mutex_unlock(&l->lock);
    return oldest;
}

/* ---- inserting -------------------------------------------------------- */

void late_saw(struct late *l, sonde_msec mint, sonde_msec maxt)
{
    if (mint < atomic_load(&l->min_time))
        atomic_store(&l->min_time, mint);
    if (maxt > atomic_load(&l->max_time))
        atomic_store(&l->max_time, maxt);
}

/* Moves the last element of the buffer to where it belongs. */
static void sink(struct columns *b, size_t to)
{
    size_t last = b->count - 1, n = last - to;
    sonde_msec t = b->t[last];
    double v = b->v[last];

    memmove(b->t + to + 1, b->t + to, n * sizeof(*b->t));
    memmove(b->v + to + 1, b->v + to, n * sizeof(*b->v));
    b->t[to] = t;
    b->v[to] = v;
    if (b->h) {
        const struct histogram *h = b->h[last];

        memmove(b->h + to + 1, b->h + to, n * sizeof(*b->h));
        b->h[to] = h;
    }
}

static bool same_value(const struct columns *b, size_t at,
                       const struct late_sample *x)
{
    const struct histogram *h = b->h ? b->h[at] : NULL;

    if (!h || !x->h)
        return !h && !x->h && double_bits(b->v[at]) == double_bits(x->v);
    return histogram_same(h, x->h);
}

static enum append_verdict insert(struct late_series *s,
                                  const struct late_sample *x)
{
    struct columns *b = &s->buffer;
    size_t at = b->count;

    while (at && b->t[at - 1] > x->t)
        at--;
    if (at && b->t[at - 1] == x->t)
        return same_value(b, at - 1, x) ? APPEND_DUPLICATE_SAME
                                        : APPEND_DUPLICATE_OTHER;
    if (x->h)
        columns_push_histogram(b, x->t, histogram_dup(columns_arena(b), x->h));
    else
        columns_push(b, x->t, x->v);
    sink(b, at);
    return APPEND_TAKEN;
}

static void insert_one(struct late *l, struct late_series *s,
                       const struct late_sample *x, struct append_stats *stats)
{
    enum append_verdict v;

    late_series_cut(l, s);
    v = insert(s, x);
    append_stats_judged(stats, x->ref, x->t, v);
    if (v != APPEND_TAKEN)
        return;
    stats->out_of_order_taken++;
    stats->histograms += x->h != NULL;
    late_saw(l, x->t, x->t);
}

/* A buffer is closed behind the last sample of its series, so that nothing
 * that is logged before the chunk's mark is not in the chunk. */
void late_insert(struct head *h, const struct late_sample *samples, size_t n,
                 struct append_stats *stats)
{
    struct late *l = &h->late;
    size_t full = l->lazy ? LAZY_MAX : l->buffer_max;

    for (size_t i = 0; i < n; i++) {
        const struct late_sample *x = &samples[i];
        struct late_series *s;

        if (i % INSERT_RUN == 0)
            (void)pthread_mutex_lock(&l->lock);
        s = find_or_make(l, x->ref);
        insert_one(l, s, x, stats);
        if (s->buffer.count >= full && (i + 1 == n || x[1].ref != x->ref))
            late_close_buffer(l, s);
        if (i % INSERT_RUN == INSERT_RUN - 1 || i + 1 == n)
            (void)pthread_mutex_unlock(&l->lock);
    }
}
