/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native histograms of a series: the open chunk, and where it ends, which is
 * Prometheus' rule:
 *
 * - where the encoding ends it: other buckets' layout, a counter reset;
 * - at the end of the two-hour range;
 * - at 2048 bytes, or at a time chosen at 256 bytes so that the chunks of a
 *   range come out equal at about 1024; but not below ten samples.
 *
 * Such a sample costs microseconds, not nanoseconds, so that a call into the
 * heap now and then does not count; the memory of chunks is for bytes.
 */
#include "tsdb/head_histograms.h"

#include "util/mem.h"

#define TARGET_BYTES 1024
#define SAMPLES_MIN  10

/* What size_class says when `chunk` is of histograms: the end was chosen. */
#define END_CHOSEN 1

struct chunk head_open_chunk(const struct series *s)
{
    const struct hist_chunk *c = series_hist_chunk(s);

    if (!c)
        return (struct chunk){
            .encoding = CHUNK_XOR,
            .data = { (const char *)s->chunk, xor_len(&s->open) },
            .mint = xor_first_time(s->chunk),
            .maxt = s->open.t,
            .count = s->open.count,
        };
    return (struct chunk){
        .encoding = hist_encoding(hist_chunk_is_float(c)),
        .data = hist_chunk_bytes(c),
        .mint = hist_chunk_first_time(c),
        .maxt = hist_chunk_last_time(c),
        .count = hist_chunk_count(c),
    };
}

void head_hist_seal(struct head *h, struct series *s, uint32_t id)
{
    struct chunk c = head_open_chunk(s);

    head_chunk_add(h, s, id, &c);
    hist_chunk_begin(series_hist_chunk(s));
    s->open.count = 0;
}

void head_hist_free(struct series *s)
{
    if (!(s->flags & SERIES_HIST))
        return;
    hist_chunk_free(series_hist_chunk(s));
    s->chunk = NULL;
    s->open.count = 0;
    s->flags &= (uint8_t)~SERIES_HIST;
}

void head_hist_leave(struct head *h, struct series *s, uint32_t id)
{
    if (s->open.count)
        head_hist_seal(h, s, id);
    head_hist_free(s);
}

/* Another kind of sample than before. */
static void enter(struct head *h, struct series *s, uint32_t id, bool is_float)
{
    (void)pthread_mutex_lock(&h->mem_lock);
    if (s->flags & SERIES_HIST)
        head_hist_leave(h, s, id);
    else if (s->open.count)
        head_seal(h, s, id);
    (void)pthread_mutex_unlock(&h->mem_lock);
    s->chunk = (uint8_t *)(void *)hist_chunk_new(is_float);
    s->open.count = 0;
    s->flags |= SERIES_HIST;
}

static void seal(struct head *h, struct series *s, uint32_t id)
{
    (void)pthread_mutex_lock(&h->mem_lock);
    head_hist_seal(h, s, id);
    (void)pthread_mutex_unlock(&h->mem_lock);
}

static bool is_full(struct series *s, const struct hist_chunk *c, sonde_msec t)
{
    size_t bytes = hist_chunk_bytes(c).len;
    sonde_msec first = hist_chunk_first_time(c);

    if (s->size_class != END_CHOSEN && bytes >= TARGET_BYTES / 4) {
        s->next_at = head_even_end(first, s->open.t, s->next_at,
                                   (double)TARGET_BYTES / (double)bytes);
        s->size_class = END_CHOSEN;
    }
    if (t < s->next_at && bytes < (size_t)2 * TARGET_BYTES)
        return false;
    return hist_chunk_count(c) >= SAMPLES_MIN || t >= head_range_end(first);
}

/* Seals what there is and begins anew. */
static void begin(struct head *h, struct series *s, uint32_t id, sonde_msec t,
                  bool end_chosen)
{
    if (s->open.count)
        seal(h, s, id);
    s->next_at = head_range_end(t);
    s->size_class = end_chosen ? END_CHOSEN : 0;
}

static unsigned append_chunked(struct head *h, struct series *s, uint32_t id,
                               sonde_msec t, const struct histogram *hist)
{
    struct hist_chunk *c = series_hist_chunk(s);
    bool end_chosen = false;

    if (!c || hist_chunk_is_float(c) != hist->is_float) {
        enter(h, s, id, hist->is_float);
        c = series_hist_chunk(s);
    }
    if (s->open.count && !is_full(s, c, t)) {
        if (hist_chunk_append(c, t, hist))
            return 0;
        /* which ends a chunk out of turn, and chooses no end for the next */
        end_chosen = s->size_class == END_CHOSEN;
    }
    begin(h, s, id, t, end_chosen);
    if (!hist_chunk_append(c, t, hist))
        SONDE_BUG("a histogram did not fit in an empty chunk");
    return 1;
}

unsigned head_append_histogram(struct head *h, struct series *s, uint32_t id,
                               sonde_msec t, const struct histogram *hist)
{
    unsigned begun = 0;

    s->flags |= SERIES_SEEN;
    if (h->log_only) {
        s->flags |= SERIES_HIST;
    } else {
        begun = append_chunked(h, s, id, t, hist);
        s->open.count = (uint16_t)hist_chunk_count(series_hist_chunk(s));
    }
    s->open.t = t;
    s->open.v = double_bits(hist->sum);
    return begun;
}

bool head_replay_histogram(struct head *h, struct series *s, uint32_t id,
                           sonde_msec t, const struct histogram *hist,
                           size_t *chunks)
{
    if (s->flags & SERIES_SEEN && t <= s->open.t)
        return false;
    *chunks += head_append_histogram(h, s, id, t, hist);
    return true;
}
