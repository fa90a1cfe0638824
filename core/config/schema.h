/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration language: YAML read into a tree that remembers where
 * each node stood, and tables that say which keys a mapping may have. The
 * room that uses a block declares its table and its struct; this room knows
 * tables, not options. From a table come parsing, bounds, defaults, errors
 * with file:line:column and the nearest known key, the normalised YAML of
 * /api/v1/status/config (secrets masked) and the reference documentation.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <sonde/base.h>
#include <sonde/option.h>

#include "util/arena.h"
#include "util/buf.h"

/* ---- YAML tree: yaml.c ------------------------------------------------ */

enum yaml_kind {
    YAML_NULL,
    YAML_SCALAR,
    YAML_SEQUENCE,
    YAML_MAPPING
};

struct yaml_node {
    enum yaml_kind kind;
    const char *file;    /* NUL-terminated, for messages                     */
    size_t line, column; /* from 1                                        */
    sonde_str scalar;    /* of a SCALAR, unescaped                        */
    bool quoted;         /* a quoted scalar is never null, bool or number */
    bool secret;         /* printed as <secret>, and all below it         */
    struct yaml_node **items; /* of a SEQUENCE; values of a MAPPING       */
    struct yaml_node **keys;  /* of a MAPPING: SCALAR nodes               */
    size_t count;
};

/* Longest document; for the caller that reads the file. */
#define YAML_TEXT_MAX_BYTES (16u << 20)

/* Reads one document. Anchors, aliases and merge keys are resolved; depth,
 * size and the number of nodes (aliases counted each time) are bounded;
 * duplicate keys are errors. An empty document is a NULL-kind node. All
 * memory is the arena's. */
SONDE_NODISCARD sonde_code yaml_parse(struct arena *a, const char *file,
                                      sonde_str text, struct yaml_node **out,
                                      struct sonde_err *err);
/* The value of a key, or NULL. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* "FILE:LINE:COLUMN: ..." with SONDE_EPARSE. */
SONDE_PRINTF(3, 4)
sonde_code yaml_error(const struct yaml_node *at, struct sonde_err *err,
                      const char *fmt, ...);

/* ---- tables: schema.c -------------------------------------------------- */

enum config_kind {
    CONFIG_STR,        /* sonde_str (NUL-terminated beyond its length)    */
    CONFIG_SECRET,     /* sonde_str; printed as <secret>                  */
    CONFIG_PATH,       /* sonde_str; relative to the file that has it     */
    CONFIG_URL,        /* sonde_str; a password in it is masked           */
    CONFIG_BOOL,       /* bool                                            */
    CONFIG_INT,        /* int64_t                                         */
    CONFIG_FLOAT,      /* double                                          */
    CONFIG_DURATION,   /* sonde_msec                                      */
    CONFIG_SIZE,       /* int64_t bytes                                   */
    CONFIG_ENUM,       /* int: index in `choices`                         */
    CONFIG_STR_LIST,   /* struct sonde_list                               */
    CONFIG_PATH_LIST,  /* struct sonde_list; globs, relative as PATH      */
    CONFIG_STR_MAP,    /* struct config_map                               */
    CONFIG_LIST_MAP,   /* struct config_map, values are lists: params     */
    CONFIG_BLOCK,      /* T *: NULL when the key is absent                */
    CONFIG_INLINE,     /* T: a block inside the struct, defaults filled   */
    CONFIG_BLOCK_LIST, /* struct config_blocks of T                       */
    CONFIG_NODE,       /* const struct yaml_node *: read by `check`       */
};

struct config_pair {
    sonde_str key;
    struct sonde_list values; /* one value for STR_MAP                    */
    const struct yaml_node *node;
};
struct config_map {
    struct config_pair *items; /* sorted by key for STR_MAP               */
    size_t count;
};
/* An array of blocks; items[i] is at (char *)items + i * size. Cast `items`
 * to the block's struct. */
struct config_blocks {
    void *items;
    size_t count;
};

enum {
    CONFIG_REQUIRED = 1 << 0,
    CONFIG_UNUSED = 1 << 1,  /* known, of no effect yet: one warning     */
    CONFIG_FOLD = 1 << 2,    /* choices compare without case             */
    CONFIG_HIDDEN = 1 << 3,  /* an old spelling: not in the docs         */
    CONFIG_FLOW = 1 << 4,    /* a list printed as [a, b]                 */
    CONFIG_RAW = 1 << 5,     /* ${VAR} is left to the block's check      */
    CONFIG_QUIET = 1 << 6,   /* not printed when it is the default       */
    CONFIG_OR_TEXT = 1 << 7, /* a NODE with a block may be a text, too   */
};

struct config_block_def;

struct config_key {
    const char *name;
    enum config_kind kind;
    uint32_t flags;
    size_t offset;
    const char *fallback; /* as written in YAML; NULL: zero               */
    const char *help;     /* one sentence                                 */
    const char *const *choices; /* of ENUM, NULL-terminated               */
    int64_t min, max; /* both 0: none                                 */
    /* Of the BLOCK kinds and INLINE. A NODE may have one: what stands there,
     * or each item of a list of such, is checked by it and kept unread. */
    const struct config_block_def *block;
};

/* A block that was read, or begun to be read before an error; for whoever
 * releases what a `check` made. */
struct config_made {
    const struct config_made *next;
    const struct config_block_def *def;
    void *block;
};

struct config_ctx {
    struct arena *arena; /* of the configuration: all strings live there  */
    bool expand_env;     /* ${VAR} in scalars                             */
    /* One warning per line; called through config_warn. May be NULL.     */
    void (*warn)(void *arg, const char *text);
    void *warn_arg;
    const struct config_made **made; /* list that grows; may be NULL      */
};

/* A warning with the place of `at`; for `check`s. */
SONDE_PRINTF(3, 4)
void config_warn(struct config_ctx *ctx, const struct yaml_node *at,
                 const char *fmt, ...);

/* Every struct that a block fills begins with this. */
struct config_head {
    const struct yaml_node *node; /* where it stood; NULL: all defaults   */
};

struct config_block_def {
    const char *name; /* for docs: "scrape_config"                        */
    const char *help;
    const struct config_key *keys;
    size_t count;
    size_t size; /* of the struct                                         */
    /* After the keys are read: what no table can say. Optional. */
    sonde_code (*check)(struct config_ctx *ctx, void *block,
                        struct sonde_err *err);
};

/* A row; a wrong field type does not compile for the common kinds. */
#define CONFIG_ROW(T, f, ctype, k, ...)                                        \
    {                                                                          \
        .name = #f, .kind = (k),                                               \
        .offset = _Generic(((T *)0)->f, ctype                                  \
                           : offsetof(T, f)),                                  \
        __VA_ARGS__                                                            \
    }
#define CONFIG_ROW_STR(T, f, ...)                                              \
    CONFIG_ROW(T, f, sonde_str, CONFIG_STR, __VA_ARGS__)
#define CONFIG_ROW_SECRET(T, f, ...)                                           \
    CONFIG_ROW(T, f, sonde_str, CONFIG_SECRET, __VA_ARGS__)
#define CONFIG_ROW_PATH(T, f, ...)                                             \
    CONFIG_ROW(T, f, sonde_str, CONFIG_PATH, __VA_ARGS__)
#define CONFIG_ROW_URL(T, f, ...)                                              \
    CONFIG_ROW(T, f, sonde_str, CONFIG_URL, __VA_ARGS__)
#define CONFIG_ROW_BOOL(T, f, ...)                                             \
    CONFIG_ROW(T, f, bool, CONFIG_BOOL, __VA_ARGS__)
#define CONFIG_ROW_INT(T, f, ...)                                              \
    CONFIG_ROW(T, f, int64_t, CONFIG_INT, __VA_ARGS__)
#define CONFIG_ROW_FLOAT(T, f, ...)                                            \
    CONFIG_ROW(T, f, double, CONFIG_FLOAT, __VA_ARGS__)
#define CONFIG_ROW_DURATION(T, f, ...)                                         \
    CONFIG_ROW(T, f, sonde_msec, CONFIG_DURATION, __VA_ARGS__)
#define CONFIG_ROW_SIZE(T, f, ...)                                             \
    CONFIG_ROW(T, f, int64_t, CONFIG_SIZE, __VA_ARGS__)
#define CONFIG_ROW_ENUM(T, f, ...)                                             \
    CONFIG_ROW(T, f, int, CONFIG_ENUM, __VA_ARGS__)
#define CONFIG_ROW_STR_LIST(T, f, ...)                                         \
    CONFIG_ROW(T, f, struct sonde_list, CONFIG_STR_LIST, __VA_ARGS__)
#define CONFIG_ROW_PATH_LIST(T, f, ...)                                        \
    CONFIG_ROW(T, f, struct sonde_list, CONFIG_PATH_LIST, __VA_ARGS__)
#define CONFIG_ROW_STR_MAP(T, f, ...)                                          \
    CONFIG_ROW(T, f, struct config_map, CONFIG_STR_MAP, __VA_ARGS__)
#define CONFIG_ROW_LIST_MAP(T, f, ...)                                         \
    CONFIG_ROW(T, f, struct config_map, CONFIG_LIST_MAP, __VA_ARGS__)
#define CONFIG_ROW_BLOCK(T, f, ptype, def, ...)                                \
    CONFIG_ROW(T, f, ptype, CONFIG_BLOCK, .block = (def), __VA_ARGS__)
#define CONFIG_ROW_INLINE(T, f, type, def, ...)                                \
    CONFIG_ROW(T, f, type, CONFIG_INLINE, .block = (def), __VA_ARGS__)
#define CONFIG_ROW_BLOCK_LIST(T, f, def, ...)                                  \
    CONFIG_ROW(T, f, struct config_blocks, CONFIG_BLOCK_LIST, .block = (def),  \
               __VA_ARGS__)
#define CONFIG_ROW_NODE(T, f, ...)                                             \
    CONFIG_ROW(T, f, const struct yaml_node *, CONFIG_NODE, __VA_ARGS__)
/* A key that is checked and then forgotten: of a block that nobody reads. */
#define CONFIG_ROW_CHECKED(keyname, k, ...)                                    \
    {                                                                          \
        .name = (keyname), .kind = (k), .offset = SIZE_MAX, __VA_ARGS__        \
    }
/* A key that is known but that no room implements yet: one warning. */
#define CONFIG_ROW_UNUSED(keyname, ...)                                        \
    CONFIG_ROW_UNUSED_AS(keyname, CONFIG_NODE, __VA_ARGS__)
#define CONFIG_ROW_UNUSED_AS(keyname, k, ...)                                  \
    {                                                                          \
        .name = (keyname), .kind = (k), .flags = CONFIG_UNUSED,                \
        .offset = SIZE_MAX, __VA_ARGS__                                        \
    }
#define CONFIG_BLOCK_DEF(blockname, T, rows, checkfn, helptext)                \
    {                                                                          \
        .name = (blockname), .help = (helptext), .keys = (rows),               \
        .count = sizeof(rows) / sizeof((rows)[0]), .size = sizeof(T),          \
        .check = (checkfn)                                                     \
    }

/* Fills `out` (of def->size) from a mapping, or from nothing (node NULL or
 * null: all defaults, required keys are errors). */
SONDE_NODISCARD sonde_code config_read(struct config_ctx *ctx,
                                       const struct config_block_def *def,
                                       const struct yaml_node *node, void *out,
                                       struct sonde_err *err);

/* The text of a scalar node, ${VAR} expanded if the context says so; empty
 * for a null node. For `check`s that read a NODE. */
SONDE_NODISCARD sonde_code config_text(struct config_ctx *ctx,
                                       const struct yaml_node *node,
                                       sonde_str *out, struct sonde_err *err);

/* A plugin's options by its table: `stride` is the size of its rows. Values
 * of `overrides` (option name -> text; from __param_NAME labels) win over
 * the node's, those over the environment's, those over the fallback. Names
 * in `overrides` that are not options are left alone: labels __param_NAME
 * are also the parameters of a URL. Every row's field is set. */
SONDE_NODISCARD sonde_code options_read(struct config_ctx *ctx,
                                        const struct sonde_option *rows,
                                        size_t count, size_t stride,
                                        const struct yaml_node *node,
                                        const struct config_map *overrides,
                                        void *out, struct sonde_err *err);

/* Marks what the table calls secret, so that config_print masks it. */
void options_mark_secrets(const struct sonde_option *rows, size_t count,
                          size_t stride, const struct yaml_node *node);

/* Bytes of the field that an option of this kind fills; 0 if there is no
 * such kind. */
size_t option_field_size(enum sonde_option_kind kind);

/* The block as normalised YAML: defaults filled in, secrets masked, absent
 * optional blocks left out. `indent` in spaces. */
void config_print(struct buf *b, const struct config_block_def *def,
                  const void *block, size_t indent);

/* A fingerprint of a block's values, secrets included: the same values, the
 * same number. For telling at a reload what did not change. */
uint64_t config_hash(const struct config_block_def *def, const void *block);

/* The reference documentation of a block and the blocks below it, Markdown. */
void config_document(struct buf *b, const struct config_block_def *def);
void options_document(struct buf *b, const struct sonde_option *rows,
                      size_t count, size_t stride);

#endif
