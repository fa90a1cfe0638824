/* SPDX-License-Identifier: Apache-2.0 */
/* The values of many processes, made one set. */
#ifndef PYTHON_MERGE_H
#define PYTHON_MERGE_H

#include <sonde/plugin.h>

#include "db_file.h"

/* Beyond these, what is new is left out and counted. */
#define MERGE_FAMILIES_MAX 5000
#define MERGE_KEYS_MAX     500000
#define MERGE_BUCKETS_MAX  1000

/* "flask_exporter_info=livemax": a gauge's mode, whatever its file says; a
 * name that ends with '*' stands for all that begin so. */
struct merge_rule {
    sonde_str name;
    bool prefix;
    enum db_mode mode;
    bool live;
};
bool merge_rule_parse(sonde_str text, struct merge_rule *out);

struct merge;

/* `rules` stay valid as long as the merge; the first that fits counts. The
 * names of `refused` are not taken from files. NULL: out of memory. */
struct merge *merge_new(const struct merge_rule *rules, size_t rule_count,
                        const char *const *refused, size_t refused_count);
void merge_free(struct merge *m); /* NULL is fine */

/* Begins a collection: no value has been seen. */
void merge_begin(struct merge *m);
/* A file whose entries come next; `dead`: its process is gone. `name` must
 * stay until the next file. */
void merge_file(struct merge *m, const struct db_name *name, bool dead);
void merge_add(struct merge *m, const struct db_entry *e);
/* Emits all that was added since merge_begin. */
void merge_emit(struct merge *m, const struct sonde_host *host,
                struct sonde_sink *sink);

/* Values of this collection that were left out, and why. */
enum merge_drop {
    MERGE_DROP_INVALID,  /* a key or value that can not be shown           */
    MERGE_DROP_CONFLICT, /* a name that is another family's                */
    MERGE_DROP_LIMIT,    /* too many                                       */
    MERGE_DROP_COUNT,
};
size_t merge_dropped(const struct merge *m, enum merge_drop why);
/* True when most of what is remembered is of processes that are no more: it
 * is time for a new merge. */
bool merge_stale(const struct merge *m);

#endif
