/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FastAPI (or any other web) application: its own /metrics, and whether it
 * is well.
 *
 * Two requests a collection. The first is for the job's metrics_path; its
 * body is the application's and read by the host. The second asks the health
 * endpoint and may fail: how it fails is what is measured. An application
 * that answers neither makes `up` 0; one whose metrics still come while its
 * health check says no is up and has fastapi_up 0.
 *
 * Applications without metrics of their own set `metrics: false`; then the
 * health check is all that is asked, and `up` tells nothing but that it was.
 *
 * Well means a status between health_status_min and health_status_max, and,
 * if health_body is given, that text in the answer. Only the first 64 KiB of
 * an answer are looked at.
 */
#include <stdlib.h>

#include <sonde/plugin.h>

#define BODY_BYTES_MAX 65536
#define PATH_BYTES_MAX 2048

struct options {
    sonde_str health_path, health_body;
    int64_t health_status_min, health_status_max;
    bool metrics;
};

static const struct sonde_option options[] = {
    SONDE_OPT_STR(struct options, health_path, .fallback = "/health",
                  .help = "Path of the health endpoint; empty asks for none"),
    SONDE_OPT_INT(struct options, health_status_min, .fallback = "200",
                  .min = 100, .max = 599,
                  .help = "Lowest status that counts as healthy"),
    SONDE_OPT_INT(struct options, health_status_max, .fallback = "299",
                  .min = 100, .max = 599,
                  .help = "Highest status that counts as healthy"),
    SONDE_OPT_STR(struct options, health_body, .example = "ok",
                  .help = "Text that a healthy answer holds; empty: any"),
    SONDE_OPT_BOOL(struct options, metrics, .fallback = "true",
                   .help = "Scrape the application's own metrics at the "
                           "job's metrics_path"),
};

enum family {
    F_UP,
    F_DURATION,
    F_STATUS,
    F_SIZE,
};

static const struct sonde_family families[] = {
    [F_UP] = { .name = "fastapi_up",
               .type = SONDE_METRIC_GAUGE,
               .help = "Whether the health endpoint says that the application "
                       "is well" },
    [F_DURATION] = { .name = "fastapi_health_duration_seconds",
                     .type = SONDE_METRIC_GAUGE,
                     .unit = "seconds",
                     .help = "Time that the health endpoint took to answer" },
    [F_STATUS] = { .name = "fastapi_health_status_code",
                   .type = SONDE_METRIC_GAUGE,
                   .help = "HTTP status of the health endpoint; 0 when there "
                           "was no answer" },
    [F_SIZE] = { .name = "fastapi_health_response_size_bytes",
                 .type = SONDE_METRIC_GAUGE,
                 .unit = "bytes",
                 .help = "Size of the health endpoint's answer" },
};

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_target *target;
    const struct options *options;
    bool down; /* at the last probe, for the log */
};

static sonde_code fastapi_check(const void *opaque, struct sonde_err *err)
{
    const struct options *o = opaque;

    if (o->health_path.len && o->health_path.ptr[0] != '/')
        return sonde_err_set(err, SONDE_EINVAL,
                             "health_path: expected a path that begins with "
                             "'/', got \"%.100s\"",
                             o->health_path.ptr);
    for (size_t i = 0; i < o->health_path.len; i++) {
        unsigned char c = (unsigned char)o->health_path.ptr[i];

        if (c <= ' ' || c == 0x7f || o->health_path.len > PATH_BYTES_MAX)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "health_path: expected up to %d bytes, blanks "
                                 "written as %%20",
                                 PATH_BYTES_MAX);
    }
    if (o->health_path.len == 0 && !o->metrics)
        return sonde_err_set(err, SONDE_EINVAL,
                             "health_path is empty and metrics is false: "
                             "nothing is left to ask");
    if (o->health_status_min > o->health_status_max)
        return sonde_err_set(err, SONDE_EINVAL,
                             "health_status_min (%lld) is above "
                             "health_status_max (%lld)",
                             (long long)o->health_status_min,
                             (long long)o->health_status_max);
    return SONDE_OK;
}

static sonde_code fastapi_open(const struct sonde_host *host,
                               const struct sonde_open *open,
                               struct sonde_instance **out,
                               struct sonde_err *err)
{
    struct sonde_instance *i = calloc(1, sizeof(*i));

    if (!i)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    i->host = host;
    i->target = open->target;
    i->options = open->options;
    *out = i;
    return SONDE_OK;
}

static void fastapi_close(struct sonde_instance *i)
{
    free(i);
}

static sonde_code fastapi_plan(struct sonde_instance *i,
                               struct sonde_plan *plan, struct sonde_err *err)
{
    (void)err;
    if (i->options->metrics)
        plan->requests[plan->count++] =
            (struct sonde_request){ .body = SONDE_BODY_EXPOSITION };
    if (i->options->health_path.len)
        plan->requests[plan->count++] =
            (struct sonde_request){ .path = i->options->health_path,
                                    .body = SONDE_BODY_PLUGIN,
                                    .flags = SONDE_FETCH_MAY_FAIL };
    return SONDE_OK;
}

static bool holds(sonde_str body, sonde_str text)
{
    size_t len = body.len < BODY_BYTES_MAX ? body.len : BODY_BYTES_MAX;

    return text.len == 0 || (len && memmem(body.ptr, len, text.ptr, text.len));
}

/* NULL when all is well, else what is not. */
static const char *illness(const struct options *o,
                           const struct sonde_response *r)
{
    if (r->code != SONDE_OK)
        return r->error ? r->error : sonde_code_text(r->code);
    if (r->status < o->health_status_min || r->status > o->health_status_max)
        return "its status is not one of a healthy application";
    if (!holds(r->body, o->health_body))
        return "health_body is not in its answer";
    return NULL;
}

static void tell_change(struct sonde_instance *i, const char *why, int status)
{
    if (why && !i->down)
        i->host->log(i->target, SONDE_LOG_WARN,
                     "health check failed: %s (status %d)", why, status);
    else if (!why && i->down)
        i->host->log(i->target, SONDE_LOG_INFO, "health check is well again");
    i->down = why != NULL;
}

static sonde_code fastapi_parse(struct sonde_instance *i,
                                const struct sonde_response *r,
                                struct sonde_sink *sink, struct sonde_err *err)
{
    const char *why = illness(i->options, r);
    bool answered = r->code == SONDE_OK;

    (void)err;
    (void)i->host->sample(sink, F_UP, NULL, why ? 0 : 1);
    (void)i->host->sample(sink, F_DURATION, NULL, r->duration_seconds);
    (void)i->host->sample(sink, F_STATUS, NULL, answered ? r->status : 0);
    if (answered)
        (void)i->host->sample(sink, F_SIZE, NULL, (double)r->body.len);
    tell_change(i, why, answered ? r->status : 0);
    return SONDE_OK;
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "fastapi",
        .version = "0.1.0",
        .summary = "A FastAPI application: its metrics and its health",
        SONDE_PLUGIN_OPTIONS(options, struct options),
        SONDE_PLUGIN_FAMILIES(families),
        .default_address = "127.0.0.1:8000",
        .open = fastapi_open,
        .close = fastapi_close,
        .plan = fastapi_plan,
        .parse = fastapi_parse,
        .check = fastapi_check,
    };

    (void)host;
    return &plugin;
}
