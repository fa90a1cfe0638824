/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which deletions a request means in a block: one range for each selected
 * series, no wider than the series' own chunks, so that the number of
 * tombstones says how much of the block is gone.
 */
#include "block/block.h"
#include "block/block_select.h"

static void add_series(const struct block_series *s, uint32_t number,
                       struct time_range r, struct tombstones *out)
{
    sonde_msec first, last;

    if (s->chunk_count == 0)
        return;
    first = s->chunks[0].mint;
    last = s->chunks[s->chunk_count - 1].maxt;
    if (r.mint < first)
        r.mint = first;
    if (r.maxt > last)
        r.maxt = last;
    if (r.mint <= r.maxt)
        tombstones_add(out, number, r);
}

sonde_code block_deletions(const struct block *b, struct time_range range,
                           const struct matcher *matchers, size_t n,
                           struct tombstones *out, struct sonde_err *err)
{
    struct block_selection sel = { 0 };
    struct block_series s = { 0 };
    sonde_code rc = block_candidates(b, matchers, n, &sel, err);

    for (size_t i = 0; rc == SONDE_OK && i < sel.refs.count; i++) {
        rc = block_series(b, sel.refs.items[i], &s, err);
        if (rc == SONDE_OK && block_accepts(b, &sel, &s))
            add_series(&s, sel.refs.items[i], range, out);
    }
    block_series_fini(&s);
    block_selection_fini(&sel);
    return rc;
}
