/* SPDX-License-Identifier: Apache-2.0 */
/* Several queriers as one: the same label set is one series. */
#ifndef STORAGE_MERGE_H
#define STORAGE_MERGE_H

#include "storage/storage.h"

struct merge_source {
    struct querier *querier; /* becomes the merged one's                   */
    /* Told of damage in this source, once, from any thread that reads;
     * the answer then comes from what is left, with a warning. NULL: damage
     * is the query's error. */
    void (*damaged)(void *arg, const struct sonde_err *err);
    void *arg;
};

/* Sources from the oldest to the newest: they mostly follow each other in
 * time, and of two samples of one time the later source's is taken. Selecting
 * brings one series per label set; order undefined. */
struct querier *merge_querier(const struct merge_source *sources, size_t n);

#endif
