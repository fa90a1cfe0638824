/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All discovery of one job. What can be known at once (static groups, files
 * as they are) is given to the job by discovery_start itself, so that its
 * first scrapes wait for nothing. A job that has files gets a thread, which
 * waits for news of their folders (inotify) and for the refresh intervals,
 * looks at the files, and gives the job what changed; a job with static
 * groups only has none.
 *
 * News come in bursts (a tool that writes ten files, a ConfigMap's dozen
 * renames), so the thread lets a burst settle before it looks: until
 * nothing came for SETTLE_MS, at most SETTLE_ROUNDS times. Folders are
 * watched before the files are read the first time, so no change falls
 * between. Where inotify can not be had (limits of the user), the intervals
 * do alone.
 *
 * Threads. After start, everything in the struct belongs to the thread,
 * except for stop_fd, by which discovery_stop wakes and ends it. Without a
 * thread it belongs to the caller.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "discovery/discovery_int.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define SETTLE_MS     50
#define SETTLE_ROUNDS 20

#define TARGETS_NAME "prometheus_sd_discovered_targets"

struct discovery {
    struct discovery_job job;
    discovery_update *update;
    void *update_arg;
    struct selfmetrics *metrics;
    struct metric *targets, *received, *updates;
    char *targets_labels;
    struct file_sd *files;
    sonde_msec *due;         /* of each file_sd, on the monotonic clock   */
    int inotify_fd, stop_fd; /* -1: none                                  */
    pthread_t thread;
    bool threaded;
};

/* ---- batches ------------------------------------------------------------- */

void group_batch_init(struct group_batch *b)
{
    *b = (struct group_batch){ 0 };
    arena_init(&b->arena);
}

void group_batch_fini(struct group_batch *b)
{
    free(b->items);
    arena_fini(&b->arena);
}

void group_batch_add(struct group_batch *b, const struct target_group *g)
{
    b->items = mem_grow(b->items, &b->cap, b->count + 1, sizeof(*b->items));
    b->items[b->count++] = *g;
}

static size_t all_targets(const struct discovery *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->job.static_count; i++)
        n += d->job.statics[i].targets.count;
    for (size_t i = 0; i < d->job.file_count; i++)
        n += file_sd_targets(&d->files[i]);
    return n;
}

static void give(struct discovery *d, const struct group_batch *batch)
{
    metric_inc(d->received);
    metric_inc(d->updates);
    metric_set(d->targets, (int64_t)all_targets(d));
    d->update(d->update_arg, batch->items, batch->count);
}

/* ---- static groups ------------------------------------------------------- */

static struct labels static_labels(struct arena *a, const struct config_map *m)
{
    struct labels_builder lb;

    labels_builder_init(&lb, a);
    for (size_t i = 0; i < m->count; i++)
        if (m->items[i].values.count)
            labels_builder_set(&lb, m->items[i].key,
                               m->items[i].values.items[0]);
    return labels_builder_view(&lb);
}

static void add_static(const struct static_config *c, size_t index,
                       struct group_batch *batch)
{
    struct arena *a = &batch->arena;
    size_t n = c->targets.count;
    struct label *addresses = arena_array(a, struct label, n);
    struct labels *targets = arena_array(a, struct labels, n);

    for (size_t i = 0; i < n; i++) {
        addresses[i] =
            (struct label){ SONDE_STR("__address__"), c->targets.items[i] };
        /* An empty address is no label; the job complains of it. */
        targets[i] =
            (struct labels){ &addresses[i], addresses[i].value.len != 0 };
    }
    group_batch_add(batch, &(struct target_group){
                               .source = arena_printf(a, "static/%zu", index),
                               .targets = targets,
                               .count = n,
                               .labels = static_labels(a, &c->labels) });
}

/* ---- the thread ---------------------------------------------------------- */

/* Looks at the files of those whose time has come, or of all. */
static void refresh(struct discovery *d, bool all)
{
    sonde_msec now = clock_monotonic(&clock_system);
    struct group_batch batch;

    group_batch_init(&batch);
    for (size_t i = 0; i < d->job.file_count; i++) {
        if (!all && d->due[i] > now)
            continue;
        file_sd_watch(&d->files[i], d->inotify_fd);
        file_sd_refresh(&d->files[i], &batch);
        d->due[i] = now + d->files[i].config->refresh_interval;
    }
    if (batch.count)
        give(d, &batch);
    group_batch_fini(&batch);
}

/* Waits for news: POLLIN bits of stop and inotify. */
static void wait_for(struct discovery *d, int timeout_ms, bool *stop,
                     bool *news)
{
    struct pollfd fds[2] = { { .fd = d->stop_fd, .events = POLLIN },
                             { .fd = d->inotify_fd, .events = POLLIN } };

    *stop = *news = false;
    if (poll(fds, 2, timeout_ms) <= 0)
        return;
    *stop = fds[0].revents != 0;
    *news = fds[1].revents != 0;
}

/* Takes the events off; what they say does not matter. */
static void drain(struct discovery *d)
{
    _Alignas(struct inotify_event) char events[4096];

    while (read(d->inotify_fd, events, sizeof(events)) > 0)
        continue;
}

static void settle(struct discovery *d, bool *stop)
{
    bool news = true;

    for (int i = 0; i < SETTLE_ROUNDS && news && !*stop; i++) {
        drain(d);
        wait_for(d, SETTLE_MS, stop, &news);
    }
}

static int until_due(const struct discovery *d)
{
    sonde_msec next = INT64_MAX, left;

    for (size_t i = 0; i < d->job.file_count; i++)
        if (d->due[i] < next)
            next = d->due[i];
    left = next - clock_monotonic(&clock_system);
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static void *run(void *arg)
{
    struct discovery *d = arg;
    bool stop = false, news;

    while (!stop) {
        wait_for(d, until_due(d), &stop, &news);
        if (news && !stop)
            settle(d, &stop);
        if (!stop)
            refresh(d, news);
    }
    return NULL;
}

/* ---- start and stop ------------------------------------------------------ */

static char *config_labels(sonde_str job)
{
    struct buf b;

    buf_init(&b);
    buf_cstr(&b, "name=\"scrape\",config=\"");
    for (size_t i = 0; i < job.len; i++) {
        char c = job.ptr[i];

        if (c == '\\' || c == '"' || c == '\n')
            buf_char(&b, '\\');
        buf_char(&b, c == '\n' ? 'n' : c);
    }
    buf_char(&b, '"');
    return buf_take(&b);
}

static struct discovery *discovery_new(const struct discovery_job *job,
                                       struct selfmetrics *metrics)
{
    struct discovery *d = mem_new(struct discovery);

    d->job = *job;
    d->metrics = metrics;
    d->inotify_fd = d->stop_fd = -1;
    d->targets_labels = config_labels(job->job);
    d->targets = selfmetrics_gauge(metrics, TARGETS_NAME,
                                   "Current number of discovered targets.",
                                   d->targets_labels);
    d->received = selfmetrics_counter(
        metrics, "prometheus_sd_received_updates_total",
        "Total number of update events received from the SD providers.",
        "name=\"scrape\"");
    d->updates = selfmetrics_counter(
        metrics, "prometheus_sd_updates_total",
        "Total number of update events sent to the SD consumers.",
        "name=\"scrape\"");
    d->files = mem_zalloc((job->file_count + 1) * sizeof(*d->files));
    d->due = mem_zalloc((job->file_count + 1) * sizeof(*d->due));
    for (size_t i = 0; i < job->file_count; i++)
        file_sd_init(&d->files[i], &d->job, i, metrics);
    return d;
}

static void discovery_free(struct discovery *d)
{
    for (size_t i = 0; i < d->job.file_count; i++)
        file_sd_fini(&d->files[i]);
    selfmetrics_drop(d->metrics, TARGETS_NAME, d->targets_labels);
    if (d->inotify_fd >= 0)
        (void)close(d->inotify_fd);
    if (d->stop_fd >= 0)
        (void)close(d->stop_fd);
    free(d->targets_labels);
    free(d->files);
    free(d->due);
    free(d);
}

static sonde_code open_fds(struct discovery *d, struct sonde_err *err)
{
    d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->stop_fd < 0)
        return fs_err(err, errno, "make an eventfd for", "discovery");
    d->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (d->inotify_fd < 0) {
        struct sonde_err why;

        (void)fs_err(&why, errno, "start inotify for", "target files");
        log_warn("discovery",
                 "target files are only looked at every refresh_interval",
                 LOG_STR("job", d->job.job), LOG_ERRTEXT(&why));
    }
    return SONDE_OK;
}

/* All that is known now, in the caller's thread. */
static void first_look(struct discovery *d)
{
    sonde_msec now = clock_monotonic(&clock_system);
    struct group_batch batch;

    group_batch_init(&batch);
    for (size_t i = 0; i < d->job.static_count; i++)
        add_static(&d->job.statics[i], i, &batch);
    for (size_t i = 0; i < d->job.file_count; i++) {
        file_sd_watch(&d->files[i], d->inotify_fd);
        file_sd_refresh(&d->files[i], &batch);
        d->due[i] = now + d->files[i].config->refresh_interval;
        if (d->files[i].count == 0)
            log_warn("discovery", "no target file is there yet",
                     LOG_STR("job", d->job.job),
                     LOG_STR("files", d->files[i].config->files.items[0]));
    }
    give(d, &batch);
    group_batch_fini(&batch);
}

sonde_code discovery_start(const struct discovery_job *job,
                           struct selfmetrics *metrics,
                           discovery_update *update, void *arg,
                           struct discovery **out, struct sonde_err *err)
{
    struct discovery *d = discovery_new(job, metrics);
    sonde_code rc = SONDE_OK;
    int failed = 0;

    *out = NULL;
    d->update = update;
    d->update_arg = arg;
    if (job->file_count)
        rc = open_fds(d, err);
    if (rc == SONDE_OK)
        first_look(d);
    if (rc == SONDE_OK && job->file_count) {
        failed = pthread_create(&d->thread, NULL, run, d);
        d->threaded = failed == 0;
    }
    if (failed)
        rc = fs_err(err, failed, "start a thread for", "discovery");
    if (rc) {
        discovery_free(d);
        return rc;
    }
    *out = d;
    return SONDE_OK;
}

void discovery_stop(struct discovery *d)
{
    if (!d)
        return;
    if (d->threaded) {
        (void)eventfd_write(d->stop_fd, 1);
        (void)pthread_join(d->thread, NULL);
    }
    discovery_free(d);
}
