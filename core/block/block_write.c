/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a block: all files go into ULID.tmp-for-creation, are synced, and
 * the folder gets its name last. Whatever stops it before, a killed process
 * too, leaves nothing that anybody takes for a block.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "block/block.h"
#include "block/chunk_files.h"
#include "block/index_write.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"

struct block_writer {
    struct ulid ulid;
    char *parent, *dir, *tmp;
    struct chunk_writer chunks;
    struct index_writer index;
    struct block_stats stats;
    struct block_chunk *metas; /* of the series that is written            */
    size_t metas_cap;
    sonde_code failed; /* the first error stays                            */
    struct sonde_err err;
};

static sonde_code keep(struct block_writer *w, sonde_code rc)
{
    if (rc != SONDE_OK && w->failed == SONDE_OK) {
        w->failed = rc;
        (void)sonde_err_prefix(&w->err, "write block %s", w->dir);
    }
    return rc;
}

static sonde_code failed(const struct block_writer *w, struct sonde_err *err)
{
    if (w->failed != SONDE_OK && err)
        *err = w->err;
    return w->failed;
}

static char *path_of(const char *parent, const struct ulid *u,
                     const char *suffix)
{
    size_t size = strlen(parent) + ULID_CHARS + strlen(suffix) + 2;
    char *path = mem_alloc(size);

    (void)snprintf(path, size, "%s/%s%s", parent, u->text, suffix);
    return path;
}

static void writer_free(struct block_writer *w)
{
    chunk_writer_fini(&w->chunks);
    index_writer_fini(&w->index);
    free(w->metas);
    free(w->parent);
    free(w->dir);
    free(w->tmp);
    free(w);
}

void block_writer_discard(struct block_writer *w)
{
    struct sonde_err err;

    if (!w)
        return;
    if (fs_remove_all(w->tmp, &err) != SONDE_OK)
        log_warn("block", "unfinished block stays", LOG_ERRTEXT(&err));
    writer_free(w);
}

sonde_code block_writer_new(const char *parent_dir,
                            const struct block_writer_options *options,
                            struct block_writer **out, struct sonde_err *err)
{
    struct block_writer *w = mem_new(struct block_writer);
    sonde_code rc;

    w->ulid = options->ulid;
    w->parent = mem_strdup(sonde_cstr(parent_dir));
    w->dir = path_of(parent_dir, &w->ulid, "");
    w->tmp = path_of(parent_dir, &w->ulid, ".tmp-for-creation");
    w->index.out.fd = w->index.runs.file.fd = -1;
    rc = fs_remove_all(w->tmp, err);
    if (rc == SONDE_OK)
        rc = chunk_writer_init(&w->chunks, w->tmp, options->chunk_file_bytes,
                               err);
    if (rc == SONDE_OK)
        rc = index_writer_init(&w->index, w->tmp, 0, err);
    if (rc != SONDE_OK) {
        (void)sonde_err_prefix(err, "write block %s", w->dir);
        block_writer_discard(w);
        w = NULL;
    }
    *out = w;
    return rc;
}

uint32_t block_writer_symbol(struct block_writer *w, sonde_str s)
{
    uint32_t number = 0;

    if (w->failed == SONDE_OK)
        (void)keep(w, index_writer_symbol(&w->index, s, &number, &w->err));
    return number;
}

static void count(struct block_stats *s, const struct chunk *c)
{
    s->samples += c->count;
    s->chunks++;
    if (c->encoding == CHUNK_XOR)
        s->float_samples += c->count;
    else
        s->histogram_samples += c->count;
}

static sonde_code put_series(struct block_writer *w,
                             const struct block_pair *pairs, size_t n,
                             const struct chunk *chunks, size_t chunk_count)
{
    sonde_code rc = SONDE_OK;

    if (chunk_count > w->metas_cap)
        w->metas =
            mem_grow(w->metas, &w->metas_cap, chunk_count, sizeof(*w->metas));
    for (size_t i = 0; i < chunk_count && rc == SONDE_OK; i++) {
        w->metas[i].mint = chunks[i].mint;
        w->metas[i].maxt = chunks[i].maxt;
        rc =
            chunk_writer_add(&w->chunks, &chunks[i], &w->metas[i].ref, &w->err);
        count(&w->stats, &chunks[i]);
    }
    w->stats.series++;
    return rc == SONDE_OK ? index_writer_series(&w->index, pairs, n, w->metas,
                                                chunk_count, &w->err)
                          : rc;
}

sonde_code block_writer_series(struct block_writer *w,
                               const struct block_pair *pairs, size_t n,
                               const struct chunk *chunks, size_t chunk_count,
                               struct sonde_err *err)
{
    if (w->failed == SONDE_OK)
        (void)keep(w, put_series(w, pairs, n, chunks, chunk_count));
    return failed(w, err);
}

uint64_t block_writer_bytes(const struct block_writer *w)
{
    return chunk_writer_bytes(&w->chunks) + out_file_pos(&w->index.out);
}

/* A block of which nothing else is said is its own source. */
static void complete_meta(const struct block_writer *w, struct block_meta *m,
                          const struct tombstones *stones)
{
    m->ulid = w->ulid;
    m->stats = w->stats;
    m->stats.tombstones = tombstones_ranges(stones);
    if (m->level < 1)
        m->level = 1;
    if (!m->source_count) {
        free(m->sources);
        m->sources = mem_alloc(sizeof(*m->sources));
        m->sources[m->source_count++] = w->ulid;
    }
}

static sonde_code publish(struct block_writer *w, struct block_meta *meta,
                          const struct tombstones *stones,
                          struct sonde_err *err)
{
    sonde_code rc = index_writer_finish(&w->index, err);

    if (rc == SONDE_OK)
        rc = chunk_writer_close(&w->chunks, err);
    if (rc == SONDE_OK)
        rc = tombstones_write(w->tmp, stones, err);
    if (rc == SONDE_OK)
        rc = block_meta_write(w->tmp, meta, err);
    if (rc == SONDE_OK)
        rc = fs_sync_dir(w->tmp, err);
    if (rc != SONDE_OK)
        return rc;
    if (rename(w->tmp, w->dir) != 0)
        return fs_err(err, errno, "rename to", w->dir);
    rc = fs_sync_dir(w->parent, err);
    if (rc != SONDE_OK) /* what is not sure to last is not a block */
        (void)rename(w->dir, w->tmp);
    return rc;
}

sonde_code block_writer_finish(struct block_writer *w, struct block_meta *meta,
                               const struct tombstones *stones,
                               struct sonde_err *err)
{
    static const struct tombstones none;
    sonde_code rc;

    if (!stones)
        stones = &none;
    if (w->failed == SONDE_OK && !w->stats.series) {
        rc = sonde_err_set(err, SONDE_ENOTFOUND,
                           "write block %s: there is no series", w->dir);
    } else {
        complete_meta(w, meta, stones);
        if (w->failed == SONDE_OK)
            (void)keep(w, publish(w, meta, stones, &w->err));
        rc = failed(w, err);
    }
    if (rc == SONDE_OK)
        writer_free(w);
    else
        block_writer_discard(w);
    return rc;
}
