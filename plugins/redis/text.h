/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes: a growing text, views cut at separators, UTF-8, patterns. */
#ifndef PLUGINS_REDIS_TEXT_H
#define PLUGINS_REDIS_TEXT_H

#include <sonde/base.h>

struct redis_text {
    char *ptr;
    size_t len, cap;
};
/* False when there is no memory. */
bool text_add(struct redis_text *t, const void *p, size_t n);
bool text_addz(struct redis_text *t, const char *z);
void text_fini(struct redis_text *t);

sonde_str text_trim(sonde_str s);
/* Takes the part before `sep` off the front; false when all is used up. */
bool text_split(sonde_str *rest, char sep, sonde_str *part);
/* Here, so that the length of a literal is known at compile time. */
static inline bool text_starts(sonde_str s, const char *prefix)
{
    size_t n = strlen(prefix);

    return n == 0 || (s.len >= n && memcmp(s.ptr, prefix, n) == 0);
}
static inline bool text_is(sonde_str s, const char *z)
{
    return s.len == strlen(z) && text_starts(s, z);
}
/* Whether `s` is PREFIX and then one or more digits, and nothing else. */
bool text_is_numbered(sonde_str s, const char *prefix);
/* Takes PREFIX off the front if it is there and more follows. */
bool text_cut_prefix(sonde_str *s, const char *prefix);
/* Whether `part` occurs in `s`. */
bool text_has(sonde_str s, const char *part);
/* Value of `key` in "k=v,k=v"; false if it is not there. */
bool text_pair(sonde_str list, const char *key, sonde_str *out);
/* Appends `s` as UTF-8; what is none becomes U+FFFD. */
bool text_add_utf8(struct redis_text *t, sonde_str s);
/* Appends `s` with its %XX decoded, and '+' as a blank if `plus`; false when
 * one is broken. */
bool text_add_decoded(struct redis_text *t, sonde_str s, bool plus);
/* A number as Go reads one, whatever the process' locale. Without the words
 * that emit_value knows. */
bool text_number(sonde_str s, double *out);

/* ---- glob.c -------------------------------------------------------------- */

/* Redis' patterns: ? * [a-z] [^a] and \ before what is meant as itself. */
bool glob_matches(sonde_str pattern, sonde_str name);

/* ---- lua_pattern.c ------------------------------------------------------- */

/* A pattern as Lua's string.find takes them, checked and ready to match. */
struct lua_pattern;

SONDE_NODISCARD sonde_code lua_pattern_new(sonde_str source,
                                           struct lua_pattern **out,
                                           struct sonde_err *err);
void lua_pattern_free(struct lua_pattern *p); /* NULL is fine */

enum lua_match {
    LUA_NO,
    LUA_YES,
    LUA_GAVE_UP, /* it would take too many steps */
};
/* Appends the captures, one after the other, to `captures`. */
enum lua_match lua_pattern_find(const struct lua_pattern *p, sonde_str subject,
                                struct redis_text *captures);

#endif
