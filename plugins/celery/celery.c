/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Celery, under the names of celery-exporter.
 *
 * What happens to tasks is told by events, which nobody repeats: a thread of
 * the instance listens from its first collection on (listener.c) and counts
 * into the state (state.c). A collection reads the state and measures the
 * queues in one round trip on a connection of its own (redis.c, amqp.c). It
 * asks no worker and waits for none; that is done by the listener, now and
 * then.
 *
 * A broker that is down is a fact to report: celery_up 0, with the counters
 * as they are, for they go on when it is back.
 */
#include <stdlib.h>

#include "emit.h"
#include "exporter.h"
#include "listener.h"
#include "shared/clock.h"

enum {
    PART_QUEUES,
    PART_WORKERS
};

static const struct sonde_collector collectors[] = {
    [PART_QUEUES] = { .name = "queues",
                      .help = "Lengths of queues, asked of the broker" },
    [PART_WORKERS] = { .name = "workers",
                       .help = "Who works on which queue, by the last "
                               "inspection of the workers" },
};

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_open *open;
    const struct celery_options *options;
    struct broker broker;
    struct state state;
    struct listener listener;
    struct transport *transport;
    pthread_mutex_t files;
    char oid[37];
    int steps[STEPS_MAX];
    size_t step_count; /* 0: the broker has no priorities by list */
    bool ready;        /* the listener is set up */
    /* Of the queues, for `measure`; grown as needed. */
    sonde_str *names;
    struct queue_size *sizes;
    size_t room;
};

/* ---- parts --------------------------------------------------------------- */

static void begin(const struct emit *e, size_t part)
{
    if (SONDE_HAS(struct sonde_host, e->host, begin))
        e->host->begin(e->sink, part);
}

static void end(const struct emit *e, sonde_code code, const char *why,
                double seconds)
{
    if (SONDE_HAS(struct sonde_host, e->host, end))
        e->host->end(e->sink, code, code == SONDE_OK ? NULL : why, seconds);
}

static bool make_room(struct sonde_instance *i, size_t count)
{
    sonde_str *names;
    struct queue_size *sizes;

    if (count <= i->room)
        return true;
    names = realloc(i->names, count * 2 * sizeof(*names));
    if (names)
        i->names = names;
    sizes = realloc(i->sizes, count * 2 * sizeof(*sizes));
    if (sizes)
        i->sizes = sizes;
    if (names && sizes)
        i->room = count * 2;
    return names && sizes;
}

/* Names of the queues: they stay where they are until the instance ends. */
static bool list_queues(struct sonde_instance *i, struct sizes *out)
{
    size_t n = 0;
    bool ok;

    (void)pthread_mutex_lock(&i->state.lock);
    ok = make_room(i, i->state.fleet.queues.count);
    for (struct node *q = i->state.fleet.queues.first; q && ok; q = q->next)
        i->names[n++] = q->key;
    (void)pthread_mutex_unlock(&i->state.lock);
    *out = (struct sizes){
        .queues = i->names, .sizes = i->sizes, .count = n, .unacked = -1
    };
    return ok;
}

static void collect_queues(struct sonde_instance *i, const struct emit *e,
                           sonde_msec deadline)
{
    struct sonde_err err = { 0 };
    struct sizes sizes;
    sonde_code rc;

    begin(e, PART_QUEUES);
    rc = list_queues(i, &sizes)
             ? i->transport->ops->measure(i->transport, &sizes, deadline, &err)
             : no_memory(&err);
    if (rc == SONDE_OK)
        emit_sizes(e, &sizes, i->steps, i->step_count);
    end(e, rc, err.text, -1);
}

/* The inspection itself took place elsewhere; its time is what it took. */
static void collect_workers(struct sonde_instance *i, const struct emit *e)
{
    const struct state *s = &i->state;
    bool asked = s->fleet.inspections > 0 || s->inspect_error[0];

    begin(e, PART_WORKERS);
    if (!asked) {
        end(e, SONDE_EUNSUPPORTED, "not inspected yet", -1);
    } else if (s->up && s->inspect_ok) {
        emit_fleet(e, s);
        end(e, SONDE_OK, NULL, s->inspect_seconds);
    } else {
        end(e, SONDE_EUNAVAILABLE, s->up ? s->inspect_error : s->error, -1);
    }
}

static sonde_code celery_collect(struct sonde_instance *i,
                                 struct sonde_sink *sink, sonde_msec deadline,
                                 struct sonde_err *err)
{
    sonde_msec own = clock_before(i->host, deadline, 100);
    struct emit e = { .host = i->host, .sink = sink };
    sonde_code rc = listener_start(&i->listener, own, err);

    if (rc != SONDE_OK)
        return rc;
    collect_queues(i, &e, own);
    e.at = (struct instant){ .now = (double)i->host->now() / 1000,
                             .monotonic = i->host->monotonic() };
    (void)pthread_mutex_lock(&i->state.lock);
    state_purge(&i->state, e.at);
    emit_state(&e, &i->state);
    collect_workers(i, &e);
    (void)pthread_mutex_unlock(&i->state.lock);
    return SONDE_OK;
}

/* ---- life ---------------------------------------------------------------- */

static sonde_code make_transport(struct sonde_instance *i,
                                 struct sonde_err *err)
{
    const struct sonde_open *open = i->open;
    struct transport_config config = {
        .host = i->host,
        .target = open->target,
        .options = i->options,
        .broker = &i->broker,
        .tls = open->struct_size >=
                       offsetof(struct sonde_open, tls) + sizeof(open->tls)
                   ? open->tls
                   : NULL,
        .files = &i->files,
        .oid = i->oid,
    };

    control_uuid(i->oid);
    return i->broker.kind == BROKER_AMQP
               ? amqp_transport(&config, &i->transport, err)
               : redis_transport(&config, &i->transport, err);
}

static sonde_code celery_open(const struct sonde_host *host,
                              const struct sonde_open *open,
                              struct sonde_instance **out,
                              struct sonde_err *err)
{
    struct sonde_instance *i = calloc(1, sizeof(*i));
    sonde_code rc;

    if (!i)
        return no_memory(err);
    *out = i;
    i->host = host;
    i->open = open;
    i->options = open->options;
    (void)pthread_mutex_init(&i->files, NULL);
    rc = state_init(&i->state, i->options, err);
    if (rc == SONDE_OK)
        rc = broker_parse(i->options->broker_url.len ? i->options->broker_url
                                                     : open->address,
                          &i->broker, err);
    if (rc == SONDE_OK)
        rc = make_transport(i, err);
    if (rc != SONDE_OK)
        return rc;
    if (i->broker.kind != BROKER_AMQP)
        i->step_count = options_steps(i->options, i->steps);
    i->listener = (struct listener){ .host = host,
                                     .target = open->target,
                                     .options = i->options,
                                     .state = &i->state,
                                     .transport = i->transport };
    listener_init(&i->listener);
    i->ready = true;
    return SONDE_OK;
}

static void celery_close(struct sonde_instance *i)
{
    if (!i)
        return;
    if (i->ready)
        listener_stop(&i->listener);
    if (i->transport)
        i->transport->ops->close(i->transport);
    broker_fini(&i->broker);
    state_fini(&i->state);
    (void)pthread_mutex_destroy(&i->files);
    free(i->names);
    free(i->sizes);
    free(i);
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "celery",
        .version = "0.1.0",
        .summary = "Celery on Redis or RabbitMQ, with celery-exporter's "
                   "metrics",
        SONDE_PLUGIN_OPTIONS(celery_option_rows, struct celery_options),
        SONDE_PLUGIN_FAMILIES(celery_families),
        SONDE_PLUGIN_COLLECTORS(collectors),
        .default_address = "redis://127.0.0.1:6379/0",
        .expose_port = 9808,
        .open = celery_open,
        .close = celery_close,
        .collect = celery_collect,
        .check = options_check,
        .exporter = &celery_exporter,
    };

    (void)host;
    return &plugin;
}
