/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured log lines on stderr: logfmt, or JSON by flag.
 *
 *     log_info("scrape", "target is down", LOG_STR("job", job),
 *              LOG_INT("failures", n), LOG_ERR(&err));
 *
 *     time=2026-01-02T03:04:05.678Z level=info component=scrape
 *     msg="target is down" job=redis failures=3 err="..."
 *
 * The level is the program's only mutable global. Lines are written whole,
 * by one write(2), so that threads do not mix them. Secrets never get here.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <sonde/base.h>

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR
};
enum log_format {
    LOG_LOGFMT,
    LOG_JSON
};

struct log_field {
    const char *key; /* NULL ends the list */
    enum {
        LOG_FIELD_STR,
        LOG_FIELD_INT,
        LOG_FIELD_FLOAT
    } kind;
    sonde_str str;
    int64_t num;
    double real;
};

#define LOG_STR(k, s)                                                          \
    ((struct log_field){ .key = (k), .kind = LOG_FIELD_STR, .str = (s) })
#define LOG_CSTR(k, z) LOG_STR((k), sonde_cstr(z))
#define LOG_NUM(k, n)                                                          \
    ((struct log_field){                                                       \
        .key = (k), .kind = LOG_FIELD_INT, .num = (int64_t)(n) })
#define LOG_REAL(k, d)                                                         \
    ((struct log_field){ .key = (k), .kind = LOG_FIELD_FLOAT, .real = (d) })
#define LOG_ERRTEXT(e) LOG_CSTR("err", (e)->text)

void log_setup(enum log_level level, enum log_format format);
bool log_on(enum log_level level);
/* "debug", "info", "warn", "error"; false if none of these. */
bool log_level_parse(sonde_str s, enum log_level *out);

/* `fields` ends with a row whose key is NULL. */
void log_line(enum log_level level, const char *component, const char *msg,
              const struct log_field *fields);

/* A first row that is skipped, so that no fields at all are a list too. */
#define LOG_AT(level, component, msg, ...)                                     \
    do {                                                                       \
        if (log_on(level))                                                     \
            log_line(                                                          \
                (level), (component), (msg),                                   \
                (const struct log_field[]){ { 0 }, ##__VA_ARGS__, { 0 } } +    \
                    1);                                                        \
    } while (0)
#define log_debug(component, ...) LOG_AT(LOG_DEBUG, component, __VA_ARGS__)
#define log_info(component, ...)  LOG_AT(LOG_INFO, component, __VA_ARGS__)
#define log_warn(component, ...)  LOG_AT(LOG_WARN, component, __VA_ARGS__)
#define log_error(component, ...) LOG_AT(LOG_ERROR, component, __VA_ARGS__)

/*
 * Lets a line that repeats pass at most once per `every_ms`; counts the ones
 * held back. Zero-initialised, thread-safe.
 */
struct log_limit {
    _Atomic int64_t next_ms;
    _Atomic uint64_t held;
};
/* True if a line may be written now; `*held` is how many were not. */
bool log_limit_pass(struct log_limit *l, sonde_msec every_ms, uint64_t *held);

#endif
