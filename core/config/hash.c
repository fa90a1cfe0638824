/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fingerprint of a block: two blocks that were read to the same values have
 * the same one, secrets included (printing masks them, so comparing prints
 * would miss a changed password). Where in a file something stood does not
 * count. For telling at a reload what stayed as it was.
 */
#include <xxhash.h>

#include "config/schema.h"

static uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
    h = XXH3_64bits_withSeed(&n, sizeof(n), h);
    return n ? XXH3_64bits_withSeed(p, n, h) : h;
}

static uint64_t hash_str(uint64_t h, sonde_str s)
{
    return hash_bytes(h, s.ptr, s.len);
}

static uint64_t hash_list(uint64_t h, const struct sonde_list *l)
{
    h = hash_bytes(h, &l->count, sizeof(l->count));
    for (size_t i = 0; i < l->count; i++)
        h = hash_str(h, l->items[i]);
    return h;
}

static uint64_t hash_map(uint64_t h, const struct config_map *m)
{
    h = hash_bytes(h, &m->count, sizeof(m->count));
    for (size_t i = 0; i < m->count; i++) {
        h = hash_str(h, m->items[i].key);
        h = hash_list(h, &m->items[i].values);
    }
    return h;
}

/* Recursion is bounded by the parser's depth. */
static uint64_t hash_node(uint64_t h, const struct yaml_node *n)
{
    int kind = n ? (int)n->kind : -1;

    h = hash_bytes(h, &kind, sizeof(kind));
    if (!n)
        return h;
    h = hash_str(h, n->scalar);
    for (size_t i = 0; i < n->count; i++) {
        if (n->kind == YAML_MAPPING)
            h = hash_str(h, n->keys[i]->scalar);
        h = hash_node(h, n->items[i]);
    }
    return h;
}

static uint64_t hash_block(uint64_t h, const struct config_block_def *def,
                           const void *block);

static uint64_t hash_blocks(uint64_t h, const struct config_key *key,
                            const struct config_blocks *blocks)
{
    h = hash_bytes(h, &blocks->count, sizeof(blocks->count));
    for (size_t i = 0; i < blocks->count; i++)
        h = hash_block(h, key->block,
                       (const char *)blocks->items + i * key->block->size);
    return h;
}

static uint64_t hash_value(uint64_t h, const struct config_key *key,
                           const void *at)
{
    switch (key->kind) {
    case CONFIG_STR:
    case CONFIG_SECRET:
    case CONFIG_PATH:
    case CONFIG_URL:
        return hash_str(h, *(const sonde_str *)at);
    case CONFIG_BOOL:
        return hash_bytes(h, at, sizeof(bool));
    case CONFIG_INT:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        return hash_bytes(h, at, sizeof(int64_t));
    case CONFIG_FLOAT:
        return hash_bytes(h, at, sizeof(double));
    case CONFIG_ENUM:
        return hash_bytes(h, at, sizeof(int));
    case CONFIG_STR_LIST:
    case CONFIG_PATH_LIST:
        return hash_list(h, at);
    case CONFIG_STR_MAP:
    case CONFIG_LIST_MAP:
        return hash_map(h, at);
    case CONFIG_INLINE:
        return hash_block(h, key->block, at);
    case CONFIG_BLOCK:
        return hash_block(h, key->block, *(const void *const *)at);
    case CONFIG_BLOCK_LIST:
        return hash_blocks(h, key, at);
    case CONFIG_NODE:
        return hash_node(h, *(const struct yaml_node *const *)at);
    }
    return h;
}

static uint64_t hash_block(uint64_t h, const struct config_block_def *def,
                           const void *block)
{
    h = hash_bytes(h, &(bool){ block != NULL }, sizeof(bool));
    for (size_t i = 0; block && i < def->count; i++)
        if (def->keys[i].offset != SIZE_MAX)
            h = hash_value(h, &def->keys[i],
                           (const char *)block + def->keys[i].offset);
    return h;
}

uint64_t config_hash(const struct config_block_def *def, const void *block)
{
    return hash_block(0, def, block);
}
