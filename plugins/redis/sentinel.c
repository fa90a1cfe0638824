/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Sentinel's masters. SENTINEL MASTERS comes with the round trip of the
 * collection; quorum, peers and replicas of all masters follow in one more,
 * since their names must be known first.
 */
#include <stdlib.h>

#include "redis.h"

struct master {
    char *name, *address; /* "ip:port" */
};

/* ---- what a row says ----------------------------------------------------- */

static sonde_str text_of(const struct redis_reply *r, const char *field)
{
    const struct redis_reply *v = reply_field(r, field);

    return reply_is_text(v) ? v->str : (sonde_str){ 0 };
}

static void emit_master(struct sonde_instance *i, const struct master *m,
                        const struct redis_reply *r)
{
    static const struct {
        const char *field;
        size_t family;
        double scale;
    } rows[] = {
        { "quorum", F_SENTINEL_SET_QUORUM, 1 },
        { "failover-timeout", F_SENTINEL_SET_FAILOVER, 1 },
        { "parallel-syncs", F_SENTINEL_SET_SYNCS, 1 },
        { "down-after-milliseconds", F_SENTINEL_SET_DOWN_AFTER, 1 },
        { "config-epoch", F_SENTINEL_EPOCH, 1 },
        { "last-ok-ping-reply", F_SENTINEL_PING, 1000 },
    };

    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        double v = 0;

        (void)reply_number(reply_field(r, rows[k].field), &v);
        emit_sample(&i->emit, rows[k].family,
                    SONDE_LABELS(sonde_cstr(m->name), sonde_cstr(m->address)),
                    v / rows[k].scale);
    }
}

static void emit_quorum(struct sonde_instance *i, const struct master *m,
                        const struct redis_reply *r)
{
    emit_sample(&i->emit, F_SENTINEL_QUORUM,
                SONDE_LABELS(sonde_cstr(m->name), r->str),
                r->type != REDIS_REPLY_ERROR);
}

static void emit_peer(struct sonde_instance *i, const struct master *m,
                      const struct redis_reply *r)
{
    emit_sample(&i->emit, F_SENTINEL_PEER,
                SONDE_LABELS(sonde_cstr(m->name), sonde_cstr(m->address),
                             text_of(r, "name"), text_of(r, "ip"),
                             text_of(r, "port"), text_of(r, "runid"),
                             text_of(r, "flags")),
                1);
}

/* Rows whose flags have neither o_down nor s_down. */
static double count_well(const struct redis_reply *list)
{
    double n = 0;

    for (size_t k = 0; k < list->count; k++) {
        sonde_str flags = text_of(list->items[k], "flags");

        n += flags.ptr && !text_has(flags, "o_down") &&
             !text_has(flags, "s_down");
    }
    return n;
}

/* ---- the conversation ---------------------------------------------------- */

static sonde_code ask(struct redis_conn *c, const struct master *m,
                      struct sonde_err *err)
{
    static const char *const words[] = { "CKQUORUM", "SENTINELS", "SLAVES" };
    sonde_code rc = SONDE_OK;

    for (size_t k = 0; rc == SONDE_OK && k < 3; k++)
        rc = conn_add(c, err, SONDE_STR("SENTINEL"), sonde_cstr(words[k]),
                      sonde_cstr(m->name));
    return rc;
}

static void emit_answers(struct sonde_instance *i, const struct master *m,
                         struct redis_reply **r)
{
    sonde_str labels[] = { sonde_cstr(m->name), sonde_cstr(m->address) };

    emit_quorum(i, m, r[0]);
    for (size_t k = 0;
         i->options->include_sentinel_peer_info && k < r[1]->count; k++)
        emit_peer(i, m, r[1]->items[k]);
    /* This Sentinel itself is well. */
    emit_sample(&i->emit, F_SENTINEL_OK_SENTINELS, labels,
                1 + count_well(r[1]));
    emit_sample(&i->emit, F_SENTINEL_OK_SLAVES, labels, count_well(r[2]));
}

static sonde_code ask_all(struct sonde_instance *i, const struct master *m,
                          size_t n, sonde_msec deadline, struct sonde_err *err)
{
    struct redis_reply **r = NULL;
    struct redis_conn *c;
    sonde_code rc = redis_conn_for(i, &c, err);

    if (rc == SONDE_OK)
        rc = conn_begin(c, err);
    for (size_t k = 0; rc == SONDE_OK && k < n; k++)
        rc = ask(c, &m[k], err);
    if (rc == SONDE_OK)
        rc = conn_exchange(c, deadline, &r, err);
    for (size_t k = 0; rc == SONDE_OK && k < n; k++)
        emit_answers(i, &m[k], r + 3 * k);
    return rc;
}

/* Emits what the list says and keeps the names for the next question. */
static size_t take_masters(struct sonde_instance *i,
                           const struct redis_reply *list, struct master *out)
{
    size_t n = 0;

    for (size_t k = 0; k < list->count && n < REDIS_MASTERS_MAX; k++) {
        const struct redis_reply *r = list->items[k];
        sonde_str name = text_of(r, "name"), ip = text_of(r, "ip");
        sonde_str port = text_of(r, "port");
        struct text address = { 0 };

        if (!name.ptr || !ip.ptr || !port.ptr)
            continue;
        if (text_add(&address, ip.ptr, ip.len) && text_addz(&address, ":") &&
            text_add(&address, port.ptr, port.len))
            out[n].address = address.ptr;
        else
            text_fini(&address);
        out[n].name = strndup(name.ptr, name.len);
        if (out[n].name && out[n].address)
            emit_master(i, &out[n++], r);
        else
            free(out[n].name);
    }
    return n;
}

void sentinel_collect(struct sonde_instance *i, sonde_msec deadline)
{
    const struct redis_reply *list = i->replies[Q_SENTINEL_MASTERS];
    struct master masters[REDIS_MASTERS_MAX] = { 0 };
    struct sonde_err why = { 0 };
    sonde_code rc = SONDE_OK;
    size_t n;

    if (!list)
        return;
    part_begin(i, P_SENTINEL);
    n = take_masters(i, list, masters);
    if (n)
        rc = ask_all(i, masters, n, deadline, &why);
    part_end(i, rc, &why);
    for (size_t k = 0; k < n; k++) {
        free(masters[k].name);
        free(masters[k].address);
    }
}
