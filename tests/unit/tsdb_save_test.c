/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: the head saved at closing, and every reason not to believe it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tsdb/head.h"
#include "tsdb/store.h"
#include "unit/tsdb_kit.h"
#include "util/fs.h"

#define SERIES 200
#define ROUNDS 150 /* more than a chunk */

static void open_saving(struct kit *k, const char *name)
{
    kit_init(k, name);
    k->options.snapshot_on_close = true;
    kit_reopen(k);
}

static void put_round(struct kit *k, int round)
{
    struct appender *a = storage_appender(tsdb_storage(k->db));
    struct append_stats stats;
    char text[32];

    for (int i = 0; i < SERIES; i++) {
        struct storage_sample s;

        (void)snprintf(text, sizeof(text), "m i=%d", i);
        s = (struct storage_sample){ kit_series(k, a, text),
                                     KIT_NOW + round * 1000,
                                     (double)(i * 1000 + round % 5) };
        appender_append(a, &s, 1);
    }
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, SERIES);
    appender_free(a);
}

static void check_rounds(struct kit *k, int rounds)
{
    for (int i = 0; i < SERIES; i += 13) {
        char text[32];
        struct columns c;
        size_t wrong = 0;

        (void)snprintf(text, sizeof(text), "m i=%d", i);
        c = kit_read(k, text, INT64_MIN, INT64_MAX);
        CU_ASSERT_EQUAL(c.count, (size_t)rounds);
        for (size_t n = 0; n < c.count; n++)
            wrong += c.t[n] != KIT_NOW + (sonde_msec)n * 1000 ||
                     c.v[n] != (double)(i * 1000 + (int)n % 5);
        CU_ASSERT_EQUAL(wrong, 0);
        columns_fini(&c);
    }
}

static size_t corruptions(struct kit *k)
{
    struct tsdb_stats stats;

    tsdb_stats(k->db, &stats);
    return stats.corruptions;
}

/* How many saved heads there are; the path of the last. */
static size_t saved(struct kit *k, char path[1024])
{
    struct fs_names names;
    struct sonde_err err;
    size_t n = 0;

    CU_ASSERT_EQUAL(fs_list(k->dir, &names, &err), SONDE_OK);
    for (size_t i = 0; i < names.count; i++)
        if (str_starts(sonde_cstr(names.items[i]),
                       SONDE_STR("chunk_snapshot."))) {
            (void)snprintf(path, 1024, "%s/%s", k->dir, names.items[i]);
            n++;
        }
    fs_names_fini(&names);
    return n;
}

/* Writes over a segment of the log and lets it look untouched, so that a
 * start that reads it is found out. */
static void spoil_segment(struct kit *k, const char *name, bool look_untouched)
{
    char path[640], zeros[256] = { 0 };
    struct timespec times[2];
    struct stat st;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/wal/%s", k->dir, name);
    CU_ASSERT_EQUAL(stat(path, &st), 0);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
    (void)close(fd);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    if (look_untouched)
        CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void close_store(struct kit *k)
{
    tsdb_close(k->db);
    k->db = NULL;
}

/* ---- used ------------------------------------------------------------- */

static void test_saved_head_is_used(void)
{
    char path[1024];
    struct kit k;

    open_saving(&k, "saved");
    for (int i = 0; i < ROUNDS; i++)
        put_round(&k, i);
    close_store(&k);
    CU_ASSERT_EQUAL(saved(&k, path), 1);
    spoil_segment(&k, "00000001", true);
    kit_open(&k);
    CU_ASSERT_EQUAL(corruptions(&k), 0);
    check_rounds(&k, ROUNDS);
    /* Chunks go on where they were. */
    for (int i = ROUNDS; i < ROUNDS + 50; i++)
        put_round(&k, i);
    check_rounds(&k, ROUNDS + 50);
    kit_reopen(&k);
    check_rounds(&k, ROUNDS + 50);
    CU_ASSERT_EQUAL(saved(&k, path), 1);
    kit_fini(&k);
}

/* What comes behind it is read of the log, start after start. */
static void test_log_goes_on_behind(void)
{
    char path[1024];
    struct kit k;

    open_saving(&k, "saved-behind");
    put_round(&k, 0);
    close_store(&k);
    spoil_segment(&k, "00000001", true);
    k.options.snapshot_on_close = false;
    for (int i = 1; i < 6; i++) {
        kit_open(&k);
        CU_ASSERT_EQUAL(corruptions(&k), 0);
        check_rounds(&k, i);
        put_round(&k, i);
        (void)kit_put(&k, "fresh", KIT_NOW + i, i);
        close_store(&k);
    }
    kit_open(&k);
    check_rounds(&k, 6);
    CU_ASSERT_EQUAL(kit_count(&k, "fresh"), 5);
    CU_ASSERT_EQUAL(saved(&k, path), 1);
    kit_fini(&k);
}

/* ---- kinds of samples --------------------------------------------------- */

static void put_histogram(struct kit *k, const char *text, sonde_msec t,
                          bool is_float)
{
    struct histogram_span span = { 0, 2 };
    int64_t ints[] = { 3, 1 };
    double floats[] = { 3, 4 };
    struct histogram h = { .is_float = is_float,
                           .sum = (double)(t - KIT_NOW) + 1,
                           .positive = { &span, 1, { .i = ints }, 2 } };
    struct appender *a = storage_appender(tsdb_storage(k->db));
    struct append_stats stats;

    if (is_float) {
        h.positive.buckets.f = floats;
        h.count.f = 7;
    } else {
        h.count.i = 7;
    }
    appender_histogram(a, kit_series(k, a, text), t, &h);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 1);
    appender_free(a);
}

static void check_kinds(struct kit *k)
{
    struct columns c = kit_read(k, "h", INT64_MIN, INT64_MAX);

    CU_ASSERT_EQUAL(c.count, 10);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c.h);
    for (size_t i = 0; i < c.count; i++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(c.h[i]);
        CU_ASSERT_EQUAL(c.h[i]->is_float, i >= 5);
        CU_ASSERT_EQUAL(c.v[i], (double)i + 1);
    }
    columns_fini(&c);
    c = kit_read(k, "stale", INT64_MIN, INT64_MAX);
    CU_ASSERT_EQUAL(c.count, 2);
    CU_ASSERT_EQUAL(double_bits(c.v[1]), KIT_STALE);
    columns_fini(&c);
    CU_ASSERT_EQUAL(kit_count(k, "part"), 6);
}

static void test_all_kinds(void)
{
    struct matcher m = { MATCH_EQ, SONDE_STR(LABEL_NAME), SONDE_STR("part"),
                         NULL };
    struct sonde_err err = { 0 };
    char path[1024];
    struct kit k;

    open_saving(&k, "saved-kinds");
    for (int i = 0; i < 10; i++) {
        put_histogram(&k, "h", KIT_NOW + i, i >= 5);
        (void)kit_put(&k, "part", KIT_NOW + i, i);
    }
    (void)kit_put(&k, "stale", KIT_NOW, 1);
    (void)kit_put(&k, "stale", KIT_NOW + 1, bits_double(KIT_STALE));
    CU_ASSERT_EQUAL(tsdb_delete(k.db, KIT_NOW + 2, KIT_NOW + 5, &m, 1, &err),
                    SONDE_OK);
    check_kinds(&k);
    close_store(&k);
    CU_ASSERT_EQUAL(saved(&k, path), 1);
    spoil_segment(&k, "00000001", true);
    kit_open(&k);
    CU_ASSERT_EQUAL(corruptions(&k), 0);
    check_kinds(&k);
    put_histogram(&k, "h", KIT_NOW + 10, true);
    CU_ASSERT_EQUAL(kit_count(&k, "h"), 11);
    kit_fini(&k);
}

/* ---- not used --------------------------------------------------------- */

/* Any byte of it changed: the log has it all. */
static void test_damaged(void)
{
    struct buf good = { 0 };
    struct sonde_err err;
    char path[1024], file[1100];
    struct kit k;

    open_saving(&k, "saved-damaged");
    for (int i = 0; i < 3; i++)
        put_round(&k, i);
    for (size_t at = 3; at < 4000; at += 391) {
        close_store(&k);
        CU_ASSERT_EQUAL(saved(&k, path), 1);
        (void)snprintf(file, sizeof(file), "%s/00000000", path);
        buf_reset(&good);
        CU_ASSERT_EQUAL(fs_read(file, (size_t)1 << 20, &good, &err), SONDE_OK);
        CU_ASSERT_TRUE_FATAL(good.len > 4000);
        good.data[at] ^= 0x10;
        CU_ASSERT_EQUAL(fs_write_atomic(file, buf_str(&good), 0644, &err),
                        SONDE_OK);
        kit_open(&k);
        CU_ASSERT_TRUE(corruptions(&k) > 0);
        check_rounds(&k, 3);
        CU_ASSERT_EQUAL(saved(&k, path), 0);
    }
    kit_fini(&k);
    buf_fini(&good);
}

/* A log that somebody wrote to since, or that began anew, is read; what is
 * obsolete goes. */
static void test_other_log(void)
{
    char path[1024], wal_dir[640], name[16];
    struct sonde_err err;
    struct kit k;

    open_saving(&k, "saved-other");
    (void)snprintf(wal_dir, sizeof(wal_dir), "%s/wal", k.dir);
    put_round(&k, 0);
    close_store(&k);
    CU_ASSERT_EQUAL(saved(&k, path), 1);
    CU_ASSERT_EQUAL(fs_remove_all(wal_dir, &err), SONDE_OK);
    k.options.snapshot_on_close = false;
    kit_open(&k);
    CU_ASSERT_EQUAL(saved(&k, path), 0);
    CU_ASSERT_EQUAL(kit_count(&k, "m i=0"), 0);
    put_round(&k, 0);
    k.options.snapshot_on_close = true;
    kit_reopen(&k);
    close_store(&k);
    CU_ASSERT_EQUAL(saved(&k, path), 1);
    (void)snprintf(name, sizeof(name), "%08d",
                   atoi(strstr(path, "chunk_snapshot.") + 15));
    spoil_segment(&k, name, false);
    kit_open(&k);
    CU_ASSERT_EQUAL(saved(&k, path), 0);
    check_rounds(&k, 1);
    kit_fini(&k);
}

/* References are never given out twice, also if the series that had the
 * highest is not in the saved head. */
static void test_references_go_on(void)
{
    struct appender *a;
    series_ref before, after;
    struct kit k;

    open_saving(&k, "saved-refs");
    a = storage_appender(tsdb_storage(k.db));
    (void)kit_put(&k, "first", KIT_NOW, 1);
    before = kit_series(&k, a, "never had a sample");
    appender_free(a);
    kit_reopen(&k);
    a = storage_appender(tsdb_storage(k.db));
    after = kit_series(&k, a, "new one");
    CU_ASSERT_TRUE(after > before);
    appender_free(a);
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "a saved head is used", test_saved_head_is_used },
    { "the log goes on behind it", test_log_goes_on_behind },
    { "all kinds of samples", test_all_kinds },
    { "a damaged one", test_damaged },
    { "another log", test_other_log },
    { "references go on", test_references_go_on },
};

int main(void)
{
    return TAP_RUN("tsdb save", tests);
}
