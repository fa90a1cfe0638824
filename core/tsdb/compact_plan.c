/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do with the blocks that are there. Prometheus' rules, so that both
 * come to the same blocks from the same ones; planned again after each step
 * until nothing is left:
 *
 * 1. Blocks that share a time range are merged: a query over them costs more
 *    than over one.
 * 2. The newest block is left out: late data are written into its range. Of
 *    the rest, the blocks within an aligned range of the next level become
 *    one when they fill it, or when newer blocks show that nothing more will
 *    come.
 * 3. A block of which much is deleted is rewritten without.
 *
 * A group with a block whose merging failed once is left alone, in all three
 * (Prometheus tries overlapping ones again each minute, and fails again).
 *
 * Retention looks from the newest data, never at the clock: a store that
 * stood still for a year must not be empty when it is started again.
 */
#include "tsdb/compact_plan.h"

#include <stdlib.h>

#include "util/mem.h"

#define DAY_MS           (INT64_C(24) * 60 * 60 * 1000)
#define MAX_RANGE_MS     (31 * DAY_MS)
#define LEVEL_FACTOR     3
#define DELETED_TOO_MUCH 0.05

struct compact_ranges compact_ranges_of(sonde_msec min, sonde_msec max)
{
    struct compact_ranges r = { { min }, 1 };

    while (r.count < COMPACT_LEVELS_MAX) {
        sonde_msec last = r.items[r.count - 1];

        if (last > max / LEVEL_FACTOR)
            break;
        r.items[r.count++] = last * LEVEL_FACTOR;
    }
    return r;
}

sonde_msec compact_max_range(sonde_msec retention_ms)
{
    sonde_msec max = retention_ms / 10;

    return retention_ms == 0 || max > MAX_RANGE_MS ? MAX_RANGE_MS : max;
}

sonde_msec range_floor(sonde_msec t, sonde_msec range)
{
    sonde_msec rest = t % range;

    if (rest < 0)
        rest += range;
    return (sonde_msec)((uint64_t)t - (uint64_t)rest);
}

/* Times come from files and may be anything. */
static uint64_t span(sonde_msec from, sonde_msec to)
{
    return (uint64_t)to - (uint64_t)from;
}

/* ---- merging ---------------------------------------------------------- */

static bool any_failed(const struct block_meta *const *metas, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (metas[i]->failed)
            return true;
    return false;
}

/* How many from `first` on overlap with one before them; 1: none. */
static size_t overlap_run(const struct block_meta *const *metas, size_t n,
                          size_t first)
{
    sonde_msec end = metas[first]->maxt;
    size_t i = first + 1;

    for (; i < n && metas[i]->mint < end; i++)
        if (metas[i]->maxt > end)
            end = metas[i]->maxt;
    return i - first;
}

static struct compact_plan plan_overlaps(const struct block_meta *const *metas,
                                         size_t n)
{
    for (size_t i = 0, run; i < n; i += run) {
        run = overlap_run(metas, n, i);
        if (run > 1 && !any_failed(metas + i, run))
            return (struct compact_plan){ i, run, COMPACT_OVERLAP };
    }
    return (struct compact_plan){ 0 };
}

/* The blocks from `first` on that lie in one aligned range; 0: the first is
 * too long or lies across. */
static size_t range_run(const struct block_meta *const *metas, size_t n,
                        size_t first, sonde_msec range)
{
    sonde_msec begin = range_floor(metas[first]->mint, range);
    size_t i = first;

    while (i < n && span(begin, metas[i]->maxt) <= (uint64_t)range)
        i++;
    return i - first;
}

/* `newest` is the begin of the block that was left out. */
static bool range_is_due(const struct block_meta *const *metas, size_t run,
                         sonde_msec range, sonde_msec newest)
{
    sonde_msec end = metas[run - 1]->maxt;

    return !any_failed(metas, run) &&
           (span(metas[0]->mint, end) == (uint64_t)range || end <= newest);
}

static struct compact_plan plan_levels(const struct block_meta *const *metas,
                                       size_t n,
                                       const struct compact_ranges *ranges)
{
    for (size_t level = 1; level < ranges->count; level++) {
        sonde_msec range = ranges->items[level];

        for (size_t i = 0, run; i < n; i += run ? run : 1) {
            run = range_run(metas, n, i, range);
            /* of the rest, the newest one gives the bound */
            if (run > 1 &&
                range_is_due(metas + i, run, range, metas[n - 1]->mint))
                return (struct compact_plan){ i, run, COMPACT_LEVEL };
        }
    }
    return (struct compact_plan){ 0 };
}

static struct compact_plan plan_cleaning(const struct block_meta *const *metas,
                                         size_t n,
                                         const struct compact_ranges *ranges)
{
    sonde_msec large = ranges->items[ranges->count / 2];

    for (size_t i = n; i-- > 0;) {
        const struct block_meta *m = metas[i];
        double stones = (double)m->stats.tombstones;
        double series = (double)m->stats.series;
        bool small = span(m->mint, m->maxt) < (uint64_t)large;

        if (!m->failed && (small ? stones > 0 && stones >= series
                                 : stones / (series + 1) > DELETED_TOO_MUCH))
            return (struct compact_plan){ i, 1, COMPACT_CLEAN };
        if (small)
            break;
    }
    return (struct compact_plan){ 0 };
}

struct compact_plan compact_plan(const struct block_meta *const *metas,
                                 size_t n, const struct compact_ranges *ranges)
{
    struct compact_plan plan = plan_overlaps(metas, n);

    if (plan.count || n < 2)
        return plan;
    n--;
    plan = plan_levels(metas, n, ranges);
    return plan.count ? plan : plan_cleaning(metas, n, ranges);
}

/* ---- retention -------------------------------------------------------- */

static int newest_end_first(const void *a, const void *b, void *arg)
{
    const struct block_meta *const *metas = arg;
    size_t i = *(const size_t *)a, k = *(const size_t *)b;

    if (metas[i]->maxt != metas[k]->maxt)
        return metas[i]->maxt > metas[k]->maxt ? -1 : 1;
    return i > k ? -1 : i < k;
}

/* From the first block on that is old enough all go. */
static void drop_by_time(const struct block_meta *const *metas,
                         const size_t *order, size_t n, sonde_msec time_ms,
                         bool *drop)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t age = span(metas[order[i]]->maxt, metas[order[0]]->maxt);

        drop[order[i]] = age >= (uint64_t)time_ms;
    }
}

/* From the first block on that passes the limit all go. */
static void drop_by_size(const uint64_t *bytes, const size_t *order, size_t n,
                         const struct retention *limits, bool *drop)
{
    uint64_t sum = limits->other_bytes;

    for (size_t i = 0; i < n; i++) {
        sum += bytes[order[i]];
        if (sum > limits->bytes)
            drop[order[i]] = true;
    }
}

size_t retention_plan(const struct block_meta *const *metas,
                      const uint64_t *bytes, size_t n,
                      const struct retention *limits, bool *drop,
                      size_t *by_time)
{
    size_t *order = mem_alloc((n + 1) * sizeof(*order));
    size_t dropped = 0;

    for (size_t i = 0; i < n; i++) {
        order[i] = i;
        drop[i] = false;
    }
    qsort_r(order, n, sizeof(*order), newest_end_first, (void *)metas);
    if (limits->time_ms > 0)
        drop_by_time(metas, order, n, limits->time_ms, drop);
    *by_time = 0;
    for (size_t i = 0; i < n; i++)
        *by_time += drop[i];
    if (limits->bytes > 0)
        drop_by_size(bytes, order, n, limits, drop);
    for (size_t i = 0; i < n; i++)
        dropped += drop[i];
    free(order);
    return dropped;
}
