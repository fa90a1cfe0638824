/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint's queue is the log itself; what is here is a reader with a
 * short memory. One thread runs a net_loop; it reads records behind the
 * writer, deals the samples out to lanes by series reference, and the lanes
 * send. When all that a lane may hold is waiting, reading stops: an outage
 * of any length costs the same memory, and the disk keeps the rest.
 *
 * The position that is saved is, lane by lane, what was acknowledged and
 * what is under way. It is written before each request (without fsync: it
 * must survive this process, and does) and synced now and then, so that a
 * restart, even by kill, repeats at most the requests that were under way.
 *
 * Number of lanes. More of them help when the receiver is slow but works; in
 * an outage they are of no use. So: reading had to wait for half of the last
 * interval although requests were answered, twice as many; never for a
 * minute, half as many. A change waits until all lanes are empty, for a
 * series then may belong to another one; until then nothing is read.
 * Prometheus' estimate of rates is not needed for that, and can not be fooled
 * by an outage.
 *
 * Threads: everything is the queue's thread's, but `notified` (atomic; set
 * by who appends), and `saved` under `lock`, for who deletes segments.
 */
#include "remote/queue.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "remote/lane.h"
#include "remote/metadata.h"
#include "remote/progress.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/mem.h"

#define RECORDS_PER_TURN 64
#define SAVE_MS          1000
#define SYNC_MS          10000
#define LOG_RETRY_MS     5000
#define RESIZE_MS        5000
#define IDLE_INTERVALS   12 /* a minute without a wait                   */
#define LOG_EVERY_MS     10000

enum mode {
    RUNNING,
    RESIZING, /* nothing is read until the lanes are empty                */
    FLUSHING, /* up to the end that the log had when it was asked         */
    HALTING,
};

struct queue {
    struct queue_setup setup;
    struct endpoint endpoint;
    struct net_loop *loop;
    pthread_t thread;
    bool runs;

    struct wal_watch watch;
    atomic_bool notified; /* a turn is posted                             */

    enum mode mode;
    struct wal_cursor *cursor;
    struct place read; /* all before is dealt out                         */
    bool at_end;       /* the last turn read all there was                */
    struct wal_position flush_end;
    struct sending sending;
    struct lane *lanes;
    size_t lane_count, lanes_wanted;
    atomic_size_t lanes_asked;
    struct metadata_sender metadata;
    struct net_timer stop_timer, save_timer, retry_timer, resize_timer;
    sonde_msec highest_read_ms;
    struct metric *highest_of_all; /* of all endpoints                    */
    struct log_limit damage_log, save_log;

    struct progress progress; /* scratch of saving                        */
    struct progress_file *file;
    sonde_msec synced_ms;

    bool waits; /* for lanes to have room, since `waits_since_ns`         */
    uint64_t waits_since_ns, waited_ns, interval_since_ns, answered_before;
    unsigned idle_intervals;

    enum queue_stop stop_how; /* set before on_stop is posted             */
    sonde_msec stop_deadline_ms;

    pthread_mutex_t lock; /* guards `saved`                               */
    struct wal_position saved;
};

static const struct remote_queue_config *queue_config(const struct queue *q)
{
    return &q->setup.config->queue_config;
}

/* ---- saving ----------------------------------------------------------- */

static void publish_saved(struct queue *q)
{
    struct wal_position oldest = q->progress.lanes[0].acked.at;

    for (size_t i = 1; i < q->progress.count; i++)
        if (wal_position_cmp(q->progress.lanes[i].acked.at, oldest) < 0)
            oldest = q->progress.lanes[i].acked.at;
    (void)pthread_mutex_lock(&q->lock);
    q->saved = oldest;
    (void)pthread_mutex_unlock(&q->lock);
}

static void save_failed(struct queue *q, const struct sonde_err *err)
{
    uint64_t held;

    if (log_limit_pass(&q->save_log, LOG_EVERY_MS, &held))
        log_error("remote",
                  "the position can not be saved; after a restart "
                  "samples may be sent twice",
                  LOG_CSTR("remote_name", q->endpoint.name), LOG_ERRTEXT(err),
                  LOG_NUM("held", held));
}

static void save(struct queue *q)
{
    struct sonde_err err;

    q->progress.count = q->lane_count;
    for (size_t i = 0; i < q->lane_count; i++)
        q->progress.lanes[i] = lane_progress(&q->lanes[i], q->read);
    if (progress_write(q->file, &q->progress, &err) != SONDE_OK)
        save_failed(q, &err);
    else
        publish_saved(q);
}

static void sync_saved(struct queue *q)
{
    struct sonde_err err;

    q->synced_ms = clock_monotonic(&clock_system);
    if (progress_sync(q->file, &err) != SONDE_OK)
        save_failed(q, &err);
}

static void on_save_timer(void *arg)
{
    struct queue *q = arg;

    save(q);
    if (clock_monotonic(&clock_system) - q->synced_ms >= SYNC_MS)
        sync_saved(q);
}

static void save_soon(struct queue *q)
{
    if (!q->save_timer.slot)
        net_timer_set(q->loop, &q->save_timer,
                      clock_monotonic(&clock_system) + SAVE_MS, on_save_timer,
                      q);
}

/* ---- lanes ------------------------------------------------------------ */

static size_t clamp_lanes(const struct queue *q, size_t n)
{
    size_t min = (size_t)queue_config(q)->min_shards;
    size_t max = (size_t)queue_config(q)->max_shards;

    if (max > PROGRESS_LANES_MAX)
        max = PROGRESS_LANES_MAX;
    if (max < 1)
        max = 1;
    n = n < min ? min : n;
    return n > max ? max : n;
}

static void lanes_make(struct queue *q, size_t n,
                       const struct lane_progress *from)
{
    struct lane_progress here = { q->read, q->read };

    q->lanes = mem_zalloc(n * sizeof(*q->lanes));
    q->lane_count = q->lanes_wanted = n;
    for (size_t i = 0; i < n; i++)
        lane_init(&q->lanes[i], &q->sending, from ? from[i] : here);
    metric_set(q->sending.m.shards, (int64_t)n);
    metric_set(q->sending.m.shards_desired, (int64_t)n);
}

static void lanes_free(struct queue *q)
{
    for (size_t i = 0; i < q->lane_count; i++)
        lane_fini(&q->lanes[i]);
    free(q->lanes);
    q->lanes = NULL;
    q->lane_count = 0;
}

static bool lanes_any(const struct queue *q,
                      bool (*is)(const struct lane *lane))
{
    for (size_t i = 0; i < q->lane_count; i++)
        if (is(&q->lanes[i]))
            return true;
    return false;
}

static bool lane_busy(const struct lane *l)
{
    return l->in_flight;
}

static bool lane_waiting(const struct lane *l)
{
    return !lane_empty(l);
}

/* Whether it has not come to what a former life sent last. */
static bool lanes_resuming(const struct queue *q)
{
    for (size_t i = 0; i < q->lane_count; i++)
        if (place_cmp(q->read, q->lanes[i].cut) < 0)
            return true;
    return false;
}

static void lanes_pump(struct queue *q)
{
    size_t pending = 0;

    for (size_t i = 0; i < q->lane_count; i++)
        lane_pump(&q->lanes[i]);
    for (size_t i = 0; i < q->lane_count; i++)
        pending += q->lanes[i].queued;
    metric_set(q->sending.m.pending, (int64_t)pending);
}

/* ---- how many lanes --------------------------------------------------- */

static void waits_begin(struct queue *q)
{
    if (q->waits)
        return;
    q->waits = true;
    q->waits_since_ns = clock_ns();
}

static void waits_end(struct queue *q)
{
    if (!q->waits)
        return;
    q->waits = false;
    q->waited_ns += clock_ns() - q->waits_since_ns;
}

/* How many lanes there should be, by what happened in the last interval. */
static size_t lanes_by_load(struct queue *q)
{
    uint64_t now = clock_ns();
    uint64_t waited = q->waited_ns, span = now - q->interval_since_ns;
    bool works = q->sending.answered != q->answered_before;

    if (q->waits)
        waited += now - q->waits_since_ns;
    q->waits_since_ns = now;
    q->waited_ns = 0;
    q->interval_since_ns = now;
    q->answered_before = q->sending.answered;
    q->idle_intervals = waited ? 0 : q->idle_intervals + 1;
    if (works && waited >= span / 2)
        return 2 * q->lane_count;
    if (q->idle_intervals >= IDLE_INTERVALS) {
        q->idle_intervals = 0;
        return (q->lane_count + 1) / 2;
    }
    return q->lane_count;
}

static void want_lanes(struct queue *q, size_t n)
{
    metric_set(q->sending.m.shards_desired, (int64_t)n);
    if (n == q->lane_count || q->mode != RUNNING || lanes_resuming(q))
        return;
    q->lanes_wanted = n;
    q->mode = RESIZING;
    q->sending.hurry = true;
    q->sending.changed(q);
}

static void on_resize_timer(void *arg)
{
    struct queue *q = arg;
    sonde_msec now = clock_monotonic(&clock_system);
    size_t n = clamp_lanes(q, lanes_by_load(q));

    source_age(&q->sending.source, now);
    net_timer_set(q->loop, &q->resize_timer, now + RESIZE_MS, on_resize_timer,
                  q);
    want_lanes(q, n);
}

static void on_want_lanes(void *arg)
{
    struct queue *q = arg;

    want_lanes(q, clamp_lanes(q, atomic_load(&q->lanes_asked)));
}

void queue_want_lanes(struct queue *q, size_t n)
{
    atomic_store(&q->lanes_asked, n);
    net_loop_post(q->loop, on_want_lanes, q);
}

static void resize(struct queue *q)
{
    size_t n = q->lanes_wanted;

    lanes_free(q);
    lanes_make(q, n, NULL);
    q->sending.hurry = false;
    q->mode = RUNNING;
}

/* ---- reading ---------------------------------------------------------- */

struct dealing {
    struct queue *queue;
    uint64_t index; /* of the sample in its record                        */
};

static void deal(void *arg, uint64_t ref, sonde_msec t, double v)
{
    struct dealing *d = arg;
    struct queue *q = d->queue;
    struct place at = { q->read.at, d->index++ };
    struct remote_sample sample = { ref, t, v };

    if (t > q->highest_read_ms)
        q->highest_read_ms = t;
    if (source_wants(&q->sending.source, ref))
        lane_add(&q->lanes[ref % q->lane_count], at, &sample);
    else
        metric_inc(q->sending.m.dropped_relabel);
}

static void say_damage(struct queue *q, const struct sonde_err *err)
{
    uint64_t held;

    metric_inc(q->sending.m.log_failures);
    if (log_limit_pass(&q->damage_log, LOG_EVERY_MS, &held))
        log_error("remote", "part of the log can not be sent",
                  LOG_CSTR("remote_name", q->endpoint.name), LOG_ERRTEXT(err),
                  LOG_NUM("held", held));
}

static void take_record(struct queue *q, sonde_str record)
{
    struct dealing dealing = { .queue = q };
    int type = wal_record_type(record);
    struct sonde_err err;

    metric_inc(q->sending.m.log_records);
    if ((type == WAL_SAMPLES || type == WAL_SAMPLES_V2) &&
        wal_samples_decode(record, deal, &dealing, &err) != SONDE_OK)
        say_damage(q, &err);
}

static void moved(struct queue *q)
{
    q->read = (struct place){ wal_cursor_position(q->cursor), 0 };
    metric_set(q->sending.m.log_segment, (int64_t)q->read.at.segment);
    save_soon(q);
}

static void post_turn(void *arg);

static void on_retry_timer(void *arg)
{
    post_turn(arg);
}

/* One record; false when there is nothing (more) to do for now. */
static bool read_one(struct queue *q)
{
    struct sonde_err err;
    sonde_str record;

    switch (wal_cursor_next(q->cursor, &record, &err)) {
    case SONDE_OK:
        take_record(q, record);
        moved(q);
        return true;
    case SONDE_ECORRUPT:
        say_damage(q, &err);
        moved(q);
        return true;
    case SONDE_EAGAIN:
        q->at_end = true;
        return false;
    default:
        say_damage(q, &err);
        net_timer_set(q->loop, &q->retry_timer,
                      clock_monotonic(&clock_system) + LOG_RETRY_MS,
                      on_retry_timer, q);
        return false;
    }
}

static void publish_highest(struct queue *q)
{
    double seconds = (double)q->highest_read_ms / 1000;

    metric_set_real(q->sending.m.highest_read, seconds);
    if (metric_get(q->highest_of_all) < seconds)
        metric_set_real(q->highest_of_all, seconds);
}

/* Reads until the lanes are full or the log ends, but not for too long. */
static void read_some(struct queue *q)
{
    size_t n = 0;

    if (q->mode == RESIZING || q->mode == HALTING)
        return;
    wal_cursor_limit(q->cursor, q->mode == FLUSHING
                                    ? q->flush_end
                                    : wal_end(q->setup.deps->wal));
    q->at_end = false;
    while (n < RECORDS_PER_TURN && !lanes_any(q, lane_full) && read_one(q))
        n++;
    if (lanes_any(q, lane_full))
        waits_begin(q);
    else
        waits_end(q);
    if (n == RECORDS_PER_TURN)
        post_turn(q);
    if (n)
        publish_highest(q);
}

/* No request begins any more, whatever is posted still. */
static void stop_now(struct queue *q)
{
    q->mode = HALTING;
    q->sending.halted = true;
    net_loop_stop(q->loop);
}

/* Whether what the mode waits for has come. */
static void settle(struct queue *q)
{
    switch (q->mode) {
    case RUNNING:
        break;
    case RESIZING:
        if (lanes_any(q, lane_waiting))
            break;
        resize(q);
        post_turn(q);
        break;
    case FLUSHING:
        if (q->at_end && !lanes_any(q, lane_waiting))
            stop_now(q);
        break;
    case HALTING:
        if (!lanes_any(q, lane_busy))
            stop_now(q);
        break;
    }
}

static void turn(void *arg)
{
    struct queue *q = arg;

    atomic_store(&q->notified, false);
    read_some(q);
    lanes_pump(q);
    settle(q);
}

/* From any thread: the log has grown, or a lane has moved. */
static void post_turn(void *arg)
{
    struct queue *q = arg;

    if (!atomic_exchange(&q->notified, true))
        net_loop_post(q->loop, turn, q);
}

static void on_changed(void *arg)
{
    save_soon(arg);
    post_turn(arg);
}

static void on_about_to_send(void *arg)
{
    save(arg);
}

/* ---- stopping --------------------------------------------------------- */

static void on_stop_timer(void *arg)
{
    stop_now(arg);
}

static void on_stop(void *arg)
{
    struct queue *q = arg;
    bool flush = q->stop_how == QUEUE_FLUSH;

    q->flush_end = wal_end(q->setup.deps->wal);
    q->mode = flush ? FLUSHING : HALTING;
    q->sending.hurry = true;
    q->sending.halted = !flush;
    net_timer_set(q->loop, &q->stop_timer, q->stop_deadline_ms, on_stop_timer,
                  q);
    post_turn(q);
}

void queue_stop(struct queue *q, enum queue_stop how, sonde_msec deadline_ms)
{
    if (!q->runs)
        return;
    q->stop_how = how;
    q->stop_deadline_ms = deadline_ms;
    net_loop_post(q->loop, on_stop, q);
}

/* ---- starting --------------------------------------------------------- */

static void *queue_main(void *arg)
{
    struct queue *q = arg;

    net_loop_run(q->loop);
    return NULL;
}

sonde_code queue_new(const struct queue_setup *setup, struct queue **out,
                     struct sonde_err *err)
{
    struct queue *q = mem_new(struct queue);
    sonde_code rc = net_loop_new(&q->loop, err);

    if (rc != SONDE_OK) {
        free(q);
        return rc;
    }
    q->setup = *setup;
    if (setup->ref)
        setup->ref(setup->owner);
    endpoint_init(&q->endpoint, setup->config, setup->nth);
    (void)pthread_mutex_init(&q->lock, NULL);
    q->watch = (struct wal_watch){ .fn = post_turn, .arg = q };
    *out = q;
    return SONDE_OK;
}

/* A batch that is larger than what a lane may hold would never fill up. */
static size_t batch_max(const struct remote_queue_config *c)
{
    return (size_t)(c->max_samples_per_send < c->capacity
                        ? c->max_samples_per_send
                        : c->capacity);
}

static void sending_init(struct queue *q)
{
    const struct remote_deps *deps = q->setup.deps;
    const struct remote_write_config *c = q->setup.config;
    struct sending *s = &q->sending;

    *s = (struct sending){ .loop = q->loop,
                           .config = c,
                           .endpoint = &q->endpoint,
                           .batch_max = batch_max(&c->queue_config),
                           .about_to_send = on_about_to_send,
                           .changed = on_changed,
                           .arg = q };
    source_init(&s->source, deps->storage, q->setup.external_labels,
                &c->write_relabel_configs);
    remote_metrics_init(&s->m, deps->metrics, q->endpoint.labels);
    q->highest_of_all = selfmetrics_real(
        deps->metrics, METRIC_GAUGE,
        "prometheus_remote_storage_highest_timestamp_in_seconds",
        "Highest timestamp that has come into the remote storage, in seconds "
        "since epoch.",
        NULL);
    metric_set(s->m.shards_min, c->queue_config.min_shards);
    metric_set(s->m.shards_max, c->queue_config.max_shards);
    metric_set(s->m.shard_capacity, c->queue_config.capacity);
    metric_set(s->m.batch_max, c->queue_config.max_samples_per_send);
}

/* Where to begin: as saved, or at the end of the log for a new endpoint. A
 * place that the log has not reached is of another log; this one is new from
 * its beginning on. */
static void begin_at(struct queue *q, struct progress *found)
{
    struct wal_position end = wal_end(q->setup.deps->wal);

    q->read = (struct place){ .at = end };
    if (!found->count)
        return;
    q->read = found->lanes[0].acked;
    for (size_t i = 0; i < found->count; i++) {
        if (place_cmp(found->lanes[i].acked, q->read) < 0)
            q->read = found->lanes[i].acked;
        if (wal_position_cmp(found->lanes[i].acked.at, end) > 0)
            found->count = 0;
    }
    q->read.index = 0;
    if (found->count)
        return;
    log_warn("remote",
             "the saved position is of another log, sending this "
             "one from its beginning",
             LOG_CSTR("remote_name", q->endpoint.name));
    q->read = (struct place){ 0 };
}

static sonde_code open_files(struct queue *q, struct sonde_err *err)
{
    const struct remote_deps *deps = q->setup.deps;
    struct arena a;
    sonde_code rc;

    arena_init(&a);
    rc = fs_mkdirs(deps->state_dir, 0750, err);
    if (rc == SONDE_OK)
        rc = progress_open(fs_join(&a, sonde_cstr(deps->state_dir),
                                   sonde_cstr(q->endpoint.file)),
                           &q->progress, &q->file, err);
    arena_fini(&a);
    if (rc != SONDE_OK)
        return rc;
    begin_at(q, &q->progress);
    return wal_cursor_open(deps->wal_dir, q->read.at, &q->cursor, err);
}

sonde_code queue_start(struct queue *q, struct sonde_err *err)
{
    sonde_code rc = open_files(q, err);
    sonde_msec now = clock_monotonic(&clock_system);
    int errnum;

    if (rc != SONDE_OK)
        return rc;
    sending_init(q);
    if (q->progress.count)
        lanes_make(q, q->progress.count, q->progress.lanes);
    else
        lanes_make(q, clamp_lanes(q, 1), NULL);
    metadata_sender_init(&q->metadata, &q->sending, q->setup.deps);
    save(q);
    sync_saved(q);
    q->interval_since_ns = clock_ns();
    net_timer_set(q->loop, &q->resize_timer, now + RESIZE_MS, on_resize_timer,
                  q);
    post_turn(q);
    errnum = pthread_create(&q->thread, NULL, queue_main, q);
    if (errnum)
        return fs_err(err, errnum, "start the thread of remote write to",
                      q->endpoint.url);
    q->runs = true;
    wal_watch(q->setup.deps->wal, &q->watch);
    return SONDE_OK;
}

static void stop_thread(struct queue *q)
{
    if (!q->runs)
        return;
    (void)pthread_join(q->thread, NULL);
    wal_unwatch(q->setup.deps->wal, &q->watch);
    save(q);
    sync_saved(q);
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    if (q->stop_deadline_ms == 0)
        queue_stop(q, QUEUE_HALT, clock_monotonic(&clock_system));
    stop_thread(q);
    /* A turn that is posted still finds nothing to do, also where the thread
     * could not be started. */
    q->mode = HALTING;
    if (q->lanes) {
        metadata_sender_fini(&q->metadata);
        lanes_free(q);
        source_fini(&q->sending.source);
        buf_fini(&q->sending.message);
    }
    wal_cursor_close(q->cursor);
    progress_close(q->file);
    net_loop_free(q->loop);
    endpoint_fini(&q->endpoint);
    (void)pthread_mutex_destroy(&q->lock);
    if (q->setup.unref)
        q->setup.unref(q->setup.owner);
    free(q);
}

bool queue_runs(const struct queue *q)
{
    return q->runs;
}

const struct endpoint *queue_endpoint(const struct queue *q)
{
    return &q->endpoint;
}

const struct queue_setup *queue_setup_of(const struct queue *q)
{
    return &q->setup;
}

sonde_msec queue_sent(const struct queue *q)
{
    const struct metric *sent = q->sending.m.highest_sent;

    return sent ? (sonde_msec)(metric_get(sent) * 1000) : 0;
}

struct wal_position queue_oldest(struct queue *q)
{
    struct wal_position at;

    (void)pthread_mutex_lock(&q->lock);
    at = q->saved;
    (void)pthread_mutex_unlock(&q->lock);
    return at;
}
