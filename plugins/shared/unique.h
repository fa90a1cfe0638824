/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a strict sink takes of what a server says: labels made valid, each
 * series once, and not too many of them.
 */
#ifndef PLUGINS_SHARED_UNIQUE_H
#define PLUGINS_SHARED_UNIQUE_H

#include "shared/text.h"

struct unique {
    size_t max;       /* series of one collection              */
    size_t label_max; /* bytes of a label; longer ones are cut */
    uint64_t *seen;   /* hashes of the series so far           */
    size_t cap, count;
    struct text scratch;
};

/* A collection begins; the bounds stay. */
void unique_begin(struct unique *s);
void unique_fini(struct unique *s);

/* What a series' hash begins with: `family` may be any number that stands for
 * its family, or the hash of its name. */
uint64_t unique_hash(uint64_t family);
uint64_t unique_hash_name(const char *name);

/* Makes the `n` labels of `in` valid, as views in `out` that hold until the
 * next call: bad UTF-8 is replaced, what is too long cut. False: the series
 * of that hash and these labels was said before, or there is no room. */
bool unique_add(struct unique *s, uint64_t hash, const sonde_str *in, size_t n,
                sonde_str *out);

#endif
