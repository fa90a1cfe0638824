/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a broker hands out: the first byte says as what the rest is taken, an
 * envelope with events, the events themselves, a reply to an inspection, or
 * the next message of a queue. Whatever it is, the sink must not find fault
 * with what comes out.
 */
#include <stdlib.h>

#include <sonde/testing.h>

#include "celery/emit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct state *s, uint8_t kind, sonde_str text)
{
    struct instant at = { .now = 1000, .monotonic = 1000 };
    struct envelope e;

    if (kind % 4 == 0) {
        if (envelope_open(text, &e))
            state_message(s, e.content_type, e.body, at);
        else
            state_broken(s);
        envelope_close(&e);
    } else if (kind % 4 == 1) {
        state_message(s, (sonde_str){ 0 }, text, at);
    } else if (kind % 4 == 2) {
        fleet_begin(&s->fleet);
        state_reply(s, (sonde_str){ 0 }, text);
        fleet_end(&s->fleet);
    } else {
        state_tail(s, SONDE_STR("q"), 1, text, 1000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sonde_fake f;
    struct state s;
    struct sonde_err err;
    struct emit e = { .at = { .now = 2000, .monotonic = 2000 } };

    if (size < 1 || size > 16384)
        return 0;
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "task_limit", "5");
    (void)sonde_fake_option(&f, "series_limit", "20");
    if (state_init(&s, f.options, &err) != SONDE_OK)
        abort();
    for (int i = 0; i < 2; i++)
        take(&s, data[0], (sonde_str){ (const char *)data + 1, size - 1 });
    e.host = &f.host;
    e.sink = &f.sink;
    state_purge(&s, e.at);
    emit_state(&e, &s);
    emit_fleet(&e, &s);
    if (f.sink.code != SONDE_OK) {
        (void)fprintf(stderr, "%s\n", f.err.text);
        abort();
    }
    state_fini(&s);
    sonde_fake_fini(&f);
    return 0;
}
