/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options as a typed table. A plugin declares one row per option; the host
 * parses, checks bounds, fills the plugin's struct, and prints help, samples
 * and reference documentation from the same rows. A row whose kind does not
 * fit the field's C type does not compile.
 *
 *     struct redis { sonde_str password; sonde_msec timeout; };
 *     static const struct sonde_option options[] = {
 *         SONDE_OPT_SECRET(struct redis, password, .help = "..."),
 *         SONDE_OPT_DURATION(struct redis, timeout, .fallback = "2s",
 *                            .help = "..."),
 *     };
 */
#ifndef SONDE_OPTION_H
#define SONDE_OPTION_H

#include <sonde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sonde_option_kind {
    SONDE_OPT_KIND_STR,      /* sonde_str, NUL-terminated beyond len      */
    SONDE_OPT_KIND_SECRET,   /* sonde_str, never logged nor shown         */
    SONDE_OPT_KIND_FILE,     /* sonde_str: a path, relative to the file
                                that names it                             */
    SONDE_OPT_KIND_BOOL,     /* bool                                      */
    SONDE_OPT_KIND_INT,      /* int64_t                                   */
    SONDE_OPT_KIND_FLOAT,    /* double                                    */
    SONDE_OPT_KIND_DURATION, /* sonde_msec, written as 1h30m, 15s, 500ms  */
    SONDE_OPT_KIND_SIZE,     /* int64_t bytes, written as 512MB (2^20)    */
    SONDE_OPT_KIND_LIST,     /* struct sonde_list of sonde_str            */
};

struct sonde_list {
    const sonde_str *items;
    size_t count;
};

enum {
    SONDE_OPT_REQUIRED = 1 << 0, /* an error when not given               */
};

struct sonde_option {
    const char *name; /* [a-z][a-z0-9_]*, the field's name by the macros  */
    enum sonde_option_kind kind;
    uint32_t flags;
    size_t offset;        /* of the field in the plugin's struct          */
    const char *fallback; /* as written in YAML; NULL: zero, empty        */
    const char *help;     /* one sentence, no final stop                  */
    const char *const *choices; /* NULL-terminated list for STR, or NULL  */
    int64_t min, max;    /* for INT, SIZE, DURATION; both 0: no bounds   */
    const char *env;     /* variable that gives the default, or NULL     */
    const char *example; /* shown in the sample snippet, or NULL         */
};

#define SONDE_OPT_ROW(T, f, ctype, k, ...)                                     \
    {                                                                          \
        .name = #f, .kind = (k),                                               \
        .offset = _Generic(((T *)0)->f, ctype                                  \
                           : offsetof(T, f)),                                  \
        __VA_ARGS__                                                            \
    }
#define SONDE_OPT_STR(T, f, ...)                                               \
    SONDE_OPT_ROW(T, f, sonde_str, SONDE_OPT_KIND_STR, __VA_ARGS__)
#define SONDE_OPT_SECRET(T, f, ...)                                            \
    SONDE_OPT_ROW(T, f, sonde_str, SONDE_OPT_KIND_SECRET, __VA_ARGS__)
#define SONDE_OPT_FILE(T, f, ...)                                              \
    SONDE_OPT_ROW(T, f, sonde_str, SONDE_OPT_KIND_FILE, __VA_ARGS__)
#define SONDE_OPT_BOOL(T, f, ...)                                              \
    SONDE_OPT_ROW(T, f, bool, SONDE_OPT_KIND_BOOL, __VA_ARGS__)
#define SONDE_OPT_INT(T, f, ...)                                               \
    SONDE_OPT_ROW(T, f, int64_t, SONDE_OPT_KIND_INT, __VA_ARGS__)
#define SONDE_OPT_FLOAT(T, f, ...)                                             \
    SONDE_OPT_ROW(T, f, double, SONDE_OPT_KIND_FLOAT, __VA_ARGS__)
#define SONDE_OPT_DURATION(T, f, ...)                                          \
    SONDE_OPT_ROW(T, f, sonde_msec, SONDE_OPT_KIND_DURATION, __VA_ARGS__)
#define SONDE_OPT_SIZE(T, f, ...)                                              \
    SONDE_OPT_ROW(T, f, int64_t, SONDE_OPT_KIND_SIZE, __VA_ARGS__)
#define SONDE_OPT_LIST(T, f, ...)                                              \
    SONDE_OPT_ROW(T, f, struct sonde_list, SONDE_OPT_KIND_LIST, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#endif
