/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot: hard links to the files of all blocks, which never change, and
 * if wanted a block of what is in the head now. It is made in a folder with
 * another name, so that nobody takes a part of it for the whole. Tombstones
 * and meta.json are replaced by renaming, so links to them stay as they were;
 * they are small and copied all the same, for the sake of who edits one.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tsdb/late.h"
#include "tsdb/store.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/mem.h"

#define SMALL_FILE_MAX ((size_t)1 << 30)

/* ---- one block -------------------------------------------------------- */

static sonde_code link_file(const char *from, const char *to,
                            struct sonde_err *err)
{
    return link(from, to) == 0 ? SONDE_OK : fs_err(err, errno, "link to", to);
}

static sonde_code copy_file(const char *from, const char *to,
                            struct sonde_err *err)
{
    struct buf b;
    sonde_code rc;

    if (!fs_exists(from))
        return SONDE_OK;
    buf_init(&b);
    rc = fs_read(from, SMALL_FILE_MAX, &b, err);
    if (rc == SONDE_OK)
        rc = fs_write_atomic(to, buf_str(&b), 0644, err);
    buf_fini(&b);
    return rc;
}

static sonde_code one_file(const char *from, const char *to, const char *name,
                           sonde_code (*how)(const char *from, const char *to,
                                             struct sonde_err *err),
                           struct sonde_err *err)
{
    char *source = store_path(from, name), *target = store_path(to, name);
    sonde_code rc = how(source, target, err);

    free(source);
    free(target);
    return rc;
}

static sonde_code link_chunks(const char *from, const char *to,
                              struct sonde_err *err)
{
    char *source = store_path(from, "chunks"),
         *target = store_path(to, "chunks");
    struct fs_names names = { 0 };
    sonde_code rc = fs_mkdirs(target, 0750, err);

    if (rc == SONDE_OK)
        rc = fs_list(source, &names, err);
    for (size_t i = 0; i < names.count && rc == SONDE_OK; i++)
        rc = one_file(source, target, names.items[i], link_file, err);
    if (rc == SONDE_OK)
        rc = fs_sync_dir(target, err);
    fs_names_fini(&names);
    free(source);
    free(target);
    return rc;
}

static sonde_code link_block(const struct block *b, const char *folder,
                             struct sonde_err *err)
{
    const char *from = block_dir(b);
    char *to = store_path(folder, block_meta(b)->ulid.text);
    sonde_code rc = link_chunks(from, to, err);

    if (rc == SONDE_OK)
        rc = one_file(from, to, "index", link_file, err);
    if (rc == SONDE_OK)
        rc = one_file(from, to, "tombstones", copy_file, err);
    if (rc == SONDE_OK)
        rc = one_file(from, to, "meta.json", copy_file, err);
    if (rc == SONDE_OK)
        rc = fs_sync_dir(to, err);
    free(to);
    return rc;
}

/* ---- the head --------------------------------------------------------- */

static sonde_code head_block(struct tsdb *db, const char *folder,
                             struct sonde_err *err)
{
    struct compact_target target = { folder, db->options.clock, &db->stop };
    struct compact_head_source source = {
        .head = db->head,
        .mint = atomic_load(&db->head->min_time),
        .maxt = atomic_load(&db->head->max_time),
    };
    struct ulid made;
    sonde_code rc;

    if (source.mint > source.maxt || source.maxt == INT64_MAX)
        return SONDE_OK;
    source.maxt++;
    rc = compact_head(&source, &target, &made, err);
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

/* ---- the whole -------------------------------------------------------- */

static sonde_code fill(struct tsdb *db, bool with_head, const char *folder,
                       struct sonde_err *err)
{
    struct block_set *set = block_set_get(&db->sets);
    sonde_code rc = fs_mkdirs(folder, 0750, err);

    for (size_t i = 0; i < set->count && rc == SONDE_OK; i++)
        rc = link_block(set->items[i], folder, err);
    block_set_put(set);
    if (rc == SONDE_OK && with_head)
        rc = head_block(db, folder, err);
    return rc;
}

sonde_code tsdb_snapshot_to(struct tsdb *db, bool with_head, const char *to,
                            struct sonde_err *err)
{
    size_t size = strlen(to) + sizeof(".tmp");
    char *folder = mem_alloc(size);
    sonde_code rc;

    (void)snprintf(folder, size, "%s.tmp", to);
    if (fs_exists(to)) {
        free(folder);
        return sonde_err_set(err, SONDE_EEXIST, "snapshot to %s: it exists",
                             to);
    }
    (void)pthread_mutex_lock(&db->maint);
    rc = fs_remove_all(folder, err);
    if (rc == SONDE_OK)
        rc = fill(db, with_head, folder, err);
    if (rc == SONDE_OK && rename(folder, to) != 0)
        rc = fs_err(err, errno, "rename to", to);
    if (rc != SONDE_OK && fs_remove_all(folder, NULL) != SONDE_OK)
        log_warn("tsdb", "what was made of a snapshot stays",
                 LOG_CSTR("folder", folder));
    (void)pthread_mutex_unlock(&db->maint);
    free(folder);
    return rc == SONDE_OK ? rc : (sonde_err_prefix(err, "snapshot"), rc);
}

/* "20261121T164500Z-" and 16 hexadecimal digits, as Prometheus. */
static void make_name(sonde_msec now, char name[TSDB_SNAPSHOT_NAME])
{
    time_t seconds = (time_t)(now / 1000);
    uint64_t digits = 0;
    struct tm tm;
    size_t n;

    (void)gmtime_r(&seconds, &tm);
    n = strftime(name, TSDB_SNAPSHOT_NAME, "%Y%m%dT%H%M%SZ-", &tm);
    if (getrandom(&digits, sizeof(digits), 0) != (ssize_t)sizeof(digits))
        digits = clock_ns();
    (void)snprintf(name + n, TSDB_SNAPSHOT_NAME - n, "%016llx",
                   (unsigned long long)digits);
}

sonde_code tsdb_snapshot(struct tsdb *db, bool with_head,
                         char name[TSDB_SNAPSHOT_NAME], struct sonde_err *err)
{
    char *folder = store_path(db->dir, "snapshots"), *to;
    sonde_code rc = SONDE_EUNSUPPORTED;

    make_name(clock_now(db->options.clock), name);
    to = store_path(folder, name);
    if (db->options.log_only || db->options.read_only)
        (void)sonde_err_set(err, rc, "snapshot: not in this mode");
    else
        rc = fs_mkdirs(folder, 0750, err);
    if (rc == SONDE_OK)
        rc = tsdb_snapshot_to(db, with_head, to, err);
    free(to);
    free(folder);
    return rc;
}
