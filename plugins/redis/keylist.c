/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options that name keys, as redis_exporter takes them: items with commas
 * between; KEY (database 0), dbN=KEY or N=KEY. Parts are trimmed and the key
 * is decoded as in a URL's query, so ',' '=' and a blank are written %2C %3D
 * %20, and a literal '+' %2B. Empty items are skipped.
 */
#include <stdlib.h>

#include "redis.h"

#define ITEMS_MAX 4096

static sonde_code bad(struct sonde_err *err, const char *option, sonde_str item,
                      const char *what)
{
    return sonde_err_set(err, SONDE_EINVAL,
                         "%s: \"%.*s\": %s; expected KEY, dbN=KEY or N=KEY",
                         option, SONDE_ARG(item), what);
}

static bool parse_db(sonde_str s, int64_t *out)
{
    (void)text_cut_prefix(&s, "db");
    if (s.len > 9 || !text_is_numbered(s, ""))
        return false;
    *out = 0;
    for (size_t i = 0; i < s.len; i++)
        *out = *out * 10 + (s.ptr[i] - '0');
    return true;
}

static sonde_code append(struct redis_key_list *l, struct redis_key_item item,
                         struct sonde_err *err)
{
    struct redis_key_item *grown;

    if (l->count >= ITEMS_MAX) {
        free(item.name);
        return sonde_err_set(err, SONDE_ELIMIT, "more than %d keys are named",
                             ITEMS_MAX);
    }
    grown = realloc(l->items, (l->count + 1) * sizeof(*grown));
    if (!grown) {
        free(item.name);
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    }
    l->items = grown;
    l->items[l->count++] = item;
    return SONDE_OK;
}

static sonde_code parse_item(sonde_str item, const char *option,
                             struct redis_key_list *out, struct sonde_err *err)
{
    struct redis_key_item row = { 0 };
    struct text name = { 0 };
    sonde_str rest = item, first, key, more;

    (void)text_split(&rest, '=', &first);
    if (!rest.ptr) {
        key = text_trim(first);
    } else {
        (void)text_split(&rest, '=', &key);
        key = text_trim(key);
        if (text_split(&rest, '=', &more))
            return bad(err, option, item, "it has more than one '='");
        if (!parse_db(text_trim(first), &row.db))
            return bad(err, option, item, "no number of a database");
    }
    if (key.len == 0)
        return SONDE_OK;
    if (!text_add_decoded(&name, key, true)) {
        text_fini(&name);
        return bad(err, option, item, "a broken %XX");
    }
    row.name = name.ptr;
    row.len = name.len;
    return append(out, row, err);
}

sonde_code keylist_parse(sonde_str text, const char *option,
                         struct redis_key_list *out, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;
    sonde_str item;

    while (rc == SONDE_OK && text_split(&text, ',', &item)) {
        item = text_trim(item);
        if (item.len)
            rc = parse_item(item, option, out, err);
    }
    return rc;
}

bool keylist_has(const struct redis_key_list *l, int64_t db, sonde_str name)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i].db == db &&
            sonde_str_eq((sonde_str){ l->items[i].name, l->items[i].len },
                         name))
            return true;
    }
    return false;
}

static bool is_pattern(const struct redis_key_item *item)
{
    for (size_t i = 0; i < item->len; i++) {
        if (memchr("?*[]^", item->name[i], 5))
            return true;
    }
    return false;
}

sonde_code keylist_take_patterns(struct redis_key_list *l,
                                 struct redis_key_list *out,
                                 struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;
    size_t kept = 0;

    for (size_t i = 0; i < l->count; i++) {
        struct redis_key_item item = l->items[i];

        if (rc == SONDE_OK && is_pattern(&item))
            rc = append(out, item, err);
        else
            l->items[kept++] = item;
    }
    l->count = kept;
    return rc;
}

void keylist_fini(struct redis_key_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i].name);
    free(l->items);
    *l = (struct redis_key_list){ 0 };
}
