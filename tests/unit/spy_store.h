/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that writes down what it is given, one line each, judges samples by
 * the last time of their series, and can be told to fail or to forget series
 * as the real one does when it collects them.
 */
#ifndef TESTS_UNIT_SPY_STORE_H
#define TESTS_UNIT_SPY_STORE_H

#include <sonde/base.h>

#include "storage/storage.h"
#include "util/arena.h"
#include "util/buf.h"

#define SPY_SERIES_MAX 4096

struct spy_series {
    char *text; /* as labels_print; NULL: forgotten                        */
    struct labels labels;
    sonde_msec last;
    uint64_t bits;
    bool seen;
};

struct spy_store {
    struct storage storage;
    struct arena arena;
    struct spy_series series[SPY_SERIES_MAX];
    size_t count;
    size_t made; /* calls of appender_series                               */
    /* What was committed: "up{} 1000 1.5\n", "histogram ...", ... */
    struct buf told;
    sonde_code fail; /* of the next commits                                */
    bool no_histograms;
};

void spy_init(struct spy_store *s);
void spy_fini(struct spy_store *s);
/* Forgets all series; their references are unknown from now on. */
void spy_forget(struct spy_store *s);

#endif
