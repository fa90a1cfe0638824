/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved cursor. It is written before each request goes out, so it must
 * be cheap: two slots in one small file, written in turns by one pwrite(2)
 * each, so that a write that is torn leaves the other slot whole. A slot is
 *
 *     "sonde-rw" | version u32 | lanes u32 | turn u64
 *     | lanes * { acked, sent: segment u64, offset u64, index u64 }
 *     | CRC-32C u32
 *
 * all big-endian; the whole slot with the higher turn counts. Because the
 * slot says which stretch of the log was under way, a restart sends exactly
 * the same request again, and never mixes samples that the other side may
 * have with samples that it can not have: a receiver that refuses the former
 * as duplicates would refuse the latter with them.
 *
 * Rejected: a new file renamed over the old one each time, which costs two
 * fsyncs a request or is not safe at all.
 */
#include "remote/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/fs.h"
#include "util/mem.h"

#define MAGIC      "sonde-rw"
#define VERSION    1
#define LANE_BYTES (2 * 3 * 8)
#define HEAD_BYTES (8 + 4 + 4 + 8)
#define SLOT_BYTES 65536

_Static_assert(HEAD_BYTES + PROGRESS_LANES_MAX * LANE_BYTES + 4 <= SLOT_BYTES,
               "a slot holds all lanes");

struct progress_file {
    char *path;
    int fd;
    uint64_t turn;
    struct buf slot;
};

static struct place read_place(struct reader *r)
{
    struct place p;

    p.at.segment = reader_be64(r);
    p.at.offset = reader_be64(r);
    p.index = reader_be64(r);
    return p;
}

/* Whether a slot is whole and newer than what was found. */
static bool parse_slot(sonde_str bytes, uint64_t *turn, struct progress *out)
{
    struct reader r = reader_of(bytes);
    sonde_str magic = reader_bytes(&r, 8);
    uint32_t version = reader_be32(&r);
    uint32_t lanes = reader_be32(&r);
    uint64_t this_turn = reader_be64(&r);
    size_t len = HEAD_BYTES + (size_t)lanes * LANE_BYTES;

    if (r.failed || !sonde_str_eq(magic, SONDE_STR(MAGIC)) ||
        version != VERSION || lanes == 0 || lanes > PROGRESS_LANES_MAX ||
        bytes.len < len + 4 || this_turn <= *turn ||
        be32_get(bytes.ptr + len) != crc32c(0, bytes.ptr, len))
        return false;
    for (uint32_t i = 0; i < lanes; i++) {
        out->lanes[i].acked = read_place(&r);
        out->lanes[i].sent = read_place(&r);
    }
    out->count = lanes;
    *turn = this_turn;
    return true;
}

static sonde_code load(struct progress_file *f, struct progress *found,
                       struct sonde_err *err)
{
    struct buf bytes = { 0 };
    sonde_code rc = fs_read(f->path, 2 * SLOT_BYTES, &bytes, err);

    found->count = 0;
    for (size_t at = 0; rc == SONDE_OK && at < bytes.len; at += SLOT_BYTES)
        (void)parse_slot(
            (sonde_str){ bytes.data + at, bytes.len - at < SLOT_BYTES
                                              ? bytes.len - at
                                              : SLOT_BYTES },
            &f->turn, found);
    buf_fini(&bytes);
    return rc;
}

sonde_code progress_open(const char *path, struct progress *found,
                         struct progress_file **out, struct sonde_err *err)
{
    struct progress_file *f = mem_new(struct progress_file);
    sonde_code rc;

    f->path = mem_strdup(sonde_cstr(path));
    f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (f->fd < 0)
        rc = fs_err(err, errno, "open the saved position", path);
    else
        rc = load(f, found, err);
    if (rc != SONDE_OK) {
        progress_close(f);
        return rc;
    }
    *out = f;
    return SONDE_OK;
}

static void put_place(struct buf *b, struct place p)
{
    buf_be64(b, p.at.segment);
    buf_be64(b, p.at.offset);
    buf_be64(b, p.index);
}

sonde_code progress_write(struct progress_file *f, const struct progress *p,
                          struct sonde_err *err)
{
    struct buf *b = &f->slot;
    off_t at = (off_t)(f->turn % 2) * SLOT_BYTES;
    ssize_t n;

    buf_reset(b);
    buf_bytes(b, MAGIC, 8);
    buf_be32(b, VERSION);
    buf_be32(b, (uint32_t)p->count);
    buf_be64(b, f->turn + 1);
    for (size_t i = 0; i < p->count; i++) {
        put_place(b, p->lanes[i].acked);
        put_place(b, p->lanes[i].sent);
    }
    buf_be32(b, crc32c(0, b->data, b->len));
    do
        n = pwrite(f->fd, b->data, b->len, at);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)b->len)
        return fs_err(err, n < 0 ? errno : ENOSPC, "save the position in",
                      f->path);
    f->turn++;
    return SONDE_OK;
}

sonde_code progress_sync(struct progress_file *f, struct sonde_err *err)
{
    if (fdatasync(f->fd) != 0)
        return fs_err(err, errno, "fsync", f->path);
    return SONDE_OK;
}

void progress_close(struct progress_file *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        (void)close(f->fd);
    buf_fini(&f->slot);
    free(f->path);
    free(f);
}
