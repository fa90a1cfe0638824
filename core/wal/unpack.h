/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed records: unpack.c, and unpack_zstd.c or unpack_nozstd.c. */
#ifndef WAL_UNPACK_H
#define WAL_UNPACK_H

#include <sonde/base.h>

#include "util/buf.h"
#include "wal/wal.h"

/* No record is larger; a declared length beyond it is damage. */
#define WAL_RECORD_MAX_BYTES ((size_t)512 << 20)

/* Contexts of libzstd, made when first needed: they are large. One thread at
 * a time. */
struct zstd;
void zstd_free(struct zstd *z); /* NULL is fine */

/* Snappy block format or a zstd frame into `out` (emptied first). A length is
 * believed only as far as the input could unfold to. NULL, or why it could
 * not be done. */
const char *unpack_snappy(sonde_str packed, struct buf *out);
const char *unpack_zstd(struct zstd **z, sonde_str packed, struct buf *out);

/* A frame into `out`; false if it could not be done. */
bool pack_zstd(struct zstd **z, sonde_str record, struct buf *out);

/* Compresses the records of one writer. */
struct packer {
    enum wal_compression how;
    struct buf out;
    struct zstd *zstd;
};
void packer_init(struct packer *p, enum wal_compression how);
void packer_fini(struct packer *p);
/* The record as it is to be stored, with the flags of its fragments: smaller,
 * or itself. Valid until the next call. */
sonde_str packer_pack(struct packer *p, sonde_str record, unsigned *flags);

#endif
