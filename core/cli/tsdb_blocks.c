/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of a data directory, opened for reading, whatever else is in
 * it. */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/tsdb_cmd.h"
#include "util/fs.h"
#include "util/mem.h"

static int cmp_blocks(const void *a, const void *b)
{
    const struct block_meta *x = block_meta(*(struct block *const *)a);
    const struct block_meta *y = block_meta(*(struct block *const *)b);

    if (x->mint != y->mint)
        return x->mint < y->mint ? -1 : 1;
    return strcmp(x->ulid.text, y->ulid.text);
}

static void say(void *arg, const char *name, const struct sonde_err *err)
{
    (void)arg;
    cli_error("block %s: %s", name, err->text);
}

sonde_code tsdb_blocks_open(const char *dir, struct tsdb_blocks *out,
                            void (*bad)(void *arg, const char *name,
                                        const struct sonde_err *err),
                            void *arg, struct sonde_err *err)
{
    struct fs_names names;
    struct arena a;
    sonde_code rc;

    *out = (struct tsdb_blocks){ 0 };
    rc = fs_list(dir, &names, err);
    if (rc != SONDE_OK)
        return rc;
    arena_init(&a);
    out->items = mem_zalloc((names.count + 1) * sizeof(*out->items));
    for (size_t i = 0; i < names.count; i++) {
        struct sonde_err why;
        struct ulid u;

        if (!ulid_parse(sonde_cstr(names.items[i]), &u))
            continue;
        if (block_open(arena_printf(&a, "%s/%s", dir, u.text).ptr,
                       &out->items[out->count], &why) == SONDE_OK) {
            out->count++;
            continue;
        }
        out->failed++;
        (bad ? bad : say)(arg, u.text, &why);
    }
    if (out->count)
        qsort(out->items, out->count, sizeof(*out->items), cmp_blocks);
    fs_names_fini(&names);
    arena_fini(&a);
    return SONDE_OK;
}

void tsdb_blocks_close(struct tsdb_blocks *b)
{
    for (size_t i = 0; i < b->count; i++)
        block_unref(b->items[i]);
    free(b->items);
    *b = (struct tsdb_blocks){ 0 };
}
