/* SPDX-License-Identifier: Apache-2.0 */
/* See bytes.h. */
#include "util/bytes.h"

/* At most ten bytes, the tenth at most 1: more is malformed, as in Go's
 * encoding/binary. */
uint64_t reader_long_uvarint(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t b;

        if (!reader_need(r, 1))
            return 0;
        b = *r->p++;
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
    r->failed = true;
    r->p = r->end;
    return 0;
}
