/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a histogram can follow another one in a chunk, and how. */
#ifndef CHUNK_HIST_FIT_H
#define CHUNK_HIST_FIT_H

#include <sonde/base.h>

#include "model/histogram.h"
#include "util/arena.h"

/* The top two bits of a chunk's third byte. */
enum hist_header {
    HIST_UNKNOWN = 0x00,
    HIST_NO_RESET = 0x40,
    HIST_RESET = 0x80,
    HIST_GAUGE = 0xc0
};

struct hist_fit {
    bool fits;
    enum hist_header header; /* of the chunk that begins if it does not    */
    /* Of both sides: there are buckets that the chunk does not have; that
     * the sample does not have. */
    bool widens[2], pads[2];
};

/* `last` is the sample before in a chunk with this header, of the same kind
 * as `h`. */
struct hist_fit hist_fit(const struct histogram *last, enum hist_header header,
                         const struct histogram *h);
static inline bool hist_fit_widens(const struct hist_fit *f)
{
    return f->widens[0] || f->widens[1];
}
static inline bool hist_fit_pads(const struct hist_fit *f)
{
    return f->pads[0] || f->pads[1];
}

/* The buckets of both, as spans without gaps of 0. False if they are too far
 * apart. */
bool hist_spans_merge(struct arena *a, const struct histogram_side *x,
                      const struct histogram_side *y,
                      struct histogram_side *out);
/* `side` with the buckets of `spans`, which has all of its own: those that
 * are new are empty. Only spans of `spans` are looked at. */
struct histogram_side hist_side_pad(struct arena *a,
                                    const struct histogram_side *side,
                                    const struct histogram_side *spans,
                                    bool is_float);

#endif
