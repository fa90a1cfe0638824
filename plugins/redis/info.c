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

struct command {
    sonde_str name;
    double calls, usec;
};

struct reading {
    struct redis_emit *emit;
    struct redis_info *info;
    sonde_str section;
    sonde_str labels[L_COUNT];
    sonde_str master[2]; /* host and port, named last */
    struct command *commands;
    size_t command_count, command_cap;
    size_t command_next;  /* where the last look-up ended */
    size_t latency_count; /* look-ups: each may walk all commands */
};

/* ---- commands and errors ------------------------------------------------- */

static bool pair_value(const struct reading *r, sonde_str list, const char *key,
                       double *out)
{
    sonde_str text;

    return text_pair(list, key, &text) && emit_value(r->emit, text, out);
}

static void keep_command(struct reading *r, const struct command *c)
{
    if (r->command_count == r->command_cap) {
        size_t cap = r->command_cap ? r->command_cap * 2 : 256;
        struct command *grown;

        if (cap > REDIS_COMMANDS_MAX)
            return;
        grown = realloc(r->commands, cap * sizeof(*grown));
        if (!grown)
            return;
        r->commands = grown;
        r->command_cap = cap;
    }
    r->commands[r->command_count++] = *c;
}

static void read_command(struct reading *r, sonde_str name, sonde_str value)
{
    struct command c = { .name = name };
    double v;

    if (!pair_value(r, value, "calls", &c.calls) ||
        !pair_value(r, value, "usec", &c.usec))
        return;
    emit_sample(r->emit, F_COMMANDS, &name, c.calls);
    emit_sample(r->emit, F_COMMANDS_DURATION, &name, c.usec / 1e6);
    if (pair_value(r, value, "rejected_calls", &v))
        emit_sample(r->emit, F_COMMANDS_REJECTED, &name, v);
    if (pair_value(r, value, "failed_calls", &v))
        emit_sample(r->emit, F_COMMANDS_FAILED, &name, v);
    keep_command(r, &c);
}

/* The two sections list commands in the same order, so the search goes on
 * where the last one ended. */
static const struct command *find_command(struct reading *r, sonde_str name)
{
    if (++r->latency_count > REDIS_COMMANDS_MAX)
        return NULL;
    for (size_t n = 0; n < r->command_count; n++) {
        size_t i = (r->command_next + n) % r->command_count;

        if (sonde_str_eq(r->commands[i].name, name)) {
            r->command_next = i + 1;
            return &r->commands[i];
        }
    }
    return NULL;
}

/* latency_percentiles_usec_NAME:p50=1.003,p99=2.007,p99.9=9.023 */
static void read_latency(struct reading *r, sonde_str name, sonde_str value)
{
    const struct command *c = find_command(r, name);
    sonde_str pair, quantile;

    if (!c)
        return;
    while (text_split(&value, ',', &pair)) {
        double v;

        if (!text_split(&pair, '=', &quantile) || !pair.ptr ||
            quantile.len < 2 || quantile.ptr[0] != 'p' ||
            !emit_value(r->emit, pair, &v))
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

    if (pair_value(r, value, "count", &v))
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

    for (size_t i = 0; i < 4 && text_split(&value, ',', &pair); i++) {
        double v;

        if (!text_split(&pair, '=', &name) || !pair.ptr ||
            !emit_value(r->emit, pair, &v))
            return;
        emit_sample(r->emit, columns[i].family, &db, v * columns[i].scale);
    }
}

void info_pad_databases(struct redis_emit *e, int64_t databases)
{
    for (int64_t i = 0; i < databases && i < REDIS_PADDING_MAX; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "db%lld", (long long)i);
        sonde_str db = { name, (size_t)n };

        emit_sample(e, F_DB_KEYS, &db, 0);
        emit_sample(e, F_DB_KEYS_EXPIRING, &db, 0);
    }
    e->dropped = 0; /* those that INFO had listed */
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
static double whole(const struct reading *r, sonde_str text)
{
    double v = 0;

    return emit_value(r->emit, text, &v) ? trunc(v) : 0;
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
        emit_sample(r->emit, F_MASTER_LAST_IO, r->master, whole(r, value));
    else if (text_is(part, "sync_in_progress"))
        emit_sample(r->emit, F_MASTER_SYNC, r->master, whole(r, value));
    else if (text_is(field, "slave_repl_offset"))
        emit_sample(r->emit, F_SLAVE_REPL_OFFSET, r->master, whole(r, value));
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
    if (pair_value(r, value, "offset", &v))
        emit_sample(r->emit, F_SLAVE_OFFSET, labels, v);
    if (pair_value(r, value, "lag", &v))
        emit_sample(r->emit, F_SLAVE_LAG, labels, v);
}

/* ---- plain fields -------------------------------------------------------- */

static int compare_field(const void *key, const void *row)
{
    const sonde_str *s = key;
    const char *z = ((const struct redis_field *)row)->field;
    size_t n = strlen(z);
    int c = memcmp(s->ptr, z, s->len < n ? s->len : n);

    return c ? c : s->len < n ? -1 : s->len > n;
}

static bool read_plain(struct reading *r, sonde_str field, sonde_str value)
{
    const struct redis_field *row = bsearch(
        &field, redis_fields, redis_field_count, sizeof(*row), compare_field);
    double v;

    if (!row)
        return false;
    if (emit_value(r->emit, value, &v))
        emit_sample(r->emit, r->emit->family_of[row - redis_fields], NULL,
                    row->scale > 0 ? v * row->scale : v);
    return true;
}

static void read_other(struct reading *r, sonde_str field, sonde_str value)
{
    static const char io_thread[] = "used_active_time_io_thread_";
    double v;

    if (!emit_value(r->emit, value, &v))
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

    if (!r->info->start_time || !emit_value(r->emit, value, &v))
        return;
    start = floor(r->info->now) - v;
    if (fabs(start - *r->info->start_time) > 1.5)
        *r->info->start_time = start;
    emit_sample(r->emit, F_START_TIME, NULL, *r->info->start_time);
}

static void gather_labels(struct reading *r, sonde_str field, sonde_str value)
{
    for (size_t i = 0; i < L_COUNT; i++) {
        if (text_is(field, label_fields[i]))
            r->labels[i] = value;
    }
}

/* "cmdstat_get" and prefix "cmdstat_": "get". */
static bool cut_prefix(sonde_str *s, const char *prefix)
{
    size_t n = strlen(prefix);

    if (s->len <= n || !text_starts(*s, prefix))
        return false;
    s->ptr += n;
    s->len -= n;
    return true;
}

static void read_field(struct reading *r, sonde_str field, sonde_str value)
{
    sonde_str name = field;

    if (cut_prefix(&name, "cmdstat_")) {
        read_command(r, name, value);
    } else if (cut_prefix(&name, "errorstat_")) {
        read_error(r, name, value);
    } else if (cut_prefix(&name, "latency_percentiles_usec_")) {
        read_latency(r, name, value);
    } else if (text_is(r->section, "Keyspace") &&
               text_is_numbered(field, "db")) {
        read_database(r, field, value);
    } else if (text_is(r->section, "Replication") &&
               text_is_numbered(field, "slave")) {
        read_slave(r, value);
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
    free(r.commands);
}

bool info_says_cluster(sonde_str text)
{
    sonde_str line;

    while (next_line(&text, &line)) {
        if (text_is(line, "cluster_enabled:1"))
            return true;
    }
    return false;
}
