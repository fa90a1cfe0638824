/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing an index, version 2. Everything is written once and in order; the
 * one thing that is not known before, the length and number of the symbols,
 * is put in afterwards. Label indices, which no reader of version 2 looks
 * at, are left out, as Prometheus does since 3.7.
 */
#include "block/index_write.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define SYMBOL_TEXT_AT (INDEX_HEADER_BYTES + 8) /* behind length and count */

sonde_code index_writer_init(struct index_writer *w, const char *dir,
                             size_t postings_bytes, struct sonde_err *err)
{
    static const uint8_t zeros[8];
    uint8_t header[INDEX_HEADER_BYTES] = { [4] = INDEX_VERSION };
    struct arena a;
    sonde_code rc;

    *w = (struct index_writer){ .dir = mem_strdup(sonde_cstr(dir)),
                                .out.fd = -1,
                                .runs.file.fd = -1 };
    arena_init(&a);
    rc = out_file_open(&w->out, arena_printf(&a, "%s/index", dir).ptr, err);
    arena_fini(&a);
    if (rc == SONDE_OK)
        rc = posting_runs_init(&w->runs, dir, postings_bytes, err);
    if (rc != SONDE_OK)
        return rc;
    be32_put(header, INDEX_MAGIC);
    out_file_put(&w->out, header, sizeof(header));
    w->toc.symbols = out_file_pos(&w->out);
    out_file_put(&w->out, zeros, sizeof(zeros));
    return SONDE_OK;
}

void index_writer_fini(struct index_writer *w)
{
    out_file_discard(&w->out);
    posting_runs_fini(&w->runs);
    symbols_close(&w->symbols);
    mapped_close(&w->map);
    buf_fini(&w->last_symbol);
    buf_fini(&w->entry);
    free(w->last);
    free(w->dir);
    *w = (struct index_writer){ .out.fd = -1, .runs.file.fd = -1 };
}

/* ---- symbols ------------------------------------------------------------ */

sonde_code index_writer_symbol(struct index_writer *w, sonde_str s,
                               uint32_t *number, struct sonde_err *err)
{
    *number = w->symbol_count;
    if (w->symbols_ended)
        return sonde_err_set(err, SONDE_EINVAL, "symbol after the series");
    if (w->symbol_count && str_cmp(buf_str(&w->last_symbol), s) >= 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "symbol \"%.*s\" is not after the one before",
                             SONDE_ARG(s));
    if (out_file_pos(&w->out) + s.len + UVARINT_MAX > UINT32_MAX)
        return sonde_err_set(err, SONDE_ELIMIT, "more than 4 GiB of symbols");
    out_file_uvarint(&w->out, s.len);
    out_file_put(&w->out, s.ptr, s.len);
    buf_reset(&w->last_symbol);
    buf_put(&w->last_symbol, s);
    w->symbol_count++;
    return SONDE_OK;
}

/* Length and count go before the text, the checksum of both behind it. */
static sonde_code end_symbols(struct index_writer *w, struct sonde_err *err)
{
    uint64_t end = out_file_pos(&w->out);
    uint8_t head[8];
    sonde_str table;
    sonde_code rc;

    be32_put(head, (uint32_t)(end - SYMBOL_TEXT_AT + 4));
    be32_put(head + 4, w->symbol_count);
    rc = out_file_patch(&w->out, INDEX_HEADER_BYTES, head, sizeof(head), err);
    if (rc == SONDE_OK)
        rc = out_file_map(&w->out, &w->map, err);
    if (rc != SONDE_OK)
        return rc;
    table = (sonde_str){ (const char *)w->map.data + SYMBOL_TEXT_AT - 4,
                         (size_t)(end - SYMBOL_TEXT_AT + 4) };
    out_file_be32(&w->out, crc32c(0, table.ptr, table.len));
    w->symbols_ended = true;
    w->toc.series = out_file_pos(&w->out);
    rc = symbols_open(&w->symbols, table, err);
    mapped_forget(&w->map);
    return rc;
}

/* ---- series ------------------------------------------------------------- */

static sonde_code check_pairs(const struct index_writer *w,
                              const struct block_pair *pairs, size_t n,
                              struct sonde_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].name >= w->symbol_count ||
            pairs[i].value >= w->symbol_count)
            return sonde_err_set(err, SONDE_EINVAL, "label without a symbol");
        if (i && pairs[i].name <= pairs[i - 1].name)
            return sonde_err_set(err, SONDE_EINVAL, "labels out of order");
    }
    return SONDE_OK;
}

/* Symbols are numbered in their order, so label sets compare as numbers. */
static bool follows(const struct index_writer *w,
                    const struct block_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n && i < w->last_count; i++) {
        if (pairs[i].name != w->last[i].name)
            return pairs[i].name > w->last[i].name;
        if (pairs[i].value != w->last[i].value)
            return pairs[i].value > w->last[i].value;
    }
    return !w->series_count || n > w->last_count;
}

static void keep_last(struct index_writer *w, const struct block_pair *pairs,
                      size_t n)
{
    if (n > w->last_cap)
        w->last = mem_grow(w->last, &w->last_cap, n, sizeof(*w->last));
    if (n)
        memcpy(w->last, pairs, n * sizeof(*pairs));
    w->last_count = n;
}

static size_t put_chunks(uint8_t *out, const struct block_chunk *chunks,
                         size_t n)
{
    uint8_t *p = out;

    p += uvarint_put(p, n);
    for (size_t i = 0; i < n; i++) {
        const struct block_chunk *c = &chunks[i];

        if (i) {
            p += uvarint_put(p,
                             (uint64_t)c->mint - (uint64_t)chunks[i - 1].maxt);
        } else {
            p += uvarint_put(p, zigzag(c->mint));
        }
        p += uvarint_put(p, (uint64_t)c->maxt - (uint64_t)c->mint);
        p += uvarint_put(p, i ? zigzag((int64_t)(c->ref - chunks[i - 1].ref))
                              : c->ref);
    }
    return (size_t)(p - out);
}

static void put_series(struct index_writer *w, const struct block_pair *pairs,
                       size_t n, const struct block_chunk *chunks,
                       size_t chunk_count)
{
    uint8_t *body, *p;

    buf_reset(&w->entry);
    body = (uint8_t *)buf_reserve(&w->entry,
                                  (2 * n + 3 * chunk_count + 2) * UVARINT_MAX);
    p = body + uvarint_put(body, n);
    for (size_t i = 0; i < n; i++) {
        p += uvarint_put(p, pairs[i].name);
        p += uvarint_put(p, pairs[i].value);
    }
    p += put_chunks(p, chunks, chunk_count);
    out_file_uvarint(&w->out, (uint64_t)(p - body));
    out_file_put(&w->out, body, (size_t)(p - body));
    out_file_be32(&w->out, crc32c(0, body, (size_t)(p - body)));
}

static sonde_code check_chunks(const struct block_chunk *chunks, size_t n,
                               struct sonde_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (chunks[i].mint > chunks[i].maxt ||
            (i && chunks[i].mint <= chunks[i - 1].maxt))
            return sonde_err_set(err, SONDE_EINVAL, "chunks out of order");
    return SONDE_OK;
}

sonde_code index_writer_series(struct index_writer *w,
                               const struct block_pair *pairs, size_t n,
                               const struct block_chunk *chunks,
                               size_t chunk_count, struct sonde_err *err)
{
    sonde_code rc = w->symbols_ended ? SONDE_OK : end_symbols(w, err);
    uint64_t number;

    if (rc == SONDE_OK)
        rc = check_pairs(w, pairs, n, err);
    if (rc == SONDE_OK)
        rc = check_chunks(chunks, chunk_count, err);
    if (rc != SONDE_OK)
        return rc;
    if (!follows(w, pairs, n))
        return sonde_err_set(err, SONDE_EINVAL, "series out of order");
    out_file_pad(&w->out, INDEX_SERIES_ALIGN);
    number = out_file_pos(&w->out) / INDEX_SERIES_ALIGN;
    if (number > UINT32_MAX)
        return sonde_err_set(err, SONDE_ELIMIT, "more than 64 GiB of series");
    put_series(w, pairs, n, chunks, chunk_count);
    for (size_t i = 0; i < n; i++)
        posting_runs_add(&w->runs, pairs[i], (uint32_t)number);
    keep_last(w, pairs, n);
    w->series_count++;
    if (w->out.failed != SONDE_OK && err)
        *err = w->out.err;
    return w->out.failed;
}

/* ---- the end ------------------------------------------------------------ */

static void put_toc(struct index_writer *w)
{
    const uint64_t offsets[] = { w->toc.symbols,       w->toc.series,
                                 w->toc.label_indices, w->toc.label_table,
                                 w->toc.postings,      w->toc.postings_table };

    out_file_mark(&w->out);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
        uint8_t b[8];

        be64_put(b, offsets[i]);
        out_file_put(&w->out, b, sizeof(b));
    }
    out_file_crc(&w->out);
}

sonde_code index_writer_finish(struct index_writer *w, struct sonde_err *err)
{
    sonde_code rc = w->symbols_ended ? SONDE_OK : end_symbols(w, err);

    w->toc.label_indices = out_file_pos(&w->out);
    if (rc == SONDE_OK)
        rc = index_writer_postings(w, err);
    if (rc != SONDE_OK)
        return rc;
    put_toc(w);
    return out_file_close(&w->out, err);
}
