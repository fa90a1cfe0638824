/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /metrics: the agent's own metrics, in text format 0.0.4 whatever the client
 * asks for, as the stock Prometheus answers too.
 */
#include "api/api_int.h"

void api_handle_metrics(struct api *api, struct http_call *call)
{
    struct buf b;

    buf_init(&b);
    if (api->options.metrics)
        selfmetrics_write(api->options.metrics, &b);
    http_reply_take(call, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}
