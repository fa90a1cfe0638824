/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One walk over the keys with SCAN serves all that needs one: patterns of
 * check_keys and check_streams, count_keys, and groups of keys. It goes on
 * for as long as walk_time and walk_keys allow in a collection, stops at its
 * cursor, and goes on there at the next; what it found is emitted when it is
 * through, so results are of whole walks and never of half of one. Names are
 * matched here; only where a database is walked for a single pattern is the
 * server asked to match, which spares sending the names.
 *
 * The order: databases, in each of them nodes (one, but for a cluster), in
 * each of them batches. Databases that INFO shows as empty are not asked.
 *
 * Groups: the exporter runs a script that holds the server for a batch; here
 * MEMORY USAGE goes out in batches like any other command.
 */
#include <stdlib.h>

#include "pattern.h"
#include "redis.h"

#define GROUP_PATTERNS_MAX 64

struct redis_walk {
    struct lua_pattern *groups[GROUP_PATTERNS_MAX];
    size_t group_count;
    struct redis_group_table *table;
    double *counts; /* by item of count_patterns */
    bool running, with_patterns;
    double began;
    int64_t db;
    size_t node;
    char cursor[24];
    struct redis_kept kept;
    uint64_t seen, kept_keys, left_out, gave_up;
    /* The batch at hand. */
    struct text names, captures;
    struct redis_key *keys;
    size_t count, cap;
};

/* ---- life ---------------------------------------------------------------- */

/* Patterns with commas between; as in CSV, a field may stand in quotes. */
static sonde_code read_groups(struct redis_walk *w, sonde_str text,
                              struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && text.ptr) {
        struct text field = { 0 };
        bool quoted = text.len && text.ptr[0] == '"';
        size_t at = quoted;

        for (; at < text.len && (quoted || text.ptr[at] != ','); at++) {
            if (quoted && text.ptr[at] == '"' &&
                (++at == text.len || text.ptr[at] != '"'))
                break;
            (void)text_add(&field, text.ptr + at, 1);
        }
        if (w->group_count == GROUP_PATTERNS_MAX)
            rc = sonde_err_set(err, SONDE_ELIMIT,
                               "check_key_groups: more than %d patterns",
                               GROUP_PATTERNS_MAX);
        else if (text_trim((sonde_str){ field.ptr, field.len }).len)
            rc = lua_pattern_new(text_trim((sonde_str){ field.ptr, field.len }),
                                 &w->groups[w->group_count++], err);
        text_fini(&field);
        text = at < text.len
                   ? (sonde_str){ text.ptr + at + 1, text.len - at - 1 }
                   : (sonde_str){ 0 };
    }
    return rc;
}

sonde_code walk_new(struct sonde_instance *i, struct redis_walk **out,
                    struct sonde_err *err)
{
    struct redis_walk *w = calloc(1, sizeof(*w));

    *out = w;
    if (!w)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    w->table = groups_new();
    w->counts = calloc(i->count_patterns.count + 1, sizeof(*w->counts));
    if (!w->table || !w->counts)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    if (i->options->check_key_groups.len == 0)
        return SONDE_OK;
    return read_groups(w, i->options->check_key_groups, err);
}

sonde_code walk_check(const struct redis_options *o, struct sonde_err *err)
{
    struct redis_walk *w = calloc(1, sizeof(*w));
    sonde_code rc = !w ? sonde_err_set(err, SONDE_ENOMEM, "out of memory")
                    : o->check_key_groups.len
                        ? read_groups(w, o->check_key_groups, err)
                        : SONDE_OK;

    walk_free(w);
    return rc;
}

static void forget_batch(struct redis_walk *w)
{
    free(w->keys);
    text_fini(&w->names);
    text_fini(&w->captures);
    w->keys = NULL;
    w->count = w->cap = 0;
}

void walk_restart(struct redis_walk *w)
{
    if (!w)
        return;
    kept_fini(&w->kept);
    groups_free(w->table);
    w->table = groups_new();
    forget_batch(w);
    w->running = false;
}

void walk_free(struct redis_walk *w)
{
    if (!w)
        return;
    for (size_t k = 0; k < w->group_count; k++)
        lua_pattern_free(w->groups[k]);
    kept_fini(&w->kept);
    groups_free(w->table);
    forget_batch(w);
    free(w->counts);
    free(w);
}

/* ---- what a database is walked for --------------------------------------- */

/* How many of its patterns are for a database; *one is the last of them. */
static size_t count_in(const struct redis_key_list *l, int64_t db,
                       const struct redis_key_item **one)
{
    size_t n = 0;

    for (size_t k = 0; k < l->count; k++) {
        if (l->items[k].db == db) {
            *one = &l->items[k];
            n++;
        }
    }
    return n;
}

static size_t patterns_of(const struct sonde_instance *i, int64_t db,
                          const struct redis_key_item **one)
{
    if (!i->walk->with_patterns)
        return 0;
    return count_in(&i->key_patterns, db, one) +
           count_in(&i->stream_patterns, db, one) +
           count_in(&i->count_patterns, db, one);
}

static int64_t databases(const struct sonde_instance *i)
{
    const struct redis_key_list *lists[] = { &i->key_patterns,
                                             &i->stream_patterns,
                                             &i->count_patterns };
    int64_t n = i->walk->group_count ? i->database_count : 0;

    if (i->facts.cluster)
        return 1;
    for (size_t k = 0; i->walk->with_patterns && k < 3; k++) {
        for (size_t j = 0; j < lists[k]->count; j++) {
            if (lists[k]->items[j].db >= n)
                n = lists[k]->items[j].db + 1;
        }
    }
    return n < REDIS_DATABASES_MAX ? n : REDIS_DATABASES_MAX;
}

static bool has_keys(const struct sonde_instance *i, int64_t db)
{
    return i->facts.cluster || i->databases[db];
}

static sonde_str label_of(int64_t db, char *buffer, size_t size)
{
    int n = snprintf(buffer, size, "db%lld", (long long)db);

    return (sonde_str){ buffer, (size_t)n };
}

/* ---- a batch ------------------------------------------------------------- */

static sonde_code no_memory(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

static sonde_code ask_batch(struct sonde_instance *i, struct redis_conn *c,
                            sonde_msec deadline, const struct redis_reply **out,
                            struct sonde_err *err)
{
    struct redis_walk *w = i->walk;
    const struct redis_key_item *one = NULL;
    bool match = patterns_of(i, w->db, &one) == 1 && w->group_count == 0,
         selected;
    sonde_str args[6] = { SONDE_STR("SCAN"), sonde_cstr(w->cursor) };
    char batch[24];
    struct redis_reply **r = NULL;
    size_t n = 2;
    sonde_code rc = conn_begin(c, err);

    if (match) {
        args[n++] = SONDE_STR("MATCH");
        args[n++] = (sonde_str){ one->name, one->len };
    }
    (void)snprintf(batch, sizeof(batch), "%lld",
                   (long long)i->options->check_keys_batch_size);
    args[n++] = SONDE_STR("COUNT");
    args[n++] = sonde_cstr(batch);
    if (rc == SONDE_OK)
        rc = conn_select(c, w->db, &selected, err);
    if (rc == SONDE_OK)
        rc = conn_command(c, args, n, err);
    if (rc == SONDE_OK)
        rc = conn_exchange(c, deadline, &r, err);
    if (rc != SONDE_OK)
        return rc;
    if (selected && r[0]->type == REDIS_REPLY_ERROR) {
        c->database = -1;
        return sonde_err_set(err, SONDE_EUNAVAILABLE, "SELECT %lld: %.200s",
                             (long long)w->db, r[0]->str.ptr);
    }
    *out = r[selected];
    if ((*out)->type == REDIS_REPLY_ERROR || (*out)->count != 2 ||
        !reply_is_text((*out)->items[0]) ||
        (*out)->items[0]->str.len >= sizeof(w->cursor)) {
        rc = reply_verdict(*out, err);
        (void)sonde_err_prefix(err, "SCAN");
    }
    return rc;
}

/* Takes the names over: the reply goes with the next round trip. */
static bool take_names(struct redis_walk *w, const struct redis_reply *list)
{
    size_t at = 0;

    w->names.len = 0;
    w->count = 0;
    if (list->count > w->cap) {
        struct redis_key *grown =
            realloc(w->keys, list->count * sizeof(*grown));

        if (!grown)
            return false;
        w->keys = grown;
        w->cap = list->count;
    }
    for (size_t k = 0; k < list->count; k++) {
        if (!reply_is_text(list->items[k]))
            continue;
        if (!text_add(&w->names, list->items[k]->str.ptr,
                      list->items[k]->str.len))
            return false;
        w->keys[w->count++] =
            (struct redis_key){ .name.len = list->items[k]->str.len };
    }
    for (size_t k = 0; k < w->count; k++) {
        w->keys[k].name.ptr = w->names.ptr + at;
        at += w->keys[k].name.len;
    }
    return true;
}

static bool any_matches(const struct redis_key_list *l, int64_t db,
                        sonde_str name)
{
    for (size_t k = 0; k < l->count; k++) {
        if (l->items[k].db == db &&
            glob_matches((sonde_str){ l->items[k].name, l->items[k].len },
                         name))
            return true;
    }
    return false;
}

/* What is wanted of a key, by its name. */
static void classify(struct sonde_instance *i, struct redis_key *key)
{
    struct redis_walk *w = i->walk;
    const struct redis_key_list *counts = &i->count_patterns;

    for (size_t k = 0; k < counts->count; k++) {
        if (counts->items[k].db == w->db &&
            glob_matches(
                (sonde_str){ counts->items[k].name, counts->items[k].len },
                key->name))
            w->counts[k]++;
    }
    key->as_key = any_matches(&i->key_patterns, w->db, key->name) &&
                  !keylist_has(&i->named_keys, w->db, key->name);
    key->as_stream = any_matches(&i->stream_patterns, w->db, key->name) &&
                     !keylist_has(&i->named_streams, w->db, key->name);
    if (!key->as_key && !key->as_stream)
        return;
    if (w->kept_keys >= (uint64_t)i->options->max_walked_keys) {
        w->left_out++;
        key->as_key = key->as_stream = false;
    } else {
        w->kept_keys++;
    }
}

static sonde_code look_at_matches(struct sonde_instance *i,
                                  struct redis_conn *c, sonde_msec deadline,
                                  struct sonde_err *err)
{
    struct redis_walk *w = i->walk;
    char label[32];
    struct redis_key some[REDIS_KEYS_AT_ONCE];
    struct redis_keys k = { .instance = i,
                            .conn = c,
                            .deadline = deadline,
                            .db = w->db,
                            .db_label = label_of(w->db, label, sizeof(label)),
                            .kept = &w->kept };
    sonde_code rc = SONDE_OK;
    size_t at = 0;

    while (rc == SONDE_OK && at < w->count) {
        size_t n = 0;

        for (; at < w->count && n < REDIS_KEYS_AT_ONCE; at++) {
            classify(i, &w->keys[at]);
            if (w->keys[at].as_key || w->keys[at].as_stream)
                some[n++] = w->keys[at];
        }
        if (n == 0)
            break;
        rc = keys_look(&k, some, n, err);
        if (rc == SONDE_OK)
            rc = streams_look(&k, some, n, err);
        if (rc == SONDE_OK && k.denied == n)
            rc = sonde_err_set(err, SONDE_EACCESS, "no key could be read: %s",
                               k.why);
    }
    return rc;
}

/* The group of a key: what its first matching pattern captures. */
static sonde_str group_of(struct redis_walk *w, sonde_str name)
{
    for (size_t k = 0; k < w->group_count; k++) {
        enum lua_match found;

        w->captures.len = 0;
        found = lua_pattern_find(w->groups[k], name, &w->captures);
        if (found == LUA_YES)
            return (sonde_str){ w->captures.ptr, w->captures.len };
        w->gave_up += found == LUA_GAVE_UP;
    }
    return SONDE_STR("unclassified");
}

static sonde_code group_some(struct sonde_instance *i, struct redis_conn *c,
                             const struct redis_key *keys, size_t n,
                             sonde_msec deadline, struct sonde_err *err)
{
    struct redis_reply **r = NULL;
    sonde_code rc = conn_begin(c, err);
    bool memory = !i->no_memory;

    for (size_t k = 0; rc == SONDE_OK && memory && k < n; k++)
        rc = conn_add(c, err, SONDE_STR("MEMORY"), SONDE_STR("USAGE"),
                      keys[k].name);
    if (rc == SONDE_OK && memory)
        rc = conn_exchange(c, deadline, &r, err);
    for (size_t k = 0; rc == SONDE_OK && k < n; k++) {
        double bytes = 0;

        if (memory && r[k]->type == REDIS_REPLY_NIL)
            continue; /* gone meanwhile */
        if (memory && r[k]->type == REDIS_REPLY_ERROR) {
            sonde_code why = reply_verdict(r[k], err);

            i->no_memory = why == SONDE_EUNSUPPORTED;
            if (!i->no_memory)
                return sonde_err_prefix(err, "MEMORY USAGE");
        } else if (memory) {
            bytes = (double)r[k]->integer;
        }
        if (!groups_add(i->walk->table, group_of(i->walk, keys[k].name), bytes))
            rc = no_memory(err);
    }
    return rc;
}

static sonde_code group_batch(struct sonde_instance *i, struct redis_conn *c,
                              sonde_msec deadline, struct sonde_err *err)
{
    struct redis_walk *w = i->walk;
    sonde_code rc = SONDE_OK;

    for (size_t at = 0; rc == SONDE_OK && w->group_count && at < w->count;
         at += REDIS_KEYS_AT_ONCE) {
        size_t n = w->count - at;

        rc = group_some(i, c, w->keys + at,
                        n < REDIS_KEYS_AT_ONCE ? n : REDIS_KEYS_AT_ONCE,
                        deadline, err);
    }
    return rc;
}

/* ---- the walk ------------------------------------------------------------ */

static void begin(struct sonde_instance *i)
{
    struct redis_walk *w = i->walk;

    walk_restart(w);
    memset(w->counts, 0, (i->count_patterns.count + 1) * sizeof(*w->counts));
    w->running = true;
    w->with_patterns = !i->options->skip_checkkeys_for_role_master ||
                       strcmp(i->facts.role_text, "slave") == 0;
    w->began = clock_seconds();
    w->db = 0;
    w->node = 0;
    (void)strcpy(w->cursor, "0");
    w->seen = w->kept_keys = w->left_out = w->gave_up = 0;
}

static bool finish_database(struct sonde_instance *i)
{
    struct redis_walk *w = i->walk;
    char label[32];

    if (w->group_count &&
        !groups_finish(w->table, label_of(w->db, label, sizeof(label)),
                       (size_t)i->options->max_distinct_key_groups, &w->kept))
        return false;
    w->db++;
    w->node = 0;
    return true;
}

/* On to a database that has keys and is wanted; SONDE_OK when there is no
 * further one, SONDE_EAGAIN otherwise. */
static sonde_code seek(struct sonde_instance *i, struct sonde_err *err)
{
    struct redis_walk *w = i->walk;
    const struct redis_key_item *one;

    for (; w->db < databases(i);) {
        if ((w->group_count || patterns_of(i, w->db, &one)) &&
            has_keys(i, w->db))
            return SONDE_EAGAIN;
        if (!finish_database(i))
            return no_memory(err);
    }
    return SONDE_OK;
}

/* One batch; SONDE_OK when all is done, SONDE_EAGAIN when there is more. */
static sonde_code step(struct sonde_instance *i, sonde_msec deadline,
                       struct sonde_err *err)
{
    struct redis_walk *w = i->walk;
    const struct redis_reply *r = NULL;
    struct redis_conn *c;
    size_t nodes = i->nodes.count ? i->nodes.count : 1;
    sonde_code rc = nodes_conn(i, w->node, deadline, &c, err);

    if (rc == SONDE_OK)
        rc = ask_batch(i, c, deadline, &r, err);
    if (rc != SONDE_OK)
        return rc;
    memcpy(w->cursor, r->items[0]->str.ptr, r->items[0]->str.len + 1);
    if (!take_names(w, r->items[1]))
        return no_memory(err);
    w->seen += w->count;
    if (w->with_patterns)
        rc = look_at_matches(i, c, deadline, err);
    if (rc == SONDE_OK)
        rc = group_batch(i, c, deadline, err);
    if (rc != SONDE_OK)
        return rc;
    if (strcmp(w->cursor, "0") != 0 || ++w->node < nodes)
        return SONDE_EAGAIN;
    return finish_database(i) ? seek(i, err) : no_memory(err);
}

static sonde_code go_on(struct sonde_instance *i, sonde_msec deadline,
                        struct sonde_err *err)
{
    struct redis_walk *w = i->walk;
    sonde_msec stop = i->host->monotonic() + i->options->walk_time;
    uint64_t most;
    sonde_code rc;

    if (!w->running)
        begin(i);
    most = w->seen + (uint64_t)i->options->walk_keys;
    rc = seek(i, err);
    if (rc != SONDE_EAGAIN)
        return rc;
    do {
        rc = step(i, deadline, err);
    } while (rc == SONDE_EAGAIN && w->seen < most &&
             i->host->monotonic() < stop);
    return rc;
}

static void emit_results(struct sonde_instance *i)
{
    struct redis_walk *w = i->walk;
    const struct redis_key_list *counts = &i->count_patterns;
    double seconds = clock_seconds() - w->began;
    char label[32];

    kept_emit(&w->kept, &i->emit);
    for (size_t k = 0; w->with_patterns && k < counts->count; k++) {
        sonde_str name = { counts->items[k].name, counts->items[k].len };

        emit_sample(
            &i->emit, F_KEYS_COUNT,
            SONDE_LABELS(label_of(counts->items[k].db, label, sizeof(label)),
                         name),
            w->counts[k]);
    }
    emit_sample(&i->emit, F_WALK_KEYS, NULL, (double)w->seen);
    emit_sample(&i->emit, F_WALK_DURATION, NULL, seconds);
    emit_sample(&i->emit, F_WALK_CAPPED, NULL, (double)w->left_out);
    if (w->group_count)
        i->groups_milliseconds = seconds * 1000;
    if (w->gave_up)
        i->host->log(i->open->target, SONDE_LOG_WARN,
                     "check_key_groups: a pattern took too long on %llu keys; "
                     "they count as unclassified",
                     (unsigned long long)w->gave_up);
}

/* The end of a collection, with a margin for what is left to do. */
static sonde_msec before(const struct sonde_instance *i, sonde_msec deadline)
{
    sonde_msec left = deadline - i->host->monotonic();

    return deadline - (left > 0 ? left / 10 : 0);
}

void walk_collect(struct sonde_instance *i, sonde_msec deadline)
{
    struct sonde_err why = { 0 };
    sonde_code rc;

    if (!i->walk || (SONDE_HAS(struct sonde_host, i->host, due) &&
                     !i->host->due(i->sink, P_KEY_WALK)))
        return;
    part_begin(i, P_KEY_WALK);
    rc = go_on(i, before(i, deadline), &why);
    if (rc == SONDE_OK)
        emit_results(i);
    if (rc != SONDE_EAGAIN)
        walk_restart(i->walk);
    part_end(i, rc, &why);
}
