/* SPDX-License-Identifier: Apache-2.0 */
/* See out_file.h. */
#include "block/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/fs.h"
#include "util/mem.h"

#define BUFFER_BYTES (512u << 10)
#define PUSH_BYTES   (8u << 20)

sonde_code out_file_open(struct out_file *f, const char *path,
                         struct sonde_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    *f = (struct out_file){ .fd = -1 };
    if (fd < 0)
        return fs_err(err, errno, "create", path);
    f->fd = fd;
    f->path = mem_strdup(sonde_cstr(path));
    f->buf = mem_alloc(BUFFER_BYTES);
    return SONDE_OK;
}

static void add_crc(struct out_file *f)
{
    f->crc = crc32c(f->crc, f->buf + f->marked, f->len - f->marked);
    f->marked = f->len;
}

static void write_out(struct out_file *f)
{
    add_crc(f);
    if (f->failed == SONDE_OK)
        f->failed = fs_write_all(f->fd, f->buf, f->len, f->path, &f->err);
    f->written += f->len;
    f->len = f->marked = 0;
    if (f->failed == SONDE_OK && f->written - f->pushed >= PUSH_BYTES) {
        /* only begins: a hint whose failure does not matter */
        (void)sync_file_range(f->fd, (off_t)f->pushed,
                              (off_t)(f->written - f->pushed),
                              SYNC_FILE_RANGE_WRITE);
        f->pushed = f->written;
    }
}

void out_file_put(struct out_file *f, const void *data, size_t n)
{
    const uint8_t *p = data;

    while (n) {
        size_t room = BUFFER_BYTES - f->len;
        size_t part = n < room ? n : room;

        memcpy(f->buf + f->len, p, part);
        f->len += part;
        p += part;
        n -= part;
        if (f->len == BUFFER_BYTES)
            write_out(f);
    }
}

void out_file_be32(struct out_file *f, uint32_t v)
{
    uint8_t b[4];

    be32_put(b, v);
    out_file_put(f, b, sizeof(b));
}

void out_file_uvarint(struct out_file *f, uint64_t v)
{
    uint8_t b[UVARINT_MAX];
    size_t n;

    n = uvarint_put(b, v);
    out_file_put(f, b, n);
}

void out_file_pad(struct out_file *f, size_t align)
{
    static const uint8_t zeros[64];

    out_file_put(f, zeros, (size_t)(-out_file_pos(f) & (align - 1)));
}

void out_file_mark(struct out_file *f)
{
    f->crc = 0;
    f->marked = f->len;
}

void out_file_crc(struct out_file *f)
{
    add_crc(f);
    out_file_be32(f, f->crc);
}

sonde_code out_file_flush(struct out_file *f, struct sonde_err *err)
{
    if (f->len)
        write_out(f);
    if (f->failed != SONDE_OK && err)
        *err = f->err;
    return f->failed;
}

sonde_code out_file_patch(struct out_file *f, uint64_t at, const void *data,
                          size_t n, struct sonde_err *err)
{
    sonde_code rc = out_file_flush(f, err);

    if (rc != SONDE_OK)
        return rc;
    if (pwrite(f->fd, data, n, (off_t)at) != (ssize_t)n)
        return fs_err(err, errno, "write", f->path);
    return SONDE_OK;
}

sonde_code out_file_map(struct out_file *f, struct mapped *out,
                        struct sonde_err *err)
{
    sonde_code rc = out_file_flush(f, err);

    *out = (struct mapped){ 0 };
    return rc == SONDE_OK ? mapped_fd(f->fd, f->path, out, err) : rc;
}

sonde_code out_file_close(struct out_file *f, struct sonde_err *err)
{
    sonde_code rc = out_file_flush(f, err);
    int fd = f->fd;

    if (rc == SONDE_OK && fsync(fd) != 0)
        rc = fs_err(err, errno, "fsync", f->path);
    f->fd = -1;
    if (close(fd) != 0 && rc == SONDE_OK)
        rc = fs_err(err, errno, "close", f->path);
    out_file_discard(f);
    return rc;
}

void out_file_discard(struct out_file *f)
{
    if (f->path && f->fd >= 0)
        (void)close(f->fd);
    free(f->path);
    free(f->buf);
    *f = (struct out_file){ .fd = -1 };
}
