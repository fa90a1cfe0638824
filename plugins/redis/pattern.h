/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of keys: Redis' own and Lua's. */
#ifndef PLUGINS_REDIS_PATTERN_H
#define PLUGINS_REDIS_PATTERN_H

#include "shared/text.h"

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
                                struct text *captures);

#endif
