/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as others see it: opened and closed in the right order, and the
 * door to it.
 *
 * Opening: the directory, its lock before anything in it is touched, the log
 * into the head, then a new segment of the log. Closing is the reverse, the
 * lock last. What fails half-way is closed by the same function.
 */
#include "tsdb/tsdb.h"

#include <stdlib.h>

#include "tsdb/dir_lock.h"
#include "tsdb/head.h"
#include "util/fs.h"
#include "util/mem.h"

struct tsdb {
    struct storage storage;
    struct head *head;
    struct wal *wal;
    struct dir_lock lock;
    char *wal_dir;
    struct selfmetrics *metrics;
    uint64_t corruptions; /* written while opening only                   */
};

/* ---- the door --------------------------------------------------------- */

static struct tsdb *tsdb_of(struct storage *s)
{
    return (struct tsdb *)((char *)s - offsetof(struct tsdb, storage));
}

static struct appender *tsdb_op_appender(struct storage *s)
{
    return head_appender(tsdb_of(s)->head);
}

static sonde_code tsdb_op_querier(struct storage *s, sonde_msec mint,
                                  sonde_msec maxt, struct querier **out,
                                  struct sonde_err *err)
{
    return head_querier(tsdb_of(s)->head, mint, maxt, out, err);
}

static bool tsdb_op_labels(struct storage *s, series_ref ref,
                           struct arena *arena, struct labels *out)
{
    return head_labels(tsdb_of(s)->head, ref, arena, out);
}

static const struct storage_ops ops = {
    tsdb_op_appender,
    tsdb_op_querier,
    tsdb_op_labels,
};

struct storage *tsdb_storage(struct tsdb *db)
{
    return &db->storage;
}

struct wal *tsdb_wal(struct tsdb *db)
{
    return db->wal;
}

const char *tsdb_wal_dir(const struct tsdb *db)
{
    return db->wal_dir;
}

void tsdb_stats(struct tsdb *db, struct tsdb_stats *out)
{
    struct head *h = db->head;

    (void)pthread_rwlock_rdlock(&h->index_lock);
    *out = (struct tsdb_stats){ .label_pairs = h->postings.count };
    (void)pthread_rwlock_unlock(&h->index_lock);
    out->series = atomic_load(&h->series_count);
    out->chunks = atomic_load(&h->chunk_count);
    out->min_time = atomic_load(&h->min_time);
    out->max_time = atomic_load(&h->max_time);
    out->corruptions = db->corruptions;
}

/* ---- opening and closing ---------------------------------------------- */

static sonde_code load(struct tsdb *db, const struct tsdb_options *o,
                       struct sonde_err *err)
{
    struct head_replay_options replay = {
        .progress = o->progress,
        .progress_arg = o->progress_arg,
        .corruptions = &db->corruptions,
        .canceled = o->canceled,
        .canceled_arg = o->canceled_arg,
    };
    struct wal_options wal = o->wal;
    sonde_code rc = SONDE_OK;

    if (fs_exists(db->wal_dir))
        rc = head_replay(db->head, db->wal_dir, &replay, err);
    if (rc != SONDE_OK)
        return rc;
    if (!wal.metrics)
        wal.metrics = o->metrics;
    rc = wal_open(db->wal_dir, &wal, &db->wal, err);
    db->head->wal = db->wal;
    return rc;
}

sonde_code tsdb_open(const char *dir, const struct tsdb_options *options,
                     struct tsdb **out, struct sonde_err *err)
{
    struct tsdb *db = mem_new(struct tsdb);
    sonde_code rc = fs_mkdirs(dir, 0750, err);

    db->storage.ops = &ops;
    db->lock.fd = -1;
    db->wal_dir = mem_alloc(strlen(dir) + sizeof("/wal"));
    (void)sprintf(db->wal_dir, "%s/wal", dir);
    if (rc == SONDE_OK)
        rc = dir_lock_take(&db->lock, dir, err);
    if (rc != SONDE_OK)
        goto fail;
    db->head = head_new(options->clock, options->log_only);
    head_metrics_register(&db->head->metrics, options->metrics);
    rc = load(db, options, err);
    if (rc != SONDE_OK)
        goto fail;
    db->metrics = options->metrics;
    if (db->metrics)
        selfmetrics_callback(db->metrics, head_metrics_page, db->head);
    *out = db;
    return SONDE_OK;
fail:
    tsdb_close(db);
    return rc;
}

void tsdb_close(struct tsdb *db)
{
    if (!db)
        return;
    if (db->metrics)
        selfmetrics_uncallback(db->metrics, head_metrics_page, db->head);
    wal_close(db->wal);
    head_free(db->head);
    dir_lock_release(&db->lock);
    free(db->wal_dir);
    free(db);
}
