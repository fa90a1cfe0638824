/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts (collectors) of one instance, across its collections: when a slow
 * one is due, what it emitted last, how it fared. Belongs to its instance and
 * to one thread at a time.
 */
#ifndef PLUGIN_PARTS_H
#define PLUGIN_PARTS_H

#include "plugin/plugin_int.h"

struct parts;

/* NULL if the plugin names no collectors; that is fine below. */
struct parts *parts_new(const struct plugin *p, const struct sonde_target *t,
                        sonde_msec interval, sonde_msec slow_interval);
void parts_free(struct parts *p);

/* The moment of a collection. */
struct parts_time {
    sonde_msec monotonic, now;
};
struct parts_time parts_now(void);

/* A collection begins; one that was begun and not ended is settled first. */
void parts_begin(struct parts *p, struct parts_time when);
/* It ends, for good or not: settles what became of each part, and emits last
 * values and the report into `s`, which may be fresh. */
void parts_end(struct parts *p, struct sonde_sink *s, bool ok);
/* One of the collection's sinks is complete: ends a part that the plugin left
 * open, and keeps what slow ones emitted. Before `s` is finished. */
void parts_take(struct parts *p, struct sonde_sink *s, bool ok);

/* ---- for the sink: sink_parts.c ------------------------------------------ */

const struct sonde_collector *parts_row(const struct parts *p, size_t i);
bool parts_is_due(const struct parts *p, size_t i);
/* What a begin and end came to; `why` is copied. */
void parts_note(struct parts *p, size_t i, sonde_code code, const char *why,
                double seconds);
/* The target is down: nothing is emitted again, slow parts are due. */
void parts_discard(struct parts *p);

#endif
