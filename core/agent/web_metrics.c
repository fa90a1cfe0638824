/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the web server counts, as self-metrics: who was turned away and why,
 * and what is taken. net/ knows nothing of metrics, so they are told here.
 */
#include "agent/agent_int.h"
#include "api/api.h"

static void refused(struct selfmetrics_page *page,
                    const struct http_server_stats *s)
{
    const struct {
        const char *label;
        uint64_t n;
    } rows[] = {
        { "reason=\"unauthorized\"", s->unauthorized },
        { "reason=\"rate_limited\"", s->rate_limited },
        { "reason=\"body_too_large\"", s->oversized },
        { "reason=\"queue_full\"", s->refused },
        { "reason=\"web_config_broken\"", s->config_errors },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        selfmetrics_emit(page, "sonde_web_requests_refused_total",
                         METRIC_COUNTER,
                         "Requests that were turned away before they were "
                         "looked at.",
                         rows[i].label, (double)rows[i].n);
}

static void web_metrics(struct selfmetrics_page *page, void *arg)
{
    const struct agent *a = arg;
    struct http_server_stats s;

    http_server_stats(a->server, &s);
    selfmetrics_emit(page, "sonde_web_connections", METRIC_GAUGE,
                     "Open connections of clients.", NULL,
                     (double)s.connections);
    selfmetrics_emit(page, "sonde_web_connections_shut_total", METRIC_COUNTER,
                     "Connections shut because their client was not done in "
                     "time, or idle when room was needed.",
                     NULL, (double)s.timeouts);
    refused(page, &s);
    selfmetrics_emit(page, "sonde_web_requests_queued", METRIC_GAUGE,
                     "Requests that wait for a worker.", NULL,
                     (double)s.queued);
    selfmetrics_emit(page, "sonde_web_requests_total", METRIC_COUNTER,
                     "Requests that were answered, of whatever status.", NULL,
                     (double)s.requests);
    selfmetrics_emit(page, "sonde_web_workers", METRIC_GAUGE,
                     "Threads that run handlers.", NULL, (double)s.workers);
}

void agent_web_metrics(struct agent *a)
{
    selfmetrics_callback(a->metrics, web_metrics, a);
}

void agent_web_metrics_end(struct agent *a)
{
    selfmetrics_uncallback(a->metrics, web_metrics, a);
}
