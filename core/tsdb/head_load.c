/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a saved head; see head_save.c. It is a shortcut, and the log has
 * all that it has: so nothing here is mended, the first damage ends it.
 */
#include "tsdb/head_save.h"
#include "util/bytes.h"

#define STONES_VERSION     1
#define SAVED_SERIES       1
#define SAVED_DELETIONS    2
#define SAVED_EXEMPLARS    3
#define FLOAT_VALUES_BYTES 64
#define ASK_EVERY          1024 /* records; each is one series            */

struct loading {
    const struct saved_visitor *v;
    struct arena arena;
    struct buf copy;
    const char *why;
    size_t records;
};

static sonde_code bad(struct loading *g, struct sonde_err *err, const char *why)
{
    g->why = why;
    return sonde_err_set(err, SONDE_ECORRUPT, "saved head: %s", why);
}

/* The last value is in the chunk, too. */
static bool skip_last_value(struct loading *g, struct reader *r,
                            enum chunk_encoding encoding)
{
    struct histogram h;

    if (encoding == CHUNK_XOR)
        (void)reader_bytes(r, FLOAT_VALUES_BYTES);
    else
        (void)wal_histogram_get(r, &g->arena, encoding == CHUNK_FLOAT_HISTOGRAM,
                                &h);
    return !r->failed;
}

static bool read_chunk(struct loading *g, struct reader *r, struct chunk *c)
{
    uint8_t encoding;

    c->mint = (sonde_msec)reader_be64(r);
    c->maxt = (sonde_msec)reader_be64(r);
    encoding = reader_u8(r);
    c->data = reader_uvarint_str(r);
    if (encoding < CHUNK_XOR || encoding > CHUNK_FLOAT_HISTOGRAM)
        return false;
    c->encoding = (enum chunk_encoding)encoding;
    return skip_last_value(g, r, c->encoding);
}

static sonde_code load_series(struct loading *g, struct reader *r,
                              struct sonde_err *err)
{
    struct saved_series s = { .ref = reader_be64(r) };
    uint64_t present;

    arena_reset(&g->arena);
    if (!wal_labels_get(r, &g->arena, &s.labels))
        return bad(g, err, "malformed labels");
    (void)reader_be64(r);
    present = reader_uvarint(r);
    s.has_chunk = present == 1;
    if (present > 1 || (s.has_chunk && !read_chunk(g, r, &s.chunk)))
        return bad(g, err, "malformed chunk");
    if (r->failed || reader_left(r))
        return bad(g, err, "malformed series");
    g->v->series(g->v->arg, &s);
    return SONDE_OK;
}

static sonde_code load_deletions(struct loading *g, struct reader *r,
                                 struct sonde_err *err)
{
    struct reader stones = reader_of(reader_uvarint_str(r));

    if (r->failed || reader_u8(&stones) != STONES_VERSION)
        return bad(g, err, "deletions of an unknown kind");
    while (reader_left(&stones)) {
        uint64_t ref = reader_uvarint(&stones);
        sonde_msec mint = reader_varint(&stones);
        sonde_msec maxt = reader_varint(&stones);

        if (!stones.failed)
            g->v->deletion(g->v->arg, ref, mint, maxt);
    }
    return stones.failed ? bad(g, err, "malformed deletions") : SONDE_OK;
}

static sonde_code load_exemplars(struct loading *g, sonde_str record,
                                 struct sonde_err *err)
{
    buf_reset(&g->copy);
    buf_put(&g->copy, record);
    g->copy.data[0] = WAL_EXEMPLARS;
    if (wal_exemplars_decode(buf_str(&g->copy), g->v->exemplar, g->v->arg,
                             err) != SONDE_OK)
        return bad(g, err, "malformed exemplars");
    return SONDE_OK;
}

static sonde_code load_record(void *arg, sonde_str record,
                              struct wal_position end, struct sonde_err *err)
{
    struct loading *g = arg;
    struct reader r = reader_of(record);

    (void)end;
    if (g->why)
        return bad(g, err, g->why);
    if (g->records++ % ASK_EVERY == 0 && g->v->canceled &&
        g->v->canceled(g->v->arg))
        return sonde_err_set(err, SONDE_ECANCELED, "stopped on request");
    switch (reader_u8(&r)) {
    case SAVED_SERIES:
        return load_series(g, &r, err);
    case SAVED_DELETIONS:
        return load_deletions(g, &r, err);
    case SAVED_EXEMPLARS:
        return load_exemplars(g, record, err);
    default:
        return bad(g, err, "a record of an unknown kind");
    }
}

static void on_damage(void *arg, const struct wal_damage *d)
{
    struct loading *g = arg;

    g->why = d->why;
}

sonde_code head_saved_read(const char *path, const struct saved_visitor *v,
                           struct sonde_err *err)
{
    struct loading g = { .v = v };
    struct wal_replay replay = { .record = load_record,
                                 .damage = on_damage,
                                 .arg = &g };
    sonde_code rc;

    arena_init(&g.arena);
    rc = wal_replay_ahead(path, (struct wal_position){ 0 }, &replay, err);
    if (rc == SONDE_OK && g.why)
        rc = bad(&g, err, g.why);
    arena_fini(&g.arena);
    buf_fini(&g.copy);
    return rc;
}
