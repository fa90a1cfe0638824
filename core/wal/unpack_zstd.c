/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of newer Prometheus versions that compress their log with zstd.
 * The frame is streamed: the buffer grows with what really comes out, up to
 * the limit of a record, whatever length the frame declares. Only reading;
 * sonde writes snappy, which every version reads.
 */
#include <zstd.h>

#include "wal/unpack.h"

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

const char *unpack_zstd(sonde_str packed, struct buf *out)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    const char *why;

    buf_reset(out);
    if (!z)
        return "zstd: out of memory";
    why = stream(z, packed, out);
    (void)ZSTD_freeDStream(z);
    return why;
}
