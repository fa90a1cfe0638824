/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zlib's inflater for gzip bodies. curl could decode too, but would then hand
 * out at once whatever a small piece swells to; here the caller takes piece
 * after piece and stops at its limit, so that a gzip bomb costs one buffer.
 * Concatenated members are one stream, as gzip(1) and Go read it; anything
 * else after a member is an error.
 */
#include "net/gunzip.h"

#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "util/mem.h"

/* 15 bits of window, plus 16: a gzip header is expected. */
#define GZIP_WINDOW (15 + 16)

struct gunzip {
    z_stream z;
    bool complete; /* at the end of a member                               */
};

struct gunzip *gunzip_new(void)
{
    struct gunzip *g = mem_new(struct gunzip);

    if (inflateInit2(&g->z, GZIP_WINDOW) != Z_OK)
        mem_abort("gzip decoder", sizeof(*g));
    return g;
}

void gunzip_free(struct gunzip *g)
{
    if (!g)
        return;
    (void)inflateEnd(&g->z);
    free(g);
}

void gunzip_input(struct gunzip *g, sonde_str piece)
{
    g->z.next_in = (const Bytef *)piece.ptr;
    g->z.avail_in = (uInt)piece.len;
}

sonde_code gunzip_next(struct gunzip *g, char *out, size_t cap, size_t *got,
                       struct sonde_err *err)
{
    int rc = Z_OK;

    g->z.next_out = (Bytef *)out;
    g->z.avail_out = (uInt)cap;
    *got = 0;
    while (g->z.avail_out == cap && rc == Z_OK) {
        if (g->complete && g->z.avail_in == 0)
            return SONDE_OK;
        if (g->complete)
            (void)inflateReset(&g->z);
        g->complete = false;
        rc = inflate(&g->z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END) {
            g->complete = true;
            rc = Z_OK;
        }
    }
    *got = cap - g->z.avail_out;
    /* No progress possible: the input is used up. */
    if (rc == Z_OK || rc == Z_BUF_ERROR)
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EPARSE, "gzip: %s",
                         g->z.msg ? g->z.msg : "damaged data");
}

bool gunzip_complete(const struct gunzip *g)
{
    return g->complete;
}
