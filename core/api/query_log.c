/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The query log (`query_log_file`): a JSON object a line for each query that
 * was run, with the keys of Prometheus'. The file is opened anew at each
 * reload, so that it can be rotated; a line is written by one call, so lines
 * of several threads do not mix. A line that can not be written is counted,
 * and the query is answered all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "api/api_int.h"
#include "promql/promql.h"
#include "util/clock.h"
#include "util/str.h"

#define TEXT_MAX_BYTES (64u << 10) /* of a query, in the log */

void api_query_log_init(struct query_log *l, struct selfmetrics *m)
{
    pthread_mutex_init(&l->mutex, NULL);
    l->fd = -1;
    l->enabled = selfmetrics_gauge(m, "prometheus_engine_query_log_enabled",
                                   "State of the query log.", NULL);
    l->failures =
        selfmetrics_counter(m, "prometheus_engine_query_log_failures_total",
                            "The number of query log failures.", NULL);
    metric_set(l->enabled, 0);
}

static void swap(struct query_log *l, int fd)
{
    int old;

    pthread_mutex_lock(&l->mutex);
    old = l->fd;
    l->fd = fd;
    pthread_mutex_unlock(&l->mutex);
    if (old >= 0)
        (void)close(old);
    metric_set(l->enabled, fd >= 0);
}

void api_query_log_fini(struct query_log *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    pthread_mutex_destroy(&l->mutex);
}

sonde_code api_set_query_log(struct api *api, const char *file,
                             struct sonde_err *err)
{
    int fd = -1;

    if (file && file[0]) {
        fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
            return sonde_err_set(err, SONDE_EIO, "open query_log_file %s: %s",
                                 file, strerror(errno));
    }
    swap(&api->query_log, fd);
    return SONDE_OK;
}

/* ---- a line -------------------------------------------------------------- */

static void put_time(struct jsonw *j, const char *key, sonde_msec t)
{
    char text[CLOCK_RFC3339_MAX];

    clock_rfc3339(t, text);
    jsonw_key(j, key);
    jsonw_cstr(j, text);
}

static void put_params(struct jsonw *j, const struct promql_query *q)
{
    jsonw_key(j, "params");
    jsonw_object(j);
    put_time(j, "end", q->end);
    jsonw_key(j, "query");
    jsonw_str(j, str_sub(q->text, 0, TEXT_MAX_BYTES));
    put_time(j, "start", q->start);
    jsonw_key(j, "step");
    jsonw_int(j, q->step / 1000);
    jsonw_object_end(j);
}

static void put_request(struct jsonw *j, struct http_call *call)
{
    jsonw_key(j, "httpRequest");
    jsonw_object(j);
    jsonw_key(j, "clientIP");
    jsonw_str(j, http_call_client(call));
    jsonw_key(j, "method");
    jsonw_cstr(j, http_call_method(call) == HTTP_POST ? "POST" : "GET");
    jsonw_key(j, "path");
    jsonw_str(j, http_call_path(call));
    jsonw_object_end(j);
}

static void put_line(struct buf *line, struct http_call *call,
                     const struct promql_query *q,
                     const struct promql_result *r, const char *error,
                     const struct api_timing *t)
{
    struct jsonw j = jsonw_to(line);

    jsonw_object(&j);
    put_time(&j, "time", clock_now(&clock_system));
    jsonw_key(&j, "level");
    jsonw_cstr(&j, "INFO");
    jsonw_key(&j, "msg");
    jsonw_cstr(&j, "promql query logged");
    put_params(&j, q);
    if (error) {
        jsonw_key(&j, "error");
        jsonw_cstr(&j, error);
    }
    api_put_stats(&j, r, t);
    put_request(&j, call);
    jsonw_object_end(&j);
    buf_char(line, '\n');
}

void api_query_log(struct api *api, struct http_call *call,
                   const struct promql_query *q, const struct promql_result *r,
                   const char *error, const struct api_timing *t)
{
    struct query_log *l = &api->query_log;
    struct buf line;
    bool written = true;

    if (metric_get(l->enabled) == 0)
        return;
    buf_init(&line);
    put_line(&line, call, q, r, error, t);
    pthread_mutex_lock(&l->mutex);
    if (l->fd >= 0)
        written = write(l->fd, line.data, line.len) == (ssize_t)line.len;
    pthread_mutex_unlock(&l->mutex);
    if (!written)
        metric_inc(l->failures);
    buf_fini(&line);
}
