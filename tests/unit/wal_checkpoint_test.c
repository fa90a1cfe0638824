/* SPDX-License-Identifier: Apache-2.0 */
/* wal: checkpoints, in every state that a kill may leave; zstd; segments. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/wal_kit.h"
#include "util/fs.h"
#include "util/mem.h"
#include "wal/segments.h"

/* ---- a log with all kinds of records ------------------------------------ */

static void append(struct wal *w, const struct buf *b)
{
    sonde_str record = buf_str(b);
    struct sonde_err err;

    CU_ASSERT_EQUAL(wal_append(w, &record, 1, &err), SONDE_OK);
}

static void append_series(struct wal *w, uint64_t from, uint64_t to)
{
    struct buf b = { 0 };
    char value[32];
    struct label pair = { SONDE_STR("s"), { value, 0 } };

    wal_series_begin(&b);
    for (uint64_t ref = from; ref < to; ref++) {
        pair.value.len =
            (size_t)snprintf(value, sizeof(value), "v%" PRIu64, ref);
        wal_series_add(&b, ref, &(struct labels){ &pair, 1 });
    }
    append(w, &b);
    buf_fini(&b);
}

/* At one time: a sample, histograms of all four kinds, an exemplar, and a
 * deletion that ends there. */
static void append_all(struct wal *w, uint64_t ref, sonde_msec t)
{
    double bound = 1;
    struct histogram h = { .sum = 1 };
    struct buf a = { 0 }, b = { 0 };
    struct wal_samples_writer samples;
    struct wal_exemplars_writer exemplars;

    wal_samples_begin(&samples, &a);
    wal_samples_add(&samples, ref, t, 1);
    append(w, &a);
    for (int i = 0; i < 4; i++) {
        struct wal_histograms_writer histograms;

        h.is_float = i & 1;
        h.schema = i & 2 ? HISTOGRAM_CUSTOM : 0;
        h.custom_bounds = &bound;
        h.custom_count = i & 2 ? 1 : 0;
        wal_histograms_begin(&histograms, h.is_float, &a, &b);
        wal_histograms_add(&histograms, ref, t, &h);
        append(w, i & 2 ? &b : &a);
    }
    wal_exemplars_begin(&exemplars, &a);
    wal_exemplars_add(&exemplars, &(struct wal_exemplar){ .ref = ref, .t = t });
    append(w, &a);
    wal_tombstones_begin(&a);
    wal_tombstones_add(&a, ref, t - 10, t);
    append(w, &a);
    buf_fini(&a);
    buf_fini(&b);
}

static void append_metadata(struct wal *w, uint64_t ref, const char *help)
{
    struct metadata m = { .type = METRIC_COUNTER, .help = sonde_cstr(help) };
    struct buf b = { 0 };

    wal_metadata_begin(&b);
    wal_metadata_add(&b, ref, &m);
    append(w, &b);
    buf_fini(&b);
}

static void next(struct wal *w)
{
    struct sonde_err err;

    CU_ASSERT_EQUAL(wal_next_segment(w, &err), SONDE_OK);
}

/* Segments 0...3: series 1...100 at T, T+1000, T+2000, T+3000. */
static void build(const char *dir, enum wal_compression how)
{
    struct wal_options o = { .compress = how };
    struct wal *w = open_wal(dir, &o);

    for (int i = 0; i < 4; i++) {
        append_series(w, (uint64_t)i * 25 + 1, (uint64_t)i * 25 + 26);
        append_all(w, (uint64_t)i * 25 + 1, BASE_T + i * 1000);
        append_metadata(w, (uint64_t)i * 25 + 1, "first");
        append_metadata(w, 1, i == 0 ? "old" : i == 1 ? "new" : "later");
        if (i < 3)
            next(w);
    }
    wal_close(w);
}

/* ---- what a replay of it finds ------------------------------------------ */

struct found {
    size_t series, samples, histograms, exemplars, tombstones, metadata,
        damages, malformed;
    sonde_msec oldest;
    bool refs[128];
    char help[16]; /* of series 1                                        */
};

static void saw(struct found *f, sonde_msec t)
{
    if (t < f->oldest)
        f->oldest = t;
}

static void find_series(void *arg, uint64_t ref, const struct labels *l)
{
    struct found *f = arg;

    (void)l;
    f->series += !f->refs[ref % 128];
    f->refs[ref % 128] = true;
}

static void find_sample(void *arg, uint64_t ref, sonde_msec t, double v)
{
    struct found *f = arg;

    (void)ref;
    (void)v;
    f->samples++;
    saw(f, t);
}

static void find_histogram(void *arg, uint64_t ref, sonde_msec t,
                           const struct histogram *h)
{
    struct found *f = arg;

    (void)ref;
    (void)h;
    f->histograms++;
    saw(f, t);
}

static void find_exemplar(void *arg, const struct wal_exemplar *e)
{
    struct found *f = arg;

    f->exemplars++;
    saw(f, e->t);
}

static void find_tombstone(void *arg, uint64_t ref, sonde_msec mint,
                           sonde_msec maxt)
{
    struct found *f = arg;

    (void)ref;
    (void)mint;
    f->tombstones++;
    saw(f, maxt);
}

static void find_metadata(void *arg, uint64_t ref, const struct metadata *m)
{
    struct found *f = arg;

    f->metadata++;
    if (ref == 1)
        (void)snprintf(f->help, sizeof(f->help), "%.*s", SONDE_ARG(m->help));
}

static sonde_code decode(struct found *f, sonde_str record)
{
    switch (wal_record_type(record)) {
    case WAL_SERIES:
        return wal_series_decode(record, find_series, f, NULL);
    case WAL_SAMPLES:
        return wal_samples_decode(record, find_sample, f, NULL);
    case WAL_EXEMPLARS:
        return wal_exemplars_decode(record, find_exemplar, f, NULL);
    case WAL_TOMBSTONES:
        return wal_tombstones_decode(record, find_tombstone, f, NULL);
    case WAL_METADATA:
        return wal_metadata_decode(record, find_metadata, f, NULL);
    default:
        return wal_histograms_decode(record, find_histogram, f, NULL);
    }
}

static sonde_code find_record(void *arg, sonde_str record,
                              struct wal_position end, struct sonde_err *err)
{
    struct found *f = arg;

    (void)end;
    (void)err;
    if (decode(f, record) != SONDE_OK)
        f->malformed++;
    return SONDE_OK;
}

static void find_damage(void *arg, const struct wal_damage *d)
{
    struct found *f = arg;

    (void)d;
    f->damages++;
}

static struct found find(const char *dir)
{
    struct found f = { .oldest = INT64_MAX };
    struct wal_replay replay = { .record = find_record,
                                 .damage = find_damage,
                                 .arg = &f };
    struct sonde_err err;

    CU_ASSERT_EQUAL(wal_replay(dir, (struct wal_position){ 0 }, &replay, &err),
                    SONDE_OK);
    CU_ASSERT_EQUAL(f.malformed, 0);
    return f;
}

/* ---- making one ------------------------------------------------------- */

struct keeping {
    uint64_t from;
    size_t damages;
};

static bool keep_from(void *arg, uint64_t ref)
{
    struct keeping *k = arg;

    return ref >= k->from || ref == 1;
}

static void count_damage(void *arg, const struct wal_damage *d)
{
    struct keeping *k = arg;

    (void)d;
    k->damages++;
}

static size_t checkpoint(const char *dir, enum wal_compression how,
                         uint64_t upto, sonde_msec mint, uint64_t from)
{
    struct keeping k = { .from = from };
    struct wal_checkpoint c = { .upto = upto,
                                .mint = mint,
                                .keep_series = keep_from,
                                .damage = count_damage,
                                .arg = &k };
    struct sonde_err err = { 0 };

    CU_ASSERT_EQUAL(wal_checkpoint_make(dir, how, &c, &err), SONDE_OK);
    CU_ASSERT_EQUAL(wal_checkpoint_clean(dir, &err), SONDE_OK);
    return k.damages;
}

static bool exists(const char *dir, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return fs_exists(path);
}

static void remove_segment(const char *dir, uint64_t number)
{
    char *path = segment_path(dir, number);

    CU_ASSERT_EQUAL(unlink(path), 0);
    free(path);
}

static void kept_of_three(enum wal_compression how)
{
    struct arena arena = { 0 };
    const char *dir = fresh_dir(&arena);
    struct found f;

    build(dir, how);
    CU_ASSERT_EQUAL(find(dir).series, 100);
    CU_ASSERT_EQUAL(checkpoint(dir, how, 2, BASE_T + 1000, 31), 0);
    /* It stands for segments 0, 1 and 2 although they are there. */
    f = find(dir);
    CU_ASSERT_EQUAL(f.damages, 0);
    CU_ASSERT_EQUAL(f.series, 71);
    CU_ASSERT_TRUE(f.refs[1] && !f.refs[2] && !f.refs[30] && f.refs[31]);
    CU_ASSERT_EQUAL(f.samples, 3);
    CU_ASSERT_EQUAL(f.histograms, 12);
    CU_ASSERT_EQUAL(f.exemplars, 3);
    CU_ASSERT_EQUAL(f.tombstones, 3);
    CU_ASSERT_EQUAL(f.oldest, BASE_T + 1000);
    /* Series 1 and 51 once each; two records of the last segment. */
    CU_ASSERT_EQUAL(f.metadata, 4);
    CU_ASSERT_STRING_EQUAL(f.help, "later");
    arena_fini(&arena);
}

static void test_what_is_kept(void)
{
    kept_of_three(WAL_PLAIN);
    kept_of_three(WAL_SNAPPY);
    kept_of_three(WAL_ZSTD);
}

static void test_checkpoint_of_checkpoint(void)
{
    struct arena arena = { 0 };
    const char *dir = fresh_dir(&arena);
    struct found f;

    build(dir, WAL_SNAPPY);
    CU_ASSERT_EQUAL(checkpoint(dir, WAL_SNAPPY, 0, BASE_T, 0), 0);
    remove_segment(dir, 0);
    CU_ASSERT_EQUAL(checkpoint(dir, WAL_SNAPPY, 1, BASE_T, 0), 0);
    remove_segment(dir, 1);
    CU_ASSERT_FALSE(exists(dir, "checkpoint.00000000"));
    CU_ASSERT_TRUE(exists(dir, "checkpoint.00000001"));
    f = find(dir);
    CU_ASSERT_EQUAL(f.damages, 0);
    CU_ASSERT_EQUAL(f.series, 100);
    CU_ASSERT_EQUAL(f.samples, 4);
    CU_ASSERT_STRING_EQUAL(f.help, "later");
    /* One that is there already, or a newer one, is left alone. */
    CU_ASSERT_EQUAL(checkpoint(dir, WAL_SNAPPY, 1, INT64_MAX, UINT64_MAX), 0);
    CU_ASSERT_EQUAL(checkpoint(dir, WAL_SNAPPY, 0, INT64_MAX, UINT64_MAX), 0);
    CU_ASSERT_EQUAL(find(dir).series, 100);
    arena_fini(&arena);
}

/* ---- kills ------------------------------------------------------------ */

static void same_as_all(const char *dir)
{
    struct found f = find(dir);

    CU_ASSERT_EQUAL(f.damages, 0);
    CU_ASSERT_EQUAL(f.series, 100);
    CU_ASSERT_EQUAL(f.samples, 4);
    CU_ASSERT_EQUAL(f.histograms, 16);
    CU_ASSERT_EQUAL(f.exemplars, 4);
    CU_ASSERT_STRING_EQUAL(f.help, "later");
}

static void make_checkpoint(const char *dir, uint64_t upto)
{
    struct keeping k = { 0 };
    struct wal_checkpoint c = {
        .upto = upto, .mint = BASE_T, .keep_series = keep_from, .arg = &k
    };
    struct sonde_err err;

    CU_ASSERT_EQUAL(wal_checkpoint_make(dir, WAL_SNAPPY, &c, &err), SONDE_OK);
}

/* The states in between, in the order in which they come about. */
static void test_every_state(void)
{
    struct arena arena = { 0 };
    const char *dir = fresh_dir(&arena);
    char half[512], old[600];
    struct sonde_err err;

    build(dir, WAL_SNAPPY);
    CU_ASSERT_EQUAL(checkpoint(dir, WAL_SNAPPY, 0, BASE_T, 0), 0);
    remove_segment(dir, 0);

    /* Half of the new one is written. */
    (void)snprintf(half, sizeof(half), "%s/checkpoint.00000001.tmp", dir);
    CU_ASSERT_EQUAL(fs_mkdirs(half, 0750, &err), SONDE_OK);
    (void)snprintf(old, sizeof(old), "%s/00000000", half);
    CU_ASSERT_EQUAL(fs_write_atomic(old, SONDE_STR("half"), 0644, &err), 0);
    same_as_all(dir);

    /* It is made over that, and the old one is still there. */
    make_checkpoint(dir, 1);
    CU_ASSERT_FALSE(exists(dir, "checkpoint.00000001.tmp"));
    CU_ASSERT_TRUE(exists(dir, "checkpoint.00000000"));
    CU_ASSERT_TRUE(exists(dir, "checkpoint.00000001"));

    /* No segment is deleted yet, then one after the other. */
    same_as_all(dir);
    remove_segment(dir, 1);
    same_as_all(dir);
    CU_ASSERT_EQUAL(wal_checkpoint_clean(dir, &err), SONDE_OK);
    CU_ASSERT_FALSE(exists(dir, "checkpoint.00000000"));
    same_as_all(dir);

    /* A writer goes on behind, and removes what was half-made. */
    (void)snprintf(half, sizeof(half), "%s/checkpoint.00000002.tmp", dir);
    CU_ASSERT_EQUAL(fs_mkdirs(half, 0750, &err), SONDE_OK);
    wal_close(open_wal(dir, &(struct wal_options){ 0 }));
    CU_ASSERT_FALSE(exists(dir, "checkpoint.00000002.tmp"));
    CU_ASSERT_TRUE(exists(dir, "00000004"));
    same_as_all(dir);
    arena_fini(&arena);
}

/* An error leaves all as it was: here a file stands where the folder should. */
static void test_failure_changes_nothing(void)
{
    struct arena arena = { 0 };
    const char *dir = fresh_dir(&arena);
    struct keeping k = { 0 };
    struct wal_checkpoint c = {
        .upto = 1, .mint = BASE_T, .keep_series = keep_from, .arg = &k
    };
    struct sonde_err err;
    char path[512];

    build(dir, WAL_SNAPPY);
    CU_ASSERT_EQUAL(checkpoint(dir, WAL_SNAPPY, 0, BASE_T, 0), 0);
    remove_segment(dir, 0);
    (void)snprintf(path, sizeof(path), "%s/00000002", dir);
    CU_ASSERT_EQUAL(chmod(dir, 0550), 0);
    if (geteuid() != 0) {
        CU_ASSERT_NOT_EQUAL(wal_checkpoint_make(dir, WAL_PLAIN, &c, &err),
                            SONDE_OK);
        CU_ASSERT_TRUE(exists(dir, "checkpoint.00000000"));
    }
    CU_ASSERT_EQUAL(chmod(dir, 0750), 0);
    same_as_all(dir);
    CU_ASSERT_NOT_EQUAL(
        wal_checkpoint_make("/nonexistent/log", WAL_PLAIN, &c, &err), SONDE_OK);
    arena_fini(&arena);
}

/* ---- damage ----------------------------------------------------------- */

/* What is intact of a damaged checkpoint is read, and makes the next one; the
 * segments stay. */
static void test_damaged_checkpoint(void)
{
    struct arena arena = { 0 };
    const char *dir = fresh_dir(&arena);
    struct found f;
    char path[512];
    int fd;

    build(dir, WAL_PLAIN);
    CU_ASSERT_EQUAL(checkpoint(dir, WAL_PLAIN, 1, BASE_T, 0), 0);
    remove_segment(dir, 0);
    remove_segment(dir, 1);
    (void)snprintf(path, sizeof(path), "%s/checkpoint.00000001/00000000", dir);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(pwrite(fd, "XX", 2, 40), 2); /* the first series record */
    CU_ASSERT_EQUAL(close(fd), 0);
    f = find(dir);
    CU_ASSERT_EQUAL(f.damages, 1);
    CU_ASSERT_EQUAL(f.series, 75);
    CU_ASSERT_EQUAL(f.samples, 4);
    CU_ASSERT_EQUAL(checkpoint(dir, WAL_PLAIN, 2, BASE_T, 0), 1);
    f = find(dir);
    CU_ASSERT_EQUAL(f.damages, 0);
    CU_ASSERT_EQUAL(f.series, 75);
    CU_ASSERT_EQUAL(f.samples, 4);
    CU_ASSERT_TRUE(exists(dir, "00000002") && exists(dir, "00000003"));
    arena_fini(&arena);
}

/* ---- segments --------------------------------------------------------- */

static void test_segments(void)
{
    struct arena arena = { 0 };
    const char *dir = fresh_dir(&arena);
    struct wal_options o = { 0 };
    uint64_t first = 7, last = 7;
    struct wal *w;

    CU_ASSERT_FALSE(wal_segments_range(dir, &first, &last));
    w = open_wal(dir, &o);
    next(w); /* empty: stays */
    CU_ASSERT_EQUAL(wal_end(w).segment, 0);
    append_series(w, 1, 2);
    next(w);
    CU_ASSERT_EQUAL(wal_end(w).segment, 1);
    append_series(w, 2, 3);
    CU_ASSERT_TRUE(wal_segments_range(dir, &first, &last));
    CU_ASSERT_TRUE(first == 0 && last == 1);
    CU_ASSERT_EQUAL(find(dir).series, 2);
    wal_close(w);
    arena_fini(&arena);
}

/* More than a file holds, records of all lengths; and nothing. */
static void test_bulk(void)
{
    struct arena arena = { 0 };
    const char *dir = fresh_dir(&arena);
    struct buf record = { 0 };
    struct log l = { 0 };
    struct wal_bulk *b = NULL;
    struct sonde_err err;
    uint64_t first, last;
    size_t n = 0, bytes = 0;

    CU_ASSERT_EQUAL(wal_bulk_open(dir, WAL_PLAIN, &b, &err), SONDE_OK);
    for (; bytes < (size_t)130 << 20; n++) {
        sonde_str r = numbered(&record, n, n % 100 ? n % 99 : (size_t)1 << 22);

        bytes += r.len;
        CU_ASSERT_EQUAL(wal_bulk_put(b, r, &err), SONDE_OK);
    }
    CU_ASSERT_FALSE(fs_exists(dir));
    CU_ASSERT_EQUAL(wal_bulk_finish(b, &err), SONDE_OK);
    wal_bulk_close(b);
    CU_ASSERT_TRUE(wal_segments_range(dir, &first, &last));
    CU_ASSERT_EQUAL(last, 1);
    replay_dir(dir, (struct wal_position){ 0 }, &l);
    CU_ASSERT_EQUAL(l.records, n);
    CU_ASSERT_EQUAL(l.damages, 0);
    /* Another takes its place; one that is given up does not. */
    for (int finish = 1; finish >= 0; finish--) {
        CU_ASSERT_EQUAL(wal_bulk_open(dir, WAL_ZSTD, &b, &err), SONDE_OK);
        if (finish)
            CU_ASSERT_EQUAL(wal_bulk_finish(b, &err), SONDE_OK);
        wal_bulk_close(b);
        replay_dir(dir, (struct wal_position){ 0 }, &l);
        CU_ASSERT_EQUAL(l.records, 0);
    }
    wal_bulk_close(NULL);
    buf_fini(&record);
    buf_fini(&l.bytes);
    arena_fini(&arena);
}

static const struct tap_test tests[] = {
    { "what a checkpoint keeps", test_what_is_kept },
    { "a checkpoint of a checkpoint", test_checkpoint_of_checkpoint },
    { "every state that a kill leaves", test_every_state },
    { "a failure changes nothing", test_failure_changes_nothing },
    { "a damaged checkpoint", test_damaged_checkpoint },
    { "segments are ended and counted", test_segments },
    { "folders of records", test_bulk },
};

int main(void)
{
    return TAP_RUN("wal checkpoints", tests);
}
