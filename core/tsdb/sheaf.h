/* SPDX-License-Identifier: Apache-2.0 */
/* The chunks of one series, gathered for a block. */
#ifndef TSDB_SHEAF_H
#define TSDB_SHEAF_H

#include <sonde/base.h>

#include "chunk/chunk.h"
#include "util/arena.h"

/*
 * How large a chunk of a block may get. A chunk costs some 33 bytes beside
 * its samples (its header, its place in the index), so few large ones are
 * smaller than many small ones; but who wants one sample decodes the whole
 * chunk. Readers take up to 65535 samples; Thanos fetches 16000 bytes for a
 * chunk at once.
 */
#define SHEAF_SAMPLES 1440
#define SHEAF_BYTES   8192

struct sheaf {
    struct chunk *items;
    size_t count, cap;
    struct arena arena; /* of the bytes that were encoded                  */
};

void sheaf_init(struct sheaf *s);
void sheaf_fini(struct sheaf *s);
/* For the next series. */
void sheaf_reset(struct sheaf *s);
/* A chunk as it is; its bytes stay where they are. */
void sheaf_put(struct sheaf *s, const struct chunk *chunk);
/* Encodes samples from...to of columns. */
SONDE_NODISCARD sonde_code sheaf_cut(struct sheaf *s, const struct columns *c,
                                     size_t from, size_t to,
                                     struct sonde_err *err);
/* The same, from chunks that lie one behind the other in time; they stay as
 * they are where that is smaller. `scratch` is overwritten. */
SONDE_NODISCARD sonde_code sheaf_join(struct sheaf *s,
                                      const struct chunk *chunks, size_t n,
                                      struct columns *scratch,
                                      struct sonde_err *err);

#endif
