/* SPDX-License-Identifier: Apache-2.0 */
/* From a series reference to the labels that an endpoint is sent: source.c. */
#ifndef REMOTE_SOURCE_H
#define REMOTE_SOURCE_H

#include <sonde/base.h>

#include "config/schema.h"
#include "pipeline/pipeline.h"
#include "storage/storage.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/clock.h"

enum source_got {
    SOURCE_LABELS,
    SOURCE_DROPPED, /* by relabeling                                      */
    SOURCE_UNKNOWN, /* the store does not hold the series any more        */
};

struct source_slot;

/* All of one thread. */
struct source {
    struct storage *storage;
    const struct config_map *external;
    const struct relabel_rule *rules;
    size_t rule_count;
    struct arena arena; /* of one look-up                                 */
    struct buf encoded; /* of one look-up                                 */

    uint8_t *verdicts; /* two bits a reference: whether it is dropped     */
    size_t verdict_bytes;

    struct buf cached;         /* encoded labels, one behind the other    */
    struct source_slot *slots; /* reference -> place in `cached`          */
    size_t slot_count, slots_used;
    sonde_msec cached_since;
};

void source_init(struct source *s, struct storage *storage,
                 const struct config_map *external,
                 const struct config_blocks *rules);
void source_fini(struct source *s);

/* The encoded labels of a series, valid until the next call. */
enum source_got source_labels(struct source *s, uint64_t ref, sonde_str *out);
/* False if relabeling drops the series; true also if that is not known. */
bool source_wants(struct source *s, uint64_t ref);
/* Forgets what has been kept for long; now and then. */
void source_age(struct source *s, sonde_msec monotonic_ms);

#endif
