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
#include <pthread.h>
#include <stdlib.h>

#include "storage/storage.h"
#include "util/arena.h"
#include "util/mem.h"
#include "util/str.h"

struct fake_series {
    struct labels labels; /* in the store's arena                          */
    uint64_t hash;
    struct columns samples;
    struct metadata metadata; /* in the store's arena                      */
};

struct fake {
    struct storage storage;
    pthread_mutex_t mutex; /* guards all below                             */
    struct arena arena;
    struct fake_series **series; /* by reference - 1                       */
    size_t count, cap;
    uint32_t *table; /* references by hash, open addressing; 0: empty      */
    size_t table_size;
};

struct fake_sample {
    struct storage_sample at;
    const struct histogram *h; /* the store's arena's; NULL: a float       */
};

struct fake_appender {
    struct appender appender;
    struct fake *store;
    struct fake_sample *samples; /* of the transaction                     */
    size_t count, cap;
};

struct fake_querier {
    struct querier querier;
    struct fake *store;
    sonde_msec mint, maxt;
};

struct fake_selected {
    struct storage_series base;
    struct fake *store;
    const struct fake_series *at;
};

struct fake_set {
    struct series_set set;
    struct fake *store;
    struct fake_selected **series; /* each stays where it is               */
    size_t count, next, cap;
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

static void append_samples(struct appender *a,
                           const struct storage_sample *samples, size_t n)
{
    struct fake_appender *fa = appender_of(a);

    fa->samples =
        mem_grow(fa->samples, &fa->cap, fa->count + n, sizeof(*fa->samples));
    for (size_t i = 0; i < n; i++)
        fa->samples[fa->count++] = (struct fake_sample){ samples[i], NULL };
}

static void append_histogram(struct appender *a, series_ref ref, sonde_msec t,
                             const struct histogram *h)
{
    struct fake_appender *fa = appender_of(a);
    struct fake *f = fa->store;
    struct fake_sample *s;

    fa->samples =
        mem_grow(fa->samples, &fa->cap, fa->count + 1, sizeof(*fa->samples));
    s = &fa->samples[fa->count++];
    s->at = (struct storage_sample){ ref, t, h->sum };
    (void)pthread_mutex_lock(&f->mutex);
    s->h = histogram_dup(&f->arena, h);
    (void)pthread_mutex_unlock(&f->mutex);
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

static bool same_value(const struct fake_sample *a, const struct columns *c,
                       size_t i)
{
    const struct histogram *h = c->h ? c->h[i] : NULL;

    if (a->h || h)
        return a->h && h && histogram_same(a->h, h);
    return double_bits(a->at.v) == double_bits(c->v[i]);
}

static void judge(struct fake *f, const struct fake_sample *sample,
                  struct append_stats *stats)
{
    const struct storage_sample *x = &sample->at;
    struct fake_series *s = series_of(f, x->ref);
    size_t n = s ? s->samples.count : 0;
    enum append_verdict v = APPEND_TAKEN;

    if (!s)
        v = APPEND_UNKNOWN_SERIES;
    else if (n && x->t < s->samples.t[n - 1])
        v = APPEND_OUT_OF_ORDER;
    else if (n && x->t == s->samples.t[n - 1])
        v = same_value(sample, &s->samples, n - 1) ? APPEND_DUPLICATE_SAME
                                                   : APPEND_DUPLICATE_OTHER;
    else if (sample->h)
        columns_push_histogram(&s->samples, x->t, sample->h);
    else
        columns_push(&s->samples, x->t, x->v);
    append_stats_judged(stats, x->ref, x->t, v);
}

static sonde_code append_commit(struct appender *a, struct append_stats *stats,
                                struct sonde_err *err)
{
    struct fake_appender *fa = appender_of(a);
    struct append_stats mine = { 0 };

    (void)err;
    (void)pthread_mutex_lock(&fa->store->mutex);
    for (size_t i = 0; i < fa->count; i++)
        judge(fa->store, &fa->samples[i], &mine);
    (void)pthread_mutex_unlock(&fa->store->mutex);
    fa->count = 0;
    if (stats)
        *stats = mine;
    return SONDE_OK;
}

static void append_rollback(struct appender *a)
{
    appender_of(a)->count = 0;
}

static void append_free(struct appender *a)
{
    free(appender_of(a)->samples);
    free(a);
}

static const struct appender_ops appender_ops = {
    .series = append_series,
    .known = append_known,
    .append = append_samples,
    .histogram = append_histogram,
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
    return &a->appender;
}

/* ---- querying ------------------------------------------------------------ */

static sonde_code series_read(struct storage_series *base, sonde_msec mint,
                              sonde_msec maxt, struct columns *out,
                              struct sonde_err *err)
{
    struct fake_selected *s = (struct fake_selected *)base;
    const struct columns *c = &s->at->samples;

    (void)err;
    (void)pthread_mutex_lock(&s->store->mutex);
    for (size_t i = 0; i < c->count; i++) {
        if (c->t[i] < mint || c->t[i] > maxt)
            continue;
        if (c->h && c->h[i])
            columns_push_histogram(out, c->t[i],
                                   histogram_dup(columns_arena(out), c->h[i]));
        else
            columns_push(out, c->t[i], c->v[i]);
    }
    (void)pthread_mutex_unlock(&s->store->mutex);
    return SONDE_OK;
}

static const struct storage_series_ops series_ops = { .read = series_read };

static sonde_code set_next(struct series_set *s, struct storage_series **out,
                           struct sonde_err *err)
{
    struct fake_set *set = (struct fake_set *)s;

    (void)err;
    if (set->next == set->count)
        return SONDE_ENOTFOUND;
    *out = &set->series[set->next++]->base;
    return SONDE_OK;
}

static void set_add(struct fake_set *set, const struct fake_series *s)
{
    struct fake_selected *one = mem_new(struct fake_selected);

    *one = (struct fake_selected){ { &series_ops, s->labels }, set->store, s };
    set->series = mem_grow(set->series, &set->cap, set->count + 1,
                           sizeof(struct fake_selected *));
    set->series[set->count++] = one;
}

static void set_free(struct series_set *s)
{
    struct fake_set *set = (struct fake_set *)s;

    for (size_t i = 0; i < set->count; i++)
        free(set->series[i]);
    free(set->series);
    free(set);
}

static const struct series_set_ops set_ops = {
    .next = set_next,
    .free = set_free,
};

/* Whether a series has samples in the querier's and the caller's range. */
static bool in_range(const struct fake_querier *q,
                     const struct select_hints *hints,
                     const struct fake_series *s)
{
    sonde_msec mint = hints && hints->mint > q->mint ? hints->mint : q->mint;
    sonde_msec maxt = hints && hints->maxt < q->maxt ? hints->maxt : q->maxt;

    for (size_t i = 0; i < s->samples.count; i++)
        if (s->samples.t[i] >= mint && s->samples.t[i] <= maxt)
            return true;
    return false;
}

static sonde_code query_select(struct querier *querier,
                               const struct matcher *matchers, size_t n,
                               const struct select_hints *hints,
                               struct series_set **out, struct sonde_err *err)
{
    struct fake_querier *q = (struct fake_querier *)querier;
    struct fake *f = q->store;
    struct fake_set *set = mem_new(struct fake_set);

    (void)err;
    set->set.ops = &set_ops;
    set->store = f;
    (void)pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->count; i++) {
        struct fake_series *s = f->series[i];

        if (hints && hints->limit && set->count == hints->limit)
            break;
        if (matchers_match(matchers, n, &s->labels) && in_range(q, hints, s))
            set_add(set, s);
    }
    (void)pthread_mutex_unlock(&f->mutex);
    *out = &set->set;
    return SONDE_OK;
}

static int by_str(const void *a, const void *b)
{
    return str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

struct strings {
    sonde_str *items;
    size_t count, cap;
};

static void strings_add(struct strings *s, sonde_str x)
{
    if (x.len == 0)
        return;
    s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->items[s->count++] = x;
}

/* Sorted and each once, as copies in the arena. */
static struct sonde_list strings_list(struct strings *s, size_t limit,
                                      struct arena *arena)
{
    sonde_str *items;
    size_t n = 0;

    if (s->count == 0)
        return (struct sonde_list){ 0 };
    qsort(s->items, s->count, sizeof(*s->items), by_str);
    items = arena_array(arena, sonde_str, s->count);
    for (size_t i = 0; i < s->count && (limit == 0 || n < limit); i++)
        if (i == 0 || !sonde_str_eq(s->items[i], s->items[i - 1]))
            items[n++] = arena_str(arena, s->items[i]);
    return (struct sonde_list){ items, n };
}

static sonde_code
query_label_values(struct querier *querier, const sonde_str *label,
                   const struct matcher *matchers, size_t n,
                   const struct select_hints *hints, struct arena *arena,
                   struct sonde_list *out, struct sonde_err *err)
{
    struct fake_querier *q = (struct fake_querier *)querier;
    struct fake *f = q->store;
    struct strings found = { 0 };

    (void)err;
    (void)pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->count; i++) {
        const struct labels *l = &f->series[i]->labels;

        if (!matchers_match(matchers, n, l) ||
            !in_range(q, hints, f->series[i]))
            continue;
        if (label)
            strings_add(&found, labels_get(l, *label));
        for (size_t j = 0; !label && j < l->count; j++)
            strings_add(&found, l->items[j].name);
    }
    (void)pthread_mutex_unlock(&f->mutex);
    *out = strings_list(&found, hints ? hints->limit : 0, arena);
    free(found.items);
    return SONDE_OK;
}

static void query_free(struct querier *q)
{
    free(q);
}

static const struct querier_ops querier_ops = {
    .select = query_select,
    .label_values = query_label_values,
    .free = query_free,
};

static sonde_code fake_querier(struct storage *s, sonde_msec mint,
                               sonde_msec maxt, struct querier **out,
                               struct sonde_err *err)
{
    struct fake_querier *q = mem_new(struct fake_querier);

    (void)err;
    q->querier.ops = &querier_ops;
    q->store = (struct fake *)s;
    q->mint = mint;
    q->maxt = maxt;
    *out = &q->querier;
    return SONDE_OK;
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
        free(f->series[i]);
    }
    free(f->series);
    free(f->table);
    arena_fini(&f->arena);
    (void)pthread_mutex_destroy(&f->mutex);
    free(f);
}
