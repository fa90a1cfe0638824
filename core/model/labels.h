/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label sets: arrays of name-value views sorted by name, names unique, no
 * empty values (an empty value is an absent label). They own nothing; whoever
 * made them says how long the bytes live (usually an arena).
 */
#ifndef MODEL_LABELS_H
#define MODEL_LABELS_H

#include <sonde/base.h>

#include "util/arena.h"
#include "util/buf.h"

#define LABEL_NAME "__name__"

struct label {
    sonde_str name, value;
};

struct labels {
    const struct label *items;
    size_t count;
};

/* The value of `name`; empty if absent. */
sonde_str labels_get(const struct labels *l, sonde_str name);
bool labels_eq(const struct labels *a, const struct labels *b);
/* Prometheus' order: label by label, names then values, shorter set first. */
int labels_cmp(const struct labels *a, const struct labels *b);
/* XXH3 over names and values with separators. */
uint64_t labels_hash(const struct labels *l);
/* A deep copy in the arena. */
struct labels labels_dup(struct arena *a, const struct labels *l);
/* {a="b", c="d"} with Go-quoted values, __name__ in front of the braces when
 * it is a legacy name: as Prometheus prints a series. */
void labels_print(struct buf *b, const struct labels *l);
/* The same with the name among the others: {__name__="a", b="c"}. */
void labels_print_set(struct buf *b, const struct labels *l);

/* [a-zA-Z_:][a-zA-Z0-9_:]*, and the same without colon. */
bool metric_name_is_legacy(sonde_str s);
bool label_name_is_legacy(sonde_str s);

/*
 * A label set under construction: unsorted, last value set wins, an empty
 * value deletes. All memory is the arena's; strings are not copied.
 */
struct labels_builder {
    struct arena *arena;
    struct label *items;
    size_t count, cap;
};

void labels_builder_init(struct labels_builder *lb, struct arena *a);
void labels_builder_reset(struct labels_builder *lb);
void labels_builder_from(struct labels_builder *lb, const struct labels *l);
void labels_builder_set(struct labels_builder *lb, sonde_str name,
                        sonde_str value);
void labels_builder_del(struct labels_builder *lb, sonde_str name);
sonde_str labels_builder_get(const struct labels_builder *lb, sonde_str name);
/* Sorts in place and returns a view that lives until the next change. */
struct labels labels_builder_view(struct labels_builder *lb);

#endif
