/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the store share: a store on a fresh folder with a clock
 * that stands still, label sets from text, one sample in, all samples out.
 */
#ifndef TESTS_UNIT_TSDB_KIT_H
#define TESTS_UNIT_TSDB_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsdb/tsdb.h"
#include "unit/tap.h"
#include "util/bytes.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define KIT_NOW   INT64_C(1700006400000)
#define KIT_STALE UINT64_C(0x7ff0000000000002)

struct kit {
    char dir[512];
    struct clock_manual clock;
    struct tsdb_options options;
    struct tsdb *db;
    struct arena arena;
};

static inline void kit_open(struct kit *k)
{
    struct sonde_err err = { 0 };

    CU_ASSERT_EQUAL(tsdb_open(k->dir, &k->options, &k->db, &err), SONDE_OK);
    if (!k->db) {
        tap_note("open %s: %s", k->dir, err.text);
        exit(1);
    }
}

/* Every name is a folder of its own. */
static inline void kit_init(struct kit *k, const char *name)
{
    log_setup(LOG_ERROR, LOG_LOGFMT);
    memset(k, 0, sizeof(*k));
    (void)snprintf(k->dir, sizeof(k->dir), "%s/%s", tap_tmpdir(), name);
    clock_manual_init(&k->clock, KIT_NOW);
    arena_init(&k->arena);
    k->options.clock = &k->clock.clock;
    k->options.wal.compress = WAL_SNAPPY;
    kit_open(k);
}

static inline void kit_reopen(struct kit *k)
{
    tsdb_close(k->db);
    k->db = NULL;
    kit_open(k);
}

static inline void kit_fini(struct kit *k)
{
    tsdb_close(k->db);
    arena_fini(&k->arena);
}

/* "up a=1 b=2", names sorted and behind __name__ in order. */
static inline struct labels kit_labels(struct kit *k, const char *text)
{
    struct labels_builder lb;
    sonde_str rest = arena_str(&k->arena, sonde_cstr(text)), part;

    labels_builder_init(&lb, &k->arena);
    while (str_split(&rest, ' ', &part)) {
        size_t eq = str_index(part, '=');

        if (eq == part.len)
            labels_builder_set(&lb, SONDE_STR(LABEL_NAME), part);
        else
            labels_builder_set(&lb, str_sub(part, 0, eq),
                               str_sub(part, eq + 1, part.len));
    }
    return labels_builder_view(&lb);
}

static inline series_ref kit_series(struct kit *k, struct appender *a,
                                    const char *text)
{
    struct labels l = kit_labels(k, text);
    series_ref ref = 0;

    CU_ASSERT_EQUAL(appender_series(a, &l, &ref, NULL), SONDE_OK);
    return ref;
}

/* One transaction of one sample. */
static inline struct append_stats kit_put(struct kit *k, const char *text,
                                          sonde_msec t, double v)
{
    struct appender *a = storage_appender(tsdb_storage(k->db));
    struct storage_sample s = { kit_series(k, a, text), t, v };
    struct append_stats stats;

    appender_append(a, &s, 1);
    CU_ASSERT_EQUAL(appender_commit(a, &stats, NULL), SONDE_OK);
    appender_free(a);
    return stats;
}

/* All that is there of one series between two times; free with
 * columns_fini. */
static inline struct columns kit_read(struct kit *k, const char *text,
                                      sonde_msec mint, sonde_msec maxt)
{
    struct labels l = kit_labels(k, text);
    struct matcher ms[16];
    struct columns out = { 0 };
    struct querier *q;
    struct series_set *set;
    struct storage_series *s;

    for (size_t i = 0; i < l.count; i++)
        ms[i] = (struct matcher){ .op = MATCH_EQ,
                                  .name = l.items[i].name,
                                  .value = l.items[i].value };
    CU_ASSERT_EQUAL(tsdb_storage(k->db)->ops->querier(tsdb_storage(k->db), mint,
                                                      maxt, &q, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL(q->ops->select(q, ms, l.count, NULL, &set, NULL), SONDE_OK);
    while (set->ops->next(set, &s, NULL) == SONDE_OK)
        if (labels_eq(&s->labels, &l))
            CU_ASSERT_EQUAL(s->ops->read(s, mint, maxt, &out, NULL), SONDE_OK);
    set->ops->free(set);
    q->ops->free(q);
    return out;
}

static inline size_t kit_count(struct kit *k, const char *text)
{
    struct columns c = kit_read(k, text, INT64_MIN, INT64_MAX);
    size_t n = c.count;

    columns_fini(&c);
    return n;
}

#endif
