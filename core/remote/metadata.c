/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In remote write 1.0 metadata travels by itself: every send_interval all
 * families that are known then, in requests of max_samples_per_send entries.
 * It is not in the log and has no position. What could not be delivered is
 * tried again until the next round brings a newer list.
 *
 * The first round comes soon after the start, not a whole interval later, so
 * that a receiver knows the types of what it is sent.
 */
#include "remote/metadata.h"

#include "remote/encode.h"

#define FIRST_ROUND_MS 10000

static void begin_round(void *arg);

static void next_round(struct metadata_sender *m)
{
    arena_reset(&m->arena);
    m->families = NULL;
    m->count = m->begin = m->end = 0;
    net_timer_set(m->sending->loop, &m->timer, m->round_ms, begin_round, m);
}

static void encode_next(struct metadata_sender *m)
{
    struct sending *s = m->sending;
    size_t max = (size_t)s->config->metadata_config.max_samples_per_send;

    m->end = m->count - m->begin > max ? m->begin + max : m->count;
    buf_reset(&s->message);
    for (size_t i = m->begin; i < m->end; i++)
        encode_metadata(&s->message, &m->families[i]);
    encode_body(buf_str(&s->message), &m->attempt.body);
    m->attempt.tries = 0;
}

static void on_answer(void *arg, const struct http_result *r);

static void send_body(struct metadata_sender *m)
{
    if (m->sending->halted)
        return;
    m->in_flight = true;
    attempt_start(&m->attempt, m->sending, on_answer, m);
}

static void send_next(struct metadata_sender *m)
{
    m->begin = m->end;
    m->attempt.backoff_ms = 0;
    if (m->begin >= m->count) {
        next_round(m);
        return;
    }
    encode_next(m);
    send_body(m);
}

static void try_again(void *arg)
{
    struct metadata_sender *m = arg;

    if (clock_monotonic(&clock_system) >= m->round_ms)
        begin_round(m);
    else
        send_body(m);
}

static void on_answer(void *arg, const struct http_result *r)
{
    struct metadata_sender *m = arg;
    struct remote_metrics *metrics = &m->sending->m;
    size_t n = m->end - m->begin;

    m->in_flight = false;
    switch (answer_of(r)) {
    case ANSWER_CANCELED:
        return;
    case ANSWER_AGAIN:
        metric_add(metrics->metadata_retried, n);
        sending_log_retry(m->sending, &m->attempt, r);
        net_timer_set(m->sending->loop, &m->timer,
                      attempt_wait(&m->attempt, m->sending, r), try_again, m);
        return;
    case ANSWER_DONE:
        metric_add(metrics->metadata, n);
        metric_add(metrics->metadata_bytes, m->attempt.body.len);
        break;
    case ANSWER_TOO_LARGE:
    case ANSWER_REFUSED:
        metric_add(metrics->metadata_failed, n);
        sending_log_refused(m->sending, &m->attempt, r, 0);
        break;
    }
    send_next(m);
}

static void begin_round(void *arg)
{
    struct metadata_sender *m = arg;

    m->round_ms = later(clock_monotonic(&clock_system),
                        m->sending->config->metadata_config.send_interval);
    arena_reset(&m->arena);
    m->families = NULL;
    m->count = m->begin = m->end = 0;
    m->deps->metadata(m->deps->metadata_arg, &m->arena, &m->families,
                      &m->count);
    send_next(m);
}

void metadata_sender_init(struct metadata_sender *m, struct sending *s,
                          const struct remote_deps *deps)
{
    const struct remote_metadata_config *c = &s->config->metadata_config;
    sonde_msec first = c->send_interval;

    *m = (struct metadata_sender){ .sending = s, .deps = deps };
    arena_init(&m->arena);
    attempt_init(&m->attempt, s);
    if (!deps->metadata || !c->send || c->send_interval <= 0 ||
        c->max_samples_per_send <= 0)
        return;
    if (first > FIRST_ROUND_MS)
        first = FIRST_ROUND_MS;
    m->round_ms = clock_monotonic(&clock_system) + first;
    net_timer_set(s->loop, &m->timer, m->round_ms, begin_round, m);
}

void metadata_sender_fini(struct metadata_sender *m)
{
    net_timer_clear(m->sending->loop, &m->timer);
    attempt_fini(&m->attempt);
    arena_fini(&m->arena);
}
