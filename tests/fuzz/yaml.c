/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a YAML document: a tree within its bounds, or an error. */
#include <stdint.h>
#include <stdlib.h>

#include "config/schema.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct yaml_node *n, size_t depth, size_t *seen)
{
    if (depth > 64 || ++*seen > 1000000)
        abort();
    if (n->kind == YAML_SCALAR && !str_is_utf8(n->scalar))
        abort();
    for (size_t i = 0; i < n->count; i++) {
        if (n->kind == YAML_MAPPING && n->keys[i]->kind != YAML_SCALAR)
            abort();
        walk(n->items[i], depth + 1, seen);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct sonde_err err = { 0 };
    struct yaml_node *root;
    size_t seen = 0;

    arena_init(&a);
    if (yaml_parse(&a, "fuzz.yml", (sonde_str){ (const char *)data, size },
                   &root, &err) == SONDE_OK)
        walk(root, 0, &seen);
    else if (!err.text[0])
        abort();
    arena_fini(&a);
    return 0;
}
