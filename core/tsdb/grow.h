/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that live as long as the head: they grow by an eighth, because what
 * is not used is paid for all the time, and moving large ones costs the
 * kernel's page tables only. */
#ifndef TSDB_GROW_H
#define TSDB_GROW_H

#include <stdint.h>

#include "util/mem.h"

static inline void *grow_modestly(void *p, uint32_t *cap, uint32_t want,
                                  size_t elem_bytes)
{
    uint64_t to = (uint64_t)*cap + *cap / 8;

    if (want <= *cap)
        return p;
    if (to < want)
        to = want;
    if (to < UINT32_MAX - 4)
        to = (to + 3) / 4 * 4;
    *cap = (uint32_t)to;
    return mem_realloc(p, (size_t)to * elem_bytes);
}

#endif
