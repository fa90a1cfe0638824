/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs into blocks. The sections of one window are read side by side: first
 * their strings, which become the block's symbols and tell each section's
 * numbers from the block's; then their series, which compare by those
 * numbers. A series that only one run has goes into the block as it is; one
 * that several have is decoded, sorted and cut anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cli/import_spill.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

struct source {
    struct reader r;
    uint64_t left; /* strings, or series, that were not read yet          */
    sonde_str string;
    uint32_t *numbers; /* of the block, by the section's                  */
    size_t number_count;
    struct block_pair *pairs; /* of the series that is next               */
    size_t pair_count, pair_cap;
    uint64_t chunk_count; /* which r is in front of                       */
};

struct merge {
    struct spill *spill;
    const uint8_t *map;
    struct block_writer *writer;
    struct source *sources;
    size_t count;
    size_t *heap;
    size_t heap_len;
    int (*cmp)(const struct source *a, const struct source *b);
    struct chunk *chunks; /* of the series that is written                */
    size_t chunk_count, chunk_cap;
    struct buf bytes; /* of those that were cut here                      */
    struct columns samples;
    sonde_msec mint, maxt;
    struct block_pair *pairs;
    size_t pair_cap;
};

/* ---- a heap of sources, the first run first --------------------------- */

static bool before(const struct merge *m, size_t a, size_t b)
{
    int cmp = m->cmp(&m->sources[a], &m->sources[b]);

    return cmp ? cmp < 0 : a < b;
}

static void push(struct merge *m, size_t source)
{
    size_t i = m->heap_len++;

    for (; i && before(m, source, m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = source;
}

static size_t pop(struct merge *m)
{
    size_t top = m->heap[0], last = m->heap[--m->heap_len], i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < m->heap_len &&
            before(m, m->heap[child + 1], m->heap[child]))
            child++;
        if (child >= m->heap_len || !before(m, m->heap[child], last))
            break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = last;
    return top;
}

/* ---- strings ------------------------------------------------------------ */

static int cmp_strings(const struct source *a, const struct source *b)
{
    return str_cmp(a->string, b->string);
}

static void next_string(struct merge *m, size_t i)
{
    struct source *s = &m->sources[i];

    if (!s->left)
        return;
    s->left--;
    s->string = reader_uvarint_str(&s->r);
    push(m, i);
}

static void merge_strings(struct merge *m)
{
    sonde_str last = { 0 };
    uint32_t number = 0;
    bool any = false;

    m->cmp = cmp_strings;
    m->heap_len = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct source *s = &m->sources[i];

        s->left = reader_uvarint(&s->r);
        s->numbers = mem_alloc((s->left + 1) * sizeof(*s->numbers));
        next_string(m, i);
    }
    while (m->heap_len) {
        size_t i = pop(m);
        struct source *s = &m->sources[i];

        if (!any || !sonde_str_eq(last, s->string))
            number = block_writer_symbol(m->writer, s->string);
        any = true;
        last = s->string;
        s->numbers[s->number_count++] = number;
        next_string(m, i);
    }
}

/* ---- series ------------------------------------------------------------- */

static int cmp_series(const struct source *a, const struct source *b)
{
    return block_pairs_cmp(a->pairs, a->pair_count, b->pairs, b->pair_count);
}

static void next_series(struct merge *m, size_t i)
{
    struct source *s = &m->sources[i];

    if (!s->left)
        return;
    s->left--;
    s->pair_count = reader_uvarint(&s->r);
    if (s->pair_count > s->pair_cap)
        s->pairs =
            mem_grow(s->pairs, &s->pair_cap, s->pair_count, sizeof(*s->pairs));
    for (size_t j = 0; j < s->pair_count; j++) {
        s->pairs[j].name = s->numbers[reader_uvarint(&s->r)];
        s->pairs[j].value = s->numbers[reader_uvarint(&s->r)];
    }
    s->chunk_count = reader_uvarint(&s->r);
    push(m, i);
}

static void add_chunk(struct merge *m, const struct chunk *c)
{
    m->chunks = mem_grow(m->chunks, &m->chunk_cap, m->chunk_count + 1,
                         sizeof(*m->chunks));
    m->chunks[m->chunk_count++] = *c;
}

static void read_chunks(struct merge *m, struct source *s)
{
    for (; s->chunk_count; s->chunk_count--) {
        struct chunk c = { .encoding = CHUNK_XOR };

        c.mint = reader_varint(&s->r);
        c.maxt = c.mint + (sonde_msec)reader_uvarint(&s->r);
        c.count = (uint32_t)reader_uvarint(&s->r);
        c.data = reader_uvarint_str(&s->r);
        add_chunk(m, &c);
    }
}

/* ---- series that several runs have -------------------------------------- */

/* The offset of the bytes stands for their place until all are there. */
static sonde_code on_cut(void *arg, const struct chunk *chunk,
                         struct sonde_err *err)
{
    struct merge *m = arg;
    struct chunk c = *chunk;

    (void)err;
    c.data.ptr = NULL;
    add_chunk(m, &c);
    buf_put(&m->bytes, chunk->data);
    return SONDE_OK;
}

static sonde_code cut_again(struct merge *m, struct sonde_err *err)
{
    static const struct chunk_limits limits = SPILL_CHUNK_LIMITS;
    size_t n = m->chunk_count, at = 0;
    sonde_code rc = SONDE_OK;

    columns_reset(&m->samples);
    for (size_t i = 0; i < n && rc == SONDE_OK; i++)
        rc = chunk_decode(CHUNK_XOR, m->chunks[i].data, &m->samples, err);
    m->spill->duplicates += spill_sort(&m->samples);
    m->chunk_count = 0;
    buf_reset(&m->bytes);
    if (rc == SONDE_OK)
        rc = chunks_cut(&m->samples, 0, m->samples.count, &limits, true, on_cut,
                        m, err);
    for (size_t i = 0; i < m->chunk_count; i++) {
        m->chunks[i].data.ptr = m->bytes.data + at;
        at += m->chunks[i].data.len;
    }
    return rc;
}

static void keep_pairs(struct merge *m, const struct source *s)
{
    if (s->pair_count > m->pair_cap)
        m->pairs =
            mem_grow(m->pairs, &m->pair_cap, s->pair_count, sizeof(*m->pairs));
    if (s->pair_count)
        memcpy(m->pairs, s->pairs, s->pair_count * sizeof(*m->pairs));
}

/* The series on top of the heap, from all sources that have it. */
static sonde_code put_series(struct merge *m, struct sonde_err *err)
{
    size_t i = pop(m), pairs = m->sources[i].pair_count;
    bool several = false;
    sonde_code rc = SONDE_OK;

    m->chunk_count = 0;
    keep_pairs(m, &m->sources[i]);
    read_chunks(m, &m->sources[i]);
    while (m->heap_len &&
           m->cmp(&m->sources[i], &m->sources[m->heap[0]]) == 0) {
        size_t j = pop(m);

        read_chunks(m, &m->sources[j]);
        next_series(m, j);
        several = true;
    }
    if (several)
        rc = cut_again(m, err);
    if (rc != SONDE_OK)
        return rc;
    next_series(m, i);
    if (m->chunks[0].mint < m->mint)
        m->mint = m->chunks[0].mint;
    if (m->chunks[m->chunk_count - 1].maxt > m->maxt)
        m->maxt = m->chunks[m->chunk_count - 1].maxt;
    return block_writer_series(m->writer, m->pairs, pairs, m->chunks,
                               m->chunk_count, err);
}

static sonde_code merge_series(struct merge *m, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    m->cmp = cmp_series;
    m->heap_len = 0;
    for (size_t i = 0; i < m->count; i++) {
        m->sources[i].left = reader_uvarint(&m->sources[i].r);
        next_series(m, i);
    }
    while (m->heap_len && rc == SONDE_OK)
        rc = put_series(m, err);
    return rc;
}

/* ---- blocks ------------------------------------------------------------- */

static void open_sources(struct merge *m, const struct spill_section *sections,
                         size_t n)
{
    m->count = n;
    m->sources = mem_zalloc(n * sizeof(*m->sources));
    m->heap = mem_alloc(n * sizeof(*m->heap));
    for (size_t i = 0; i < n; i++)
        m->sources[i].r =
            (struct reader){ m->map + sections[i].at,
                             m->map + m->spill->file_bytes, false };
}

static void close_sources(struct merge *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->sources[i].numbers);
        free(m->sources[i].pairs);
    }
    free(m->sources);
    free(m->heap);
}

static sonde_code write_block(struct merge *m, struct block_meta *meta,
                              struct sonde_err *err)
{
    const struct block_writer_options options = { .ulid = ulid_new(clock_now(
                                                      &clock_system)) };
    sonde_code rc = block_writer_new(m->spill->dir, &options, &m->writer, err);

    if (rc != SONDE_OK)
        return rc;
    m->mint = INT64_MAX;
    m->maxt = INT64_MIN;
    merge_strings(m);
    rc = merge_series(m, err);
    if (rc != SONDE_OK) {
        block_writer_discard(m->writer);
        return rc;
    }
    meta->mint = m->mint;
    meta->maxt = m->maxt + 1;
    return block_writer_finish(m->writer, meta, NULL, err);
}

static int cmp_sections(const void *a, const void *b)
{
    const struct spill_section *x = a, *y = b;

    if (x->window != y->window)
        return x->window < y->window ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at; /* runs in their order       */
}

static sonde_code merge_all(struct merge *m, struct progress *p,
                            void (*made)(void *arg,
                                         const struct block_meta *meta),
                            void *arg, struct sonde_err *err)
{
    const struct spill *s = m->spill;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0, end; i < s->section_count && rc == SONDE_OK; i = end) {
        struct block_meta meta = { 0 };

        for (end = i; end < s->section_count &&
                      s->sections[end].window == s->sections[i].window;)
            end++;
        open_sources(m, &s->sections[i], end - i);
        rc = write_block(m, &meta, err);
        close_sources(m);
        if (rc == SONDE_OK) {
            progress_hide(p);
            made(arg, &meta);
        }
        progress_add(p, end - i);
        block_meta_fini(&meta);
        (void)madvise((void *)(uintptr_t)m->map, s->file_bytes, MADV_DONTNEED);
    }
    return rc;
}

sonde_code spill_merge(struct spill *s, struct progress *p,
                       void (*made)(void *arg, const struct block_meta *meta),
                       void *arg, struct sonde_err *err)
{
    struct merge m = { .spill = s };
    sonde_code rc;
    void *map;

    if (!s->section_count)
        return SONDE_OK;
    map = mmap(NULL, s->file_bytes, PROT_READ, MAP_SHARED, s->fd, 0);
    if (map == MAP_FAILED)
        return fs_err(err, errno, "map the import file in", s->dir);
    m.map = map;
    qsort(s->sections, s->section_count, sizeof(*s->sections), cmp_sections);
    rc = merge_all(&m, p, made, arg, err);
    (void)munmap(map, s->file_bytes);
    free(m.chunks);
    free(m.pairs);
    buf_fini(&m.bytes);
    columns_fini(&m.samples);
    return rc;
}
