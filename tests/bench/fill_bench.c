/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills a store with hours of samples as fast as it takes them, compacting as
 * it goes, and says what that cost: processor time of appending and of
 * compacting, memory at its highest, bytes a sample on the disk. The data are
 * the same on each run: a quarter each of irregular counters, steady counters,
 * gauges with two decimals, and values that rarely change.
 *
 *     fill_bench DIR SERIES HOURS STEP_SECONDS [START_MS [MAX_BLOCK_HOURS]]
 *
 * With FILL_TELL in the environment each round's time is printed when its
 * samples are acknowledged: a test kills it and looks for them. No hours at
 * all compact what is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tsdb/tsdb.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define BATCH         1000
#define COMPACT_EVERY (INT64_C(10) * 60 * 1000)
#define START_DEFAULT INT64_C(1699999200000) /* a multiple of two hours */

struct fill {
    struct clock_manual clock;
    struct tsdb *db;
    size_t series;
    series_ref *refs;
    double *values;
    uint32_t *seeds;
    uint64_t samples;
    double append_s, compact_s;
};

static double cpu_seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(sonde_code rc, const struct sonde_err *err)
{
    if (rc == SONDE_OK)
        return;
    (void)fprintf(stderr, "fill_bench: %s\n", err->text);
    exit(1);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static double next_value(struct fill *f, size_t i)
{
    uint32_t r = next_random(&f->seeds[i]);

    switch (i % 4) {
    case 0:
        f->values[i] += r % 100;
        break;
    case 1:
        f->values[i] += 15;
        break;
    case 2:
        f->values[i] = (double)(int)(f->values[i] * 100 + r % 201 - 100) / 100;
        break;
    default:
        f->values[i] = r % 50 == 0 ? r % 10 : f->values[i];
        break;
    }
    return f->values[i];
}

static void make_series(struct fill *f)
{
    struct appender *a = storage_appender(tsdb_storage(f->db));
    struct arena arena;
    struct sonde_err err;

    arena_init(&arena);
    for (size_t i = 0; i < f->series; i++) {
        struct label items[] = {
            { SONDE_STR("__name__"),
              arena_printf(&arena, "fill_metric_%zu", i % 500) },
            { SONDE_STR("instance"), arena_printf(&arena, "10.0.%zu.%zu:9100",
                                                  i / 50000, i / 500 % 100) },
            { SONDE_STR("job"), SONDE_STR("fill") },
            { SONDE_STR("path"),
              arena_printf(&arena, "/some/path/%zu", i / 100) },
            { SONDE_STR("region"), SONDE_STR("eu-central-1") },
        };
        struct labels l = { items, sizeof(items) / sizeof(items[0]) };

        must(appender_series(a, &l, &f->refs[i], &err), &err);
        f->seeds[i] = (uint32_t)i * 2654435761u;
        arena_reset(&arena);
    }
    must(appender_commit(a, NULL, &err), &err);
    appender_free(a);
    arena_fini(&arena);
}

static void append_round(struct fill *f, sonde_msec t)
{
    struct appender *a = storage_appender(tsdb_storage(f->db));
    struct storage_sample batch[BATCH];
    struct append_stats stats;
    struct sonde_err err;

    for (size_t i = 0; i < f->series;) {
        size_t n = 0;

        for (; n < BATCH && i < f->series; n++, i++)
            batch[n] =
                (struct storage_sample){ f->refs[i], t, next_value(f, i) };
        appender_append(a, batch, n);
        must(appender_commit(a, &stats, &err), &err);
        f->samples += stats.appended;
    }
    appender_free(a);
}

static void compact(struct fill *f)
{
    double began = cpu_seconds();
    struct sonde_err err;

    must(tsdb_compact(f->db, &err), &err);
    f->compact_s += cpu_seconds() - began;
}

static void tell_round(sonde_msec t)
{
    char line[32];
    int n = snprintf(line, sizeof(line), "%lld\n", (long long)t);

    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        exit(1);
}

static void run(struct fill *f, sonde_msec start, sonde_msec end,
                sonde_msec step)
{
    sonde_msec compacted = start;

    if (start < end)
        make_series(f);
    for (sonde_msec t = start; t < end; t += step) {
        double began = cpu_seconds();

        clock_manual_advance(&f->clock, step);
        append_round(f, t);
        f->append_s += cpu_seconds() - began;
        if (getenv("FILL_TELL"))
            tell_round(t);
        if (t - compacted >= COMPACT_EVERY) {
            compact(f);
            compacted = t;
        }
    }
    compact(f);
}

static void tell(struct fill *f)
{
    uint64_t sealed = 0, bytes = 0, chunks = 0;
    struct rusage usage;
    size_t n;
    struct block **blocks = tsdb_blocks(f->db, &n);

    for (size_t i = 0; i < n; i++) {
        sealed += block_meta(blocks[i])->stats.samples;
        chunks += block_meta(blocks[i])->stats.chunks;
        bytes += block_bytes(blocks[i]);
    }
    tsdb_blocks_free(blocks, n);
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("samples %llu, append %.2f s (%.0f ns each), compact %.2f s "
           "(%.0f ns each), peak %ld MiB\n",
           (unsigned long long)f->samples, f->append_s,
           f->append_s * 1e9 / (double)f->samples, f->compact_s,
           f->compact_s * 1e9 / (double)f->samples, usage.ru_maxrss / 1024);
    printf("blocks %zu, sealed %llu, chunks %llu, bytes %llu (%.3f a sample)\n",
           n, (unsigned long long)sealed, (unsigned long long)chunks,
           (unsigned long long)bytes,
           sealed ? (double)bytes / (double)sealed : 0);
}

int main(int argc, char **argv)
{
    struct tsdb_options options = { .no_thread = true,
                                    .wal = { .compress = WAL_SNAPPY } };
    struct fill f = { 0 };
    sonde_msec start, step;
    struct sonde_err err;

    if (argc < 5) {
        (void)fprintf(stderr,
                      "usage: %s DIR SERIES HOURS STEP_SECONDS "
                      "[START_MS [MAX_BLOCK_HOURS]]\n",
                      argv[0]);
        return 2;
    }
    log_setup(LOG_WARN, LOG_LOGFMT);
    f.series = strtoul(argv[2], NULL, 10);
    step = strtol(argv[4], NULL, 10) * 1000;
    start = argc > 5 ? strtoll(argv[5], NULL, 10) : START_DEFAULT;
    if (argc > 6)
        options.max_block_ms = strtol(argv[6], NULL, 10) * 3600000;
    f.refs = mem_alloc(f.series * sizeof(*f.refs));
    f.values = mem_zalloc(f.series * sizeof(*f.values));
    f.seeds = mem_alloc(f.series * sizeof(*f.seeds));
    clock_manual_init(&f.clock, start);
    options.clock = &f.clock.clock;
    must(tsdb_open(argv[1], &options, &f.db, &err), &err);
    run(&f, start, start + (sonde_msec)(strtod(argv[3], NULL) * 3600000), step);
    tell(&f);
    tsdb_close(f.db);
    free(f.refs);
    free(f.values);
    free(f.seeds);
    return 0;
}
