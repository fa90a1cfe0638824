/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of records written in one go, by one thread: a checkpoint, or a
 * snapshot of the head. It is filled under another name, synced, and only
 * then given its own; so it is there as a whole or not at all. What a kill
 * leaves is the other name, DIR.tmp, which the next attempt removes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "wal/frame.h"
#include "wal/segments.h"
#include "wal/unpack.h"
#include "wal/wal.h"

#define FILE_BYTES  ((uint64_t)128 << 20)
#define FLUSH_BYTES ((size_t)1 << 20)

struct wal_bulk {
    char *dir, *tmp;
    struct packer packer;
    int fd;
    char *path; /* of the file that is open                              */
    uint64_t number;
    uint64_t written; /* of the file; `framed` comes behind it             */
    struct buf framed;
    bool renamed;
};

static sonde_code flush(struct wal_bulk *b, struct sonde_err *err)
{
    sonde_code rc =
        fs_write_all(b->fd, b->framed.data, b->framed.len, b->path, err);

    b->written += b->framed.len;
    buf_reset(&b->framed);
    return rc;
}

static sonde_code begin_file(struct wal_bulk *b, struct sonde_err *err)
{
    b->path = segment_path(b->tmp, b->number++);
    b->written = 0;
    b->fd = open(b->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return b->fd < 0 ? fs_err(err, errno, "create", b->path) : SONDE_OK;
}

/* Up to its page, as the log's own segments. */
static sonde_code end_file(struct wal_bulk *b, struct sonde_err *err)
{
    sonde_code rc = flush(b, err);

    if (rc == SONDE_OK && b->written % WAL_PAGE_BYTES &&
        ftruncate(b->fd, (off_t)frame_page_end(b->written)) != 0)
        rc = fs_err(err, errno, "extend", b->path);
    if (rc == SONDE_OK && fsync(b->fd) != 0)
        rc = fs_err(err, errno, "fsync", b->path);
    (void)close(b->fd);
    b->fd = -1;
    free(b->path);
    b->path = NULL;
    return rc;
}

sonde_code wal_bulk_open(const char *dir, enum wal_compression how,
                         struct wal_bulk **out, struct sonde_err *err)
{
    struct wal_bulk *b = mem_new(struct wal_bulk);
    size_t size = strlen(dir) + sizeof(".tmp");
    sonde_code rc;

    b->fd = -1;
    b->dir = mem_strdup(sonde_cstr(dir));
    b->tmp = mem_alloc(size);
    (void)snprintf(b->tmp, size, "%s.tmp", dir);
    packer_init(&b->packer, how);
    rc = fs_remove_all(b->tmp, err);
    if (rc == SONDE_OK)
        rc = fs_mkdirs(b->tmp, 0750, err);
    if (rc == SONDE_OK)
        rc = begin_file(b, err);
    if (rc != SONDE_OK) {
        wal_bulk_close(b);
        return rc;
    }
    *out = b;
    return SONDE_OK;
}

sonde_code wal_bulk_put(struct wal_bulk *b, sonde_str record,
                        struct sonde_err *err)
{
    unsigned flags;
    sonde_code rc = SONDE_OK;

    record = packer_pack(&b->packer, record, &flags);
    if (b->written + b->framed.len >= FILE_BYTES) {
        rc = end_file(b, err);
        if (rc == SONDE_OK)
            rc = begin_file(b, err);
    }
    if (rc != SONDE_OK)
        return rc;
    frame_put(&b->framed, b->written, record, flags);
    return b->framed.len >= FLUSH_BYTES ? flush(b, err) : SONDE_OK;
}

static sonde_code sync_parent(const char *dir, struct sonde_err *err)
{
    char *parent = mem_strdup(fs_dirname(sonde_cstr(dir)));
    sonde_code rc = fs_sync_dir(parent, err);

    free(parent);
    return rc;
}

sonde_code wal_bulk_finish(struct wal_bulk *b, struct sonde_err *err)
{
    sonde_code rc = end_file(b, err);

    if (rc == SONDE_OK)
        rc = fs_sync_dir(b->tmp, err);
    if (rc == SONDE_OK)
        rc = fs_remove_all(b->dir, err);
    if (rc == SONDE_OK && rename(b->tmp, b->dir) != 0)
        rc = fs_err(err, errno, "rename to", b->dir);
    if (rc != SONDE_OK)
        return rc;
    b->renamed = true;
    return sync_parent(b->dir, err);
}

void wal_bulk_close(struct wal_bulk *b)
{
    struct sonde_err err;

    if (!b)
        return;
    if (b->fd >= 0)
        (void)close(b->fd);
    if (!b->renamed)
        if (fs_remove_all(b->tmp, &err) != SONDE_OK)
            log_warn("wal", "half a folder stays", LOG_ERRTEXT(&err));
    packer_fini(&b->packer);
    buf_fini(&b->framed);
    free(b->path);
    free(b->dir);
    free(b->tmp);
    free(b);
}
