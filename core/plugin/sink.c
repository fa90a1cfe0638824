/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin emits, turned into exposition text 0.0.4.
 *
 * Lines go into one buffer in the order in which they come. The text format
 * wants a family's lines together, but a plugin that walks a reply line by
 * line emits families interleaved; so each run of lines of one family is a
 * chunk, a family chains its chunks, and sink_finish copies family by family,
 * with HELP and TYPE in front. Nothing is buffered per family, and a plugin
 * that emits in order costs one chunk a family.
 *
 * Everything is checked here so that no plugin can bend the pipeline: the
 * family's index and type, label values as UTF-8 and bounded, series given
 * twice (a hash set of the series' text, compared byte by byte on a hit),
 * and the number and size of all. The first error sticks and fails the
 * collection; what was emitted before it is dropped with it, because half a
 * collection looks like targets that lost their series. Inside a part of the
 * collection it fails that part alone (sink_parts.c).
 *
 * Labels stand in the declared order.
 *
 * A sink lives for one collection and belongs to one thread.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "model/number.h"
#include "plugin/sink_int.h"
#include "util/arena.h"
#include "util/mem.h"
#include "util/str.h"

struct sonde_sink *sink_new(const struct plugin *p, struct parts *parts)
{
    struct sonde_sink *s = mem_new(struct sonde_sink);

    s->plugin = p;
    s->parts = parts;
    s->current = SIZE_MAX;
    buf_init(&s->text);
    s->text.limit = PLUGIN_TEXT_BYTES_MAX;
    arena_init(&s->arena);
    s->family_count = p->desc->family_count;
    s->families = mem_grow(NULL, &s->family_cap, s->family_count + 1,
                           sizeof(*s->families));
    for (size_t i = 0; i < s->family_count; i++)
        s->families[i] = (struct sink_family){ .row = plugin_family(p, i) };
    return s;
}

void sink_free(struct sonde_sink *s)
{
    if (!s)
        return;
    buf_fini(&s->text);
    arena_fini(&s->arena);
    free(s->chunks);
    free(s->families);
    free(s->order);
    free(s->set);
    free(s->names);
    free(s);
}

sonde_code sink_fail(struct sonde_sink *s, sonde_code code, const char *fmt,
                     ...)
{
    va_list ap;

    if (sink_code(s) != SONDE_OK)
        return sink_code(s);
    va_start(ap, fmt);
    if (s->part)
        s->part_code = sonde_err_vset(&s->part_err, code, fmt, ap);
    else
        s->code = sonde_err_vset(&s->err, code, fmt, ap);
    va_end(ap);
    return code;
}

/* ---- chunks -------------------------------------------------------------- */

static void chunk_begin(struct sonde_sink *s, size_t family)
{
    struct sink_family *f = &s->families[family];

    if (s->current == family)
        return;
    s->current = family;
    s->chunks = mem_grow(s->chunks, &s->chunk_cap, s->chunk_count + 1,
                         sizeof(*s->chunks));
    s->chunks[s->chunk_count++] = (struct chunk){ .from = s->text.len,
                                                  .to = s->text.len,
                                                  .prev = f->last,
                                                  .family = family,
                                                  .part = s->part };
    if (f->last) {
        s->chunks[f->last - 1].next = s->chunk_count;
    } else {
        f->first = s->chunk_count;
        s->order = mem_grow(s->order, &s->order_cap, s->order_count + 1,
                            sizeof(*s->order));
        s->order[s->order_count++] = family;
    }
    f->last = s->chunk_count;
}

/* ---- series seen --------------------------------------------------------- */

static struct series *set_slot(const struct sonde_sink *s, uint64_t hash,
                               const char *key, size_t len)
{
    size_t i = (size_t)hash & (s->set_cap - 1);

    for (;; i = (i + 1) & (s->set_cap - 1)) {
        struct series *e = &s->set[i];

        if (e->len == 0)
            return e;
        if (e->hash == hash && e->len == len &&
            memcmp(s->text.data + e->from, key, len) == 0)
            return e;
    }
}

static void set_grow(struct sonde_sink *s)
{
    struct series *old = s->set;
    size_t old_cap = s->set_cap;

    s->set_cap = old_cap ? old_cap * 2 : 256;
    s->set = mem_zalloc(s->set_cap * sizeof(*s->set));
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].len)
            *set_slot(s, old[i].hash, s->text.data + old[i].from, old[i].len) =
                old[i];
    }
    free(old);
}

/* The series' text is the last `len` bytes of the buffer. */
static sonde_code set_add(struct sonde_sink *s, size_t from)
{
    size_t len = s->text.len - from;
    const char *key = s->text.data + from;
    uint64_t hash = XXH3_64bits(key, len);
    struct series *slot;

    if ((s->samples + 1) * 4 > s->set_cap * 3)
        set_grow(s);
    slot = set_slot(s, hash, key, len);
    if (slot->len)
        return sink_fail(s, SONDE_EDUPLICATE,
                         "series %.*s was emitted twice in one collection",
                         (int)(len < 300 ? len : 300), key);
    *slot = (struct series){ hash, from, (uint32_t)len };
    s->samples++;
    return SONDE_OK;
}

/* A line's series: all before the value. */
static size_t series_len(sonde_str line)
{
    const char *blank = memrchr(line.ptr, ' ', line.len);

    return blank ? (size_t)(blank - line.ptr) : 0;
}

bool sink_put_again(struct sonde_sink *s, size_t family, sonde_str line)
{
    size_t len = series_len(line);
    uint64_t hash = XXH3_64bits(line.ptr, len);

    if (s->set_cap && set_slot(s, hash, line.ptr, len)->len)
        return false;
    if (s->samples >= PLUGIN_SAMPLES_MAX)
        return false;
    chunk_begin(s, family);
    buf_bytes(&s->text, line.ptr, len);
    if (buf_failed(&s->text) || set_add(s, s->text.len - len) != SONDE_OK)
        return false;
    buf_put(&s->text, str_sub(line, len, line.len));
    buf_char(&s->text, '\n');
    s->chunks[s->chunk_count - 1].to = s->text.len;
    return !buf_failed(&s->text);
}

void sink_note(struct sonde_sink *s, sonde_str line)
{
    size_t len = series_len(line);
    uint64_t hash = XXH3_64bits(line.ptr, len);

    if (s->set_cap && set_slot(s, hash, line.ptr, len)->len)
        return;
    s->current = SIZE_MAX; /* the text belongs to no chunk */
    buf_bytes(&s->text, line.ptr, len);
    if (!buf_failed(&s->text))
        (void)set_add(s, s->text.len - len);
}

/* ---- going back ---------------------------------------------------------- */

static void set_rewind(struct sonde_sink *s, size_t text)
{
    struct series *old = s->set;

    if (!s->set_cap)
        return;
    s->set = mem_zalloc(s->set_cap * sizeof(*s->set));
    for (size_t i = 0; i < s->set_cap; i++) {
        if (old[i].len && old[i].from < text)
            *set_slot(s, old[i].hash, s->text.data + old[i].from, old[i].len) =
                old[i];
    }
    free(old);
}

void sink_rewind(struct sonde_sink *s, const struct sink_mark *mark)
{
    if (s->text.len > mark->text)
        set_rewind(s, mark->text);
    while (s->chunk_count > mark->chunks) {
        const struct chunk *c = &s->chunks[--s->chunk_count];
        struct sink_family *f = &s->families[c->family];

        f->last = c->prev;
        if (c->prev)
            s->chunks[c->prev - 1].next = 0;
        else
            f->first = 0;
    }
    s->order_count = mark->order;
    s->samples = mark->samples;
    s->text.len = mark->text;
    s->text.failed = false;
    s->current = SIZE_MAX;
}

/* ---- lines --------------------------------------------------------------- */

static void put_value(struct buf *b, sonde_str v)
{
    size_t from = 0;

    for (size_t i = 0; i < v.len; i++) {
        char c = v.ptr[i];

        if (c != '\\' && c != '"' && c != '\n')
            continue;
        buf_bytes(b, v.ptr + from, i - from);
        buf_char(b, '\\');
        buf_char(b, c == '\n' ? 'n' : c);
        from = i + 1;
    }
    if (v.len > from)
        buf_bytes(b, v.ptr + from, v.len - from);
}

static void put_label(struct buf *b, bool *any, const char *name)
{
    buf_char(b, *any ? ',' : '{');
    *any = true;
    buf_cstr(b, name);
    buf_cstr(b, "=\"");
}

static sonde_code check_value(struct sonde_sink *s, const struct line *l,
                              size_t i)
{
    sonde_str v = l->labels[i];

    if (v.len > PLUGIN_LABEL_BYTES_MAX)
        return sink_fail(s, SONDE_ELIMIT,
                         "%s: the value of label %s has %zu bytes, at most %d "
                         "are taken",
                         l->names->name, l->names->labels[i], v.len,
                         PLUGIN_LABEL_BYTES_MAX);
    if (!str_is_utf8(v))
        return sink_fail(s, SONDE_EINVAL,
                         "%s: the value of label %s is not valid UTF-8",
                         l->names->name, l->names->labels[i]);
    return SONDE_OK;
}

static sonde_code put_labels(struct sonde_sink *s, const struct line *l)
{
    struct buf *b = &s->text;
    bool any = false;

    for (size_t i = 0; i < SONDE_LABELS_MAX && l->names->labels[i]; i++) {
        const char *name = l->names->labels[i];

        if (l->labels[i].len == 0 || (l->skip && strcmp(name, l->skip) == 0))
            continue;
        if (check_value(s, l, i) != SONDE_OK)
            return sink_code(s);
        put_label(b, &any, name);
        put_value(b, l->labels[i]);
        buf_char(b, '"');
    }
    if (l->le) {
        put_label(b, &any, "le");
        buf_number(b, *l->le, NUMBER_TEXT);
        buf_char(b, '"');
    }
    if (any)
        buf_char(b, '}');
    return SONDE_OK;
}

sonde_code sink_put_line(struct sonde_sink *s, const struct line *l)
{
    size_t from;

    if (sink_code(s) != SONDE_OK)
        return sink_code(s);
    if (s->samples >= PLUGIN_SAMPLES_MAX)
        return sink_fail(s, SONDE_ELIMIT,
                         "more than %d samples in one collection",
                         PLUGIN_SAMPLES_MAX);
    if (l->names->labels[0] && !l->labels)
        return sink_fail(s, SONDE_EINVAL,
                         "%s declares labels but was emitted without",
                         l->names->name);
    chunk_begin(s, l->family);
    from = s->text.len;
    buf_cstr(&s->text, l->names->name);
    buf_cstr(&s->text, l->suffix);
    if (put_labels(s, l) != SONDE_OK)
        return sink_code(s);
    if (!buf_failed(&s->text) && set_add(s, from) != SONDE_OK)
        return sink_code(s);
    buf_char(&s->text, ' ');
    buf_number(&s->text, l->value, NUMBER_TEXT);
    buf_char(&s->text, '\n');
    if (buf_failed(&s->text))
        return sink_fail(s, SONDE_ELIMIT,
                         "more than %zu bytes of samples in one collection",
                         PLUGIN_TEXT_BYTES_MAX);
    s->chunks[s->chunk_count - 1].to = s->text.len;
    return SONDE_OK;
}

/* ---- declared families --------------------------------------------------- */

static const struct sonde_family *declared(struct sonde_sink *s, size_t i)
{
    const struct sonde_family *row = plugin_family(s->plugin, i);

    if (!row)
        (void)sink_fail(s, SONDE_EINVAL,
                        "family %zu was emitted, the plugin declares %zu", i,
                        s->plugin->desc->family_count);
    return sink_code(s) == SONDE_OK ? row : NULL;
}

sonde_code sink_sample(struct sonde_sink *s, size_t family,
                       const sonde_str *labels, double value)
{
    const struct sonde_family *row = declared(s, family);

    if (!row)
        return sink_code(s);
    if (row->type == SONDE_METRIC_HISTOGRAM)
        return sink_fail(s, SONDE_EINVAL,
                         "%s is a histogram: emit it with `histogram`",
                         row->name);
    return sink_put_line(s, &(struct line){ .family = family,
                                            .suffix = "",
                                            .labels = labels,
                                            .names = row,
                                            .value = value });
}

sonde_code sink_put_histogram(struct sonde_sink *s, struct line l,
                              const struct sonde_bucket *b, size_t n,
                              uint64_t count, double sum)
{
    const double inf = INFINITY;

    if (n > PLUGIN_BUCKETS_MAX)
        return sink_fail(s, SONDE_ELIMIT,
                         "%s: %zu buckets, at most %d are "
                         "taken",
                         l.names->name, n, PLUGIN_BUCKETS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (isnan(b[i].upper) || b[i].count > count ||
            (i > 0 &&
             (b[i].upper <= b[i - 1].upper || b[i].count < b[i - 1].count)))
            return sink_fail(s, SONDE_EINVAL,
                             "%s: bucket %zu is out of order: bounds must "
                             "rise, counts must not fall nor pass the total",
                             l.names->name, i);
    }
    l.suffix = "_bucket";
    for (size_t i = 0; i < n && !isinf(b[i].upper); i++) {
        l.le = &b[i].upper;
        l.value = (double)b[i].count;
        (void)sink_put_line(s, &l);
    }
    l.le = &inf;
    l.value = (double)count;
    (void)sink_put_line(s, &l);
    l.le = NULL;
    return sink_put_summary(s, l, count, sum);
}

sonde_code sink_put_summary(struct sonde_sink *s, struct line l, uint64_t count,
                            double sum)
{
    l.suffix = "_sum";
    l.value = sum;
    (void)sink_put_line(s, &l);
    l.suffix = "_count";
    l.value = (double)count;
    return sink_put_line(s, &l);
}

sonde_code sink_histogram(struct sonde_sink *s, size_t family,
                          const sonde_str *labels,
                          const struct sonde_bucket *buckets, size_t n,
                          uint64_t count, double sum)
{
    const struct sonde_family *row = declared(s, family);
    struct line l = { .family = family, .labels = labels, .names = row };

    if (!row)
        return sink_code(s);
    if (row->type != SONDE_METRIC_HISTOGRAM)
        return sink_fail(s, SONDE_EINVAL, "%s is not a histogram", row->name);
    return sink_put_histogram(s, l, buckets, n, count, sum);
}

sonde_code sink_summary(struct sonde_sink *s, size_t family,
                        const sonde_str *labels, uint64_t count, double sum)
{
    const struct sonde_family *row = declared(s, family);
    struct line l = {
        .family = family, .labels = labels, .names = row, .skip = "quantile"
    };

    if (!row)
        return sink_code(s);
    if (row->type != SONDE_METRIC_SUMMARY)
        return sink_fail(s, SONDE_EINVAL, "%s is not a summary", row->name);
    return sink_put_summary(s, l, count, sum);
}

/* ---- the page ------------------------------------------------------------ */

static const char *type_name(enum sonde_metric_type type)
{
    switch (type) {
    case SONDE_METRIC_COUNTER:
        return "counter";
    case SONDE_METRIC_GAUGE:
    case SONDE_METRIC_INFO: /* format 0.0.4 has neither of these two */
    case SONDE_METRIC_STATESET:
        return "gauge";
    case SONDE_METRIC_HISTOGRAM:
        return "histogram";
    case SONDE_METRIC_SUMMARY:
        return "summary";
    case SONDE_METRIC_UNKNOWN:
        break;
    }
    return "untyped";
}

static void put_head(struct buf *out, const struct sonde_family *row)
{
    if (row->help && *row->help) {
        buf_printf(out, "# HELP %s ", row->name);
        for (const char *p = row->help; *p; p++) {
            if (*p == '\\' || *p == '\n')
                buf_char(out, '\\');
            buf_char(out, *p == '\n' ? 'n' : *p);
        }
        buf_char(out, '\n');
    }
    buf_printf(out, "# TYPE %s %s\n", row->name, type_name(row->type));
}

sonde_code sink_finish(struct sonde_sink *s, struct buf *out,
                       struct sonde_err *err)
{
    if (s->code != SONDE_OK)
        return sonde_err_set(err, s->code, "%s", s->err.text);
    for (size_t i = 0; i < s->order_count; i++) {
        const struct sink_family *f = &s->families[s->order[i]];

        put_head(out, f->row);
        for (size_t c = f->first; c; c = s->chunks[c - 1].next)
            buf_bytes(out, s->text.data + s->chunks[c - 1].from,
                      s->chunks[c - 1].to - s->chunks[c - 1].from);
    }
    if (buf_failed(out))
        return sonde_err_set(err, SONDE_ELIMIT,
                             "the collection's text is longer than %zu bytes",
                             out->limit);
    return SONDE_OK;
}
