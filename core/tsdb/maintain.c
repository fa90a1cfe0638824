/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's thread: once a minute, and whenever somebody kicks it, it does
 * what is due; every few seconds it writes full chunks to their files. It runs
 * at low priority for processor and disk, takes no lock for long, and looks at
 * `stop` between two series, so that closing the store waits for one series at
 * most.
 *
 * On a full disk everything that writes fails and leaves things as they
 * were; retention, which only deletes, still runs, and the next round tries
 * again. That is said once when it begins and once when it is over.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/ioprio.h>

#include "tsdb/store.h"
#include "util/clock.h"
#include "util/mem.h"

#define ROUND_MS          (INT64_C(60) * 1000)
#define MAP_EVERY_MS      (INT64_C(5) * 1000)
#define LOG_EVERY_MS      (INT64_C(10) * 60 * 1000)
#define TRUNCATE_EVERY_MS (INT64_C(2) * 60 * 60 * 1000)
#define KEEP_MIN_MS       (INT64_C(5) * 60 * 1000)
#define KEEP_MAX_MS       (INT64_C(4) * 60 * 60 * 1000)
#define NICE              10
#define IOPRIO_LOWEST     7

/* ---- one round -------------------------------------------------------- */

static void tell_full(struct tsdb *db, sonde_code rc,
                      const struct sonde_err *err)
{
    uint64_t held;
    bool full = rc == SONDE_ENOSPACE;

    if (full && !db->was_full)
        log_error("tsdb",
                  "the disk is full; nothing is compacted until there "
                  "is room",
                  LOG_ERRTEXT(err));
    else if (db->was_full && rc == SONDE_OK)
        log_info("tsdb", "there is room on the disk again");
    else if (!full && rc != SONDE_OK && rc != SONDE_ECANCELED &&
             log_limit_pass(&db->full_log, LOG_EVERY_MS, &held))
        log_error("tsdb",
                  "compaction failed; all stays as it was and is tried "
                  "again",
                  LOG_ERRTEXT(err), LOG_NUM("held", held));
    if (full || rc == SONDE_OK)
        db->was_full = full;
}

/* Keeps the first error. */
static void also(sonde_code *rc, struct sonde_err *err, sonde_code next,
                 const struct sonde_err *why)
{
    if (*rc != SONDE_OK || next == SONDE_OK)
        return;
    *rc = next;
    if (err)
        *err = *why;
}

/* Steps that do not need each other: one that fails does not stop the next. */
static sonde_code do_steps(struct tsdb *db, struct sonde_err *err)
{
    struct sonde_err why = { 0 };
    sonde_code rc = SONDE_OK;

    also(&rc, err, folder_reload(db, &why), &why);
    store_retain(db);
    if (db->wal) {
        also(&rc, err, head_map_chunks(db->head, &why), &why);
        also(&rc, err, store_compact_head(db, &why), &why);
        also(&rc, err, store_compact_late(db, &why), &why);
    }
    also(&rc, err, store_compact_blocks(db, &why), &why);
    store_retain(db);
    return rc;
}

/* In agent posture the log is all there is: what was sent goes, at the latest
 * after some hours. */
static sonde_code cut_log(struct tsdb *db, struct sonde_err *err)
{
    const struct tsdb_options *o = &db->options;
    sonde_msec every = o->truncate_every_ms, now = clock_now(o->clock);
    sonde_msec mono = clock_monotonic(o->clock);
    sonde_msec cut = now - (o->keep_max_ms ? o->keep_max_ms : KEEP_MAX_MS);
    sonde_msec sent = o->log_sent ? o->log_sent(o->log_arg) : INT64_MIN;
    sonde_msec keep_min = o->keep_min_ms ? o->keep_min_ms : KEEP_MIN_MS;

    if (mono - db->truncated_at < (every ? every : TRUNCATE_EVERY_MS))
        return SONDE_OK;
    db->truncated_at = mono;
    if (sent > INT64_MIN + keep_min && sent - keep_min > cut)
        cut = sent - keep_min;
    return head_cut_log_only(
        db->head, db->wal_dir, cut,
        o->log_needed ? o->log_needed(o->log_arg) : UINT64_MAX, err);
}

static sonde_code one_round(struct tsdb *db, struct sonde_err *err)
{
    sonde_code rc;

    (void)pthread_mutex_lock(&db->maint);
    head_collect_rest(db->head);
    if (db->options.log_only)
        rc = cut_log(db, err);
    else
        rc = do_steps(db, err);
    tell_full(db, rc, err);
    (void)pthread_mutex_unlock(&db->maint);
    return rc;
}

sonde_code tsdb_compact(struct tsdb *db, struct sonde_err *err)
{
    struct sonde_err why = { 0 };

    if (db->options.read_only)
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "compact: the store is open for reading only");
    return one_round(db, err ? err : &why);
}

/* ---- the thread --------------------------------------------------------- */

/* Scrapes and queries first, for processor and disk. The idle class of the
 * disk would mean never, on a busy one. */
static void step_back(void)
{
    struct sched_param param = { 0 };
    pid_t self = (pid_t)syscall(SYS_gettid);

    (void)sched_setscheduler(0, SCHED_BATCH, &param);
    (void)setpriority(PRIO_PROCESS, (id_t)self, NICE);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, self,
                  IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, IOPRIO_LOWEST));
}

/* Until `until`, or somebody kicks, or the store is closed. True if kicked. */
static bool wait_for_work(struct tsdb *db, sonde_msec until)
{
    struct timespec at = clock_timespec(until);
    bool kicked;
    int rc = 0;

    (void)pthread_mutex_lock(&db->state);
    while (!db->kicked && !atomic_load(&db->stop) && rc == 0)
        rc = pthread_cond_timedwait(&db->wake, &db->state, &at);
    kicked = db->kicked;
    db->kicked = false;
    (void)pthread_mutex_unlock(&db->state);
    return kicked;
}

/* Full chunks go to their files; what fails is said there, and tried again. */
static void map_chunks(struct tsdb *db)
{
    struct sonde_err err;

    if (!db->options.log_only && head_map_chunks(db->head, &err) != SONDE_OK)
        return;
}

static void *thread_main(void *arg)
{
    struct tsdb *db = arg;
    sonde_msec due = clock_monotonic(&clock_system) + ROUND_MS;

    step_back();
    while (!atomic_load(&db->stop)) {
        sonde_msec now = clock_monotonic(&clock_system);
        bool kicked = wait_for_work(db, now + MAP_EVERY_MS);
        struct sonde_err err = { 0 };

        if (atomic_load(&db->stop))
            break;
        map_chunks(db);
        if (!kicked && now < due)
            continue;
        (void)one_round(db, &err);
        /* what could not be done waits for the next minute */
        atomic_store(&db->asked, store_head_is_full(db));
        due = clock_monotonic(&clock_system) + ROUND_MS;
    }
    return NULL;
}

void store_head_grew(void *arg)
{
    struct tsdb *db = arg;

    if (!atomic_load_explicit(&db->asked, memory_order_relaxed) &&
        store_head_is_full(db) && !atomic_exchange(&db->asked, true))
        store_kick(db);
}

void store_kick(struct tsdb *db)
{
    (void)pthread_mutex_lock(&db->state);
    db->kicked = true;
    (void)pthread_cond_signal(&db->wake);
    (void)pthread_mutex_unlock(&db->state);
}

void store_thread_start(struct tsdb *db)
{
    sigset_t all, old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    db->thread_runs = pthread_create(&db->thread, NULL, thread_main, db) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!db->thread_runs)
        log_error("tsdb", "can not start the store's thread; nothing is "
                          "compacted or deleted");
}

void store_thread_stop(struct tsdb *db)
{
    atomic_store(&db->stop, true);
    if (!db->thread_runs)
        return;
    store_kick(db);
    (void)pthread_join(db->thread, NULL);
    db->thread_runs = false;
}
