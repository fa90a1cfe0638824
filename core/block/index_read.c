/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See index.h. At opening the checksums of the table of contents, symbols and
 * table of postings are verified and their entries walked once; those of
 * series and postings lists each time that one is read.
 *
 * In version 1 series are numbered by their offset and name their symbols by
 * the symbols' offsets; that is translated here and seen nowhere else.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "block/index.h"
#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/mem.h"

#define VERSION_MAX     3
#define PAIR_BYTES_MIN  2
#define CHUNK_BYTES_MIN 3

static sonde_code corrupt(const struct index *ix, struct sonde_err *err,
                          const char *what, uint64_t at)
{
    return sonde_err_set(err, SONDE_ECORRUPT, "%s: %s at %" PRIu64,
                         ix->file.path, what, at);
}

/* ---- opening ------------------------------------------------------------ */

static sonde_code read_toc(struct index *ix, struct sonde_err *err)
{
    uint64_t at = ix->file.len - INDEX_TOC_BYTES;
    const uint8_t *p = ix->file.data + at;
    uint64_t *const fields[] = {
        &ix->toc.symbols,     &ix->toc.series,   &ix->toc.label_indices,
        &ix->toc.label_table, &ix->toc.postings, &ix->toc.postings_table
    };
    size_t n = sizeof(fields) / sizeof(*fields);

    if (crc32c(0, p, INDEX_TOC_BYTES - INDEX_CRC_BYTES) !=
        be32_get(p + INDEX_TOC_BYTES - INDEX_CRC_BYTES))
        return corrupt(ix, err, "wrong checksum of the table of contents", at);
    ix->series_end = at;
    for (size_t i = 0; i < n; i++) {
        *fields[i] = be64_get(p + i * 8);
        if (*fields[i] > at)
            return corrupt(ix, err, "a section leaves the file", at);
    }
    for (size_t i = 0; i < n; i++)
        if (*fields[i] > ix->toc.series && *fields[i] < ix->series_end)
            ix->series_end = *fields[i];
    return SONDE_OK;
}

static sonde_code read_header(struct index *ix, struct sonde_err *err)
{
    if (ix->file.len < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
        return sonde_err_set(err, SONDE_ECORRUPT, "%s: %zu bytes are too few",
                             ix->file.path, ix->file.len);
    ix->version = ix->file.data[4];
    if (be32_get(ix->file.data) != INDEX_MAGIC)
        return corrupt(ix, err, "wrong magic number", 0);
    if (ix->version < 1 || ix->version > VERSION_MAX)
        return sonde_err_set(err, SONDE_ECORRUPT, "%s: unknown version %d",
                             ix->file.path, ix->version);
    return read_toc(ix, err);
}

sonde_code index_section(const struct index *ix, uint64_t at, const char *what,
                         sonde_str *body, struct sonde_err *err)
{
    uint64_t end = ix->file.len - INDEX_TOC_BYTES;
    struct reader r;
    uint32_t crc;

    if (at < INDEX_HEADER_BYTES || at > end)
        return corrupt(ix, err, what, at);
    r = (struct reader){ ix->file.data + at, ix->file.data + end, false };
    *body = reader_bytes(&r, reader_be32(&r));
    crc = reader_be32(&r);
    if (r.failed)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "%s: %s at %" PRIu64 " leaves the file",
                             ix->file.path, what, at);
    if (crc32c(0, body->ptr, body->len) != crc)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "%s: wrong checksum of %s at %" PRIu64,
                             ix->file.path, what, at);
    return SONDE_OK;
}

static sonde_code check_names(const struct index *ix, struct sonde_err *err)
{
    uint32_t number;

    for (size_t i = 0; i < ix->table.name_count; i++) {
        sonde_str name = ix->table.names[i].name;

        if (name.len && !symbols_find(&ix->symbols, name, &number))
            return sonde_err_set(err, SONDE_ECORRUPT,
                                 "label name \"%.*s\" is not a symbol",
                                 SONDE_ARG(name));
    }
    return SONDE_OK;
}

sonde_code index_open_file(struct index *ix, struct sonde_err *err)
{
    sonde_str body;
    sonde_code rc = read_header(ix, err);

    if (rc == SONDE_OK)
        rc = index_section(ix, ix->toc.symbols, "symbols", &body, err);
    if (rc != SONDE_OK)
        return rc;
    ix->symbols_at = ix->toc.symbols + 8;
    rc = symbols_open(&ix->symbols, body, err);
    if (rc != SONDE_OK) {
        (void)sonde_err_prefix(err, "%s: symbols", ix->file.path);
        return rc;
    }
    rc = index_section(ix, ix->toc.postings_table, "table of postings", &body,
                       err);
    if (rc != SONDE_OK)
        return rc;
    rc = postings_table_open(&ix->table, body, err);
    if (rc == SONDE_OK)
        rc = check_names(ix, err);
    if (rc != SONDE_OK)
        (void)sonde_err_prefix(err, "%s: table of postings", ix->file.path);
    return rc;
}

sonde_code index_open(const char *path, struct index *out,
                      struct sonde_err *err)
{
    sonde_code rc;

    *out = (struct index){ 0 };
    rc = mapped_open(path, &out->file, err);
    if (rc == SONDE_OK)
        rc = index_open_file(out, err);
    if (rc != SONDE_OK)
        index_close(out);
    return rc;
}

void index_close(struct index *ix)
{
    symbols_close(&ix->symbols);
    postings_table_close(&ix->table);
    mapped_close(&ix->file);
}

/* ---- series ------------------------------------------------------------- */

void block_series_fini(struct block_series *s)
{
    free(s->pairs);
    free(s->chunks);
    *s = (struct block_series){ 0 };
}

static uint32_t read_symbol(const struct index *ix, struct reader *r)
{
    uint64_t v = reader_uvarint(r);
    uint32_t number = 0;

    if (ix->version != 1) {
        r->failed = r->failed || v >= ix->symbols.count;
        return (uint32_t)v;
    }
    if (v < ix->symbols_at ||
        !symbols_at(&ix->symbols, v - ix->symbols_at, &number))
        r->failed = true;
    return number;
}

static void read_pairs(const struct index *ix, struct reader *r,
                       struct block_series *out)
{
    uint64_t n = reader_uvarint(r);

    if (n > reader_left(r) / PAIR_BYTES_MIN) {
        r->failed = true;
        return;
    }
    if (n > out->pair_cap)
        out->pairs =
            mem_grow(out->pairs, &out->pair_cap, n, sizeof(*out->pairs));
    for (uint64_t i = 0; i < n; i++) {
        out->pairs[i].name = read_symbol(ix, r);
        out->pairs[i].value = read_symbol(ix, r);
    }
    out->pair_count = r->failed ? 0 : n;
}

static void read_chunks(struct reader *r, struct block_series *out)
{
    uint64_t n = reader_uvarint(r), t = 0, ref = 0;

    if (n > reader_left(r) / CHUNK_BYTES_MIN) {
        r->failed = true;
        return;
    }
    if (n > out->chunk_cap)
        out->chunks =
            mem_grow(out->chunks, &out->chunk_cap, n, sizeof(*out->chunks));
    for (uint64_t i = 0; i < n; i++) {
        struct block_chunk *c = &out->chunks[i];

        t += i ? reader_uvarint(r) : (uint64_t)reader_varint(r);
        c->mint = (sonde_msec)t;
        t += reader_uvarint(r);
        c->maxt = (sonde_msec)t;
        r->failed = r->failed || c->mint > c->maxt;
        ref += i ? (uint64_t)reader_varint(r) : reader_uvarint(r);
        c->ref = ref;
    }
    out->chunk_count = r->failed ? 0 : n;
}

sonde_code index_series_at(const struct index *ix, uint64_t at,
                           struct block_series *out, uint64_t *end,
                           struct sonde_err *err)
{
    struct reader r;
    sonde_str body;
    uint32_t crc;

    out->pair_count = out->chunk_count = 0;
    if (at < ix->toc.series || at >= ix->series_end)
        return corrupt(ix, err, "no series", at);
    r = (struct reader){ ix->file.data + at, ix->file.data + ix->series_end,
                         false };
    body = reader_bytes(&r, reader_uvarint(&r));
    crc = reader_be32(&r);
    if (r.failed || !body.len)
        return corrupt(ix, err, "no series", at);
    if (crc32c(0, body.ptr, body.len) != crc)
        return corrupt(ix, err, "wrong checksum of the series", at);
    if (end)
        *end = (uint64_t)(r.p - ix->file.data);
    r = reader_of(body);
    read_pairs(ix, &r, out);
    if (!r.failed)
        read_chunks(&r, out);
    if (r.failed || reader_left(&r)) {
        out->pair_count = out->chunk_count = 0;
        return corrupt(ix, err, "malformed series", at);
    }
    return SONDE_OK;
}

/* ---- postings ----------------------------------------------------------- */

sonde_code index_postings_at(const struct index *ix, uint64_t at,
                             struct block_postings *out, struct sonde_err *err)
{
    sonde_str body;
    sonde_code rc = index_section(ix, at, "postings", &body, err);

    *out = (struct block_postings){ 0 };
    if (rc != SONDE_OK)
        return rc;
    if (body.len < 4 ||
        (uint64_t)be32_get(body.ptr) * 4 != (uint64_t)(body.len - 4))
        return corrupt(ix, err, "malformed postings", at);
    out->count = be32_get(body.ptr);
    out->be32 = (const uint8_t *)body.ptr + 4;
    return SONDE_OK;
}
