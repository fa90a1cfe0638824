/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting the segments that nobody needs any more. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"
#include "wal/segments.h"
#include "wal/writer.h"

static sonde_code remove_segment(struct wal *w, uint64_t number,
                                 struct sonde_err *err)
{
    char *path = segment_path(w->dir, number);
    struct stat st;
    sonde_code rc = SONDE_OK;

    if (stat(path, &st) != 0)
        st.st_size = 0;
    if (unlink(path) != 0 && errno != ENOENT) {
        rc = fs_err(err, errno, "delete log segment", path);
    } else {
        (void)pthread_mutex_lock(&w->lock);
        w->older_bytes -= (uint64_t)st.st_size < w->older_bytes
                              ? (uint64_t)st.st_size
                              : w->older_bytes;
        wal_publish_size(w);
        (void)pthread_mutex_unlock(&w->lock);
    }
    free(path);
    return rc;
}

sonde_code wal_truncate(struct wal *w, uint64_t keep, struct sonde_err *err)
{
    uint64_t current = wal_end(w).segment;
    struct segments all;
    sonde_code rc = segments_list(w->dir, &all, err);

    metric_inc(w->m.truncations);
    for (size_t i = 0; rc == SONDE_OK && i < all.count; i++)
        if (all.numbers[i] < keep && all.numbers[i] < current)
            rc = remove_segment(w, all.numbers[i], err);
    segments_fini(&all);
    if (rc == SONDE_OK)
        rc = fs_sync_dir(w->dir, err);
    if (rc != SONDE_OK)
        metric_inc(w->m.truncations_failed);
    return rc;
}
