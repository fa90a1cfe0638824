/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FastAPI, Django, Flask (or any other web) application: its metrics, and
 * whether it is well and ready.
 *
 * A collection has up to four parts. The first is the job's metrics_path; its
 * body is the application's and read by the host. Health and readiness are
 * asked by requests that may fail: how they fail is what is measured. The last
 * one is no request: with multiproc_dir the metrics of all workers are read
 * from their files (../python), and the page of whichever worker would answer
 * is not asked for, or each series would come twice.
 *
 * An application whose page does not answer, or whose files can not be read,
 * makes `up` 0; one whose metrics come while its health check says no is up
 * and has fastapi_up 0. Applications without metrics of their own set
 * `metrics: false`; then `up` tells nothing but that the probes were made.
 */
#include <stdlib.h>

#include "probe.h"
#include "python/multiproc.h"

struct options {
    PYTHON_OPTION_FIELDS;
    sonde_str metrics, health_path, health_body;
    int64_t health_status_min, health_status_max;
    sonde_str ready_path, ready_body;
    int64_t ready_status_min, ready_status_max;
};

static const char *const metrics_choices[] = { "auto", "true", "false", NULL };

static const struct sonde_option options[] = {
    PYTHON_OPTION_ROWS(struct options),
    SONDE_OPT_STR(struct options, metrics, .fallback = "auto",
                  .choices = metrics_choices,
                  .help = "Scrape the application's own page at the job's "
                          "metrics_path; auto: unless multiproc_dir is given"),
    SONDE_OPT_STR(struct options, health_path, .fallback = "auto",
                  .help = "Path of the health endpoint; empty asks for none; "
                          "auto: the preset's, /health without one"),
    SONDE_OPT_INT(struct options, health_status_min, .fallback = "200",
                  .min = 100, .max = 599,
                  .help = "Lowest status that counts as healthy"),
    SONDE_OPT_INT(struct options, health_status_max, .fallback = "299",
                  .min = 100, .max = 599,
                  .help = "Highest status that counts as healthy"),
    SONDE_OPT_STR(struct options, health_body, .example = "ok",
                  .help = "Text that a healthy answer holds; empty: any"),
    SONDE_OPT_STR(struct options, ready_path, .example = "/ready",
                  .help = "Path of the readiness endpoint; empty asks for "
                          "none"),
    SONDE_OPT_INT(struct options, ready_status_min, .fallback = "200",
                  .min = 100, .max = 599,
                  .help = "Lowest status that counts as ready"),
    SONDE_OPT_INT(struct options, ready_status_max, .fallback = "299",
                  .min = 100, .max = 599,
                  .help = "Highest status that counts as ready"),
    SONDE_OPT_STR(struct options, ready_body,
                  .help = "Text that the answer of one that is ready holds; "
                          "empty: any"),
};

enum {
    F_HEALTH = 0,
    F_READY = F_HEALTH + PROBE_FAMILIES,
    F_MULTIPROC = F_READY + PROBE_FAMILIES,
};

static const struct sonde_family families[] = {
    [F_HEALTH + PROBE_UP] = { .name = "fastapi_up",
                              .type = SONDE_METRIC_GAUGE,
                              .help = "Whether the health endpoint says that "
                                      "the application is well" },
    [F_HEALTH + PROBE_DURATION] = { .name = "fastapi_health_duration_seconds",
                                    .type = SONDE_METRIC_GAUGE,
                                    .unit = "seconds",
                                    .help = "Time that the health endpoint "
                                            "took to answer" },
    [F_HEALTH + PROBE_STATUS] = { .name = "fastapi_health_status_code",
                                  .type = SONDE_METRIC_GAUGE,
                                  .help = "HTTP status of the health endpoint; "
                                          "0 when there was no answer" },
    [F_HEALTH + PROBE_SIZE] = { .name = "fastapi_health_response_size_bytes",
                                .type = SONDE_METRIC_GAUGE,
                                .unit = "bytes",
                                .help = "Size of the health endpoint's "
                                        "answer" },
    [F_READY + PROBE_UP] = { .name = "fastapi_ready",
                             .type = SONDE_METRIC_GAUGE,
                             .help = "Whether the readiness endpoint says that "
                                     "the application takes requests" },
    [F_READY + PROBE_DURATION] = { .name = "fastapi_ready_duration_seconds",
                                   .type = SONDE_METRIC_GAUGE,
                                   .unit = "seconds",
                                   .help = "Time that the readiness endpoint "
                                           "took to answer" },
    [F_READY + PROBE_STATUS] = { .name = "fastapi_ready_status_code",
                                 .type = SONDE_METRIC_GAUGE,
                                 .help = "HTTP status of the readiness "
                                         "endpoint; 0 when there was no "
                                         "answer" },
    [F_READY + PROBE_SIZE] = { .name = "fastapi_ready_response_size_bytes",
                               .type = SONDE_METRIC_GAUGE,
                               .unit = "bytes",
                               .help = "Size of the readiness endpoint's "
                                       "answer" },
    MULTIPROC_FAMILY_ROWS(F_MULTIPROC),
};

enum {
    HEALTH,
    READY,
    PROBES,
};

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_target *target;
    bool page; /* whether it is scraped */
    struct probe probes[PROBES];
    bool down[PROBES]; /* at the last probe, for the log        */
    size_t first;      /* request of the first probe, last plan */
    struct multiproc *files;
};

/* ---- options ------------------------------------------------------------- */

static bool wants_page(const struct options *o)
{
    if (sonde_str_eq(o->metrics, SONDE_STR("auto")))
        return o->multiproc_dir.len == 0;
    return sonde_str_eq(o->metrics, SONDE_STR("true"));
}

static sonde_str health_path(const struct options *o)
{
    return sonde_str_eq(o->health_path, SONDE_STR("auto"))
               ? sonde_cstr(preset_of(o->preset)->health_path)
               : o->health_path;
}

static void take_probes(const struct options *o, struct probe *probes)
{
    probes[HEALTH] = (struct probe){ .name = "health",
                                     .path = health_path(o),
                                     .body = o->health_body,
                                     .status_min = o->health_status_min,
                                     .status_max = o->health_status_max,
                                     .base = F_HEALTH };
    probes[READY] = (struct probe){ .name = "ready",
                                    .path = o->ready_path,
                                    .body = o->ready_body,
                                    .status_min = o->ready_status_min,
                                    .status_max = o->ready_status_max,
                                    .base = F_READY };
}

static sonde_code fastapi_check(const void *opaque, struct sonde_err *err)
{
    const struct options *o = opaque;
    const struct python_settings settings = PYTHON_SETTINGS(o);
    struct probe probes[PROBES];
    sonde_code rc = python_check(&settings, err);

    take_probes(o, probes);
    for (size_t i = 0; i < PROBES && rc == SONDE_OK; i++)
        rc = probe_check(&probes[i], err);
    if (rc == SONDE_OK && probes[HEALTH].path.len == 0 &&
        probes[READY].path.len == 0 && !wants_page(o) && settings.dir.len == 0)
        rc = sonde_err_set(err, SONDE_EINVAL,
                           "metrics is false, and health_path, ready_path and "
                           "multiproc_dir are empty: nothing is left to ask");
    return rc;
}

/* ---- life ---------------------------------------------------------------- */

static sonde_code fastapi_open(const struct sonde_host *host,
                               const struct sonde_open *open,
                               struct sonde_instance **out,
                               struct sonde_err *err)
{
    const struct options *o = open->options;
    const struct python_settings settings = PYTHON_SETTINGS(o);
    struct sonde_instance *i = calloc(1, sizeof(*i));

    if (!i)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    *out = i;
    i->host = host;
    i->target = open->target;
    i->page = wants_page(o);
    take_probes(o, i->probes);
    if (settings.dir.len == 0)
        return SONDE_OK;
    return multiproc_open(host, open->target, &settings, families,
                          sizeof(families) / sizeof(families[0]), F_MULTIPROC,
                          &i->files, err);
}

static void fastapi_close(struct sonde_instance *i)
{
    if (!i)
        return;
    multiproc_close(i->files);
    free(i);
}

/* ---- a collection -------------------------------------------------------- */

static sonde_code fastapi_plan(struct sonde_instance *i,
                               struct sonde_plan *plan, struct sonde_err *err)
{
    (void)err;
    if (i->page)
        plan->requests[plan->count++] =
            (struct sonde_request){ .body = SONDE_BODY_EXPOSITION };
    if (i->files)
        plan->requests[plan->count++] =
            (struct sonde_request){ .body = SONDE_BODY_COLLECT };
    i->first = plan->count;
    for (size_t k = 0; k < PROBES; k++) {
        if (i->probes[k].path.len)
            plan->requests[plan->count++] =
                (struct sonde_request){ .path = i->probes[k].path,
                                        .body = SONDE_BODY_PLUGIN,
                                        .flags = SONDE_FETCH_MAY_FAIL };
    }
    return SONDE_OK;
}

static sonde_code fastapi_collect(struct sonde_instance *i,
                                  struct sonde_sink *sink, sonde_msec deadline,
                                  struct sonde_err *err)
{
    return i->files ? multiproc_collect(i->files, sink, deadline, err)
                    : SONDE_OK;
}

static void tell_change(struct sonde_instance *i, size_t probe,
                        const struct sonde_response *r)
{
    const struct probe *p = &i->probes[probe];
    const char *why = probe_illness(p, r);

    if (why && !i->down[probe])
        i->host->log(i->target, SONDE_LOG_WARN,
                     "%s check of %s failed: %s "
                     "(status %d)",
                     p->name, p->path.ptr, why,
                     r->code == SONDE_OK ? r->status : 0);
    else if (!why && i->down[probe])
        i->host->log(i->target, SONDE_LOG_INFO, "%s check is well again",
                     p->name);
    i->down[probe] = why != NULL;
}

static sonde_code fastapi_parse(struct sonde_instance *i,
                                const struct sonde_response *r,
                                struct sonde_sink *sink, struct sonde_err *err)
{
    size_t probe =
        i->probes[HEALTH].path.len && r->request == i->first ? HEALTH : READY;

    (void)err;
    probe_emit(&i->probes[probe], i->host, sink, r);
    tell_change(i, probe, r);
    return SONDE_OK;
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "fastapi",
        .version = "0.2.0",
        .summary = "A FastAPI, Django or Flask application: metrics of all "
                   "its workers, health, readiness",
        SONDE_PLUGIN_OPTIONS(options, struct options),
        SONDE_PLUGIN_FAMILIES(families),
        .default_address = "127.0.0.1:8000",
        .open = fastapi_open,
        .close = fastapi_close,
        .plan = fastapi_plan,
        .parse = fastapi_parse,
        .collect = fastapi_collect,
        .check = fastapi_check,
    };

    (void)host;
    return &plugin;
}
