/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples on their way into blocks, whatever their order and number: gathered
 * by series until a budget is used, then sorted and written to a file without
 * a name as one run; in the end all runs are merged into blocks, one for each
 * window of time. So memory is bounded by the budget; the file takes what the
 * samples take in chunks.
 */
#ifndef CLI_IMPORT_SPILL_H
#define CLI_IMPORT_SPILL_H

#include <sonde/base.h>

#include "block/block.h"
#include "cli/progress.h"
#include "model/symtab.h"

/* Large chunks take less in all; as compaction cuts them. */
#define SPILL_CHUNK_LIMITS                                                     \
    {                                                                          \
        .samples = 1440, .bytes = 8192                                         \
    }

/* A series of the run that is gathered. */
struct spill_series {
    sonde_str text; /* as written; names it                               */
    uint64_t hash;
    struct block_pair *pairs; /* symbols                                  */
    size_t pair_count;
    struct columns samples;
};

/* What a run has of one window: strings, then series, at these offsets. */
struct spill_section {
    int64_t window; /* its begin                                          */
    uint64_t at, series_at;
};

struct spill {
    const char *dir; /* where the file and the blocks go                  */
    sonde_msec window_ms;
    size_t budget_bytes;
    /* the run that is gathered */
    struct arena arena;
    struct symtab *symbols;
    struct spill_series *items;
    size_t count, cap;
    uint32_t *table; /* by hash of the text: 1 + item, 0 free             */
    size_t table_size;
    size_t sample_bytes;
    /* the file */
    int fd;
    uint64_t file_bytes; /* written                                       */
    struct buf out;      /* what is not                                   */
    struct spill_section *sections;
    size_t section_count, section_cap;
    /* counts */
    uint64_t samples, duplicates;
};

SONDE_NODISCARD sonde_code spill_init(struct spill *s, const char *dir,
                                      sonde_msec window_ms, size_t budget_bytes,
                                      struct sonde_err *err);
void spill_fini(struct spill *s);
/* The series that this text names, if it was seen since the last run. */
struct spill_series *spill_find(struct spill *s, sonde_str text);
struct spill_series *spill_add(struct spill *s, sonde_str text,
                               const struct labels *labels);
/* May end a run: series found before are gone then. */
SONDE_NODISCARD sonde_code spill_sample(struct spill *s,
                                        struct spill_series *series,
                                        sonde_msec t, double v,
                                        struct sonde_err *err);
/* import_run.c: writes what is gathered. */
SONDE_NODISCARD sonde_code spill_run(struct spill *s, struct sonde_err *err);
/* Floats by time; of two of one time the first is kept. Returns how many
 * went. */
size_t spill_sort(struct columns *c);
/* import_merge.c: makes the blocks; each is told of as it is there. Progress
 * counts sections. */
SONDE_NODISCARD sonde_code
spill_merge(struct spill *s, struct progress *p,
            void (*made)(void *arg, const struct block_meta *meta), void *arg,
            struct sonde_err *err);

static inline int64_t spill_window(const struct spill *s, sonde_msec t)
{
    sonde_msec w = s->window_ms, rest = t % w;

    return t - (rest < 0 ? rest + w : rest);
}

#endif
