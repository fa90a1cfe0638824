/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any endpoint that speaks Prometheus' text format, OpenMetrics or its
 * protobuf: the plugin of jobs that name none.
 *
 * Most often there is nothing to do: one request for the job's own path and
 * parameters, whose body the host reads. With multiproc_dir, the metrics of a
 * Python application with several workers are read from their files
 * (../python) in place of that page, which any one of them would answer.
 *
 * The options are few and have long names on purpose: a job's `params` become
 * labels __param_NAME, and one that is called like an option would set it.
 */
#include <stdlib.h>

#include "python/multiproc.h"

struct options {
    PYTHON_OPTION_FIELDS;
};

static const struct sonde_option options[] = {
    PYTHON_OPTION_ROWS(struct options),
};

static const struct sonde_family families[] = {
    MULTIPROC_FAMILY_ROWS(0),
};

struct sonde_instance {
    struct multiproc *files; /* NULL without multiproc_dir */
};

static sonde_code prometheus_check(const void *opaque, struct sonde_err *err)
{
    const struct options *o = opaque;
    const struct python_settings settings = PYTHON_SETTINGS(o);

    return python_check(&settings, err);
}

static sonde_code prometheus_open(const struct sonde_host *host,
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
    if (settings.dir.len == 0)
        return SONDE_OK;
    return multiproc_open(host, open->target, &settings, families,
                          MULTIPROC_FAMILIES, 0, &i->files, err);
}

static void prometheus_close(struct sonde_instance *i)
{
    if (!i)
        return;
    multiproc_close(i->files);
    free(i);
}

static sonde_code prometheus_plan(struct sonde_instance *i,
                                  struct sonde_plan *plan,
                                  struct sonde_err *err)
{
    (void)err;
    plan->requests[plan->count++] =
        (struct sonde_request){ .body = i->files ? SONDE_BODY_COLLECT
                                                 : SONDE_BODY_EXPOSITION };
    return SONDE_OK;
}

static sonde_code prometheus_collect(struct sonde_instance *i,
                                     struct sonde_sink *sink,
                                     sonde_msec deadline, struct sonde_err *err)
{
    return i->files ? multiproc_collect(i->files, sink, deadline, err)
                    : SONDE_OK;
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "prometheus",
        .version = "0.2.0",
        .summary = "Any endpoint in Prometheus text format or OpenMetrics",
        SONDE_PLUGIN_OPTIONS(options, struct options),
        SONDE_PLUGIN_FAMILIES(families),
        .default_address = "localhost:9100",
        .open = prometheus_open,
        .close = prometheus_close,
        .plan = prometheus_plan,
        .collect = prometheus_collect,
        .check = prometheus_check,
    };

    (void)host;
    return &plugin;
}
