/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deleting series: in each block a file of tombstones, in the head a record
 * of the log. Readers leave out what they name at once; the space comes back
 * when the block is merged, or rewritten by tsdb_clean_tombstones.
 */
#include <stdlib.h>

#include "tsdb/store.h"
#include "util/clock.h"
#include "util/mem.h"

static sonde_code read_only(const char *what, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EUNSUPPORTED,
                         "%s: the store is open for reading only", what);
}

static sonde_code delete_in(struct block *b, struct time_range range,
                            const struct matcher *matchers, size_t n,
                            struct sonde_err *err)
{
    const struct block_meta *m = block_meta(b);
    struct tombstones found = { 0 };
    sonde_code rc;

    if (m->mint > range.maxt || m->maxt <= range.mint)
        return SONDE_OK;
    rc = block_deletions(b, range, matchers, n, &found, err);
    if (rc == SONDE_OK && found.count)
        rc = block_add_tombstones(b, &found, err);
    tombstones_fini(&found);
    return rc;
}

sonde_code tsdb_delete(struct tsdb *db, sonde_msec mint, sonde_msec maxt,
                       const struct matcher *matchers, size_t n,
                       struct sonde_err *err)
{
    struct time_range range = { mint, maxt };
    struct block_set *set;
    sonde_code rc = SONDE_OK;

    if (db->options.read_only || db->options.log_only)
        return read_only("delete series", err);
    (void)pthread_mutex_lock(&db->maint);
    set = block_set_get(&db->sets);
    for (size_t i = 0; i < set->count && rc == SONDE_OK; i++)
        rc = delete_in(set->items[i], range, matchers, n, err);
    if (rc == SONDE_OK)
        rc = head_delete(db->head, mint, maxt, matchers, n, err);
    block_set_put(set);
    (void)pthread_mutex_unlock(&db->maint);
    return rc == SONDE_OK ? rc : (sonde_err_prefix(err, "delete series"), rc);
}

/* ---- taking them out --------------------------------------------------- */

static sonde_code clean_all(struct tsdb *db, const struct block_set *set,
                            struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < set->count && rc == SONDE_OK; i++)
        if (tombstones_ranges(block_tombstones(set->items[i])))
            rc = store_rewrite(db, &set->items[i], 1, err);
    return rc;
}

sonde_code tsdb_clean_tombstones(struct tsdb *db, struct sonde_err *err)
{
    uint64_t began = clock_ns();
    struct block_set *set;
    sonde_code rc;

    if (db->options.read_only || db->options.log_only)
        return read_only("clean tombstones", err);
    (void)pthread_mutex_lock(&db->maint);
    set = block_set_get(&db->sets);
    rc = clean_all(db, set, err);
    block_set_put(set);
    metric_inc(db->m.tombstone_count);
    metric_add_real(db->m.tombstone_seconds,
                    (double)(clock_ns() - began) / 1e9);
    (void)pthread_mutex_unlock(&db->maint);
    return rc;
}
