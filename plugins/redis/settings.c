/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONFIG GET: how many databases there are, the few settings that are always
 * exported, and with include_config_metrics all of them. The reply also holds
 * passwords; nothing of it is logged.
 *
 * The size of the dump file is a look at the local disk, as the exporter's:
 * it only makes sense where agent and server share one.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "redis.h"

/* The value of a setting; an empty view if it is not there. */
static sonde_str setting(const struct redis_reply *r, const char *name)
{
    const struct redis_reply *v = reply_field(r, name);

    return reply_is_text(v) ? v->str : (sonde_str){ 0 };
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
        if (!emit_value(part[1], &hard) || !emit_value(part[2], &soft) ||
            !emit_value(part[3], &seconds))
            return;
        emit_sample(e, F_CONFIG_OUTPUT_LIMIT,
                    SONDE_LABELS(part[0], SONDE_STR("hard")), hard);
        emit_sample(e, F_CONFIG_OUTPUT_LIMIT,
                    SONDE_LABELS(part[0], SONDE_STR("soft")), soft);
        emit_sample(e, F_CONFIG_OUTPUT_OVERCOME,
                    SONDE_LABELS(part[0], SONDE_STR("soft")), seconds);
    }
}

/* 0 if there is none; nothing if it can not be told. */
static void emit_dump_size(struct redis_emit *e, const struct redis_reply *r)
{
    sonde_str dir = setting(r, "dir"), file = setting(r, "dbfilename");
    struct text path = { 0 };
    struct stat st;

    if (dir.len == 0 || file.len == 0 || memchr(file.ptr, '/', file.len) ||
        text_is(file, "..") || text_is(file, "."))
        return;
    if (text_add(&path, dir.ptr, dir.len) && text_addz(&path, "/") &&
        text_add(&path, file.ptr, file.len)) {
        if (stat(path.ptr, &st) == 0) {
            if (S_ISREG(st.st_mode))
                emit_sample(e, F_RDB_SIZE, NULL, (double)st.st_size);
        } else if (errno == ENOENT) {
            emit_sample(e, F_RDB_SIZE, NULL, 0);
        }
    }
    text_fini(&path);
}

static bool is_secret(sonde_str name)
{
    static const char *const names[] = {
        "masterauth",
        "requirepass",
        "primaryauth",
        "tls-key-file-pass",
        "tls-client-key-file-pass",
        "sentinel-pass",
        "sentinel-user-pass",
        "auth-pass",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (text_is(name, names[i]))
            return true;
    }
    return false;
}

void settings_emit_all(struct redis_emit *e, const struct redis_reply *r,
                       size_t as_text, size_t as_number, bool redact)
{
    for (size_t i = 0; i + 1 < r->count; i += 2) {
        const struct redis_reply *name = r->items[i], *value = r->items[i + 1];
        double v;

        if (!reply_is_text(name) || !reply_is_text(value) ||
            (redact && is_secret(name->str)))
            continue;
        emit_sample(e, as_text, SONDE_LABELS(name->str, value->str), 1);
        if (text_number(value->str, &v))
            emit_sample(e, as_number, &name->str, v);
    }
}

sonde_code settings_emit(struct sonde_instance *i, const struct redis_reply *r,
                         struct sonde_err *why)
{
    static const struct {
        const char *name;
        size_t family;
    } rows[] = {
        { "maxclients", F_CONFIG_MAXCLIENTS },
        { "maxmemory", F_CONFIG_MAXMEMORY },
        { "io-threads", F_CONFIG_IO_THREADS },
        { "repl-backlog-size", F_CONFIG_BACKLOG },
        { "commandlog-execution-slower-than", F_COMMANDLOG_SLOWER },
        { "commandlog-slow-execution-max-len", F_COMMANDLOG_SLOW_MAX },
        { "commandlog-request-larger-than", F_COMMANDLOG_LARGER_REQUEST },
        { "commandlog-large-request-max-len", F_COMMANDLOG_REQUEST_MAX },
        { "commandlog-reply-larger-than", F_COMMANDLOG_LARGER_REPLY },
        { "commandlog-large-reply-max-len", F_COMMANDLOG_REPLY_MAX },
    };
    struct redis_emit *e = &i->emit;
    double v;

    (void)why;
    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        if (emit_value(setting(r, rows[k].name), &v))
            emit_sample(e, rows[k].family, NULL, v);
    }
    emit_output_limits(e, setting(r, "client-output-buffer-limit"));
    if (i->options->include_config_metrics)
        settings_emit_all(e, r, F_CONFIG_KEY_VALUE, F_CONFIG_VALUE,
                          i->options->redact_config_metrics);
    if (i->options->include_rdb_file_size_metric)
        emit_dump_size(e, r);
    return SONDE_OK;
}
