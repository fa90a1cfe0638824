/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lua patterns: bytes up to the first newline are the pattern, the rest is
 * what is searched. It must end, and captures are parts of the subject (or
 * positions in it).
 */
#include <stdlib.h>

#include "redis/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text captures = { 0 };
    sonde_str rest = { (const char *)data, size }, pattern = { 0 };
    struct lua_pattern *p;
    struct sonde_err err;

    if (size == 0 || size > 4096)
        return 0;
    (void)text_split(&rest, '\n', &pattern);
    if (lua_pattern_new(pattern, &p, &err) != SONDE_OK)
        return 0;
    if (lua_pattern_find(p, rest, &captures) != LUA_YES && captures.len)
        abort();
    if (captures.len > 32 * (rest.len + 20))
        abort();
    text_fini(&captures);
    lua_pattern_free(p);
    return 0;
}
