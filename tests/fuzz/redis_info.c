/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INFO to samples: whatever a server says, the sink must not find fault with
 * what comes out.
 */
#include <stdlib.h>

#include <sonde/testing.h>

#include "redis/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sonde_fake f;
    double start = 0;
    struct redis_info info = { .now = 1e9,
                               .start_time = &start,
                               .system_metrics = true };
    struct redis_emit e = { 0 };
    struct redis_facts facts;
    uint8_t *databases = calloc(REDIS_DATABASES_MAX, 1);
    sonde_str text = { (const char *)data, size };

    if (size > 65536) { /* the fake's search for duplicates is quadratic */
        free(databases);
        return 0;
    }
    sonde_fake_init(&f, sonde_plugin_entry);
    info.commands = commands_new();
    info.databases = databases;
    if (!info.commands || !databases)
        abort();
    e.host = &f.host;
    emit_begin(&e, &f.sink);
    info_facts(text, &facts);
    info_emit(&e, text, &info);
    info_pad_databases(&e, 16);
    if (f.sink.code != SONDE_OK) {
        (void)fprintf(stderr, "%s\n", f.err.text);
        abort();
    }
    emit_fini(&e);
    commands_free(info.commands);
    free(databases);
    sonde_fake_fini(&f);
    return 0;
}
