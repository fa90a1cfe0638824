/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes, memory and values of keys. Hundreds of keys take three round trips:
 * type and memory of all of them; then the length by type, and the first
 * bytes of strings; then PFCOUNT of those strings that are a HyperLogLog,
 * which their first bytes tell. No command is tried on a key of the wrong
 * type, so nothing of this shows among the server's errors, and no value is
 * fetched beyond what a label holds.
 *
 * A key that is not there gives nothing.
 */
#include "redis.h"

/* ---- types --------------------------------------------------------------- */

static void take_type(struct redis_keys *k, struct redis_key *key,
                      const struct redis_reply *r)
{
    static const struct {
        const char *type, *command;
    } rows[] = { { "string", "STRLEN" }, { "list", "LLEN" },
                 { "set", "SCARD" },     { "zset", "ZCARD" },
                 { "hash", "HLEN" },     { "stream", "XLEN" },
                 { "array", "ARCOUNT" } };

    key->length_command = NULL;
    key->is_stream = key->is_string = false;
    if (!reply_is_text(r)) {
        if (k->denied++ == 0)
            (void)snprintf(
                k->why, sizeof(k->why), "TYPE %.*s: %.100s",
                (int)(key->name.len < 40 ? key->name.len : 40), key->name.ptr,
                r->type == REDIS_REPLY_ERROR ? r->str.ptr : "not a text");
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (text_is(r->str, rows[i].type))
            key->length_command = rows[i].command;
    }
    key->is_string = text_is(r->str, "string");
    key->is_stream = text_is(r->str, "stream");
}

static bool wants_memory(const struct redis_keys *k,
                         const struct redis_key *key)
{
    return key->as_key && !k->instance->no_memory;
}

static void take_memory(struct redis_keys *k, struct redis_key *key,
                        const struct redis_reply *r)
{
    struct sonde_err why;
    sonde_code rc;

    key->memory = r->type == REDIS_REPLY_INTEGER ? (double)r->integer : -1;
    if (r->type != REDIS_REPLY_ERROR)
        return;
    rc = reply_verdict(r, &why);
    if (rc == SONDE_EACCESS || rc == SONDE_EUNSUPPORTED)
        k->instance->no_memory = true;
}

static sonde_code ask_types(struct redis_keys *k, struct redis_key *keys,
                            size_t n, struct sonde_err *err)
{
    struct redis_conn *c = k->conn;
    bool memory = !k->instance->no_memory, selected;
    struct redis_reply **r = NULL;
    sonde_code rc = conn_begin(c, err);

    if (rc == SONDE_OK)
        rc = conn_select(c, k->db, &selected, err);
    for (size_t i = 0; rc == SONDE_OK && i < n; i++) {
        keys[i].memory = -1;
        rc = conn_add(c, err, SONDE_STR("TYPE"), keys[i].name);
        if (rc == SONDE_OK && wants_memory(k, &keys[i]))
            rc = conn_add(c, err, SONDE_STR("MEMORY"), SONDE_STR("USAGE"),
                          keys[i].name);
    }
    if (rc == SONDE_OK)
        rc = conn_exchange(c, k->deadline, &r, err);
    if (rc != SONDE_OK)
        return rc;
    if (selected && r[0]->type == REDIS_REPLY_ERROR) {
        c->database = -1;
        return sonde_err_set(err, SONDE_EUNAVAILABLE, "SELECT %lld: %.200s",
                             (long long)k->db, r[0]->str.ptr);
    }
    r += selected;
    for (size_t i = 0; i < n; i++) {
        take_type(k, &keys[i], *r++);
        if (keys[i].as_key && memory)
            take_memory(k, &keys[i], *r++);
    }
    return SONDE_OK;
}

/* ---- lengths and values -------------------------------------------------- */

static bool keep(struct redis_keys *k, size_t family, sonde_str key, double v)
{
    return kept_add(k->kept, family, SONDE_LABELS(k->db_label, key), v);
}

/* "HYLL", an encoding, three bytes of nothing. */
static bool is_hyperloglog(const struct redis_reply *r)
{
    return reply_is_text(r) && r->str.len >= 16 &&
           memcmp(r->str.ptr, "HYLL", 4) == 0 &&
           (unsigned char)r->str.ptr[4] <= 1;
}

static bool keep_value(struct redis_keys *k, const struct redis_key *key,
                       const struct redis_reply *value, double length)
{
    double v;

    if (k->instance->options->disable_exporting_key_values ||
        !reply_is_text(value) || value->str.len == 0)
        return true;
    if ((double)value->str.len == length && text_number(value->str, &v))
        return keep(k, F_KEY_VALUE, key->name, v);
    return kept_add(k->kept, F_KEY_VALUE_AS_STRING,
                    SONDE_LABELS(k->db_label, key->name, value->str), 1);
}

static sonde_code no_memory(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

static bool is_asked(const struct redis_key *key)
{
    return key->as_key && key->length_command;
}

static sonde_code add_lengths(struct redis_keys *k, const struct redis_key *key,
                              struct sonde_err *err)
{
    char last[24];
    sonde_code rc =
        conn_add(k->conn, err, sonde_cstr(key->length_command), key->name);

    (void)snprintf(last, sizeof(last), "%d",
                   k->instance->options->disable_exporting_key_values
                       ? 15
                       : REDIS_LABEL_MAX - 1);
    if (rc == SONDE_OK && key->is_string)
        rc = conn_add(k->conn, err, SONDE_STR("GETRANGE"), key->name,
                      SONDE_STR("0"), sonde_cstr(last));
    return rc;
}

/* What is a HyperLogLog keeps is_string for ask_counts, all others lose it. */
static sonde_code ask_lengths(struct redis_keys *k, struct redis_key *keys,
                              size_t n, struct sonde_err *err)
{
    sonde_code rc = conn_begin(k->conn, err);
    struct redis_reply **r = NULL;
    bool ok = true;

    for (size_t i = 0; rc == SONDE_OK && i < n; i++) {
        if (is_asked(&keys[i]))
            rc = add_lengths(k, &keys[i], err);
    }
    if (rc == SONDE_OK && k->conn->waiting == 0)
        return SONDE_OK;
    if (rc == SONDE_OK)
        rc = conn_exchange(k->conn, k->deadline, &r, err);
    for (size_t i = 0; rc == SONDE_OK && i < n; i++) {
        struct redis_key *key = &keys[i];
        const struct redis_reply *length, *value;

        if (!is_asked(key))
            continue;
        length = *r++;
        value = key->is_string ? *r++ : NULL;
        key->is_string = is_hyperloglog(value);
        if (length->type != REDIS_REPLY_INTEGER)
            continue; /* gone meanwhile, or of another type */
        if (key->memory >= 0)
            ok = ok && keep(k, F_KEY_MEMORY, key->name, key->memory);
        if (!key->is_string)
            ok = ok &&
                 keep(k, F_KEY_SIZE, key->name, (double)length->integer) &&
                 keep_value(k, key, value, (double)length->integer);
    }
    return rc == SONDE_OK && !ok ? no_memory(err) : rc;
}

static sonde_code ask_counts(struct redis_keys *k, struct redis_key *keys,
                             size_t n, struct sonde_err *err)
{
    sonde_code rc = conn_begin(k->conn, err);
    struct redis_reply **r = NULL;
    bool ok = true;

    for (size_t i = 0; rc == SONDE_OK && i < n; i++) {
        if (is_asked(&keys[i]) && keys[i].is_string)
            rc = conn_add(k->conn, err, SONDE_STR("PFCOUNT"), keys[i].name);
    }
    if (rc != SONDE_OK || k->conn->waiting == 0)
        return rc;
    rc = conn_exchange(k->conn, k->deadline, &r, err);
    for (size_t i = 0; rc == SONDE_OK && i < n; i++) {
        if (!is_asked(&keys[i]) || !keys[i].is_string)
            continue;
        if ((*r)->type == REDIS_REPLY_INTEGER)
            ok = ok && keep(k, F_KEY_SIZE, keys[i].name, (double)(*r)->integer);
        r++;
    }
    return rc == SONDE_OK && !ok ? no_memory(err) : rc;
}

sonde_code keys_look(struct redis_keys *k, struct redis_key *keys, size_t n,
                     struct sonde_err *err)
{
    sonde_code rc = ask_types(k, keys, n, err);

    if (rc == SONDE_OK)
        rc = ask_lengths(k, keys, n, err);
    if (rc == SONDE_OK)
        rc = ask_counts(k, keys, n, err);
    return rc;
}

/* ---- keys that are named ------------------------------------------------- */

/* The keys of one database and node, from *at on, as many as go at once. */
static size_t gather(const struct sonde_instance *i,
                     const struct redis_key_list *list, bool as_stream,
                     int64_t db, size_t node, size_t *at, struct redis_key *out)
{
    size_t n = 0;

    for (; *at < list->count && n < REDIS_KEYS_AT_ONCE; (*at)++) {
        const struct redis_key_item *item = &list->items[*at];
        sonde_str name = { item->name, item->len };

        if (item->db == db && nodes_of_key(&i->nodes, name) == node)
            out[n++] = (struct redis_key){ .name = name,
                                           .as_key = !as_stream,
                                           .as_stream = as_stream };
    }
    return n;
}

static bool is_first_of_db(const struct redis_key_list *list, size_t at)
{
    for (size_t k = 0; k < at; k++) {
        if (list->items[k].db == list->items[at].db)
            return false;
    }
    return true;
}

static sonde_code look_at_db(struct redis_keys *k,
                             const struct redis_key_list *list, bool as_stream,
                             size_t node, struct sonde_err *err)
{
    struct redis_key keys[REDIS_KEYS_AT_ONCE];
    sonde_code rc = SONDE_OK;
    size_t at = 0, n;

    while (rc == SONDE_OK &&
           (n = gather(k->instance, list, as_stream, k->db, node, &at, keys))) {
        if (!k->conn)
            rc = nodes_conn(k->instance, node, k->deadline, &k->conn, err);
        if (rc == SONDE_OK)
            rc = keys_look(k, keys, n, err);
        if (rc == SONDE_OK && as_stream)
            rc = streams_look(k, keys, n, err);
    }
    return rc;
}

static sonde_code look_at_list(struct redis_keys *k,
                               const struct redis_key_list *list,
                               bool as_stream, struct sonde_err *err)
{
    size_t nodes = k->instance->nodes.count ? k->instance->nodes.count : 1;
    sonde_code rc = SONDE_OK;

    for (size_t at = 0; rc == SONDE_OK && at < list->count; at++) {
        if (!is_first_of_db(list, at))
            continue;
        k->db = list->items[at].db;
        (void)snprintf(k->label, sizeof(k->label), "db%lld", (long long)k->db);
        k->db_label = sonde_cstr(k->label);
        for (size_t node = 0; rc == SONDE_OK && node < nodes; node++) {
            k->conn = NULL;
            rc = look_at_db(k, list, as_stream, node, err);
        }
    }
    return rc;
}

void keys_collect(struct sonde_instance *i, enum redis_part part,
                  sonde_msec deadline)
{
    bool as_stream = part == P_STREAMS;
    const struct redis_key_list *list =
        as_stream ? &i->named_streams : &i->named_keys;
    struct redis_kept kept = { 0 };
    struct redis_keys k = { .instance = i,
                            .deadline = deadline,
                            .kept = &kept };
    struct sonde_err why = { 0 };
    sonde_code rc;

    if (list->count == 0)
        return;
    part_begin(i, part);
    rc = look_at_list(&k, list, as_stream, &why);
    if (rc == SONDE_OK && k.denied == list->count)
        rc = sonde_err_set(&why, SONDE_EACCESS, "no key could be read: %s",
                           k.why);
    if (rc == SONDE_OK)
        kept_emit(&kept, &i->emit);
    kept_fini(&kept);
    part_end(i, rc, &why);
}
