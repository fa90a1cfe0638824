/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, durations and sizes from any bytes. What was read must read back
 * the same from what is printed, in every style that keeps all digits.
 */
#include "model/number.h"

#include <stdint.h>
#include <stdlib.h>

#include "util/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void round_trip(double v)
{
    static const enum number_style styles[] = { NUMBER_TEXT, NUMBER_OM,
                                                NUMBER_API, NUMBER_PLAIN };

    for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
        char text[NUMBER_MAX_BYTES];
        size_t n = number_format(text, v, styles[i]);
        double back;

        check(n <= sizeof(text));
        check(number_parse((sonde_str){ text, n }, &back));
        check(v != v ? back != back : back == v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str s = { (const char *)data, size };
    struct buf b;
    int64_t n, back;
    double v;

    buf_init(&b);
    if (number_parse(s, &v))
        round_trip(v);
    if (size >= 8) {
        memcpy(&v, data, 8);
        round_trip(v);
    }
    if (duration_parse(s, &n)) {
        buf_duration(&b, n);
        check(duration_parse(buf_str(&b), &back) && back == n);
    }
    buf_reset(&b);
    if (size_parse(s, &n) && n >= 0) {
        buf_size(&b, n);
        /* Sums above 2^53 are rounded, as they are kept in a double. */
        check(size_parse(buf_str(&b), &back) &&
              (back == n || n > INT64_C(1) << 53));
    }
    buf_fini(&b);
    return 0;
}
