/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one file_sd_config. Each look lists what the patterns match
 * now, reads every file, and compares a hash of its bytes with last time: a
 * file that did not change costs a read and nothing else. (Comparing size
 * and time instead would miss a file that is rewritten twice within a tick
 * of the clock.) What is kept of a file is how many groups the job has from
 * it, to delete those that it has no more.
 *
 *   bad file        its previous groups stay; counted and logged, once for
 *                   each content
 *   file gone       its groups go
 *   folder not      what was known of it stays: a hiccup of a file system is
 *   readable        no reason to lose all targets
 *
 * A * or other wildcard may stand in the last part of a pattern only; as in
 * Go it matches a leading dot too.
 *
 * Folders are watched rather than files, because files are replaced by
 * rename, and because a mounted ConfigMap changes by turning a symlink
 * beside them (..data).
 */
#include <errno.h>
#include <fnmatch.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "discovery/discovery_int.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define FILES_MAX 10000 /* of one config */
#define WATCHED                                                                \
    (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |    \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* ---- self-metrics -------------------------------------------------------- */

#define MTIME_NAME "prometheus_sd_file_mtime_seconds"
#define MTIME_HELP                                                             \
    "Timestamp (mtime) of files read by FileSD. Timestamp is set at read "     \
    "time."

static sonde_str filename_label(struct arena *a, const char *path)
{
    struct buf b;
    sonde_str s;

    buf_init(&b);
    buf_cstr(&b, "filename=\"");
    for (; *path; path++) {
        if (*path == '\\' || *path == '"' || *path == '\n')
            buf_char(&b, '\\');
        buf_char(&b, *path == '\n' ? 'n' : *path);
    }
    buf_char(&b, '"');
    s = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return s;
}

static void mtime_set(struct file_sd *fs, struct arena *a, const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0)
        metric_set_real(selfmetrics_real(fs->metrics, METRIC_GAUGE, MTIME_NAME,
                                         MTIME_HELP,
                                         filename_label(a, path).ptr),
                        (double)st.st_mtim.tv_sec);
}

static void mtime_drop(struct file_sd *fs, const char *path)
{
    struct arena a;

    arena_init(&a);
    selfmetrics_drop(fs->metrics, MTIME_NAME, filename_label(&a, path).ptr);
    arena_fini(&a);
}

/* ---- life ---------------------------------------------------------------- */

void file_sd_init(struct file_sd *fs, const struct discovery_job *job,
                  size_t index, struct selfmetrics *metrics)
{
    *fs = (struct file_sd){
        .config = &job->files[index],
        .job = job->job,
        .index = index,
        .metrics = metrics,
        .read_errors =
            selfmetrics_counter(metrics, "prometheus_sd_file_read_errors_total",
                                "The number of File-SD read errors.", NULL),
        .watch_errors = selfmetrics_counter(
            metrics, "prometheus_sd_file_watcher_errors_total",
            "The number of File-SD errors caused by filesystem watch "
            "failures.",
            NULL),
    };
}

void file_sd_fini(struct file_sd *fs)
{
    for (size_t i = 0; i < fs->count; i++) {
        mtime_drop(fs, fs->files[i].path);
        free(fs->files[i].path);
    }
    free(fs->files);
    fs->files = NULL;
    fs->count = 0;
}

size_t file_sd_targets(const struct file_sd *fs)
{
    size_t n = 0;

    for (size_t i = 0; i < fs->count; i++)
        n += fs->files[i].targets;
    return n;
}

void file_sd_watch(struct file_sd *fs, int inotify_fd)
{
    struct arena a;
    bool failed = false;

    if (inotify_fd < 0)
        return;
    arena_init(&a);
    for (size_t i = 0; i < fs->config->files.count; i++) {
        const char *dir =
            arena_cstr(&a, fs_dirname(fs->config->files.items[i]));
        struct sonde_err err;

        if (inotify_add_watch(inotify_fd, dir, WATCHED) >= 0)
            continue;
        failed = true;
        metric_inc(fs->watch_errors);
        if (fs->watch_failed)
            continue;
        (void)fs_err(&err, errno, "watch folder", dir);
        log_warn("discovery",
                 "can not watch for target files; they are looked for every "
                 "refresh_interval",
                 LOG_STR("job", fs->job), LOG_ERRTEXT(&err));
    }
    fs->watch_failed = failed;
    arena_fini(&a);
}

/* ---- what is there ------------------------------------------------------- */

struct path_list {
    char **items; /* of the arena */
    size_t count, cap;
    bool partial; /* a folder could not be read */
};

static int cmp_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void path_add(struct path_list *l, char *path)
{
    l->items = mem_grow(l->items, &l->cap, l->count + 1, sizeof(*l->items));
    l->items[l->count++] = path;
}

static void note_error(struct file_sd *fs, const char *msg,
                       const struct sonde_err *err)
{
    metric_inc(fs->read_errors);
    log_error("discovery", msg, LOG_STR("job", fs->job), LOG_ERRTEXT(err));
}

static void list_pattern(struct file_sd *fs, struct arena *a, sonde_str pattern,
                         struct path_list *out)
{
    sonde_str dir = fs_dirname(pattern);
    char *path = arena_cstr(a, pattern);
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    struct fs_names names;
    struct sonde_err err;
    sonde_code rc;

    if (!strpbrk(last, "*?[\\")) {
        if (fs_exists(path))
            path_add(out, path);
        return;
    }
    rc = fs_list(arena_cstr(a, dir), &names, &err);
    if (rc) {
        out->partial |= rc != SONDE_ENOTFOUND;
        if (rc != SONDE_ENOTFOUND)
            note_error(fs, "can not look for target files", &err);
        return;
    }
    for (size_t i = 0; i < names.count; i++)
        if (fnmatch(last, names.items[i], 0) == 0)
            path_add(out, fs_join(a, dir, sonde_cstr(names.items[i])));
    fs_names_fini(&names);
}

/* All paths, sorted, each once. */
static void list_paths(struct file_sd *fs, struct arena *a,
                       struct path_list *out)
{
    size_t kept = 0;

    for (size_t i = 0; i < fs->config->files.count; i++)
        list_pattern(fs, a, fs->config->files.items[i], out);
    if (out->count)
        qsort(out->items, out->count, sizeof(*out->items), cmp_path);
    for (size_t i = 0; i < out->count; i++)
        if (kept == 0 || strcmp(out->items[kept - 1], out->items[i]) != 0)
            out->items[kept++] = out->items[i];
    out->count = kept;
    if (kept > FILES_MAX) {
        struct sonde_err err;

        (void)sonde_err_set(&err, SONDE_ELIMIT,
                            "%zu files match, the first %d are read", kept,
                            FILES_MAX);
        note_error(fs, "too many target files", &err);
        out->count = FILES_MAX;
    }
}

/* ---- reading ------------------------------------------------------------- */

static sonde_str group_source(struct file_sd *fs, struct arena *a,
                              const char *path, size_t group)
{
    return arena_printf(a, "file_sd/%zu/%s:%zu", fs->index, path, group);
}

/* Empty groups in place of those from `from` on. */
static void drop_groups(struct file_sd *fs, struct sd_file *f, size_t from,
                        struct group_batch *batch)
{
    for (size_t i = from; i < f->groups; i++) {
        struct target_group g = {
            .source = group_source(fs, &batch->arena, f->path, i),
        };

        group_batch_add(batch, &g);
    }
}

static void take_groups(struct file_sd *fs, struct sd_file *f, sonde_str text,
                        struct group_batch *batch)
{
    struct target_group *groups;
    struct sonde_err err;
    size_t n;

    if (file_sd_parse(&batch->arena, f->path, text, &groups, &n, &err)) {
        note_error(fs, "a target file is bad; its previous groups stay", &err);
        return;
    }
    drop_groups(fs, f, n, batch);
    f->groups = n;
    f->targets = 0;
    for (size_t i = 0; i < n; i++) {
        groups[i].source = group_source(fs, &batch->arena, f->path, i);
        f->targets += groups[i].count;
        group_batch_add(batch, &groups[i]);
    }
    mtime_set(fs, &batch->arena, f->path);
}

static void look_at(struct file_sd *fs, struct sd_file *f,
                    struct group_batch *batch)
{
    struct buf text;
    struct sonde_err err;
    sonde_code rc;
    uint64_t hash;

    buf_init(&text);
    rc = file_sd_load(f->path, &text, &err);
    if (rc == SONDE_OK) {
        hash = XXH3_64bits(text.data, text.len);
        if (!f->read || f->hash != hash)
            take_groups(fs, f, buf_str(&text), batch);
        f->read = true;
        f->hash = hash;
    } else if (rc != SONDE_ENOTFOUND) { /* else: the next look sees it gone */
        note_error(fs, "can not read a target file; its previous groups stay",
                   &err);
    }
    buf_fini(&text);
}

static void forget(struct file_sd *fs, struct sd_file *f,
                   struct group_batch *batch)
{
    drop_groups(fs, f, 0, batch);
    mtime_drop(fs, f->path);
    free(f->path);
}

/* The known files and the paths that are there now, both sorted, side by
 * side. */
void file_sd_refresh(struct file_sd *fs, struct group_batch *batch)
{
    struct path_list paths = { 0 };
    struct arena scratch;
    struct sd_file *next;
    size_t n = 0, o = 0, p = 0;

    arena_init(&scratch);
    list_paths(fs, &scratch, &paths);
    next = mem_alloc((fs->count + paths.count + 1) * sizeof(*next));
    while (o < fs->count || p < paths.count) {
        int c = o == fs->count     ? 1
                : p == paths.count ? -1
                                   : strcmp(fs->files[o].path, paths.items[p]);

        if (c < 0 && !paths.partial) {
            forget(fs, &fs->files[o++], batch);
            continue;
        }
        if (c > 0)
            next[n] = (struct sd_file){ .path = mem_strdup(
                                            sonde_cstr(paths.items[p])) };
        else
            next[n] = fs->files[o++];
        if (c >= 0) {
            look_at(fs, &next[n], batch);
            p++;
        }
        n++;
    }
    free(fs->files);
    fs->files = next;
    fs->count = n;
    free(paths.items);
    arena_fini(&scratch);
}
