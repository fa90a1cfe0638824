/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The round trip of a collection: everything that is asked goes out at once,
 * on a fresh connection behind AUTH, SELECT and CLIENT SETNAME, and the
 * replies are read in order.
 *
 * A table says of each question when it is wanted, which part it belongs to
 * and who reads the reply. What is wanted can depend on what INFO says (a
 * cluster, a Sentinel, Valkey's command log): on the first collection those
 * questions cost a second round trip, after that they are known. What the
 * server does not have is learnt from its refusal and not asked again on this
 * connection; a missing right is tried again after the slow interval, for it
 * may have been granted.
 */
#include "redis.h"

/* ---- what is asked ------------------------------------------------------- */

typedef const struct sonde_instance *Instance;

static bool always(Instance i)
{
    (void)i;
    return true;
}

static bool want_config(Instance i)
{
    return !text_is(i->options->config_command, "-");
}

/* A Sentinel has neither latency monitor nor slow log. */
static bool want_log(Instance i)
{
    return !i->facts.sentinel;
}

static bool want_latency(Instance i)
{
    return !i->facts.sentinel && !i->options->exclude_latency_histogram_metrics;
}

static bool want_commandlog(Instance i)
{
    return i->facts.commandlog && !i->options->is_tile38;
}

static bool want_clients(Instance i)
{
    return i->options->export_client_list;
}

static bool want_cluster(Instance i)
{
    return i->facts.cluster;
}

static bool want_slots(Instance i)
{
    return i->facts.cluster && i->options->is_cluster &&
           (i->walk || i->named_keys.count || i->named_streams.count);
}

static bool want_modules(Instance i)
{
    return i->options->include_modules_metrics;
}

static bool want_tile38(Instance i)
{
    return i->options->is_tile38;
}

static bool want_sentinel(Instance i)
{
    return i->facts.sentinel;
}

static bool want_sentinel_config(Instance i)
{
    return i->facts.sentinel && i->options->include_config_metrics;
}

static bool want_search(Instance i)
{
    return i->options->include_search_indexes_metrics;
}

static sonde_code emit_sentinel_config(struct sonde_instance *i,
                                       const struct redis_reply *r,
                                       struct sonde_err *why)
{
    (void)why;
    settings_emit_all(&i->emit, r, F_SENTINEL_CONFIG_KEY_VALUE,
                      F_SENTINEL_CONFIG_VALUE,
                      i->options->redact_config_metrics);
    return SONDE_OK;
}

static sonde_code emit_cluster(struct sonde_instance *i,
                               const struct redis_reply *r,
                               struct sonde_err *why)
{
    struct redis_info info = { 0 };

    (void)why;
    info_emit(&i->emit, r->str, &info);
    return SONDE_OK;
}

static sonde_code emit_length(struct sonde_instance *i, size_t family,
                              const struct redis_reply *r)
{
    emit_sample(&i->emit, family, NULL, (double)r->integer);
    return SONDE_OK;
}

static sonde_code emit_slow(struct sonde_instance *i,
                            const struct redis_reply *r, struct sonde_err *why)
{
    (void)why;
    return emit_length(i, F_COMMANDLOG_SLOW, r);
}

static sonde_code emit_request(struct sonde_instance *i,
                               const struct redis_reply *r,
                               struct sonde_err *why)
{
    (void)why;
    return emit_length(i, F_COMMANDLOG_REQUEST, r);
}

static sonde_code emit_reply(struct sonde_instance *i,
                             const struct redis_reply *r, struct sonde_err *why)
{
    (void)why;
    return emit_length(i, F_COMMANDLOG_REPLY, r);
}

enum form {
    TEXT,
    NUMBER,
    LIST
};

static const struct question {
    const char *words[4];
    enum redis_part part;
    enum form form; /* of the reply */
    bool (*wanted)(Instance i);
    /* NULL: read by others, who find it in i->replies. */
    sonde_code (*emit)(struct sonde_instance *i, const struct redis_reply *r,
                       struct sonde_err *why);
} questions[Q_COUNT] = {
    [Q_INFO] = { { "INFO", "ALL" }, P_INFO, TEXT, always, NULL },
    [Q_CONFIG] = { { NULL }, P_CONFIG, LIST, want_config, settings_emit },
    [Q_LATENCY_LATEST] = { { "LATENCY", "LATEST" },
                           P_LATENCY,
                           LIST,
                           want_latency,
                           latency_emit_latest },
    [Q_LATENCY_HISTOGRAM] = { { "LATENCY", "HISTOGRAM" },
                              P_LATENCY,
                              LIST,
                              want_latency,
                              latency_emit_histogram },
    [Q_SLOWLOG_LEN] = { { "SLOWLOG", "LEN" },
                        P_SLOWLOG,
                        NUMBER,
                        want_log,
                        slowlog_emit_length },
    [Q_SLOWLOG_GET] = { { "SLOWLOG", "GET", "1" },
                        P_SLOWLOG,
                        LIST,
                        want_log,
                        slowlog_emit_last },
    [Q_COMMANDLOG_SLOW] = { { "COMMANDLOG", "LEN", "slow" },
                            P_COMMANDLOG,
                            NUMBER,
                            want_commandlog,
                            emit_slow },
    [Q_COMMANDLOG_REQUEST] = { { "COMMANDLOG", "LEN", "large-request" },
                               P_COMMANDLOG,
                               NUMBER,
                               want_commandlog,
                               emit_request },
    [Q_COMMANDLOG_REPLY] = { { "COMMANDLOG", "LEN", "large-reply" },
                             P_COMMANDLOG,
                             NUMBER,
                             want_commandlog,
                             emit_reply },
    [Q_CLIENTS] = { { "CLIENT", "LIST" },
                    P_CLIENTS,
                    TEXT,
                    want_clients,
                    clients_emit },
    [Q_CLUSTER] = { { "CLUSTER", "INFO" },
                    P_CLUSTER,
                    TEXT,
                    want_cluster,
                    emit_cluster },
    [Q_CLUSTER_SLOTS] = { { "CLUSTER", "SLOTS" },
                          P_CLUSTER,
                          LIST,
                          want_slots,
                          NULL },
    [Q_MODULES] = { { "INFO", "MODULES" },
                    P_MODULES,
                    TEXT,
                    want_modules,
                    modules_emit },
    [Q_TILE38] = { { "SERVER", "EXT" },
                   P_TILE38,
                   LIST,
                   want_tile38,
                   tile38_emit },
    [Q_SENTINEL_MASTERS] = { { "SENTINEL", "MASTERS" },
                             P_SENTINEL,
                             LIST,
                             want_sentinel,
                             NULL },
    [Q_SENTINEL_CONFIG] = { { "SENTINEL", "CONFIG", "GET", "*" },
                            P_SENTINEL,
                            LIST,
                            want_sentinel_config,
                            emit_sentinel_config },
    [Q_SEARCH_LIST] = { { "FT._LIST" }, P_SEARCH, LIST, want_search, NULL },
};

/* Only the settings that are exported, where the server takes several names;
 * all of them are ten times as much. */
static sonde_code add_config(struct sonde_instance *i, struct sonde_err *err)
{
    static const char *const names[] = {
        "databases",  "maxclients",        "maxmemory",
        "io-threads", "repl-backlog-size", "client-output-buffer-limit",
        "dir",        "dbfilename",        "commandlog-*",
    };
    sonde_str args[2 + sizeof(names) / sizeof(names[0])];
    size_t n = 2;

    args[0] = i->options->config_command;
    args[1] = SONDE_STR("GET");
    if (!i->facts.config_names || i->options->include_config_metrics)
        args[n++] = SONDE_STR("*");
    else
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
            args[n++] = sonde_cstr(names[k]);
    return conn_command(&i->conn, args, n, err);
}

static sonde_code add_question(struct sonde_instance *i, enum redis_question q,
                               struct sonde_err *err)
{
    sonde_str args[4];
    size_t n = 0;

    if (q == Q_CONFIG)
        return add_config(i, err);
    for (; n < 4 && questions[q].words[n]; n++)
        args[n] = sonde_cstr(questions[q].words[n]);
    if (q == Q_INFO && i->plain_info)
        n = 1;
    return conn_command(&i->conn, args, n, err);
}

/* ---- a round trip -------------------------------------------------------- */

static bool is_wanted(struct sonde_instance *i, enum redis_question q)
{
    struct redis_refusal *no = &i->refused[q];

    if (no->code == SONDE_EACCESS && i->host->monotonic() >= no->again_at)
        no->code = SONDE_OK;
    return no->code == SONDE_OK && questions[q].wanted(i);
}

/* Questions as bits. */
static sonde_code add_wanted(struct sonde_instance *i, uint32_t *asked,
                             uint32_t done, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    *asked = 0;
    for (enum redis_question q = 0; rc == SONDE_OK && q < Q_COUNT; q++) {
        if (!(done >> q & 1) && is_wanted(i, q)) {
            *asked |= 1u << q;
            rc = add_question(i, q, err);
        }
    }
    return rc;
}

static sonde_code read_replies(struct sonde_instance *i, uint32_t asked,
                               sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    for (enum redis_question q = 0; rc == SONDE_OK && q < Q_COUNT; q++) {
        if (asked >> q & 1)
            rc = conn_read(&i->conn, deadline, &i->replies[q], err);
    }
    return rc;
}

static sonde_code connect_now(struct sonde_instance *i, sonde_msec deadline,
                              struct sonde_err *err)
{
    double from = clock_seconds();
    sonde_code rc;

    redis_forget(i);
    rc = conn_open(&i->conn, i->address.stream, redis_tls(i), deadline, err);
    i->connect_seconds = clock_seconds() - from;
    return rc;
}

static sonde_code first_trip(struct sonde_instance *i, uint32_t *done,
                             struct redis_greeting *g, sonde_msec deadline,
                             struct sonde_err *err)
{
    bool fresh = !i->conn.wire.stream;
    sonde_code rc = SONDE_OK;

    *done = 0;
    i->connect_seconds = 0;
    memset(i->replies, 0, sizeof(i->replies));
    *g = (struct redis_greeting){ 0 };
    if (fresh)
        rc = connect_now(i, deadline, err);
    if (rc == SONDE_OK)
        rc = conn_begin(&i->conn, err);
    if (rc == SONDE_OK && fresh)
        rc = auth_add(i, &i->conn, g, err);
    if (rc == SONDE_OK)
        rc = add_wanted(i, done, 0, err);
    if (rc == SONDE_OK)
        rc = wire_send(&i->conn.wire, deadline, err);
    if (rc == SONDE_OK)
        rc = auth_read(&i->conn, g, deadline, err);
    return rc == SONDE_OK ? read_replies(i, *done, deadline, err) : rc;
}

static bool has_info(const struct sonde_instance *i)
{
    const struct redis_reply *r = i->replies[Q_INFO];

    return reply_is_text(r) && r->str.len;
}

/* A kept connection that the server has closed, or on which it wants a
 * password again, is as good as none; a refused password may be an old one. */
static bool worth_another(struct sonde_instance *i, bool kept, sonde_code rc,
                          const struct redis_greeting *g)
{
    if (rc == SONDE_EAUTH)
        return auth_changed(i, g);
    if (!kept)
        return false;
    return rc == SONDE_OK ? reply_is_error(i->replies[Q_INFO], "NOAUTH")
                          : !i->conn.wire.answered && rc != SONDE_ETIMEOUT;
}

static sonde_code trip_with_retry(struct sonde_instance *i, uint32_t *done,
                                  sonde_msec deadline, struct sonde_err *err)
{
    bool kept = i->conn.wire.stream != NULL;
    struct redis_greeting g;
    sonde_code rc = first_trip(i, done, &g, deadline, err);

    if (worth_another(i, kept, rc, &g)) {
        conn_close(&i->conn);
        auth_forget(&g);
        rc = first_trip(i, done, &g, deadline, err);
    }
    auth_forget(&g);
    return rc;
}

/* What the first trip has shown to be missing. */
static sonde_code next_trip(struct sonde_instance *i, uint32_t *done,
                            sonde_msec deadline, struct sonde_err *err)
{
    uint32_t asked;
    sonde_code rc = add_wanted(i, &asked, *done, err);

    *done |= asked;
    if (rc != SONDE_OK || !asked)
        return rc;
    rc = wire_send(&i->conn.wire, deadline, err);
    return rc == SONDE_OK ? read_replies(i, asked, deadline, err) : rc;
}

static sonde_code ping(struct sonde_instance *i, sonde_msec deadline,
                       struct sonde_err *err)
{
    double from = clock_seconds();
    struct redis_reply *r;
    sonde_code rc = conn_add(&i->conn, err, SONDE_STR("PING"));

    if (rc == SONDE_OK)
        rc = wire_send(&i->conn.wire, deadline, err);
    if (rc == SONDE_OK)
        rc = conn_read(&i->conn, deadline, &r, err);
    if (rc == SONDE_OK)
        i->ping_seconds =
            r->type == REDIS_REPLY_ERROR ? -1 : clock_seconds() - from;
    return rc;
}

sonde_code questions_ask(struct sonde_instance *i, sonde_msec deadline,
                         struct sonde_err *err)
{
    const struct redis_reply *r;
    uint32_t done;
    sonde_code rc = trip_with_retry(i, &done, deadline, err);

    if (rc == SONDE_OK && !has_info(i) && !i->plain_info) {
        i->plain_info = true;
        done &= ~(1u << Q_INFO);
        rc = next_trip(i, &done, deadline, err);
    }
    r = i->replies[Q_INFO];
    if (rc == SONDE_OK && !reply_is_text(r))
        rc = sonde_err_set(err, SONDE_EPROTO, "INFO is refused: %.200s",
                           r && r->type == REDIS_REPLY_ERROR
                               ? r->str.ptr
                               : "the answer is no text");
    if (rc != SONDE_OK)
        return rc;
    info_facts(r->str, &i->facts);
    rc = next_trip(i, &done, deadline, err);
    if (rc == SONDE_OK && i->options->ping_on_connect)
        rc = ping(i, deadline, err);
    return rc;
}

/* ---- replies ------------------------------------------------------------- */

static bool has_form(const struct redis_reply *r, enum form form)
{
    switch (form) {
    case TEXT:
        return reply_is_text(r);
    case NUMBER:
        return r->type == REDIS_REPLY_INTEGER;
    case LIST:
        break;
    }
    return r->type == REDIS_REPLY_ARRAY;
}

static void remember(struct sonde_instance *i, enum redis_question q,
                     sonde_code code, const char *why)
{
    struct redis_refusal *no = &i->refused[q];

    if (code != SONDE_EACCESS && code != SONDE_EUNSUPPORTED)
        return;
    no->code = code;
    no->again_at = i->host->monotonic() + i->open->slow_interval;
    (void)snprintf(no->why, sizeof(no->why), "%.159s", why);
}

static void emit_one(struct sonde_instance *i, enum redis_question q)
{
    const struct question *row = &questions[q];
    const struct redis_reply *r = i->replies[q];
    struct sonde_err why = { 0 };
    sonde_code rc;

    part_begin(i, row->part);
    if (!r) { /* refused earlier */
        rc = sonde_err_set(&why, i->refused[q].code, "%s", i->refused[q].why);
    } else if (r->type == REDIS_REPLY_ERROR || !has_form(r, row->form)) {
        rc = reply_verdict(r, &why);
        (void)sonde_err_prefix(
            &why, "%s%s%s", row->words[0] ? row->words[0] : "CONFIG GET",
            row->words[0] && row->words[1] ? " " : "",
            row->words[0] && row->words[1] ? row->words[1] : "");
        remember(i, q, rc, why.text);
        i->replies[q] = NULL;
    } else {
        rc = row->emit ? row->emit(i, r, &why) : SONDE_OK;
    }
    part_end(i, rc, &why);
}

void questions_emit(struct sonde_instance *i)
{
    for (enum redis_question q = Q_INFO + 1; q < Q_COUNT; q++) {
        if (i->replies[q] ||
            (i->refused[q].code != SONDE_OK && questions[q].wanted(i)))
            emit_one(i, q);
    }
}
