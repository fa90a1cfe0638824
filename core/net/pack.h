/* SPDX-License-Identifier: Apache-2.0 */
/* Answers compressed while they are made: zstd, gzip, deflate. */
#ifndef NET_PACK_H
#define NET_PACK_H

#include <sonde/base.h>

#include "util/buf.h"

enum coding {
    CODING_PLAIN,
    CODING_DEFLATE,
    CODING_GZIP,
    CODING_ZSTD,
    CODINGS
};

/* The coding that an Accept-Encoding header likes best; of those it likes
 * equally the fastest. */
enum coding coding_choose(sonde_str accept);
/* As Content-Encoding has it; NULL for CODING_PLAIN. */
const char *coding_name(enum coding c);

/* A compressor under way. `put` appends what comes out of `in` to `out`;
 * with `last` the stream is complete. False: no memory. */
struct packer;
struct packer_ops {
    bool (*put)(struct packer *p, sonde_str in, bool last, struct buf *out);
    void (*free)(struct packer *p);
};
struct packer {
    const struct packer_ops *ops;
};
/* NULL: no memory, or CODING_PLAIN. */
struct packer *packer_new(enum coding c);
static inline bool packer_put(struct packer *p, sonde_str in, bool last,
                              struct buf *out)
{
    return p->ops->put(p, in, last, out);
}
static inline void packer_free(struct packer *p)
{
    if (p)
        p->ops->free(p);
}

/* pack_zstd.c or pack_nozstd.c */
extern const bool pack_has_zstd;
struct packer *packer_zstd_new(void);

#endif
