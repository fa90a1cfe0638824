/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a block's chunk files: mapped whole, so that a chunk is a view; its
 * checksum is looked at every time, since the bytes come from the disk at
 * that moment and not when the file was opened.
 */
#include "block/chunk_files.h"

#include <inttypes.h>
#include <stdlib.h>

#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define MAGIC     UINT32_C(0x85BD40DD)
#define VERSION   1
#define CRC_BYTES 4

struct numbered {
    uint64_t number;
    const char *name;
};

static int cmp_numbered(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

static sonde_code open_one(const char *path, struct mapped *m,
                           struct sonde_err *err)
{
    sonde_code rc = mapped_open(path, m, err);

    if (rc != SONDE_OK)
        return rc;
    if (m->len < CHUNK_FILE_HEADER)
        return sonde_err_set(err, SONDE_ECORRUPT, "%s: %zu bytes are too few",
                             path, m->len);
    if (be32_get(m->data) != MAGIC || m->data[4] != VERSION)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "%s: magic number or version is wrong", path);
    return SONDE_OK;
}

/* Files are those whose names are numbers; others are left alone. */
static size_t pick(const struct fs_names *names, struct numbered *out)
{
    size_t n = 0;

    for (size_t i = 0; i < names->count; i++) {
        out[n].name = names->items[i];
        n += str_to_u64(sonde_cstr(names->items[i]), &out[n].number);
    }
    if (n)
        qsort(out, n, sizeof(*out), cmp_numbered);
    return n;
}

sonde_code chunk_files_open(const char *block_dir, struct chunk_files *out,
                            struct sonde_err *err)
{
    struct arena a;
    struct fs_names names = { 0 };
    struct numbered *found = NULL;
    const char *dir;
    sonde_code rc;
    size_t n;

    *out = (struct chunk_files){ 0 };
    arena_init(&a);
    dir = arena_printf(&a, "%s/chunks", block_dir).ptr;
    rc = fs_list(dir, &names, err);
    if (rc == SONDE_OK) {
        found = arena_array(&a, struct numbered, names.count + 1);
        n = pick(&names, found);
        out->items = mem_zalloc((n + 1) * sizeof(*out->items));
        while (rc == SONDE_OK && out->count < n) {
            const char *name = found[out->count].name;

            rc = open_one(arena_printf(&a, "%s/%s", dir, name).ptr,
                          &out->items[out->count++], err);
        }
        fs_names_fini(&names);
    }
    if (rc == SONDE_ENOTFOUND)
        rc = sonde_err_set(err, SONDE_ECORRUPT, "%s: not there", dir);
    if (rc != SONDE_OK)
        chunk_files_close(out);
    arena_fini(&a);
    return rc;
}

void chunk_files_close(struct chunk_files *f)
{
    for (size_t i = 0; i < f->count; i++)
        mapped_close(&f->items[i]);
    free(f->items);
    *f = (struct chunk_files){ 0 };
}

uint64_t chunk_files_bytes(const struct chunk_files *f)
{
    uint64_t n = 0;

    for (size_t i = 0; i < f->count; i++)
        n += f->items[i].len;
    return n;
}

static sonde_code damaged(struct sonde_err *err, const struct mapped *m,
                          uint64_t at, const char *what)
{
    return sonde_err_set(err, SONDE_ECORRUPT, "%s, chunk at %" PRIu64 ": %s",
                         m->path, at, what);
}

sonde_code chunk_files_get(const struct chunk_files *f, uint64_t ref,
                           enum chunk_encoding *encoding, sonde_str *data,
                           uint64_t *end, struct sonde_err *err)
{
    uint64_t at = ref & UINT32_MAX, len;
    const struct mapped *m;
    struct reader r;
    sonde_str body;
    uint32_t crc;

    if (ref >> 32 >= f->count)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "chunk reference %" PRIx64 ": no such file", ref);
    m = &f->items[ref >> 32];
    if (at < CHUNK_FILE_HEADER || at >= m->len)
        return damaged(err, m, at, "outside of the file");
    r = reader_of((sonde_str){ (const char *)m->data + at, m->len - at });
    len = reader_uvarint(&r);
    body = reader_bytes(&r, len < m->len ? len + 1 : m->len);
    crc = reader_be32(&r);
    if (r.failed)
        return damaged(err, m, at, "longer than the file");
    if (crc32c(0, body.ptr, body.len) != crc)
        return damaged(err, m, at, "checksum is wrong");
    *encoding = (enum chunk_encoding)(uint8_t)body.ptr[0];
    *data = (sonde_str){ body.ptr + 1, body.len - 1 };
    if (end)
        *end = (ref >> 32 << 32) + (uint64_t)(r.p - m->data);
    return SONDE_OK;
}
