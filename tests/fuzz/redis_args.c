/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options that name keys, and Redis' patterns: bytes up to the first newline
 * are the option, the rest is a name to match. A pattern without special
 * characters matches itself and nothing else.
 */
#include <stdlib.h>

#include "redis/pattern.h"
#include "redis/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match_all(const struct redis_key_list *l, sonde_str name)
{
    for (size_t i = 0; i < l->count; i++) {
        sonde_str p = { l->items[i].name, l->items[i].len };
        bool plain = true;

        for (size_t k = 0; k < p.len; k++)
            plain &= !memchr("?*[\\", p.ptr[k], 4);
        if (glob_matches(p, name) != sonde_str_eq(p, name) && plain)
            abort();
        if (plain && !glob_matches(p, p))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_key_list l = { 0 }, patterns = { 0 };
    sonde_str rest = { (const char *)data, size }, option = { 0 };
    struct sonde_err err;

    if (size == 0 || size > 4096)
        return 0;
    (void)text_split(&rest, '\n', &option);
    if (keylist_parse(option, "check_keys", &l, &err) == SONDE_OK) {
        match_all(&l, rest);
        if (keylist_take_patterns(&l, &patterns, &err) != SONDE_OK)
            abort();
    }
    keylist_fini(&l);
    keylist_fini(&patterns);
    return 0;
}
