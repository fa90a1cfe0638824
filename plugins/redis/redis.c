/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis and what speaks its protocol, under the names of redis_exporter.
 *
 * One connection a target is kept open, so TLS, AUTH and the server's count
 * of connections are paid once, and a collection is one round trip: all
 * commands go out together (on a fresh connection AUTH, SELECT and CLIENT
 * SETNAME in front of them), then the replies are read in order. What a
 * server refuses (CONFIG on managed clouds) is not asked again until the
 * next connection. A cluster's CLUSTER INFO costs a second round trip once;
 * after that it is known to be one.
 *
 * A server may have closed the kept connection meanwhile. If nothing has
 * been answered on it yet, one fresh connection is tried within the same
 * collection; any other failure closes it, so that no late reply can meet
 * the next collection.
 *
 * Like the exporter, a server that is down, slow or unwilling is a fact to
 * report, not a failed collection: redis_up 0 and the reason as a label. The
 * deadline kept here ends a little before the host's, so that this report
 * still arrives. Reasons are short and hold no address and no password;
 * in particular the text of a refused AUTH is never passed on, because a
 * server without that command repeats its arguments.
 *
 * Families and the INFO map: families.c. Reading INFO: info.c. RESP: conn.c.
 */
#include "redis.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- description --------------------------------------------------------- */

static const struct sonde_option options[] = {
    SONDE_OPT_STR(struct redis_options, user, .help = "ACL user for AUTH",
                  .example = "sonde"),
    SONDE_OPT_SECRET(struct redis_options, password,
                     .help = "Password for AUTH; one in the address wins"),
    SONDE_OPT_FILE(struct redis_options, password_file,
                   .help = "File that holds the password, read at each "
                           "connection; wins over password",
                   .example = "/run/secrets/redis"),
    SONDE_OPT_STR(struct redis_options, config_command, .fallback = "CONFIG",
                  .help = "Name of the CONFIG command if it was renamed; - "
                          "does not ask for it"),
    SONDE_OPT_BOOL(struct redis_options, set_client_name, .fallback = "true",
                   .help = "Show up in CLIENT LIST as sonde"),
    SONDE_OPT_BOOL(struct redis_options, include_system_metrics,
                   .fallback = "false",
                   .help = "Add redis_total_system_memory_bytes"),
    SONDE_OPT_BOOL(struct redis_options, include_metrics_for_empty_databases,
                   .fallback = "true",
                   .help = "Zeroes for databases without keys"),
    SONDE_OPT_SIZE(struct redis_options, reply_limit, .fallback = "64MB",
                   .min = 65536, .max = INT64_C(1) << 30,
                   .help = "Most bytes that a server may answer in one "
                           "collection"),
};

/* ---- small parts --------------------------------------------------------- */

static double seconds_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A little before the host's deadline: a twentieth, 100 ms at most. */
static sonde_msec own_deadline(const struct sonde_host *host,
                               sonde_msec deadline)
{
    sonde_msec margin = (deadline - host->monotonic()) / 20;

    return deadline - (margin < 0 ? 0 : margin > 100 ? 100 : margin);
}

static sonde_code add(struct redis_conn *c, struct sonde_err *err,
                      const char *a, const char *b, const char *d)
{
    const char *const args[] = { a, b, d, NULL };

    return conn_command(c, args, err);
}

/* ---- a fresh connection -------------------------------------------------- */

struct credentials {
    const char *user, *password; /* NULL: none */
    char *from_file;
};

static sonde_code find_credentials(struct sonde_instance *i,
                                   struct credentials *out,
                                   struct sonde_err *err)
{
    const struct redis_options *o = i->options;
    sonde_str text;

    *out = (struct credentials){ .user = o->user.len ? o->user.ptr : NULL,
                                 .password =
                                     o->password.len ? o->password.ptr : NULL };
    if (i->address.password) {
        out->user = i->address.user;
        out->password = i->address.password;
        return SONDE_OK;
    }
    if (o->password_file.len == 0)
        return SONDE_OK;
    if (i->host->read_file(i->open->target, o->password_file, &text, err) !=
        SONDE_OK) {
        i->host->log(i->open->target, SONDE_LOG_WARN, "%s", err->text);
        return sonde_err_set(err, SONDE_EACCESS,
                             "the password file can not be read");
    }
    out->from_file = strndup(text.ptr ? text.ptr : "", text.len);
    if (!out->from_file)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    out->password = *out->from_file ? out->from_file : NULL;
    return SONDE_OK;
}

static void forget_credentials(struct credentials *c)
{
    if (c->from_file)
        explicit_bzero(c->from_file, strlen(c->from_file));
    free(c->from_file);
}

/* What a round trip asks, in the order of its replies. */
struct asked {
    bool auth, select, name, info, config, cluster;
};

static sonde_code add_greeting(struct sonde_instance *i, struct asked *asked,
                               struct sonde_err *err)
{
    struct redis_conn *c = &i->conn;
    struct credentials cr;
    sonde_code rc = find_credentials(i, &cr, err);
    char db[24];

    if (rc == SONDE_OK && cr.password) {
        asked->auth = true;
        rc = cr.user ? add(c, err, "AUTH", cr.user, cr.password)
                     : add(c, err, "AUTH", cr.password, NULL);
    }
    forget_credentials(&cr);
    if (rc == SONDE_OK && i->address.database >= 0) {
        asked->select = true;
        (void)snprintf(db, sizeof(db), "%lld", (long long)i->address.database);
        rc = add(c, err, "SELECT", db, NULL);
    }
    if (rc == SONDE_OK && i->options->set_client_name) {
        asked->name = true;
        rc = add(c, err, "CLIENT", "SETNAME", "sonde");
    }
    return rc;
}

static sonde_code connect_now(struct sonde_instance *i, sonde_msec deadline,
                              struct sonde_err *err)
{
    double from = seconds_now();
    sonde_code rc = conn_open(&i->conn, i->address.stream, deadline, err);

    i->connect_seconds = seconds_now() - from;
    i->no_config = false;
    i->plain_info = false;
    return rc;
}

/* ---- a round trip -------------------------------------------------------- */

struct answers {
    struct redis_reply *info, *config, *cluster;
};

static void answers_free(struct answers *a)
{
    reply_free(a->info);
    reply_free(a->config);
    reply_free(a->cluster);
    *a = (struct answers){ 0 };
}

static bool wants_config(const struct sonde_instance *i)
{
    return !i->no_config && !text_is(i->options->config_command, "-");
}

static sonde_code add_questions(struct sonde_instance *i, struct asked *asked,
                                struct sonde_err *err)
{
    struct redis_conn *c = &i->conn;
    sonde_code rc = add(c, err, "INFO", i->plain_info ? NULL : "ALL", NULL);

    asked->info = true;
    if (rc == SONDE_OK && wants_config(i)) {
        asked->config = true;
        rc = add(c, err, i->options->config_command.ptr, "GET", "*");
    }
    if (rc == SONDE_OK && i->cluster) {
        asked->cluster = true;
        rc = add(c, err, "CLUSTER", "INFO", NULL);
    }
    return rc;
}

/* Reads one reply that only says yes or no. */
static sonde_code read_consent(struct sonde_instance *i, sonde_msec deadline,
                               struct redis_reply **out, struct sonde_err *err)
{
    sonde_code rc = conn_read(&i->conn, deadline, out, err);

    if (rc == SONDE_OK && (*out)->type == REDIS_REPLY_ERROR)
        rc = SONDE_EAUTH;
    return rc;
}

static sonde_code read_auth(struct sonde_instance *i, sonde_msec deadline,
                            struct sonde_err *err)
{
    struct redis_reply *r = NULL;
    sonde_code rc = read_consent(i, deadline, &r, err);

    if (r && rc == SONDE_EAUTH) {
        sonde_str word = r->str, rest = r->str;

        (void)text_split(&rest, ' ', &word);
        (void)sonde_err_set(err, SONDE_EAUTH, "AUTH is refused: %s",
                            text_is(word, "WRONGPASS") ||
                                    strstr(r->str.ptr, "invalid password")
                                ? "wrong user or password"
                            : strstr(r->str.ptr, "without any password") ||
                                    strstr(r->str.ptr, "no password is set")
                                ? "the server has no password"
                                : "the server does not take it");
    }
    reply_free(r);
    return rc;
}

static sonde_code read_select(struct sonde_instance *i, sonde_msec deadline,
                              struct sonde_err *err)
{
    struct redis_reply *r = NULL;
    sonde_code rc = read_consent(i, deadline, &r, err);

    if (r && rc == SONDE_EAUTH)
        (void)sonde_err_set(err, SONDE_EAUTH, "SELECT is refused: %.200s",
                            r->str.ptr);
    reply_free(r);
    return rc;
}

static sonde_code read_answers(struct sonde_instance *i,
                               const struct asked *asked, sonde_msec deadline,
                               struct answers *out, struct sonde_err *err)
{
    struct redis_reply *ignored = NULL;
    sonde_code rc = SONDE_OK;

    if (asked->auth)
        rc = read_auth(i, deadline, err);
    if (rc == SONDE_OK && asked->select)
        rc = read_select(i, deadline, err);
    if (rc == SONDE_OK && asked->name) {
        rc = conn_read(&i->conn, deadline, &ignored, err);
        reply_free(ignored);
    }
    if (rc == SONDE_OK && asked->info)
        rc = conn_read(&i->conn, deadline, &out->info, err);
    if (rc == SONDE_OK && asked->config)
        rc = conn_read(&i->conn, deadline, &out->config, err);
    if (rc == SONDE_OK && asked->cluster)
        rc = conn_read(&i->conn, deadline, &out->cluster, err);
    return rc;
}

/* Everything in one round trip, connecting if need be. */
static sonde_code first_trip(struct sonde_instance *i, sonde_msec deadline,
                             struct answers *out, struct sonde_err *err)
{
    struct asked asked = { 0 };
    bool fresh = !i->conn.stream;
    sonde_code rc = SONDE_OK;

    i->connect_seconds = 0;
    if (fresh)
        rc = connect_now(i, deadline, err);
    if (rc == SONDE_OK)
        rc = conn_begin(&i->conn, err);
    if (rc == SONDE_OK && fresh)
        rc = add_greeting(i, &asked, err);
    if (rc == SONDE_OK)
        rc = add_questions(i, &asked, err);
    if (rc == SONDE_OK)
        rc = conn_send(&i->conn, deadline, err);
    return rc == SONDE_OK ? read_answers(i, &asked, deadline, out, err) : rc;
}

static bool is_text(const struct redis_reply *r)
{
    return r &&
           (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
            r->type > REDIS_REPLY_ERROR); /* RESP3's verbatim text */
}

/* What the first trip has shown to be missing. */
static sonde_code second_trip(struct sonde_instance *i, sonde_msec deadline,
                              struct answers *out, struct sonde_err *err)
{
    struct asked asked = { 0 };
    sonde_code rc = SONDE_OK;

    if ((!is_text(out->info) || out->info->str.len == 0) && !i->plain_info) {
        asked.info = i->plain_info = true;
        reply_free(out->info);
        out->info = NULL;
        rc = add(&i->conn, err, "INFO", NULL, NULL);
    } else if (is_text(out->info) && !out->cluster &&
               info_says_cluster(out->info->str)) {
        asked.cluster = i->cluster = true;
        rc = add(&i->conn, err, "CLUSTER", "INFO", NULL);
    } else {
        return SONDE_OK;
    }
    if (rc == SONDE_OK)
        rc = conn_send(&i->conn, deadline, err);
    return rc == SONDE_OK ? read_answers(i, &asked, deadline, out, err) : rc;
}

static sonde_code ask(struct sonde_instance *i, sonde_msec deadline,
                      struct answers *out, struct sonde_err *err)
{
    bool kept = i->conn.stream != NULL;
    sonde_code rc = first_trip(i, deadline, out, err);

    if (rc != SONDE_OK && kept && !i->conn.answered && rc != SONDE_ETIMEOUT) {
        answers_free(out);
        conn_close(&i->conn);
        rc = first_trip(i, deadline, out, err);
    }
    if (rc == SONDE_OK)
        rc = second_trip(i, deadline, out, err);
    if (rc == SONDE_OK && !is_text(out->info))
        rc = sonde_err_set(err, SONDE_EPROTO, "INFO is refused: %.200s",
                           out->info && out->info->type == REDIS_REPLY_ERROR
                               ? out->info->str.ptr
                               : "the answer is no text");
    if (out->config && out->config->type == REDIS_REPLY_ERROR) {
        i->no_config = true;
        i->host->log(i->open->target, SONDE_LOG_INFO,
                     "CONFIG GET is refused; config metrics are left out "
                     "(option config_command: '-' does not ask)");
    }
    return rc;
}

/* ---- emission ------------------------------------------------------------ */

static void emit_instance(struct sonde_instance *i, struct redis_emit *e,
                          const struct answers *a, int64_t databases)
{
    struct redis_info info = {
        .now = (double)i->host->now() / 1000,
        .start_time = &i->start_time,
        .system_metrics = i->options->include_system_metrics,
    };

    i->cluster = info_says_cluster(a->info->str);
    info_emit(e, a->info->str, &info);
    if (is_text(a->cluster))
        info_emit(e, a->cluster->str, &info);
    if (i->options->include_metrics_for_empty_databases)
        info_pad_databases(e, i->cluster ? 1 : databases > 0 ? databases : 16);
    settings_emit(e, a->config);
    emit_sample(e, F_KEY_GROUPS_DURATION, NULL, 0);
}

/* What the exporter says of itself. */
static void emit_self(struct sonde_instance *i, struct redis_emit *e,
                      double seconds, const char *error)
{
    sonde_str version = sonde_cstr(i->host->version);
    sonde_str reason = sonde_cstr(error);

    i->scrapes++;
    i->duration_sum += seconds;
    emit_sample(e, F_UP, NULL, *error ? 0 : 1);
    emit_sample(e, F_LAST_SCRAPE_ERROR, &reason, *error ? 1 : 0);
    emit_sample(e, F_CONNECT_TIME, NULL, i->connect_seconds);
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

static sonde_code redis_collect(struct sonde_instance *i,
                                struct sonde_sink *sink, sonde_msec deadline,
                                struct sonde_err *err)
{
    struct redis_emit e = { .host = i->host,
                            .sink = sink,
                            .family_of = i->family_of,
                            .locale = i->locale };
    struct sonde_err why = { 0 };
    struct answers answers = { 0 };
    double from = seconds_now();
    int64_t databases = -1;
    sonde_code rc;

    (void)err;
    rc = ask(i, own_deadline(i->host, deadline), &answers, &why);
    if (rc == SONDE_OK)
        rc = settings_databases(answers.config, &databases, &why);
    if (rc == SONDE_OK)
        emit_instance(i, &e, &answers, databases);
    else
        conn_close(&i->conn);
    emit_self(i, &e, seconds_now() - from, rc == SONDE_OK ? "" : why.text);
    tell_change(i, rc == SONDE_OK ? "" : why.text);
    answers_free(&answers);
    emit_fini(&e);
    return SONDE_OK;
}

/* ---- life ---------------------------------------------------------------- */

static sonde_code redis_check(const void *opaque, struct sonde_err *err)
{
    const struct redis_options *o = opaque;

    if (o->password.len && o->password_file.len)
        return sonde_err_set(err, SONDE_EINVAL,
                             "password and password_file are both given: use "
                             "one of them");
    if (o->user.len && !o->password.len && !o->password_file.len)
        return sonde_err_set(err, SONDE_EINVAL,
                             "user is given without password or "
                             "password_file");
    if (o->config_command.len == 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "config_command is empty: expected the command's "
                             "name, or '-' not to ask");
    return SONDE_OK;
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
    i->host = host;
    i->open = open;
    i->options = open->options;
    i->conn.host = host;
    i->conn.target = open->target;
    i->conn.bytes_max = (size_t)i->options->reply_limit;
    i->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!i->locale)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    rc = redis_link_fields(&i->family_of, err);
    return rc == SONDE_OK ? address_parse(open->address, &i->address, err) : rc;
}

static void redis_close(struct sonde_instance *i)
{
    if (!i)
        return;
    conn_close(&i->conn);
    text_fini(&i->conn.out);
    address_fini(&i->address);
    if (i->locale)
        freelocale(i->locale);
    free(i->family_of);
    free(i);
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "redis",
        .version = "0.1.0",
        .summary = "Redis, Valkey and KeyDB, with redis_exporter's metrics",
        SONDE_PLUGIN_OPTIONS(options, struct redis_options),
        SONDE_PLUGIN_FAMILIES(redis_families),
        .default_address = "127.0.0.1:6379",
        .default_port = 6379,
        .expose_port = 9121,
        .open = redis_open,
        .close = redis_close,
        .collect = redis_collect,
        .check = redis_check,
    };

    (void)host;
    return &plugin;
}
