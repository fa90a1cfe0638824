/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT LIST and INFO MODULES: the sink must not find fault. */
#include <stdlib.h>

#include <sonde/testing.h>

#include "redis/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_options options = { .export_client_port = true };
    struct redis_reply r = { .type = REDIS_REPLY_STRING };
    struct sonde_instance i = { .options = &options };
    struct sonde_fake f;
    struct sonde_err why;

    if (size > 16384) /* the fake's search for duplicates is quadratic */
        return 0;
    sonde_fake_init(&f, sonde_plugin_entry);
    i.host = i.emit.host = &f.host;
    emit_begin(&i.emit, &f.sink);
    r.str = (sonde_str){ (const char *)data, size };
    if (clients_emit(&i, &r, &why) != SONDE_OK ||
        modules_emit(&i, &r, &why) != SONDE_OK || f.sink.code != SONDE_OK) {
        (void)fprintf(stderr, "%s\n", f.err.text);
        abort();
    }
    emit_fini(&i.emit);
    sonde_fake_fini(&f);
    return 0;
}
