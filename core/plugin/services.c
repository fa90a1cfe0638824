/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host does for plugins: the table that sonde_plugin_entry is given.
 *
 * One constant table serves all plugins for the life of the process. What
 * belongs to a target (the labels of its log lines, the bytes of the file it
 * read last) hangs on the handle that `open` was given; since no two calls of
 * one instance overlap, the handle needs no lock. Streams are net/'s streams
 * under another name.
 */
#include <stdarg.h>
#include <string.h>

#include "config.h"
#include "net/net.h"
#include "plugin/plugin_int.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"

SONDE_PRINTF(3, 4)
static void host_log(const struct sonde_target *target,
                     enum sonde_log_level level, const char *fmt, ...)
{
    static const enum log_level levels[] = { LOG_DEBUG, LOG_INFO, LOG_WARN,
                                             LOG_ERROR };
    enum log_level l = levels[(unsigned)level % 4];
    char text[1024];
    va_list ap;

    if (!log_on(l))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (target)
        LOG_AT(l, "plugin", text, LOG_CSTR("plugin", target->plugin),
               LOG_STR("job", target->job), LOG_STR("target", target->address));
    else
        LOG_AT(l, "plugin", text);
}

static sonde_msec host_now(void)
{
    return clock_now(&clock_system);
}

static sonde_msec host_monotonic(void)
{
    return clock_monotonic(&clock_system);
}

static sonde_code host_stream_open(const struct sonde_target *target,
                                   sonde_str address, sonde_msec deadline,
                                   struct sonde_stream **out,
                                   struct sonde_err *err)
{
    struct net_stream *s = NULL;
    sonde_code rc = net_stream_open(address, deadline, &s, err);

    (void)target;
    *out = (struct sonde_stream *)s;
    return rc;
}

static sonde_code host_stream_write(struct sonde_stream *s, const void *data,
                                    size_t len, sonde_msec deadline,
                                    struct sonde_err *err)
{
    return net_stream_write((struct net_stream *)s, data, len, deadline, err);
}

static sonde_code host_stream_read(struct sonde_stream *s, void *data,
                                   size_t cap, size_t *got, sonde_msec deadline,
                                   struct sonde_err *err)
{
    return net_stream_read((struct net_stream *)s, data, cap, got, deadline,
                           err);
}

static void host_stream_close(struct sonde_stream *s)
{
    net_stream_close((struct net_stream *)s);
}

static sonde_code
host_stream_open_tls(const struct sonde_target *target, sonde_str address,
                     const struct sonde_tls *tls, sonde_msec deadline,
                     struct sonde_stream **out, struct sonde_err *err)
{
    struct net_stream *s = NULL;
    struct net_tls t;
    sonde_code rc;

    if (!tls)
        return host_stream_open(target, address, deadline, out, err);
    t = (struct net_tls){ .ca_file = tls->ca_file,
                          .cert_file = tls->cert_file,
                          .key_file = tls->key_file,
                          .server_name = tls->server_name,
                          .insecure = tls->insecure };
    rc = net_stream_open_tls(address, &t, deadline, &s, err);
    *out = (struct sonde_stream *)s;
    return rc;
}

static void host_stream_shut(struct sonde_stream *s)
{
    net_stream_shut((struct net_stream *)s);
}

static sonde_code host_read_file(const struct sonde_target *target,
                                 sonde_str path, sonde_str *out,
                                 struct sonde_err *err)
{
    /* The handle is const for the plugin, not for us who made it. */
    struct buf *b = &((struct sonde_target *)(uintptr_t)target)->file;
    char name[4096];
    sonde_code rc;

    if (path.len == 0 || path.len >= sizeof(name) ||
        memchr(path.ptr, '\0', path.len))
        return sonde_err_set(err, SONDE_EINVAL, "read file: bad path");
    memcpy(name, path.ptr, path.len);
    name[path.len] = '\0';
    buf_reset(b);
    rc = fs_read(name, PLUGIN_READ_FILE_MAX, b, err);
    if (rc != SONDE_OK)
        return rc;
    *out = buf_str(b);
    if (out->len && out->ptr[out->len - 1] == '\n')
        out->len--;
    if (out->len && out->ptr[out->len - 1] == '\r')
        out->len--;
    return SONDE_OK;
}

const struct sonde_host *plugin_host(void)
{
    static const struct sonde_host host = {
        .struct_size = sizeof(struct sonde_host),
        .abi_major = SONDE_ABI_MAJOR,
        .abi_minor = SONDE_ABI_MINOR,
        .version = PACKAGE_VERSION,
        .log = host_log,
        .now = host_now,
        .monotonic = host_monotonic,
        .sample = sink_sample,
        .histogram = sink_histogram,
        .summary = sink_summary,
        .dynamic = sink_dynamic,
        .stream_open = host_stream_open,
        .stream_write = host_stream_write,
        .stream_read = host_stream_read,
        .stream_close = host_stream_close,
        .read_file = host_read_file,
        .due = sink_due,
        .begin = sink_begin,
        .end = sink_end,
        .discard = sink_discard,
        .stream_open_tls = host_stream_open_tls,
        .stream_shut = host_stream_shut,
        .state_load = plugin_state_load,
        .state_save = plugin_state_save,
        .dynamic_histogram = sink_dynamic_histogram,
        .dynamic_summary = sink_dynamic_summary,
    };
    return &host;
}
