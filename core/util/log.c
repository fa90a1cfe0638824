/* SPDX-License-Identifier: Apache-2.0 */
/* See log.h. A line is built in a buffer and written at once. */
#include "util/log.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/str.h"

static _Atomic int current_level = LOG_INFO;
static _Atomic int current_format = LOG_LOGFMT;

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_setup(enum log_level level, enum log_format format)
{
    atomic_store(&current_level, (int)level);
    atomic_store(&current_format, (int)format);
}

bool log_on(enum log_level level)
{
    return (int)level >= atomic_load(&current_level);
}

bool log_level_parse(sonde_str s, enum log_level *out)
{
    for (size_t i = 0; i < 4; i++) {
        if (str_eq_cstr(s, level_names[i])) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void quote(struct buf *b, sonde_str s)
{
    buf_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c == '"' || c == '\\') {
            buf_char(b, '\\');
            buf_char(b, (char)c);
        } else if (c == '\n') {
            buf_cstr(b, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(b, "\\u%04x", c);
        } else {
            buf_char(b, (char)c);
        }
    }
    buf_char(b, '"');
}

static bool is_bare(sonde_str s)
{
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return false;
    }
    return true;
}

static void put_key(struct buf *b, const char *key, bool json)
{
    if (json) {
        if (b->len > 1)
            buf_char(b, ',');
        quote(b, sonde_cstr(key));
        buf_char(b, ':');
        return;
    }
    if (b->len)
        buf_char(b, ' ');
    buf_cstr(b, key);
    buf_char(b, '=');
}

static void put_str(struct buf *b, const char *key, sonde_str s, bool json)
{
    put_key(b, key, json);
    if (json || !is_bare(s))
        quote(b, s);
    else
        buf_put(b, s);
}

static void put_real(struct buf *b, double d, bool json)
{
    if (json && !isfinite(d))
        buf_cstr(b, "null");
    else
        buf_printf(b, "%.6g", d);
}

static void put_field(struct buf *b, const struct log_field *f, bool json)
{
    switch (f->kind) {
    case LOG_FIELD_STR:
        put_str(b, f->key, f->str, json);
        break;
    case LOG_FIELD_INT:
        put_key(b, f->key, json);
        buf_int(b, f->num);
        break;
    case LOG_FIELD_FLOAT:
        put_key(b, f->key, json);
        put_real(b, f->real, json);
        break;
    }
}

void log_line(enum log_level level, const char *component, const char *msg,
              const struct log_field *fields)
{
    bool json = atomic_load(&current_format) == LOG_JSON;
    char now[CLOCK_RFC3339_MAX];
    struct buf b;

    buf_init(&b);
    if (json)
        buf_char(&b, '{');
    clock_rfc3339(clock_now(&clock_system), now);
    put_str(&b, "time", sonde_cstr(now), json);
    put_str(&b, "level", sonde_cstr(level_names[level]), json);
    put_str(&b, "component", sonde_cstr(component), json);
    put_str(&b, "msg", sonde_cstr(msg), json);
    for (; fields->key; fields++)
        put_field(&b, fields, json);
    buf_cstr(&b, json ? "}\n" : "\n");
    if (write(STDERR_FILENO, b.data, b.len) < 0) {
        /* Nowhere left to say it. */
    }
    buf_fini(&b);
}

bool log_limit_pass(struct log_limit *l, sonde_msec every_ms, uint64_t *held)
{
    int64_t now = clock_monotonic(&clock_system);
    int64_t next = atomic_load(&l->next_ms);

    if (now < next ||
        !atomic_compare_exchange_strong(&l->next_ms, &next, now + every_ms)) {
        (void)atomic_fetch_add(&l->held, 1);
        return false;
    }
    *held = atomic_exchange(&l->held, 0);
    return true;
}
