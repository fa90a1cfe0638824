/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection strings: whatever stands in one, reading it ends well, and a
 * message about it does not repeat it.
 */
#include <stdlib.h>

#include "postgres/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str all = { (const char *)data, size }, rest = all, one;
    struct sonde_err err = { 0 };
    size_t bytes = 0;

    while (dsn_split(&rest, &one)) {
        struct dsn d;

        bytes += one.len;
        if (dsn_parse(one, &d, &err) == SONDE_OK &&
            (!d.server || d.count > DSN_ITEMS_MAX))
            abort();
        for (size_t i = 0; i < d.count; i++) {
            if (!d.items[i].key || !d.items[i].value)
                abort();
        }
        dsn_fini(&d);
    }
    if (bytes > size)
        abort();
    return 0;
}
