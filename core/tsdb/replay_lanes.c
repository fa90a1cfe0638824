/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The samples of a log lie in the order of scrapes: one of each series, then
 * the next of each. Appended in that order every one of them misses the cache
 * twice (its series, the end of its chunk). So a million are gathered and
 * sorted roughly, by the page of their series into 256 lanes; then lane after
 * lane is appended, whose few hundred series stay in the cache meanwhile. The
 * order of one series' samples is kept, for it has one lane.
 *
 * There are two batches: while one is filled by who reads the log, the other
 * is appended by a crew of threads, which take lane by lane. When a batch is
 * full before the crew is done, the reader waits: that bounds the memory. A
 * log that fits into one batch is appended by the reader itself at the end,
 * and no thread is started.
 *
 * The crew is one thread: two spend more on the lock of the chunks' memory,
 * which every third sample needs, than they gain (measured with 2 processors).
 * To use more, each needs memory of its own.
 *
 * The reader makes series meanwhile, in pages that the crew works on: who
 * touches a series holds its page's lock.
 *
 * Rejected: a queue of records for each thread (threads alone do not help a
 * loop that waits for memory), sorting by series (a lane is small enough).
 */
#include "tsdb/replay_lanes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tsdb/head_histograms.h"
#include "tsdb/vm.h"
#include "tsdb/walk.h"
#include "util/mem.h"

#define SERIES_AHEAD 16
#define CHUNK_AHEAD  8
/* A batch with many copies is full before its blocks are. */
#define COPIES_BYTES ((size_t)16 << 20)

struct lane_thread {
    pthread_t thread;
    struct lane_crew *crew;
    struct lanes_result result;
};

struct lane_crew {
    struct lanes *lanes;
    size_t count;
    struct lane_thread threads[LANES_THREADS];
    atomic_uint next; /* lane of the batch to be taken                      */

    pthread_mutex_t lock; /* guards these                                 */
    pthread_cond_t work, done;
    struct lane_batch *batch; /* the one that is appended                 */
    uint64_t number;          /* of that batch, counted                   */
    size_t busy;
    bool stop;
};

/* ---- appending -------------------------------------------------------- */

static const struct lanes_result nothing = { .mint = INT64_MAX,
                                             .maxt = INT64_MIN };

/* Whether a sample is to be appended. */
static bool is_new(const struct lanes *l, struct lanes_result *r,
                   const struct series *s, sonde_msec t)
{
    if (t < l->min_valid || (s->flags & SERIES_SEEN && t <= s->open.t)) {
        r->old++;
        return false;
    }
    r->samples++;
    if (t < r->mint)
        r->mint = t;
    if (t > r->maxt)
        r->maxt = t;
    return true;
}

static void append_histogram(const struct lanes *l, struct lanes_result *r,
                             struct series *s, uint32_t id, sonde_msec t,
                             const struct histogram *hist)
{
    struct head *h = l->head;

    if (!is_new(l, r, s, t))
        return;
    (void)pthread_mutex_unlock(&h->mem_lock);
    r->chunks += head_append_histogram(h, s, id, t, hist);
    (void)pthread_mutex_lock(&h->mem_lock);
}

/* Sample by sample: what is full or in a block since is left out. */
static void append_chunk(const struct lanes *l, struct lanes_result *r,
                         struct series *s, uint32_t id,
                         const struct lane_chunk *chunk)
{
    struct columns *c = &r->scratch;
    struct sonde_err err;

    columns_reset(c);
    if (chunk_decode(chunk->encoding, chunk->data, c, &err) != SONDE_OK)
        r->bad_chunk = true;
    for (size_t i = 0; i < c->count; i++) {
        if (c->h && c->h[i])
            append_histogram(l, r, s, id, c->t[i], c->h[i]);
        else if (is_new(l, r, s, c->t[i]))
            r->chunks += head_append(l->head, s, id, c->t[i], c->v[i]);
    }
}

/* Speaks of samples that were there, not of what comes behind; other programs
 * write ranges without an end for series that are gone. */
static void delete_range(const struct lanes *l, const struct series *s,
                         const struct lane_item *item)
{
    struct time_range range = { item->t, (sonde_msec)item->bits };

    if (!(s->flags & SERIES_SEEN))
        return;
    if (range.maxt > s->open.t)
        range.maxt = s->open.t;
    if (range.maxt >= l->min_valid && range.mint <= range.maxt)
        head_deleted_add(&l->head->deleted, (uint32_t)item->ref, range);
}

static void append_other(const struct lanes *l, struct lanes_result *r,
                         struct series *s, const struct lane_item *item)
{
    const void *what = (const void *)(uintptr_t)item->bits;
    uint32_t id = (uint32_t)item->ref;

    switch ((enum lane_kind)(item->ref >> LANE_KIND_SHIFT)) {
    case LANE_HISTOGRAM:
        append_histogram(l, r, s, id, item->t, what);
        break;
    case LANE_CHUNK:
        append_chunk(l, r, s, id, what);
        break;
    default:
        delete_range(l, s, item);
        break;
    }
}

static void append_item(const struct lanes *l, struct lanes_result *r,
                        struct series *s, const struct lane_item *item)
{
    uint64_t ref = item->ref & LANE_REF_MASK;

    if (__builtin_expect(!s || s->era != ref >> 32 || !s->labels, 0)) {
        r->unknown += item->ref >> LANE_KIND_SHIFT != LANE_DELETION;
        if (ref > r->highest && ref <= SERIES_REF_MAX)
            r->highest = ref;
        return;
    }
    if (__builtin_expect(item->ref >> LANE_KIND_SHIFT != LANE_SAMPLE, 0))
        append_other(l, r, s, item);
    else if (is_new(l, r, s, item->t))
        r->chunks += head_append(l->head, s, (uint32_t)ref, item->t,
                                 bits_double(item->bits));
}

static void look_ahead(const struct lane_block *b, size_t i, struct walk *w)
{
    if (i + SERIES_AHEAD < b->count)
        walk_ahead(w, b->items[i + SERIES_AHEAD].ref);
    if (i + CHUNK_AHEAD < b->count) {
        uint64_t ref = b->items[i + CHUNK_AHEAD].ref;
        struct series *s;

        if (series_page_number(ref) != w->number || !w->page)
            return;
        s = series_page_get(w->page, ref);
        if (s && s->chunk)
            __builtin_prefetch(s->chunk + s->open.bits / 8, 1);
    }
}

static void append_block(const struct lanes *l, struct lanes_result *r,
                         const struct lane_block *b, struct walk *w)
{
    struct head *h = l->head;
    size_t i = 0;

    while (i < b->count) {
        struct series *s = walk_to_id(w, (uint32_t)b->items[i].ref);

        (void)pthread_mutex_lock(&h->mem_lock);
        for (;;) {
            look_ahead(b, i, w);
            append_item(l, r, s, &b->items[i]);
            if (++i == b->count ||
                series_page_number(b->items[i].ref) != w->number)
                break;
            s = w->page ? series_page_get(w->page, b->items[i].ref) : NULL;
        }
        (void)pthread_mutex_unlock(&h->mem_lock);
    }
}

static void append_lane(const struct lanes *l, struct lanes_result *r,
                        const struct lane_batch *batch, unsigned lane)
{
    struct walk w = walk_of(l->head);

    for (struct lane_block *b = batch->first[lane]; b; b = b->next)
        append_block(l, r, b, &w);
    walk_end(&w);
}

/* ---- the crew --------------------------------------------------------- */

static void *crew_main(void *arg)
{
    struct lane_thread *t = arg;
    struct lane_crew *c = t->crew;
    uint64_t seen = 0;

    (void)pthread_mutex_lock(&c->lock);
    for (;;) {
        unsigned lane;

        while (c->number == seen && !c->stop)
            (void)pthread_cond_wait(&c->work, &c->lock);
        if (c->number == seen)
            break;
        seen = c->number;
        (void)pthread_mutex_unlock(&c->lock);
        while ((lane = atomic_fetch_add(&c->next, 1)) < LANES)
            append_lane(c->lanes, &t->result, c->batch, lane);
        (void)pthread_mutex_lock(&c->lock);
        if (--c->busy == 0)
            (void)pthread_cond_signal(&c->done);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* If no thread can be started, the reader does the work. */
static struct lane_crew *crew_new(struct lanes *l)
{
    struct lane_crew *c = mem_new(struct lane_crew);

    c->lanes = l;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->work, NULL);
    (void)pthread_cond_init(&c->done, NULL);
    while (c->count < LANES_THREADS) {
        struct lane_thread *t = &c->threads[c->count];

        t->crew = c;
        t->result = nothing;
        if (pthread_create(&t->thread, NULL, crew_main, t) != 0)
            break;
        c->count++;
    }
    return c;
}

/* Returns when no batch is under way. */
static void crew_wait(struct lane_crew *c)
{
    (void)pthread_mutex_lock(&c->lock);
    while (c->busy)
        (void)pthread_cond_wait(&c->done, &c->lock);
    (void)pthread_mutex_unlock(&c->lock);
}

static void crew_start(struct lane_crew *c, struct lane_batch *batch)
{
    (void)pthread_mutex_lock(&c->lock);
    c->batch = batch;
    atomic_store(&c->next, 0);
    c->number++;
    c->busy = c->count;
    (void)pthread_cond_broadcast(&c->work);
    (void)pthread_mutex_unlock(&c->lock);
}

static void add_result(struct lanes_result *to, struct lanes_result *r)
{
    columns_fini(&r->scratch);
    to->bad_chunk = to->bad_chunk || r->bad_chunk;
    to->samples += r->samples;
    to->old += r->old;
    to->unknown += r->unknown;
    to->chunks += r->chunks;
    if (r->highest > to->highest)
        to->highest = r->highest;
    if (r->mint < to->mint)
        to->mint = r->mint;
    if (r->maxt > to->maxt)
        to->maxt = r->maxt;
}

static void crew_free(struct lane_crew *c)
{
    if (!c)
        return;
    (void)pthread_mutex_lock(&c->lock);
    c->stop = true;
    (void)pthread_cond_broadcast(&c->work);
    (void)pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->count; i++) {
        (void)pthread_join(c->threads[i].thread, NULL);
        add_result(&c->lanes->result, &c->threads[i].result);
    }
    (void)pthread_cond_destroy(&c->work);
    (void)pthread_cond_destroy(&c->done);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- batches ---------------------------------------------------------- */

static void batch_reset(struct lane_batch *b)
{
    memset(b->first, 0, sizeof(b->first));
    memset(b->last, 0, sizeof(b->last));
    b->used = 0;
    arena_reset(&b->arena);
    if (!b->blocks)
        b->blocks = vm_alloc(LANES_BLOCKS * sizeof(*b->blocks), 4096);
}

static void append_here(struct lanes *l)
{
    for (unsigned lane = 0; lane < LANES; lane++)
        append_lane(l, &l->result, l->filling, lane);
    batch_reset(l->filling);
}

/* The other batch is to be filled. */
static void hand_over(struct lanes *l)
{
    if (!l->crew)
        l->crew = crew_new(l);
    if (l->crew->count == 0) {
        append_here(l);
        return;
    }
    crew_wait(l->crew);
    crew_start(l->crew, l->filling);
    l->filling = &l->batches[l->filling == &l->batches[0]];
    batch_reset(l->filling);
}

struct lane_block *lanes_room(struct lanes *l, unsigned lane)
{
    struct lane_batch *batch;
    struct lane_block *b;

    if (l->filling->used == LANES_BLOCKS)
        hand_over(l);
    batch = l->filling;
    b = &batch->blocks[batch->used++];
    b->next = NULL;
    b->count = 0;
    if (batch->last[lane])
        batch->last[lane]->next = b;
    else
        batch->first[lane] = b;
    batch->last[lane] = b;
    return b;
}

/* Room in the lane first: what is copied to the batch's arena must be of the
 * batch that the item is in. */
static struct arena *room_for_copy(struct lanes *l, uint64_t ref)
{
    unsigned lane = series_page_number(ref) % LANES;
    const struct lane_block *b;

    if (l->filling->arena.used_bytes > COPIES_BYTES)
        hand_over(l);
    b = l->filling->last[lane];
    if (!b || b->count == LANE_ITEMS)
        (void)lanes_room(l, lane);
    return &l->filling->arena;
}

void lanes_put_histogram(struct lanes *l, uint64_t ref, sonde_msec t,
                         const struct histogram *h)
{
    const struct histogram *copy = histogram_dup(room_for_copy(l, ref), h);

    lanes_put(l, LANE_HISTOGRAM, ref, t, (uintptr_t)copy);
}

void lanes_put_chunk(struct lanes *l, uint64_t ref, const struct chunk *c)
{
    struct arena *a = room_for_copy(l, ref);
    struct lane_chunk *copy = arena_new(a, struct lane_chunk);

    copy->encoding = c->encoding;
    copy->data = arena_str(a, c->data);
    lanes_put(l, LANE_CHUNK, ref, 0, (uintptr_t)copy);
}

void lanes_init(struct lanes *l, struct head *h, sonde_msec min_valid)
{
    *l = (struct lanes){ .head = h, .min_valid = min_valid, .result = nothing };
    arena_init(&l->batches[0].arena);
    arena_init(&l->batches[1].arena);
    l->filling = &l->batches[0];
    batch_reset(l->filling);
}

void lanes_settle(struct lanes *l)
{
    if (!l->crew) {
        append_here(l);
        return;
    }
    hand_over(l);
    crew_wait(l->crew);
}

bool lanes_bad_chunk(const struct lanes *l)
{
    bool bad = l->result.bad_chunk;

    for (size_t i = 0; l->crew && i < l->crew->count; i++)
        bad = bad || l->crew->threads[i].result.bad_chunk;
    return bad;
}

void lanes_finish(struct lanes *l)
{
    lanes_settle(l);
    crew_free(l->crew);
    l->crew = NULL;
}

void lanes_fini(struct lanes *l)
{
    if (l->crew) {
        crew_wait(l->crew);
        crew_free(l->crew);
        l->crew = NULL;
    }
    for (size_t i = 0; i < 2; i++)
        if (l->batches[i].blocks)
            vm_free(l->batches[i].blocks,
                    LANES_BLOCKS * sizeof(struct lane_block));
    columns_fini(&l->result.scratch);
    for (size_t i = 0; i < 2; i++) {
        arena_fini(&l->batches[i].arena);
        l->batches[i].blocks = NULL;
    }
}
