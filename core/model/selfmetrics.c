/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry of the agent's own metrics. Two kinds of source meet in one
 * page: values that rooms keep pointers to and change without a lock, and
 * callbacks for what is only known when asked.
 *
 * A value's memory is never given back before the registry goes: a pointer
 * that a thread still holds stays good after a drop, and the same labels
 * bring the same value back, from zero. What a page shows is first collected
 * (names and texts in an arena), then sorted by family, so that several
 * sources of one family end up under one header.
 *
 * Locks. `values` guards families and their lists; `callbacks` guards the
 * list of callbacks and is held while they run, so that after
 * selfmetrics_uncallback returned nobody is inside. A callback may register
 * values, but no callbacks. Order: callbacks before values.
 */
#include "model/selfmetrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "model/number.h"
#include "util/arena.h"
#include "util/mem.h"
#include "util/str.h"

struct value {
    struct metric metric;
    struct value *next; /* of the family, in order of registration        */
    char *labels;       /* NULL: none                                      */
    bool dropped;
};

struct family {
    struct family *next;
    char *name, *help;
    enum metric_type type;
    bool whole;
    struct value *values;
};

struct callback {
    struct callback *next;
    selfmetrics_fn *fn;
    void *arg;
};

struct selfmetrics {
    pthread_mutex_t values_mutex; /* guards families and all below it      */
    struct family *families;
    pthread_mutex_t callbacks_mutex; /* guards first_callback; held in them */
    struct callback *first_callback;
};

/* Where those without a registry count: unit tests. */
static struct metric nobody_whole = { .whole = true };
static struct metric nobody_real;

struct selfmetrics *selfmetrics_new(void)
{
    struct selfmetrics *m = mem_new(struct selfmetrics);

    (void)pthread_mutex_init(&m->values_mutex, NULL);
    (void)pthread_mutex_init(&m->callbacks_mutex, NULL);
    return m;
}

static void family_free(struct family *f)
{
    while (f->values) {
        struct value *next = f->values->next;

        free(f->values->labels);
        free(f->values);
        f->values = next;
    }
    free(f->name);
    free(f->help);
    free(f);
}

void selfmetrics_free(struct selfmetrics *m)
{
    if (!m)
        return;
    while (m->families) {
        struct family *next = m->families->next;

        family_free(m->families);
        m->families = next;
    }
    while (m->first_callback) {
        struct callback *next = m->first_callback->next;

        free(m->first_callback);
        m->first_callback = next;
    }
    (void)pthread_mutex_destroy(&m->values_mutex);
    (void)pthread_mutex_destroy(&m->callbacks_mutex);
    free(m);
}

/* ---- registering --------------------------------------------------------- */

static struct family *family_find(struct selfmetrics *m, const char *name)
{
    for (struct family *f = m->families; f; f = f->next)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

static struct value *value_find(struct family *f, const char *labels)
{
    for (struct value *v = f->values; v; v = v->next)
        if (strcmp(v->labels ? v->labels : "", labels ? labels : "") == 0)
            return v;
    return NULL;
}

struct family_key {
    const char *name, *help;
    enum metric_type type;
    bool whole;
};

static struct family *family_get(struct selfmetrics *m,
                                 const struct family_key *key)
{
    struct family *f = family_find(m, key->name);

    if (f) {
        if (f->type != key->type || f->whole != key->whole ||
            strcmp(f->help, key->help) != 0)
            SONDE_BUG("metric %s registered twice, as %s \"%s\" and %s \"%s\"",
                      key->name, metric_type_name(f->type), f->help,
                      metric_type_name(key->type), key->help);
        return f;
    }
    f = mem_new(struct family);
    f->name = mem_strdup(sonde_cstr(key->name));
    f->help = mem_strdup(sonde_cstr(key->help));
    f->type = key->type;
    f->whole = key->whole;
    f->next = m->families;
    m->families = f;
    return f;
}

static struct metric *value_get(struct family *f, const char *labels)
{
    struct value *v = value_find(f, labels);
    struct value **last = &f->values;

    if (v) {
        if (v->dropped)
            atomic_store(&v->metric.bits, 0);
        v->dropped = false;
        return &v->metric;
    }
    v = mem_new(struct value);
    v->labels = labels && *labels ? mem_strdup(sonde_cstr(labels)) : NULL;
    v->metric.whole = f->whole;
    while (*last)
        last = &(*last)->next;
    *last = v;
    return &v->metric;
}

static struct metric *get(struct selfmetrics *m, const struct family_key *key,
                          const char *labels)
{
    struct metric *metric;

    if (!m)
        return key->whole ? &nobody_whole : &nobody_real;
    (void)pthread_mutex_lock(&m->values_mutex);
    metric = value_get(family_get(m, key), labels);
    (void)pthread_mutex_unlock(&m->values_mutex);
    return metric;
}

struct metric *selfmetrics_counter(struct selfmetrics *m, const char *name,
                                   const char *help, const char *labels)
{
    return get(m, &(struct family_key){ name, help, METRIC_COUNTER, true },
               labels);
}

struct metric *selfmetrics_gauge(struct selfmetrics *m, const char *name,
                                 const char *help, const char *labels)
{
    return get(m, &(struct family_key){ name, help, METRIC_GAUGE, true },
               labels);
}

struct metric *selfmetrics_real(struct selfmetrics *m, enum metric_type type,
                                const char *name, const char *help,
                                const char *labels)
{
    return get(m, &(struct family_key){ name, help, type, false }, labels);
}

void selfmetrics_drop(struct selfmetrics *m, const char *name,
                      const char *labels)
{
    struct family *f;
    struct value *v;

    if (!m)
        return;
    (void)pthread_mutex_lock(&m->values_mutex);
    f = family_find(m, name);
    v = f ? value_find(f, labels) : NULL;
    if (v)
        v->dropped = true;
    (void)pthread_mutex_unlock(&m->values_mutex);
}

void selfmetrics_callback(struct selfmetrics *m, selfmetrics_fn *fn, void *arg)
{
    struct callback *c, **last;

    if (!m)
        return;
    c = mem_new(struct callback);
    c->fn = fn;
    c->arg = arg;
    (void)pthread_mutex_lock(&m->callbacks_mutex);
    last = &m->first_callback;
    while (*last)
        last = &(*last)->next;
    *last = c;
    (void)pthread_mutex_unlock(&m->callbacks_mutex);
}

void selfmetrics_uncallback(struct selfmetrics *m, selfmetrics_fn *fn,
                            void *arg)
{
    struct callback **at;

    if (!m)
        return;
    (void)pthread_mutex_lock(&m->callbacks_mutex);
    for (at = &m->first_callback; *at; at = &(*at)->next) {
        struct callback *c = *at;

        if (c->fn != fn || c->arg != arg)
            continue;
        *at = c->next;
        free(c);
        break;
    }
    (void)pthread_mutex_unlock(&m->callbacks_mutex);
}

/* ---- the page ------------------------------------------------------------ */

struct line {
    const char *name, *help, *labels;
    const char *suffix; /* a constant of the caller's */
    enum metric_type type;
    size_t order;
    double value;
};

struct selfmetrics_page {
    struct arena arena;
    struct line *lines;
    size_t count, cap;
};

void selfmetrics_emit(struct selfmetrics_page *page, const char *name,
                      enum metric_type type, const char *help,
                      const char *labels, double value)
{
    selfmetrics_emit_part(page, name, "", type, help, labels, value);
}

void selfmetrics_emit_part(struct selfmetrics_page *page, const char *name,
                           const char *suffix, enum metric_type type,
                           const char *help, const char *labels, double value)
{
    struct arena *a = &page->arena;

    page->lines =
        mem_grow(page->lines, &page->cap, page->count + 1, sizeof(struct line));
    page->lines[page->count] = (struct line){
        .name = arena_cstr(a, sonde_cstr(name)),
        .suffix = suffix,
        .help = arena_cstr(a, sonde_cstr(help)),
        .labels = labels && *labels ? arena_cstr(a, sonde_cstr(labels)) : NULL,
        .type = type,
        .order = page->count,
        .value = value,
    };
    page->count++;
}

static void collect_values(struct selfmetrics *m, struct selfmetrics_page *page)
{
    (void)pthread_mutex_lock(&m->values_mutex);
    for (const struct family *f = m->families; f; f = f->next)
        for (const struct value *v = f->values; v; v = v->next)
            if (!v->dropped)
                selfmetrics_emit(page, f->name, f->type, f->help, v->labels,
                                 metric_get(&v->metric));
    (void)pthread_mutex_unlock(&m->values_mutex);
}

static int by_name(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int c = strcmp(x->name, y->name);

    return c ? c : x->order < y->order ? -1 : x->order > y->order;
}

/* Text format 0.0.4 knows fewer types. */
static const char *text_type(enum metric_type t)
{
    switch (t) {
    case METRIC_COUNTER:
    case METRIC_GAUGE:
    case METRIC_HISTOGRAM:
    case METRIC_SUMMARY:
        return metric_type_name(t);
    default:
        return "untyped";
    }
}

static void write_header(struct buf *out, const struct line *l)
{
    if (*l->help) {
        buf_printf(out, "# HELP %s ", l->name);
        for (const char *p = l->help; *p; p++) {
            if (*p == '\\')
                buf_cstr(out, "\\\\");
            else if (*p == '\n')
                buf_cstr(out, "\\n");
            else
                buf_char(out, *p);
        }
        buf_char(out, '\n');
    }
    buf_printf(out, "# TYPE %s %s\n", l->name, text_type(l->type));
}

void selfmetrics_write(struct selfmetrics *m, struct buf *out)
{
    struct selfmetrics_page page = { 0 };

    arena_init(&page.arena);
    (void)pthread_mutex_lock(&m->callbacks_mutex);
    for (struct callback *c = m->first_callback; c; c = c->next)
        c->fn(&page, c->arg);
    (void)pthread_mutex_unlock(&m->callbacks_mutex);
    collect_values(m, &page);
    if (page.count)
        qsort(page.lines, page.count, sizeof(*page.lines), by_name);
    for (size_t i = 0; i < page.count; i++) {
        const struct line *l = &page.lines[i];

        if (i == 0 || strcmp(l->name, l[-1].name) != 0)
            write_header(out, l);
        buf_cstr(out, l->name);
        buf_cstr(out, l->suffix);
        if (l->labels)
            buf_printf(out, "{%s}", l->labels);
        buf_char(out, ' ');
        buf_number(out, l->value, NUMBER_TEXT);
        buf_char(out, '\n');
    }
    free(page.lines);
    arena_fini(&page.arena);
}

/* ---- values -------------------------------------------------------------- */

void metric_add(struct metric *c, uint64_t n)
{
    if (c->whole)
        (void)atomic_fetch_add_explicit(&c->bits, n, memory_order_relaxed);
    else
        metric_add_real(c, (double)n);
}

void metric_set(struct metric *g, int64_t v)
{
    uint64_t bits = g->whole ? (uint64_t)v : double_bits((double)v);

    atomic_store_explicit(&g->bits, bits, memory_order_relaxed);
}

void metric_add_real(struct metric *c, double v)
{
    uint64_t old;

    if (c->whole)
        SONDE_BUG("a fraction added to a whole metric");
    old = atomic_load_explicit(&c->bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        &c->bits, &old, double_bits(bits_double(old) + v), memory_order_relaxed,
        memory_order_relaxed))
        ;
}

void metric_set_real(struct metric *g, double v)
{
    if (g->whole)
        SONDE_BUG("a fraction set in a whole metric");
    atomic_store_explicit(&g->bits, double_bits(v), memory_order_relaxed);
}

double metric_get(const struct metric *c)
{
    uint64_t bits = atomic_load_explicit(&c->bits, memory_order_relaxed);

    return c->whole ? (double)(int64_t)bits : bits_double(bits);
}
