/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What XINFO says of streams: STREAM and GROUPS of all in one round trip, then
 * CONSUMERS of all their groups in another. An id counts by its milliseconds;
 * what a server is too old to say is 0.
 */
#include <stdlib.h>

#include "redis.h"

#define GROUPS_MAX 4096 /* of a round's streams, whose consumers are asked */

static double number(const struct redis_reply *r, const char *field)
{
    double v = 0;

    return reply_number(reply_field(r, field), &v) ? v : 0;
}

/* "1700000000000-3" */
static double milliseconds(const struct redis_reply *id)
{
    sonde_str text = { 0 }, part;
    double v = 0;

    if (reply_is_text(id))
        text = id->str;
    (void)text_split(&text, '-', &part);
    return text.ptr && text_number(part, &v) ? v : 0;
}

/* The id of an entry: [id, [field, value...]]. */
static double entry(const struct redis_reply *r, const char *field)
{
    const struct redis_reply *e = reply_field(r, field);

    return e && e->count ? milliseconds(e->items[0]) : 0;
}

static bool keep_stream(struct redis_keys *k, sonde_str name,
                        const struct redis_reply *r)
{
    const struct {
        size_t family;
        double value;
    } rows[] = {
        { F_STREAM_LENGTH, number(r, "length") },
        { F_STREAM_TREE_KEYS, number(r, "radix-tree-keys") },
        { F_STREAM_TREE_NODES, number(r, "radix-tree-nodes") },
        { F_STREAM_LAST_ID, milliseconds(reply_field(r, "last-generated-id")) },
        { F_STREAM_GROUPS, number(r, "groups") },
        { F_STREAM_MAX_DELETED,
          milliseconds(reply_field(r, "max-deleted-entry-id")) },
        { F_STREAM_FIRST, entry(r, "first-entry") },
        { F_STREAM_LAST, entry(r, "last-entry") },
        { F_STREAM_ADDED, number(r, "entries-added") },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!kept_add(k->kept, rows[i].family, SONDE_LABELS(k->db_label, name),
                      rows[i].value))
            return false;
    }
    return true;
}

static bool keep_group(struct redis_keys *k, sonde_str stream,
                       const struct redis_reply *r)
{
    const struct redis_reply *name = reply_field(r, "name");
    const struct {
        size_t family;
        double value;
    } rows[] = {
        { F_GROUP_CONSUMERS, number(r, "consumers") },
        { F_GROUP_PENDING, number(r, "pending") },
        { F_GROUP_LAST_ID, milliseconds(reply_field(r, "last-delivered-id")) },
        { F_GROUP_READ, number(r, "entries-read") },
        { F_GROUP_LAG, number(r, "lag") },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!kept_add(k->kept, rows[i].family,
                      SONDE_LABELS(k->db_label, stream, name->str),
                      rows[i].value))
            return false;
    }
    return true;
}

static bool keep_consumer(struct redis_keys *k, sonde_str stream,
                          sonde_str group, const struct redis_reply *r)
{
    const struct redis_reply *name = reply_field(r, "name");

    return !reply_is_text(name) ||
           (kept_add(k->kept, F_CONSUMER_PENDING,
                     SONDE_LABELS(k->db_label, stream, group, name->str),
                     number(r, "pending")) &&
            kept_add(k->kept, F_CONSUMER_IDLE,
                     SONDE_LABELS(k->db_label, stream, group, name->str),
                     number(r, "idle") / 1000));
}

/* ---- consumers ----------------------------------------------------------- */

/* Groups whose consumers are to be asked; names stand in a text of our own,
 * since the replies are gone by then. */
struct group_list {
    struct {
        sonde_str stream;
        size_t at, len;
    } * rows;
    size_t count;
    struct text names;
};

static bool note_group(struct group_list *g, sonde_str stream, sonde_str name)
{
    if (g->count == GROUPS_MAX)
        return true;
    if (!g->rows)
        g->rows = calloc(GROUPS_MAX, sizeof(*g->rows));
    if (!g->rows)
        return false;
    g->rows[g->count].stream = stream;
    g->rows[g->count].at = g->names.len;
    g->rows[g->count].len = name.len;
    g->count++;
    return text_add(&g->names, name.ptr, name.len);
}

static sonde_str group_name(const struct group_list *g, size_t i)
{
    return (sonde_str){ g->names.ptr + g->rows[i].at, g->rows[i].len };
}

static sonde_code ask_consumers(struct redis_keys *k,
                                const struct group_list *g,
                                struct sonde_err *err)
{
    struct redis_reply **r = NULL;
    bool ok = true;
    sonde_code rc;

    if (g->count == 0)
        return SONDE_OK;
    rc = conn_begin(k->conn, err);
    for (size_t i = 0; rc == SONDE_OK && i < g->count; i++)
        rc = conn_add(k->conn, err, SONDE_STR("XINFO"), SONDE_STR("CONSUMERS"),
                      g->rows[i].stream, group_name(g, i));
    if (rc == SONDE_OK)
        rc = conn_exchange(k->conn, k->deadline, &r, err);
    for (size_t i = 0; rc == SONDE_OK && i < g->count; i++) {
        for (size_t j = 0; ok && j < r[i]->count; j++)
            ok = keep_consumer(k, g->rows[i].stream, group_name(g, i),
                               r[i]->items[j]);
    }
    return rc == SONDE_OK && !ok
               ? sonde_err_set(err, SONDE_ENOMEM, "out of memory")
               : rc;
}

/* ---- streams and groups -------------------------------------------------- */

static bool is_asked(const struct redis_key *key)
{
    return key->as_stream && key->is_stream;
}

static bool take_groups(struct redis_keys *k, sonde_str stream,
                        const struct redis_reply *r, struct group_list *g)
{
    for (size_t j = 0; j < r->count; j++) {
        const struct redis_reply *name = reply_field(r->items[j], "name");

        if (!reply_is_text(name))
            continue;
        if (!keep_group(k, stream, r->items[j]) ||
            (!k->instance->options->streams_exclude_consumer_metrics &&
             !note_group(g, stream, name->str)))
            return false;
    }
    return true;
}

static void note_refusal(struct redis_keys *k, const struct redis_reply *r)
{
    if (r->type == REDIS_REPLY_ERROR && k->denied++ == 0)
        (void)snprintf(k->why, sizeof(k->why), "XINFO STREAM: %.120s",
                       r->str.ptr);
}

sonde_code streams_look(struct redis_keys *k, const struct redis_key *keys,
                        size_t n, struct sonde_err *err)
{
    struct group_list groups = { 0 };
    struct redis_reply **r = NULL;
    sonde_code rc = conn_begin(k->conn, err);
    bool ok = true;

    for (size_t i = 0; rc == SONDE_OK && i < n; i++) {
        if (!is_asked(&keys[i]))
            continue;
        rc = conn_add(k->conn, err, SONDE_STR("XINFO"), SONDE_STR("STREAM"),
                      keys[i].name);
        if (rc == SONDE_OK)
            rc = conn_add(k->conn, err, SONDE_STR("XINFO"), SONDE_STR("GROUPS"),
                          keys[i].name);
    }
    if (rc != SONDE_OK || k->conn->waiting == 0)
        return rc;
    rc = conn_exchange(k->conn, k->deadline, &r, err);
    for (size_t i = 0; rc == SONDE_OK && i < n; i++) {
        if (!is_asked(&keys[i]))
            continue;
        note_refusal(k, r[0]);
        if (r[0]->type == REDIS_REPLY_ARRAY)
            ok = ok && keep_stream(k, keys[i].name, r[0]) &&
                 take_groups(k, keys[i].name, r[1], &groups);
        r += 2;
    }
    if (rc == SONDE_OK && !ok)
        rc = sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    if (rc == SONDE_OK)
        rc = ask_consumers(k, &groups, err);
    free(groups.rows);
    text_fini(&groups.names);
    return rc;
}
