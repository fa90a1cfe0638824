/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The postings of an index that is written: the list of all series, found by
 * walking over them once more, the lists of the label pairs from the sorted
 * runs, and the table of where each list is. The table is needed behind the
 * lists and its size before itself, so it waits in a file without a name.
 */
#include <stdlib.h>
#include <unistd.h>

#include "block/index_write.h"
#include "util/bytes.h"

#define LIST_PART  4096 /* numbers that are read at once                    */
#define TABLE_PART (1u << 20)

struct table {
    struct out_file file;
    uint32_t entries;
};

static void begin_list(struct index_writer *w, uint64_t count)
{
    out_file_pad(&w->out, INDEX_LIST_ALIGN);
    out_file_be32(&w->out, (uint32_t)(4 + count * 4));
    out_file_mark(&w->out);
    out_file_be32(&w->out, (uint32_t)count);
}

static uint64_t list_at(const struct index_writer *w)
{
    uint64_t pos = out_file_pos(&w->out);

    return pos + (-pos & (INDEX_LIST_ALIGN - 1));
}

static void add_entry(struct table *t, sonde_str name, sonde_str value,
                      uint64_t offset)
{
    out_file_uvarint(&t->file, 2); /* strings in a key */
    out_file_uvarint(&t->file, name.len);
    out_file_put(&t->file, name.ptr, name.len);
    out_file_uvarint(&t->file, value.len);
    out_file_put(&t->file, value.ptr, value.len);
    out_file_uvarint(&t->file, offset);
    t->entries++;
}

/* Series lie one behind the other, each at the next multiple of 16. */
static sonde_code put_all(struct index_writer *w, struct table *t,
                          struct sonde_err *err)
{
    struct mapped map;
    sonde_code rc = out_file_map(&w->out, &map, err);
    uint64_t at = w->toc.series;

    if (rc != SONDE_OK)
        return rc;
    add_entry(t, SONDE_STR(""), SONDE_STR(""), list_at(w));
    begin_list(w, w->series_count);
    for (uint64_t i = 0; i < w->series_count; i++) {
        struct reader r;

        at += -at & (INDEX_SERIES_ALIGN - 1);
        out_file_be32(&w->out, (uint32_t)(at / INDEX_SERIES_ALIGN));
        r = (struct reader){ map.data + at, map.data + map.len, false };
        (void)reader_bytes(&r, reader_uvarint(&r) + INDEX_CRC_BYTES);
        mapped_pass(&map, (size_t)((uint64_t)(r.p - map.data) - at));
        at = (uint64_t)(r.p - map.data);
    }
    out_file_crc(&w->out);
    mapped_close(&map);
    return SONDE_OK;
}

static void put_list(struct index_writer *w, uint64_t count)
{
    uint32_t part[LIST_PART];
    size_t n;

    begin_list(w, count);
    while ((n = posting_runs_read(&w->runs, part, LIST_PART))) {
        for (size_t i = 0; i < n; i++)
            be32_put(&part[i], part[i]);
        out_file_put(&w->out, part, n * sizeof(*part));
    }
    out_file_crc(&w->out);
}

static sonde_code put_lists(struct index_writer *w, struct table *t,
                            struct sonde_err *err)
{
    struct symbols_cursor names = { &w->symbols, 0, 0 };
    struct symbols_cursor values = { &w->symbols, 0, 0 };
    struct block_pair pair;
    uint64_t count;
    sonde_code rc = posting_runs_merge(&w->runs, err);

    if (rc != SONDE_OK)
        return rc;
    while (posting_runs_next(&w->runs, &pair, &count)) {
        sonde_str value = symbols_cursor_get(&values, pair.value);

        add_entry(t, symbols_cursor_get(&names, pair.name), value, list_at(w));
        mapped_pass(&w->map, value.len + 1);
        put_list(w, count);
    }
    if (w->runs.damaged)
        return sonde_err_set(err, SONDE_EIO,
                             "%s: postings.tmp changed while it was read",
                             w->dir);
    return SONDE_OK;
}

static sonde_code put_table(struct index_writer *w, struct table *t,
                            struct sonde_err *err)
{
    struct mapped map;
    sonde_code rc = out_file_map(&t->file, &map, err);

    if (rc != SONDE_OK)
        return rc;
    if (map.len > UINT32_MAX - 4)
        rc = sonde_err_set(err, SONDE_ELIMIT, "more than 4 GiB of label pairs");
    w->toc.label_table = w->toc.postings_table = out_file_pos(&w->out);
    out_file_be32(&w->out, (uint32_t)(map.len + 4));
    out_file_mark(&w->out);
    out_file_be32(&w->out, t->entries);
    for (size_t at = 0, n; at < map.len; at += n) {
        n = map.len - at < TABLE_PART ? map.len - at : TABLE_PART;
        out_file_put(&w->out, map.data + at, n);
        mapped_pass(&map, n);
    }
    out_file_crc(&w->out);
    mapped_close(&map);
    return rc;
}

static sonde_code put_postings(struct index_writer *w, struct table *t,
                               struct sonde_err *err)
{
    sonde_code rc;

    w->toc.postings = out_file_pos(&w->out);
    rc = put_all(w, t, err);
    if (rc == SONDE_OK)
        rc = put_lists(w, t, err);
    return rc == SONDE_OK ? put_table(w, t, err) : rc;
}

sonde_code index_writer_postings(struct index_writer *w, struct sonde_err *err)
{
    struct table t = { 0 };
    struct arena a;
    const char *path;
    sonde_code rc;

    arena_init(&a);
    path = arena_printf(&a, "%s/table.tmp", w->dir).ptr;
    rc = out_file_open(&t.file, path, err);
    if (rc == SONDE_OK) {
        (void)unlink(path);
        rc = put_postings(w, &t, err);
        out_file_discard(&t.file);
    }
    arena_fini(&a);
    return rc;
}
