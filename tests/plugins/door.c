/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin that stands in for an exporter, for the tests of its door. It
 * connects to its target, sends its password and a line, and tells what it
 * was given; how long it takes and whether it fails is said by options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sonde/exporter.h>
#include <sonde/plugin.h>

struct options {
    sonde_str mode, password, auth_module, text, tls_name;
    struct sonde_list keys, nodes;
    bool extra;
    int64_t number;
    sonde_msec wait;
};

static const char *const modes[] = { "plain", "fail", "ignore", NULL };

static const struct sonde_option options[] = {
    SONDE_OPT_STR(struct options, mode, .fallback = "plain", .choices = modes,
                  .help = "What a collection does"),
    SONDE_OPT_SECRET(struct options, password, .help = "Sent to the target"),
    SONDE_OPT_STR(struct options, auth_module, .help = "none or known"),
    SONDE_OPT_STR(struct options, text, .help = "A text"),
    SONDE_OPT_STR(struct options, tls_name, .help = "A name"),
    SONDE_OPT_LIST(struct options, keys, .help = "A list"),
    SONDE_OPT_LIST(struct options, nodes,
                   .help = "What it discovers; `long` and `many` are too much"),
    SONDE_OPT_BOOL(struct options, extra, .fallback = "true",
                   .help = "More families"),
    SONDE_OPT_INT(struct options, number, .fallback = "7", .help = "A number"),
    SONDE_OPT_DURATION(struct options, wait, .help = "How long it takes"),
};

enum family {
    F_UP,
    F_COLLECTIONS,
    F_ADDRESS,
    F_KEY,
    F_NUMBER,
    F_DEADLINE,
    F_EXTRA,
};

static const struct sonde_family families[] = {
    [F_UP] = { .name = "door_up",
               .type = SONDE_METRIC_GAUGE,
               .help = "Whether the target was reached" },
    [F_COLLECTIONS] = { .name = "door_collections_total",
                        .type = SONDE_METRIC_COUNTER,
                        .help = "Collections on this connection" },
    [F_ADDRESS] = { .name = "door_address_info",
                    .type = SONDE_METRIC_GAUGE,
                    .help = "What was dialled",
                    .labels = { "address", "auth_module", "text" } },
    [F_KEY] = { .name = "door_key",
                .type = SONDE_METRIC_GAUGE,
                .help = "Keys in their order",
                .labels = { "key" } },
    [F_NUMBER] = { .name = "door_number",
                   .type = SONDE_METRIC_GAUGE,
                   .help = "The option" },
    [F_DEADLINE] = { .name = "door_deadline_seconds",
                     .type = SONDE_METRIC_GAUGE,
                     .unit = "seconds",
                     .help = "From the start of the collection" },
    [F_EXTRA] = { .name = "extra_family",
                  .type = SONDE_METRIC_GAUGE,
                  .help = "Of another prefix" },
};

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_open *open;
    const struct options *o;
    struct sonde_stream *stream;
    uint64_t collections;
};

static sonde_code door_open(const struct sonde_host *host,
                            const struct sonde_open *open,
                            struct sonde_instance **out, struct sonde_err *err)
{
    const struct options *o = open->options;
    struct sonde_instance *i;

    if (o->auth_module.len &&
        !(o->auth_module.len == 5 && !memcmp(o->auth_module.ptr, "known", 5)))
        return sonde_err_set(err, SONDE_EINVAL, "unknown auth_module %.*s",
                             SONDE_ARG(o->auth_module));
    i = calloc(1, sizeof(*i));
    if (!i)
        return SONDE_ENOMEM;
    *i = (struct sonde_instance){ .host = host, .open = open, .o = o };
    *out = i;
    return SONDE_OK;
}

static void door_close(struct sonde_instance *i)
{
    if (!i)
        return;
    if (i->stream)
        i->host->stream_close(i->stream);
    free(i);
}

static sonde_str plain_address(sonde_str a)
{
    static const char scheme[] = "door://";
    size_t n = sizeof(scheme) - 1;

    if (a.len > n && memcmp(a.ptr, scheme, n) == 0)
        a = (sonde_str){ a.ptr + n, a.len - n };
    for (size_t i = 0; i < a.len; i++)
        if (a.ptr[i] == '@')
            return (sonde_str){ a.ptr + i + 1, a.len - i - 1 };
    for (size_t i = 0; i < a.len; i++)
        if (a.ptr[i] == '/' && i && a.ptr[0] != '/' && a.ptr[i - 1] != ':')
            a.len = i;
    return a;
}

/* One line there, one back. */
static sonde_code talk(struct sonde_instance *i, sonde_msec deadline,
                       struct sonde_err *err)
{
    char line[256];
    int n =
        snprintf(line, sizeof(line), "hello %.*s\n", SONDE_ARG(i->o->password));
    sonde_code rc = SONDE_OK;
    size_t got;

    if (!i->stream)
        rc = i->host->stream_open(i->open->target,
                                  plain_address(i->open->address), deadline,
                                  &i->stream, err);
    if (rc == SONDE_OK)
        rc = i->host->stream_write(i->stream, line, (size_t)n, deadline, err);
    if (rc == SONDE_OK)
        rc = i->host->stream_read(i->stream, line, sizeof(line), &got, deadline,
                                  err);
    if (rc == SONDE_OK && got == 0)
        rc = sonde_err_set(err, SONDE_ECONNECT, "the target hung up");
    if (rc != SONDE_OK && i->stream) {
        i->host->stream_close(i->stream);
        i->stream = NULL;
    }
    return rc;
}

static void take_time(const struct sonde_instance *i, sonde_msec deadline)
{
    const struct timespec step = { 0, 5000000 };
    sonde_msec end = i->host->monotonic() + i->o->wait;
    bool ignore = i->o->mode.ptr[0] == 'i';

    while (i->host->monotonic() < end &&
           (ignore || i->host->monotonic() < deadline))
        (void)nanosleep(&step, NULL);
}

static sonde_code door_collect(struct sonde_instance *i,
                               struct sonde_sink *sink, sonde_msec deadline,
                               struct sonde_err *err)
{
    const struct sonde_host *h = i->host;
    double left = (double)(deadline - h->monotonic()) / 1000;
    struct sonde_err why = { 0 };
    bool up = talk(i, deadline, &why) == SONDE_OK;

    take_time(i, deadline);
    if (i->o->mode.ptr[0] == 'f')
        return sonde_err_set(err, SONDE_EPROTO, "the test wants a failure");
    (void)h->sample(sink, F_UP, NULL, up);
    (void)h->sample(sink, F_COLLECTIONS, NULL, (double)++i->collections);
    (void)h->sample(
        sink, F_ADDRESS,
        SONDE_LABELS(i->open->address, i->o->auth_module, i->o->text), 1);
    for (size_t k = 0; k < i->o->keys.count; k++)
        (void)h->sample(sink, F_KEY, &i->o->keys.items[k], (double)k);
    (void)h->sample(sink, F_NUMBER, NULL, (double)i->o->number);
    (void)h->sample(sink, F_DEADLINE, NULL, left);
    if (i->o->extra)
        (void)h->sample(sink, F_EXTRA, NULL, 1);
    return SONDE_OK;
}

static void emit_node(sonde_str node,
                      void (*emit)(void *arg, sonde_str address), void *arg)
{
    char text[1024];

    memset(text, 'x', sizeof(text));
    if (node.len != 4 || !strchr("lm", node.ptr[0]))
        emit(arg, node);
    else if (node.ptr[0] == 'l')
        emit(arg, (sonde_str){ text, sizeof(text) });
    for (int i = 0; node.len == 4 && node.ptr[0] == 'm' && i < 5000; i++)
        emit(arg, (sonde_str){ text, (size_t)snprintf(text, sizeof(text),
                                                      "door://many:%d", i) });
}

static sonde_code door_discover(struct sonde_instance *i, sonde_msec deadline,
                                void (*emit)(void *arg, sonde_str address),
                                void *arg, struct sonde_err *err)
{
    sonde_code rc;

    if (i->o->nodes.count == 0)
        return sonde_err_set(err, SONDE_EUNSUPPORTED, "no nodes are set");
    emit(arg, i->open->address);
    rc = talk(i, deadline, err);
    for (size_t k = 0; rc == SONDE_OK && k < i->o->nodes.count; k++)
        emit_node(i->o->nodes.items[k], emit, arg);
    return rc;
}

/* ---- the exporter it stands in for ------------------------------------------
 */

#define FLAG(n, k, r, ...)                                                     \
    {                                                                          \
        .name = (n), .kind = SONDE_OPT_KIND_##k, .role = SONDE_FLAG_##r,       \
        __VA_ARGS__                                                            \
    }

static const struct sonde_flag flags[] = {
    FLAG("door.addr", STR, ADDRESS, .env = "DOOR_ADDR",
         .flags = SONDE_FLAG_REPEATED | SONDE_FLAG_COMMAS,
         .fallback = "door://localhost:7777", .help = "Address of the door"),
    FLAG("door.password", SECRET, OPTION, .to = "password",
         .env = "DOOR_PASSWORD", .help = "Its password"),
    FLAG("door.host", STR, VALUE, .env = "DOOR_HOST",
         .help = "Host, if there is no address"),
    FLAG("mode", STR, OPTION, .help = "What it does"),
    FLAG("check-keys", LIST, OPTION, .to = "keys", .letter = 'Q',
         .flags = SONDE_FLAG_REPEATED | SONDE_FLAG_COMMAS,
         .env = "DOOR_CHECK_KEYS", .help = "Keys to look at"),
    FLAG("nodes", LIST, OPTION, .flags = SONDE_FLAG_COMMAS,
         .help = "What it discovers"),
    FLAG("skip-extra", BOOL, OPTION, .to = "extra",
         .flags = SONDE_FLAG_INVERTED, .env = "DOOR_SKIP_EXTRA",
         .help = "Fewer families"),
    FLAG("number", INT, OPTION, .env = "DOOR_NUMBER", .fallback = "9",
         .help = "A number"),
    FLAG("old-number", INT, OPTION, .to = "number", .flags = SONDE_FLAG_HIDDEN,
         .help = "The old spelling"),
    FLAG("door.wait", DURATION, OPTION, .to = "wait",
         .help = "How long a collection takes"),
    FLAG("text", STR, OPTION, .help = "A text"),
    FLAG("connection-timeout", DURATION, TIMEOUT, .fallback = "15s",
         .help = "Of a collection"),
    FLAG("web.listen-address", STR, LISTEN, .flags = SONDE_FLAG_REPEATED,
         .env = "DOOR_LISTEN", .fallback = ":9977", .help = "The pages'"),
    FLAG("web.telemetry-path", STR, METRICS_PATH, .env = "DOOR_PATH",
         .fallback = "/metrics", .help = "Path of the metrics"),
    FLAG("namespace", STR, PREFIX, .fallback = "door",
         .help = "In front of families"),
    FLAG("const-label", STR, LABEL, .flags = SONDE_FLAG_REPEATED,
         .help = "On all series"),
    FLAG("disable-scrape-endpoint", BOOL, NO_TARGETS, .help = "No /scrape"),
    FLAG("only-door-metrics", BOOL, NO_SELF, .help = "No process_*"),
    FLAG("basic-auth-username", STR, USER, .help = "User of the pages"),
    FLAG("basic-auth-password", SECRET, PASSWORD, .help = "Their password"),
    FLAG("basic-auth-hash-password", SECRET, PASSWORD_HASH,
         .help = "Or its hash"),
    FLAG("tls-server-cert-file", FILE, SERVER_CERT, .help = "TLS of the pages"),
    FLAG("tls-server-key-file", FILE, SERVER_KEY, .help = "Its key"),
    FLAG("debug", BOOL, DEBUG, .help = "Logs more"),
    FLAG("log-level", STR, LOG_LEVEL, .fallback = "INFO", .help = "Of the log"),
    FLAG("log-format", STR, LOG_FORMAT, .fallback = "txt",
         .help = "txt or json"),
    FLAG("gone", BOOL, UNUSED, .help = "Was something once"),
};

static const char *const params[] = { "check-keys", "keys", "auth_module",
                                      "text", NULL };

static sonde_code targets(const struct sonde_flag_values *values,
                          struct sonde_err *err)
{
    sonde_str host, file, text;

    if (values->env(values, "DOOR_TEXT_FILE", &file)) {
        if (!values->file(values, file, &text, err))
            return err->code;
        values->option(values, "text", text);
    }
    if (values->get(values, "door.host", 0, &host))
        values->target(values, host);
    return SONDE_OK;
}

static const struct sonde_exporter exporter = {
    .struct_size = sizeof(exporter),
    .name = "door_exporter",
    .prefix = "door_",
    SONDE_EXPORTER_FLAGS(flags),
    .target_path = "/scrape",
    .target_params = params,
    .scheme = "door://",
    .target_label = "addr",
    .targets = targets,
    .target_errors = "door_target_scrape_request_errors_total",
    .target_errors_help = "Errors in requests to the exporter",
    .discover_path = "/discover",
};

SONDE_EXPORT const struct sonde_plugin *
sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "door",
        .version = "1.0",
        .summary = "A plugin for tests",
        SONDE_PLUGIN_OPTIONS(options, struct options),
        SONDE_PLUGIN_FAMILIES(families),
        .default_address = "127.0.0.1:7777",
        .default_port = 7777,
        .expose_port = 9977,
        .open = door_open,
        .close = door_close,
        .collect = door_collect,
        .exporter = &exporter,
        .discover = door_discover,
    };

    (void)host;
    return &plugin;
}
