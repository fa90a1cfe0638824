/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the head costs: targets with many series each, scraped in turn through
 * an appender onto a real log. Prints ns a sample by phase, and bytes of
 * resident memory a series. Agent posture beside it shows what judging and
 * logging alone cost; the rest is chunks.
 *
 *     head_bench [ROUNDS [TARGETS [SERIES [DIR [PART [INTERVAL_MS]]]]]]
 *
 * PART is one of agent, server, replay, snapshot, and leaves its data, so that
 * a replay can be looked at by itself, with a cold cache too; by default all
 * ("all") are done and cleaned up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tsdb/tsdb.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"

struct bench {
    size_t rounds, targets, series;
    const char *dir;
    sonde_msec interval_ms;
    struct clock_manual clock;
    struct tsdb *db;
    series_ref *refs;
    double *values;
    struct storage_sample *batch;
    uint64_t make_ns, append_ns, commit_ns, first_commit_ns;
    uint64_t random;
    bool snapshot;
};

/* The thread's own time: other work on the machine does not count. */
static uint64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static size_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0, all;

    if (f && fscanf(f, "%lu %lu", &all, &pages) != 2)
        pages = 0;
    if (f)
        (void)fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static uint64_t next_random(struct bench *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random;
}

/* A ninth of the series are gauges, the others counters: histogram buckets
 * mostly, of which many stand still. */
static void step(struct bench *b, size_t i)
{
    uint64_t r = next_random(b);

    if (i % 9 == 0)
        b->values[i] = (double)(r % 100000) / 1000;
    else if (i % 3 == 0)
        b->values[i] += (double)(r % 50);
    else if (r % 4 == 0)
        b->values[i] += 1;
}

static series_ref make_one(struct appender *a, struct arena *arena,
                           size_t target, size_t i)
{
    static const char *const codes[] = { "200", "204", "404", "500" };
    const struct label items[] = {
        { SONDE_STR("__name__"),
          arena_printf(arena, "app_metric_%zu_bucket", i / 100) },
        { SONDE_STR("code"), sonde_cstr(codes[i % 4]) },
        { SONDE_STR("handler"),
          arena_printf(arena, "/api/v1/%zu", i / 20 % 5) },
        { SONDE_STR("instance"),
          arena_printf(arena, "10.0.0.%zu:9100", target) },
        { SONDE_STR("job"), SONDE_STR("bench") },
        { SONDE_STR("le"), arena_printf(arena, "%zu", i / 4 % 5) },
        { SONDE_STR("method"), SONDE_STR("GET") },
        { SONDE_STR("namespace"), SONDE_STR("production") },
        { SONDE_STR("pod"), arena_printf(arena, "app-%zu", target) },
    };
    struct labels l = { items, sizeof(items) / sizeof(items[0]) };
    struct sonde_err err;
    series_ref ref = 0;

    if (appender_series(a, &l, &ref, &err) != SONDE_OK) {
        (void)fprintf(stderr, "series: %s\n", err.text);
        exit(1);
    }
    return ref;
}

static void make_series(struct bench *b, struct appender *a, size_t target)
{
    struct arena arena;
    uint64_t t0 = cpu_ns();

    arena_init(&arena);
    for (size_t i = 0; i < b->series; i++) {
        b->refs[target * b->series + i] = make_one(a, &arena, target, i);
        if (i % 100 == 0)
            arena_reset(&arena);
    }
    arena_fini(&arena);
    b->make_ns += cpu_ns() - t0;
}

static void scrape(struct bench *b, struct appender *a, size_t target,
                   size_t round)
{
    sonde_msec t = b->clock.now_ms +
                   (sonde_msec)target * b->interval_ms / (sonde_msec)b->targets;
    uint64_t t0, t1, t2;
    struct append_stats stats;
    struct sonde_err err;

    for (size_t i = 0; i < b->series; i++) {
        size_t s = target * b->series + i;

        step(b, s);
        b->batch[i] = (struct storage_sample){ b->refs[s], t, b->values[s] };
    }
    t0 = cpu_ns();
    appender_append(a, b->batch, b->series);
    t1 = cpu_ns();
    if (appender_commit(a, &stats, &err) != SONDE_OK ||
        stats.appended != b->series) {
        (void)fprintf(stderr, "commit: %s, %zu in\n", err.text, stats.appended);
        exit(1);
    }
    t2 = cpu_ns();
    b->append_ns += t1 - t0;
    *(round ? &b->commit_ns : &b->first_commit_ns) += t2 - t1;
}

static void open_store(struct bench *b, bool log_only, struct tsdb **out)
{
    struct tsdb_options o = { .clock = &b->clock.clock,
                              .log_only = log_only,
                              .snapshot_on_close = b->snapshot };
    struct sonde_err err;

    o.wal.compress = WAL_SNAPPY;
    if (tsdb_open(b->dir, &o, out, &err) != SONDE_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

static void read_back(struct bench *b)
{
    struct storage *st = tsdb_storage(b->db);
    struct matcher m = { MATCH_EQ, SONDE_STR("job"), SONDE_STR("bench"), NULL };
    struct columns c = { 0 };
    struct storage_series *s;
    struct series_set *set;
    struct querier *q;
    size_t samples = 0, series = 0;
    uint64_t t0 = cpu_ns(), select_ns;

    if (st->ops->querier(st, INT64_MIN, INT64_MAX, &q, NULL) != SONDE_OK ||
        q->ops->select(q, &m, 1, NULL, &set, NULL) != SONDE_OK)
        exit(1);
    select_ns = cpu_ns() - t0;
    t0 = cpu_ns();
    while (set->ops->next(set, &s, NULL) == SONDE_OK) {
        c.count = 0;
        if (s->ops->read(s, INT64_MIN, INT64_MAX, &c, NULL) != SONDE_OK)
            exit(1);
        samples += c.count;
        series++;
    }
    printf("select %zu series: %.2f ms; read %zu samples: %.1f ns a sample, "
           "%.0f ns a series\n",
           series, (double)select_ns / 1e6, samples,
           (double)(cpu_ns() - t0) / (double)samples,
           (double)(cpu_ns() - t0) / (double)series);
    set->ops->free(set);
    q->ops->free(q);
    columns_fini(&c);
}

static void run(struct bench *b, bool log_only)
{
    double all = (double)(b->targets * b->series);
    double later = all * (double)(b->rounds - 1);
    struct appender *a;
    size_t before, made, most = 0;

    b->make_ns = b->append_ns = b->commit_ns = b->first_commit_ns = 0;
    b->random = 88172645463325252u;
    clock_manual_init(&b->clock, 1700006400000);
    memset(b->values, 0, b->targets * b->series * sizeof(*b->values));
    before = resident_bytes();
    open_store(b, log_only, &b->db);
    a = storage_appender(tsdb_storage(b->db));
    for (size_t t = 0; t < b->targets; t++) {
        make_series(b, a, t);
        scrape(b, a, t, 0);
    }
    made = resident_bytes();
    for (size_t round = 1; round < b->rounds; round++) {
        clock_manual_advance(&b->clock, b->interval_ms);
        for (size_t t = 0; t < b->targets; t++) {
            size_t now;

            scrape(b, a, t, round);
            now = resident_bytes();
            most = now > most ? now : most;
        }
    }
    printf("%s: make series %.0f ns each; first commit %.1f, then append %.1f, "
           "commit %.1f ns a sample\n",
           log_only ? "agent" : "server", (double)b->make_ns / all,
           (double)b->first_commit_ns / all,
           (double)b->append_ns / (all * (double)b->rounds),
           (double)b->commit_ns / later);
    printf("%s: resident %.0f B a series when made, %.0f after %zu rounds, "
           "%.0f at most\n",
           log_only ? "agent" : "server", (double)(made - before) / all,
           (double)(resident_bytes() - before) / all, b->rounds,
           (double)(most - before) / all);
    if (!log_only)
        read_back(b);
    appender_free(a);
    tsdb_close(b->db);
}

static uint64_t process_cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* How long a start takes on what the last part left: the log, or a snapshot
 * and the little that came behind it. Closing leaves a snapshot if asked. */
static void replay(struct bench *b, bool snapshot)
{
    double samples = (double)(b->targets * b->series * b->rounds);
    uint64_t wall = clock_ns(), cpu = process_cpu_ns();

    b->snapshot = snapshot;
    clock_manual_init(&b->clock, 1700006400000);
    open_store(b, false, &b->db);
    wall = clock_ns() - wall;
    cpu = process_cpu_ns() - cpu;
    printf("start: %.3f s, %.3f s of CPU, %.1f ns a sample, resident %.0f B a "
           "series\n",
           (double)wall / 1e9, (double)cpu / 1e9, (double)cpu / samples,
           (double)resident_bytes() / (double)(b->targets * b->series));
    wall = clock_ns();
    tsdb_close(b->db);
    printf("close: %.3f s\n", (double)(clock_ns() - wall) / 1e9);
}

static void do_part(struct bench *b, const char *part)
{
    struct sonde_err err;
    bool fill = strcmp(part, "agent") == 0 || strcmp(part, "server") == 0;
    pid_t child;

    if (fill && fs_remove_all(b->dir, &err) != SONDE_OK)
        exit(1);
    /* Each in a process of its own, so that none finds warm memory. */
    child = fork();
    if (child != 0) {
        (void)waitpid(child, NULL, 0);
        return;
    }
    if (fill)
        run(b, *part == 'a');
    else
        replay(b, *part == 's');
    (void)fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    static const char *const parts[] = { "agent", "server", "replay",
                                         "snapshot", "replay" };
    struct bench b = {
        .rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 30,
        .targets = argc > 2 ? strtoul(argv[2], NULL, 10) : 10,
        .series = argc > 3 ? strtoul(argv[3], NULL, 10) : 20000,
        .dir = argc > 4 ? argv[4] : "head_bench.data",
        .interval_ms = argc > 6 ? strtol(argv[6], NULL, 10) : 15000,
    };
    size_t all = b.targets * b.series;
    struct sonde_err err;

    log_setup(LOG_ERROR, LOG_LOGFMT);
    b.refs = mem_alloc(all * sizeof(*b.refs));
    b.values = mem_zalloc(all * sizeof(*b.values));
    b.batch = mem_alloc(b.series * sizeof(*b.batch));
    memset(b.refs, 1, all * sizeof(*b.refs));
    memset(b.values, 1, all * sizeof(*b.values));
    memset(b.batch, 1, b.series * sizeof(*b.batch));
    clock_manual_init(&b.clock, 1700006400000);
    if (argc > 5 && strcmp(argv[5], "all") != 0) {
        do_part(&b, argv[5]);
        return 0;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        do_part(&b, parts[i]);
    free(b.refs);
    free(b.values);
    free(b.batch);
    return fs_remove_all(b.dir, &err) == SONDE_OK ? 0 : 1;
}
