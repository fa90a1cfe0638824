/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a block's chunk files. A file is full when the next chunk would
 * take it past the limit; a chunk that is larger than a file gets one of its
 * own. Nothing is preallocated: the buffers of out_file are large.
 */
#include <stdio.h>
#include <stdlib.h>

#include "block/chunk_files.h"
#include "util/fs.h"
#include "util/mem.h"

#define LEN_BYTES_MAX                                                          \
    5 /* Prometheus counts so, and so files end where its do */

static const uint8_t header[CHUNK_FILE_HEADER] = { 0x85, 0xbd, 0x40, 0xdd, 1 };

sonde_code chunk_writer_init(struct chunk_writer *w, const char *block_dir,
                             uint64_t limit, struct sonde_err *err)
{
    size_t size = strlen(block_dir) + sizeof("/chunks");

    *w = (struct chunk_writer){ .dir = mem_alloc(size) };
    w->limit = limit && limit < CHUNK_FILE_BYTES ? limit : CHUNK_FILE_BYTES;
    (void)snprintf(w->dir, size, "%s/chunks", block_dir);
    return fs_mkdirs(w->dir, 0777, err);
}

static sonde_code end_file(struct chunk_writer *w, struct sonde_err *err)
{
    w->done += out_file_pos(&w->out);
    return out_file_close(&w->out, err);
}

static sonde_code next_file(struct chunk_writer *w, struct sonde_err *err)
{
    char *path;
    size_t size = strlen(w->dir) + 16;
    sonde_code rc = w->number ? end_file(w, err) : SONDE_OK;

    if (rc != SONDE_OK)
        return rc;
    path = mem_alloc(size);
    (void)snprintf(path, size, "%s/%06u", w->dir, ++w->number);
    rc = out_file_open(&w->out, path, err);
    free(path);
    if (rc == SONDE_OK)
        out_file_put(&w->out, header, sizeof(header));
    return rc;
}

static bool fits(const struct chunk_writer *w, uint64_t need)
{
    uint64_t pos = w->number ? out_file_pos(&w->out) : w->limit;

    return pos + need <= w->limit || pos == CHUNK_FILE_HEADER;
}

sonde_code chunk_writer_add(struct chunk_writer *w, const struct chunk *chunk,
                            uint64_t *ref, struct sonde_err *err)
{
    uint8_t encoding = (uint8_t)chunk->encoding;

    if (!fits(w, LEN_BYTES_MAX + 1 + chunk->data.len + 4)) {
        sonde_code rc = next_file(w, err);

        if (rc != SONDE_OK)
            return rc;
    }
    *ref = (uint64_t)(w->number - 1) << 32 | out_file_pos(&w->out);
    out_file_uvarint(&w->out, chunk->data.len);
    out_file_mark(&w->out);
    out_file_put(&w->out, &encoding, 1);
    out_file_put(&w->out, chunk->data.ptr, chunk->data.len);
    out_file_crc(&w->out);
    if (w->out.failed != SONDE_OK && err)
        *err = w->out.err;
    return w->out.failed;
}

sonde_code chunk_writer_close(struct chunk_writer *w, struct sonde_err *err)
{
    sonde_code rc = w->number ? end_file(w, err) : SONDE_OK;

    return rc == SONDE_OK ? fs_sync_dir(w->dir, err) : rc;
}

void chunk_writer_fini(struct chunk_writer *w)
{
    if (w->number)
        out_file_discard(&w->out);
    free(w->dir);
    *w = (struct chunk_writer){ 0 };
}

uint64_t chunk_writer_bytes(const struct chunk_writer *w)
{
    return w->done + (w->number ? out_file_pos(&w->out) : 0);
}
