/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text either parses or is an error; what parses prints to a text that
 * parses again to the same print.
 */
#include "promql/promql.h"

#include <stdlib.h>

#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    struct promql_expr *e, *again;
    struct sonde_err err;
    struct arena a;
    struct buf first = { 0 }, second = { 0 };

    arena_init(&a);
    if (promql_parse(&a, text, NULL, &e, &err) == SONDE_OK) {
        promql_print(&first, e);
        if (promql_parse(&a, buf_str(&first), NULL, &again, &err) == SONDE_OK) {
            promql_print(&second, again);
            if (!sonde_str_eq(buf_str(&first), buf_str(&second)))
                abort();
            promql_fini(again);
        }
        promql_fini(e);
    }
    buf_fini(&first);
    buf_fini(&second);
    arena_fini(&a);
    return 0;
}
