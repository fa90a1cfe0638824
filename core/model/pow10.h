/* SPDX-License-Identifier: Apache-2.0 */
/* Private to number.c: powers of ten in 128 bits; see pow10.c. */
#ifndef MODEL_POW10_H
#define MODEL_POW10_H

#include <stdint.h>

#define POW10_MIN (-292)
#define POW10_MAX 324

struct pow10 {
    uint64_t hi, lo;
};

extern const struct pow10 pow10_table[POW10_MAX - POW10_MIN + 1];

#endif
