/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis and what speaks its protocol, under the names of redis_exporter.
 *
 * One connection a target is kept open, so TLS, AUTH and the server's count
 * of connections are paid once, and a collection is one round trip
 * (questions.c). Parts that need to know something first have a conversation
 * of their own after it: a Sentinel's masters, search indexes, keys that are
 * named, scripts, and last the walk over all keys, which is slow and comes in
 * pieces (walk.c). A part that fails is left out with its reason; the rest
 * stands.
 *
 * A server may have closed the kept connection meanwhile. If nothing has
 * been answered on it yet, one fresh connection is tried within the same
 * collection; any other failure closes it, so that no late reply can meet
 * the next collection.
 *
 * Like the exporter, a server that is down, slow or unwilling is a fact to
 * report, not a failed collection: redis_up 0 and the reason as a label. The
 * deadline kept here ends a little before the host's, so that this report
 * still arrives. Reasons are short and hold no address and no password.
 */
#include "redis.h"

#include <stdlib.h>

#include "options.h"

static const struct sonde_collector collectors[P_COUNT] = {
    [P_INFO] = { "info", 0, "INFO in all sections" },
    [P_CONFIG] = { "config", 0, "CONFIG GET" },
    [P_LATENCY] = { "latency", 0, "LATENCY LATEST and HISTOGRAM" },
    [P_SLOWLOG] = { "slowlog", 0, "The slow log's length and newest entry" },
    [P_COMMANDLOG] = { "commandlog", 0, "Valkey's command logs" },
    [P_CLIENTS] = { "clients", 0, "CLIENT LIST" },
    [P_CLUSTER] = { "cluster", 0, "CLUSTER INFO and SLOTS" },
    [P_MODULES] = { "modules", 0, "INFO MODULES" },
    [P_TILE38] = { "tile38", 0, "Tile38's SERVER EXT" },
    [P_SENTINEL] = { "sentinel", 0, "A Sentinel's masters" },
    [P_SEARCH] = { "search", 0, "FT.INFO of search indexes" },
    [P_KEYS] = { "keys", 0, "Keys that are named" },
    [P_STREAMS] = { "streams", 0, "Streams that are named" },
    [P_SCRIPTS] = { "scripts", 0, "Lua scripts" },
    [P_KEY_WALK] = { "key_walk", SONDE_COLLECTOR_SLOW,
                     "Keys, streams and counts by pattern, groups of keys" },
};

void part_begin(struct sonde_instance *i, enum redis_part part)
{
    if (SONDE_HAS(struct sonde_host, i->host, begin))
        i->host->begin(i->sink, part);
}

void part_end(struct sonde_instance *i, sonde_code code,
              const struct sonde_err *why)
{
    if (SONDE_HAS(struct sonde_host, i->host, end))
        i->host->end(i->sink, code, code == SONDE_OK ? NULL : why->text, -1);
}

/* ---- small parts --------------------------------------------------------- */

const struct sonde_tls *redis_tls(const struct sonde_instance *i)
{
    return i->address.tls && SONDE_HAS(struct sonde_open, i->open, tls)
               ? i->open->tls
               : NULL;
}

sonde_code redis_conn_for(struct sonde_instance *i, struct redis_conn **out,
                          struct sonde_err *err)
{
    *out = &i->conn;
    if (i->conn.wire.stream)
        return SONDE_OK;
    return sonde_err_set(err, SONDE_ECONNECT,
                         "the connection was lost in an earlier part");
}

void redis_forget(struct sonde_instance *i)
{
    memset(i->refused, 0, sizeof(i->refused));
    i->facts = (struct redis_facts){ 0 };
    i->plain_info = false;
    i->no_memory = false;
    walk_restart(i->walk);
}

/* ---- emission ------------------------------------------------------------ */

static void emit_info(struct sonde_instance *i)
{
    struct redis_info info = {
        .now = (double)i->host->now() / 1000,
        .start_time = &i->start_time,
        .system_metrics = i->options->include_system_metrics,
        .commands = i->commands,
        .databases = i->databases,
    };

    commands_reset(i->commands);
    memset(i->databases, 0, REDIS_DATABASES_MAX);
    part_begin(i, P_INFO);
    info_emit(&i->emit, i->replies[Q_INFO]->str, &info);
    if (i->options->include_metrics_for_empty_databases)
        info_pad_databases(&i->emit, i->database_count);
    part_end(i, SONDE_OK, NULL);
}

/* Which nodes there are; a failure shows in the parts that need them. */
static void update_nodes(struct sonde_instance *i)
{
    const struct redis_reply *r = i->replies[Q_CLUSTER_SLOTS];
    struct sonde_err why;
    bool changed = false;

    if (!r || r->type != REDIS_REPLY_ARRAY)
        return;
    if (nodes_update(i, r, &changed, &why) != SONDE_OK)
        i->host->log(i->open->target, SONDE_LOG_WARN, "%s", why.text);
    if (changed)
        walk_restart(i->walk);
}

static bool may_look_at_keys(const struct sonde_instance *i)
{
    return !i->options->skip_checkkeys_for_role_master ||
           strcmp(i->facts.role_text, "slave") == 0;
}

static void emit_parts(struct sonde_instance *i, sonde_msec deadline)
{
    if (i->options->append_instance_role_label)
        i->emit.role = (sonde_str){ i->facts.role_text, i->facts.role_length };
    emit_info(i);
    questions_emit(i);
    update_nodes(i);
    /* From here on each conversation discards the replies before it. */
    sentinel_collect(i, deadline);
    search_collect(i, deadline);
    if (may_look_at_keys(i)) {
        keys_collect(i, P_KEYS, deadline);
        keys_collect(i, P_STREAMS, deadline);
    }
    scripts_collect(i, deadline);
    walk_collect(i, deadline);
    emit_sample(&i->emit, F_KEY_GROUPS_DURATION, NULL, i->groups_milliseconds);
    if (i->emit.dropped)
        emit_sample(&i->emit, F_DROPPED, NULL, (double)i->emit.dropped);
}

/* What the exporter says of itself. */
static void emit_self(struct sonde_instance *i, double seconds,
                      const char *error)
{
    sonde_str version = sonde_cstr(i->host->version);
    sonde_str reason = sonde_cstr(error);
    struct redis_emit *e = &i->emit;

    i->scrapes++;
    i->duration_sum += seconds;
    emit_sample(e, F_UP, NULL, *error ? 0 : 1);
    emit_sample(e, F_LAST_SCRAPE_ERROR, &reason, *error ? 1 : 0);
    emit_sample(e, F_CONNECT_TIME, NULL, i->connect_seconds);
    if (i->ping_seconds >= 0)
        emit_sample(e, F_PING_TIME, NULL, i->ping_seconds);
    emit_sample(e, F_SCRAPE_DURATION, NULL, seconds);
    emit_summary(e, F_SCRAPE_DURATIONS, NULL, i->scrapes, i->duration_sum);
    emit_sample(e, F_SCRAPES, NULL, (double)i->scrapes);
    emit_sample(e, F_TARGET_ERRORS, NULL, 0);
    emit_sample(e, F_BUILD_INFO, &version, 1);
}

static void tell_change(struct sonde_instance *i, const char *error)
{
    if (*error && !i->down)
        i->host->log(i->open->target, SONDE_LOG_WARN, "redis is down: %s",
                     error);
    else if (!*error && i->down)
        i->host->log(i->open->target, SONDE_LOG_INFO, "redis is up again");
    i->down = *error != '\0';
}

/* Databases that there are: CONFIG says it, a cluster has one. */
static sonde_code count_databases(struct sonde_instance *i,
                                  struct sonde_err *err)
{
    int64_t n = -1;
    sonde_code rc = settings_databases(i->replies[Q_CONFIG], &n, err);

    i->database_count = i->facts.cluster ? 1 : n > 0 ? n : 16;
    return rc;
}

static sonde_code redis_collect(struct sonde_instance *i,
                                struct sonde_sink *sink, sonde_msec deadline,
                                struct sonde_err *err)
{
    struct sonde_err why = { 0 };
    double from = clock_seconds();
    sonde_code rc;

    (void)err;
    i->sink = sink;
    i->ping_seconds = -1;
    emit_begin(&i->emit, sink);
    deadline = clock_before(i->host, deadline, 100);
    rc = questions_ask(i, deadline, &why);
    if (rc == SONDE_OK)
        rc = count_databases(i, &why);
    if (rc == SONDE_OK) {
        emit_parts(i, deadline);
    } else {
        conn_close(&i->conn);
        if (SONDE_HAS(struct sonde_host, i->host, discard))
            i->host->discard(sink);
    }
    emit_self(i, clock_seconds() - from, rc == SONDE_OK ? "" : why.text);
    tell_change(i, rc == SONDE_OK ? "" : why.text);
    arena_reset(&i->conn.arena);
    return SONDE_OK;
}

/* ---- life ---------------------------------------------------------------- */

static sonde_code read_lists(struct sonde_instance *i, struct sonde_err *err)
{
    const struct redis_options *o = i->options;
    sonde_code rc =
        keylist_parse(o->check_keys, "check_keys", &i->named_keys, err);

    if (rc == SONDE_OK)
        rc = keylist_take_patterns(&i->named_keys, &i->key_patterns, err);
    if (rc == SONDE_OK)
        rc = keylist_parse(o->check_single_keys, "check_single_keys",
                           &i->named_keys, err);
    if (rc == SONDE_OK)
        rc = keylist_parse(o->check_streams, "check_streams", &i->named_streams,
                           err);
    if (rc == SONDE_OK)
        rc = keylist_take_patterns(&i->named_streams, &i->stream_patterns, err);
    if (rc == SONDE_OK)
        rc = keylist_parse(o->check_single_streams, "check_single_streams",
                           &i->named_streams, err);
    if (rc == SONDE_OK)
        rc =
            keylist_parse(o->count_keys, "count_keys", &i->count_patterns, err);
    return rc;
}

static sonde_code redis_open(const struct sonde_host *host,
                             const struct sonde_open *open,
                             struct sonde_instance **out, struct sonde_err *err)
{
    struct sonde_instance *i = calloc(1, sizeof(*i));
    sonde_code rc;

    if (!i)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    *out = i;
    i->host = i->emit.host = i->conn.wire.host = host;
    i->open = open;
    i->options = open->options;
    i->conn.wire.target = open->target;
    i->conn.wire.limit = (size_t)i->options->reply_limit;
    i->conn.database = -1;
    i->commands = commands_new();
    i->databases = calloc(REDIS_DATABASES_MAX, 1);
    if (!i->commands || !i->databases)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    rc = address_parse(open->address, &i->address, err);
    if (rc == SONDE_OK && i->options->user.len && !i->options->password.len &&
        !i->options->password_file.len && !i->address.password)
        host->log(open->target, SONDE_LOG_WARN,
                  "user is given without a password: nobody logs in");
    if (rc == SONDE_OK)
        rc = read_lists(i, err);
    if (rc == SONDE_OK && i->options->include_search_indexes_metrics)
        rc = search_compile(i->options->check_search_indexes,
                            &i->search_pattern, err);
    if (rc == SONDE_OK &&
        (i->key_patterns.count || i->stream_patterns.count ||
         i->count_patterns.count || i->options->check_key_groups.len))
        rc = walk_new(i, &i->walk, err);
    return rc;
}

/* Passwords and certificates are read again at the next connection. */
static void redis_reload(struct sonde_instance *i)
{
    conn_close(&i->conn);
    nodes_fini(&i->nodes);
}

static void redis_close(struct sonde_instance *i)
{
    if (!i)
        return;
    conn_fini(&i->conn);
    nodes_fini(&i->nodes);
    address_fini(&i->address);
    emit_fini(&i->emit);
    commands_free(i->commands);
    walk_free(i->walk);
    search_free(i->search_pattern);
    keylist_fini(&i->named_keys);
    keylist_fini(&i->named_streams);
    keylist_fini(&i->key_patterns);
    keylist_fini(&i->stream_patterns);
    keylist_fini(&i->count_patterns);
    free(i->databases);
    free(i);
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "redis",
        .version = "0.2.0",
        .summary = "Redis, Valkey and KeyDB, with redis_exporter's metrics",
        SONDE_PLUGIN_OPTIONS(redis_options_table, struct redis_options),
        SONDE_PLUGIN_FAMILIES(redis_families),
        SONDE_PLUGIN_COLLECTORS(collectors),
        .default_address = "127.0.0.1:6379",
        .default_port = 6379,
        .expose_port = 9121,
        .open = redis_open,
        .close = redis_close,
        .collect = redis_collect,
        .check = redis_check,
        .reload = redis_reload,
        .exporter = &redis_exporter,
        .discover = redis_discover,
    };

    (void)host;
    return &plugin;
}
