/* SPDX-License-Identifier: Apache-2.0 */
/* See import_spill.h: gathering. */
#include "cli/import_spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "util/fs.h"
#include "util/mem.h"

#define TABLE_MIN    1024
#define SAMPLE_BYTES (sizeof(sonde_msec) + sizeof(double))
#define SYMBOL_SHARE 2 /* of the symbols' table, when they are sorted      */

sonde_code spill_init(struct spill *s, const char *dir, sonde_msec window_ms,
                      size_t budget_bytes, struct sonde_err *err)
{
    struct arena a;
    const char *path;
    sonde_code rc = SONDE_OK;

    *s = (struct spill){ .dir = dir,
                         .window_ms = window_ms,
                         .budget_bytes = budget_bytes,
                         .symbols = symtab_new(),
                         .fd = -1 };
    arena_init(&s->arena);
    buf_init(&s->out);
    arena_init(&a);
    path = arena_printf(&a, "%s/import.%ld.tmp", dir, (long)getpid()).ptr;
    s->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (s->fd < 0)
        rc = fs_err(err, errno, "create", path);
    else
        (void)unlink(path);
    arena_fini(&a);
    return rc;
}

static void free_items(struct spill *s)
{
    for (size_t i = 0; i < s->count; i++)
        columns_fini(&s->items[i].samples);
    s->count = 0;
}

void spill_fini(struct spill *s)
{
    free_items(s);
    free(s->items);
    free(s->table);
    free(s->sections);
    buf_fini(&s->out);
    arena_fini(&s->arena);
    symtab_free(s->symbols);
    if (s->fd >= 0)
        (void)close(s->fd);
}

static uint32_t *slot(const struct spill *s, sonde_str text, uint64_t hash)
{
    size_t mask = s->table_size - 1, i = hash & mask;

    while (s->table[i]) {
        const struct spill_series *x = &s->items[s->table[i] - 1];

        if (x->hash == hash && sonde_str_eq(x->text, text))
            break;
        i = (i + 1) & mask;
    }
    return &s->table[i];
}

struct spill_series *spill_find(struct spill *s, sonde_str text)
{
    uint32_t at;

    if (!s->table_size)
        return NULL;
    at = *slot(s, text, XXH3_64bits(text.ptr, text.len));
    return at ? &s->items[at - 1] : NULL;
}

static void grow_table(struct spill *s)
{
    if (s->count * 2 < s->table_size)
        return;
    free(s->table);
    s->table_size = s->table_size ? s->table_size * 2 : TABLE_MIN;
    s->table = mem_zalloc(s->table_size * sizeof(*s->table));
    for (size_t i = 0; i < s->count; i++)
        *slot(s, s->items[i].text, s->items[i].hash) = (uint32_t)(i + 1);
}

struct spill_series *spill_add(struct spill *s, sonde_str text,
                               const struct labels *labels)
{
    struct spill_series *x;

    grow_table(s);
    s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof(*s->items));
    x = &s->items[s->count];
    *x = (struct spill_series){ .text = arena_str(&s->arena, text),
                                .hash = XXH3_64bits(text.ptr, text.len),
                                .pair_count = labels->count };
    x->pairs = arena_array(&s->arena, struct block_pair, labels->count + 1);
    for (size_t i = 0; i < labels->count; i++) {
        x->pairs[i].name = symtab_intern(s->symbols, labels->items[i].name);
        x->pairs[i].value = symtab_intern(s->symbols, labels->items[i].value);
    }
    *slot(s, x->text, x->hash) = (uint32_t)++s->count;
    return x;
}

static size_t used_bytes(const struct spill *s)
{
    return s->sample_bytes + s->arena.used_bytes +
           SYMBOL_SHARE * symtab_bytes(s->symbols) +
           s->cap * sizeof(*s->items) + s->table_size * sizeof(*s->table);
}

static void reset(struct spill *s)
{
    free_items(s);
    free(s->items);
    free(s->table);
    s->items = NULL;
    s->table = NULL;
    s->cap = s->table_size = s->sample_bytes = 0;
    arena_reset(&s->arena);
    symtab_free(s->symbols);
    s->symbols = symtab_new();
}

sonde_code spill_sample(struct spill *s, struct spill_series *series,
                        sonde_msec t, double v, struct sonde_err *err)
{
    size_t cap = series->samples.cap_t;
    sonde_code rc;

    columns_push(&series->samples, t, v);
    s->samples++;
    if (series->samples.cap_t == cap)
        return SONDE_OK;
    s->sample_bytes += (series->samples.cap_t - cap) * SAMPLE_BYTES;
    if (used_bytes(s) < s->budget_bytes)
        return SONDE_OK;
    rc = spill_run(s, err);
    reset(s);
    return rc;
}
