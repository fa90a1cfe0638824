/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: samples out of order, within the window. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tsdb/head.h"
#include "unit/tap.h"
#include "unit/tsdb_kit.h"
#include "util/fs.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)

static void late_kit(struct kit *k, const char *name, sonde_msec window)
{
    kit_init(k, name);
    k->options.no_thread = true; /* blocks are made by nobody here */
    k->options.limits.out_of_order_ms = window;
    kit_reopen(k);
}

/* ---- judging ---------------------------------------------------------- */

enum {
    DUPS_LATE = 1
};

struct judged {
    int line;
    const char *series;
    sonde_msec ago; /* before KIT_NOW                                      */
    double v;
    struct append_stats want;
};

static void check_rows(struct kit *k, const struct judged *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct append_stats got =
            kit_put(k, rows[i].series, KIT_NOW - rows[i].ago, rows[i].v);

        ROW_ASSERT(&rows[i],
                   memcmp(&got, &rows[i].want,
                          offsetof(struct append_stats, rejected)) == 0);
    }
}

#define LATE                                                                   \
    {                                                                          \
        .appended = 1, .out_of_order_taken = 1                                 \
    }
#define TAKEN                                                                  \
    {                                                                          \
        .appended = 1                                                          \
    }
#define OLD                                                                    \
    {                                                                          \
        .too_old = 1                                                           \
    }
#define SAME                                                                   \
    {                                                                          \
        .duplicate_same = 1                                                    \
    }
#define OTHER                                                                  \
    {                                                                          \
        .duplicate_other = 1                                                   \
    }
#define ORDER                                                                  \
    {                                                                          \
        .out_of_order = 1                                                      \
    }

/* A window shorter than the hour in which new series may begin. */
static void test_short_window(void)
{
    static const struct judged rows[] = {
        { __LINE__, "a", 0, 1, TAKEN },
        { __LINE__, "a", 0, 1, SAME },
        { __LINE__, "a", 0, 2, OTHER },
        { __LINE__, "a", 1, 1, LATE },
        { __LINE__, "a", 1, 1, SAME },
        { __LINE__, "a", 1, 2, OTHER },
        { __LINE__, "a", 10 * MINUTE, 1, LATE },
        { __LINE__, "a", 10 * MINUTE + 1, 1, OLD },
        { __LINE__, "a", 2 * HOUR, 1, OLD },
        { __LINE__, "b", HOUR, 1, TAKEN },
        { __LINE__, "b", HOUR + 1, 1, OLD },
        { __LINE__, "b", 30 * MINUTE, 1, TAKEN },
        { __LINE__, "b", 40 * MINUTE, 1, OLD },
        { __LINE__, "c", HOUR + 1, 1, OLD },
    };
    struct kit k;

    late_kit(&k, "short", 10 * MINUTE);
    check_rows(&k, rows, sizeof(rows) / sizeof(rows[0]));
    CU_ASSERT_EQUAL(kit_count(&k, "a"), 3);
    CU_ASSERT_EQUAL(kit_count(&k, "b"), 2);
    kit_fini(&k);
}

/* And a longer one: a series may even begin out of order. */
static void test_long_window(void)
{
    static const struct judged rows[] = {
        { __LINE__, "a", 0, 1, TAKEN },
        { __LINE__, "b", HOUR + 1, 1, LATE },
        { __LINE__, "b", 5 * HOUR, 1, LATE },
        { __LINE__, "b", 5 * HOUR + 1, 1, OLD },
        { __LINE__, "b", HOUR, 1, TAKEN },
        { __LINE__, "b", HOUR, 1, SAME },
        { __LINE__, "b", HOUR, 2, OTHER },
        { __LINE__, "b", HOUR + 1, 1, SAME },
        { __LINE__, "b", HOUR + 2, 1, LATE },
    };
    struct kit k;

    late_kit(&k, "long", 5 * HOUR);
    check_rows(&k, rows, sizeof(rows) / sizeof(rows[0]));
    CU_ASSERT_EQUAL(kit_count(&k, "b"), 4);
    kit_fini(&k);
}

/* The window opens and closes while the store runs. */
static void test_reload(void)
{
    static const struct judged rows[] = {
        { __LINE__, "a", 0, 1, TAKEN },      { __LINE__, "a", 1, 1, ORDER },
        { __LINE__, "a", 1, 1, LATE },       { __LINE__, "a", 2, 1, ORDER },
        { __LINE__, "a", 2 * HOUR, 1, OLD },
    };
    struct tsdb_limits open = { .out_of_order_ms = HOUR }, closed = { 0 };
    struct kit k;
    char wbl[600];

    kit_init(&k, "reload");
    (void)snprintf(wbl, sizeof(wbl), "%s/wbl", k.dir);
    check_rows(&k, rows, 2);
    CU_ASSERT_FALSE(fs_exists(wbl));
    tsdb_set_limits(k.db, &open);
    check_rows(&k, rows + 2, 1);
    CU_ASSERT_TRUE(fs_exists(wbl));
    tsdb_set_limits(k.db, &closed);
    check_rows(&k, rows + 3, 2);
    CU_ASSERT_EQUAL(kit_count(&k, "a"), 2);
    kit_reopen(&k);
    CU_ASSERT_EQUAL(kit_count(&k, "a"), 2);
    kit_fini(&k);
}

/* What was refused is named. */
static void test_rejected(void)
{
    struct append_stats s;
    struct kit k;

    late_kit(&k, "rejected", MINUTE);
    (void)kit_put(&k, "a", KIT_NOW, 1);
    s = kit_put(&k, "a", KIT_NOW - MINUTE - 1, 1);
    CU_ASSERT_EQUAL(s.rejected_count, 1);
    CU_ASSERT_EQUAL(s.rejected[0].why, APPEND_TOO_OLD);
    CU_ASSERT_EQUAL(s.rejected[0].t, KIT_NOW - MINUTE - 1);
    kit_fini(&k);
}

/* A batch may mix all of it, the series together or apart. */
static void test_mixed_batch(void)
{
    struct kit k;
    struct appender *a;
    struct append_stats stats;
    series_ref x, y;
    struct columns c;

    late_kit(&k, "mixed", HOUR);
    a = storage_appender(tsdb_storage(k.db));
    x = kit_series(&k, a, "x");
    y = kit_series(&k, a, "y");
    appender_append(a, (struct storage_sample[]){ { x, KIT_NOW, 9 } }, 1);
    CU_ASSERT_EQUAL(appender_commit(a, NULL, NULL), SONDE_OK);
    appender_append(a,
                    (struct storage_sample[]){ { x, KIT_NOW - 5, 1 },
                                               { x, KIT_NOW + 1, 2 },
                                               { x, KIT_NOW - 4, 3 },
                                               { x, KIT_NOW + 1, 3 },
                                               { y, KIT_NOW, 4 },
                                               { x, KIT_NOW - 3, 5 },
                                               { y, KIT_NOW - 1, 6 },
                                               { x, KIT_NOW + 2, 7 },
                                               { x, KIT_NOW + 1, 8 } },
                    9);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    CU_ASSERT_EQUAL(stats.appended, 8);
    CU_ASSERT_EQUAL(stats.out_of_order_taken, 5);
    CU_ASSERT_EQUAL(stats.duplicate_other, 1);
    appender_free(a);
    c = kit_read(&k, "x", INT64_MIN, INT64_MAX);
    CU_ASSERT_EQUAL(c.count, 6);
    for (size_t i = 1; i < c.count; i++)
        CU_ASSERT_TRUE(c.t[i] > c.t[i - 1]);
    /* In order came first. */
    CU_ASSERT_EQUAL(c.v[4], 2);
    columns_fini(&c);
    kit_fini(&k);
}

/* ---- a model ---------------------------------------------------------- */

#define SERIES  7
#define SPAN    20000 /* times, in seconds                                 */
#define COMMITS 400

/* What must be there: the first value of each time, in order before late. */
struct model {
    bool has[SERIES][SPAN];
    double v[SERIES][SPAN];
    int last[SERIES], newest; /* -1: none                                  */
    int window;
    size_t appended, refused;
};

static sonde_msec time_of(int second)
{
    return KIT_NOW - (sonde_msec)SPAN * 1000 + (sonde_msec)second * 1000;
}

static bool model_late(const struct model *m, int newest, int at)
{
    return m->window && at >= newest - m->window;
}

static void model_put(struct model *m, int series, int at, double v, int newest)
{
    int valid = newest - 3600;

    if (at >= valid && at > m->last[series]) {
        m->last[series] = at;
    } else if ((at >= valid && at == m->last[series]) ||
               !model_late(m, newest, at) || m->has[series][at]) {
        m->refused++;
        return;
    }
    m->has[series][at] = true;
    m->v[series][at] = v;
    m->appended++;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void model_commit(struct model *m, struct kit *k, const series_ref *refs,
                         uint32_t *random)
{
    struct appender *a = storage_appender(tsdb_storage(k->db));
    int n = 1 + (int)(next_random(random) % 60), newest = m->newest;
    struct append_stats stats;

    for (int i = 0; i < n; i++) {
        int s = (int)(next_random(random) % SERIES);
        int at = newest + 40 - (int)(next_random(random) % 6000);
        double v = (double)(next_random(random) % 1000);

        if (next_random(random) % 2)
            at = newest + (int)(next_random(random) % 60);
        if (at < 0 || at >= SPAN)
            continue;
        appender_append(a, &(struct storage_sample){ refs[s], time_of(at), v },
                        1);
        model_put(m, s, at, v, newest);
        if (m->last[s] > m->newest)
            m->newest = m->last[s];
    }
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    appender_free(a);
}

static const char *series_name(int s)
{
    static const char *const names[SERIES] = {
        "a", "b", "c", "d", "e", "f", "g"
    };

    return names[s];
}

static void model_check(const struct model *m, struct kit *k, uint32_t *random)
{
    for (int s = 0; s < SERIES; s++) {
        int from = (int)(next_random(random) % SPAN);
        int to = from + (int)(next_random(random) % SPAN);
        struct columns c;
        size_t want = 0;
        bool same = true;

        to = to < SPAN ? to : SPAN - 1;
        if (next_random(random) % 2)
            from = 0, to = SPAN - 1;
        c = kit_read(k, series_name(s), time_of(from), time_of(to));
        for (int i = from; i <= to; i++) {
            if (!m->has[s][i])
                continue;
            same = same && want < c.count && c.t[want] == time_of(i) &&
                   c.v[want] == m->v[s][i];
            want++;
        }
        CU_ASSERT_TRUE(same);
        CU_ASSERT_EQUAL(c.count, want);
        columns_fini(&c);
    }
}

static void model_run(int window, const char *name, uint32_t random, size_t cap)
{
    struct model *m = mem_new(struct model);
    series_ref refs[SERIES];
    struct appender *a;
    struct kit k;

    late_kit(&k, name, (sonde_msec)window * 1000);
    k.options.out_of_order_cap = cap;
    kit_reopen(&k);
    m->window = window;
    for (int s = 0; s < SERIES; s++)
        m->last[s] = -1;
    m->newest = 5000;
    (void)kit_put(&k, "first", time_of(5000), 1);
    for (int i = 0; i < COMMITS; i++) {
        a = storage_appender(tsdb_storage(k.db));
        for (int s = 0; s < SERIES; s++)
            refs[s] = kit_series(&k, a, series_name(s));
        appender_free(a);
        model_commit(m, &k, refs, &random);
        if (i % 40 == 39)
            model_check(m, &k, &random);
        if (i % 100 == 99)
            kit_reopen(&k);
    }
    model_check(m, &k, &random);
    CU_ASSERT_TRUE(m->appended > 1000);
    CU_ASSERT_TRUE(m->refused > 100);
    kit_fini(&k);
    free(m);
}

static void test_model(void)
{
    model_run(0, "model0", 1, 0);
    model_run(300, "model5m", 2, 0);
    model_run(7200, "model2h", 3, 0);
    model_run(7200, "model2h_small", 4, 1);
    model_run(100000, "model_all", 5, 255);
}

/* ---- blocks ----------------------------------------------------------- */

static size_t hinted_blocks(struct kit *k, bool *aligned)
{
    size_t n, hinted = 0;
    struct block **blocks = tsdb_blocks(k->db, &n);

    *aligned = true;
    for (size_t i = 0; i < n; i++) {
        const struct block_meta *m = block_meta(blocks[i]);

        if (!m->from_out_of_order)
            continue;
        hinted++;
        *aligned = *aligned && m->mint % CHUNK_RANGE_MS == 0 &&
                   m->maxt == m->mint + CHUNK_RANGE_MS;
    }
    tsdb_blocks_free(blocks, n);
    return hinted;
}

static void check_all(struct kit *k)
{
    struct columns c = kit_read(k, "a", INT64_MIN, INT64_MAX);
    bool same = true;

    CU_ASSERT_EQUAL(c.count, 5 * 60 + 4 * 60);
    for (size_t i = 0; i < c.count; i++)
        same = same && c.v[i] == (double)(c.t[i] / 1000 % 1000) &&
               (i == 0 || c.t[i] > c.t[i - 1]);
    CU_ASSERT_TRUE(same);
    columns_fini(&c);
}

/* In order every minute of five hours, late between those of the first
 * four: they leave the head behind the samples in order, and nobody misses
 * one at any time. */
static void test_compaction(void)
{
    struct kit k;
    bool aligned;

    kit_init(&k, "compaction");
    k.options.limits.out_of_order_ms = 6 * HOUR;
    k.options.no_thread = true;
    kit_reopen(&k);
    for (sonde_msec t = KIT_NOW - 5 * HOUR; t < KIT_NOW; t += MINUTE)
        (void)kit_put(&k, "a", t, (double)(t / 1000 % 1000));
    for (sonde_msec t = KIT_NOW - 5 * HOUR; t < KIT_NOW - HOUR; t += MINUTE)
        CU_ASSERT_EQUAL(
            kit_put(&k, "a", t + 7000, (double)((t / 1000 + 7) % 1000))
                .out_of_order_taken,
            1);
    check_all(&k);
    CU_ASSERT_EQUAL(hinted_blocks(&k, &aligned), 0);
    CU_ASSERT_EQUAL(tsdb_compact(k.db, NULL), SONDE_OK);
    CU_ASSERT_TRUE(aligned);
    check_all(&k);
    CU_ASSERT_EQUAL(tsdb_compact(k.db, NULL), SONDE_OK);
    check_all(&k);
    kit_reopen(&k);
    check_all(&k);
    kit_fini(&k);
}

/* What is deleted does not come back by the late samples' own way out, nor
 * does anything else go with it. */
static void test_deleted(void)
{
    struct matcher m = { .op = MATCH_EQ,
                         .name = SONDE_STR(LABEL_NAME),
                         .value = SONDE_STR("a") };
    struct columns c;
    struct kit k;
    bool gone = true;

    kit_init(&k, "deleted");
    k.options.limits.out_of_order_ms = 6 * HOUR;
    k.options.no_thread = true;
    kit_reopen(&k);
    for (sonde_msec t = KIT_NOW - 5 * HOUR; t < KIT_NOW; t += MINUTE)
        (void)kit_put(&k, "a", t, 1);
    for (sonde_msec t = KIT_NOW - 5 * HOUR; t < KIT_NOW - HOUR; t += MINUTE)
        (void)kit_put(&k, "a", t + 7000, 2);
    CU_ASSERT_EQUAL(
        tsdb_delete(k.db, KIT_NOW - 4 * HOUR, KIT_NOW - 3 * HOUR, &m, 1, NULL),
        SONDE_OK);
    for (int round = 0; round < 3; round++) {
        c = kit_read(&k, "a", INT64_MIN, INT64_MAX);
        CU_ASSERT_EQUAL(c.count, 5 * 60 + 4 * 60 - 61 - 60);
        for (size_t i = 0; i < c.count; i++)
            gone = gone &&
                   (c.t[i] < KIT_NOW - 4 * HOUR || c.t[i] > KIT_NOW - 3 * HOUR);
        CU_ASSERT_TRUE(gone);
        columns_fini(&c);
        if (round == 0)
            CU_ASSERT_EQUAL(tsdb_compact(k.db, NULL), SONDE_OK);
        if (round == 1)
            kit_reopen(&k);
    }
    kit_fini(&k);
}

/* ---- damage ----------------------------------------------------------- */

static void flip(const char *dir, const char *file, uint32_t *random)
{
    struct sonde_err err = { 0 };
    struct buf data;
    char path[700];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, file);
    buf_init(&data);
    CU_ASSERT_EQUAL(fs_read(path, 1 << 20, &data, &err), SONDE_OK);
    CU_ASSERT_TRUE_FATAL(data.len > 100);
    data.data[next_random(random) % data.len] ^=
        (char)(1 << next_random(random) % 8);
    CU_ASSERT_EQUAL(fs_write_atomic(path, buf_str(&data), 0640, &err),
                    SONDE_OK);
    buf_fini(&data);
}

/* Any byte of the WBL and of the head chunks: nothing that is read was not
 * written, and what came in order is all there. */
static void test_damaged(void)
{
    static const char *const files[] = { "wbl/00000000", "chunks_head/000001" };
    uint32_t random = 9;
    char from[512], command[1200];
    struct kit k;

    late_kit(&k, "damaged", HOUR);
    (void)kit_put(&k, "a", KIT_NOW, 0);
    for (int i = 1; i < 300; i++)
        (void)kit_put(&k, "a", KIT_NOW - i * 1000, i);
    tsdb_close(k.db);
    (void)snprintf(from, sizeof(from), "%s", k.dir);
    for (int round = 0; round < 60; round++) {
        struct columns c;
        size_t in_order = 0;
        bool known = true;

        (void)snprintf(k.dir, sizeof(k.dir), "%s/damaged-%d", tap_tmpdir(),
                       round);
        (void)snprintf(command, sizeof(command), "cp -a %s %s", from, k.dir);
        CU_ASSERT_EQUAL(system(command), 0);
        flip(k.dir, files[round % 2], &random);
        kit_open(&k);
        c = kit_read(&k, "a", INT64_MIN, INT64_MAX);
        for (size_t i = 0; i < c.count; i++) {
            known = known && c.v[i] == (double)((KIT_NOW - c.t[i]) / 1000);
            in_order += c.t[i] == KIT_NOW;
        }
        CU_ASSERT_TRUE(known);
        CU_ASSERT_EQUAL(in_order, 1);
        /* The log has what a damaged chunk had. */
        if (round % 2)
            CU_ASSERT_EQUAL(c.count, 300);
        columns_fini(&c);
        tsdb_close(k.db);
        k.db = NULL;
    }
    arena_fini(&k.arena);
}

/* ---- killed ----------------------------------------------------------- */

/* Commits late samples and says so, until it is killed. */
static void victim(const char *dir, int fd)
{
    struct kit k = { .db = NULL };
    struct appender *a;

    (void)snprintf(k.dir, sizeof(k.dir), "%s", dir);
    clock_manual_init(&k.clock, KIT_NOW);
    arena_init(&k.arena);
    k.options.clock = &k.clock.clock;
    k.options.limits.out_of_order_ms = HOUR;
    kit_open(&k);
    (void)kit_put(&k, "a", KIT_NOW, 0);
    a = storage_appender(tsdb_storage(k.db));
    for (uint32_t i = 1; i < 1000000; i++) {
        struct storage_sample s = { kit_series(&k, a, "a"), KIT_NOW - i, i };

        appender_append(a, &s, 1);
        if (appender_commit(a, NULL, NULL) != SONDE_OK ||
            write(fd, &i, sizeof(i)) != sizeof(i))
            break;
        arena_reset(&k.arena);
    }
    _exit(1);
}

static void test_killed(void)
{
    uint32_t random = 7;

    for (int round = 0; round < 8; round++) {
        struct kit k;
        uint32_t i, acknowledged = 0, stop = next_random(&random) % 400;
        char name[32];
        int fds[2];
        pid_t pid;

        (void)snprintf(name, sizeof(name), "killed%d", round);
        late_kit(&k, name, HOUR);
        tsdb_close(k.db);
        CU_ASSERT_EQUAL(pipe(fds), 0);
        pid = fork();
        if (pid == 0)
            victim(k.dir, fds[1]);
        (void)close(fds[1]);
        while (read(fds[0], &i, sizeof(i)) == sizeof(i)) {
            acknowledged = i;
            if (i > stop)
                (void)kill(pid, SIGKILL);
        }
        (void)close(fds[0]);
        (void)waitpid(pid, NULL, 0);
        CU_ASSERT_TRUE(acknowledged > stop);
        kit_open(&k);
        CU_ASSERT_TRUE(kit_count(&k, "a") >= acknowledged + 1);
        kit_fini(&k);
    }
}

static const struct tap_test tests[] = {
    { "a short window", test_short_window },
    { "a long window", test_long_window },
    { "the window changes by reload", test_reload },
    { "what is too old is named", test_rejected },
    { "a batch may mix all kinds", test_mixed_batch },
    { "random samples against a model", test_model },
    { "late samples leave as blocks", test_compaction },
    { "and not what was deleted", test_deleted },
    { "any byte may be damaged", test_damaged },
    { "killed, it keeps what it acknowledged", test_killed },
};

int main(void)
{
    return TAP_RUN("tsdb_late", tests);
}
