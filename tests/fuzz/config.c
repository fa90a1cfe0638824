/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as the main file, through all tables, and printed. */
#include <stdint.h>
#include <stdlib.h>

#include "agent/config_tables.h"
#include "pipeline/pipeline.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *arg, const char *text)
{
    (void)arg;
    if (!text[0])
        abort();
}

/* What is printed is YAML, unless it is cut off. */
static void check_print(struct arena *a, const struct root_config *root)
{
    struct buf b;
    struct yaml_node *tree;
    struct sonde_err err = { 0 };

    buf_init(&b);
    b.limit = 1u << 20;
    config_print(&b, &root_config_block, root, 0);
    if (!buf_failed(&b) &&
        yaml_parse(a, "print.yml", buf_str(&b), &tree, &err) != SONDE_OK) {
        (void)fprintf(stderr, "%s\n%.*s\n", err.text, SONDE_ARG(buf_str(&b)));
        abort();
    }
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct sonde_err err = { 0 };
    struct yaml_node *tree;
    struct root_config root;
    const struct config_made *made = NULL;
    struct config_ctx ctx = { .arena = &a, .warn = ignore, .made = &made };
    sonde_code rc;

    arena_init(&a);
    rc = yaml_parse(&a, "fuzz.yml", (sonde_str){ (const char *)data, size },
                    &tree, &err);
    if (rc == SONDE_OK)
        rc = config_read(&ctx, &root_config_block, tree, &root, &err);
    if (rc == SONDE_OK)
        check_print(&a, &root);
    else if (!err.text[0])
        abort();
    for (; made; made = made->next)
        if (made->def == &relabel_block)
            relabel_rules_fini(made->block, 1);
    arena_fini(&a);
    return 0;
}
