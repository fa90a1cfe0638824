/* SPDX-License-Identifier: Apache-2.0 */
/* See family_cache.h. A family that is not where it was is searched from
 * there on, once around: lists are short and order is stable. */
#include "scrape/family_cache.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define ROUNDS_KEPT 10

void family_cache_init(struct family_cache *c)
{
    *c = (struct family_cache){ 0 };
}

static void entry_fini(struct family_entry *e)
{
    free(e->family);
    free(e->help);
    free(e->unit);
}

void family_cache_fini(struct family_cache *c)
{
    for (size_t i = 0; i < c->count; i++)
        entry_fini(&c->items[i]);
    free(c->items);
    family_cache_init(c);
}

void family_cache_begin(struct family_cache *c)
{
    c->at = 0;
    c->round++;
}

static bool is_family(const struct family_entry *e, sonde_str family)
{
    return e->family_len == family.len &&
           memcmp(e->family, family.ptr, family.len) == 0;
}

static struct family_entry *find(struct family_cache *c, sonde_str family)
{
    /* A full cache is not searched through for what it could not keep. */
    size_t steps = c->count < FAMILY_CACHE_MAX ? c->count : 2;

    for (size_t n = 0; n < steps; n++) {
        size_t i = c->at + n;

        if (i >= c->count)
            i -= c->count;
        if (is_family(&c->items[i], family)) {
            c->at = i;
            return &c->items[i];
        }
    }
    return NULL;
}

static struct family_entry *add(struct family_cache *c, sonde_str family)
{
    if (c->count >= FAMILY_CACHE_MAX)
        return NULL;
    if (c->count == c->cap) {
        c->cap = c->cap < 16 ? 16 : c->cap + c->cap / 2;
        c->items = mem_realloc(c->items, c->cap * sizeof(*c->items));
    }
    c->at = c->count++;
    c->items[c->at] =
        (struct family_entry){ .family = mem_strdup(family),
                               .family_len = (uint32_t)family.len };
    return &c->items[c->at];
}

static void keep_text(char **text, uint32_t *len, sonde_str now)
{
    if (*text && *len == now.len && memcmp(*text, now.ptr, now.len) == 0)
        return;
    free(*text);
    *text = now.len ? mem_strdup(now) : NULL;
    *len = (uint32_t)now.len;
}

void family_cache_note(struct family_cache *c, const struct expo_meta *m)
{
    struct family_entry *e = find(c, m->family);

    if (!e)
        e = add(c, m->family);
    if (!e)
        return;
    e->round = c->round;
    switch (m->kind) {
    case EXPO_META_TYPE:
        e->type = (uint8_t)m->type;
        break;
    case EXPO_META_HELP:
        keep_text(&e->help, &e->help_len, m->text);
        break;
    case EXPO_META_UNIT:
        keep_text(&e->unit, &e->unit_len, m->text);
        break;
    }
}

void family_cache_end(struct family_cache *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->count; i++) {
        if ((uint16_t)(c->round - c->items[i].round) > ROUNDS_KEPT)
            entry_fini(&c->items[i]);
        else
            c->items[kept++] = c->items[i];
    }
    c->count = kept;
}

struct metadata family_metadata(const struct family_entry *e)
{
    return (struct metadata){
        .family = { e->family, e->family_len },
        .type = (enum metric_type)e->type,
        .unit = { e->unit, e->unit_len },
        .help = { e->help, e->help_len },
    };
}
