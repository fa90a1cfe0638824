/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: files of full chunks, and the lists that say where they are. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tsdb/head_files.h"
#include "unit/tsdb_kit.h"
#include "util/bytes.h"
#include "util/fs.h"

/* ---- lists ------------------------------------------------------------- */

static void test_list(void)
{
    struct chunk_mem m;
    uint8_t *list = NULL;
    bool right = true;

    chunk_mem_init(&m);
    for (uint64_t i = 0; i < 3000; i++)
        chunk_list_push(&m, &list, i << 20 | i);
    CU_ASSERT_EQUAL_FATAL(chunk_list_count(list), 3000);
    chunk_list_drop(&m, &list, 17);
    chunk_list_insert(&m, &list, 5, (UINT64_C(1) << 40) - 1);
    CU_ASSERT_EQUAL_FATAL(chunk_list_count(list), 2984);
    CU_ASSERT_EQUAL(chunk_list_get(list, 5), (UINT64_C(1) << 40) - 1);
    for (uint64_t i = 0; i < 2983; i++)
        right = right && chunk_list_get(list, i < 5 ? i : i + 1) ==
                             ((i + 17) << 20 | (i + 17));
    CU_ASSERT_TRUE(right);
    while (chunk_list_count(list) > 7)
        chunk_list_drop(&m, &list, 1);
    CU_ASSERT_EQUAL(chunk_list_get(list, 6), UINT64_C(2999) << 20 | 2999);
    chunk_list_drop(&m, &list, 7);
    CU_ASSERT_PTR_NULL(list);
    CU_ASSERT_EQUAL(m.slabs, 0);
    chunk_mem_fini(&m);
}

/* ---- files ------------------------------------------------------------- */

#define CHUNKS 40

struct seen {
    struct head_chunk chunks[CHUNKS * 2];
    chunk_place places[CHUNKS * 2];
    char data[CHUNKS * 2][64];
    size_t count, behind;
};

struct folder {
    char dir[512];
    struct head_metrics metrics;
    struct head_files *files;
    struct seen seen;
};

static void note(void *arg, chunk_ref ref, chunk_place place,
                 const struct head_chunk *c, bool behind_damage)
{
    struct seen *s = arg;

    (void)ref;
    if (s->count == CHUNKS * 2 || c->chunk.data.len > 64)
        return;
    s->chunks[s->count] = *c;
    s->places[s->count] = place;
    memcpy(s->data[s->count++], c->chunk.data.ptr, c->chunk.data.len);
    s->behind += behind_damage;
}

static sonde_code folder_open(struct folder *f, bool read_only)
{
    struct head_files_options o = {
        .read_only = read_only,
        .metrics = &f->metrics,
        .found = note,
        .arg = &f->seen,
    };

    f->files = NULL;
    f->seen.count = f->seen.behind = 0;
    return head_files_open(f->dir, &o, &f->files, NULL);
}

static void folder_init(struct folder *f, const char *name)
{
    struct sonde_err err;

    log_setup(LOG_ERROR, LOG_LOGFMT);
    memset(f, 0, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "%s/%s", tap_tmpdir(), name);
    CU_ASSERT_EQUAL(fs_remove_all(f->dir, &err), SONDE_OK);
    head_metrics_register(&f->metrics, NULL);
    CU_ASSERT_EQUAL_FATAL(folder_open(f, false), SONDE_OK);
}

static struct head_chunk make(unsigned i, char data[64])
{
    size_t len = 10 + i % 50;

    memset(data, (int)('a' + i % 26), len);
    return (struct head_chunk){
        .series = 1 + i % 7,
        .late = i % 5 == 4,
        .chunk = { .encoding = CHUNK_XOR,
                   .data = { data, len },
                   .mint = 1000 * i,
                   .maxt = 1000 * i + 999 },
    };
}

static bool same(const struct head_chunk *a, const struct head_chunk *b)
{
    return a->series == b->series && a->late == b->late &&
           a->chunk.encoding == b->chunk.encoding &&
           a->chunk.mint == b->chunk.mint && a->chunk.maxt == b->chunk.maxt &&
           sonde_str_eq(a->chunk.data, b->chunk.data);
}

static bool reads(struct folder *f, chunk_place place, unsigned i,
                  bool want_copied)
{
    char data[64];
    struct head_chunk want = make(i, data), got;
    struct buf copy;
    bool copied, yes;

    buf_init(&copy);
    buf_cstr(&copy, "before");
    head_files_read(f->files, place, &copy, &got, &copied);
    yes = same(&want, &got) && copied == want_copied;
    buf_fini(&copy);
    return yes;
}

/* From memory, from the file, and after opening again. */
static void test_write_and_read(void)
{
    chunk_place places[CHUNKS];
    struct folder f;
    char data[64];
    bool right = true;

    folder_init(&f, "plain");
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct head_chunk c = make(i, data);

        places[i] = head_files_add(f.files, &c);
        if (i == CHUNKS / 2) {
            CU_ASSERT_EQUAL(head_files_flush(f.files, NULL), SONDE_OK);
            CU_ASSERT_EQUAL(head_files_waiting(f.files), 0);
        }
    }
    for (unsigned i = 0; i < CHUNKS; i++)
        right = right && reads(&f, places[i], i, i > CHUNKS / 2);
    CU_ASSERT_TRUE(right);
    CU_ASSERT_EQUAL(head_files_ref(f.files, places[0]), UINT64_C(1) << 32 | 8);
    CU_ASSERT_EQUAL(head_files_sync(f.files, NULL), SONDE_OK);
    head_files_close(f.files);
    CU_ASSERT_EQUAL(folder_open(&f, true), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(f.seen.count, CHUNKS);
    for (unsigned i = 0; i < CHUNKS; i++)
        right = right && f.seen.places[i] == places[i] &&
                reads(&f, places[i], i, false);
    CU_ASSERT_TRUE(right);
    CU_ASSERT_FALSE(head_files_damaged(f.files));
    head_files_close(f.files);
}

/* Bytes that Prometheus wrote: one chunk in order, one out of order. */
static void test_vectors(void)
{
    static const uint8_t ooo[] = {
        0x01, 0x30, 0xbc, 0x91, 0x01, 0,    0,    0,    0,    0,    0,    0,
        0,    0,    0,    0x01, 0,    0,    0x01, 0x8b, 0xd0, 0x47, 0x4a, 0x98,
        0,    0,    0x01, 0x8b, 0xd0, 0x47, 0x5e, 0x20, 0x81, 0x15, 0x00, 0x02,
        0xb0, 0xaa, 0xba, 0x84, 0xfa, 0x62, 0x40, 0,    0,    0,    0,    0,
        0,    0,    0x88, 0x27, 0xd4, 0x2c, 0x40, 0xc9, 0xc2, 0xbe, 0x69
    };
    struct sonde_err err;
    struct folder f;
    char path[600];

    folder_init(&f, "vectors");
    head_files_close(f.files);
    (void)snprintf(path, sizeof(path), "%s/000007", f.dir);
    CU_ASSERT_EQUAL(
        fs_write_atomic(path, (sonde_str){ (const char *)ooo, sizeof(ooo) },
                        0640, &err),
        SONDE_OK);
    CU_ASSERT_EQUAL(folder_open(&f, false), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(f.seen.count, 1);
    CU_ASSERT_EQUAL(f.seen.chunks[0].series, 1);
    CU_ASSERT_TRUE(f.seen.chunks[0].late);
    CU_ASSERT_EQUAL(f.seen.chunks[0].chunk.mint, INT64_C(0x18bd0474a98));
    CU_ASSERT_EQUAL(f.seen.chunks[0].chunk.maxt, INT64_C(0x18bd0475e20));
    CU_ASSERT_EQUAL(f.seen.chunks[0].chunk.data.len, 21);
    /* and written again they are the same */
    (void)head_files_add(f.files, &f.seen.chunks[0]);
    CU_ASSERT_EQUAL(head_files_flush(f.files, NULL), SONDE_OK);
    head_files_close(f.files);
    {
        struct buf again;

        (void)snprintf(path, sizeof(path), "%s/000008", f.dir);
        buf_init(&again);
        CU_ASSERT_EQUAL(fs_read(path, 1000, &again, &err), SONDE_OK);
        CU_ASSERT_EQUAL_FATAL(again.len, sizeof(ooo));
        CU_ASSERT_EQUAL(memcmp(again.data, ooo, sizeof(ooo)), 0);
        buf_fini(&again);
    }
}

/* ---- damage ------------------------------------------------------------ */

/* Two files of some chunks each; the bytes of the first. */
static void two_files(struct folder *f, const char *name, struct buf *first)
{
    struct sonde_err err;
    char data[64], path[600];

    folder_init(f, name);
    for (unsigned i = 0; i < 12; i++) {
        struct head_chunk c = make(i, data);

        if (i == 8)
            head_files_cut(f->files);
        (void)head_files_add(f->files, &c);
    }
    CU_ASSERT_EQUAL(head_files_flush(f->files, NULL), SONDE_OK);
    head_files_close(f->files);
    (void)snprintf(path, sizeof(path), "%s/000001", f->dir);
    buf_init(first);
    CU_ASSERT_EQUAL(fs_read(path, 100000, first, &err), SONDE_OK);
}

/* Those that are found are right; how many of the 12 that is. */
static size_t found_right(struct folder *f)
{
    size_t right = 0;

    for (size_t i = 0; i < f->seen.count; i++) {
        char data[64];
        struct head_chunk want =
            make((unsigned)(f->seen.chunks[i].chunk.mint / 1000), data);

        f->seen.chunks[i].chunk.data.ptr = f->seen.data[i];
        if (same(&want, &f->seen.chunks[i]))
            right++;
        else
            right += 100; /* never a wrong one */
    }
    return right;
}

static void put_first(struct folder *f, const char *bytes, size_t len)
{
    char path[600];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/000001", f->dir);
    fd = open(path, O_WRONLY | O_TRUNC);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, bytes, len), (ssize_t)len);
    (void)close(fd);
}

/* Any byte of a file changed: at most the chunk that it is in is lost. */
static void test_flipped_bytes(void)
{
    struct folder f;
    struct buf first;
    size_t wrong = 0;

    two_files(&f, "flipped", &first);
    for (size_t i = 0; i < first.len; i++) {
        size_t n;

        first.data[i] ^= 0x41;
        put_first(&f, first.data, first.len);
        CU_ASSERT_EQUAL_FATAL(folder_open(&f, true), SONDE_OK);
        n = found_right(&f);
        /* the header's padding is nothing */
        if (i < 5 ? n != 12 || !head_files_damaged(f.files)
                  : i >= 8 && (n != 11 || !head_files_damaged(f.files)))
            wrong++;
        head_files_close(f.files);
        first.data[i] ^= 0x41;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    buf_fini(&first);
}

/* A file cut off anywhere: what was before is there, and the next file. */
static void test_cut_off(void)
{
    struct folder f;
    struct buf first;
    size_t before = 0;
    bool right = true;

    two_files(&f, "cut_off", &first);
    for (size_t len = 0; len <= first.len; len++) {
        size_t n;

        put_first(&f, first.data, len);
        CU_ASSERT_EQUAL_FATAL(folder_open(&f, true), SONDE_OK);
        n = found_right(&f);
        right = right && n >= 4 && n <= 12 && n - 4 >= before;
        before = n - 4;
        head_files_close(f.files);
    }
    CU_ASSERT_TRUE(right);
    CU_ASSERT_EQUAL(before, 8);
    buf_fini(&first);
}

/* What a kill leaves: no damage, and the file ends behind the last chunk. */
static void test_torn_end(void)
{
    struct folder f;
    struct buf first;
    char path[600];
    struct stat st;

    two_files(&f, "torn", &first);
    (void)snprintf(path, sizeof(path), "%s/000002", f.dir);
    CU_ASSERT_EQUAL(stat(path, &st), 0);
    CU_ASSERT_EQUAL(truncate(path, st.st_size - 5), 0);
    CU_ASSERT_EQUAL(folder_open(&f, false), SONDE_OK);
    CU_ASSERT_EQUAL(found_right(&f), 11);
    CU_ASSERT_FALSE(head_files_damaged(f.files));
    head_files_close(f.files);
    (void)snprintf(path, sizeof(path), "%s/000003", f.dir);
    put_first(&f, first.data, first.len);
    {
        int fd = open(path, O_CREAT | O_WRONLY, 0640);

        CU_ASSERT_EQUAL(write(fd, "\0\0\0\0", 4), 4);
        (void)close(fd);
    }
    CU_ASSERT_EQUAL(folder_open(&f, false), SONDE_OK);
    CU_ASSERT_EQUAL(found_right(&f), 11);
    CU_ASSERT_FALSE(head_files_damaged(f.files));
    CU_ASSERT_NOT_EQUAL(stat(path, &st), 0);
    head_files_close(f.files);
    buf_fini(&first);
}

static void test_missing_file(void)
{
    struct folder f;
    struct buf first;
    char path[600];
    char data[64];

    two_files(&f, "missing", &first);
    CU_ASSERT_EQUAL(folder_open(&f, false), SONDE_OK);
    {
        struct head_chunk c = make(20, data);

        (void)head_files_add(f.files, &c);
    }
    CU_ASSERT_EQUAL(head_files_flush(f.files, NULL), SONDE_OK);
    head_files_close(f.files);
    (void)snprintf(path, sizeof(path), "%s/000002", f.dir);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(folder_open(&f, false), SONDE_OK);
    CU_ASSERT_EQUAL(found_right(&f), 9);
    CU_ASSERT_EQUAL(f.seen.behind, 1);
    CU_ASSERT_TRUE(head_files_damaged(f.files));
    /* the gap goes with what is before it */
    CU_ASSERT_EQUAL(head_files_delete(f.files, 8000, UINT32_MAX), 1);
    head_files_release(f.files);
    head_files_close(f.files);
    CU_ASSERT_EQUAL(folder_open(&f, false), SONDE_OK);
    CU_ASSERT_EQUAL(found_right(&f), 1);
    CU_ASSERT_FALSE(head_files_damaged(f.files));
    head_files_close(f.files);
    buf_fini(&first);
}

/* ---- a full disk, and deleting ------------------------------------------ */

static void test_full_disk(void)
{
    struct rlimit old, low;
    chunk_place places[CHUNKS];
    struct folder f;
    char data[64];
    bool right = true;

    (void)signal(SIGXFSZ, SIG_IGN);
    folder_init(&f, "full");
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct head_chunk c = make(i, data);

        places[i] = head_files_add(f.files, &c);
    }
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 100;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &low), 0);
    CU_ASSERT_NOT_EQUAL(head_files_flush(f.files, NULL), SONDE_OK);
    for (unsigned i = 0; i < CHUNKS; i++)
        right = right && reads(&f, places[i], i, true);
    CU_ASSERT_TRUE(right);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &old), 0);
    CU_ASSERT_EQUAL(head_files_flush(f.files, NULL), SONDE_OK);
    for (unsigned i = 0; i < CHUNKS; i++)
        right = right && reads(&f, places[i], i, false);
    CU_ASSERT_TRUE(right);
    head_files_close(f.files);
    CU_ASSERT_EQUAL(folder_open(&f, true), SONDE_OK);
    CU_ASSERT_EQUAL(f.seen.count, CHUNKS);
    head_files_close(f.files);
}

static void test_delete(void)
{
    chunk_place places[CHUNKS];
    struct folder f;
    char data[64];

    folder_init(&f, "delete");
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct head_chunk c = make(i, data);

        if (i && i % 10 == 0)
            head_files_cut(f.files);
        places[i] = head_files_add(f.files, &c);
    }
    CU_ASSERT_EQUAL(head_files_side(f.files, places[0], 10000),
                    HEAD_FILE_BEFORE);
    CU_ASSERT_EQUAL(head_files_side(f.files, places[0], 9000), HEAD_FILE_MIXED);
    CU_ASSERT_EQUAL(head_files_side(f.files, places[10], 9000),
                    HEAD_FILE_BEHIND);
    CU_ASSERT_EQUAL(head_files_delete(f.files, 9999, UINT32_MAX), 0);
    CU_ASSERT_EQUAL(head_files_delete(f.files, 25000, 1), 0);
    CU_ASSERT_EQUAL(head_files_flush(f.files, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(head_files_delete(f.files, 25000, UINT32_MAX), 2);
    CU_ASSERT_EQUAL(head_files_oldest(f.files), 20000);
    /* who read it already may go on */
    CU_ASSERT_TRUE(reads(&f, places[3], 3, false));
    head_files_release(f.files);
    /* all of it: the next chunk begins a file with the next number */
    head_files_cut(f.files);
    CU_ASSERT_EQUAL(head_files_delete(f.files, 100000, UINT32_MAX), 2);
    head_files_release(f.files);
    CU_ASSERT_EQUAL(head_files_bytes(f.files), 0);
    CU_ASSERT_EQUAL(head_files_waiting(f.files), 0);
    {
        struct head_chunk c = make(1, data);
        chunk_place p = head_files_add(f.files, &c);

        CU_ASSERT_EQUAL(head_files_ref(f.files, p), UINT64_C(5) << 32 | 8);
        CU_ASSERT_TRUE(reads(&f, p, 1, true));
    }
    head_files_close(f.files);
}

static const struct tap_test tests[] = {
    { "lists of chunks grow, shrink and keep their order", test_list },
    { "chunks are read from memory and from files", test_write_and_read },
    { "bytes of Prometheus", test_vectors },
    { "a changed byte costs one chunk", test_flipped_bytes },
    { "a file cut off costs what was behind", test_cut_off },
    { "what a kill leaves is no damage", test_torn_end },
    { "a missing file is said", test_missing_file },
    { "a full disk: chunks wait in memory", test_full_disk },
    { "files go from the oldest on", test_delete },
};

int main(void)
{
    return TAP_RUN("tsdb_files", tests);
}
