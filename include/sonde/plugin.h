/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract between the agent and an exporter plugin.
 *
 * A plugin is a shared object that exports one function,
 * `sonde_plugin_entry`. It is given the host's services as a table and
 * returns a constant description of itself; it links no symbol of the agent
 * (-Wl,-z,defs holds), so it also runs under the fake host of
 * <sonde/testing.h>.
 *
 * Both sides say how large their structures were when they were compiled.
 * Fields are only ever appended, so an old plugin loads in a new agent and a
 * new plugin can ask with SONDE_HAS what an old agent lacks.
 *
 * LIFE OF A TARGET. Every target of a job that names the plugin gets an
 * instance:
 *
 *     open -> (collect | plan, parse...)* -> close
 *
 * - `open` gets options already checked and filled in. It should not talk to
 *   the target: a target that is down must not keep the job from starting.
 * - `collect` talks the plugin's own protocol, on a thread that may block
 *   until the deadline, and emits into the sink. Connections, prepared
 *   statements and subscriptions belong to the instance and stay open
 *   between calls.
 * - `plan` says what to GET; the host fetches (with the job's TLS, auth,
 *   limits and keep-alive) and `parse` is given each answer, on a loop
 *   thread: it must not block. A request whose body is SONDE_BODY_EXPOSITION
 *   is read by the host itself and never reaches `parse`.
 * - A request of the plan whose body is SONDE_BODY_COLLECT is no request: the
 *   host calls `collect` on a thread that may block, between the fetches, and
 *   joins what it emits. For plugins that fetch and also read files.
 * - `reload` says that the configuration was read again: secrets and
 *   certificates in files may be new ones. Called before the next collection.
 * - `close` is called exactly once for each instance whose `open` was
 *   called, also when `open` failed, and also for an instance that is only
 *   half built.
 *
 * No two calls for one instance overlap; calls for different instances do,
 * on different threads. The plugin keeps no mutable global state.
 *
 * PARTS. A plugin may name the parts of its collections (`collectors`). Each
 * part has its own success, duration and time of last success, which the host
 * exports as sonde_collector_success, sonde_collector_duration_seconds and
 * sonde_collector_last_success_timestamp_seconds, and a part that fails is
 * left out alone. A part marked SLOW has its own schedule, the job's
 * slow_interval; between its times the host emits its last values again:
 *
 *     if (host->due(sink, SIZES)) {
 *         host->begin(sink, SIZES);
 *         ... emit ...
 *         host->end(sink, rc, rc ? why : NULL, -1);
 *     }
 *
 * Slow parts belong at the end of a collection, and end before its deadline:
 * work that takes longer is done in pieces (SONDE_EAGAIN, see `end`).
 *
 * A collection that returns other than SONDE_OK makes `up` 0 and shows the
 * error's text on the targets page; whatever it had emitted is dropped. To
 * report a target that is reachable but unwell, emit a family of your own
 * (`redis_up 0`) and return SONDE_OK.
 */
#ifndef SONDE_PLUGIN_H
#define SONDE_PLUGIN_H

#include <sonde/base.h>
#include <sonde/option.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The host refuses a plugin of another major; minors only add. */
#define SONDE_ABI_MAJOR 1u
#define SONDE_ABI_MINOR 1u

enum sonde_metric_type {
    SONDE_METRIC_UNKNOWN,
    SONDE_METRIC_COUNTER,
    SONDE_METRIC_GAUGE,
    SONDE_METRIC_HISTOGRAM,
    SONDE_METRIC_SUMMARY,
    SONDE_METRIC_INFO,
    SONDE_METRIC_STATESET,
};

#define SONDE_LABELS_MAX 16

/* One row per family that the plugin can emit; values are emitted by the
 * row's index, so names, types and help stand in one place only. */
struct sonde_family {
    const char *name; /* full name, as exposed: [a-zA-Z_:][a-zA-Z0-9_:]*  */
    enum sonde_metric_type type;
    const char *unit; /* "seconds", "bytes" or NULL                       */
    const char *help;
    const char *labels[SONDE_LABELS_MAX]; /* names, in the order in which
                         values are given; ends at the first NULL; none
                         begins with "__"                                 */
};

/* Where a collection's values go; made by the host for one collection. */
struct sonde_sink;
/* The plugin's own state for one target. */
struct sonde_instance;

struct sonde_bucket {
    double upper;   /* ascending; +Inf is added from the count              */
    uint64_t count; /* cumulative                                         */
};

/* The host's byte streams: TCP or unix socket, plain or with TLS. A stream is
 * used by one thread at a time, but for `stream_shut`. */
struct sonde_stream;

/* How to make sure who the other side is, and who we are. Files are PEM, read
 * at each opening. */
struct sonde_tls {
    uint32_t struct_size;
    sonde_str ca_file;             /* empty: the system's                  */
    sonde_str cert_file, key_file; /* ours; both or neither                */
    sonde_str server_name;         /* empty: the address' host             */
    bool insecure;                 /* do not verify the other side         */
};

/* A part of a collection; see PARTS above. */
struct sonde_collector {
    const char *name; /* [a-z][a-z0-9_]*, the label `collector`           */
    uint32_t flags;   /* SONDE_COLLECTOR_...                              */
    const char *help; /* what it reads, one sentence, no final stop       */
};
enum {
    SONDE_COLLECTOR_SLOW = 1 << 0, /* at the job's slow_interval          */
};

enum sonde_log_level {
    SONDE_LOG_DEBUG,
    SONDE_LOG_INFO,
    SONDE_LOG_WARN,
    SONDE_LOG_ERROR,
};

/* What the host does for a plugin. All functions are thread-safe. `target`
 * is the handle that `open` was given (for `log` also NULL: no target yet). */
struct sonde_target;

struct sonde_host {
    uint32_t struct_size;
    uint32_t abi_major, abi_minor;
    const char *version; /* the agent's, for User-Agent and the like      */

    /* A log line with job, target and plugin attached; printf style. */
    void (*log)(const struct sonde_target *target, enum sonde_log_level level,
                const char *fmt, ...) SONDE_PRINTF(3, 4);

    /* Milliseconds since the epoch, and of a clock that never jumps. */
    sonde_msec (*now)(void);
    sonde_msec (*monotonic)(void);

    /* Emits a sample of families[family]. `labels` are the values of the
     * family's label names, as many as it declares; an empty value is an
     * absent label. The host copies. Errors (an undeclared index, bad UTF-8,
     * a duplicate, a limit) stick to the sink and fail the collection, so
     * the result need not be checked at each call. */
    sonde_code (*sample)(struct sonde_sink *sink, size_t family,
                         const sonde_str *labels, double value);
    /* A classic histogram: emits _bucket (with +Inf), _sum and _count. The
     * family declares no label "le". Bounds rise, counts do not fall and none
     * is above `count`. */
    sonde_code (*histogram)(struct sonde_sink *sink, size_t family,
                            const sonde_str *labels,
                            const struct sonde_bucket *buckets, size_t n,
                            uint64_t count, double sum);
    /* A summary's quantile rows are emitted by `sample`, with "quantile" among
     * the family's labels; this adds _sum and _count (the value given for
     * "quantile" is not looked at). */
    sonde_code (*summary)(struct sonde_sink *sink, size_t family,
                          const sonde_str *labels, uint64_t count, double sum);
    /* A sample of a family that is only known at run time, with label names
     * given beside the values. The type and help of the first call stand; the
     * name must not be one that the plugin declares. COUNTER, GAUGE and
     * UNKNOWN only (for others see dynamic_histogram). The host copies. */
    sonde_code (*dynamic)(struct sonde_sink *sink,
                          const struct sonde_family *family,
                          const sonde_str *labels, double value);

    /* Opens "host:port", "[v6]:port" or "unix:/path" before `deadline`
     * (monotonic). A write sends all of it or fails. Reads return between 1
     * and `cap` bytes, 0 at the end. After a failure other than of the
     * opening, close it: where the conversation stands is not known. */
    sonde_code (*stream_open)(const struct sonde_target *target,
                              sonde_str address, sonde_msec deadline,
                              struct sonde_stream **out, struct sonde_err *err);
    sonde_code (*stream_write)(struct sonde_stream *s, const void *data,
                               size_t len, sonde_msec deadline,
                               struct sonde_err *err);
    sonde_code (*stream_read)(struct sonde_stream *s, void *data, size_t cap,
                              size_t *got, sonde_msec deadline,
                              struct sonde_err *err);
    void (*stream_close)(struct sonde_stream *s); /* NULL is fine         */

    /* The whole of a file that an option of kind FILE names, a final newline
     * cut off. The bytes stay valid until the next call for that target. */
    sonde_code (*read_file)(const struct sonde_target *target, sonde_str path,
                            sonde_str *out, struct sonde_err *err);

    /* ---- since minor 1 --------------------------------------------------- */

    /* Whether a part is to be collected now. Always true for a part that is
     * not SLOW. False: the host emits its last values again, unless `discard`
     * is called later. */
    bool (*due)(struct sonde_sink *sink, size_t collector);
    /* What is emitted from here to `end` is of that part. A part may be begun
     * several times in a collection (once per database, say): durations add
     * up, one failure is a failure of the part. Parts do not nest. */
    void (*begin)(struct sonde_sink *sink, size_t collector);
    /* Ends the part that was begun. `seconds`: what it took, or below 0 for
     * the time since `begin`. `code`:
     * - SONDE_OK;
     * - SONDE_EAGAIN: a slow part is not through yet. What it emitted is
     *   dropped, its last values are kept, it stays due;
     * - SONDE_EUNSUPPORTED: it does not apply to this target (an old version,
     *   an extension that is not there): no failure, nothing is reported;
     * - others: it failed. What it emitted between this `begin` and `end` is
     *   dropped; a slow part's last values are kept for three slow intervals,
     *   and it is due again when it would have been anyway. `why` is logged
     *   when a part begins to fail.
     * What was emitted wrongly (a duplicate, a label that is no UTF-8) makes
     * the part fail whatever `code` says. */
    void (*end)(struct sonde_sink *sink, sonde_code code, const char *why,
                double seconds);
    /* Drops all that was emitted in this collection (of a plugin that fetches:
     * in this call), and the values that were to be emitted again: the target
     * turned out to be down. Slow parts are due at the next collection. */
    void (*discard)(struct sonde_sink *sink);

    /* `stream_open` with TLS on top; `tls` NULL: without. The name verified
     * and sent (SNI) is tls->server_name, or else the address' host. */
    sonde_code (*stream_open_tls)(const struct sonde_target *target,
                                  sonde_str address,
                                  const struct sonde_tls *tls,
                                  sonde_msec deadline,
                                  struct sonde_stream **out,
                                  struct sonde_err *err);
    /* From any thread: what waits in this stream's read or write returns at
     * once, with the end or an error, and so does every later one. The stream
     * still has to be closed. */
    void (*stream_shut)(struct sonde_stream *s);

    /* A small document that outlives the process, kept per job, target and
     * `name` ([a-z0-9_]+) in the agent's data directory: offsets in files,
     * cursors. At most 1 MiB. `state_load`: SONDE_ENOTFOUND when there is
     * none, SONDE_EUNSUPPORTED when the agent has no data directory; the
     * bytes stay valid until the next call for that target. `state_save`
     * replaces it as a whole, or leaves it as it was. */
    sonde_code (*state_load)(const struct sonde_target *target,
                             const char *name, sonde_str *out,
                             struct sonde_err *err);
    sonde_code (*state_save)(const struct sonde_target *target,
                             const char *name, const void *data, size_t len,
                             struct sonde_err *err);

    /* `histogram` and `summary` for a family that is only known at run time,
     * as `dynamic`: label names stand beside the values, the type and help of
     * the first call stand. */
    sonde_code (*dynamic_histogram)(struct sonde_sink *sink,
                                    const struct sonde_family *family,
                                    const sonde_str *labels,
                                    const struct sonde_bucket *buckets,
                                    size_t n, uint64_t count, double sum);
    sonde_code (*dynamic_summary)(struct sonde_sink *sink,
                                  const struct sonde_family *family,
                                  const sonde_str *labels, uint64_t count,
                                  double sum);
};

/* What `open` is given. All of it stays valid until after `close`. */
struct sonde_open {
    uint32_t struct_size;
    const struct sonde_target *target; /* handle for the host's services  */
    const void *options;    /* the plugin's struct, filled from its table  */
    sonde_str job;          /* job_name                                    */
    sonde_str address;      /* __address__ after relabeling; default_port
                               added when it is a bare host               */
    sonde_str scheme;       /* __scheme__: "http" or "https"               */
    sonde_str metrics_path; /* __metrics_path__                            */
    /* Since minor 1: */
    const struct sonde_tls *tls; /* the job's tls_config; never NULL       */
    /* Of the collections of this target: what `deadline` is made from. */
    sonde_msec interval, timeout, slow_interval;
};

/* What a fetch plugin asks the host to GET: up to SONDE_FETCH_MAX requests to
 * the target's address and scheme. `path` begins with '/' and has no blanks;
 * it must stay valid until the next call for the instance. */
enum sonde_body {
    SONDE_BODY_EXPOSITION, /* Prometheus text or OpenMetrics: host reads  */
    SONDE_BODY_PLUGIN,     /* handed to `parse`                           */
    SONDE_BODY_COLLECT,    /* no request: `collect` is called (minor 1)   */
};

enum {
    /* A failure of this request (connect, timeout, a status other than 2xx,
     * a body that is too long) is told to `parse` instead of failing the
     * collection; for EXPOSITION too, then without a body. */
    SONDE_FETCH_MAY_FAIL = 1 << 0,
};

#define SONDE_FETCH_MAX  8
#define SONDE_ROUNDS_MAX 8

struct sonde_request {
    sonde_str path; /* "/metrics?x=y"; empty: the job's path and params   */
    enum sonde_body body;
    uint32_t flags;
};

struct sonde_plan {
    uint32_t struct_size;
    struct sonde_request requests[SONDE_FETCH_MAX];
    size_t count;
    /* Since minor 1: rounds. With `more` the host, after the last answer of
     * these requests, asks for a plan again within the same collection, up to
     * SONDE_ROUNDS_MAX times: for more requests than fit, and for those that
     * depend on answers. `round` is the host's: 0 begins a collection. Later
     * rounds may be empty. */
    size_t round;
    bool more;
};

struct sonde_response {
    uint32_t struct_size;
    size_t request;    /* index in the plan                             */
    sonde_code code;   /* SONDE_OK: an HTTP answer came                 */
    const char *error; /* what failed, when code is not SONDE_OK        */
    int status;        /* of HTTP                                       */
    sonde_str content_type;
    sonde_str body;          /* decoded; empty for EXPOSITION                 */
    double duration_seconds; /* from sending to the last byte             */
};

/* The exporter that the plugin stands in for, if it does: its flags and
 * pages, <sonde/exporter.h>. */
struct sonde_exporter;

/* A plugin's description of itself. */
struct sonde_plugin {
    uint32_t struct_size; /* sizeof(struct sonde_plugin), as compiled     */
    uint32_t abi_major, abi_minor;
    const char *name; /* [a-z][a-z0-9_]*, what `plugin:` names        */
    const char *version;
    const char *summary; /* one line                                     */

    const struct sonde_option *options;
    size_t option_count, option_size; /* stride: the row may grow         */
    size_t options_size; /* of the struct that the rows fill             */

    const struct sonde_family *families;
    size_t family_count, family_size; /* stride                           */

    const char *default_address; /* for the sample: "127.0.0.1:6379"      */
    uint16_t default_port;       /* added to targets without one; 0: none */
    uint16_t expose_port;        /* the exporter's usual port; 0: none    */

    sonde_code (*open)(const struct sonde_host *host,
                       const struct sonde_open *open,
                       struct sonde_instance **out, struct sonde_err *err);
    void (*close)(struct sonde_instance *instance); /* NULL is fine       */

    /* Either this (or this beside the next two, for SONDE_BODY_COLLECT): */
    sonde_code (*collect)(struct sonde_instance *instance,
                          struct sonde_sink *sink, sonde_msec deadline,
                          struct sonde_err *err);
    /* or these two (parse may be NULL when all bodies are EXPOSITION): */
    sonde_code (*plan)(struct sonde_instance *instance, struct sonde_plan *plan,
                       struct sonde_err *err);
    sonde_code (*parse)(struct sonde_instance *instance,
                        const struct sonde_response *response,
                        struct sonde_sink *sink, struct sonde_err *err);

    /* Checks options beyond what the table can say; no I/O. Optional. */
    sonde_code (*check)(const void *options, struct sonde_err *err);

    /* ---- since minor 1, all optional ------------------------------------- */

    const struct sonde_collector *collectors;
    size_t collector_count, collector_size; /* stride                     */
    void (*reload)(struct sonde_instance *instance);
    const struct sonde_exporter *exporter; /* <sonde/exporter.h>          */
    /* Names the targets that this one knows of, itself included: the nodes of
     * a cluster. `emit` copies; `address` is as a target of a job would be
     * written, in UTF-8. Talks to the target, blocking, until the deadline
     * (monotonic), for a page of the exporter: on an instance of its own, which
     * is opened for this call, has no collections, and is closed after it. A
     * failure drops what was emitted. SONDE_EUNSUPPORTED: the options do not
     * ask for it, and what to set; no need to talk to the target then. */
    sonde_code (*discover)(struct sonde_instance *instance, sonde_msec deadline,
                           void (*emit)(void *arg, sonde_str address),
                           void *arg, struct sonde_err *err);
};

/* Label values in place: SONDE_LABELS(SONDE_STR("a"), value). */
#define SONDE_LABELS(...) ((const sonde_str[]){ __VA_ARGS__ })

/* True if the other side's structure, by its own size, has the field and the
 * field is not NULL. */
#define SONDE_HAS(T, p, f)                                                     \
    ((p)->struct_size >= offsetof(T, f) + sizeof((p)->f) && (p)->f)

/* The head of a description, for the first lines of the initialiser. */
#define SONDE_PLUGIN_HEAD                                                      \
    .struct_size = sizeof(struct sonde_plugin), .abi_major = SONDE_ABI_MAJOR,  \
    .abi_minor = SONDE_ABI_MINOR

#define SONDE_PLUGIN_OPTIONS(rows, T)                                          \
    .options = (rows), .option_count = sizeof(rows) / sizeof((rows)[0]),       \
    .option_size = sizeof((rows)[0]), .options_size = sizeof(T)

#define SONDE_PLUGIN_FAMILIES(rows)                                            \
    .families = (rows), .family_count = sizeof(rows) / sizeof((rows)[0]),      \
    .family_size = sizeof((rows)[0])

#define SONDE_PLUGIN_COLLECTORS(rows)                                          \
    .collectors = (rows), .collector_count = sizeof(rows) / sizeof((rows)[0]), \
    .collector_size = sizeof((rows)[0])

/* The one exported function. `host` stays valid for the process' life. */
SONDE_EXPORT const struct sonde_plugin *
sonde_plugin_entry(const struct sonde_host *host);

#ifdef __cplusplus
}
#endif

#endif
