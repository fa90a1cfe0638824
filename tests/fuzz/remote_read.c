/* SPDX-License-Identifier: Apache-2.0 */
/* Remote read's requests out of any bytes; what was read is as it must be. */
#include <stdlib.h>

#include "remote/read.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct read_request *r)
{
    if ((r->samples && r->streamed) ||
        (!r->accepts && (r->samples || r->streamed)))
        abort();
    for (size_t i = 0; i < r->count; i++)
        for (size_t k = 0; k < r->queries[i].matcher_count; k++)
            (void)matcher_matches(&r->queries[i].matchers[k], SONDE_STR("x"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct read_request r = { 0 };
    struct sonde_err err = { 0 };
    struct arena a;
    sonde_code rc;

    arena_init(&a);
    rc = read_request_parse(&a, (sonde_str){ (const char *)data, size }, &r,
                            &err);
    if (rc == SONDE_OK)
        look_at(&r);
    else if (err.text[0] == '\0')
        abort();
    read_request_fini(&r);
    arena_fini(&a);
    return 0;
}
