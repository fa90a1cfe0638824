/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed records: unpack.c, and unpack_zstd.c or unpack_nozstd.c. */
#ifndef WAL_UNPACK_H
#define WAL_UNPACK_H

#include <sonde/base.h>

#include "util/buf.h"

/* No record is larger; a declared length beyond it is damage. */
#define WAL_RECORD_MAX_BYTES ((size_t)512 << 20)

/* Snappy block format into `out` (emptied first). A length is believed only
 * as far as the input could unfold to. NULL, or why it could not be done. */
const char *unpack_snappy(sonde_str packed, struct buf *out);
const char *unpack_zstd(sonde_str packed, struct buf *out);

/* The record compressed into `out`, or the record itself where that does not
 * make it smaller. */
sonde_str pack_snappy(sonde_str record, struct buf *out, bool *packed);

#endif
