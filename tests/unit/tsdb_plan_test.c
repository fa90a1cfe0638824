/* SPDX-License-Identifier: Apache-2.0 */
/* Which blocks are merged next and which are deleted: tables. Times are in
 * hours, so that a row reads like a time line. */
#include <string.h>

#include "tsdb/compact_plan.h"
#include "unit/tap.h"

#define HOUR INT64_C(3600000)
#define MAX  12

struct row_block {
    int from, to; /* hours; from == to: the end of the list                */
    int stones, series;
    bool failed;
};

static size_t make(const struct row_block *in, struct block_meta *metas,
                   const struct block_meta **list)
{
    size_t n = 0;

    for (; n < MAX && in[n].from != in[n].to; n++) {
        metas[n] = (struct block_meta){ .mint = in[n].from * HOUR,
                                        .maxt = in[n].to * HOUR,
                                        .failed = in[n].failed };
        metas[n].stats.tombstones = (uint64_t)in[n].stones;
        metas[n].stats.series = (uint64_t)in[n].series;
        list[n] = &metas[n];
    }
    return n;
}

/* ---- planning --------------------------------------------------------- */

static const struct {
    int line;
    struct row_block blocks[MAX];
    size_t first, count;
    int why;
} plans[] = {
    /* nothing */
    { __LINE__, { { 0 } }, 0, 0, 0 },
    { __LINE__, { { 0, 2 } }, 0, 0, 0 },
    { __LINE__, { { 0, 2 }, { 2, 4 } }, 0, 0, 0 },
    /* the newest is left out: three fill a range only when a fourth is there */
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, 0, 0, 0 },
    { __LINE__,
      { { 0, 2 }, { 2, 4 }, { 4, 6 }, { 6, 8 } },
      0,
      3,
      COMPACT_LEVEL },
    /* a gap: a newer block beyond the range shows that it is over */
    { __LINE__, { { 0, 2 }, { 4, 6 }, { 6, 8 } }, 0, 2, COMPACT_LEVEL },
    { __LINE__,
      { { 0, 2 }, { 2, 4 }, { 6, 8 }, { 8, 10 } },
      0,
      2,
      COMPACT_LEVEL },
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 6, 8 } }, 0, 0, 0 },
    /* one alone in its range has nobody to merge with */
    { __LINE__, { { 0, 2 }, { 6, 8 }, { 12, 14 } }, 0, 0, 0 },
    /* a begin that is not aligned, as the first block of a store has */
    { __LINE__,
      { { 1, 2 }, { 2, 4 }, { 4, 6 }, { 6, 8 }, { 8, 10 } },
      0,
      3,
      COMPACT_LEVEL },
    /* across two ranges: not merged */
    { __LINE__, { { 4, 8 }, { 8, 10 }, { 12, 14 }, { 14, 16 } }, 0, 0, 0 },
    /* the higher level */
    { __LINE__,
      { { 0, 6 }, { 6, 12 }, { 12, 18 }, { 18, 20 } },
      0,
      3,
      COMPACT_LEVEL },
    { __LINE__,
      { { 0, 6 }, { 6, 12 }, { 12, 14 }, { 14, 16 }, { 16, 18 }, { 18, 20 } },
      2,
      3,
      COMPACT_LEVEL },
    { __LINE__, { { 0, 6 }, { 6, 12 }, { 12, 18 } }, 0, 0, 0 },
    /* failed ones keep their group from being merged, not others */
    { __LINE__,
      { { 0, 2 }, { 2, 4, .failed = true }, { 4, 6 }, { 6, 8 } },
      0,
      0,
      0 },
    { __LINE__,
      { { 0, 2 },
        { 2, 4, .failed = true },
        { 4, 6 },
        { 6, 8 },
        { 8, 10 },
        { 10, 12 },
        { 12, 14 } },
      3,
      3,
      COMPACT_LEVEL },
    /* before 1970 */
    { __LINE__,
      { { -6, -4 }, { -4, -2 }, { -2, 0 }, { 0, 2 } },
      0,
      3,
      COMPACT_LEVEL },
    { __LINE__,
      { { -8, -6 }, { -6, -4 }, { -4, -2 }, { 0, 2 }, { 2, 4 } },
      1,
      2,
      COMPACT_LEVEL },

    /* overlaps come first, the newest block included */
    { __LINE__, { { 0, 2 }, { 0, 2 } }, 0, 2, COMPACT_OVERLAP },
    { __LINE__, { { 0, 2 }, { 1, 3 } }, 0, 2, COMPACT_OVERLAP },
    { __LINE__,
      { { 0, 2 }, { 2, 4 }, { 4, 6 }, { 5, 6 }, { 6, 8 } },
      2,
      2,
      COMPACT_OVERLAP },
    /* a chain, and one long over several short */
    { __LINE__,
      { { 0, 4 }, { 2, 6 }, { 4, 8 }, { 8, 10 } },
      0,
      3,
      COMPACT_OVERLAP },
    { __LINE__,
      { { 0, 18 }, { 2, 4 }, { 6, 8 }, { 18, 20 } },
      0,
      3,
      COMPACT_OVERLAP },
    /* ends are open: touching is not overlapping */
    { __LINE__, { { 0, 2 }, { 2, 4 } }, 0, 0, 0 },
    /* a failed one is not tried again, the next run is */
    { __LINE__,
      { { 0, 2, .failed = true }, { 0, 2 }, { 4, 6 }, { 4, 6 } },
      2,
      2,
      COMPACT_OVERLAP },
    { __LINE__, { { 0, 2, .failed = true }, { 0, 2 } }, 0, 0, 0 },

    /* deleted samples: 5 % of a block of the middle level, all of a small */
    { __LINE__, { { 0, 6, 6, 100 }, { 6, 8, 0, 100 } }, 0, 1, COMPACT_CLEAN },
    { __LINE__, { { 0, 6, 5, 100 }, { 6, 8, 0, 100 } }, 0, 0, 0 },
    { __LINE__, { { 0, 2, 99, 100 }, { 2, 4, 0, 100 } }, 0, 0, 0 },
    { __LINE__, { { 0, 2, 100, 100 }, { 2, 4, 0, 100 } }, 0, 1, COMPACT_CLEAN },
    { __LINE__, { { 0, 2, 0, 0 }, { 2, 4, 0, 100 } }, 0, 0, 0 },
    /* the first small one ends the search */
    { __LINE__,
      { { 0, 6, 50, 100 }, { 6, 8, 1, 100 }, { 8, 10, 0, 100 } },
      0,
      0,
      0 },
    { __LINE__,
      { { 0, 6, 50, 100 }, { 6, 12, 60, 100 }, { 12, 14, 0, 100 } },
      1,
      1,
      COMPACT_CLEAN },
    { __LINE__,
      { { 0, 6, 60, 100, .failed = true }, { 6, 8, 0, 100 } },
      0,
      0,
      0 },
};

static void plan(void)
{
    struct compact_ranges ranges = compact_ranges_of(2 * HOUR, 36 * HOUR);

    CU_ASSERT_EQUAL(ranges.count, 3);
    CU_ASSERT_EQUAL(ranges.items[2], 18 * HOUR);
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        struct block_meta metas[MAX];
        const struct block_meta *list[MAX];
        size_t n = make(plans[i].blocks, metas, list);
        struct compact_plan p = compact_plan(list, n, &ranges);

        ROW_ASSERT(&plans[i], p.count == plans[i].count);
        ROW_ASSERT(&plans[i], p.count == 0 || p.first == plans[i].first);
        ROW_ASSERT(&plans[i], p.count == 0 || (int)p.why == plans[i].why);
    }
}

static void only_one_level(void)
{
    struct compact_ranges ranges = compact_ranges_of(2 * HOUR, 2 * HOUR);
    struct block_meta metas[4];
    const struct block_meta *list[4];

    CU_ASSERT_EQUAL(ranges.count, 1);
    for (int i = 0; i < 4; i++) {
        metas[i] = (struct block_meta){ .mint = 2 * i * HOUR,
                                        .maxt = 2 * (i + 1) * HOUR };
        list[i] = &metas[i];
    }
    CU_ASSERT_EQUAL(compact_plan(list, 4, &ranges).count, 0);
}

/* Times of a damaged meta.json must not get it into undefined arithmetic. */
static void extreme_times(void)
{
    struct compact_ranges ranges = compact_ranges_of(2 * HOUR, 36 * HOUR);
    struct block_meta metas[] = { { .mint = INT64_MIN, .maxt = INT64_MAX },
                                  { .mint = INT64_MAX, .maxt = INT64_MIN },
                                  { .mint = INT64_MAX, .maxt = INT64_MAX } };
    const struct block_meta *list[] = { &metas[0], &metas[1], &metas[2] };
    struct retention r = { .time_ms = HOUR };
    uint64_t bytes[3] = { 0 };
    size_t by_time;
    bool drop[3];

    CU_ASSERT(compact_plan(list, 3, &ranges).count <= 3);
    CU_ASSERT(retention_plan(list, bytes, 3, &r, drop, &by_time) <= 3);
}

static void longest_block(void)
{
    CU_ASSERT_EQUAL(compact_max_range(0), 31 * 24 * HOUR);
    CU_ASSERT_EQUAL(compact_max_range(15 * 24 * HOUR), 36 * HOUR);
    CU_ASSERT_EQUAL(compact_max_range(4000 * 24 * HOUR), 31 * 24 * HOUR);
}

static void floors(void)
{
    CU_ASSERT_EQUAL(range_floor(7, 3), 6);
    CU_ASSERT_EQUAL(range_floor(6, 3), 6);
    CU_ASSERT_EQUAL(range_floor(-1, 3), -3);
    CU_ASSERT_EQUAL(range_floor(-3, 3), -3);
}

/* ---- retention -------------------------------------------------------- */

static const struct {
    int line;
    struct row_block blocks[MAX];
    struct retention limits; /* time in hours                              */
    const char *dropped;     /* a letter each: x goes                      */
    size_t by_time;
} kept[] = {
    /* every block has 100 bytes */
    { __LINE__, { { 0 } }, { 1, 1, 0 }, "", 0 },
    { __LINE__, { { 0, 2 }, { 2, 4 } }, { 0, 0, 0 }, "..", 0 },
    /* by time: counted from the newest block's end, at the limit it goes */
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, { 4, 0, 0 }, "x..", 1 },
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, { 5, 0, 0 }, "...", 0 },
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, { 1, 0, 0 }, "xx.", 2 },
    /* the newest is never too old */
    { __LINE__, { { 0, 2 } }, { 1, 0, 0 }, ".", 0 },
    /* a long block stays for its newest sample */
    { __LINE__, { { 0, 6 }, { 2, 4 }, { 6, 8 } }, { 4, 0, 0 }, ".x.", 1 },
    /* by size, newest first */
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, { 0, 300, 0 }, "...", 0 },
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, { 0, 299, 0 }, "x..", 0 },
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, { 0, 300, 1 }, "x..", 0 },
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, { 0, 99, 0 }, "xxx", 0 },
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, { 0, 300, 900 }, "xxx", 0 },
    /* both */
    { __LINE__, { { 0, 2 }, { 2, 4 }, { 4, 6 } }, { 4, 100, 0 }, "xx.", 1 },
};

static void retain(void)
{
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        struct block_meta metas[MAX];
        const struct block_meta *list[MAX];
        size_t n = make(kept[i].blocks, metas, list), by_time, dropped = 0;
        struct retention limits = kept[i].limits;
        uint64_t bytes[MAX];
        bool drop[MAX];

        limits.time_ms *= HOUR;
        for (size_t k = 0; k < n; k++) {
            bytes[k] = 100;
            dropped += kept[i].dropped[k] == 'x';
        }
        ROW_ASSERT(&kept[i], retention_plan(list, bytes, n, &limits, drop,
                                            &by_time) == dropped);
        ROW_ASSERT(&kept[i], by_time == kept[i].by_time);
        for (size_t k = 0; k < n; k++)
            ROW_ASSERT(&kept[i], drop[k] == (kept[i].dropped[k] == 'x'));
    }
}

static const struct tap_test tests[] = {
    { "plan", plan },
    { "only one level", only_one_level },
    { "extreme times", extreme_times },
    { "longest block", longest_block },
    { "floors", floors },
    { "retain", retain },
};

int main(void)
{
    return TAP_RUN("tsdb_plan", tests);
}
