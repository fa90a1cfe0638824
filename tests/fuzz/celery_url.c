/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers' URLs: what is taken has hosts and a form to be shown, which is a
 * URL again; what is refused never is part of the message. */
#include <stdlib.h>

#include "celery/broker.h"
#include "celery/encodings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sonde_err err = { 0 };
    struct broker b, again;
    char *shown;

    (void)text_time((sonde_str){ (const char *)data, size });
    if (broker_parse((sonde_str){ (const char *)data, size }, &b, &err) !=
        SONDE_OK) {
        if (err.text[0] == '\0')
            abort();
        return 0;
    }
    shown = broker_public(&b);
    if (b.host_count == 0 || !shown)
        abort();
    if (b.kind != BROKER_AMQP && !strpbrk(shown, "?;@%") &&
        broker_parse(sonde_cstr(shown), &again, &err) == SONDE_OK) {
        if (again.kind != b.kind)
            abort();
        broker_fini(&again);
    }
    free(shown);
    broker_fini(&b);
    return 0;
}
