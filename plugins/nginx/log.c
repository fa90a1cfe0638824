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
 * Counters begin at 0 with the process, as any process' do. Where each file
 * was left is saved at the end of a collection, so what is written while the
 * agent is down is counted when it is back, and nothing is counted twice. A
 * file that is seen for the first time is counted from its end.
 */
#include "log.h"

#include <inttypes.h>
#include <stdlib.h>

#define BUFFER_BYTES (64 << 10) /* and the longest line */
#define STATE_NAME   "access_log"
#define STATE_HEAD   "sonde nginx access_log 1\n"
#define STATE_MAX    (512 << 10)

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
    char *state; /* as it was saved last; NUL-terminated */
    size_t state_len;
    uint64_t parse_errors;
    bool loaded, stateless;
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
    free(l->state);
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
        l->parse_errors++;
}

static void take_no_line(void *arg)
{
    struct access_log *l = arg;

    l->parse_errors++;
}

/* ---- state: a line for each file that is open ---------------------------- */

/* DEVICE INODE OFFSET MARK_LEN MARK PATH */
static sonde_str put_state(const struct access_log *l, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "%s", STATE_HEAD);

    for (size_t i = 0; i < l->file_count; i++)
        for (size_t k = 0; k < l->files[i].count; k++) {
            const struct log_tail *t = &l->files[i].tails[k];
            int len = snprintf(out + n, cap - n,
                               "%" PRIu64 " %" PRIu64 " %" PRIu64 " %u %" PRIx64
                               " %s\n",
                               t->device, t->inode, t->offset, t->mark_len,
                               t->mark, l->files[i].path.ptr);

            if (len < 0 || (size_t)len >= cap - n)
                return (sonde_str){ out, n };
            n += (size_t)len;
        }
    return (sonde_str){ out, n };
}

static void save_state(struct access_log *l)
{
    struct sonde_err err;
    size_t cap = 256 + l->file_count * LOG_TAILS_MAX * (NGINX_PATH_MAX + 128);
    char *text = malloc(cap < STATE_MAX ? cap : STATE_MAX);
    sonde_str s;
    sonde_code rc;

    if (!text || l->stateless) {
        free(text);
        return;
    }
    s = put_state(l, text, cap < STATE_MAX ? cap : STATE_MAX);
    if (l->state && sonde_str_eq(s, (sonde_str){ l->state, l->state_len })) {
        free(text);
        return;
    }
    rc = l->host->state_save(l->open->target, STATE_NAME, s.ptr, s.len, &err);
    if (rc != SONDE_OK && rc != SONDE_EUNSUPPORTED)
        l->host->log(l->open->target, SONDE_LOG_WARN,
                     "offsets of access logs can not be saved: %s", err.text);
    l->stateless = rc == SONDE_EUNSUPPORTED;
    free(l->state);
    l->state = text;
    l->state_len = s.len;
}

static bool take_u64(const char **p, int base, uint64_t *out)
{
    char *end;

    *out = strtoull(*p, &end, base);
    if (end == *p || *end != ' ')
        return false;
    *p = end + 1;
    return true;
}

static void resume_line(struct access_log *l, struct log_reader *r,
                        const char *line)
{
    struct log_tail t = { .fd = -1 };
    uint64_t len;

    if (!take_u64(&line, 10, &t.device) || !take_u64(&line, 10, &t.inode) ||
        !take_u64(&line, 10, &t.offset) || !take_u64(&line, 10, &len) ||
        !take_u64(&line, 16, &t.mark) || len > UINT32_MAX)
        return;
    t.mark_len = (uint32_t)len;
    for (size_t i = 0; i < l->file_count; i++)
        if (sonde_str_eq(l->files[i].path, sonde_cstr(line)))
            log_file_resume(&l->files[i], r, &t);
}

static void load_state(struct access_log *l, struct log_reader *r)
{
    struct sonde_err err;
    sonde_str s = { 0 };
    sonde_code rc;
    char *text, *line, *rest;

    l->loaded = true;
    l->stateless = !SONDE_HAS(struct sonde_host, l->host, state_load) ||
                   !SONDE_HAS(struct sonde_host, l->host, state_save);
    if (l->stateless)
        return;
    rc = l->host->state_load(l->open->target, STATE_NAME, &s, &err);
    if (rc != SONDE_OK && rc != SONDE_ENOTFOUND && rc != SONDE_EUNSUPPORTED)
        l->host->log(l->open->target, SONDE_LOG_WARN,
                     "offsets of access logs can not be read: %s", err.text);
    text = rc == SONDE_OK && s.len ? strndup(s.ptr, s.len) : NULL;
    if (text && strncmp(text, STATE_HEAD, sizeof(STATE_HEAD) - 1) == 0)
        for (rest = text; (line = strsep(&rest, "\n"));)
            resume_line(l, r, line);
    free(text);
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
        load_state(l, &r);
    emit_begin(e, PART_ACCESS_LOG);
    for (size_t i = 0; i < l->file_count; i++)
        log_file_poll(&l->files[(l->first + i) % l->file_count], &r);
    l->first++;
    readable = any_readable(l);
    if (readable) {
        log_counts_emit(&l->counts, e);
        emit_sample(e, F_LOG_PARSE_ERRORS, NULL, (double)l->parse_errors);
    }
    emit_end(e, readable ? SONDE_OK : SONDE_EIO,
             readable ? NULL : "no access log can be read", -1);
    emit_files(l, e);
    save_state(l);
}
