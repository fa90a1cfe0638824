/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Redis that answers anything: a subscription with an inspection and a
 * measurement, the bytes in pieces (the first byte says how large). Each turn
 * must end, and nothing be left open.
 */
#include <stdlib.h>

#include <sonde/testing.h>

#include "celery/emit.h"
#include "celery/listener.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void play(struct sonde_fake *f, struct state *s, struct broker *b)
{
    pthread_mutex_t files = PTHREAD_MUTEX_INITIALIZER;
    struct transport_config config = { .host = &f->host,
                                       .target = &f->target,
                                       .options = f->options,
                                       .broker = b,
                                       .files = &files,
                                       .oid = "me" };
    struct listener l = { .host = &f->host,
                          .target = &f->target,
                          .options = f->options,
                          .state = s };
    const sonde_str names[] = { SONDE_STR("a"), SONDE_STR("b") };
    struct queue_size sizes[2];
    struct sizes out = { .queues = names, .sizes = sizes, .count = 2 };
    struct sonde_err err;

    if (redis_transport(&config, &l.transport, &err) != SONDE_OK)
        abort();
    listener_init(&l);
    for (int i = 0; i < 30; i++)
        (void)listener_step(&l);
    (void)!l.transport->ops->measure(l.transport, &out,
                                     f->host.monotonic() + 100, &err);
    listener_stop(&l);
    l.transport->ops->close(l.transport);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sonde_fake_step steps[] = {
        { SONDE_FAKE_CONNECT },
        { SONDE_FAKE_SEND, SONDE_STR("+OK\r\n+OK\r\n") },
        { SONDE_FAKE_SEND, { NULL, 0 } },
        { SONDE_FAKE_END },
    };
    struct sonde_fake f;
    struct state s;
    struct broker b;
    struct sonde_err err;

    if (size < 2 || size > 65536)
        return 0;
    steps[2].bytes = (sonde_str){ (const char *)data + 1, size - 1 };
    steps[2].chunk = data[0] ? data[0] : 4096;
    sonde_fake_init(&f, sonde_plugin_entry);
    if (state_init(&s, f.options, &err) != SONDE_OK ||
        broker_parse(SONDE_STR("redis://h/3"), &b, &err) != SONDE_OK)
        abort();
    SONDE_FAKE_SCRIPT(&f, steps);
    play(&f, &s, &b);
    if (f.opened != f.closed)
        abort();
    broker_fini(&b);
    state_fini(&s);
    sonde_fake_fini(&f);
    return 0;
}
