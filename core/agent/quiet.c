/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory goes back to the system when it is not needed any more. The heap
 * keeps some MB of what a query has used, because the next one needs as much
 * and getting pages from the kernel again takes up to half of its time; this
 * gives them back when nobody has asked for a while, or when something else
 * (making a block, a reload) has left much behind.
 */
#include <malloc.h>

#include "agent/agent_int.h"
#include "api/api.h"

#define LEFT_BEHIND_BYTES ((size_t)4 << 20)

void agent_quiet(struct agent *a)
{
    uint64_t reads = api_reads(a->api);
    bool asked = reads != a->quiet.seen;

    a->quiet.seen = reads;
    if (asked ||
        (reads == a->quiet.trimmed &&
         mallinfo2().fordblks < a->quiet.free_bytes + LEFT_BEHIND_BYTES))
        return;
    (void)malloc_trim(0);
    a->quiet.trimmed = reads;
    a->quiet.free_bytes = mallinfo2().fordblks;
}
