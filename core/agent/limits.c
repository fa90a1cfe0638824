/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of the store. What the configuration file says comes before flags,
 * as in Prometheus, so that a reload can change it; if nobody says how much
 * is kept, it is 15 days.
 */
#include "agent/agent_int.h"
#include "model/number.h"

#define RETENTION_DEFAULT_MS (INT64_C(15) * 24 * 3600 * 1000)

void agent_limits(const struct agent_options *o, const struct config *c,
                  struct tsdb_limits *out)
{
    const struct config_store *s = &c->store;

    *out = (struct tsdb_limits){
        .retention_ms = s->retention_ms ? s->retention_ms : o->retention_ms,
        .retention_bytes = (uint64_t)(s->retention_bytes ? s->retention_bytes
                                                         : o->retention_bytes),
        .retention_percent = s->retention_percent,
        .out_of_order_ms = s->out_of_order_ms,
        .max_exemplars = (size_t)s->max_exemplars,
    };
    if (!out->retention_ms && !out->retention_bytes &&
        !(out->retention_percent > 0))
        out->retention_ms = RETENTION_DEFAULT_MS;
}

void agent_retention_text(const struct tsdb_limits *l, struct buf *b)
{
    if (l->retention_ms)
        buf_duration(b, l->retention_ms);
    if (l->retention_bytes) {
        buf_cstr(b, b->len ? " or " : "");
        buf_size(b, (int64_t)l->retention_bytes);
    }
    if (l->retention_percent > 0)
        buf_printf(b, "%s%g%%", b->len ? " or " : "", l->retention_percent);
}
