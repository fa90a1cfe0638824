/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as others see it: opened and closed in the right order, and the
 * door to it.
 *
 * Opening: the directory, its lock before anything in it is touched, what an
 * earlier life left half-made, the blocks, the log into the head (without
 * what is in blocks), a new segment of the log, the thread. Closing is the
 * reverse, the lock last. What fails half-way is closed by the same function.
 */
#include "tsdb/tsdb.h"

#include <stdlib.h>

#include "tsdb/dir_lock.h"
#include "tsdb/head.h"
#include "tsdb/head_save.h"
#include "tsdb/store.h"
#include "tsdb/store_querier.h"
#include "util/fs.h"
#include "util/mem.h"

/* ---- the door --------------------------------------------------------- */

static struct tsdb *tsdb_of(struct storage *s)
{
    return (struct tsdb *)((char *)s - offsetof(struct tsdb, storage));
}

static struct appender *tsdb_op_appender(struct storage *s)
{
    return head_appender(tsdb_of(s)->head);
}

bool store_note_damaged(struct tsdb *db, const struct ulid *ulid)
{
    size_t max = sizeof(db->damaged) / sizeof(db->damaged[0]);
    bool known = false;

    (void)pthread_mutex_lock(&db->state);
    for (size_t i = 0; i < db->damaged_count; i++)
        known |= strcmp(db->damaged[i].text, ulid->text) == 0;
    if (!known && db->damaged_count < max)
        db->damaged[db->damaged_count++] = *ulid;
    known |= db->damaged_count == max;
    (void)pthread_mutex_unlock(&db->state);
    return !known;
}

static void block_damaged(void *arg, struct block *b,
                          const struct sonde_err *err)
{
    struct tsdb *db = arg;

    if (!store_note_damaged(db, &block_meta(b)->ulid))
        return;
    store_corrupt(db);
    log_error("tsdb",
              "a block is damaged inside; queries answer with what is left",
              LOG_CSTR("block", block_meta(b)->ulid.text), LOG_ERRTEXT(err));
}

static void release_set(void *set)
{
    block_set_put(set);
}

/* The list of blocks is held for as long as the querier is there: the head
 * keeps what is not in them until then. */
static sonde_code tsdb_op_querier(struct storage *s, sonde_msec mint,
                                  sonde_msec maxt, struct querier **out,
                                  struct sonde_err *err)
{
    struct tsdb *db = tsdb_of(s);
    struct store_view view = { .damaged = block_damaged,
                               .arg = db,
                               .release = release_set };
    struct block_set *set;
    sonde_code rc = head_querier(db->head, mint, maxt, &view.head, err);

    if (rc != SONDE_OK)
        return rc;
    set = block_set_get(&db->sets);
    view.blocks = set->items;
    view.count = set->count;
    view.held = set;
    return store_querier(&view, mint, maxt, out, err);
}

static bool tsdb_op_labels(struct storage *s, series_ref ref,
                           struct arena *arena, struct labels *out)
{
    return head_labels(tsdb_of(s)->head, ref, arena, out);
}

static sonde_code tsdb_op_exemplars(struct storage *s,
                                    const struct matcher *const *sets,
                                    const size_t *set_counts, size_t n,
                                    sonde_msec mint, sonde_msec maxt,
                                    struct arena *arena,
                                    struct exemplar_series **out,
                                    size_t *out_count, struct sonde_err *err)
{
    return head_exemplars(tsdb_of(s)->head, sets, set_counts, n, mint, maxt,
                          arena, out, out_count, err);
}

static const struct storage_ops ops = {
    .appender = tsdb_op_appender,
    .querier = tsdb_op_querier,
    .labels = tsdb_op_labels,
    .exemplars = tsdb_op_exemplars,
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

/* ---- state ------------------------------------------------------------ */

struct tsdb_limits store_limits(struct tsdb *db)
{
    struct tsdb_limits l;

    (void)pthread_mutex_lock(&db->state);
    l = db->limits;
    (void)pthread_mutex_unlock(&db->state);
    return l;
}

void tsdb_set_limits(struct tsdb *db, const struct tsdb_limits *limits)
{
    exemplars_set_max(&db->head->exemplars, limits->max_exemplars);
    (void)pthread_mutex_lock(&db->state);
    db->limits = *limits;
    (void)pthread_mutex_unlock(&db->state);
    if (!db->options.log_only)
        late_set_window(&db->head->late, limits->out_of_order_ms);
    store_kick(db);
}

void store_corrupt(struct tsdb *db)
{
    metric_inc(db->m.corruptions);
    (void)pthread_mutex_lock(&db->state);
    db->corruptions++;
    (void)pthread_mutex_unlock(&db->state);
}

void tsdb_stats(struct tsdb *db, struct tsdb_stats *out)
{
    struct head *h = db->head;
    struct block_set *set = block_set_get(&db->sets);

    (void)pthread_rwlock_rdlock(&h->index_lock);
    *out = (struct tsdb_stats){ .label_pairs = postings_pairs(&h->postings) };
    (void)pthread_rwlock_unlock(&h->index_lock);
    out->series = atomic_load(&h->series_count);
    out->chunks = atomic_load(&h->chunk_count);
    out->min_time = atomic_load(&h->min_time);
    out->max_time = atomic_load(&h->max_time);
    out->oldest = out->min_time;
    out->blocks = set->count;
    out->block_bytes = set->bytes;
    if (set->count && block_meta(set->items[0])->mint < out->oldest)
        out->oldest = block_meta(set->items[0])->mint;
    block_set_put(set);
    (void)pthread_mutex_lock(&db->state);
    out->corruptions = db->replay_corruptions + db->corruptions;
    out->quarantined = db->quarantined;
    (void)pthread_mutex_unlock(&db->state);
}

struct block **tsdb_blocks(struct tsdb *db, size_t *count)
{
    struct block_set *set = block_set_get(&db->sets);
    struct block **blocks = mem_alloc((set->count + 1) * sizeof(*blocks));

    *count = set->count;
    for (size_t i = 0; i < set->count; i++)
        blocks[i] = block_ref(set->items[i]);
    block_set_put(set);
    return blocks;
}

void tsdb_blocks_free(struct block **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        block_unref(blocks[i]);
    free(blocks);
}

/* ---- opening and closing ---------------------------------------------- */

static size_t count_quarantined(const struct tsdb *db)
{
    char *path = store_path(db->dir, QUARANTINE_NAME);
    struct fs_names names;
    size_t n = 0;

    if (fs_list(path, &names, NULL) == SONDE_OK) {
        n = names.count;
        fs_names_fini(&names);
    }
    free(path);
    return n;
}

static sonde_code load_blocks(struct tsdb *db, struct sonde_err *err)
{
    struct block_set *set;
    sonde_msec end;
    sonde_code rc;

    if (!db->options.read_only)
        folder_clean(db);
    db->quarantined = count_quarantined(db);
    rc = folder_reload(db, err);
    if (rc != SONDE_OK)
        return rc;
    db->blocks_loaded = true;
    if (!db->options.read_only)
        store_retain(db);
    set = block_set_get(&db->sets);
    end = block_set_end(set);
    if (set->count)
        log_info("tsdb", "blocks loaded", LOG_NUM("blocks", set->count),
                 LOG_NUM("bytes", set->bytes));
    block_set_put(set);
    head_close_before(db->head, end);
    block_sets_replace(&db->sets, NULL, 0, NULL, end);
    return SONDE_OK;
}

/* The log of late samples is beside the other. */
static sonde_code load_late(struct tsdb *db, const struct tsdb_options *o,
                            const struct head_replay_options *replay,
                            struct sonde_err *err)
{
    struct wal_options wal = o->wal;
    char *dir = store_path(db->dir, "wbl");
    sonde_code rc;

    if (!wal.metrics)
        wal.metrics = o->metrics;
    late_set_cap(&db->head->late, o->out_of_order_cap);
    rc = late_open(db->head, dir, o->read_only ? NULL : &wal, replay, err);
    free(dir);
    if (rc == SONDE_OK && !o->read_only)
        late_set_window(&db->head->late, o->limits.out_of_order_ms);
    return rc;
}

static sonde_code load_chunks(struct tsdb *db, struct sonde_err *err)
{
    char *dir = store_path(db->dir, "chunks_head");
    sonde_code rc = head_open_files(db->head, dir, db->options.read_only, err);

    free(dir);
    return rc;
}

static sonde_code load_log(struct tsdb *db, const struct tsdb_options *o,
                           struct sonde_err *err)
{
    struct head_replay_options replay = {
        .progress = o->progress,
        .progress_arg = o->progress_arg,
        .corruptions = &db->replay_corruptions,
        .canceled = o->canceled,
        .canceled_arg = o->canceled_arg,
        .read_only = o->read_only,
        .saved_dir = o->log_only ? NULL : db->dir,
    };
    struct wal_options wal = o->wal;
    sonde_code rc = SONDE_OK;

    if (!o->log_only)
        rc = load_chunks(db, err);
    if (rc == SONDE_OK && fs_exists(db->wal_dir))
        rc = head_replay(db->head, db->wal_dir, &replay, err);
    else if (rc == SONDE_OK && !o->read_only)
        head_saved_clean(db->dir, NULL);
    if (rc == SONDE_OK && !o->log_only)
        rc = load_late(db, o, &replay, err);
    if (rc == SONDE_OK)
        head_settle_chunks(db->head);
    if (rc != SONDE_OK || o->read_only)
        return rc;
    if (!wal.metrics)
        wal.metrics = o->metrics;
    rc = wal_open(db->wal_dir, &wal, &db->wal, err);
    db->head->wal = db->wal;
    return rc;
}

static struct tsdb *store_new(const char *dir, const struct tsdb_options *o)
{
    struct tsdb *db = mem_new(struct tsdb);
    pthread_condattr_t attr;

    db->storage.ops = &ops;
    db->options = *o;
    db->limits = o->limits;
    db->lock.fd = -1;
    db->dir = mem_strdup(sonde_cstr(dir));
    db->wal_dir = store_path(dir, "wal");
    block_sets_init(&db->sets);
    (void)pthread_mutex_init(&db->maint, NULL);
    (void)pthread_mutex_init(&db->state, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&db->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    store_metrics_register(&db->m, o->metrics);
    db->head = head_new(o->clock, o->log_only);
    head_metrics_register(&db->head->metrics, o->metrics);
    exemplars_register(&db->head->exemplars, o->metrics);
    exemplars_set_max(&db->head->exemplars, o->limits.max_exemplars);
    return db;
}

static sonde_code take_folder(struct tsdb *db, struct sonde_err *err)
{
    sonde_code rc;

    if (db->options.read_only)
        return fs_exists(db->dir)
                   ? SONDE_OK
                   : sonde_err_set(err, SONDE_ENOTFOUND,
                                   "open data directory %s: it does not exist",
                                   db->dir);
    rc = fs_mkdirs(db->dir, 0750, err);
    if (rc == SONDE_OK && !db->options.no_lockfile)
        rc = dir_lock_take(&db->lock, db->dir, err);
    return rc;
}

sonde_code tsdb_open(const char *dir, const struct tsdb_options *options,
                     struct tsdb **out, struct sonde_err *err)
{
    struct tsdb *db = store_new(dir, options);
    sonde_code rc = take_folder(db, err);

    if (rc == SONDE_OK && !options->log_only)
        rc = load_blocks(db, err);
    if (rc == SONDE_OK)
        rc = load_log(db, options, err);
    if (rc != SONDE_OK) {
        tsdb_close(db);
        return rc;
    }
    db->truncated_at = clock_monotonic(options->clock);
    db->metrics = options->metrics;
    if (db->metrics) {
        selfmetrics_callback(db->metrics, head_metrics_page, db->head);
        selfmetrics_callback(db->metrics, store_metrics_page, db);
    }
    db->head->grew = store_head_grew;
    db->head->grew_arg = db;
    if (!options->no_thread && !options->read_only)
        store_thread_start(db);
    *out = db;
    return SONDE_OK;
}

/* The head is saved behind it: then its last segment is never younger. */
static void close_log(struct tsdb *db)
{
    struct sonde_err err;
    struct wal_position end;
    enum wal_compression how;
    bool save;

    if (!db->wal)
        return;
    end = wal_end(db->wal);
    how = wal_compression_of(db->wal);
    save = db->options.snapshot_on_close && !db->options.log_only;
    if (save && wal_sync(db->wal, &err) != SONDE_OK)
        save = false; /* said by the log */
    wal_close(db->wal);
    db->wal = db->head->wal = NULL;
    if (save && head_save(db->head, db->dir, end, how, &err) != SONDE_OK)
        log_warn("tsdb", "the next start reads the log", LOG_ERRTEXT(&err));
}

void tsdb_close(struct tsdb *db)
{
    if (!db)
        return;
    store_thread_stop(db);
    if (db->metrics) {
        selfmetrics_uncallback(db->metrics, store_metrics_page, db);
        selfmetrics_uncallback(db->metrics, head_metrics_page, db->head);
    }
    if (db->wal && head_map_chunks(db->head, NULL) != SONDE_OK) {
        /* said already; the log has the samples */
    }
    close_log(db);
    head_free(db->head);
    block_sets_fini(&db->sets);
    dir_lock_release(&db->lock);
    (void)pthread_cond_destroy(&db->wake);
    (void)pthread_mutex_destroy(&db->state);
    (void)pthread_mutex_destroy(&db->maint);
    free(db->doomed);
    free(db->wal_dir);
    free(db->dir);
    free(db);
}
