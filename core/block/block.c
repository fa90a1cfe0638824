/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block that is read. Its files never change but for tombstones and the
 * meta that counts them: these are replaced as a whole, by an atomic pointer,
 * so that readers need no lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "block/block_int.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

/* ---- opening and closing ------------------------------------------------ */

static uint64_t file_bytes(const char *dir, const char *name)
{
    struct arena a;
    struct stat st;
    uint64_t n = 0;

    arena_init(&a);
    if (stat(arena_printf(&a, "%s/%s", dir, name).ptr, &st) == 0)
        n = (uint64_t)st.st_size;
    arena_fini(&a);
    return n;
}

static uint64_t small_files_bytes(const char *dir)
{
    return file_bytes(dir, "meta.json") + file_bytes(dir, "tombstones");
}

/* The last part of the path, without slashes at its end. */
static sonde_str folder_name(const char *dir)
{
    sonde_str s = sonde_cstr(dir);
    size_t begin;

    while (s.len && s.ptr[s.len - 1] == '/')
        s.len--;
    for (begin = s.len; begin && s.ptr[begin - 1] != '/';)
        begin--;
    return str_sub(s, begin, s.len);
}

static sonde_code read_state(const char *dir, struct block_state *st,
                             struct sonde_err *err)
{
    sonde_str name = folder_name(dir);
    sonde_code rc = block_meta_read(dir, &st->meta, err);

    if (rc != SONDE_OK)
        return rc;
    if (!str_eq_cstr(name, st->meta.ulid.text))
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "%s/meta.json: is of block %s", dir,
                             st->meta.ulid.text);
    st->bytes = small_files_bytes(dir);
    return tombstones_read(dir, &st->stones, err);
}

static sonde_code open_files(struct block *b, struct sonde_err *err)
{
    struct block_state *st = mem_new(struct block_state);
    struct arena a;
    sonde_code rc;

    atomic_init(&b->state, st);
    rc = read_state(b->dir, st, err);
    if (rc != SONDE_OK)
        return rc;
    arena_init(&a);
    rc = index_open(arena_printf(&a, "%s/index", b->dir).ptr, &b->index, err);
    arena_fini(&a);
    if (rc == SONDE_ENOTFOUND)
        rc = SONDE_ECORRUPT;
    return rc == SONDE_OK ? chunk_files_open(b->dir, &b->chunks, err) : rc;
}

sonde_code block_open(const char *dir, struct block **out,
                      struct sonde_err *err)
{
    struct block *b = mem_new(struct block);
    sonde_code rc;

    b->dir = mem_strdup(sonde_cstr(dir));
    atomic_init(&b->refs, 1);
    atomic_init(&b->dropped, false);
    rc = open_files(b, err);
    if (rc != SONDE_OK) {
        block_unref(b);
        b = NULL;
    }
    *out = b;
    return rc;
}

static void remove_folder(const char *dir)
{
    struct arena a;
    struct sonde_err err;
    const char *gone;
    sonde_code rc = SONDE_OK;

    arena_init(&a);
    gone = arena_printf(&a, "%s.tmp-for-deletion", dir).ptr;
    if (rename(dir, gone) != 0)
        rc = fs_err(&err, errno, "rename", dir);
    if (rc == SONDE_OK)
        rc = fs_remove_all(gone, &err);
    if (rc != SONDE_OK)
        log_warn("block", "block is not removed", LOG_ERRTEXT(&err));
    arena_fini(&a);
}

static void free_states(struct block_state *st)
{
    while (st) {
        struct block_state *before = st->before;

        block_meta_fini(&st->meta);
        tombstones_fini(&st->stones);
        free(st);
        st = before;
    }
}

struct block *block_ref(struct block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void block_unref(struct block *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1)
        return;
    index_close(&b->index);
    chunk_files_close(&b->chunks);
    if (atomic_load(&b->dropped))
        remove_folder(b->dir);
    free_states(atomic_load(&b->state));
    free(b->dir);
    free(b);
}

void block_drop(struct block *b)
{
    atomic_store(&b->dropped, true);
}

/* ---- what it is --------------------------------------------------------- */

static struct block_state *state(const struct block *b)
{
    return atomic_load_explicit(&((struct block *)(uintptr_t)b)->state,
                                memory_order_acquire);
}

const char *block_dir(const struct block *b)
{
    return b->dir;
}

const struct block_meta *block_meta(const struct block *b)
{
    return &state(b)->meta;
}

uint64_t block_bytes(const struct block *b)
{
    return b->index.file.len + chunk_files_bytes(&b->chunks) + state(b)->bytes;
}

const struct tombstones *block_tombstones(const struct block *b)
{
    return &state(b)->stones;
}

static void add_all(struct tombstones *to, const struct tombstones *from)
{
    for (size_t i = 0; i < from->count; i++)
        for (size_t j = 0; j < from->items[i].count; j++)
            tombstones_add(to, from->items[i].ref, from->items[i].ranges[j]);
}

sonde_code block_add_tombstones(struct block *b, const struct tombstones *more,
                                struct sonde_err *err)
{
    struct block_state *before = state(b), *st = mem_new(struct block_state);
    sonde_code rc;

    st->before = before;
    block_meta_copy(&st->meta, &before->meta);
    add_all(&st->stones, &before->stones);
    add_all(&st->stones, more);
    st->meta.stats.tombstones = tombstones_ranges(&st->stones);
    rc = tombstones_write(b->dir, &st->stones, err);
    if (rc == SONDE_OK)
        rc = block_meta_write(b->dir, &st->meta, err);
    st->bytes = small_files_bytes(b->dir);
    if (rc == SONDE_OK) {
        atomic_store_explicit(&b->state, st, memory_order_release);
        return rc;
    }
    st->before = NULL;
    free_states(st);
    return rc;
}

void block_forget(const struct block *b)
{
    mapped_forget(&b->index.file);
    for (size_t i = 0; i < b->chunks.count; i++)
        mapped_forget(&b->chunks.items[i]);
}

/* ---- reading ------------------------------------------------------------ */

uint32_t block_symbol_count(const struct block *b)
{
    return b->index.symbols.count;
}

sonde_str block_symbol(const struct block *b, uint32_t number)
{
    return symbols_get(&b->index.symbols, number);
}

bool block_symbol_find(const struct block *b, sonde_str s, uint32_t *number)
{
    return symbols_find(&b->index.symbols, s, number);
}

sonde_code block_postings(const struct block *b, sonde_str name,
                          sonde_str value, struct block_postings *out,
                          struct sonde_err *err)
{
    uint64_t at;

    *out = (struct block_postings){ 0 };
    if (!postings_table_find(&b->index.table, name, value, &at))
        return SONDE_OK;
    return index_postings_at(&b->index, at, out, err);
}

sonde_code block_postings_at(const struct block *b, uint64_t postings_offset,
                             struct block_postings *out, struct sonde_err *err)
{
    return index_postings_at(&b->index, postings_offset, out, err);
}

void block_names(const struct block *b, bool (*each)(void *arg, sonde_str name),
                 void *arg)
{
    const struct postings_table *t = &b->index.table;

    for (size_t i = 0; i < t->name_count; i++)
        if (t->names[i].name.len && !each(arg, t->names[i].name))
            return;
}

void block_values(const struct block *b, sonde_str name,
                  bool (*each)(void *arg, sonde_str value,
                               uint64_t postings_offset),
                  void *arg)
{
    const struct postings_table *t = &b->index.table;
    const struct table_name *n = postings_table_name(t, name);
    uint32_t at = 0;

    for (uint32_t i = 0; n && i < n->count; i++) {
        struct table_entry e = postings_table_entry(t, n, i, &at);

        if (!each(arg, e.value, e.offset))
            return;
    }
}

sonde_code block_series(const struct block *b, uint32_t number,
                        struct block_series *out, struct sonde_err *err)
{
    return index_series_at(&b->index, index_series_offset(&b->index, number),
                           out, NULL, err);
}

sonde_code block_chunk(const struct block *b, uint64_t ref,
                       enum chunk_encoding *encoding, sonde_str *data,
                       struct sonde_err *err)
{
    return chunk_files_get(&b->chunks, ref, encoding, data, NULL, err);
}
