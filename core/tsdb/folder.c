/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocks on the disk, and the list of those that are served.
 *
 * Every change of the folder is one rename, so whatever moment a kill hits,
 * the next start finds one of a few states and goes on from there:
 *
 * - X.tmp-for-creation: a block that was not finished. Removed; what it was
 *   made of is still there.
 * - A block and its parents: it was finished, the parents were not deleted
 *   yet. Parents of a block that opens are removed; those of one that does
 *   not open are kept and served.
 * - X.tmp-for-deletion: half removed. The rest is.
 * - A block that says `deletable`: all in it was deleted. Removed.
 *
 * A block that does not open is moved to quarantine/, where nobody reads or
 * deletes it, and is said aloud. Only damage is a reason for that: when the
 * disk can not be read at the moment, the block is left where it is and tried
 * again later.
 *
 * The same look at the folder is taken each minute, so that blocks which
 * another program brings (a back-fill) are served and ones that somebody took
 * away are not. What does not open then may be half copied, and is left where
 * it is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tsdb/store.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

struct candidate {
    struct ulid ulid;
    struct block *block; /* NULL: it did not open, or was served before     */
    struct block *served;
    sonde_code rc;
    struct sonde_err why;
    bool gone; /* merged into another, or all deleted                       */
};

struct scan {
    struct tsdb *db;
    struct candidate *items; /* sorted by ULID                              */
    size_t count, cap;
};

char *store_path(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = mem_alloc(size);

    (void)snprintf(path, size, "%s/%s", dir, name);
    return path;
}

uint64_t folder_bytes(const char *path)
{
    DIR *dir = opendir(path);
    uint64_t sum = 0;
    struct dirent *e;

    while (dir && (e = readdir(dir))) {
        struct stat st;

        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(st.st_mode)) {
            sum += (uint64_t)st.st_size;
        } else if (S_ISDIR(st.st_mode) && e->d_name[0] != '.') {
            char *sub = store_path(path, e->d_name);

            sum += folder_bytes(sub);
            free(sub);
        }
    }
    if (dir)
        (void)closedir(dir);
    return sum;
}

/* ---- cleaning --------------------------------------------------------- */

/* "ULID.tmp...": the folder of a block that is not one (yet, any more). */
static bool is_half_made(const char *name)
{
    static const char *const endings[] = { ".tmp", ".tmp-for-creation",
                                           ".tmp-for-deletion" };
    struct ulid ulid;

    if (strlen(name) <= ULID_CHARS ||
        !ulid_parse((sonde_str){ name, ULID_CHARS }, &ulid))
        return false;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (strcmp(name + ULID_CHARS, endings[i]) == 0)
            return true;
    return false;
}

void folder_clean(struct tsdb *db)
{
    struct fs_names names;
    struct sonde_err err;

    if (fs_list(db->dir, &names, &err) != SONDE_OK)
        return;
    for (size_t i = 0; i < names.count; i++) {
        char *path;

        if (!is_half_made(names.items[i]))
            continue;
        path = store_path(db->dir, names.items[i]);
        if (fs_remove_all(path, &err) == SONDE_OK)
            log_info("tsdb", "removed a block that was half made or deleted",
                     LOG_CSTR("folder", path));
        else
            log_warn("tsdb", "a half-made block stays", LOG_ERRTEXT(&err));
        free(path);
    }
    fs_names_fini(&names);
}

/* ---- quarantine ------------------------------------------------------- */

static bool move_away(struct tsdb *db, const char *name, char **to,
                      struct sonde_err *err)
{
    char *from = store_path(db->dir, name);
    char *folder = store_path(db->dir, QUARANTINE_NAME);
    bool moved;

    *to = store_path(folder, name);
    if (fs_exists(*to) && fs_remove_all(*to, err) != SONDE_OK)
        moved = false;
    else if (mkdir(folder, 0750) != 0 && errno != EEXIST)
        moved = fs_err(err, errno, "create folder", folder) == SONDE_OK;
    else if (rename(from, *to) != 0)
        moved = fs_err(err, errno, "move to", *to) == SONDE_OK;
    else
        moved = fs_sync_dir(db->dir, err) == SONDE_OK;
    free(folder);
    free(from);
    return moved;
}

static void quarantine(struct tsdb *db, const struct candidate *c)
{
    struct sonde_err err = { 0 };
    char *to;

    store_corrupt(db);
    if (db->options.read_only) {
        log_error("tsdb", "a block is damaged and not served",
                  LOG_CSTR("block", c->ulid.text), LOG_ERRTEXT(&c->why));
        return;
    }
    if (move_away(db, c->ulid.text, &to, &err)) {
        (void)pthread_mutex_lock(&db->state);
        db->quarantined++;
        (void)pthread_mutex_unlock(&db->state);
        log_error("tsdb",
                  "a block is damaged; it is put aside and its samples are "
                  "not served",
                  LOG_CSTR("block", c->ulid.text), LOG_CSTR("now_in", to),
                  LOG_ERRTEXT(&c->why));
    } else {
        log_error("tsdb", "a block is damaged and can not be put aside",
                  LOG_CSTR("block", c->ulid.text), LOG_ERRTEXT(&c->why),
                  LOG_CSTR("move", err.text));
    }
    free(to);
}

/* Damage, not a disk that can not be read just now. */
static bool is_damage(sonde_code rc)
{
    return rc == SONDE_ECORRUPT || rc == SONDE_EPARSE || rc == SONDE_ENOTFOUND;
}

/* ---- dropping --------------------------------------------------------- */

void folder_drop(struct tsdb *db, struct block *b)
{
    db->doomed = mem_grow(db->doomed, &db->doomed_cap, db->doomed_count + 1,
                          sizeof(*db->doomed));
    db->doomed[db->doomed_count++] = block_meta(b)->ulid;
    block_drop(b);
}

static bool is_doomed(const struct tsdb *db, const char *name)
{
    for (size_t i = 0; i < db->doomed_count; i++)
        if (strcmp(db->doomed[i].text, name) == 0)
            return true;
    return false;
}

static bool is_listed(const struct fs_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static void forget_dropped(struct tsdb *db, const struct fs_names *names)
{
    size_t kept = 0;

    for (size_t i = 0; i < db->doomed_count; i++)
        if (is_listed(names, db->doomed[i].text))
            db->doomed[kept++] = db->doomed[i];
    db->doomed_count = kept;
}

/* ---- scanning --------------------------------------------------------- */

static struct block *find_served(const struct block_set *set,
                                 const struct ulid *ulid)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(block_meta(set->items[i])->ulid.text, ulid->text) == 0)
            return set->items[i];
    return NULL;
}

static void look_at(struct scan *s, const struct block_set *set,
                    const char *name)
{
    struct candidate c = { 0 };

    if (!ulid_parse(sonde_cstr(name), &c.ulid) || is_doomed(s->db, name))
        return;
    c.served = find_served(set, &c.ulid);
    if (!c.served) {
        char *path = store_path(s->db->dir, name);

        c.rc = block_open(path, &c.block, &c.why);
        free(path);
    }
    s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->items[s->count++] = c;
}

static struct candidate *find(const struct scan *s, const struct ulid *ulid)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = strcmp(s->items[mid].ulid.text, ulid->text);

        if (c == 0)
            return &s->items[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static void judge(struct scan *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct candidate *c = &s->items[i];
        const struct block *b = c->block ? c->block : c->served;
        const struct block_meta *m = b ? block_meta(b) : NULL;

        if (!m)
            continue;
        c->gone |= m->deletable;
        for (size_t k = 0; k < m->parent_count; k++) {
            struct candidate *parent = find(s, &m->parents[k].ulid);

            if (parent && parent != c)
                parent->gone = true;
        }
    }
}

/* A parent that did not open has no handle by which to drop it. */
static void remove_bad_parent(struct tsdb *db, const struct candidate *c)
{
    struct sonde_err err;
    char *path = store_path(db->dir, c->ulid.text);
    char *doomed = mem_alloc(strlen(path) + sizeof(".tmp-for-deletion"));

    (void)sprintf(doomed, "%s.tmp-for-deletion", path);
    if (rename(path, doomed) != 0 || fs_remove_all(doomed, &err) != SONDE_OK)
        log_warn("tsdb", "a block that was merged into another stays",
                 LOG_CSTR("block", c->ulid.text));
    free(doomed);
    free(path);
}

/* Blocks that are served but not in the folder any more. */
static size_t list_gone(const struct scan *s, const struct block_set *set,
                        struct block **gone)
{
    size_t n = 0;

    for (size_t i = 0; i < set->count; i++)
        if (!find(s, &block_meta(set->items[i])->ulid))
            gone[n++] = set->items[i];
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].gone && s->items[i].served)
            gone[n++] = s->items[i].served;
    return n;
}

static void settle(struct scan *s, struct candidate *c)
{
    struct tsdb *db = s->db;
    bool keep = db->options.read_only;

    if (c->served) {
        if (c->gone && !keep)
            folder_drop(db, c->served);
    } else if (c->block && !c->gone) {
        block_sets_replace(&db->sets, NULL, 0, c->block, INT64_MIN);
    } else if (c->block) {
        if (!keep)
            block_drop(c->block);
        block_unref(c->block);
    } else if (c->gone) {
        if (!keep)
            remove_bad_parent(db, c);
    } else if (is_damage(c->rc) && !db->blocks_loaded) {
        quarantine(db, c);
    } else if (store_note_damaged(db, &c->ulid)) {
        log_error("tsdb",
                  "a block can not be read now; its samples are not "
                  "served",
                  LOG_CSTR("block", c->ulid.text), LOG_ERRTEXT(&c->why));
    }
}

sonde_code folder_reload(struct tsdb *db, struct sonde_err *err)
{
    struct block_set *set = block_set_get(&db->sets);
    struct scan s = { .db = db };
    struct fs_names names;
    struct block **gone;
    size_t gone_count;
    sonde_code rc = fs_list(db->dir, &names, err);

    metric_inc(db->m.reloads);
    if (rc != SONDE_OK) {
        metric_inc(db->m.reloads_failed);
        block_set_put(set);
        return rc;
    }
    forget_dropped(db, &names);
    for (size_t i = 0; i < names.count; i++)
        look_at(&s, set, names.items[i]);
    fs_names_fini(&names);
    judge(&s);
    gone = mem_alloc((set->count + s.count + 1) * sizeof(struct block *));
    gone_count = list_gone(&s, set, gone);
    if (gone_count)
        block_sets_replace(&db->sets, gone, gone_count, NULL, INT64_MIN);
    for (size_t i = 0; i < s.count; i++)
        settle(&s, &s.items[i]);
    free(gone);
    free(s.items);
    block_set_put(set);
    return SONDE_OK;
}
