/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in memory that keeps everything and looks at every series, so that
 * the rooms above can be tested without files, and so that what a store owes
 * its callers is written down in the shortest code that gives it. It judges
 * samples as the real one does, except by the clock, which it has not:
 * nothing is too old or too far ahead.
 *
 * Series are numbered from 1 in order of creation and stay until the store
 * goes. Series made in a transaction that is rolled back stay as well, as in
 * the real store. One mutex guards all of it, appenders' own buffers apart;
 * a series' labels never change, so they are read without it.
 */
#include <stdlib.h>

#include "storage/fake_int.h"
#include "util/mem.h"
#include "util/str.h"

/* A sample of a transaction; `h` is the appender's. */
struct fake_item {
    struct storage_sample sample;
    const struct histogram *h; /* NULL: a float                            */
};

struct fake_ref_exemplar {
    series_ref ref;
    struct exemplar exemplar;
};

struct fake_appender {
    struct appender appender;
    struct fake *store;
    struct arena arena;      /* of the transaction                         */
    struct fake_item *items; /* of the transaction                         */
    size_t count, cap;
    struct fake_ref_exemplar *exemplars;
    size_t exemplar_count, exemplar_cap;
};

/* ---- series: under the mutex --------------------------------------------- */

static size_t cell_of(const struct fake *f, const struct labels *l,
                      uint64_t hash)
{
    size_t mask = f->table_size - 1, i = (size_t)hash & mask;

    for (; f->table[i]; i = (i + 1) & mask) {
        const struct fake_series *s = f->series[f->table[i] - 1];

        if (s->hash == hash && labels_eq(&s->labels, l))
            break;
    }
    return i;
}

static void table_grow(struct fake *f)
{
    free(f->table);
    f->table_size = f->table_size ? f->table_size * 2 : 64;
    f->table = mem_zalloc(f->table_size * sizeof(*f->table));
    for (size_t i = 0; i < f->count; i++) {
        const struct fake_series *s = f->series[i];

        f->table[cell_of(f, &s->labels, s->hash)] = (uint32_t)i + 1;
    }
}

static series_ref series_get(struct fake *f, const struct labels *l)
{
    uint64_t hash = labels_hash(l);
    struct fake_series *s;
    size_t cell;

    if (f->count * 2 >= f->table_size)
        table_grow(f);
    cell = cell_of(f, l, hash);
    if (f->table[cell])
        return f->table[cell];
    s = mem_new(struct fake_series);
    s->labels = labels_dup(&f->arena, l);
    s->hash = hash;
    f->series = mem_grow(f->series, &f->cap, f->count + 1, sizeof(*f->series));
    f->series[f->count++] = s;
    f->table[cell] = (uint32_t)f->count;
    return f->count;
}

static struct fake_series *series_of(const struct fake *f, series_ref ref)
{
    return ref >= 1 && ref <= f->count ? f->series[ref - 1] : NULL;
}

static sonde_code labels_check(const struct labels *l, struct sonde_err *err)
{
    bool named = labels_get(l, SONDE_STR(LABEL_NAME)).len > 0;

    for (size_t i = 0; i < l->count; i++) {
        const struct label *x = &l->items[i];

        if (x->name.len == 0 || x->value.len == 0)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "label %zu: expected a name and a value", i);
        if (i && str_cmp(l->items[i - 1].name, x->name) >= 0)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "label name \"%.*s\" is not unique or not in "
                                 "order: invalid sample",
                                 SONDE_ARG(x->name));
    }
    if (!named)
        return sonde_err_set(err, SONDE_EINVAL,
                             "missing metric name (%s label)", LABEL_NAME);
    return SONDE_OK;
}

/* ---- appending ----------------------------------------------------------- */

static struct fake_appender *appender_of(struct appender *a)
{
    return (struct fake_appender *)a;
}

static sonde_code append_series(struct appender *a, const struct labels *labels,
                                series_ref *out, struct sonde_err *err)
{
    struct fake *f = appender_of(a)->store;
    sonde_code rc = labels_check(labels, err);

    if (rc != SONDE_OK)
        return rc;
    (void)pthread_mutex_lock(&f->mutex);
    *out = series_get(f, labels);
    (void)pthread_mutex_unlock(&f->mutex);
    return SONDE_OK;
}

static bool append_known(struct appender *a, series_ref ref)
{
    struct fake *f = appender_of(a)->store;
    bool known;

    (void)pthread_mutex_lock(&f->mutex);
    known = series_of(f, ref) != NULL;
    (void)pthread_mutex_unlock(&f->mutex);
    return known;
}

static void item_add(struct fake_appender *a, const struct fake_item *item)
{
    a->items = mem_grow(a->items, &a->cap, a->count + 1, sizeof(*a->items));
    a->items[a->count++] = *item;
}

static void append_samples(struct appender *a,
                           const struct storage_sample *samples, size_t n)
{
    for (size_t i = 0; i < n; i++)
        item_add(appender_of(a), &(struct fake_item){ samples[i], NULL });
}

static void append_histogram(struct appender *a, series_ref ref, sonde_msec t,
                             const struct histogram *h)
{
    struct fake_appender *fa = appender_of(a);
    struct fake_item item = { { ref, t, h->sum },
                              histogram_dup(&fa->arena, h) };

    item_add(fa, &item);
}

static struct exemplar exemplar_dup(struct arena *a, const struct exemplar *e)
{
    return (struct exemplar){ labels_dup(a, &e->labels), e->t, e->v };
}

static void append_exemplar(struct appender *a, series_ref ref,
                            const struct exemplar *e)
{
    struct fake_appender *fa = appender_of(a);

    fa->exemplars = mem_grow(fa->exemplars, &fa->exemplar_cap,
                             fa->exemplar_count + 1, sizeof(*fa->exemplars));
    fa->exemplars[fa->exemplar_count++] =
        (struct fake_ref_exemplar){ ref, exemplar_dup(&fa->arena, e) };
}

static void append_metadata(struct appender *a, series_ref ref,
                            const struct metadata *m)
{
    struct fake *f = appender_of(a)->store;
    struct fake_series *s;

    (void)pthread_mutex_lock(&f->mutex);
    s = series_of(f, ref);
    if (s)
        s->metadata = (struct metadata){
            .family = arena_str(&f->arena, m->family),
            .type = m->type,
            .unit = arena_str(&f->arena, m->unit),
            .help = arena_str(&f->arena, m->help),
        };
    (void)pthread_mutex_unlock(&f->mutex);
}

/* Of a sample at the time of the series' last one. */
static bool same_as_last(const struct fake_series *s, const struct fake_item *x)
{
    const struct columns *c = &s->samples;
    const struct histogram *last = c->h ? c->h[c->count - 1] : NULL;

    if (!x->h || !last)
        return !x->h && !last &&
               double_bits(x->sample.v) == double_bits(c->v[c->count - 1]);
    return histogram_same(x->h, last);
}

static void series_push(struct fake_series *s, const struct fake_item *x)
{
    struct columns *c = &s->samples;

    if (x->h)
        columns_push_histogram(c, x->sample.t,
                               histogram_dup(columns_arena(c), x->h));
    else
        columns_push(c, x->sample.t, x->sample.v);
}

static void judge(struct fake *f, const struct fake_item *x,
                  struct append_stats *stats)
{
    struct fake_series *s = series_of(f, x->sample.ref);
    size_t n = s ? s->samples.count : 0;
    enum append_verdict v = APPEND_TAKEN;

    if (!s)
        v = APPEND_UNKNOWN_SERIES;
    else if (n && x->sample.t < s->samples.t[n - 1])
        v = APPEND_OUT_OF_ORDER;
    else if (n && x->sample.t == s->samples.t[n - 1])
        v = same_as_last(s, x) ? APPEND_DUPLICATE_SAME : APPEND_DUPLICATE_OTHER;
    else
        series_push(s, x);
    stats->histograms += v == APPEND_TAKEN && x->h;
    append_stats_judged(stats, x->sample.ref, x->sample.t, v);
}

/* One of a time before the newest is refused. */
static void take_exemplar(struct fake *f, const struct fake_ref_exemplar *x,
                          struct append_stats *stats)
{
    struct fake_series *s = series_of(f, x->ref);
    size_t n = s ? s->exemplar_count : 0;

    if (!s || (n && x->exemplar.t < s->exemplars[n - 1].t)) {
        stats->exemplars_refused++;
        return;
    }
    s->exemplars =
        mem_grow(s->exemplars, &s->exemplar_cap, n + 1, sizeof(*s->exemplars));
    s->exemplars[s->exemplar_count++] = exemplar_dup(&f->arena, &x->exemplar);
    stats->exemplars++;
}

static void append_rollback(struct appender *a)
{
    struct fake_appender *fa = appender_of(a);

    fa->count = fa->exemplar_count = 0;
    arena_reset(&fa->arena);
}

static sonde_code append_commit(struct appender *a, struct append_stats *stats,
                                struct sonde_err *err)
{
    struct fake_appender *fa = appender_of(a);
    struct append_stats mine = { 0 };

    (void)err;
    (void)pthread_mutex_lock(&fa->store->mutex);
    for (size_t i = 0; i < fa->count; i++)
        judge(fa->store, &fa->items[i], &mine);
    for (size_t i = 0; i < fa->exemplar_count; i++)
        take_exemplar(fa->store, &fa->exemplars[i], &mine);
    (void)pthread_mutex_unlock(&fa->store->mutex);
    append_rollback(a);
    if (stats)
        *stats = mine;
    return SONDE_OK;
}

static void append_free(struct appender *a)
{
    struct fake_appender *fa = appender_of(a);

    arena_fini(&fa->arena);
    free(fa->items);
    free(fa->exemplars);
    free(fa);
}

static const struct appender_ops appender_ops = {
    .series = append_series,
    .known = append_known,
    .append = append_samples,
    .histogram = append_histogram,
    .exemplar = append_exemplar,
    .metadata = append_metadata,
    .commit = append_commit,
    .rollback = append_rollback,
    .free = append_free,
};

static struct appender *fake_appender(struct storage *s)
{
    struct fake_appender *a = mem_new(struct fake_appender);

    a->appender.ops = &appender_ops;
    a->store = (struct fake *)s;
    arena_init(&a->arena);
    return &a->appender;
}

/* ---- the store ----------------------------------------------------------- */

static bool fake_labels(struct storage *s, series_ref ref, struct arena *arena,
                        struct labels *out)
{
    struct fake *f = (struct fake *)s;
    const struct fake_series *series;

    (void)pthread_mutex_lock(&f->mutex);
    series = series_of(f, ref);
    (void)pthread_mutex_unlock(&f->mutex);
    if (!series)
        return false;
    *out = labels_dup(arena, &series->labels);
    return true;
}

void storage_fake_warn(struct storage *s, const char *text)
{
    ((struct fake *)s)->warning = text;
}

bool storage_fake_metadata(struct storage *s, series_ref ref,
                           struct metadata *out)
{
    struct fake *f = (struct fake *)s;
    const struct fake_series *series;

    (void)pthread_mutex_lock(&f->mutex);
    series = series_of(f, ref);
    *out = series ? series->metadata : (struct metadata){ 0 };
    (void)pthread_mutex_unlock(&f->mutex);
    return out->family.len > 0;
}

static const struct storage_ops storage_ops = {
    .appender = fake_appender,
    .querier = fake_querier,
    .labels = fake_labels,
    .exemplars = fake_exemplars,
};

struct storage *storage_fake_new(void)
{
    struct fake *f = mem_new(struct fake);

    f->storage.ops = &storage_ops;
    (void)pthread_mutex_init(&f->mutex, NULL);
    arena_init(&f->arena);
    return &f->storage;
}

void storage_fake_free(struct storage *s)
{
    struct fake *f = (struct fake *)s;

    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++) {
        columns_fini(&f->series[i]->samples);
        free(f->series[i]->exemplars);
        free(f->series[i]);
    }
    free(f->series);
    free(f->table);
    arena_fini(&f->arena);
    (void)pthread_mutex_destroy(&f->mutex);
    free(f);
}
