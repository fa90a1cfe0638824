/* SPDX-License-Identifier: Apache-2.0 */
/* Private to number.c and number_format.c: powers of ten in 128 bits (see
 * pow10.c), and the parts of a double. */
#ifndef MODEL_POW10_H
#define MODEL_POW10_H

#include <stdint.h>

#define POW10_MIN (-292)
#define POW10_MAX 324

struct pow10 {
    uint64_t hi, lo;
};

extern const struct pow10 pow10_table[POW10_MAX - POW10_MIN + 1];

#define FRACTION_BITS 52
#define FRACTION_MASK ((UINT64_C(1) << FRACTION_BITS) - 1)
#define HIDDEN_BIT    (UINT64_C(1) << FRACTION_BITS)
#define EXPONENT_BIAS 1023
#define EXPONENT_INF  0x7ff

#endif
