/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in a log folder. As in Prometheus a segment is any file whose
 * name reads as a decimal number (eight digits by custom) and a checkpoint a
 * folder `checkpoint.N`; everything else is passed over. A `checkpoint.N.tmp`
 * of a process that was killed is removed when the log is opened for writing.
 */
#include "wal/segments.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"
#include "wal/wal.h"

#define PREFIX SONDE_STR("checkpoint.")

static int cmp_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

sonde_code segments_list(const char *dir, struct segments *out,
                         struct sonde_err *err)
{
    struct fs_names names;
    size_t cap = 0;
    sonde_code rc;

    *out = (struct segments){ 0 };
    rc = fs_list(dir, &names, err);
    if (rc != SONDE_OK)
        return rc;
    for (size_t i = 0; i < names.count; i++) {
        uint64_t number;

        if (!str_to_u64(sonde_cstr(names.items[i]), &number))
            continue;
        out->numbers =
            mem_grow(out->numbers, &cap, out->count + 1, sizeof(*out->numbers));
        out->numbers[out->count++] = number;
    }
    fs_names_fini(&names);
    if (out->count)
        qsort(out->numbers, out->count, sizeof(*out->numbers), cmp_numbers);
    return SONDE_OK;
}

void segments_fini(struct segments *s)
{
    free(s->numbers);
    *s = (struct segments){ 0 };
}

size_t segments_at(const struct segments *s, uint64_t from)
{
    size_t i = 0;

    while (i < s->count && s->numbers[i] < from)
        i++;
    return i;
}

/* checkpoint.N */
static bool checkpoint_number(sonde_str name, uint64_t *number)
{
    return str_starts(name, PREFIX) &&
           str_to_u64(str_sub(name, PREFIX.len, name.len), number);
}

sonde_code checkpoint_find(const char *dir, bool *found, uint64_t *number,
                           struct sonde_err *err)
{
    struct fs_names names;
    sonde_code rc = fs_list(dir, &names, err);

    *found = false;
    *number = 0;
    if (rc != SONDE_OK)
        return rc;
    for (size_t i = 0; i < names.count; i++) {
        uint64_t n;

        if (!checkpoint_number(sonde_cstr(names.items[i]), &n))
            continue;
        if (!*found || n > *number)
            *number = n;
        *found = true;
    }
    fs_names_fini(&names);
    return SONDE_OK;
}

/* Removes the entries of a folder that `obsolete` says are. */
static sonde_code drop(const char *dir,
                       bool (*obsolete)(sonde_str name, uint64_t arg),
                       uint64_t arg, struct sonde_err *err)
{
    struct fs_names names;
    struct arena a;
    sonde_code rc = fs_list(dir, &names, err);

    if (rc != SONDE_OK)
        return rc;
    arena_init(&a);
    for (size_t i = 0; rc == SONDE_OK && i < names.count; i++) {
        sonde_str name = sonde_cstr(names.items[i]);

        if (obsolete(name, arg))
            rc = fs_remove_all(fs_join(&a, sonde_cstr(dir), name), err);
    }
    arena_fini(&a);
    fs_names_fini(&names);
    return rc;
}

static bool half_made(sonde_str name, uint64_t arg)
{
    (void)arg;
    return str_starts(name, PREFIX) && str_ends(name, SONDE_STR(".tmp"));
}

sonde_code checkpoint_clean(const char *dir, struct sonde_err *err)
{
    return drop(dir, half_made, 0, err);
}

static bool older(sonde_str name, uint64_t keep)
{
    uint64_t number;

    return checkpoint_number(name, &number) && number < keep;
}

sonde_code checkpoint_drop(const char *dir, uint64_t keep,
                           struct sonde_err *err)
{
    return drop(dir, older, keep, err);
}

static char *numbered(const char *dir, const char *prefix, uint64_t number)
{
    size_t size = strlen(dir) + strlen(prefix) + WAL_SEGMENT_NAME_BYTES;
    char *path = mem_alloc(size);

    (void)snprintf(path, size, "%s/%s%08" PRIu64, dir, prefix, number);
    return path;
}

char *segment_path(const char *dir, uint64_t number)
{
    return numbered(dir, "", number);
}

char *checkpoint_path(const char *dir, uint64_t number)
{
    return numbered(dir, "checkpoint.", number);
}

bool wal_segments_range(const char *dir, uint64_t *first, uint64_t *last)
{
    struct segments all;
    struct sonde_err err;
    bool any;

    if (segments_list(dir, &all, &err) != SONDE_OK)
        return false;
    any = all.count > 0;
    if (any) {
        *first = all.numbers[0];
        *last = all.numbers[all.count - 1];
    }
    segments_fini(&all);
    return any;
}
