/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /-/healthy, /-/ready, /-/reload, /-/quit. Texts and statuses are those of
 * Prometheus, "Prometheus Server" included: probes in the wild match them.
 * Reloading answers when it is done, so that a client learns what is wrong
 * with the new configuration.
 */
#include "api/api_int.h"

#define TEXT "text/plain; charset=utf-8"

void api_handle_healthy(struct api *api, struct http_call *call)
{
    (void)api;
    http_reply(call, 200, TEXT, SONDE_STR("Prometheus Server is Healthy.\n"));
}

void api_handle_ready(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    bool stopping = ops->stopping && ops->stopping(ops->arg);

    if (!stopping && (!ops->ready || ops->ready(ops->arg))) {
        http_reply(call, 200, TEXT, SONDE_STR("Prometheus Server is Ready.\n"));
        return;
    }
    http_call_set_header(call, "X-Prometheus-Stopping",
                         stopping ? SONDE_STR("true") : SONDE_STR("false"));
    http_reply(call, 503, TEXT, SONDE_STR("Service Unavailable"));
}

/* Replies to what is not allowed. */
static bool lifecycle_allowed(const struct api *api, struct http_call *call)
{
    if (http_call_method(call) == HTTP_GET) {
        http_call_set_header(call, "Allow", SONDE_STR("POST, PUT"));
        http_reply(call, 405, TEXT,
                   SONDE_STR("Only POST or PUT requests allowed"));
        return false;
    }
    if (api->options.lifecycle)
        return true;
    http_reply(call, 403, TEXT, SONDE_STR("Lifecycle API is not enabled."));
    return false;
}

void api_handle_reload(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    struct sonde_err err = { 0 };
    struct buf b;

    if (!lifecycle_allowed(api, call))
        return;
    if (ops->reload && ops->reload(ops->arg, &err) == SONDE_OK) {
        http_reply(call, 200, "", (sonde_str){ 0 });
        return;
    }
    buf_init(&b);
    buf_printf(&b, "failed to reload config: %s\n",
               ops->reload ? err.text : "not available");
    http_call_set_header(call, "X-Content-Type-Options", SONDE_STR("nosniff"));
    http_reply_take(call, 500, TEXT, &b);
}

void api_handle_quit(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;

    if (!lifecycle_allowed(api, call))
        return;
    if (!ops->quit)
        http_reply(call, 500, TEXT, SONDE_STR("not available\n"));
    else if (ops->quit(ops->arg))
        http_reply(call, 200, TEXT,
                   SONDE_STR("Requesting termination... Goodbye!"));
    else
        http_reply(call, 200, TEXT,
                   SONDE_STR("Termination already in progress."));
}
