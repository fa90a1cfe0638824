/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as zstd frames, which Prometheus knows since 2.46. A frame is
 * unpacked as a stream: the buffer grows with what really comes out, up to
 * the limit of a record, whatever length the frame declares.
 */
#include <zstd.h>

#include "util/mem.h"
#include "wal/unpack.h"

#define LEVEL 1 /* a log is written once and read rarely */

struct zstd {
    ZSTD_DStream *expand;
    ZSTD_CCtx *compress;
};

void zstd_free(struct zstd *z)
{
    if (!z)
        return;
    (void)ZSTD_freeDStream(z->expand);
    (void)ZSTD_freeCCtx(z->compress);
    free(z);
}

static struct zstd *contexts(struct zstd **z)
{
    if (!*z)
        *z = mem_new(struct zstd);
    return *z;
}

static const char *stream(ZSTD_DStream *z, sonde_str packed, struct buf *out)
{
    ZSTD_inBuffer in = { packed.ptr, packed.len, 0 };
    size_t left = 1;

    while (left != 0) {
        size_t room = ZSTD_DStreamOutSize();
        char *at = buf_reserve(out, room);
        ZSTD_outBuffer to = { at, room, 0 };

        if (!at || out->len > WAL_RECORD_MAX_BYTES)
            return "zstd: too large";
        left = ZSTD_decompressStream(z, &to, &in);
        if (ZSTD_isError(left))
            return "zstd: malformed";
        if (left != 0 && to.pos == 0 && in.pos == in.size)
            return "zstd: cut off";
        buf_added(out, to.pos);
    }
    return in.pos == in.size ? NULL : "zstd: bytes behind the frame";
}

const char *unpack_zstd(struct zstd **z, sonde_str packed, struct buf *out)
{
    struct zstd *c = contexts(z);

    buf_reset(out);
    if (!c->expand)
        c->expand = ZSTD_createDStream();
    if (!c->expand)
        return "zstd: out of memory";
    (void)ZSTD_initDStream(c->expand);
    return stream(c->expand, packed, out);
}

bool pack_zstd(struct zstd **z, sonde_str record, struct buf *out)
{
    struct zstd *c = contexts(z);
    size_t room = ZSTD_compressBound(record.len), len;
    char *at;

    buf_reset(out);
    if (!c->compress)
        c->compress = ZSTD_createCCtx();
    at = buf_reserve(out, room);
    if (!at || !c->compress)
        return false;
    len =
        ZSTD_compressCCtx(c->compress, at, room, record.ptr, record.len, LEVEL);
    if (ZSTD_isError(len))
        return false;
    buf_added(out, len);
    return true;
}
