/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts on samples, summed up for who sent them. */
#include "storage/storage.h"

void append_stats_judged(struct append_stats *stats, series_ref ref,
                         sonde_msec t, enum append_verdict v)
{
    size_t *const counts[APPEND_VERDICTS] = {
        [APPEND_TAKEN] = &stats->appended,
        [APPEND_DUPLICATE_SAME] = &stats->duplicate_same,
        [APPEND_DUPLICATE_OTHER] = &stats->duplicate_other,
        [APPEND_OUT_OF_ORDER] = &stats->out_of_order,
        [APPEND_TOO_OLD] = &stats->too_old,
        [APPEND_TOO_FAR] = &stats->too_far,
        [APPEND_UNKNOWN_SERIES] = &stats->unknown_series,
    };

    ++*counts[v];
    if (v == APPEND_TAKEN || v == APPEND_DUPLICATE_SAME ||
        stats->rejected_count == APPEND_REJECTED_MAX)
        return;
    stats->rejected[stats->rejected_count++] =
        (struct append_rejected){ ref, t, v };
}
