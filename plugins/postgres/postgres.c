/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL, under the names of postgres_exporter.
 *
 * A target is a server. One connection to it is kept open, with its prepared
 * statements, and a collection is one round trip: all statements go out
 * together (link_libpq.c, round.c). Then come the other databases, one after
 * the other (databases.c), and what is expensive, when it is due.
 *
 * What is asked is a table (collectors.c): a row is a part of the collection,
 * with a text for each range of versions, and its columns are named after
 * families and labels (bind.c). Settings and the histogram of idle times need
 * code (settings.c, process_idle.c); the user's own queries come from a file
 * (queries.c, query_rows.c, query_run.c).
 *
 * Like the exporter, a server that is down is a fact to report: pg_up 0, and
 * the collection is no failure. pg_up says whether this collection had an
 * answer. A part that fails fails alone. The deadline kept here ends a little
 * before the host's, so that the report still arrives.
 *
 * No message holds a password, nor a connection string.
 */
#include "postgres.h"

#include <stdlib.h>

#include "exporter.h"
#include "families.h"
#include "report.h"

/* ---- collection ---------------------------------------------------------- */

static bool too_old(const struct sonde_instance *i, const struct session *s)
{
    sonde_msec max = i->options->connection_max_age;

    return max > 0 && i->host->monotonic() - s->since >= max;
}

static void begin_sessions(struct sonde_instance *i)
{
    if (i->main.link && too_old(i, &i->main))
        session_close(&i->main);
    i->main.kept = true;
    for (size_t k = 0; k < i->other_count; k++) {
        if (i->others[k].link && too_old(i, &i->others[k]))
            session_close(&i->others[k]);
        i->others[k].kept = true;
    }
}

static void begin_collection(struct sonde_instance *i, struct sonde_sink *sink)
{
    i->sink = sink;
    i->scrapes++;
    i->answered = false;
    emit_begin(&i->emit, i->host, sink);
    for (size_t c = 0; c < COLLECTOR_COUNT; c++)
        i->parts[c].ran = false;
    begin_sessions(i);
    queries_load(i);
}

static void say_state(struct sonde_instance *i, bool up, const char *why)
{
    if (up && i->down)
        i->host->log(i->open->target, SONDE_LOG_INFO, "the server is back");
    else if (!up && (!i->down || strcmp(why, i->said) != 0))
        i->host->log(i->open->target, SONDE_LOG_WARN, "%s", why);
    (void)snprintf(i->said, sizeof(i->said), "%.399s", up ? "" : why);
    i->down = !up;
}

static void say_dropped(struct sonde_instance *i)
{
    bool any = i->emit.first_dropped[0] != '\0';

    if (any && !i->dropped_said)
        i->host->log(i->open->target, SONDE_LOG_WARN,
                     "%zu samples left out, the first is %s", i->emit.dropped,
                     i->emit.first_dropped);
    i->dropped_said = any;
}

static sonde_code pg_collect(struct sonde_instance *i, struct sonde_sink *sink,
                             sonde_msec deadline, struct sonde_err *err)
{
    const sonde_msec end = clock_before(i->host, deadline, 250);
    struct visit v = {
        .session = &i->main, .main = true, .fast = true, .deadline = end
    };
    double began = clock_seconds();
    struct sonde_err why = { 0 };
    sonde_code rc;

    (void)err;
    begin_collection(i, sink);
    rc = visit_run(i, &v, &why);
    if (rc == SONDE_OK) {
        databases_visit(i, end);
        v.fast = false;
        v.slow = true;
        (void)visit_run(i, &v, &why); /* parts tell of their failures */
    }
    if (!i->answered && SONDE_HAS(struct sonde_host, i->host, discard))
        i->host->discard(sink);
    if (!i->answered)
        emit_begin(&i->emit, i->host, sink);
    report_emit(i, i->answered, clock_seconds() - began);
    say_state(i, i->answered, why.text);
    say_dropped(i);
    return SONDE_OK;
}

/* ---- life of a target ---------------------------------------------------- */

/* {"a","b"} */
static char *array_of(const struct sonde_list *l)
{
    struct text t = { 0 };

    text_addz(&t, "{");
    for (size_t k = 0; k < l->count; k++) {
        text_addz(&t, k ? ",\"" : "\"");
        for (size_t n = 0; n < l->items[k].len; n++) {
            if (strchr("\"\\", l->items[k].ptr[n]))
                text_addz(&t, "\\");
            text_add(&t, l->items[k].ptr + n, 1);
        }
        text_addz(&t, "\"");
    }
    text_addz(&t, "}");
    return t.ptr;
}

static char *number_of(int64_t n)
{
    char z[32];

    (void)snprintf(z, sizeof(z), "%lld", (long long)n);
    return text_copy(sonde_cstr(z));
}

static char *bool_of(bool b)
{
    return text_copy(b ? SONDE_STR("t") : SONDE_STR("f"));
}

static bool make_params(struct sonde_instance *i)
{
    const struct pg_options *o = i->options;
    char **p = i->params;

    p[PARAM_EXCLUDED] = array_of(&o->exclude_databases);
    p[PARAM_APPLICATION_NAME] = bool_of(o->activity_by_application);
    p[PARAM_PID] = bool_of(o->replication_by_pid);
    p[PARAM_TABLES] = number_of(o->max_tables);
    p[PARAM_STATEMENTS] = number_of(o->collector_stat_statements_limit);
    p[PARAM_STATEMENT_LENGTH] =
        number_of(o->collector_stat_statements_query_length);
    p[PARAM_STATEMENT_DATABASES] =
        array_of(&o->collector_stat_statements_exclude_databases);
    p[PARAM_STATEMENT_USERS] =
        array_of(&o->collector_stat_statements_exclude_users);
    i->include_databases = array_of(&o->include_databases);
    for (size_t k = PARAM_END + 1; k < PARAM_COUNT; k++) {
        if (!p[k])
            return false;
    }
    for (size_t c = 0; c < COLLECTOR_COUNT; c++) {
        for (size_t k = 0; k < COLLECTOR_PARAMS_MAX; k++)
            i->param_rows[c][k] = p[collectors[c].params[k]];
    }
    return i->include_databases != NULL;
}

/* The connection string of `dsn` that is about this target, if there is one;
 * else the address is all there is. */
static sonde_code read_address(struct sonde_instance *i, struct sonde_err *err)
{
    struct dsn address, one = { 0 };
    sonde_str rest = i->options->dsn, text;
    sonde_code rc = dsn_parse(i->open->address, &address, err);
    bool found = false;

    while (rc == SONDE_OK && !found && rest.len && dsn_split(&rest, &text)) {
        rc = dsn_parse(text, &one, err);
        if (rc != SONDE_OK)
            rc = sonde_err_prefix(err, "option dsn");
        found = rc == SONDE_OK && strcmp(one.server, address.server) == 0;
        if (!found)
            dsn_fini(&one);
    }
    if (rc != SONDE_OK) {
        dsn_fini(&address);
        return rc;
    }
    if (i->options->dsn.len && !found)
        i->host->log(i->open->target, SONDE_LOG_WARN,
                     "option dsn names no %s: it is not used for this target",
                     address.server);
    i->dsn = found ? one : address;
    if (found)
        dsn_fini(&address);
    i->server = sonde_cstr(i->dsn.server);
    if (i->dsn.note[0])
        i->host->log(i->open->target, SONDE_LOG_INFO, "connection string: %s",
                     i->dsn.note);
    return SONDE_OK;
}

/* A request may name the entry (/probe?auth_module=): one that is not there
 * is the request's mistake, said before anybody is asked. */
static sonde_code check_auth_module(struct sonde_instance *i,
                                    struct sonde_err *err)
{
    struct credentials found;
    sonde_code rc;

    if (i->options->auth_module.len == 0)
        return SONDE_OK;
    rc = credentials_find(i, &found, err);
    credentials_fini(&found);
    return rc;
}

static sonde_code pg_open(const struct sonde_host *host,
                          const struct sonde_open *open,
                          struct sonde_instance **out, struct sonde_err *err)
{
    struct sonde_instance *i = calloc(1, sizeof(*i));
    sonde_code rc;

    if (!i)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    *out = i;
    i->host = host;
    i->open = open;
    i->options = open->options;
    link_library_init(&i->library, host);
    i->ops = &i->library.ops;
    if (!make_params(i))
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    rc = read_address(i, err);
    return rc == SONDE_OK ? check_auth_module(i, err) : rc;
}

static void pg_close(struct sonde_instance *i)
{
    if (!i)
        return;
    databases_fini(i);
    session_fini(&i->main);
    queries_unload(i);
    dsn_fini(&i->dsn);
    emit_fini(&i->emit);
    for (size_t k = 0; k < PARAM_COUNT; k++)
        free(i->params[k]);
    for (size_t c = 0; c < COLLECTOR_COUNT; c++)
        free(i->bindings[c]);
    free(i->include_databases);
    free(i->version_text);
    text_wipez(i->last_password);
    free(i);
}

/* Files may be new: queries are read again, and every connection is made
 * again with what is now in the files of passwords and certificates. */
static void pg_reload(struct sonde_instance *i)
{
    queries_unload(i);
    session_close(&i->main);
    for (size_t k = 0; k < i->other_count; k++)
        session_close(&i->others[k]);
    i->failures = 0;
}

static sonde_code pg_check(const void *options, struct sonde_err *err)
{
    const struct pg_options *o = options;
    sonde_str rest = o->dsn, one;

    if (o->auth_module.len && !o->auth_modules.len)
        return sonde_err_set(err, SONDE_EINVAL,
                             "auth_module needs a file: set auth_modules");
    while (rest.len && dsn_split(&rest, &one)) {
        struct dsn d;
        sonde_code rc = dsn_parse(one, &d, err);

        dsn_fini(&d);
        if (rc != SONDE_OK)
            return sonde_err_prefix(err, "option dsn");
    }
    return SONDE_OK;
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "postgres",
        .version = "0.1.0",
        .summary = "PostgreSQL, with postgres_exporter's metrics",
        SONDE_PLUGIN_OPTIONS(pg_options_table, struct pg_options),
        SONDE_PLUGIN_FAMILIES(pg_families),
        .default_address = "127.0.0.1:5432",
        .expose_port = 9187,
        .open = pg_open,
        .close = pg_close,
        .collect = pg_collect,
        .check = pg_check,
        .collectors = &collectors[0].part,
        .collector_count = COLLECTOR_COUNT,
        .collector_size = sizeof(collectors[0]),
        .reload = pg_reload,
        .exporter = &pg_exporter,
    };

    (void)host;
    return &plugin;
}
