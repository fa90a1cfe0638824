/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INFO, read in one pass without copying: lines "field:value" below section
 * headings "# Name", split at the first colon. Every field is looked up in
 * the sorted table of families.c; what is structured (databases, commands,
 * errors, replicas) has a reader of its own; the rest is ignored, except that
 * fields beginning with "db" or "cluster_" are exported under their name, as
 * dashboards for redis_exporter expect.
 *
 * instance_info and slave_info gather labels from all over the text and are
 * emitted at its end. The labels of a replica's link are those of the master
 * that was named last: KeyDB with several masters names each before its
 * fields.
 *
 * CLUSTER INFO has the same form and passes through the same door.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "redis.h"

/* Labels of instance_info, in the order of its family, then those of
 * slave_info. */
enum label {
    L_ROLE,
    L_VERSION,
    L_BUILD_ID,
    L_MODE,
    L_OS,
    L_POLICY,
    L_PORT,
    L_RUN_ID,
    L_PROCESS_ID,
    L_REPLID,
    L_VALKEY_VERSION,
    L_VALKEY_STAGE,
    L_READ_ONLY,
    L_COUNT
};

static const char *const label_fields[L_COUNT] = {
    [L_ROLE] = "role",
    [L_VERSION] = "redis_version",
    [L_BUILD_ID] = "redis_build_id",
    [L_MODE] = "redis_mode",
    [L_OS] = "os",
    [L_POLICY] = "maxmemory_policy",
    [L_PORT] = "tcp_port",
    [L_RUN_ID] = "run_id",
    [L_PROCESS_ID] = "process_id",
    [L_REPLID] = "master_replid",
    [L_VALKEY_VERSION] = "valkey_version",
    [L_VALKEY_STAGE] = "valkey_release_stage",
    [L_READ_ONLY] = "slave_read_only",
};

struct reading {
    struct redis_emit *emit;
    struct redis_info *info;
    sonde_str section;
    sonde_str labels[L_COUNT];
    sonde_str master[2]; /* host and port, named last */
};

/* ---- commands and errors ------------------------------------------------- */

static bool pair_value(sonde_str list, const char *key, double *out)
{
    sonde_str text;

    return text_pair(list, key, &text) && emit_value(text, out);
}

/* calls=2,usec=34,usec_per_call=17.00,rejected_calls=0,failed_calls=0: in
 * that order on every server that has them. */
static void read_command(struct reading *r, sonde_str name, sonde_str value)
{
    static const struct {
        const char *key;
        int family;
        double scale;
    } columns[] = { { "calls", F_COMMANDS, 1 },
                    { "usec", F_COMMANDS_DURATION, 1e6 },
                    { "rejected_calls", F_COMMANDS_REJECTED, 1 },
                    { "failed_calls", F_COMMANDS_FAILED, 1 } };
    double values[4];
    bool there[4];

    for (size_t i = 0; i < 4; i++)
        there[i] = pair_value(value, columns[i].key, &values[i]);
    if (!there[0] || !there[1])
        return;
    for (size_t i = 0; i < 4; i++) {
        if (there[i])
            emit_sample(r->emit, (size_t)columns[i].family, &name,
                        values[i] / columns[i].scale);
    }
    if (r->info->commands)
        (void)commands_add(r->info->commands, name, values[0], values[1]);
}

/* latency_percentiles_usec_NAME:p50=1.003,p99=2.007,p99.9=9.023 */
static void read_latency(struct reading *r, sonde_str name, sonde_str value)
{
    const struct redis_command *c =
        r->info->commands ? commands_find(r->info->commands, name) : NULL;
    sonde_str pair, quantile;

    if (!c || !c->listed)
        return;
    while (text_split(&value, ',', &pair)) {
        double v;

        if (!text_split(&pair, '=', &quantile) || !pair.ptr ||
            quantile.len < 2 || quantile.ptr[0] != 'p' || !emit_value(pair, &v))
            continue;
        quantile.ptr++;
        quantile.len--;
        emit_sample(r->emit, F_LATENCY_PERCENTILES,
                    SONDE_LABELS(name, quantile), v);
    }
    if (c->calls >= 0 && c->calls < 1.8e19)
        emit_summary(r->emit, F_LATENCY_PERCENTILES, SONDE_LABELS(name, { 0 }),
                     (uint64_t)c->calls, c->usec);
}

static void read_error(struct reading *r, sonde_str name, sonde_str value)
{
    double v;

    if (pair_value(value, "count", &v))
        emit_sample(r->emit, F_ERRORS, &name, v);
}

/* ---- databases ----------------------------------------------------------- */

/* dbN:keys=K,expires=E,avg_ttl=MS[,cached_keys=C]: by position, since the
 * names differ between servers. */
static void read_database(struct reading *r, sonde_str db, sonde_str value)
{
    static const struct {
        size_t family;
        double scale;
    } columns[] = { { F_DB_KEYS, 1 },
                    { F_DB_KEYS_EXPIRING, 1 },
                    { F_DB_AVG_TTL, 1e-3 },
                    { F_DB_KEYS_CACHED, 1 } };
    sonde_str pair, name;
    int64_t number = 0;

    for (size_t i = 2; i < db.len && number < REDIS_DATABASES_MAX; i++)
        number = number * 10 + (db.ptr[i] - '0');
    if (r->info->databases && number < REDIS_DATABASES_MAX)
        r->info->databases[number] = 1;
    for (size_t i = 0; i < 4 && text_split(&value, ',', &pair); i++) {
        double v;

        if (!text_split(&pair, '=', &name) || !pair.ptr ||
            !emit_value(pair, &v))
            return;
        emit_sample(r->emit, columns[i].family, &db, v * columns[i].scale);
    }
}

void info_pad_databases(struct redis_emit *e, int64_t databases)
{
    uint64_t dropped = e->dropped;

    for (int64_t i = 0; i < databases && i < REDIS_DATABASES_MAX; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "db%lld", (long long)i);
        sonde_str db = { name, (size_t)n };

        emit_sample(e, F_DB_KEYS, &db, 0);
        emit_sample(e, F_DB_KEYS_EXPIRING, &db, 0);
    }
    e->dropped = dropped; /* those that INFO had listed */
}

/* ---- replication --------------------------------------------------------- */

/* "host" of "master_host" and of KeyDB's "master_1_host"; empty if the field
 * is another. */
static sonde_str master_part(sonde_str field)
{
    if (!text_starts(field, "master_"))
        return (sonde_str){ 0 };
    field.ptr += 7;
    field.len -= 7;
    for (size_t i = 0; i < field.len; i++) {
        if (field.ptr[i] == '_' && i > 0)
            return (sonde_str){ field.ptr + i + 1, field.len - i - 1 };
        if (field.ptr[i] < '0' || field.ptr[i] > '9')
            break;
    }
    return field;
}

/* Integers as the exporter reads them: garbage is 0. */
static double whole(sonde_str text)
{
    double v = 0;

    return emit_value(text, &v) ? trunc(v) : 0;
}

static bool read_master(struct reading *r, sonde_str field, sonde_str value)
{
    sonde_str part = master_part(field);

    if (text_is(part, "host"))
        r->master[0] = value;
    else if (text_is(part, "port"))
        r->master[1] = value;
    else if (text_is(part, "link_status"))
        emit_sample(r->emit, F_MASTER_LINK_UP, r->master, text_is(value, "up"));
    else if (text_is(part, "last_io_seconds_ago"))
        emit_sample(r->emit, F_MASTER_LAST_IO, r->master, whole(value));
    else if (text_is(part, "sync_in_progress"))
        emit_sample(r->emit, F_MASTER_SYNC, r->master, whole(value));
    else if (text_is(field, "slave_repl_offset"))
        emit_sample(r->emit, F_SLAVE_REPL_OFFSET, r->master, whole(value));
    else
        return false;
    return true;
}

/* slaveN:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1 */
static void read_slave(struct reading *r, sonde_str value)
{
    sonde_str labels[3] = { { 0 } }, rest = value, pair, name;
    double v;

    while (text_split(&rest, ',', &pair)) {
        sonde_str again;

        if (!text_split(&pair, '=', &name) || !pair.ptr)
            return;
        (void)text_split(&pair, '=', &again);
        if (pair.ptr)
            return; /* a second '=': not a line that we understand */
    }
    (void)text_pair(value, "ip", &labels[0]);
    (void)text_pair(value, "port", &labels[1]);
    (void)text_pair(value, "state", &labels[2]);
    if (pair_value(value, "offset", &v))
        emit_sample(r->emit, F_SLAVE_OFFSET, labels, v);
    if (pair_value(value, "lag", &v))
        emit_sample(r->emit, F_SLAVE_LAG, labels, v);
}

/* ---- sentinel ------------------------------------------------------------ */

/* masterN:name=a,status=ok,address=10.0.0.1:6379,slaves=1,sentinels=3 */
static void read_watched(struct reading *r, sonde_str value)
{
    sonde_str name = { 0 }, address = { 0 }, status = { 0 };
    double slaves, sentinels;

    (void)text_pair(value, "name", &name);
    (void)text_pair(value, "address", &address);
    (void)text_pair(value, "status", &status);
    if (!pair_value(value, "slaves", &slaves) ||
        !pair_value(value, "sentinels", &sentinels))
        return;
    emit_sample(r->emit, F_SENTINEL_STATUS, SONDE_LABELS(name, address, status),
                text_is(status, "ok"));
    emit_sample(r->emit, F_SENTINEL_SLAVES, SONDE_LABELS(name, address),
                slaves);
    emit_sample(r->emit, F_SENTINEL_SENTINELS, SONDE_LABELS(name, address),
                sentinels);
}

static void read_sentinel(struct reading *r, sonde_str field, sonde_str value)
{
    static const struct {
        const char *field;
        size_t family;
    } rows[] = { { "sentinel_masters", F_SENTINEL_MASTERS },
                 { "sentinel_tilt", F_SENTINEL_TILT },
                 { "sentinel_running_scripts", F_SENTINEL_SCRIPTS },
                 { "sentinel_scripts_queue_length", F_SENTINEL_QUEUE },
                 { "sentinel_simulate_failure_flags", F_SENTINEL_SIMULATE } };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (text_is(field, rows[i].field))
            emit_sample(r->emit, rows[i].family, NULL, whole(value));
    }
    if (text_is_numbered(field, "master"))
        read_watched(r, value);
}

/* ---- plain fields -------------------------------------------------------- */

static bool read_plain(struct reading *r, sonde_str field, sonde_str value)
{
    int row = redis_find_field(field);
    double v;

    if (row < 0)
        return false;
    if (emit_value(value, &v))
        emit_sample(r->emit, F_FIELDS + (size_t)row, NULL,
                    v / redis_fields[row].divisor);
    return true;
}

static void read_other(struct reading *r, sonde_str field, sonde_str value)
{
    static const char io_thread[] = "used_active_time_io_thread_";
    double v;

    if (!emit_value(value, &v))
        return;
    if (text_is_numbered(field, io_thread)) {
        field.ptr += sizeof(io_thread) - 1;
        field.len -= sizeof(io_thread) - 1;
        emit_sample(r->emit, F_IO_THREAD_TIME, &field, v);
    } else if (text_starts(field, "cluster_") || text_starts(field, "db")) {
        emit_unknown_field(r->emit, field, v);
    } else if (text_is(field, "total_system_memory") &&
               r->info->system_metrics) {
        emit_sample(r->emit, F_TOTAL_SYSTEM_MEMORY, NULL, v);
    }
}

/* The server says how long it is up, to a second; the instant it started must
 * not move with each collection. */
static void read_uptime(struct reading *r, sonde_str value)
{
    double v, start;

    if (!r->info->start_time || !emit_value(value, &v))
        return;
    start = floor(r->info->now) - v;
    if (fabs(start - *r->info->start_time) > 1.5)
        *r->info->start_time = start;
    emit_sample(r->emit, F_START_TIME, NULL, *r->info->start_time);
}

/* Three quarters of all fields are told apart by their first byte. */
static void gather_labels(struct reading *r, sonde_str field, sonde_str value)
{
    if (field.len == 0 || !memchr("romtpvs", field.ptr[0], 7))
        return;
    for (size_t i = 0; i < L_COUNT; i++) {
        if (label_fields[i][0] == field.ptr[0] &&
            text_is(field, label_fields[i]))
            r->labels[i] = value;
    }
}

static void read_field(struct reading *r, sonde_str field, sonde_str value)
{
    sonde_str name = field;

    if (text_cut_prefix(&name, "cmdstat_")) {
        read_command(r, name, value);
    } else if (text_cut_prefix(&name, "errorstat_")) {
        read_error(r, name, value);
    } else if (text_cut_prefix(&name, "latency_percentiles_usec_")) {
        read_latency(r, name, value);
    } else if (text_is(r->section, "Keyspace") &&
               text_is_numbered(field, "db")) {
        read_database(r, field, value);
    } else if (text_is(r->section, "Replication") &&
               text_is_numbered(field, "slave")) {
        read_slave(r, value);
    } else if (text_is(r->section, "Sentinel")) {
        read_sentinel(r, field, value);
    } else {
        gather_labels(r, field, value);
        if (text_is(field, "uptime_in_seconds"))
            read_uptime(r, value);
        if (text_is(r->section, "Replication") && read_master(r, field, value))
            return;
        if (!read_plain(r, field, value))
            read_other(r, field, value);
    }
}

/* ---- the whole ----------------------------------------------------------- */

static bool next_line(sonde_str *rest, sonde_str *line)
{
    if (!text_split(rest, '\n', line))
        return false;
    *line = text_trim(*line);
    return true;
}

static void emit_gathered(struct reading *r)
{
    /* A text without any of them is CLUSTER INFO. */
    if (r->labels[L_VERSION].len == 0 && r->labels[L_ROLE].len == 0 &&
        r->labels[L_RUN_ID].len == 0)
        return;
    emit_sample(r->emit, F_INSTANCE_INFO, r->labels, 1);
    if (text_is(r->labels[L_ROLE], "slave"))
        emit_sample(
            r->emit, F_SLAVE_INFO,
            SONDE_LABELS(r->master[0], r->master[1], r->labels[L_READ_ONLY]),
            1);
}

void info_emit(struct redis_emit *e, sonde_str text, struct redis_info *info)
{
    struct reading r = { .emit = e, .info = info };
    sonde_str line, field;

    while (next_line(&text, &line)) {
        if (line.len >= 2 && line.ptr[0] == '#') {
            r.section = text_trim((sonde_str){ line.ptr + 1, line.len - 1 });
        } else if (line.len >= 2 && memchr(line.ptr, ':', line.len)) {
            (void)text_split(&line, ':', &field);
            read_field(&r, field, line);
        }
    }
    emit_gathered(&r);
}

/* ---- facts --------------------------------------------------------------- */

/* The value of a field, which begins a line; empty: not there. */
static sonde_str field_value(sonde_str text, const char *field)
{
    size_t n = strlen(field);
    sonde_str rest = text, line;
    const char *at;

    while (rest.len && (at = memmem(rest.ptr, rest.len, field, n))) {
        rest.len -= (size_t)(at + n - rest.ptr);
        rest.ptr = at + n;
        if (at == text.ptr || at[-1] == '\n') {
            (void)text_split(&rest, '\n', &line);
            return text_trim(line);
        }
    }
    return (sonde_str){ 0 };
}

/* 8.1 or later is 801. */
static int version_of(sonde_str text)
{
    sonde_str part;
    double major = 0, minor = 0;

    if (!text_split(&text, '.', &part) || !text_number(part, &major) ||
        !text_split(&text, '.', &part) || !text_number(part, &minor) ||
        !(major >= 0 && major < 10000 && minor >= 0 && minor < 100))
        return 0;
    return (int)major * 100 + (int)minor;
}

void info_facts(sonde_str text, struct redis_facts *facts)
{
    sonde_str role = field_value(text, "role:");
    int version = version_of(field_value(text, "redis_version:"));
    int valkey = version_of(field_value(text, "valkey_version:"));

    *facts = (struct redis_facts){
        .known = true,
        .cluster = text_is(field_value(text, "cluster_enabled:"), "1"),
        .sentinel = text_is(field_value(text, "redis_mode:"), "sentinel") ||
                    text_has(text, "# Sentinel"),
        .commandlog = valkey >= 801,
        .config_names = version >= 700 || valkey >= 700,
    };
    if (role.len < sizeof(facts->role_text)) {
        if (role.len)
            memcpy(facts->role_text, role.ptr, role.len);
        facts->role_length = role.len;
    }
}
