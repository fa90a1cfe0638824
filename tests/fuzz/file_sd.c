/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Target files, as JSON and as YAML. What JSON says must mean the same in
 * YAML where both read it: YAML takes in JSON but for a few spellings
 * (escapes, keys in other case), so only the number of groups and targets is
 * compared, and only if YAML accepts the text too.
 */
#include <stdint.h>

#include "discovery/discovery.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_as(struct arena *a, const char *path, sonde_str text,
                      struct target_group **groups)
{
    struct sonde_err err = { 0 };
    size_t n;

    if (file_sd_parse(a, path, text, groups, &n, &err)) {
        if (err.text[0] == '\0' || n != 0)
            SONDE_BUG("%s: an error without a word", path);
        return SIZE_MAX;
    }
    for (size_t i = 0; i < n; i++)
        if (labels_get(&(*groups)[i].labels, SONDE_STR("__meta_filepath"))
                .len == 0)
            SONDE_BUG("%s: group %zu has no path", path, i);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    struct target_group *json, *yaml;
    struct arena a;
    size_t n, m;

    arena_init(&a);
    n = read_as(&a, "f.json", text, &json);
    m = read_as(&a, "f.yml", text, &yaml);
    if (n != SIZE_MAX && m != SIZE_MAX) {
        if (n != m)
            SONDE_BUG("%zu groups as JSON, %zu as YAML", n, m);
        for (size_t i = 0; i < n; i++)
            if (json[i].count != yaml[i].count)
                SONDE_BUG("group %zu differs", i);
    }
    arena_fini(&a);
    return 0;
}
