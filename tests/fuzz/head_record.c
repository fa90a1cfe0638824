/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as the records of a head chunk file: the walk ends, what it finds lies
 * inside, and what was found is written again to the same bytes. */
#include "tsdb/head_record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(sonde_str all, size_t at, const struct head_chunk *c,
                  size_t len)
{
    const char *end = all.ptr + at + len;
    size_t again = head_record_bytes(c);
    uint8_t *to;

    if (c->chunk.data.ptr < all.ptr + at ||
        c->chunk.data.ptr + c->chunk.data.len > end)
        abort();
    if (again > len) /* a length may be written with more bytes than needed */
        abort();
    to = malloc(again);
    if (!to || head_record_put(to, c) != again)
        abort();
    if (again == len && memcmp(to, all.ptr + at, len) != 0)
        abort();
    free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str all = { (const char *)data, size };
    struct head_chunk c;
    size_t at = 0, len, next;

    while (at < size) {
        switch (head_record_check((sonde_str){ all.ptr + at, size - at }, &c,
                                  &len)) {
        case HEAD_RECORD_GOOD:
            check(all, at, &c, len);
            at += len;
            break;
        case HEAD_RECORD_END:
            return 0;
        case HEAD_RECORD_BAD:
            next = head_record_seek(all, at + 1);
            if (next <= at || next > size)
                abort();
            at = next;
            break;
        }
    }
    return 0;
}
