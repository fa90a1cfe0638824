/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access logs: requests by status, method and route, with bytes and times.
 *
 * At each collection every file is read from where the last one stopped
 * (log_file.c), each line cut along the format (log_format.c, log_line.c), its
 * path made a route (log_route.c) and counted (log_series.c). Nothing runs in
 * between.
 *
 * A collection reads at most `read_limit` bytes and takes at most half of its
 * time; what is left is shown as lag and read by the next ones. Files take
 * turns in being first, so that a long one does not starve the others.
 *
 * What was counted and where each file was left is saved at the end of a
 * collection, as one document (log_state.c): counters go on over restarts, and
 * what is written while the agent is down is counted when it is back. A file
 * that is seen for the first time is counted from its end.
 */
#include "log.h"

#include <stdlib.h>

#define BUFFER_BYTES (64 << 10) /* and the longest line */

struct access_log {
    const struct sonde_host *host;
    const struct sonde_open *open;
    const struct nginx_options *options;
    struct log_format format;
    struct log_routes routes;
    struct log_counts counts;
    struct log_file *files;
    size_t file_count;
    size_t first; /* to be read in the next collection */
    char *buffer;
    struct log_state state;
    bool loaded;
};

/* ---- options ------------------------------------------------------------- */

static sonde_code check_files(const struct sonde_list *files,
                              struct sonde_err *err)
{
    if (files->count > LOG_FILES_MAX)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "access_log: expected at most %d files, got %zu",
                             LOG_FILES_MAX, files->count);
    for (size_t i = 0; i < files->count; i++) {
        sonde_str path = files->items[i];

        if (path.len < 2 || path.ptr[0] != '/' || path.len > NGINX_PATH_MAX ||
            path.ptr[path.len - 1] == '/' || !text_is_utf8(path) ||
            memchr(path.ptr, '\n', path.len))
            return sonde_err_set(err, SONDE_EINVAL,
                                 "access_log: expected an absolute path of a "
                                 "file, got \"%.100s\"",
                                 path.len ? path.ptr : "");
        for (size_t k = 0; k < i; k++)
            if (sonde_str_eq(files->items[k], path))
                return sonde_err_set(err, SONDE_EINVAL,
                                     "access_log: \"%.100s\" is there twice",
                                     path.ptr);
    }
    return SONDE_OK;
}

sonde_code log_check(const struct nginx_options *o, struct sonde_err *err)
{
    struct log_format format;
    struct log_routes routes = { 0 };
    double bounds[LOG_BUCKETS_MAX];
    size_t n;
    sonde_code rc =
        log_format_parse(&format, o->log_format, o->server_label, err);

    if (rc == SONDE_OK)
        rc = log_routes_parse(&routes, &o->routes, err);
    if (rc == SONDE_OK)
        rc = log_bounds_parse(&o->time_buckets, bounds, &n, err);
    if (rc == SONDE_OK)
        rc = check_files(&o->access_log, err);
    log_routes_fini(&routes);
    log_format_fini(&format);
    return rc;
}

/* ---- life ---------------------------------------------------------------- */

sonde_code log_new(const struct sonde_host *host, const struct sonde_open *open,
                   struct access_log **out, struct sonde_err *err)
{
    const struct nginx_options *o = open->options;
    struct access_log *l = calloc(1, sizeof(*l));
    sonde_code rc;

    if (!l)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    *out = l;
    l->host = host;
    l->open = open;
    l->options = o;
    l->buffer = malloc(BUFFER_BYTES);
    l->files = calloc(o->access_log.count, sizeof(*l->files));
    if (!l->buffer || !l->files)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    l->state = (struct log_state){ .host = host,
                                   .target = open->target,
                                   .files = l->files,
                                   .file_count = o->access_log.count,
                                   .counts = &l->counts };
    for (; l->file_count < o->access_log.count; l->file_count++)
        l->files[l->file_count].path = o->access_log.items[l->file_count];
    rc = log_format_parse(&l->format, o->log_format, o->server_label, err);
    if (rc == SONDE_OK)
        rc = log_routes_parse(&l->routes, &o->routes, err);
    if (rc == SONDE_OK)
        rc = log_counts_init(&l->counts, &l->format, &l->routes, o, err);
    return rc;
}

void log_free(struct access_log *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->file_count; i++)
        log_file_close(&l->files[i]);
    log_counts_fini(&l->counts);
    log_routes_fini(&l->routes);
    log_format_fini(&l->format);
    free(l->files);
    free(l->buffer);
    log_state_fini(&l->state);
    free(l);
}

/* ---- lines --------------------------------------------------------------- */

static void take_line(void *arg, sonde_str line)
{
    struct access_log *l = arg;
    struct log_record record;

    if (log_line_parse(&l->format, line, &record))
        log_counts_add(&l->counts, &record);
    else
        l->counts.parse_errors++;
}

static void take_no_line(void *arg)
{
    struct access_log *l = arg;

    l->counts.parse_errors++;
}

/* ---- a collection -------------------------------------------------------- */

static void emit_files(const struct access_log *l, struct nginx_emit *e)
{
    for (size_t i = 0; i < l->file_count; i++) {
        const struct log_file *f = &l->files[i];

        emit_sample(e, F_LOG_READABLE, &f->path, f->readable ? 1 : 0);
        emit_sample(e, F_LOG_LAG, &f->path, (double)f->lag);
        emit_sample(e, F_LOG_LINES, &f->path, (double)f->lines);
        emit_sample(e, F_LOG_ROTATIONS, &f->path, (double)f->rotations);
        emit_sample(e, F_LOG_TRUNCATIONS, &f->path, (double)f->truncations);
    }
}

/* One that can not be read is a failure of the part only when all are: its
 * values would be dropped with it. */
static bool any_readable(const struct access_log *l)
{
    for (size_t i = 0; i < l->file_count; i++)
        if (l->files[i].readable)
            return true;
    return false;
}

void log_collect(struct access_log *l, struct nginx_emit *e,
                 sonde_msec deadline)
{
    sonde_msec now = l->host->monotonic();
    struct log_reader r = {
        .host = l->host,
        .target = l->open->target,
        .buffer = l->buffer,
        .buffer_size = BUFFER_BYTES,
        .budget = (uint64_t)l->options->read_limit,
        .until = now + (deadline > now ? (deadline - now) / 2 : 0),
        .from_beginning = l->options->from_beginning,
        .line = take_line,
        .too_long = take_no_line,
        .arg = l,
    };
    bool readable;

    if (!l->loaded)
        log_state_load(&l->state, &r);
    l->loaded = true;
    emit_begin(e, PART_ACCESS_LOG);
    for (size_t i = 0; i < l->file_count; i++)
        log_file_poll(&l->files[(l->first + i) % l->file_count], &r);
    l->first++;
    readable = any_readable(l);
    if (readable) {
        log_counts_emit(&l->counts, e);
        emit_sample(e, F_LOG_PARSE_ERRORS, NULL,
                    (double)l->counts.parse_errors);
    }
    emit_end(e, readable ? SONDE_OK : SONDE_EIO,
             readable ? NULL : "no access log can be read", -1);
    emit_files(l, e);
    log_state_save(&l->state);
}
