/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CLIENT LIST: a line for each client, "field=value" with blanks between. A
 * line in which a part does not have exactly one '=' is skipped; a field that
 * is missing is 0. Newer servers add fields at the end, which is why each
 * line is read once, field by field, whatever their order.
 */
#include <math.h>

#include "redis.h"

enum field {
    C_ID,
    C_NAME,
    C_FLAGS,
    C_DB,
    C_ADDR,
    C_USER,
    C_RESP,
    C_OMEM,
    C_MEMORY,
    C_AGE,
    C_IDLE,
    C_SUB,
    C_PSUB,
    C_QBUF,
    C_QBUF_FREE,
    C_OBL,
    C_OLL,
    C_SSUB,
    C_WATCH,
    C_COUNT
};

static const struct {
    const char *name;
    int family;    /* -1: not a value of its own */
    bool if_there; /* else a missing one is 0    */
} fields[C_COUNT] = {
    [C_ID] = { "id", -1, false },
    [C_NAME] = { "name", -1, false },
    [C_FLAGS] = { "flags", -1, false },
    [C_DB] = { "db", -1, false },
    [C_ADDR] = { "addr", -1, false },
    [C_USER] = { "user", -1, false },
    [C_RESP] = { "resp", -1, false },
    [C_OMEM] = { "omem", F_CLIENT_OMEM, false },
    [C_MEMORY] = { "tot-mem", F_CLIENT_MEMORY, false },
    [C_AGE] = { "age", F_CLIENT_CREATED, false },
    [C_IDLE] = { "idle", F_CLIENT_IDLE, false },
    [C_SUB] = { "sub", F_CLIENT_SUB, false },
    [C_PSUB] = { "psub", F_CLIENT_PSUB, false },
    [C_QBUF] = { "qbuf", F_CLIENT_QBUF, false },
    [C_QBUF_FREE] = { "qbuf-free", F_CLIENT_QBUF_FREE, false },
    [C_OBL] = { "obl", F_CLIENT_OBL, false },
    [C_OLL] = { "oll", F_CLIENT_OLL, false },
    [C_SSUB] = { "ssub", F_CLIENT_SSUB, true },
    [C_WATCH] = { "watch", F_CLIENT_WATCH, true },
};

/* False if the line is not to be understood. */
static bool read_line(sonde_str line, sonde_str *out)
{
    sonde_str part, name;

    while (text_split(&line, ' ', &part)) {
        (void)text_split(&part, '=', &name);
        if (!part.ptr || (part.len && memchr(part.ptr, '=', part.len)))
            return false;
        for (size_t k = 0; k < C_COUNT; k++) {
            if (text_is(name, fields[k].name))
                out[k] = part;
        }
    }
    return true;
}

/* Host and port of "10.0.0.1:4711", "[::1]:4711", "/path:0". */
static void split_address(sonde_str addr, sonde_str *host, sonde_str *port)
{
    const char *colon = addr.len ? memrchr(addr.ptr, ':', addr.len) : NULL;

    *host = addr;
    *port = (sonde_str){ 0 };
    if (colon) {
        host->len = (size_t)(colon - addr.ptr);
        *port = (sonde_str){ colon + 1, addr.len - host->len - 1 };
    }
}

static void emit_client(struct sonde_instance *i, const sonde_str *v,
                        double now)
{
    sonde_str host, port;

    split_address(v[C_ADDR], &host, &port);
    if (!i->options->export_client_port)
        port = (sonde_str){ 0 };
    emit_sample(&i->emit, F_CLIENT_INFO,
                SONDE_LABELS(v[C_ID], v[C_NAME], v[C_FLAGS], v[C_DB], host,
                             port, v[C_USER], v[C_RESP]),
                1);
    for (size_t k = 0; k < C_COUNT; k++) {
        double value = 0;

        if (fields[k].family < 0 || (fields[k].if_there && !v[k].ptr))
            continue;
        (void)text_number(v[k], &value);
        if (k == C_AGE || k == C_IDLE)
            value = now - value;
        emit_sample(&i->emit, (size_t)fields[k].family,
                    SONDE_LABELS(v[C_ID], v[C_NAME]), value);
    }
}

sonde_code clients_emit(struct sonde_instance *i, const struct redis_reply *r,
                        struct sonde_err *why)
{
    double now = floor((double)i->host->now() / 1000);
    sonde_str text = r->str, line;
    size_t n = 0;

    (void)why;
    while (text_split(&text, '\n', &line)) {
        sonde_str values[C_COUNT] = { { 0 } };

        line = text_trim(line);
        if (line.len == 0 || !read_line(line, values))
            continue;
        if (++n > REDIS_CLIENTS_MAX)
            i->emit.dropped++;
        else
            emit_client(i, values, now);
    }
    return SONDE_OK;
}
