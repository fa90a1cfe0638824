/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LATENCY LATEST, LATENCY HISTOGRAM and the slow log.
 *
 * A histogram's reply has no sum; it is the time that commandstats has for
 * the command and its subcommands.
 */
#include "redis.h"

#define BUCKETS_MAX 64

/* [[event, when it was last, milliseconds of the latest, of the worst]...] */
sonde_code latency_emit_latest(struct sonde_instance *i,
                               const struct redis_reply *r,
                               struct sonde_err *why)
{
    (void)why;
    for (size_t k = 0; k < r->count; k++) {
        const struct redis_reply *row = r->items[k];
        double when, ms;

        if (!row || row->count < 3 || !reply_is_text(row->items[0]) ||
            !reply_number(row->items[1], &when) ||
            !reply_number(row->items[2], &ms))
            continue;
        emit_sample(&i->emit, F_SPIKE_LAST, &row->items[0]->str, when);
        emit_sample(&i->emit, F_SPIKE_DURATION, &row->items[0]->str, ms / 1000);
    }
    return SONDE_OK;
}

/* [bound, cumulative count, ...]; 0 if it is not what a histogram is. */
static size_t read_buckets(const struct redis_reply *r, double calls,
                           struct sonde_bucket *out)
{
    size_t n = 0;

    for (size_t k = 0; k + 1 < r->count && n < BUCKETS_MAX; k += 2, n++) {
        double bound, count;

        if (!reply_number(r->items[k], &bound) ||
            !reply_number(r->items[k + 1], &count) || count < 0 ||
            count > calls ||
            (n &&
             (bound <= out[n - 1].upper || (uint64_t)count < out[n - 1].count)))
            return 0;
        out[n] = (struct sonde_bucket){ bound, (uint64_t)count };
    }
    return n;
}

static void emit_one(struct sonde_instance *i, sonde_str name,
                     const struct redis_reply *r)
{
    const struct redis_reply *usec = reply_field(r, "histogram_usec");
    const struct redis_command *c = commands_find(i->commands, name);
    struct sonde_bucket buckets[BUCKETS_MAX];
    double calls;
    size_t n;

    if (!usec || !reply_number(reply_field(r, "calls"), &calls) || calls < 0 ||
        calls > 1.8e19)
        return;
    n = read_buckets(usec, calls, buckets);
    if (n == 0 && usec->count)
        return;
    emit_histogram(&i->emit, F_COMMANDS_LATENCIES, &name, buckets, n,
                   (uint64_t)calls, c ? c->family_usec : 0);
}

/* [command, ["calls", N, "histogram_usec", [bound, count, ...]], ...] */
sonde_code latency_emit_histogram(struct sonde_instance *i,
                                  const struct redis_reply *r,
                                  struct sonde_err *why)
{
    (void)why;
    for (size_t k = 0; k + 1 < r->count; k += 2) {
        if (reply_is_text(r->items[k]) && r->items[k + 1])
            emit_one(i, r->items[k]->str, r->items[k + 1]);
    }
    return SONDE_OK;
}

sonde_code slowlog_emit_length(struct sonde_instance *i,
                               const struct redis_reply *r,
                               struct sonde_err *why)
{
    (void)why;
    emit_sample(&i->emit, F_SLOWLOG_LENGTH, NULL, (double)r->integer);
    return SONDE_OK;
}

/* [[id, when, microseconds, ...]] or []: then both are 0. */
sonde_code slowlog_emit_last(struct sonde_instance *i,
                             const struct redis_reply *r, struct sonde_err *why)
{
    const struct redis_reply *row = r->count ? r->items[0] : NULL;
    double id = 0, usec = 0;

    if (row && (row->count < 3 || !reply_number(row->items[0], &id) ||
                !reply_number(row->items[2], &usec)))
        return sonde_err_set(why, SONDE_EPROTO,
                             "SLOWLOG GET: an entry is not of the expected "
                             "form");
    emit_sample(&i->emit, F_SLOWLOG_LAST_ID, NULL, id);
    emit_sample(&i->emit, F_SLOWLOG_LAST, NULL, usec / 1e6);
    return SONDE_OK;
}
