/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as one zstd frame. */
#include <stdlib.h>
#include <zstd.h>

#include "net/pack.h"
#include "util/mem.h"

#define LEVEL 1
/* Far less memory than the level's own window asks for; answers repeat
 * themselves every few lines. */
#define WINDOW_LOG 17

const bool pack_has_zstd = true;

struct zstd_packer {
    struct packer base;
    ZSTD_CCtx *ctx;
};

static bool zstd_put(struct packer *base, sonde_str in, bool last,
                     struct buf *out)
{
    struct zstd_packer *p = (struct zstd_packer *)base;
    ZSTD_inBuffer from = { in.ptr, in.len, 0 };
    size_t left;

    do {
        size_t room = ZSTD_CStreamOutSize();
        char *at = buf_reserve(out, room);
        ZSTD_outBuffer to = { at, room, 0 };

        if (!at)
            return false;
        left = ZSTD_compressStream2(p->ctx, &to, &from,
                                    last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return false;
        buf_added(out, to.pos);
    } while (last ? left > 0 : from.pos < from.size);
    return true;
}

static void zstd_packer_free(struct packer *base)
{
    struct zstd_packer *p = (struct zstd_packer *)base;

    (void)ZSTD_freeCCtx(p->ctx);
    free(p);
}

struct packer *packer_zstd_new(void)
{
    static const struct packer_ops ops = { zstd_put, zstd_packer_free };
    struct zstd_packer *p = mem_new(struct zstd_packer);

    p->base.ops = &ops;
    p->ctx = ZSTD_createCCtx();
    if (p->ctx &&
        !ZSTD_isError(
            ZSTD_CCtx_setParameter(p->ctx, ZSTD_c_compressionLevel, LEVEL)) &&
        !ZSTD_isError(
            ZSTD_CCtx_setParameter(p->ctx, ZSTD_c_windowLog, WINDOW_LOG)))
        return &p->base;
    zstd_packer_free(&p->base);
    return NULL;
}
