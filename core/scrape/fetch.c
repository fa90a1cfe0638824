/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collections of fetch plugins: the requests of a plan go out one after the
 * other on the target's kept-alive connection, and their bodies are read as
 * they arrive, as an exposition or for the plugin to parse. A step of a plan
 * that is `collect` runs on the collectors' pool and comes back here. A plan
 * may have rounds: what the answers taught the plugin is in the next one.
 *
 * All of it is on the loop's thread. Why a request failed is in c->err; a
 * request that may fail leaves the judgement to the plugin.
 */
#include "scrape/collection.h"
#include "scrape/collectors.h"
#include "scrape/loop_int.h"

static void next_request(struct collection *c);
static void start_round(struct collection *c);

static const struct sonde_request *request_of(const struct collection *c)
{
    return &c->plan.requests[c->request];
}

static bool may_fail(const struct collection *c)
{
    return request_of(c)->flags & SONDE_FETCH_MAY_FAIL;
}

/* ---- an answer comes ----------------------------------------------------- */

static bool on_begin(void *arg, int status, sonde_str content_type)
{
    struct collection *c = arg;
    const struct scrape_config *config = c->target->job->config;
    enum expo_format format = EXPO_TEXT;

    c->status = status;
    buf_reset(&c->body);
    if (request_of(c)->body == SONDE_BODY_PLUGIN)
        return true;
    if (status != 200)
        return true; /* judged when the answer is over */
    if (expo_format_of(content_type, config->fallback_scrape_protocol, &format,
                       &c->err) != SONDE_OK)
        return false;
    collection_body_begin(c, format);
    return true;
}

static bool on_data(void *arg, sonde_str piece)
{
    struct collection *c = arg;

    if (request_of(c)->body == SONDE_BODY_EXPOSITION)
        return c->status != 200 || collection_body(c, piece);
    c->body.limit = COLLECTION_PLUGIN_BODY_MAX;
    buf_put(&c->body, piece);
    return !buf_failed(&c->body);
}

static void take_exposition(struct collection *c, const struct http_result *r)
{
    bool ours = c->err.code != SONDE_OK; /* the scanner or the type refused */

    if (!ours && r->code != SONDE_OK) {
        c->over_body_limit = r->code == SONDE_ELIMIT;
        (void)sonde_err_set(&c->err, r->code, "%s", r->error);
    } else if (!ours && r->status != 200) {
        (void)sonde_err_set(&c->err, SONDE_EPROTO,
                            "server returned HTTP status %d", r->status);
    }
    (void)collection_body_end(c);
    if (c->err.code != SONDE_OK && may_fail(c)) {
        c->err.code = SONDE_OK;
        collection_forget_part(c);
    }
}

static void give_to_plugin(struct collection *c, const struct http_result *r)
{
    struct sonde_response response = {
        .struct_size = sizeof(response),
        .request = c->request,
        .code = r->code,
        .error = r->error,
        .status = r->status,
        .content_type = r->content_type,
        .body = request_of(c)->body == SONDE_BODY_PLUGIN ? buf_str(&c->body)
                                                         : (sonde_str){ 0 },
        .duration_seconds = r->seconds,
    };

    if (r->code != SONDE_OK && !may_fail(c)) {
        (void)sonde_err_set(&c->err, r->code, "%s", r->error);
        return;
    }
    buf_reset(&c->text);
    if (plugin_parse(c->target->instance, &response, &c->text, &c->err) ==
        SONDE_OK) {
        c->err.code = SONDE_OK;
        (void)collection_text(c, buf_str(&c->text));
    }
}

/* All answers are in: what the plugin's parts have to say comes last. */
static void complete(struct collection *c)
{
    buf_reset(&c->text);
    if (c->err.code == SONDE_OK &&
        plugin_planned(c->target->instance, &c->text, &c->err) == SONDE_OK) {
        c->err.code = SONDE_OK;
        (void)collection_text(c, buf_str(&c->text));
    }
    scrape_loop_finish(c);
}

static void advance(struct collection *c)
{
    c->request++;
    if (c->err.code == SONDE_OK && c->request < c->plan.count) {
        next_request(c);
    } else if (c->err.code == SONDE_OK && c->plan.more) {
        c->plan.round++;
        start_round(c);
    } else {
        complete(c);
    }
}

static void on_done(void *arg, const struct http_result *r)
{
    struct collection *c = arg;
    bool exposition = request_of(c)->body == SONDE_BODY_EXPOSITION;

    if (atomic_load(&c->target->loop->stopping)) {
        scrape_loop_drop(c);
        return;
    }
    if (exposition)
        take_exposition(c, r);
    if (c->err.code == SONDE_OK && (!exposition || may_fail(c)))
        give_to_plugin(c, r);
    advance(c);
}

/* ---- a request goes out -------------------------------------------------- */

static uint64_t body_limit(const struct scrape_config *config)
{
    return config->body_size_limit > 0 ? (uint64_t)config->body_size_limit
                                       : COLLECTION_BODY_MAX;
}

static void start_request(struct collection *c, sonde_str url,
                          sonde_str unix_socket, sonde_msec left_ms)
{
    struct target *t = c->target;
    const struct job *job = t->job;
    char timeout[32];
    int n = snprintf(timeout, sizeof(timeout), "%g", (double)t->timeout / 1000);
    const struct http_header headers[] = {
        { "Accept", request_of(c)->body == SONDE_BODY_EXPOSITION
                        ? job->accept
                        : SONDE_STR("*/*") },
        { "User-Agent", job->agent },
        { "X-Prometheus-Scrape-Timeout-Seconds", { timeout, (size_t)n } },
    };
    const struct http_request request = {
        .url = url,
        .unix_socket = unix_socket,
        .headers = headers,
        .header_count = sizeof(headers) / sizeof(headers[0]),
        .timeout_ms = left_ms,
        .body_limit_bytes = body_limit(job->config),
        .accept_gzip = job->config->enable_compression,
        .begin = on_begin,
        .data = on_data,
        .error_body = request_of(c)->body == SONDE_BODY_PLUGIN,
        .done = on_done,
        .arg = c,
    };

    c->part_open = false;
    if (!t->client)
        t->client = http_client_new(t->loop->net, &job->config->http);
    http_client_start(t->client, &request);
}

static void next_request(struct collection *c)
{
    struct target *t = c->target;
    const struct sonde_request *r = request_of(c);
    sonde_msec left = c->deadline - clock_monotonic(t->loop->clock);
    sonde_str unix_socket;
    struct buf url;

    if (r->body == SONDE_BODY_COLLECT) {
        collectors_submit(t->loop->collectors, c);
        return;
    }
    buf_init(&url);
    target_request_url(&url, &unix_socket, t->scheme, t->address,
                       r->path.len ? r->path : t->request_path);
    start_request(c, buf_str(&url), unix_socket, left > 1 ? left : 1);
    buf_fini(&url);
}

/* ---- a plan begins ------------------------------------------------------- */

/* A plan of up to SONDE_FETCH_MAX requests; plugin_plan has checked it. */
static void start_round(struct collection *c)
{
    if (plugin_plan(c->target->instance, &c->plan, &c->err) != SONDE_OK) {
        scrape_loop_finish(c);
        return;
    }
    c->err.code = SONDE_OK;
    c->request = 0;
    if (c->plan.count)
        next_request(c);
    else
        complete(c);
}

void fetch_start(struct collection *c)
{
    if (c->reload)
        plugin_reload(c->target->instance);
    c->reload = false;
    c->target->reloads = c->reloads;
    start_round(c);
}

/* ---- a step that was `collect` ------------------------------------------- */

void fetch_collected(struct collection *c)
{
    const struct sonde_err why = c->err;
    const struct http_result failed = { .code = why.code, .error = why.text };

    if (why.code == SONDE_OK) {
        (void)collection_text(c, buf_str(&c->text));
    } else if (may_fail(c)) {
        c->err.code = SONDE_OK;
        give_to_plugin(c, &failed);
    }
    if ((c->request + 1 < c->plan.count || c->plan.more) &&
        atomic_load(&c->target->loop->stopping))
        scrape_loop_drop(c);
    else
        advance(c);
}
