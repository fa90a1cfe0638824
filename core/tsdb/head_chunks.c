/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of a series: one open chunk that grows, full ones behind it.
 *
 * When a chunk ends is Prometheus' rule but for two things: at the end of a
 * two-hour range, at 240 samples, by size, and after a quarter of the 120
 * samples aimed at the end is moved so that the chunks of the range come out
 * equal. Blocks do not show where ours differ: samples are cut into chunks
 * anew for them.
 *
 * The size is half of Prometheus': a chunk costs half its size while it grows
 * and five bytes when it is full, so that series whose samples take many
 * bytes need the least memory with chunks of about that size.
 *
 * The first chunk of a range is shorter, by another fraction for each page of
 * series. Else the chunks of all series would be full at the same time, and
 * memory would be needed for all of them full; so it is for half of that, and
 * chunks go to the disk at an even pace.
 *
 * A full chunk goes to head_files.h, which says where it is from then on; its
 * room goes to the next one to grow.
 *
 * Reading: the list of full chunks and the open chunk are copied under the
 * page's lock, a kilobyte or so; all else happens outside of it. Times of
 * full chunks are in their headers, which may have to come from the disk.
 */
#include <stdlib.h>

#include "tsdb/head_histograms.h"
#include "tsdb/walk.h"
#include "util/mem.h"

#define TARGET_SAMPLES 120
#define BYTES_MAX      (512 - 19)
#define PHASES         8
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

/* Where the open chunk ends, decided at a quarter of it. */
static sonde_msec chosen_end(const struct series *s, uint32_t id)
{
    sonde_msec start = xor_first_time(s->chunk), last = s->open.t;
    sonde_msec end = head_even_end(start, last, s->next_at, 4);
    uint32_t phase = series_page_number(id) % PHASES;
    bool first = !s->full || (uint64_t)s->next_at - (uint64_t)start >
                                 (uint64_t)CHUNK_RANGE_MS -
                                     ((uint64_t)last - (uint64_t)start);

    if (!first || phase == 0)
        return end;
    return last + (sonde_msec)(((uint64_t)end - (uint64_t)last) *
                               (PHASES - phase) / PHASES);
}

static bool is_full(struct series *s, uint32_t id, sonde_msec t)
{
    if (xor_len(&s->open) > BYTES_MAX)
        return true;
    if (s->open.count == TARGET_SAMPLES / 4)
        s->next_at = chosen_end(s, id);
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
    struct chunk c;

    if (s->flags & SERIES_HIST) {
        head_hist_seal(h, s, id);
        return;
    }
    c = (struct chunk){
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

void head_drop_open(struct head *h, struct series *s)
{
    if (!s->chunk)
        return;
    if (s->flags & SERIES_HIST) {
        head_hist_free(s);
        return;
    }
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
    if (s->open.count && is_full(s, id, t))
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

            if (!s)
                continue;
            head_hist_free(s);
            chunk_list_drop(&h->mem, &s->full, chunk_list_count(s->full));
        }
}
