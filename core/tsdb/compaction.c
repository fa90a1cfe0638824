/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of compaction, each in an order that a kill may cut anywhere:
 *
 * Head to block: samples before the block's end are refused from here on;
 * the block is written and gets its name; it is served, and the head's part
 * of it is not any more; the head gives up what the block has; the log is
 * cut. Killed in between, the next start finds the block, and the log's
 * samples before its end are passed over.
 *
 * Late samples: the same, with a block for each range that has some.
 *
 * Blocks to block: the new one is written and gets its name, it is served in
 * the place of its parents, they are deleted. Killed in between, the next
 * start finds parents of a block that is there and deletes them.
 *
 * Whatever fails leaves all as it was. Blocks that are damaged inside are
 * marked, so that merging them is not tried again each minute; a full disk
 * and a stop mark nothing.
 */
#include <stdlib.h>

#include "tsdb/late.h"
#include "tsdb/store.h"
#include "util/clock.h"
#include "util/mem.h"

#define READERS_WAIT_MS (INT64_C(60) * 1000)

static struct compact_target target_of(struct tsdb *db)
{
    return (struct compact_target){ db->dir, db->options.clock, &db->stop };
}

sonde_code store_publish(struct tsdb *db, const struct ulid *made,
                         struct block *const *gone, size_t n,
                         sonde_msec head_from, struct sonde_err *err)
{
    struct block *b = NULL;
    sonde_code rc = SONDE_OK;

    if (made) {
        char *path = store_path(db->dir, made->text);

        rc = block_open(path, &b, err);
        free(path);
    }
    if (rc != SONDE_OK)
        return sonde_err_prefix(err, "serve the new block %s", made->text);
    block_sets_replace(&db->sets, gone, n, b, head_from);
    for (size_t i = 0; i < n; i++)
        folder_drop(db, gone[i]);
    return SONDE_OK;
}

static void tell_made(struct tsdb *db, const char *what,
                      const struct ulid *ulid, uint64_t began)
{
    double seconds = (double)(clock_ns() - began) / 1e9;

    metric_inc(db->m.compactions);
    metric_inc(db->m.compaction_count);
    metric_add_real(db->m.compaction_seconds, seconds);
    log_info("tsdb", what, LOG_CSTR("block", ulid->text),
             LOG_REAL("seconds", seconds));
}

static sonde_code count_failure(struct tsdb *db, sonde_code rc)
{
    if (rc != SONDE_OK && rc != SONDE_ECANCELED)
        metric_inc(db->m.compactions_failed);
    return rc;
}

/* ---- the head --------------------------------------------------------- */

static sonde_msec block_range(const struct tsdb *db)
{
    return db->options.min_block_ms ? db->options.min_block_ms : BLOCK_RANGE_MS;
}

bool store_head_is_full(const struct tsdb *db)
{
    int64_t mint = atomic_load(&db->head->min_time);
    int64_t maxt = atomic_load(&db->head->max_time);
    uint64_t range = (uint64_t)block_range(db);

    return mint <= maxt && (uint64_t)maxt - (uint64_t)mint > range + range / 2;
}

/* The end of the aligned range of a time; division truncates, as in Go. */
static sonde_msec aligned_end(sonde_msec t, sonde_msec range)
{
    sonde_msec end;

    if (__builtin_add_overflow(t / range * range, range, &end))
        return INT64_MAX;
    return end;
}

/* Who reads by an older list of blocks still needs the head's samples. */
static sonde_code wait_for_readers(struct tsdb *db, struct sonde_err *err)
{
    if (block_sets_settle(&db->sets, &db->stop, READERS_WAIT_MS))
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EAGAIN,
                         "give up samples that are in a block: a query that "
                         "began before still reads them");
}

/* What the head gives up is in a block, or was nothing. */
static sonde_code give_up(struct tsdb *db, sonde_msec end,
                          struct sonde_err *err)
{
    uint64_t keep = UINT64_MAX;
    sonde_code rc = wait_for_readers(db, err);

    if (rc != SONDE_OK)
        return rc;
    rc = head_truncate(db->head, end, err);
    metric_inc(db->m.head_truncations);
    if (rc == SONDE_OK && db->options.log_needed)
        keep = db->options.log_needed(db->options.log_arg);
    if (rc == SONDE_OK)
        rc = head_cut_log(db->head, db->wal_dir, end, keep, err);
    if (rc != SONDE_OK)
        metric_inc(db->m.head_truncations_failed);
    return rc;
}

static sonde_code head_to_block(struct tsdb *db, sonde_msec mint,
                                sonde_msec end, struct sonde_err *err)
{
    struct compact_head_source source = { db->head, mint, end, NULL };
    struct compact_target target = target_of(db);
    uint64_t began = clock_ns();
    struct ulid made;
    sonde_code rc;

    head_close_before(db->head, end);
    rc = compact_head(&source, &target, &made, err);
    if (rc == SONDE_ENOTFOUND)
        return store_publish(db, NULL, NULL, 0, end, err);
    if (rc == SONDE_OK)
        rc = store_publish(db, &made, NULL, 0, end, err);
    if (rc == SONDE_OK)
        tell_made(db, "made a block of the head", &made, began);
    return rc;
}

/* What a step before this one could not finish. */
static sonde_code give_up_rest(struct tsdb *db, struct sonde_err *err)
{
    struct block_set *set = block_set_get(&db->sets);
    sonde_msec from = set->head_from;

    block_set_put(set);
    if (atomic_load(&db->head->min_time) >= from)
        return SONDE_OK;
    return give_up(db, from, err);
}

sonde_code store_compact_head(struct tsdb *db, struct sonde_err *err)
{
    sonde_code rc = give_up_rest(db, err);

    while (rc == SONDE_OK && store_head_is_full(db) &&
           !atomic_load(&db->stop)) {
        sonde_msec mint = atomic_load(&db->head->min_time);
        sonde_msec end = aligned_end(mint, block_range(db));

        metric_inc(db->m.compactions_triggered);
        rc = count_failure(db, head_to_block(db, mint, end, err));
        if (rc == SONDE_OK)
            rc = give_up(db, end, err);
        late_set_due(&db->head->late);
        if (atomic_load(&db->head->min_time) < end)
            break;
    }
    return rc == SONDE_EAGAIN ? SONDE_OK : rc;
}

/* ---- late samples ----------------------------------------------------- */

static sonde_code late_to_block(struct tsdb *db, const struct late_cut *cut,
                                sonde_msec mint, sonde_msec end,
                                struct sonde_err *err)
{
    struct compact_head_source source = { db->head, mint, end, cut };
    struct compact_target target = target_of(db);
    uint64_t began = clock_ns();
    struct ulid made;
    sonde_code rc = compact_head(&source, &target, &made, err);

    if (rc == SONDE_ENOTFOUND)
        return SONDE_OK;
    if (rc == SONDE_OK)
        rc = store_publish(db, &made, NULL, 0, INT64_MIN, err);
    if (rc == SONDE_OK)
        tell_made(db, "made a block of samples out of order", &made, began);
    return count_failure(db, rc);
}

sonde_code store_compact_late(struct tsdb *db, struct sonde_err *err)
{
    sonde_msec range = block_range(db), end;
    struct late_cut cut;
    sonde_code rc, ended;

    if (!late_is_due(&db->head->late))
        return SONDE_OK;
    rc = late_cut_begin(db->head, &cut, err);
    if (rc != SONDE_OK)
        return rc;
    for (sonde_msec t = range_floor(cut.mint, range);
         cut.mint <= cut.maxt && t <= cut.maxt && rc == SONDE_OK; t = end) {
        if (__builtin_add_overflow(t, range, &end))
            break;
        rc = late_to_block(db, &cut, t, end, err);
    }
    if (rc == SONDE_OK && cut.mint <= cut.maxt)
        rc = wait_for_readers(db, err);
    ended = late_cut_end(&cut, rc == SONDE_OK, rc == SONDE_OK ? err : NULL);
    if (rc == SONDE_EAGAIN)
        return SONDE_OK;
    return rc == SONDE_OK ? ended : rc;
}

/* ---- blocks ----------------------------------------------------------- */

static bool mark(struct block *const *blocks, size_t n, bool deletable)
{
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        struct block_meta m = { 0 };
        struct sonde_err err;

        block_meta_copy(&m, block_meta(blocks[i]));
        m.deletable |= deletable;
        m.failed |= !deletable;
        if (block_meta_write(block_dir(blocks[i]), &m, &err) != SONDE_OK) {
            ok = false;
            log_warn("tsdb", "can not mark a block", LOG_ERRTEXT(&err));
        }
        block_meta_fini(&m);
    }
    return ok;
}

/* Served again with the marks that are on the disk now. */
static void reopen(struct tsdb *db, struct block *const *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct block *b;
        struct sonde_err err;

        if (block_open(block_dir(blocks[i]), &b, &err) != SONDE_OK)
            continue;
        block_sets_replace(&db->sets, &blocks[i], 1, b, INT64_MIN);
    }
}

sonde_code store_rewrite(struct tsdb *db, struct block *const *blocks, size_t n,
                         struct sonde_err *err)
{
    struct compact_target target = target_of(db);
    uint64_t began = clock_ns();
    struct ulid made;
    sonde_code rc;

    metric_set(db->m.populating, 1);
    rc = compact_blocks(blocks, n, &target, &made, err);
    metric_set(db->m.populating, 0);
    if (rc == SONDE_ENOTFOUND) {
        (void)mark(blocks, n, true);
        return store_publish(db, NULL, blocks, n, INT64_MIN, err);
    }
    if (rc == SONDE_OK)
        rc = store_publish(db, &made, blocks, n, INT64_MIN, err);
    if (rc == SONDE_OK)
        tell_made(db, n > 1 ? "merged blocks" : "rewrote a block", &made,
                  began);
    return count_failure(db, rc);
}

static sonde_code do_plan(struct tsdb *db, const struct block_set *set,
                          const struct compact_plan *plan,
                          struct sonde_err *err)
{
    struct block *const *blocks = set->items + plan->first;
    sonde_code rc;

    metric_inc(db->m.compactions_triggered);
    if (plan->why == COMPACT_OVERLAP)
        metric_inc(db->m.vertical);
    rc = store_rewrite(db, blocks, plan->count, err);
    if (rc != SONDE_ECORRUPT)
        return rc;
    store_corrupt(db);
    log_error("tsdb",
              "blocks can not be merged for damage in one of them; they are "
              "served as they are, and not tried again",
              LOG_NUM("blocks", plan->count), LOG_ERRTEXT(err));
    if (!mark(blocks, plan->count, false))
        return rc; /* else it would be planned again at once */
    reopen(db, blocks, plan->count);
    return SONDE_OK;
}

static struct compact_ranges ranges_of(struct tsdb *db)
{
    struct tsdb_limits l = store_limits(db);
    sonde_msec max = db->options.max_block_ms;

    return compact_ranges_of(block_range(db),
                             max ? max : compact_max_range(l.retention_ms));
}

/* One step; `*done`: there was none left. */
static sonde_code merge_step(struct tsdb *db, bool *done, struct sonde_err *err)
{
    struct block_set *set = block_set_get(&db->sets);
    const struct block_meta **metas =
        mem_alloc((set->count + 1) * sizeof(*metas));
    struct compact_ranges ranges = ranges_of(db);
    struct compact_plan plan;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < set->count; i++)
        metas[i] = block_meta(set->items[i]);
    plan = compact_plan(metas, set->count, &ranges);
    *done = plan.count == 0;
    if (plan.count)
        rc = do_plan(db, set, &plan, err);
    free(metas);
    block_set_put(set);
    return rc;
}

sonde_code store_compact_blocks(struct tsdb *db, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;
    bool done = false;

    while (!done && rc == SONDE_OK && !atomic_load(&db->stop))
        rc = merge_step(db, &done, err);
    return rc;
}
