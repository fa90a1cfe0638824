/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and finding saved heads. The format is Prometheus': the log's
 * framing with records of its own.
 *
 *     series      1 | ref u64 | labels | 0 i64 | 0, or: 1 | mint i64 | maxt i64
 * | encoding u8 | chunk str | the last value deletions   2 | str of: version u8
 * | { ref uvarint | mint | maxt varint } exemplars   3 | as in the log, behind
 * its type
 *
 * The last value of floats is 56 bytes of a time when it was four samples,
 * and the value; of histograms, the histogram. Only open chunks are in it:
 * full ones are in chunks_head, which is synced first.
 *
 * A saved head is true for one log only: the one that goes on at the position
 * in its name. It is used when that segment is there and long enough, no
 * checkpoint stands for it, and nobody wrote to it since: the log is closed
 * before the head is saved, and nothing is ever appended to a segment of a
 * former life. So it does no harm if a real Prometheus was here in between,
 * or if the log was removed and began anew. After a kill it is still good:
 * more of the log is read behind it.
 *
 * A series has another record, without a chunk, for each other name that the
 * log may use for it: the next checkpoint must know them. And the highest
 * reference that was ever given out is told by a deletion of nothing.
 */
#include "tsdb/head_save.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tsdb/head_histograms.h"
#include "tsdb/walk.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define PREFIX               SONDE_STR("chunk_snapshot.")
#define STONES_VERSION       1
#define EXEMPLARS_IN_RECORD  10000
#define SAVED_SERIES         1
#define SAVED_DELETIONS      2
#define SAVED_EXEMPLARS      3
#define FLOAT_SAMPLE_BYTES   16
#define FLOAT_SAMPLES_BEFORE 3

struct saving {
    struct head *head;
    struct wal_bulk *out;
    struct buf record;
    struct label *items;
};

/* ---- series ----------------------------------------------------------- */

static void put_last_value(struct buf *b, const struct series *s)
{
    const struct histogram *last = head_last_histogram(s);

    if (last) {
        wal_histogram_put(b, last);
        return;
    }
    for (int i = 0; i < FLOAT_SAMPLES_BEFORE * 2 + 1; i++)
        buf_be64(b, 0);
    buf_be64(b, s->open.v);
}

static void put_chunk(struct buf *b, const struct series *s)
{
    struct chunk c = head_open_chunk(s);

    buf_uvarint(b, 1);
    buf_be64(b, (uint64_t)c.mint);
    buf_be64(b, (uint64_t)c.maxt);
    buf_u8(b, (uint8_t)c.encoding);
    buf_uvarint_str(b, c.data);
    if (c.encoding == CHUNK_XOR)
        xor_seal(&s->open, (uint8_t *)b->data + b->len - c.data.len);
    put_last_value(b, s);
}

static void put_series(struct saving *g, const struct series *s, uint64_t ref,
                       bool with_chunk)
{
    struct labels l = { g->items, 0 };

    buf_reset(&g->record);
    buf_u8(&g->record, SAVED_SERIES);
    head_labels_view(g->head, s->labels, g->items, &l.count);
    wal_series_add(&g->record, ref, &l);
    buf_be64(&g->record, 0);
    if (with_chunk && s->open.count)
        put_chunk(&g->record, s);
    else
        buf_uvarint(&g->record, 0);
}

static sonde_code save_page(struct saving *g, struct series_page *p,
                            uint32_t number, struct sonde_err *err)
{
    uint64_t first = (uint64_t)number * PAGE_SERIES + 1;
    sonde_code rc = SONDE_OK;

    (void)pthread_mutex_lock(&p->lock);
    for (uint64_t id = first; rc == SONDE_OK && id < first + PAGE_SERIES;
         id++) {
        const struct series *s = series_page_get(p, id);

        if (!s || !s->labels || !(s->flags & SERIES_LOGGED))
            continue;
        put_series(g, s, series_ref_of(s, (uint32_t)id), true);
        rc = wal_bulk_put(g->out, buf_str(&g->record), err);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return rc;
}

static sonde_code save_series(struct saving *g, struct sonde_err *err)
{
    struct series_page *p;
    sonde_code rc = SONDE_OK;

    for (uint32_t number = 0;
         rc == SONDE_OK && (p = series_table_next(&g->head->table, &number));
         number++)
        rc = save_page(g, p, number, err);
    return rc;
}

static sonde_code save_aliases(struct saving *g, struct sonde_err *err)
{
    struct head *h = g->head;
    struct walk w = walk_of(h);
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < h->alias_count; i++) {
        const struct series *s = walk_to_id(&w, h->aliases[i].to);

        if (!s || !s->labels)
            continue;
        put_series(g, s, h->aliases[i].from, false);
        rc = wal_bulk_put(g->out, buf_str(&g->record), err);
    }
    walk_end(&w);
    return rc;
}

/* ---- the rest --------------------------------------------------------- */

static void put_stone(struct buf *b, uint64_t ref, struct time_range r)
{
    buf_uvarint(b, ref);
    buf_varint(b, r.mint);
    buf_varint(b, r.maxt);
}

static void put_deletions(struct head *h, struct buf *b)
{
    struct walk w = walk_of(h);

    buf_u8(b, STONES_VERSION);
    for (size_t i = 0; i < h->deleted.stones.count; i++) {
        const struct tombstone_series *d = &h->deleted.stones.items[i];
        const struct series *s = walk_to_id(&w, (uint32_t)d->ref);

        for (size_t k = 0; s && k < d->count; k++)
            put_stone(b, series_ref_of(s, (uint32_t)d->ref), d->ranges[k]);
    }
    walk_end(&w);
    if (h->next_ref > 1)
        put_stone(b, h->next_ref - 1,
                  (struct time_range){ INT64_MIN, INT64_MIN });
}

static sonde_code save_deletions(struct saving *g, struct sonde_err *err)
{
    struct buf stones = { 0 };
    sonde_code rc;

    put_deletions(g->head, &stones);
    buf_reset(&g->record);
    buf_u8(&g->record, SAVED_DELETIONS);
    buf_uvarint_str(&g->record, buf_str(&stones));
    rc = wal_bulk_put(g->out, buf_str(&g->record), err);
    buf_fini(&stones);
    return rc;
}

static sonde_code flush_exemplars(struct saving *g,
                                  struct wal_exemplars_writer *w, size_t *n,
                                  struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    if (*n) {
        g->record.data[0] = SAVED_EXEMPLARS;
        rc = wal_bulk_put(g->out, buf_str(&g->record), err);
    }
    *n = 0;
    wal_exemplars_begin(w, &g->record);
    return rc;
}

static sonde_code save_exemplars(struct saving *g, struct sonde_err *err)
{
    struct wal_exemplars_writer w;
    struct arena a;
    size_t count, n = 0;
    uint64_t *refs = exemplars_series(&g->head->exemplars, &count);
    sonde_code rc = SONDE_OK;

    arena_init(&a);
    wal_exemplars_begin(&w, &g->record);
    for (size_t i = 0; rc == SONDE_OK && i < count; i++) {
        size_t some;
        const struct exemplar *e = exemplars_of(
            &g->head->exemplars, refs[i], INT64_MIN, INT64_MAX, &a, &some);

        for (size_t k = 0; k < some; k++, n++)
            wal_exemplars_add(&w, &(struct wal_exemplar){
                                      refs[i], e[k].t, e[k].v, e[k].labels });
        if (n >= EXEMPLARS_IN_RECORD)
            rc = flush_exemplars(g, &w, &n, err);
        arena_reset(&a);
    }
    if (rc == SONDE_OK)
        rc = flush_exemplars(g, &w, &n, err);
    arena_fini(&a);
    free(refs);
    return rc;
}

static sonde_code save_to(struct head *h, const char *path,
                          enum wal_compression how, struct sonde_err *err)
{
    struct saving g = { .head = h };
    sonde_code rc = wal_bulk_open(path, how, &g.out, err);

    g.items = mem_alloc(SERIES_LABELS_MAX * sizeof(*g.items));
    if (rc == SONDE_OK)
        rc = save_series(&g, err);
    if (rc == SONDE_OK)
        rc = save_aliases(&g, err);
    if (rc == SONDE_OK)
        rc = save_deletions(&g, err);
    if (rc == SONDE_OK)
        rc = save_exemplars(&g, err);
    if (rc == SONDE_OK)
        rc = wal_bulk_finish(g.out, err);
    wal_bulk_close(g.out);
    buf_fini(&g.record);
    free(g.items);
    return rc;
}

sonde_code head_save(struct head *h, const char *dir, struct wal_position at,
                     enum wal_compression how, struct sonde_err *err)
{
    size_t size = strlen(dir) + 64;
    char *path = mem_alloc(size);
    sonde_code rc;

    (void)snprintf(path, size, "%s/chunk_snapshot.%06" PRIu64 ".%010" PRIu64,
                   dir, at.segment, at.offset);
    rc = head_files_sync(h->files, err);
    if (rc == SONDE_OK)
        rc = save_to(h, path, how, err);
    if (rc == SONDE_OK)
        head_saved_clean(dir, path);
    else
        (void)sonde_err_prefix(err, "save the head to %s", path);
    free(path);
    return rc;
}

/* ---- finding ---------------------------------------------------------- */

/* chunk_snapshot.SEGMENT.OFFSET */
static bool position_of(sonde_str name, struct wal_position *at)
{
    sonde_str rest, segment;

    if (!str_starts(name, PREFIX))
        return false;
    rest = str_sub(name, PREFIX.len, name.len);
    return str_split(&rest, '.', &segment) &&
           str_to_u64(segment, &at->segment) && str_to_u64(rest, &at->offset);
}

/* Whether the log goes on behind it, and is the one that it was saved of. */
static bool fits(const char *wal_dir, const char *path, struct wal_position at)
{
    uint64_t first, last, checkpoint;
    char segment[32];
    struct stat log, saved;
    struct arena a;
    bool ok;

    if (!wal_segments_range(wal_dir, &first, &last) || at.segment < first ||
        at.segment > last)
        return false;
    if (wal_checkpoint_last(wal_dir, &checkpoint) && checkpoint >= at.segment)
        return false;
    (void)snprintf(segment, sizeof(segment), "%08" PRIu64, at.segment);
    arena_init(&a);
    ok = stat(fs_join(&a, sonde_cstr(wal_dir), sonde_cstr(segment)), &log) ==
             0 &&
         stat(path, &saved) == 0 && (uint64_t)log.st_size >= at.offset &&
         (log.st_mtim.tv_sec < saved.st_mtim.tv_sec ||
          (log.st_mtim.tv_sec == saved.st_mtim.tv_sec &&
           log.st_mtim.tv_nsec <= saved.st_mtim.tv_nsec));
    arena_fini(&a);
    return ok;
}

bool head_saved_find(const char *dir, const char *wal_dir,
                     struct saved_head *out)
{
    struct fs_names names;
    struct sonde_err err;
    struct arena a;

    *out = (struct saved_head){ 0 };
    if (fs_list(dir, &names, &err) != SONDE_OK)
        return false;
    arena_init(&a);
    for (size_t i = 0; i < names.count; i++) {
        struct wal_position at;
        const char *path;

        if (!position_of(sonde_cstr(names.items[i]), &at) ||
            (out->path && wal_position_cmp(at, out->at) <= 0))
            continue;
        path = fs_join(&a, sonde_cstr(dir), sonde_cstr(names.items[i]));
        if (!fits(wal_dir, path, at))
            continue;
        free(out->path);
        *out = (struct saved_head){ mem_strdup(sonde_cstr(path)), at };
    }
    arena_fini(&a);
    fs_names_fini(&names);
    return out->path != NULL;
}

void head_saved_clean(const char *dir, const char *keep_path)
{
    struct fs_names names;
    struct sonde_err err;
    struct arena a;

    if (fs_list(dir, &names, &err) != SONDE_OK)
        return;
    arena_init(&a);
    for (size_t i = 0; i < names.count; i++) {
        sonde_str name = sonde_cstr(names.items[i]);
        char *path = fs_join(&a, sonde_cstr(dir), name);

        if (!str_starts(name, PREFIX) ||
            (keep_path && strcmp(path, keep_path) == 0))
            continue;
        if (fs_remove_all(path, &err) != SONDE_OK)
            log_warn("tsdb", "an old saved head stays", LOG_ERRTEXT(&err));
    }
    arena_fini(&a);
    fs_names_fini(&names);
}
