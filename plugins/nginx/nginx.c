/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nginx under the names of nginx-prometheus-exporter, and more of it.
 *
 * A target is asked for one kind of status page (`mode`): stub_status, the
 * API of NGINX Plus, or the JSON of the module vts. The host fetches, with
 * the job's TLS, credentials and limits. Beside that, or alone (`mode: log`),
 * access logs on this machine are read and counted.
 *
 * Like the exporter, a server that is down is a fact to report, not a failed
 * collection: nginx_up 0 (nginxplus_up 0) and none of its other series. What
 * the log says stays. The reason is that of the part "status", which the host
 * logs.
 *
 * stub.c, vts.c and plus.c read one kind of page each; log.c and log_*.c are
 * the access log; families.c is the table of families.
 */
#include "nginx.h"

#include <stdlib.h>

/* ---- description --------------------------------------------------------- */

static const char *const modes[] = { "stub_status", "plus", "vts", "log",
                                     NULL };

static const struct sonde_option options[] = {
    SONDE_OPT_STR(struct nginx_options, mode, .fallback = "stub_status",
                  .choices = modes,
                  .help = "What the target has: stub_status, the API of NGINX "
                          "Plus, the JSON of the module vts; log asks it for "
                          "nothing and reads access_log alone"),
    SONDE_OPT_STR(struct nginx_options, path,
                  .help = "Path of the status page; empty: the job's "
                          "metrics_path, or if that is /metrics, /stub_status, "
                          "/api or /status/format/json by mode"),
    SONDE_OPT_LIST(struct nginx_options, access_log,
                   .help = "Access logs to count from, absolute paths",
                   .example = "/var/log/nginx/access.log"),
    SONDE_OPT_STR(struct nginx_options, log_format, .fallback = "combined",
                  .help = "Format of the access logs as in nginx.conf: "
                          "combined, the text of a log_format, or the whole "
                          "directive with its escape="),
    SONDE_OPT_LIST(struct nginx_options, routes,
                   .help = "Patterns that give the label route: "
                           "/api/users/:id, /static/*; the first that fits "
                           "counts, what fits none is other"),
    SONDE_OPT_STR(struct nginx_options, server_label,
                  .help = "Variable of log_format that gives the label "
                          "server: server_name, host",
                  .example = "server_name"),
    SONDE_OPT_LIST(struct nginx_options, time_buckets,
                   .help = "Upper bounds of the histograms in seconds; empty: "
                           "0.005 to 10 as usual"),
    SONDE_OPT_BOOL(struct nginx_options, from_beginning, .fallback = "false",
                   .help = "Count what an access log holds when it is seen "
                           "for the first time"),
    SONDE_OPT_SIZE(struct nginx_options, read_limit, .fallback = "64MB",
                   .min = 1 << 20, .max = INT64_C(1) << 32,
                   .help = "Most bytes of access logs read in one collection"),
    SONDE_OPT_INT(struct nginx_options, series_max, .fallback = "2000",
                  .min = 1, .max = 20000,
                  .help = "Most combinations of method, status, route and "
                          "server; more are counted as other"),
};

static const struct sonde_collector collectors[] = {
    [PART_STATUS] = { .name = "status",
                      .help = "The status page that mode names" },
    [PART_ACCESS_LOG] = { .name = "access_log",
                          .help = "The access logs that access_log names" },
};

enum mode {
    MODE_STUB,
    MODE_PLUS,
    MODE_VTS,
    MODE_LOG,
};

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_open *open;
    const struct nginx_options *options;
    enum mode mode;
    sonde_str path;
    struct plus *plus;
    struct access_log *log;
    size_t round;   /* of the plan under way                                 */
    bool warned;    /* at the last collection, for the log                   */
    double seconds; /* that the answers of this collection took              */
};

/* ---- options ------------------------------------------------------------- */

static enum mode mode_of(const struct nginx_options *o)
{
    for (size_t i = 0; modes[i]; i++)
        if (sonde_str_eq(o->mode, sonde_cstr(modes[i])))
            return (enum mode)i;
    return MODE_STUB;
}

static sonde_code check_path(sonde_str path, struct sonde_err *err)
{
    if (path.len && path.ptr[0] != '/')
        return sonde_err_set(err, SONDE_EINVAL,
                             "path: expected a path that begins with '/', got "
                             "\"%.100s\"",
                             path.ptr);
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];

        if (c <= ' ' || c == 0x7f || path.len > NGINX_PATH_MAX)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "path: expected up to %d bytes, blanks "
                                 "written as %%20",
                                 NGINX_PATH_MAX);
    }
    return SONDE_OK;
}

static sonde_code nginx_check(const void *opaque, struct sonde_err *err)
{
    const struct nginx_options *o = opaque;
    sonde_code rc = check_path(o->path, err);

    if (rc == SONDE_OK && mode_of(o) == MODE_LOG && o->access_log.count == 0)
        rc = sonde_err_set(err, SONDE_EINVAL,
                           "mode is log and there is no access_log: nothing is "
                           "left to read");
    return rc == SONDE_OK ? log_check(o, err) : rc;
}

static sonde_str default_path(enum mode mode)
{
    switch (mode) {
    case MODE_PLUS:
        return SONDE_STR("/api");
    case MODE_VTS:
        return SONDE_STR("/status/format/json");
    default:
        return SONDE_STR("/stub_status");
    }
}

/* The job's own default says nothing. */
static sonde_str find_path(const struct sonde_instance *i)
{
    sonde_str path = i->options->path;

    if (path.len == 0)
        path = i->open->metrics_path;
    if (path.len == 0 || (i->options->path.len == 0 &&
                          sonde_str_eq(path, SONDE_STR("/metrics"))))
        path = default_path(i->mode);
    while (i->mode == MODE_PLUS && path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

/* ---- life ---------------------------------------------------------------- */

static sonde_code nginx_open(const struct sonde_host *host,
                             const struct sonde_open *open,
                             struct sonde_instance **out, struct sonde_err *err)
{
    struct sonde_instance *i = calloc(1, sizeof(*i));

    if (!i)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    *out = i;
    i->host = host;
    i->open = open;
    i->options = open->options;
    i->mode = mode_of(i->options);
    i->path = find_path(i);
    if (i->mode == MODE_PLUS && !(i->plus = plus_new(i->path)))
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    return i->options->access_log.count ? log_new(host, open, &i->log, err)
                                        : SONDE_OK;
}

static void nginx_close(struct sonde_instance *i)
{
    if (!i)
        return;
    plus_free(i->plus);
    log_free(i->log);
    free(i);
}

/* ---- collections --------------------------------------------------------- */

static void ask(struct sonde_plan *plan, enum sonde_body body, sonde_str path)
{
    plan->requests[plan->count++] = (struct sonde_request){
        .path = path, .body = body, .flags = SONDE_FETCH_MAY_FAIL
    };
}

/* The log comes first, so that a server that hangs does not hold it up. */
static sonde_code nginx_plan(struct sonde_instance *i, struct sonde_plan *plan,
                             struct sonde_err *err)
{
    i->round = plan->round;
    if (plan->round == 0)
        i->seconds = 0;
    if (plan->round == 0 && i->log)
        ask(plan, SONDE_BODY_COLLECT, (sonde_str){ 0 });
    if (i->mode == MODE_PLUS)
        return plus_plan(i->plus, i->host->monotonic(), plan, err);
    if (i->mode != MODE_LOG)
        ask(plan, SONDE_BODY_PLUGIN, i->path);
    return SONDE_OK;
}

static sonde_code check_response(const struct sonde_instance *i,
                                 const struct sonde_response *r,
                                 struct sonde_err *err)
{
    if (r->code != SONDE_OK)
        return sonde_err_set(err, r->code, "%s",
                             r->error ? r->error : sonde_code_text(r->code));
    if (r->status != 200)
        return sonde_err_set(
            err,
            r->status == 401 || r->status == 403 ? SONDE_EAUTH : SONDE_EPROTO,
            "GET %.*s: HTTP status %d", SONDE_ARG(i->path), r->status);
    return SONDE_OK;
}

static sonde_code read_stub(const struct sonde_instance *i,
                            const struct sonde_response *r,
                            struct nginx_emit *e, struct sonde_err *err)
{
    struct stub_status s;
    sonde_code rc = stub_parse(r->body, &s, err);

    if (rc == SONDE_OK)
        stub_emit(e, &s);
    else
        (void)sonde_err_prefix(err, "GET %.*s", SONDE_ARG(i->path));
    return rc;
}

static sonde_code read_vts(const struct sonde_instance *i,
                           const struct sonde_response *r, struct nginx_emit *e,
                           struct sonde_err *err)
{
    json_t *doc = json_document(r->body, err);
    sonde_code rc = doc ? vts_emit(e, doc, err) : SONDE_EPARSE;

    json_decref(doc);
    if (rc != SONDE_OK)
        (void)sonde_err_prefix(err, "GET %.*s", SONDE_ARG(i->path));
    return rc;
}

static void tell_warning(struct sonde_instance *i, const char *warning)
{
    if (warning && !i->warned)
        i->host->log(i->open->target, SONDE_LOG_WARN, "%s", warning);
    i->warned = warning != NULL;
}

/* The end of the status part: `up`, and what the exporter says of itself. */
static void finish_status(struct sonde_instance *i, struct nginx_emit *e,
                          sonde_code rc, const struct sonde_err *err)
{
    sonde_str version = sonde_cstr(i->host->version);

    /* Of a part these two are no failures, here they are. */
    if (rc == SONDE_EUNSUPPORTED || rc == SONDE_EAGAIN)
        rc = SONDE_EIO;
    emit_end(e, rc, rc == SONDE_OK ? NULL : err->text, i->seconds);
    emit_sample(e, i->mode == MODE_PLUS ? F_PLUS_UP : F_UP, NULL,
                rc == SONDE_OK ? 1 : 0);
    emit_sample(e, F_BUILD_INFO, &version, 1);
    if (e->dropped && rc == SONDE_OK)
        (void)i->host->sample(e->sink, F_DROPPED, NULL, (double)e->dropped);
}

static sonde_code nginx_parse(struct sonde_instance *i,
                              const struct sonde_response *r,
                              struct sonde_sink *sink, struct sonde_err *unused)
{
    struct nginx_emit e = { .host = i->host, .sink = sink };
    struct sonde_err err = { 0 };
    sonde_code rc;

    (void)unused; /* what is wrong with the server is told as nginx_up 0 */
    if (i->log && i->round == 0 && r->request == 0)
        return SONDE_OK; /* the log was not read: no time was left for it */
    i->seconds += r->duration_seconds;
    if (i->mode == MODE_PLUS) {
        rc = plus_take(i->plus, r, &err);
        if (rc == SONDE_EAGAIN)
            return SONDE_OK;
    } else {
        rc = check_response(i, r, &err);
    }
    emit_begin(&e, PART_STATUS);
    if (rc == SONDE_OK && i->mode == MODE_PLUS) {
        tell_warning(i, plus_warning(i->plus));
        plus_emit(i->plus, &e);
    } else if (rc == SONDE_OK && i->mode == MODE_VTS) {
        rc = read_vts(i, r, &e, &err);
    } else if (rc == SONDE_OK) {
        rc = read_stub(i, r, &e, &err);
    }
    finish_status(i, &e, rc, &err);
    return SONDE_OK;
}

static sonde_code nginx_collect(struct sonde_instance *i,
                                struct sonde_sink *sink, sonde_msec deadline,
                                struct sonde_err *err)
{
    struct nginx_emit e = { .host = i->host, .sink = sink };

    (void)err; /* files that can not be read are told by their own series */
    if (i->log)
        log_collect(i->log, &e, deadline);
    return SONDE_OK;
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "nginx",
        .version = "0.1.0",
        .summary = "nginx: stub_status, NGINX Plus, vts and access logs, with "
                   "nginx-prometheus-exporter's metrics",
        SONDE_PLUGIN_OPTIONS(options, struct nginx_options),
        SONDE_PLUGIN_FAMILIES(nginx_families),
        .default_address = "127.0.0.1:8080",
        .expose_port = 9113,
        .open = nginx_open,
        .close = nginx_close,
        .collect = nginx_collect,
        .plan = nginx_plan,
        .parse = nginx_parse,
        .check = nginx_check,
        SONDE_PLUGIN_COLLECTORS(collectors),
        .exporter = &nginx_exporter,
    };

    (void)host;
    return &plugin;
}
