/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention: blocks that are too old or too much are deleted, whole ones
 * only. Logs and head chunks count against a limit of size, but are never
 * deleted for it. Deleting needs no space, so this runs on a full disk too;
 * it is what makes room there.
 */
#include <stdlib.h>
#include <sys/statvfs.h>

#include "tsdb/store.h"
#include "util/mem.h"

/* A share of the file system overrides a number of bytes. */
static uint64_t bytes_limit(const struct tsdb *db, const struct tsdb_limits *l)
{
    struct statvfs fs;

    if (l->retention_percent <= 0 || statvfs(db->dir, &fs) != 0)
        return l->retention_bytes;
    return (uint64_t)((double)fs.f_blocks * (double)fs.f_frsize *
                      l->retention_percent / 100);
}

static uint64_t other_bytes(const struct tsdb *db)
{
    static const char *const folders[] = { "wal", "wbl", "chunks_head" };
    uint64_t sum = 0;

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char *path = store_path(db->dir, folders[i]);

        sum += folder_bytes(path);
        free(path);
    }
    return sum;
}

static void drop(struct tsdb *db, const struct block_set *set,
                 const bool *chosen, size_t n, size_t by_time)
{
    struct block **gone = mem_alloc(n * sizeof(struct block *));
    size_t k = 0;

    for (size_t i = 0; i < set->count; i++)
        if (chosen[i])
            gone[k++] = set->items[i];
    block_sets_replace(&db->sets, gone, n, NULL, INT64_MIN);
    for (size_t i = 0; i < n; i++) {
        const struct block_meta *m = block_meta(gone[i]);

        log_info("tsdb", "deleted a block by retention",
                 LOG_CSTR("block", m->ulid.text), LOG_NUM("mint", m->mint),
                 LOG_NUM("maxt", m->maxt),
                 LOG_NUM("bytes", block_bytes(gone[i])));
        folder_drop(db, gone[i]);
    }
    if (by_time)
        metric_inc(db->m.time_retentions);
    if (n > by_time)
        metric_inc(db->m.size_retentions);
    free(gone);
}

void store_retain(struct tsdb *db)
{
    struct tsdb_limits l = store_limits(db);
    struct block_set *set = block_set_get(&db->sets);
    size_t n = set->count, by_time, dropped;
    const struct block_meta **metas = mem_alloc((n + 1) * sizeof(*metas));
    uint64_t *bytes = mem_alloc((n + 1) * sizeof(*bytes));
    bool *chosen = mem_alloc((n + 1) * sizeof(*chosen));
    struct retention limits = { .time_ms = l.retention_ms,
                                .bytes = bytes_limit(db, &l) };

    for (size_t i = 0; i < n; i++) {
        metas[i] = block_meta(set->items[i]);
        bytes[i] = block_bytes(set->items[i]);
    }
    if (limits.bytes)
        limits.other_bytes = other_bytes(db);
    dropped = retention_plan(metas, bytes, n, &limits, chosen, &by_time);
    if (dropped)
        drop(db, set, chosen, dropped, by_time);
    free(chosen);
    free(bytes);
    free(metas);
    block_set_put(set);
}
