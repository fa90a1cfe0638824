/* SPDX-License-Identifier: Apache-2.0 */
/* How long idle sessions have been idle: a histogram for each state and
 * application, of which the exporter shows only the first. */
#include "families.h"
#include "special.h"

static const double bounds[] = { 1, 2, 5, 15, 30, 60, 90, 120, 300 };
enum {
    BOUNDS = sizeof(bounds) / sizeof(bounds[0]),
    FIXED = 4
};

static bool read_row(const struct rows *r, size_t row,
                     struct sonde_bucket buckets[BOUNDS], uint64_t *count,
                     double *sum)
{
    int64_t n;

    if (!text_whole(rows_text(r, row, 2), INT64_MAX, &n) ||
        !text_number(rows_text(r, row, 3), sum))
        return false;
    *count = (uint64_t)n;
    for (size_t i = 0; i < BOUNDS; i++) {
        if (!text_whole(rows_text(r, row, FIXED + i), INT64_MAX, &n) ||
            (uint64_t)n > *count || (i && (uint64_t)n < buckets[i - 1].count))
            return false;
        buckets[i] = (struct sonde_bucket){ bounds[i], (uint64_t)n };
    }
    return true;
}

sonde_code process_idle_emit(struct emit *e, const struct rows *r,
                             struct sonde_err *err)
{
    struct sonde_bucket buckets[BOUNDS];
    uint64_t count;
    double sum;

    if (r->count && r->columns != FIXED + BOUNDS)
        return sonde_err_set(err, SONDE_EPROTO,
                             "expected %d columns of idle sessions, got %zu",
                             FIXED + BOUNDS, r->columns);
    for (size_t i = 0; i < r->count; i++) {
        if (!read_row(r, i, buckets, &count, &sum))
            return sonde_err_set(err, SONDE_EPROTO,
                                 "row %zu of idle sessions is no histogram", i);
        emit_histogram(e, F_PROCESS_IDLE,
                       SONDE_LABELS(rows_text(r, i, 0), rows_text(r, i, 1)),
                       buckets, BOUNDS, count, sum);
    }
    return SONDE_OK;
}
