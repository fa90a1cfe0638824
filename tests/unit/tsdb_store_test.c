/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store with blocks: what a kill or damage leaves on the disk, and that
 * the same samples are there after the next start; deleting, retention,
 * snapshots.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chunk/xor_chunk.h"
#include "tsdb/compact.h"
#include "unit/tsdb_kit.h"
#include "util/fs.h"

#define RANGE INT64_C(7200000)
#define BASE  (KIT_NOW / RANGE * RANGE)

/* ---- making blocks ----------------------------------------------------
 */

/* A block of one series, "m", with samples at from, from + 1000...; each
 * value is its time's seconds. */
static struct ulid make_block(const char *dir, sonde_msec from, size_t n)
{
    struct block_writer_options o = { .ulid = ulid_new(KIT_NOW) };
    struct ulid source = o.ulid;
    struct block_meta meta = { .ulid = o.ulid,
                               .mint = from,
                               .maxt = from + (sonde_msec)n * 1000,
                               .level = 1,
                               .sources = &source,
                               .source_count = 1 };
    struct xor_state s = { 0 };
    uint8_t data[65536];
    struct chunk chunk;
    struct block_writer *w;
    struct block_pair pair;

    xor_begin(&s);
    for (size_t i = 0; i < n; i++) {
        sonde_msec t = from + (sonde_msec)i * 1000;

        CU_ASSERT_EQUAL(
            xor_append(&s, data, sizeof(data), t, (double)(t / 1000)), 0);
    }
    xor_seal(&s, data);
    chunk = (struct chunk){ CHUNK_XOR,
                            { (char *)data, xor_len(&s) },
                            from,
                            meta.maxt - 1000,
                            (uint32_t)n };
    CU_ASSERT_EQUAL_FATAL(block_writer_new(dir, &o, &w, NULL), SONDE_OK);
    pair.name = block_writer_symbol(w, SONDE_STR("__name__"));
    pair.value = block_writer_symbol(w, SONDE_STR("m"));
    CU_ASSERT_EQUAL(block_writer_series(w, &pair, 1, &chunk, 1, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL(block_writer_finish(w, &meta, NULL, NULL), SONDE_OK);
    return o.ulid;
}

static struct arena paths;

static const char *path_in(const char *dir, const char *name)
{
    return arena_printf(&paths, "%s/%s", dir, name).ptr;
}

static bool there(const struct kit *k, const char *name)
{
    return fs_exists(path_in(k->dir, name));
}

/* A folder that is not open yet. */
static void folder_init(struct kit *k, const char *name)
{
    kit_init(k, name);
    tsdb_close(k->db);
    k->db = NULL;
    k->options.no_thread = true;
}

static size_t block_count(struct kit *k)
{
    struct tsdb_stats stats;

    tsdb_stats(k->db, &stats);
    return stats.blocks;
}

static void compact(struct kit *k)
{
    struct sonde_err err = { 0 };

    CU_ASSERT_EQUAL(tsdb_compact(k->db, &err), SONDE_OK);
    if (err.code)
        tap_note("%s", err.text);
}

static void write_file(const char *path, const char *text)
{
    CU_ASSERT_EQUAL(fs_write_atomic(path, sonde_cstr(text), 0644, NULL),
                    SONDE_OK);
}

static void damage(const char *path, long offset)
{
    FILE *f = fopen(path, "r+");
    int c;

    CU_ASSERT_FATAL(f != NULL);
    (void)fseek(f, offset, offset < 0 ? SEEK_END : SEEK_SET);
    c = fgetc(f);
    (void)fseek(f, offset, offset < 0 ? SEEK_END : SEEK_SET);
    (void)fputc(c ^ 0x55, f);
    (void)fclose(f);
}

/* ---- what a kill leaves ------------------------------------------------- */

static void blocks_are_served(void)
{
    struct kit k;

    folder_init(&k, "served");
    (void)make_block(k.dir, BASE - 3 * RANGE, 100);
    (void)make_block(k.dir, BASE - 2 * RANGE, 100);
    kit_open(&k);
    CU_ASSERT_EQUAL(block_count(&k), 2);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 200);
    (void)kit_put(&k, "m", BASE + 1, 1);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 201);
    kit_fini(&k);
}

static void half_made_ones_are_removed(void)
{
    struct kit k;
    struct ulid u;
    char name[64];

    folder_init(&k, "half_made");
    u = make_block(k.dir, BASE - 3 * RANGE, 100);
    for (int i = 0; i < 3; i++) {
        static const char *const endings[] = { ".tmp", ".tmp-for-creation",
                                               ".tmp-for-deletion" };

        (void)snprintf(name, sizeof(name), "%s%s", u.text, endings[i]);
        CU_ASSERT_EQUAL(mkdir(path_in(k.dir, name), 0750), 0);
        write_file(path_in(path_in(k.dir, name), "index"), "half");
    }
    CU_ASSERT_EQUAL(mkdir(path_in(k.dir, "notes.tmp"), 0750), 0);
    kit_open(&k);
    CU_ASSERT_FALSE(there(&k, name));
    CU_ASSERT_TRUE(there(&k, "notes.tmp"));
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 100);
    kit_fini(&k);
}

/* Merges two blocks and leaves parents and child, as a kill before the
 * deletion does. */
static struct ulid merge_and_stop(struct kit *k, struct ulid parents[2])
{
    struct compact_target target = { k->dir, &k->clock.clock, NULL };
    struct block *blocks[2];
    struct ulid made;

    for (int i = 0; i < 2; i++) {
        parents[i] = make_block(k->dir, BASE - (4 - i) * RANGE, 100);
        CU_ASSERT_EQUAL_FATAL(
            block_open(path_in(k->dir, parents[i].text), &blocks[i], NULL),
            SONDE_OK);
    }
    CU_ASSERT_EQUAL(compact_blocks(blocks, 2, &target, &made, NULL), SONDE_OK);
    block_unref(blocks[0]);
    block_unref(blocks[1]);
    return made;
}

static void parents_are_removed(void)
{
    struct ulid parents[2];
    struct kit k;
    struct ulid made;

    folder_init(&k, "parents");
    made = merge_and_stop(&k, parents);
    kit_open(&k);
    CU_ASSERT_EQUAL(block_count(&k), 1);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 200);
    CU_ASSERT_FALSE(there(&k, parents[0].text));
    CU_ASSERT_FALSE(there(&k, parents[1].text));
    CU_ASSERT_TRUE(there(&k, made.text));
    kit_fini(&k);
}

/* A child that does not open must not cost its parents. */
static void parents_of_a_bad_child_stay(void)
{
    struct ulid parents[2];
    struct tsdb_stats stats;
    struct kit k;
    struct ulid made;

    folder_init(&k, "bad_child");
    made = merge_and_stop(&k, parents);
    damage(path_in(path_in(k.dir, made.text), "index"), -10);
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    kit_open(&k);
    CU_ASSERT_EQUAL(block_count(&k), 2);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 200);
    CU_ASSERT_FALSE(there(&k, made.text));
    CU_ASSERT_TRUE(fs_exists(path_in(path_in(k.dir, "quarantine"), made.text)));
    tsdb_stats(k.db, &stats);
    CU_ASSERT_EQUAL(stats.quarantined, 1);
    CU_ASSERT_EQUAL(stats.corruptions, 1);
    kit_fini(&k);
}

/* A parent that is damaged or half gone is deleted, not put aside. */
static void a_bad_parent_goes(void)
{
    struct ulid parents[2];
    struct tsdb_stats stats;
    struct kit k;

    folder_init(&k, "bad_parent");
    (void)merge_and_stop(&k, parents);
    damage(path_in(path_in(k.dir, parents[0].text), "index"), -10);
    kit_open(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 200);
    CU_ASSERT_FALSE(there(&k, parents[0].text));
    CU_ASSERT_FALSE(there(&k, "quarantine"));
    tsdb_stats(k.db, &stats);
    CU_ASSERT_EQUAL(stats.corruptions, 0);
    kit_fini(&k);
}

static void deletable_ones_are_removed(void)
{
    struct block_meta m = { 0 };
    struct kit k;
    struct ulid u;

    folder_init(&k, "deletable");
    u = make_block(k.dir, BASE - 3 * RANGE, 100);
    CU_ASSERT_EQUAL(block_meta_read(path_in(k.dir, u.text), &m, NULL),
                    SONDE_OK);
    m.deletable = true;
    CU_ASSERT_EQUAL(block_meta_write(path_in(k.dir, u.text), &m, NULL),
                    SONDE_OK);
    block_meta_fini(&m);
    kit_open(&k);
    CU_ASSERT_EQUAL(block_count(&k), 0);
    CU_ASSERT_FALSE(there(&k, u.text));
    kit_fini(&k);
}

/* ---- damage ----------------------------------------------------------- */

static const struct {
    int line;
    const char *file;
    long offset;      /* where a byte changes                              */
    const char *text; /* or: what the file is instead; "": it is removed   */
} damages[] = {
    { __LINE__, "meta.json", 0, "" },
    { __LINE__, "meta.json", 0, "{" },
    { __LINE__, "meta.json", 0, "{}" },
    { __LINE__, "index", 0, "" },
    { __LINE__, "index", 0, "x" },
    { __LINE__, "index", 0, NULL },
    { __LINE__, "index", 8, NULL },
    { __LINE__, "index", -1, NULL },
    { __LINE__, "chunks/000001", 0, NULL },
    { __LINE__, "tombstones", 0, "bad" },
};

static void bad_blocks_are_put_aside(void)
{
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct tsdb_stats stats;
        char name[32];
        const char *path;
        struct kit k;
        struct ulid bad;

        (void)snprintf(name, sizeof(name), "bad%zu", i);
        folder_init(&k, name);
        log_setup(LOG_ERROR + 1, LOG_LOGFMT);
        (void)make_block(k.dir, BASE - 3 * RANGE, 100);
        bad = make_block(k.dir, BASE - 2 * RANGE, 100);
        path = path_in(path_in(k.dir, bad.text), damages[i].file);
        if (!damages[i].text)
            damage(path, damages[i].offset);
        else if (!*damages[i].text)
            CU_ASSERT_EQUAL(unlink(path), 0)
        else
            write_file(path, damages[i].text);
        kit_open(&k);
        tsdb_stats(k.db, &stats);
        ROW_ASSERT(&damages[i], stats.blocks == 1);
        ROW_ASSERT(&damages[i], stats.quarantined == 1);
        ROW_ASSERT(&damages[i], stats.corruptions == 1);
        ROW_ASSERT(&damages[i], !there(&k, bad.text));
        ROW_ASSERT(&damages[i], kit_count(&k, "m") == 100);
        kit_reopen(&k);
        ROW_ASSERT(&damages[i], block_count(&k) == 1);
        kit_fini(&k);
    }
}

/* A damaged chunk: the rest is served, merging it is tried once. */
static void damage_inside_is_not_merged(void)
{
    struct ulid blocks[4];
    struct kit k;

    folder_init(&k, "inside");
    for (int i = 0; i < 4; i++)
        blocks[i] = make_block(k.dir, i * RANGE, 7200);
    damage(path_in(path_in(k.dir, blocks[1].text), "chunks/000001"), 100);
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    kit_open(&k);
    compact(&k);
    CU_ASSERT_EQUAL(block_count(&k), 4);
    compact(&k);
    CU_ASSERT_EQUAL(block_count(&k), 4);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 3 * 7200);
    kit_reopen(&k);
    compact(&k);
    CU_ASSERT_EQUAL(block_count(&k), 4);
    kit_fini(&k);
}

/* ---- compaction and retention ------------------------------------------- */

static void levels(void)
{
    struct kit k;

    folder_init(&k, "levels");
    k.options.limits.retention_ms = 100 * RANGE;
    for (int i = 0; i < 10; i++)
        (void)make_block(k.dir, i * RANGE, 7200);
    kit_open(&k);
    compact(&k);
    /* three by three, then those: the newest stays alone */
    CU_ASSERT_EQUAL(block_count(&k), 2);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 10 * 7200);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 10 * 7200);
    kit_fini(&k);
}

static void old_blocks_go(void)
{
    struct tsdb_limits limits = { .retention_ms = 2 * RANGE };
    struct kit k;
    struct ulid old;

    folder_init(&k, "retention");
    old = make_block(k.dir, 0, 7200);
    (void)make_block(k.dir, RANGE, 7200);
    (void)make_block(k.dir, 2 * RANGE, 7200);
    kit_open(&k);
    CU_ASSERT_EQUAL(block_count(&k), 3);
    tsdb_set_limits(k.db, &limits);
    compact(&k);
    CU_ASSERT_EQUAL(block_count(&k), 2);
    CU_ASSERT_FALSE(there(&k, old.text));
    limits = (struct tsdb_limits){ .retention_bytes = 1 };
    tsdb_set_limits(k.db, &limits);
    compact(&k);
    CU_ASSERT_EQUAL(block_count(&k), 0);
    kit_fini(&k);
}

/* A reader that began before keeps what it reads, and its folder. */
static void readers_keep_blocks(void)
{
    struct tsdb_limits limits = { .retention_bytes = 1 };
    struct columns c = { 0 };
    struct storage_series *s;
    struct series_set *set;
    struct querier *q;
    struct matcher m = { .op = MATCH_EQ,
                         .name = SONDE_STR(LABEL_NAME),
                         .value = SONDE_STR("m") };
    struct kit k;
    struct ulid u;

    folder_init(&k, "readers");
    u = make_block(k.dir, 0, 7200);
    kit_open(&k);
    CU_ASSERT_EQUAL(tsdb_storage(k.db)->ops->querier(tsdb_storage(k.db), 0,
                                                     RANGE, &q, NULL),
                    SONDE_OK);
    tsdb_set_limits(k.db, &limits);
    compact(&k);
    compact(&k);
    CU_ASSERT_EQUAL(block_count(&k), 0);
    CU_ASSERT_TRUE(there(&k, u.text));
    CU_ASSERT_EQUAL(q->ops->select(q, &m, 1, NULL, &set, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(set->ops->next(set, &s, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(s->ops->read(s, 0, RANGE, &c, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(c.count, 7200);
    set->ops->free(set);
    q->ops->free(q);
    CU_ASSERT_FALSE(there(&k, u.text));
    columns_fini(&c);
    kit_fini(&k);
}

/* What another program brings or takes is seen at the next round. */
static void the_folder_is_looked_at_again(void)
{
    struct kit k;
    struct ulid u;

    folder_init(&k, "again");
    kit_open(&k);
    u = make_block(k.dir, 0, 100);
    compact(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 100);
    CU_ASSERT_EQUAL(fs_remove_all(path_in(k.dir, u.text), NULL), SONDE_OK);
    compact(&k);
    CU_ASSERT_EQUAL(block_count(&k), 0);
    kit_fini(&k);
}

/* A block that somebody copies here is not put aside half-way. */
static void half_copied_ones_are_left_alone(void)
{
    struct kit k, other;
    char meta[1024];
    struct ulid u;

    folder_init(&other, "half_from");
    folder_init(&k, "half_to");
    kit_open(&k);
    u = make_block(other.dir, 0, 100);
    (void)snprintf(meta, sizeof(meta), "%s/%s/meta.json", other.dir, u.text);
    CU_ASSERT_EQUAL(rename(meta, path_in(other.dir, "meta")), 0);
    CU_ASSERT_EQUAL(rename(path_in(other.dir, u.text), path_in(k.dir, u.text)),
                    0);
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    compact(&k);
    CU_ASSERT_TRUE(there(&k, u.text));
    CU_ASSERT_EQUAL(block_count(&k), 0);
    CU_ASSERT_EQUAL(rename(path_in(other.dir, "meta"),
                           path_in(path_in(k.dir, u.text), "meta.json")),
                    0);
    compact(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 100);
    kit_fini(&k);
    kit_fini(&other);
}

/* ---- deleting --------------------------------------------------------- */

static void delete_m(struct kit *k, sonde_msec mint, sonde_msec maxt)
{
    struct matcher m = { .op = MATCH_EQ,
                         .name = SONDE_STR(LABEL_NAME),
                         .value = SONDE_STR("m") };
    struct sonde_err err = { 0 };

    CU_ASSERT_EQUAL(tsdb_delete(k->db, mint, maxt, &m, 1, &err), SONDE_OK);
    if (err.code)
        tap_note("%s", err.text);
}

static void deleting_in_blocks(void)
{
    struct kit k;

    folder_init(&k, "delete_blocks");
    (void)make_block(k.dir, 0, 7200);
    (void)make_block(k.dir, RANGE, 7200);
    kit_open(&k);
    delete_m(&k, RANGE - 10000, RANGE + 9999);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 2 * 7200 - 20);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 2 * 7200 - 20);
    CU_ASSERT_EQUAL(tsdb_clean_tombstones(k.db, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 2 * 7200 - 20);
    CU_ASSERT_EQUAL(block_count(&k), 2);
    delete_m(&k, INT64_MIN, INT64_MAX);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 0);
    CU_ASSERT_EQUAL(tsdb_clean_tombstones(k.db, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(block_count(&k), 0);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(block_count(&k), 0);
    kit_fini(&k);
}

static void deleting_in_the_head(void)
{
    struct kit k;

    folder_init(&k, "delete_head");
    kit_open(&k);
    for (int i = 0; i < 10; i++) {
        (void)kit_put(&k, "m", BASE + i * 1000, i);
        (void)kit_put(&k, "other", BASE + i * 1000, i);
    }
    delete_m(&k, BASE + 5000, INT64_MAX);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 5);
    CU_ASSERT_EQUAL(kit_count(&k, "other"), 10);
    /* what comes later is not deleted */
    (void)kit_put(&k, "m", BASE + 10000, 1);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 6);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 6);
    CU_ASSERT_EQUAL(kit_count(&k, "other"), 10);
    kit_fini(&k);
}

/* ---- snapshots -------------------------------------------------------- */

static void snapshots(void)
{
    char name[TSDB_SNAPSHOT_NAME], folder[1024];
    struct kit k, copy;

    folder_init(&k, "snapshot");
    (void)make_block(k.dir, BASE - 3 * RANGE, 100);
    kit_open(&k);
    (void)kit_put(&k, "m", BASE + 1000, 1);
    CU_ASSERT_EQUAL(tsdb_snapshot(k.db, true, name, NULL), SONDE_OK);
    (void)snprintf(folder, sizeof(folder), "snapshots/%s", name);
    CU_ASSERT_TRUE(there(&k, folder));
    (void)kit_put(&k, "m", BASE + 2000, 1);
    kit_init(&copy, "snapshot_copy");
    tsdb_close(copy.db);
    (void)snprintf(copy.dir, sizeof(copy.dir), "%s", path_in(k.dir, folder));
    kit_open(&copy);
    CU_ASSERT_EQUAL(block_count(&copy), 2);
    CU_ASSERT_EQUAL(kit_count(&copy, "m"), 101);
    kit_fini(&copy);
    CU_ASSERT_EQUAL(tsdb_snapshot_to(k.db, true, k.dir, NULL), SONDE_EEXIST);
    kit_fini(&k);
}

/* Reads beside a store that is open; changes nothing. */
static void reading_only(void)
{
    struct kit k, reader;
    struct sonde_err err;

    folder_init(&k, "read_only");
    (void)make_block(k.dir, BASE - 3 * RANGE, 100);
    kit_open(&k);
    (void)kit_put(&k, "m", BASE + 1000, 1);
    kit_init(&reader, "reader");
    tsdb_close(reader.db);
    (void)snprintf(reader.dir, sizeof(reader.dir), "%s", k.dir);
    reader.options.read_only = true;
    kit_open(&reader);
    CU_ASSERT_EQUAL(kit_count(&reader, "m"), 101);
    CU_ASSERT_EQUAL(tsdb_compact(reader.db, &err), SONDE_EUNSUPPORTED);
    kit_fini(&reader);
    CU_ASSERT_EQUAL(kit_count(&k, "m"), 101);
    CU_ASSERT_TRUE(there(&k, "lock"));
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "blocks are served", blocks_are_served },
    { "half-made ones are removed", half_made_ones_are_removed },
    { "parents are removed", parents_are_removed },
    { "parents of a bad child stay", parents_of_a_bad_child_stay },
    { "a bad parent goes", a_bad_parent_goes },
    { "deletable ones are removed", deletable_ones_are_removed },
    { "bad blocks are put aside", bad_blocks_are_put_aside },
    { "damage inside is not merged", damage_inside_is_not_merged },
    { "levels", levels },
    { "old blocks go", old_blocks_go },
    { "readers keep blocks", readers_keep_blocks },
    { "the folder is looked at again", the_folder_is_looked_at_again },
    { "half-copied ones are left alone", half_copied_ones_are_left_alone },
    { "deleting in blocks", deleting_in_blocks },
    { "deleting in the head", deleting_in_the_head },
    { "snapshots", snapshots },
    { "reading only", reading_only },
};

int main(void)
{
    int rc;

    arena_init(&paths);
    rc = TAP_RUN("tsdb_store", tests);
    arena_fini(&paths);
    return rc;
}
