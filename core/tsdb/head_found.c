/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks that are in chunks_head when the store is opened. They are read
 * before the log, so their series are not known yet: each goes to the place
 * of its reference, where the log's record of the series finds it. The last
 * time of a series' chunks is the last time of the series, so that the replay
 * drops what they have already.
 *
 * Behind damage that rule would lose samples: chunks in between may be gone
 * which the log still has. So what was found behind damage is put aside, the
 * log is replayed without it, and then it is put where it fits: a chunk whose
 * time the replay has filled is not needed, any other is all that is left of
 * its samples.
 *
 * Single-threaded, before anybody else is there.
 */
#include <stdlib.h>

#include "tsdb/head_histograms.h"
#include "util/bytes.h"
#include "util/log.h"
#include "util/mem.h"

struct finding {
    struct head *head;
    size_t chunks, overlapping;
};

/* The series at a reference's place, made without labels if it is free; NULL
 * if another one is there. */
static struct series *place_for(struct head *h, series_ref ref)
{
    uint32_t id = (uint32_t)ref;
    struct series_page *p = series_table_make(&h->table, id);
    struct series *s = series_page_get(p, id);

    if (!s) {
        s = series_page_add(p, id);
        s->era = (uint8_t)(ref >> 32);
        xor_begin(&s->open);
    }
    return s->era == ref >> 32 ? s : NULL;
}

static void put_aside(struct head *h, chunk_place place,
                      const struct head_chunk *c)
{
    h->aside = mem_grow(h->aside, &h->aside_cap, h->aside_count + 1,
                        sizeof(*h->aside));
    h->aside[h->aside_count++] =
        (struct found_chunk){ (uint32_t)c->series, place, c->chunk.mint,
                              c->chunk.maxt };
}

static void found(void *arg, chunk_ref ref, chunk_place place,
                  const struct head_chunk *c, bool behind_damage)
{
    struct finding *f = arg;
    struct head *h = f->head;
    struct series *s;

    (void)ref;
    if (c->series >= h->next_ref)
        h->next_ref = c->series + 1;
    if ((uint32_t)c->series == 0 ||
        (!c->late && c->chunk.maxt < atomic_load(&h->min_valid)))
        return;
    s = place_for(h, c->series);
    if (s && c->late) {
        s->flags |= SERIES_LATE;
        late_found_chunk(&h->late, c, place);
        return;
    }
    if (!s || (s->full && c->chunk.mint <= s->open.t)) {
        f->overlapping++;
        return;
    }
    if (behind_damage) {
        put_aside(h, place, c);
        return;
    }
    chunk_list_push(&h->mem, &s->full, place);
    s->open.t = c->chunk.maxt;
    s->flags |= SERIES_SEEN;
    f->chunks++;
    head_saw(h, c->chunk.mint, c->chunk.maxt);
}

sonde_code head_open_files(struct head *h, const char *dir, bool read_only,
                           struct sonde_err *err)
{
    struct finding f = { .head = h };
    struct head_files_options o = {
        .read_only = read_only,
        .metrics = &h->metrics,
        .found = found,
        .arg = &f,
    };
    sonde_code rc = head_files_open(dir, &o, &h->files, err);

    atomic_fetch_add(&h->chunk_count, f.chunks);
    if (f.overlapping)
        log_warn("tsdb",
                 "head chunks that overlap others of their series are "
                 "left out",
                 LOG_NUM("chunks", f.overlapping));
    return rc;
}

/* ---- putting one where it fits ------------------------------------------ */

static struct chunk times_of(struct head *h, chunk_place place)
{
    struct head_chunk c;
    struct buf copy;
    bool copied;

    buf_init(&copy);
    head_files_read(h->files, place, &copy, &c, &copied);
    buf_fini(&copy);
    c.chunk.data = (sonde_str){ 0 };
    return c.chunk;
}

/* False if the series has samples of that time already. */
static bool fit(struct head *h, struct series *s, uint32_t id,
                chunk_place place)
{
    struct chunk c = times_of(h, place);
    size_t i;

    if (s->open.count && c.mint <= s->open.t &&
        c.maxt >= head_open_chunk(s).mint)
        return false;
    if (s->open.count && c.mint > s->open.t)
        head_seal(h, s, id);
    for (i = chunk_list_count(s->full); i > 0; i--) {
        struct chunk before = times_of(h, chunk_list_get(s->full, i - 1));

        if (before.maxt < c.mint)
            break;
        if (before.mint <= c.maxt)
            return false;
    }
    chunk_list_insert(&h->mem, &s->full, i, place);
    if (!s->open.count && (!(s->flags & SERIES_SEEN) || c.maxt > s->open.t)) {
        s->open.t = c.maxt;
        s->flags |= SERIES_SEEN;
    }
    atomic_fetch_add(&h->chunk_count, 1);
    head_saw(h, c.mint, c.maxt);
    return true;
}

/* Nobody else is there, and both may be of one page: no locks. */
static struct series *series_of(struct head *h, uint32_t id)
{
    struct series_page *p = series_table_page(&h->table, id);

    return p ? series_page_get(p, id) : NULL;
}

void head_chunks_join(struct head *h, uint32_t id, series_ref ref)
{
    struct series *s = series_of(h, id), *from = series_of(h, (uint32_t)ref);
    size_t n = from ? chunk_list_count(from->full) : 0;

    if (!s || s == from || n == 0 || from->labels || from->era != ref >> 32)
        return;
    for (size_t i = 0; i < n; i++)
        (void)fit(h, s, id, chunk_list_get(from->full, i));
    chunk_list_drop(&h->mem, &from->full, n);
    atomic_fetch_sub(&h->chunk_count, n);
}

static void fit_aside(struct head *h)
{
    size_t used = 0;

    for (size_t i = 0; i < h->aside_count; i++) {
        const struct found_chunk *c = &h->aside[i];
        uint32_t to = head_alias(h, c->id);
        struct series *s = series_of(h, to ? to : c->id);

        if (s && s->labels)
            used += fit(h, s, to ? to : c->id, c->place);
    }
    if (h->aside_count)
        log_info("tsdb", "head chunks behind damage that the log did not have",
                 LOG_NUM("chunks", used),
                 LOG_NUM("not_needed", h->aside_count - used));
    free(h->aside);
    h->aside = NULL;
    h->aside_count = h->aside_cap = 0;
}

/* ---- what is left ------------------------------------------------------- */

/* The value that goes with the last time, to tell a sample that is sent again
 * from another one; nothing but that is lost if it can not be had. */
static void recall_value(struct head *h, struct series *s)
{
    size_t n = chunk_list_count(s->full);
    struct columns c = { 0 };
    struct head_chunk last;
    struct buf copy;
    bool copied;

    if (s->open.count || n == 0)
        return;
    buf_init(&copy);
    head_files_read(h->files, chunk_list_get(s->full, n - 1), &copy, &last,
                    &copied);
    if (chunk_decode(last.chunk.encoding, last.chunk.data, &c, NULL) ==
            SONDE_OK &&
        c.count && c.t[c.count - 1] == s->open.t)
        s->open.v = double_bits(c.v[c.count - 1]);
    columns_fini(&c);
    buf_fini(&copy);
}

static void settle_page(struct head *h, struct series_page *p, uint32_t number,
                        size_t *lost)
{
    for (uint32_t slot = 0; slot < PAGE_SERIES; slot++) {
        uint32_t id = number * PAGE_SERIES + slot + 1;
        struct series *s = series_page_get(p, id);
        size_t n = s ? chunk_list_count(s->full) : 0;

        if (!s)
            continue;
        if (s->labels) {
            recall_value(h, s);
            continue;
        }
        *lost += n;
        chunk_list_drop(&h->mem, &s->full, n);
        atomic_fetch_sub(&h->chunk_count, n);
        series_page_remove(p, id);
    }
    if (p->count == 0)
        series_table_remove(&h->table, p);
}

void head_settle_chunks(struct head *h)
{
    struct series_page *p;
    size_t lost = 0;

    postings_sort(&h->postings);
    if (!h->files)
        return;
    fit_aside(h);
    for (uint32_t n = 0; (p = series_table_next(&h->table, &n)); n++)
        settle_page(h, p, n, &lost);
    if (lost)
        log_warn("tsdb", "head chunks have no series in the log; left out",
                 LOG_NUM("chunks", lost));
}
