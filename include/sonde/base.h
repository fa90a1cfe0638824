/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary that the agent and its plugins share: string views, times,
 * result codes and errors with context. Header-only, so that a plugin has no
 * undefined symbol of the agent.
 */
#ifndef SONDE_BASE_H
#define SONDE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SONDE_NODISCARD          __attribute__((warn_unused_result))
#define SONDE_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define SONDE_EXPORT             __attribute__((visibility("default")))

/* A view of bytes: not owned, not NUL-terminated, `ptr` may be NULL when
 * `len` is 0. */
typedef struct sonde_str {
    const char *ptr;
    size_t len;
} sonde_str;

#define SONDE_STR(lit) ((sonde_str){ (lit), sizeof(lit) - 1 })
/* printf("%.*s", SONDE_ARG(s)) */
#define SONDE_ARG(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

static inline sonde_str sonde_cstr(const char *z)
{
    return (sonde_str){ z, z ? strlen(z) : 0 };
}

static inline bool sonde_str_eq(sonde_str a, sonde_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Milliseconds: since the epoch for a time, a plain span for a duration. */
typedef int64_t sonde_msec;

/* Result codes; the text is what a person reads when no better context is
 * at hand. New codes are only added at the end. */
#define SONDE_CODES(X)                                                         \
    X(SONDE_OK, "ok")                                                          \
    X(SONDE_EINVAL, "invalid argument")                                        \
    X(SONDE_EPARSE, "malformed input")                                         \
    X(SONDE_ENOMEM, "out of memory")                                           \
    X(SONDE_ENOTFOUND, "not found")                                            \
    X(SONDE_EEXIST, "exists already")                                          \
    X(SONDE_EIO, "input/output error")                                         \
    X(SONDE_ENOSPACE, "no space left")                                         \
    X(SONDE_ELIMIT, "limit exceeded")                                          \
    X(SONDE_ETIMEOUT, "deadline exceeded")                                     \
    X(SONDE_ECANCELED, "canceled")                                             \
    X(SONDE_EUNSUPPORTED, "not supported")                                     \
    X(SONDE_EUNAVAILABLE, "not available now")                                 \
    X(SONDE_ECORRUPT, "corrupt data")                                          \
    X(SONDE_EACCESS, "permission denied")                                      \
    X(SONDE_ECONNECT, "connection failed")                                     \
    X(SONDE_EPROTO, "protocol violation")                                      \
    X(SONDE_EAUTH, "authentication failed")                                    \
    X(SONDE_ELOCKED, "locked by another process")                              \
    X(SONDE_EAGAIN, "nothing there yet")                                       \
    X(SONDE_EDUPLICATE, "duplicate")

typedef enum sonde_code {
#define SONDE_CODE_ENUM(name, text) name,
    SONDE_CODES(SONDE_CODE_ENUM)
#undef SONDE_CODE_ENUM
} sonde_code;

static inline const char *sonde_code_text(sonde_code code)
{
    static const char *const texts[] = {
#define SONDE_CODE_TEXT(name, text) text,
        SONDE_CODES(SONDE_CODE_TEXT)
#undef SONDE_CODE_TEXT
    };
    size_t i = (size_t)code;
    return i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : "unknown error";
}

/*
 * What went wrong, in words: what was attempted, on what, expected and got.
 * Lives on the caller's stack; functions that fail fill it, layers above may
 * put a prefix before it, and only the top one logs it. `err` may be NULL
 * everywhere.
 */
struct sonde_err {
    sonde_code code;
    char text[768];
};

SONDE_PRINTF(3, 0)
static inline sonde_code sonde_err_vset(struct sonde_err *err, sonde_code code,
                                        const char *fmt, va_list ap)
{
    if (err) {
        err->code = code;
        (void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
    }
    return code;
}

/* Sets the error and returns `code`, for `return sonde_err_set(...)`. */
SONDE_PRINTF(3, 4)
static inline sonde_code sonde_err_set(struct sonde_err *err, sonde_code code,
                                       const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)sonde_err_vset(err, code, fmt, ap);
    va_end(ap);
    return code;
}
#ifdef __clang_analyzer__ /* it does not follow the code through `...` */
#define sonde_err_set(err, code, ...)                                          \
    ((void)sonde_err_set((err), (code), __VA_ARGS__), (code))
#endif

/* Puts "PREFIX: " before the text that is there; returns the error's code. */
SONDE_PRINTF(2, 3)
static inline sonde_code sonde_err_prefix(struct sonde_err *err,
                                          const char *fmt, ...)
{
    char prefix[256];
    char old[sizeof(err->text)];
    va_list ap;

    if (!err)
        return SONDE_EINVAL;
    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
    memcpy(old, err->text, sizeof(old));
    (void)snprintf(err->text, sizeof(err->text), "%.255s: %.500s", prefix, old);
    return err->code;
}

#ifdef __cplusplus
}
#endif

#endif
