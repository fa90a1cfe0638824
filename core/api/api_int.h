/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers share: the answer's envelope, parameters, the context. */
#ifndef API_API_INT_H
#define API_API_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "api/json.h"
#include "promql/ast.h"
#include "storage/matcher.h"
#include "util/regex.h"

/* At most so many queries run; a few more may wait. */
struct query_gate {
    pthread_mutex_t mutex; /* guards what is below */
    pthread_cond_t freed;
    int64_t running, waiting, limit;
};

struct api_endpoint;
struct api_slot { /* a route's argument */
    struct api *api;
    const struct api_endpoint *endpoint;
};

struct promql_result;
struct api_metrics;

struct query_log {
    struct metric *enabled, *failures;
    pthread_mutex_t mutex; /* guards what is below                         */
    int fd;                /* -1: none                                     */
};

struct api {
    struct api_options options;
    struct parallel *pool; /* of the query engine                         */
    _Atomic(struct storage *) storage;
    struct regex *cors; /* NULL: every origin */
    struct query_gate gate;
    struct http_route *routes;
    struct api_slot *slots;
    size_t route_count;
    struct api_metrics *metrics;
    struct metric *queries_running, *queries_rejected;
    struct query_log query_log;
    _Atomic uint64_t reads;
};

/* ---- endpoints --------------------------------------------------------- */

enum {
    ENDPOINT_API = 1 << 0,   /* JSON: CORS headers, OPTIONS, compression    */
    ENDPOINT_EARLY = 1 << 1, /* before readiness                            */
    ENDPOINT_QUICK = 1 << 2, /* on the listener's thread                    */
    ENDPOINT_STORE = 1 << 3, /* needs the store: not in agent mode          */
    ENDPOINT_FORM = 1 << 4,  /* takes a form                                */
    ENDPOINT_GZIP = 1 << 5,
};

typedef void api_fn(struct api *api, struct http_call *call);
struct api_endpoint {
    const char *path;
    uint32_t methods; /* without OPTIONS */
    uint32_t flags;
    api_fn *run;
};

api_fn api_handle_healthy, api_handle_ready, api_handle_reload,
    api_handle_quit;                                     /* lifecycle.c */
api_fn api_handle_metrics;                               /* selfpage.c */
api_fn api_handle_landing;                               /* landing.c */
api_fn api_handle_targets, api_handle_scrape_pools;      /* targets.c */
api_fn api_handle_metadata, api_handle_targets_metadata; /* metadata.c */
api_fn api_handle_config, api_handle_flags, api_handle_runtimeinfo,
    api_handle_buildinfo, api_handle_tsdb, api_handle_walreplay,
    api_handle_version; /* status.c */
api_fn api_handle_query, api_handle_query_range,
    api_handle_format_query;       /* query.c */
api_fn api_handle_query_exemplars; /* exemplars.c */
api_fn api_handle_parse_query;     /* parse_query.c */
api_fn api_handle_blocks;          /* blocks.c */
api_fn api_handle_rules, api_handle_alerts,
    api_handle_alertmanagers;    /* rules.c */
api_fn api_handle_features;      /* features.c */
api_fn api_handle_relabel_steps; /* relabel_steps.c */
api_fn api_handle_federate;      /* federate.c */
api_fn api_handle_series, api_handle_labels,
    api_handle_label_values; /* labels.c */
api_fn api_handle_snapshot, api_handle_delete_series,
    api_handle_clean_tombstones; /* admin.c */

void api_gate_init(struct query_gate *g, int64_t limit);
void api_gate_fini(struct query_gate *g);

/* ---- metrics.c ---------------------------------------------------------- */

/* Where the time of a query went, s. */
struct api_timing {
    double queue, prepare, eval, sort;
    double total; /* with the queue */
};
enum api_slice {
    API_SLICE_QUEUE,
    API_SLICE_PREPARE,
    API_SLICE_EVAL,
    API_SLICE_SORT,
    API_SLICES
};
struct api_metrics *api_metrics_new(size_t handlers);
void api_metrics_free(struct api_metrics *m);
void api_metrics_request(struct api_metrics *m, size_t handler, double seconds,
                         uint64_t bytes);
void api_metrics_query(struct api_metrics *m, const struct api_timing *t,
                       uint64_t samples);
selfmetrics_fn api_metrics_write; /* the argument is the api */

/* The process_* families; registered by api_new. */

/* ---- query_log.c --------------------------------------------------------- */

void api_query_log_init(struct query_log *l, struct selfmetrics *m);
void api_query_log_fini(struct query_log *l);
struct promql_query;
struct promql_result;
/* `r` is NULL and `error` says why, if the query failed. */
void api_query_log(struct api *api, struct http_call *call,
                   const struct promql_query *q, const struct promql_result *r,
                   const char *error, const struct api_timing *t);
/* "stats":{...}; without a result of zeros. */
void api_put_stats(struct jsonw *j, const struct promql_result *r,
                   const struct api_timing *t);

/* ---- envelope.c -------------------------------------------------------- */

enum api_error {
    API_BAD_DATA,
    API_EXECUTION,
    API_CANCELED,
    API_TIMEOUT,
    API_INTERNAL,
    API_UNAVAILABLE,
    API_NOT_READY /* unavailable, with 503 */
};
/* {"status":"error",...}; the text in full. */
SONDE_PRINTF(3, 4)
void api_error(struct http_call *call, enum api_error type, const char *fmt,
               ...);
/* By the code of what failed. */
void api_fail(struct http_call *call, const struct sonde_err *err);
void api_not_found(struct http_call *call);

/* A successful answer: begin, write one value to `json`, send. Whoever writes
 * much calls api_answer_flush now and then. */
struct api_answer {
    struct http_stream stream;
    struct jsonw json;
    const char *warning; /* ours; NULL: none                        */
    struct sonde_list warnings, infos; /* more of them                     */
};
struct jsonw *api_answer_begin(struct api_answer *a, struct http_call *call);
void api_answer_send(struct api_answer *a);
/* False: nobody reads it. */
static inline bool api_answer_flush(struct api_answer *a)
{
    return http_stream_flush(&a->stream);
}
/* result.c: at most `limit` series (0: all); with statistics if `timing` is
 * not NULL. */
void api_reply_result(struct http_call *call, const struct promql_result *r,
                      size_t limit, const struct api_timing *timing);
/* "vector", as results and syntax trees name it. */
const char *api_type_name(enum promql_type t);
/* The expression in parameter `query`; false: it was replied to. */
bool api_parse_query(struct api *api, struct http_call *call,
                     struct promql_expr **out);
#define API_TRUNCATED "results truncated due to limit"

#define API_SHOWN_MAX 200 /* of a bad value, in an error */
/* Parameters; the bool ones answer 400 themselves and return false. Absent
 * and empty ones leave `*out` alone. */
sonde_str api_param(const struct http_call *call, const char *name);
bool api_time_param(struct http_call *call, const char *name, sonde_msec *out);
bool api_duration_param(struct http_call *call, const char *name,
                        sonde_msec *out);
/* May be negative. */
bool api_signed_duration_param(struct http_call *call, const char *name,
                               sonde_msec *out);
/* Not negative; 0: none. */
bool api_limit_param(struct http_call *call, size_t *out);
/* As Go's strconv.ParseBool. */
bool api_bool_parse(sonde_str s, bool *out);
/* A Go integer; the API's texts for what is not one differ. */
bool api_int_parse(sonde_str s, int64_t *out);

/* ---- selectors.c: match[], start, end, limit ----------------------------- */

struct api_selector {
    struct matcher *items;
    size_t count;
};
struct api_selectors {
    struct api_selector *selectors; /* their union is meant                */
    size_t count;
    sonde_msec start, end;
    size_t limit; /* 0: none                                               */
};
/* `prefix` is what Prometheus puts before a selector's error on some
 * endpoints. False: it was replied to, and nothing has to be released. */
bool api_selectors_get(struct http_call *call, struct api_selectors *out,
                       const char *prefix);
/* The same of match[] alone. */
bool api_selectors_match(struct http_call *call, struct api_selectors *out,
                         const char *prefix);
void api_selectors_fini(struct api_selectors *p);
struct select_hints api_selectors_hints(const struct api_selectors *p);
/* For endpoints that need match[] and look at the form: replies if there is
 * none or pairs of the form were broken. */
bool api_selectors_given(struct http_call *call);

/* Of promql_parse_selector. */
void api_matchers_fini(struct matcher *ms, size_t n);

/* The store, or NULL after an answer that says why there is none. */
struct storage *api_store(struct api *api, struct http_call *call);

#endif
