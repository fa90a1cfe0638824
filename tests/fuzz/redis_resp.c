/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole collection against a server that answers anything: two collections
 * on one connection, the bytes in pieces (the first byte says how large).
 * Each must end well and report redis_up.
 */
#include <math.h>
#include <stdlib.h>

#include <sonde/testing.h>

#include "redis/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sonde_fake_step steps[] = {
        { SONDE_FAKE_SEND, { NULL, 0 } },
        { SONDE_FAKE_END },
        { SONDE_FAKE_REFUSE },
        { SONDE_FAKE_REFUSE },
    };
    struct sonde_fake f;

    if (size < 2 || size > 65536)
        return 0;
    steps[0].bytes = (sonde_str){ (const char *)data + 1, size - 1 };
    steps[0].chunk = data[0] ? data[0] : 4096;
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "password", "x");
    if (sonde_fake_open(&f, "h") != SONDE_OK)
        abort();
    SONDE_FAKE_SCRIPT(&f, steps);
    for (int i = 0; i < 2; i++) {
        if (sonde_fake_collect(&f, 1000) != SONDE_OK ||
            isnan(sonde_fake_value(&f, "redis_up"))) {
            (void)fprintf(stderr, "%s\n", f.err.text);
            abort();
        }
    }
    sonde_fake_fini(&f);
    return 0;
}
