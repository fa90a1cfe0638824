/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meta.json. Keys that are not ours are passed over when reading, so that
 * later versions' blocks open; numbers that are 0 are left out when writing,
 * as Prometheus does. The text is laid out like theirs: keys in their order,
 * tabs, no final newline.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "block/block.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define META_BYTES_MAX (64u << 20)
#define HINT_LATE      "from-out-of-order"

void block_meta_fini(struct block_meta *m)
{
    free(m->sources);
    free(m->parents);
    for (size_t i = 0; i < m->other_hint_count; i++)
        free(m->other_hints[i]);
    free(m->other_hints);
    *m = (struct block_meta){ 0 };
}

static void *copy_of(const void *p, size_t bytes)
{
    void *copy = NULL;

    if (bytes) {
        copy = mem_alloc(bytes);
        memcpy(copy, p, bytes);
    }
    return copy;
}

void block_meta_copy(struct block_meta *to, const struct block_meta *from)
{
    *to = *from;
    to->sources =
        copy_of(from->sources, from->source_count * sizeof(*to->sources));
    to->parents =
        copy_of(from->parents, from->parent_count * sizeof(*to->parents));
    to->other_hints = copy_of(from->other_hints, from->other_hint_count *
                                                     sizeof(*to->other_hints));
    for (size_t i = 0; i < to->other_hint_count; i++)
        to->other_hints[i] = mem_strdup(sonde_cstr(from->other_hints[i]));
}

/* ---- reading ------------------------------------------------------------ */

static sonde_code bad(struct sonde_err *err, const char *what)
{
    return sonde_err_set(err, SONDE_ECORRUPT, "%s", what);
}

static bool read_ulid(const json_t *v, struct ulid *out)
{
    return json_is_string(v) &&
           ulid_parse(
               (sonde_str){ json_string_value(v), json_string_length(v) }, out);
}

static bool read_time(const json_t *object, const char *key, sonde_msec *out)
{
    const json_t *v = json_object_get(object, key);

    *out = json_integer_value(v);
    return json_is_integer(v);
}

/* Absent is 0; so is what can not be a count. */
static uint64_t read_count(const json_t *object, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(object, key));

    return v > 0 ? (uint64_t)v : 0;
}

static void read_stats(const json_t *s, struct block_stats *out)
{
    *out = (struct block_stats){
        .samples = read_count(s, "numSamples"),
        .float_samples = read_count(s, "numFloatSamples"),
        .histogram_samples = read_count(s, "numHistogramSamples"),
        .series = read_count(s, "numSeries"),
        .chunks = read_count(s, "numChunks"),
        .tombstones = read_count(s, "numTombstones"),
    };
}

static sonde_code read_sources(const json_t *list, struct block_meta *m,
                               struct sonde_err *err)
{
    size_t n = json_array_size(list);

    m->sources = mem_zalloc((n + 1) * sizeof(*m->sources));
    for (size_t i = 0; i < n; i++)
        if (!read_ulid(json_array_get(list, i), &m->sources[m->source_count++]))
            return bad(err, "compaction.sources: not a ULID");
    return SONDE_OK;
}

static sonde_code read_parents(const json_t *list, struct block_meta *m,
                               struct sonde_err *err)
{
    size_t n = json_array_size(list);

    m->parents = mem_zalloc((n + 1) * sizeof(*m->parents));
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        struct block_parent *p = &m->parents[m->parent_count++];

        if (!read_ulid(json_object_get(v, "ulid"), &p->ulid))
            return bad(err, "compaction.parents: not a ULID");
        (void)read_time(v, "minTime", &p->mint);
        (void)read_time(v, "maxTime", &p->maxt);
    }
    return SONDE_OK;
}

static void read_hints(const json_t *list, struct block_meta *m)
{
    size_t n = json_array_size(list);

    m->other_hints = mem_zalloc((n + 1) * sizeof(*m->other_hints));
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        sonde_str hint = { json_string_value(v), json_string_length(v) };

        if (str_eq_cstr(hint, HINT_LATE))
            m->from_out_of_order = true;
        else if (hint.ptr)
            m->other_hints[m->other_hint_count++] = mem_strdup(hint);
    }
}

static sonde_code read_root(const json_t *root, struct block_meta *m,
                            struct sonde_err *err)
{
    const json_t *c = json_object_get(root, "compaction");
    json_int_t version = json_integer_value(json_object_get(root, "version"));
    sonde_code rc;

    if (version != 1)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "version %" JSON_INTEGER_FORMAT ", expected 1",
                             version);
    if (!read_ulid(json_object_get(root, "ulid"), &m->ulid))
        return bad(err, "ulid: not a ULID");
    if (!read_time(root, "minTime", &m->mint) ||
        !read_time(root, "maxTime", &m->maxt) || m->mint > m->maxt)
        return bad(err, "minTime and maxTime: not a range of times");
    read_stats(json_object_get(root, "stats"), &m->stats);
    m->level = (int)json_integer_value(json_object_get(c, "level"));
    m->deletable = json_is_true(json_object_get(c, "deletable"));
    m->failed = json_is_true(json_object_get(c, "failed"));
    read_hints(json_object_get(c, "hints"), m);
    rc = read_sources(json_object_get(c, "sources"), m, err);
    return rc == SONDE_OK ? read_parents(json_object_get(c, "parents"), m, err)
                          : rc;
}

static sonde_code read_text(sonde_str text, struct block_meta *m,
                            struct sonde_err *err)
{
    json_error_t at;
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, 0, &at);
    sonde_code rc;

    if (!root)
        return sonde_err_set(err, SONDE_ECORRUPT, "line %d: %s", at.line,
                             at.text);
    rc = read_root(root, m, err);
    json_decref(root);
    return rc;
}

sonde_code block_meta_read(const char *block_dir, struct block_meta *out,
                           struct sonde_err *err)
{
    struct arena a;
    struct buf text;
    const char *path;
    sonde_code rc;

    *out = (struct block_meta){ 0 };
    arena_init(&a);
    buf_init(&text);
    path = arena_printf(&a, "%s/meta.json", block_dir).ptr;
    rc = fs_read(path, META_BYTES_MAX, &text, err);
    if (rc == SONDE_OK && (rc = read_text(buf_str(&text), out, err)))
        (void)sonde_err_prefix(err, "%s", path);
    if (rc != SONDE_OK)
        block_meta_fini(out);
    buf_fini(&text);
    arena_fini(&a);
    return rc;
}

/* ---- writing ------------------------------------------------------------ */

static void put_indent(struct buf *b, int depth)
{
    buf_char(b, '\n');
    while (depth-- > 0)
        buf_char(b, '\t');
}

/* Begins a member or element: comma, new line, indentation. */
static void put_next(struct buf *b, int depth)
{
    char last = b->data[b->len - 1];

    if (last != '{' && last != '[')
        buf_char(b, ',');
    put_indent(b, depth);
}

static void put_key(struct buf *b, int depth, const char *key)
{
    put_next(b, depth);
    buf_printf(b, "\"%s\": ", key);
}

static void put_int(struct buf *b, int depth, const char *key, int64_t v)
{
    put_key(b, depth, key);
    buf_int(b, v);
}

static void put_count(struct buf *b, const char *key, uint64_t v)
{
    if (v)
        put_int(b, 2, key, (int64_t)v);
}

static void put_flag(struct buf *b, const char *key, bool on)
{
    if (!on)
        return;
    put_key(b, 2, key);
    buf_cstr(b, "true");
}

static void put_ulid(struct buf *b, const struct ulid *u)
{
    buf_printf(b, "\"%s\"", u->text);
}

static void put_end(struct buf *b, int depth, char c)
{
    put_indent(b, depth);
    buf_char(b, c);
}

static void put_text(struct buf *b, const char *text)
{
    json_t *v = json_string(text);
    char *quoted = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;

    buf_cstr(b, quoted ? quoted : "\"\"");
    free(quoted);
    json_decref(v);
}

static void put_hints(struct buf *b, const struct block_meta *m)
{
    if (!m->from_out_of_order && !m->other_hint_count)
        return;
    put_key(b, 2, "hints");
    buf_char(b, '[');
    if (m->from_out_of_order) {
        put_next(b, 3);
        put_text(b, HINT_LATE);
    }
    for (size_t i = 0; i < m->other_hint_count; i++) {
        put_next(b, 3);
        put_text(b, m->other_hints[i]);
    }
    put_end(b, 2, ']');
}

static void put_sources(struct buf *b, const struct block_meta *m)
{
    if (!m->source_count)
        return;
    put_key(b, 2, "sources");
    buf_char(b, '[');
    for (size_t i = 0; i < m->source_count; i++) {
        put_next(b, 3);
        put_ulid(b, &m->sources[i]);
    }
    put_end(b, 2, ']');
}

static void put_parents(struct buf *b, const struct block_meta *m)
{
    if (!m->parent_count)
        return;
    put_key(b, 2, "parents");
    buf_char(b, '[');
    for (size_t i = 0; i < m->parent_count; i++) {
        put_next(b, 3);
        buf_char(b, '{');
        put_key(b, 4, "ulid");
        put_ulid(b, &m->parents[i].ulid);
        put_int(b, 4, "minTime", m->parents[i].mint);
        put_int(b, 4, "maxTime", m->parents[i].maxt);
        put_end(b, 3, '}');
    }
    put_end(b, 2, ']');
}

static void put_stats(struct buf *b, const struct block_stats *s)
{
    put_key(b, 1, "stats");
    buf_char(b, '{');
    put_count(b, "numSamples", s->samples);
    put_count(b, "numFloatSamples", s->float_samples);
    put_count(b, "numHistogramSamples", s->histogram_samples);
    put_count(b, "numSeries", s->series);
    put_count(b, "numChunks", s->chunks);
    put_count(b, "numTombstones", s->tombstones);
    put_end(b, 1, '}');
}

static void put_compaction(struct buf *b, const struct block_meta *m)
{
    put_key(b, 1, "compaction");
    buf_char(b, '{');
    put_int(b, 2, "level", m->level);
    put_sources(b, m);
    put_flag(b, "deletable", m->deletable);
    put_parents(b, m);
    put_flag(b, "failed", m->failed);
    put_hints(b, m);
    put_end(b, 1, '}');
}

sonde_code block_meta_write(const char *block_dir, const struct block_meta *m,
                            struct sonde_err *err)
{
    struct arena a;
    struct buf b;
    sonde_code rc;

    arena_init(&a);
    buf_init(&b);
    buf_char(&b, '{');
    put_key(&b, 1, "ulid");
    put_ulid(&b, &m->ulid);
    put_int(&b, 1, "minTime", m->mint);
    put_int(&b, 1, "maxTime", m->maxt);
    put_stats(&b, &m->stats);
    put_compaction(&b, m);
    put_int(&b, 1, "version", 1);
    put_end(&b, 0, '}');
    rc = fs_write_atomic(arena_printf(&a, "%s/meta.json", block_dir).ptr,
                         buf_str(&b), 0666, err);
    buf_fini(&b);
    arena_fini(&a);
    return rc;
}
