/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to regex*.c: what an expression says, as a tree. regex_parse.c
 * makes it from RE2's syntax, regex_emit.c writes it in PCRE2's, and
 * regex_plan.c looks for shapes that need no engine at all.
 */
#ifndef UTIL_REGEX_SYNTAX_H
#define UTIL_REGEX_SYNTAX_H

#include <sonde/base.h>

#include "util/arena.h"
#include "util/buf.h"

#define REGEX_PATTERN_MAX    (512u * 1024)
#define REGEX_TREE_BYTES_MAX (24u << 20)
#define REGEX_GROUPS_MAX     1000
#define REGEX_NESTING_MAX    250  /* parentheses                             */
#define REGEX_HEIGHT_MAX     1000 /* of the tree                             */
#define REGEX_REPEAT_MAX     1000 /* RE2's, also for nested ones together    */

enum regex_op {
    REGEX_EMPTY,
    REGEX_LITERAL,
    REGEX_CLASS,
    REGEX_ANY,
    REGEX_ANY_BUT_LF,
    REGEX_BEGIN_TEXT,
    REGEX_END_TEXT,
    REGEX_BEGIN_LINE,
    REGEX_END_LINE,
    REGEX_WORD_EDGE,
    REGEX_NO_WORD_EDGE,
    REGEX_GROUP, /* a capture */
    REGEX_CONCAT,
    REGEX_ALTERNATE,
    REGEX_REPEAT,
};

struct rune_range {
    uint32_t lo, hi;
};

struct regex_class {
    struct rune_range *ranges;
    size_t count, cap;
    sonde_str properties; /* \p{..} as PCRE2 writes them                 */
    bool negated;
};

struct regex_node {
    enum regex_op op;
    bool fold;        /* LITERAL, CLASS: case does not matter             */
    bool lazy;        /* REPEAT                                           */
    int16_t min, max; /* REPEAT; max -1: without end                      */
    uint16_t group;   /* GROUP: from 1                                    */
    uint16_t height;  /* of the tree below                                */
    uint16_t weight;  /* largest product of repeat counts below           */
    uint8_t tail;     /* LITERAL: bytes of its last character             */
    sonde_str text;   /* LITERAL: UTF-8                                   */
    struct regex_class *class;
    struct regex_node *sub;  /* first child                               */
    struct regex_node *next; /* of the same parent                        */
};

struct regex_tree {
    struct regex_node *root;
    size_t groups;
    sonde_str names[REGEX_GROUPS_MAX + 1]; /* by group; empty: none       */
};

/* The tree is the arena's. Errors read as Go's. */
SONDE_NODISCARD sonde_code regex_parse(struct arena *a, sonde_str pattern,
                                       struct regex_tree *out,
                                       struct sonde_err *err);
sonde_code regex_fail(struct sonde_err *err, const char *what, sonde_str where);

/* regex_class.c: reads a class "[...]" or one of \d \pL \p{Greek} off the
 * front of `*s`. */
SONDE_NODISCARD sonde_code regex_class_parse(struct arena *a, sonde_str *s,
                                             bool fold,
                                             struct regex_class **out,
                                             struct sonde_err *err);
/* `*out` is NULL if `*s` does not begin with such an escape. */
SONDE_NODISCARD sonde_code regex_class_escape(struct arena *a, sonde_str *s,
                                              bool fold,
                                              struct regex_class **out,
                                              struct sonde_err *err);
/* One escaped character, "\n" or "\x{41}", off the front of `*s`. */
SONDE_NODISCARD sonde_code regex_escape_parse(sonde_str *s, uint32_t *rune,
                                              struct sonde_err *err);

/* regex_emit.c: the tree in PCRE2's syntax, without anchors; with or without
 * its captures. */
void regex_emit(const struct regex_node *root, bool captures, struct buf *out);

/* ---- plans: regex_plan.c ------------------------------------------------ */

/* LIT gap LIT gap LIT: literals with ".*" or ".+" between them; parts are
 * gaps + 1, the first and the last may be empty. */
struct regex_glob {
    sonde_str *parts;
    uint8_t *least; /* bytes a gap has at least: 0 or 1                    */
    size_t gaps;
};

/* What a group captures, where that is known without an engine. */
enum regex_span {
    REGEX_SPAN_UNKNOWN,
    REGEX_SPAN_WHOLE,
    REGEX_SPAN_GAP, /* the only gap of the only glob                       */
};

struct regex_plan {
    sonde_str *literals; /* sorted, without doubles; or NULL               */
    size_t literal_count;
    struct regex_glob *globs; /* alternatives; or NULL                     */
    size_t glob_count;
    sonde_str prefix;
    uint8_t *spans; /* enum regex_span, by group; [0] is WHOLE             */
    bool spans_known;
};

/* All memory is the arena's. */
void regex_plan_make(struct arena *a, const struct regex_tree *tree,
                     struct regex_plan *out);
bool regex_plan_decides(const struct regex_plan *p);
bool regex_plan_match(const struct regex_plan *p, sonde_str s);

#endif
