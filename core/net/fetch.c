/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request, waited for: a loop of its own for the time of one request.
 * That costs some tens of microseconds and a new connection, which command
 * lines and tests can afford.
 */
#include "net/net.h"

struct fetch {
    struct net_loop *loop;
    struct buf *body;
    int *status;
    struct sonde_err *err;
    sonde_code code;
};

static bool on_data(void *arg, sonde_str piece)
{
    struct fetch *f = arg;

    if (f->body)
        buf_put(f->body, piece);
    return !f->body || !buf_failed(f->body);
}

static void on_done(void *arg, const struct http_result *result)
{
    struct fetch *f = arg;

    f->code = result->code;
    if (f->status)
        *f->status = result->status;
    if (result->code != SONDE_OK)
        (void)sonde_err_set(f->err, result->code, "%s", result->error);
    net_loop_stop(f->loop);
}

sonde_code http_fetch(const struct http_client_config *config,
                      const struct http_request *r, struct buf *body,
                      int *status, struct sonde_err *err)
{
    struct fetch f = { .body = body, .status = status, .err = err };
    struct http_request request = *r;
    struct http_client *client;
    sonde_code rc = net_loop_new(&f.loop, err);

    if (status)
        *status = 0;
    if (rc != SONDE_OK)
        return rc;
    request.begin = NULL;
    request.data = on_data;
    request.done = on_done;
    request.error_body = true;
    request.arg = &f;
    client = http_client_new(f.loop, config);
    http_client_start(client, &request);
    net_loop_run(f.loop);
    http_client_free(client);
    net_loop_free(f.loop);
    return f.code;
}
