/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint is known by its name and URL: change anything else and it goes
 * on where it was. What changed is seen by a fingerprint of all values,
 * secrets included.
 */
#include "remote/endpoint.h"

#include <inttypes.h>
#include <stdlib.h>

#include "util/mem.h"
#include "util/str.h"

#define NAME_IN_FILE_MAX 48

/* user:password@ becomes xxxxx@. */
static char *shown_url(sonde_str url)
{
    struct buf b = { 0 };
    size_t begin = 0, end, at;

    while (begin + 3 <= url.len && memcmp(url.ptr + begin, "://", 3) != 0)
        begin++;
    begin = begin + 3 <= url.len ? begin + 3 : 0;
    for (end = begin; end < url.len && !strchr("/?#", url.ptr[end]); end++)
        ;
    for (at = end; at > begin && url.ptr[at - 1] != '@'; at--)
        ;
    buf_put(&b, str_sub(url, 0, begin));
    if (at > begin)
        buf_cstr(&b, "xxxxx@");
    buf_put(&b, str_sub(url, at, url.len));
    return buf_take(&b);
}

static void put_escaped(struct buf *b, sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\n') {
            buf_cstr(b, "\\n");
            continue;
        }
        if (s.ptr[i] == '\\' || s.ptr[i] == '"')
            buf_char(b, '\\');
        buf_char(b, s.ptr[i]);
    }
}

static char *file_name(sonde_str name, uint64_t identity)
{
    struct buf b = { 0 };

    for (size_t i = 0; i < name.len && i < NAME_IN_FILE_MAX; i++) {
        char c = name.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || c == '-' || c == '_';

        buf_char(&b, plain ? c : '_');
    }
    buf_printf(&b, "-%016" PRIx64 ".cursor", identity);
    return buf_take(&b);
}

void endpoint_init(struct endpoint *e, const struct remote_write_config *c,
                   size_t nth)
{
    char number[24];
    struct label items[3];
    struct buf b = { 0 };

    (void)snprintf(number, sizeof(number), "%zu", nth);
    items[0] = (struct label){ SONDE_STR("name"), c->name };
    items[1] = (struct label){ SONDE_STR("nth"), sonde_cstr(number) };
    items[2] = (struct label){ SONDE_STR("url"), c->url };
    e->identity = labels_hash(&(struct labels){ items, 3 });
    e->config_hash = config_hash(&remote_write_block, c);
    e->url = shown_url(c->url);
    if (c->name.len)
        buf_put(&b, c->name);
    else
        buf_printf(&b, "%06x", (unsigned)(e->identity >> 40));
    e->name = buf_take(&b);
    buf_cstr(&b, "remote_name=\"");
    put_escaped(&b, sonde_cstr(e->name));
    buf_cstr(&b, "\",url=\"");
    put_escaped(&b, sonde_cstr(e->url));
    buf_cstr(&b, "\"");
    e->labels = buf_take(&b);
    e->file =
        file_name(c->name.len ? c->name : SONDE_STR("remote"), e->identity);
}

void endpoint_fini(struct endpoint *e)
{
    free(e->url);
    free(e->name);
    free(e->labels);
    free(e->file);
    *e = (struct endpoint){ 0 };
}

bool external_labels_same(const struct config_map *a,
                          const struct config_map *b)
{
    size_t n = a ? a->count : 0;

    if (n != (b ? b->count : 0))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct sonde_list *x = &a->items[i].values;
        const struct sonde_list *y = &b->items[i].values;

        if (!sonde_str_eq(a->items[i].key, b->items[i].key) ||
            x->count != y->count ||
            (x->count && !sonde_str_eq(x->items[0], y->items[0])))
            return false;
    }
    return true;
}
