/* SPDX-License-Identifier: Apache-2.0 */
/*
 * celery-exporter's flags and variables (CE_...), for `sonde exporter celery`.
 *
 * The broker's URL may hold a password, so it becomes a secret option, and
 * the target is what is left without user, password and query. Where the
 * exporter takes seconds and the option a duration, the unit is added here.
 * Transport options are those of Celery; the ones that change nothing for
 * somebody who only listens (visibility_timeout, say) are taken and left
 * alone.
 */
#include "exporter.h"

#include <stdlib.h>

#include "broker.h"
#include "event.h"

#define SECONDS_FLAG(n, v, text)                                               \
    {                                                                          \
        .name = (n), .env = (v), .kind = SONDE_OPT_KIND_STR,                   \
        .role = SONDE_FLAG_VALUE, .help = (text)                               \
    }

static const struct sonde_flag flags[] = {
    { .name = "broker-url",
      .env = "CE_BROKER_URL",
      .kind = SONDE_OPT_KIND_SECRET,
      .role = SONDE_FLAG_VALUE,
      .help = "The broker's URL, e.g. redis://1.2.3.4/0" },
    { .name = "broker-transport-option",
      .env = "CE_BROKER_TRANSPORT_OPTION",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_VALUE,
      .flags = SONDE_FLAG_REPEATED,
      .help = "Celery's transport option, e.g. global_keyprefix=app1" },
    { .name = "broker-ssl-option",
      .env = "CE_BROKER_SSL_OPTION",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_VALUE,
      .flags = SONDE_FLAG_REPEATED,
      .help = "TLS to the broker: ca_certs=, certfile=, keyfile=, cert_reqs=" },
    { .name = "accept-content",
      .env = "CE_ACCEPT_CONTENT",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_UNUSED,
      .help = "Serialisers to accept; events in others than json are counted "
              "as such" },
    SECONDS_FLAG("retry-interval", "CE_RETRY_INTERVAL",
                 "Longest pause in seconds between attempts to reach the "
                 "broker; 0: the default of half a minute"),
    { .name = "host",
      .env = "CE_HOST",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_LISTEN_HOST,
      .fallback = "0.0.0.0",
      .help = "Address to listen on" },
    { .name = "port",
      .env = "CE_PORT",
      .kind = SONDE_OPT_KIND_INT,
      .role = SONDE_FLAG_LISTEN_PORT,
      .fallback = "9808",
      .help = "Port to listen on" },
    { .name = "buckets",
      .env = "CE_BUCKETS",
      .kind = SONDE_OPT_KIND_LIST,
      .role = SONDE_FLAG_OPTION,
      .flags = SONDE_FLAG_COMMAS,
      .help = "Bounds of the runtime histogram, in seconds" },
    { .name = "queue-wait-buckets",
      .env = "CE_QUEUE_WAIT_BUCKETS",
      .kind = SONDE_OPT_KIND_LIST,
      .role = SONDE_FLAG_OPTION,
      .flags = SONDE_FLAG_COMMAS,
      .help = "Bounds of the queue wait histogram, in seconds" },
    { .name = "log-level",
      .env = "CE_LOG_LEVEL",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_LOG_LEVEL,
      .fallback = "INFO",
      .help = "DEBUG, INFO, WARNING or ERROR" },
    SECONDS_FLAG("worker-timeout", "CE_WORKER_TIMEOUT",
                 "After so many seconds without a heartbeat a worker is down; "
                 "0: never"),
    SECONDS_FLAG("purge-offline-worker-metrics",
                 "CE_PURGE_OFFLINE_WORKER_METRICS",
                 "After so many seconds its metrics are forgotten; 0: never"),
    { .name = "generic-hostname-task-sent-metric",
      .env = "CE_GENERIC_HOSTNAME_TASK_SENT_METRIC",
      .kind = SONDE_OPT_KIND_BOOL,
      .role = SONDE_FLAG_OPTION,
      .help = "task_sent_total has hostname=\"generic\"" },
    { .name = "generic-hostname-worker-task-metric",
      .env = "CE_GENERIC_HOSTNAME_WORKER_TASK_METRIC",
      .kind = SONDE_OPT_KIND_BOOL,
      .role = SONDE_FLAG_OPTION,
      .help = "All other metrics of tasks have hostname=\"generic\"" },
    { .name = "queues",
      .letter = 'Q',
      .env = "CE_QUEUES",
      .kind = SONDE_OPT_KIND_LIST,
      .role = SONDE_FLAG_OPTION,
      .flags = SONDE_FLAG_COMMAS,
      .help = "Queues that are always reported" },
    { .name = "metric-prefix",
      .env = "CE_METRIC_PREFIX",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_PREFIX,
      .help = "Stands in place of celery_ in all names" },
    { .name = "default-queue-name",
      .env = "CE_DEFAULT_QUEUE_NAME",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_OPTION,
      .help = "Queue of tasks whose task-sent was not seen" },
    { .name = "static-label",
      .env = "CE_STATIC_LABEL",
      .kind = SONDE_OPT_KIND_STR,
      .role = SONDE_FLAG_LABEL,
      .flags = SONDE_FLAG_REPEATED,
      .help = "name=value, on all series" },
};

/* ---- translations -------------------------------------------------------- */

static sonde_code set_seconds(const struct sonde_flag_values *v,
                              const char *flag, const char *option,
                              struct sonde_err *err)
{
    sonde_str given;
    int64_t seconds;
    char text[40];

    if (!v->get(v, flag, 0, &given))
        return SONDE_OK;
    if (!text_whole(given, INT32_MAX, &seconds))
        return sonde_err_set(err, SONDE_EINVAL,
                             "--%s: expected a number of seconds, got "
                             "\"%.*s\"",
                             flag, SONDE_ARG(given));
    if (seconds == 0 && strcmp(option, "retry_interval") == 0)
        return SONDE_OK;
    (void)snprintf(text, sizeof(text), "%llds", (long long)seconds);
    v->option(v, option, sonde_cstr(text));
    return SONDE_OK;
}

/* "[0, 3, 6]" as "0, 3, 6". */
static sonde_str without_brackets(sonde_str s)
{
    if (s.len >= 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']')
        return (sonde_str){ s.ptr + 1, s.len - 2 };
    return s;
}

static void set_transport_option(const struct sonde_flag_values *v,
                                 sonde_str name, sonde_str value)
{
    static const char *const same[] = { "global_keyprefix", "fanout_prefix",
                                        "fanout_patterns", "sep",
                                        "master_name" };
    bool yes = text_is(value, "1") || text_is(value, "True");
    bool no = text_is(value, "0") || text_is(value, "False");

    if (text_starts(name, "fanout_") && (yes || no))
        value = yes ? SONDE_STR("true") : SONDE_STR("false");
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        if (text_is(name, same[i]))
            v->option(v, same[i], value);
    }
    if (text_is(name, "priority_steps"))
        v->option(v, "priority_steps", without_brackets(value));
    if (text_is(name, "sentinel_kwargs")) {
        json_t *root = json_read(value);
        sonde_str password = member_text(root, "password");

        if (password.len)
            v->option(v, "sentinel_password", password);
        json_decref(root);
    }
}

static sonde_code set_transport_options(const struct sonde_flag_values *v,
                                        struct sonde_err *err)
{
    sonde_str pair, name;

    for (size_t i = 0; v->get(v, "broker-transport-option", i, &pair); i++) {
        (void)text_split(&pair, '=', &name);
        if (!pair.ptr)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "--broker-transport-option: expected "
                                 "name=value, got \"%.*s\"",
                                 SONDE_ARG(name));
        set_transport_option(v, name, pair);
    }
    return SONDE_OK;
}

static bool add_encoded(struct text *t, sonde_str s)
{
    char hex[4];
    bool ok = true;

    for (size_t i = 0; i < s.len && ok; i++) {
        (void)snprintf(hex, sizeof(hex), "%%%02x", (unsigned char)s.ptr[i]);
        ok = text_addz(t, hex);
    }
    return ok;
}

/* TLS to the broker is said in the URL's query, where Celery takes it too. */
static sonde_code add_ssl_options(const struct sonde_flag_values *v,
                                  struct text *url, struct sonde_err *err)
{
    sonde_str pair, name;

    for (size_t i = 0; v->get(v, "broker-ssl-option", i, &pair); i++) {
        bool ok;

        (void)text_split(&pair, '=', &name);
        ok = text_addz(url, memchr(url->ptr, '?', url->len) ? "&" : "?") &&
             (text_starts(name, "ssl_") || text_addz(url, "ssl_")) &&
             text_add(url, name.ptr, name.len) && text_addz(url, "=");
        if (text_is(pair, "0") || text_is(pair, "CERT_NONE"))
            pair = SONDE_STR("none");
        ok = ok && (text_is(pair, "none") ? text_addz(url, "none")
                                          : add_encoded(url, pair));
        if (!ok)
            return no_memory(err);
    }
    return SONDE_OK;
}

static sonde_code set_url(const struct sonde_flag_values *v,
                          struct sonde_err *err)
{
    struct text url = { 0 };
    struct broker b = { 0 };
    sonde_str given;
    char *target = NULL;
    sonde_code rc;

    if (!v->get(v, "broker-url", 0, &given) || given.len == 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "--broker-url (or CE_BROKER_URL) is required");
    rc = text_add(&url, given.ptr, given.len) ? add_ssl_options(v, &url, err)
                                              : no_memory(err);
    if (rc == SONDE_OK)
        rc = broker_parse(text_str(&url), &b, err);
    if (rc == SONDE_OK) {
        target = broker_public(&b);
        rc = target ? SONDE_OK : no_memory(err);
    }
    if (rc == SONDE_OK) {
        v->option(v, "broker_url", text_str(&url));
        v->target(v, sonde_cstr(target));
    }
    if (url.ptr)
        explicit_bzero(url.ptr, url.len);
    text_fini(&url);
    broker_fini(&b);
    free(target);
    return rc;
}

/* The exporter's client library makes these unless the variable says no. */
static void set_created(const struct sonde_flag_values *v)
{
    sonde_str off;
    bool no = v->env(v, "PROMETHEUS_DISABLE_CREATED_SERIES", &off) &&
              (text_is(off, "1") || text_is(off, "true") ||
               text_is(off, "True") || text_is(off, "t"));

    v->option(v, "created_series", no ? SONDE_STR("false") : SONDE_STR("true"));
}

static sonde_code complete(const struct sonde_flag_values *v,
                           struct sonde_err *err)
{
    sonde_code rc = set_url(v, err);

    if (rc == SONDE_OK)
        rc = set_transport_options(v, err);
    if (rc == SONDE_OK)
        rc = set_seconds(v, "worker-timeout", "worker_timeout", err);
    if (rc == SONDE_OK)
        rc = set_seconds(v, "purge-offline-worker-metrics",
                         "purge_offline_worker_metrics", err);
    if (rc == SONDE_OK)
        rc = set_seconds(v, "retry-interval", "retry_interval", err);
    if (rc == SONDE_OK)
        set_created(v);
    return rc;
}

const struct sonde_exporter celery_exporter = {
    .struct_size = sizeof(struct sonde_exporter),
    .name = "celery-exporter",
    .prefix = "celery_",
    SONDE_EXPORTER_FLAGS(flags),
    .targets = complete,
    .health_family = "celery_up",
};
