/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any endpoint that speaks Prometheus' text format, OpenMetrics or its
 * protobuf: the plugin of jobs that name none.
 *
 * There is nothing to do: one request for the job's own path and parameters,
 * whose body the host reads. It is the shortest plugin there can be.
 */
#include <sonde/plugin.h>

static sonde_code prometheus_plan(struct sonde_instance *instance,
                                  struct sonde_plan *plan,
                                  struct sonde_err *err)
{
    (void)instance;
    (void)err;
    plan->requests[0] = (struct sonde_request){ .body = SONDE_BODY_EXPOSITION };
    plan->count = 1;
    return SONDE_OK;
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "prometheus",
        .version = "0.1.0",
        .summary = "Any endpoint in Prometheus text format or OpenMetrics",
        .default_address = "localhost:9100",
        .plan = prometheus_plan,
    };

    (void)host;
    return &plugin;
}
