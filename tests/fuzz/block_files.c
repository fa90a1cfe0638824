/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as a block: 2 bytes say how long the index is, the chunk file is the
 * rest. Checksums are put right wherever they would be looked at, so that the
 * decoders behind them are reached; then all of it is read, verified, and
 * asked by matchers.
 */
#include <stdlib.h>
#include <string.h>

#include "block/block_int.h"
#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of a body at `at`, if it and its checksum are inside. */
static void fix(uint8_t *p, size_t size, uint64_t at, uint64_t len)
{
    if (at <= size && len <= size - at && size - at - len >= 4)
        be32_put(p + at + len, crc32c(0, p + at, len));
}

static void fix_section(uint8_t *p, size_t size, uint64_t at)
{
    if (at <= size && size - at >= 4)
        fix(p, size, at + 4, be32_get(p + at));
}

static void fix_entries(uint8_t *p, size_t size, uint64_t at, size_t align,
                        size_t extra)
{
    while (at < size) {
        struct reader r;
        uint64_t len;

        at += -at & (align - 1);
        if (at >= size)
            return;
        r = (struct reader){ p + at, p + size, false };
        len = reader_uvarint(&r);
        at = (uint64_t)(r.p - p);
        if (r.failed || len > size || len + extra > size - at)
            return;
        fix(p, size, at, len + extra);
        at += len + extra + 4;
    }
}

static void fix_index(uint8_t *p, size_t size)
{
    uint64_t toc;

    if (size < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
        return;
    toc = size - INDEX_TOC_BYTES;
    be32_put(p, INDEX_MAGIC);
    p[4] = (uint8_t)(p[4] % 4);
    fix_section(p, toc, be64_get(p + toc));
    fix_entries(p, toc, be64_get(p + toc + 8), p[4] == 1 ? 1 : 16, 0);
    fix_section(p, toc, be64_get(p + toc + 24));
    fix_section(p, toc, be64_get(p + toc + 40));
    fix(p, size, toc, INDEX_TOC_BYTES - 4);
}

struct walk {
    struct block *b;
    uint8_t *bytes;
    size_t size;
};

static bool on_value(void *arg, sonde_str value, uint64_t offset)
{
    struct walk *w = arg;
    struct block_postings p;
    struct block_series s = { 0 };
    uint32_t number;

    fix_section(w->bytes, w->size - INDEX_TOC_BYTES, offset);
    (void)block_symbol_find(w->b, value, &number);
    if (block_postings_at(w->b, offset, &p, NULL) == SONDE_OK)
        for (uint32_t i = 0; i < p.count && i < 50; i++)
            if (block_series(w->b, block_posting(&p, i), &s, NULL))
                break;
    block_series_fini(&s);
    return true;
}

static bool on_name(void *arg, sonde_str name)
{
    struct walk *w = arg;
    struct block_postings p;

    block_values(w->b, name, on_value, w);
    return block_postings(w->b, name, name, &p, NULL) == SONDE_OK;
}

static void walk(struct walk *w)
{
    struct sonde_err err;

    block_values(w->b, SONDE_STR(""), on_value, w);
    block_names(w->b, on_name, w);
    for (uint32_t i = 0; i < 100; i++)
        (void)block_symbol(w->b, i);
    if (block_verify(w->b, NULL, NULL, &err) != SONDE_OK && !err.text[0])
        abort();
}

static void ask(struct querier *q, const struct matcher *ms, size_t n)
{
    struct columns c = { 0 };
    struct storage_series *s;
    struct sonde_list values;
    struct series_set *set;
    struct arena arena;
    sonde_code rc;

    arena_init(&arena);
    (void)q->ops->label_values(q, NULL, ms, n, NULL, &arena, &values, NULL);
    (void)q->ops->label_values(q, &ms[0].name, ms, n, NULL, &arena, &values,
                               NULL);
    if (q->ops->select(q, ms, n, NULL, &set, NULL) == SONDE_OK) {
        while ((rc = set->ops->next(set, &s, NULL)) != SONDE_ENOTFOUND) {
            c.count = 0;
            if (rc == SONDE_OK)
                (void)s->ops->read(s, INT64_MIN, INT64_MAX, &c, NULL);
        }
        set->ops->free(set);
    }
    columns_fini(&c);
    arena_fini(&arena);
}

static void ask_all(struct block *b)
{
    static const struct {
        enum matcher_op op;
        const char *name, *value;
    } rows[] = {
        { MATCH_RE, LABEL_NAME, ".+" }, { MATCH_EQ, LABEL_NAME, "a" },
        { MATCH_RE, "k", "x|y" },       { MATCH_NE, "k", "x" },
        { MATCH_NRE, "k", "x.*" },      { MATCH_EQ, "none", "" },
    };
    struct matcher ms[sizeof(rows) / sizeof(rows[0])];
    size_t n = sizeof(rows) / sizeof(rows[0]);
    struct querier *q;

    if (block_querier(b, INT64_MIN, INT64_MAX, &q, NULL) != SONDE_OK)
        abort();
    for (size_t i = 0; i < n; i++)
        if (matcher_init(&ms[i], rows[i].op, sonde_cstr(rows[i].name),
                         sonde_cstr(rows[i].value), NULL) != SONDE_OK)
            abort();
    for (size_t i = 0; i < n; i++) {
        ask(q, &ms[i], 1);
        ask(q, &ms[i], n - i);
    }
    for (size_t i = 0; i < n; i++)
        matcher_fini(&ms[i]);
    q->ops->free(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block_state state = { .meta.mint = INT64_MIN,
                                 .meta.maxt = INT64_MAX };
    struct block b = { .dir = (char *)"fuzz" };
    struct mapped chunks = { .path = (char *)"chunks" };
    struct walk w = { .b = &b };
    size_t index;

    if (size < 2)
        return 0;
    index = (size_t)data[0] << 8 | data[1];
    data += 2;
    size -= 2;
    index = index < size ? index : size;
    w.bytes = mem_alloc(index);
    w.size = index;
    memcpy(w.bytes, data, index);
    fix_index(w.bytes, index);
    chunks.len = size - index;
    chunks.data = mem_alloc(chunks.len);
    memcpy((uint8_t *)(uintptr_t)chunks.data, data + index, chunks.len);
    fix_entries((uint8_t *)(uintptr_t)chunks.data, chunks.len,
                CHUNK_FILE_HEADER, 1, 1);
    b.index.file = (struct mapped){ w.bytes, index, (char *)"index", 0 };
    b.chunks = (struct chunk_files){ &chunks, 1 };
    atomic_init(&b.state, &state);
    atomic_init(&b.refs, 1);
    if (index_open_file(&b.index, NULL) == SONDE_OK) {
        walk(&w);
        ask_all(&b);
    }
    symbols_close(&b.index.symbols);
    postings_table_close(&b.index.table);
    free((void *)(uintptr_t)chunks.data);
    free(w.bytes);
    return 0;
}
