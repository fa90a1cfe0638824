/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONFIG GET *: how many databases there are, and the few settings that are
 * always exported. The reply also holds passwords; nothing of it is kept or
 * logged.
 */
#include <stdlib.h>

#include "redis.h"

/* The value of a setting; an empty view if it is not there. */
static sonde_str setting(const struct redis_reply *r, const char *name)
{
    if (!r || r->type != REDIS_REPLY_ARRAY)
        return (sonde_str){ 0 };
    for (size_t i = 0; i + 1 < r->count; i += 2) {
        if (r->items[i] && r->items[i + 1] && text_is(r->items[i]->str, name))
            return r->items[i + 1]->str;
    }
    return (sonde_str){ 0 };
}

sonde_code settings_databases(const struct redis_reply *r, int64_t *out,
                              struct sonde_err *err)
{
    sonde_str s = setting(r, "databases");

    *out = -1;
    if (!s.ptr)
        return SONDE_OK;
    if (s.len > 9 || !text_is_numbered(s, ""))
        return sonde_err_set(err, SONDE_EPROTO,
                             "the setting `databases` is not a number");
    *out = strtoll(s.ptr, NULL, 10);
    return SONDE_OK;
}

/* "normal 0 0 0 slave 268435456 67108864 60": class, hard, soft, seconds. */
static void emit_output_limits(struct redis_emit *e, sonde_str value)
{
    sonde_str part[4];

    while (value.len) {
        double hard, soft, seconds;

        for (size_t i = 0; i < 4; i++) {
            if (!text_split(&value, ' ', &part[i]))
                return;
        }
        if (!emit_value(e, part[1], &hard) || !emit_value(e, part[2], &soft) ||
            !emit_value(e, part[3], &seconds))
            return;
        emit_sample(e, F_CONFIG_OUTPUT_LIMIT,
                    SONDE_LABELS(part[0], SONDE_STR("hard")), hard);
        emit_sample(e, F_CONFIG_OUTPUT_LIMIT,
                    SONDE_LABELS(part[0], SONDE_STR("soft")), soft);
        emit_sample(e, F_CONFIG_OUTPUT_OVERCOME,
                    SONDE_LABELS(part[0], SONDE_STR("soft")), seconds);
    }
}

void settings_emit(struct redis_emit *e, const struct redis_reply *r)
{
    static const struct {
        const char *name;
        size_t family;
    } rows[] = { { "maxclients", F_CONFIG_MAXCLIENTS },
                 { "maxmemory", F_CONFIG_MAXMEMORY },
                 { "io-threads", F_CONFIG_IO_THREADS },
                 { "repl-backlog-size", F_CONFIG_BACKLOG } };
    double v;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (emit_value(e, setting(r, rows[i].name), &v))
            emit_sample(e, rows[i].family, NULL, v);
    }
    emit_output_limits(e, setting(r, "client-output-buffer-limit"));
}
