/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records through snappy's block format, and the choice between it and zstd
 * for writing. The block says how long its content
 * is; nobody believes it: the densest element is a copy, three bytes for 64,
 * so that a block of n bytes unfolds to less than 22 n. A length beyond that
 * is a lie and is refused before memory is asked for.
 */
#include "wal/unpack.h"

#include <snappy-c.h>

#include "wal/frame.h"

#define SNAPPY_MAX_RATIO 22

const char *unpack_snappy(sonde_str packed, struct buf *out)
{
    size_t len;
    char *at;

    buf_reset(out);
    if (snappy_uncompressed_length(packed.ptr, packed.len, &len) != SNAPPY_OK)
        return "snappy: no length";
    if (len > WAL_RECORD_MAX_BYTES || len / SNAPPY_MAX_RATIO > packed.len)
        return "snappy: declared length is impossible";
    at = buf_reserve(out, len ? len : 1);
    if (!at)
        return "snappy: too large";
    if (snappy_uncompress(packed.ptr, packed.len, at, &len) != SNAPPY_OK)
        return "snappy: malformed";
    buf_added(out, len);
    return NULL;
}

static bool pack_snappy(sonde_str record, struct buf *out)
{
    size_t len = snappy_max_compressed_length(record.len);
    char *at;

    buf_reset(out);
    at = buf_reserve(out, len);
    if (!at || snappy_compress(record.ptr, record.len, at, &len) != SNAPPY_OK)
        return false;
    buf_added(out, len);
    return true;
}

void packer_init(struct packer *p, enum wal_compression how)
{
    *p = (struct packer){ .how = how };
}

void packer_fini(struct packer *p)
{
    buf_fini(&p->out);
    zstd_free(p->zstd);
}

sonde_str packer_pack(struct packer *p, sonde_str record, unsigned *flags)
{
    *flags = 0;
    if (p->how == WAL_PLAIN || record.len == 0)
        return record;
    if (p->how == WAL_ZSTD && pack_zstd(&p->zstd, record, &p->out))
        *flags = FRAME_ZSTD;
    else if (pack_snappy(record, &p->out))
        *flags = FRAME_SNAPPY;
    if (*flags && p->out.len < record.len)
        return buf_str(&p->out);
    *flags = 0;
    return record;
}
