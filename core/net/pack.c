/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which coding an answer gets, and zlib's two. The fastest levels are used:
 * an answer is compressed once and sent over a fast network, so the time
 * counts more than the last tenth of the size. By time zstd is far ahead,
 * then come gzip and deflate, which differ only in a few bytes around.
 *
 * Accept-Encoding is read by the standard's rules, quality values included
 * (Prometheus does not know these and answers plain then).
 */
#include "net/pack.h"

#include <stdlib.h>
#include <zlib.h>

#include "util/mem.h"
#include "util/str.h"

#define WINDOW_BITS    15
#define GZIP_BITS      (15 + 16)
#define MEM_LEVEL      8
#define PIECE_MAX      ((size_t)1 << 30) /* zlib counts in 32 bits          */
#define OUT_BYTES      ((size_t)32 << 10)
#define QUALITY_DIGITS 3

static const char *const names[CODINGS] = {
    [CODING_DEFLATE] = "deflate",
    [CODING_GZIP] = "gzip",
    [CODING_ZSTD] = "zstd",
};

const char *coding_name(enum coding c)
{
    return names[c];
}

/* ";q=0.5" in thousandths; 1000 without. */
static int quality_of(sonde_str parameter)
{
    sonde_str q = str_trim(parameter);
    int v, digits = 0;

    if (q.len < 3 || (q.ptr[0] | 0x20) != 'q' || q.ptr[1] != '=')
        return 1000;
    v = q.ptr[2] == '1' ? 1000 : 0;
    for (size_t i = 4; i < q.len && digits < QUALITY_DIGITS; i++, digits++) {
        static const int weights[QUALITY_DIGITS] = { 100, 10, 1 };

        if (q.ptr[i] < '0' || q.ptr[i] > '9')
            break;
        v += (q.ptr[i] - '0') * weights[digits];
    }
    return v;
}

static bool names_coding(sonde_str name, enum coding c)
{
    return str_eq_nocase(name, sonde_cstr(names[c])) ||
           (c == CODING_GZIP && str_eq_nocase(name, SONDE_STR("x-gzip")));
}

/* What the header says of one coding, in thousandths; -1: nothing. */
static int wish_for(sonde_str accept, enum coding c)
{
    sonde_str rest = accept, item;
    int any = -1;

    while (str_split(&rest, ',', &item)) {
        size_t semi = str_index(item, ';');
        sonde_str name = str_trim(str_sub(item, 0, semi));
        int q = quality_of(str_sub(item, semi + 1, item.len));

        if (names_coding(name, c))
            return q;
        /* Who takes anything may still not have heard of zstd. */
        if (str_eq_cstr(name, "*") && c != CODING_ZSTD)
            any = q;
    }
    return any;
}

enum coding coding_choose(sonde_str accept)
{
    enum coding best = CODING_PLAIN;
    int best_wish = 0;

    for (int c = CODING_DEFLATE; c < CODINGS; c++) {
        int wish;

        if (c == CODING_ZSTD && !pack_has_zstd)
            continue;
        wish = wish_for(accept, (enum coding)c);
        if (wish > 0 && wish >= best_wish) {
            best = (enum coding)c;
            best_wish = wish;
        }
    }
    return best;
}

/* ---- zlib --------------------------------------------------------------- */

struct zlib_packer {
    struct packer base;
    z_stream z;
};

static bool run(z_stream *z, int flush, struct buf *out)
{
    int rc;

    do {
        char *at = buf_reserve(out, OUT_BYTES);

        if (!at)
            return false;
        z->next_out = (Bytef *)at;
        z->avail_out = (uInt)OUT_BYTES;
        rc = deflate(z, flush);
        buf_added(out, OUT_BYTES - z->avail_out);
        if (rc == Z_STREAM_ERROR)
            return false;
    } while (z->avail_out == 0);
    return true;
}

static bool zlib_put(struct packer *base, sonde_str in, bool last,
                     struct buf *out)
{
    struct zlib_packer *p = (struct zlib_packer *)base;
    bool ok = true;

    do {
        sonde_str piece = str_sub(in, 0, PIECE_MAX);

        in = str_sub(in, piece.len, in.len);
        p->z.next_in = (Bytef *)piece.ptr;
        p->z.avail_in = (uInt)piece.len;
        ok = run(&p->z, last && in.len == 0 ? Z_FINISH : Z_NO_FLUSH, out);
    } while (ok && in.len > 0);
    return ok;
}

static void zlib_free(struct packer *base)
{
    struct zlib_packer *p = (struct zlib_packer *)base;

    (void)deflateEnd(&p->z);
    free(p);
}

static struct packer *zlib_new(int bits)
{
    static const struct packer_ops ops = { zlib_put, zlib_free };
    struct zlib_packer *p = mem_new(struct zlib_packer);

    p->base.ops = &ops;
    if (deflateInit2(&p->z, Z_BEST_SPEED, Z_DEFLATED, bits, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) == Z_OK)
        return &p->base;
    free(p);
    return NULL;
}

struct packer *packer_new(enum coding c)
{
    switch (c) {
    case CODING_DEFLATE:
        return zlib_new(WINDOW_BITS);
    case CODING_GZIP:
        return zlib_new(GZIP_BITS);
    case CODING_ZSTD:
        return packer_zstd_new();
    default:
        return NULL;
    }
}
