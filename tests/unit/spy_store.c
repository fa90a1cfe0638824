/* SPDX-License-Identifier: Apache-2.0 */
/* See spy_store.h. One thread, one transaction at a time. */
#include "spy_store.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

struct spy_appender {
    struct appender base;
    struct spy_store *store;
    struct storage_sample *samples;
    size_t count, cap;
    struct buf extras; /* lines of the transaction                        */
    size_t histograms, exemplars, unknown;
};

static struct spy_appender *self(struct appender *a)
{
    return (struct spy_appender *)a;
}

static struct spy_series *held(struct spy_store *s, series_ref ref)
{
    if (ref < 1 || ref > s->count || !s->series[ref - 1].text)
        return NULL;
    return &s->series[ref - 1];
}

static char *print(const struct labels *l)
{
    struct buf b;

    buf_init(&b);
    labels_print(&b, l);
    return buf_take(&b);
}

static sonde_code op_series(struct appender *a, const struct labels *l,
                            series_ref *out, struct sonde_err *err)
{
    struct spy_store *s = self(a)->store;
    char *text = print(l);

    s->made++;
    for (size_t i = 0; i < s->count; i++)
        if (s->series[i].text && strcmp(s->series[i].text, text) == 0) {
            free(text);
            *out = i + 1;
            return SONDE_OK;
        }
    if (s->count == SPY_SERIES_MAX) {
        free(text);
        return sonde_err_set(err, SONDE_ELIMIT, "the spy is full");
    }
    s->series[s->count++] =
        (struct spy_series){ .text = text, .labels = labels_dup(&s->arena, l) };
    *out = s->count;
    return SONDE_OK;
}

static bool op_known(struct appender *a, series_ref ref)
{
    return held(self(a)->store, ref) != NULL;
}

static void op_append(struct appender *base, const struct storage_sample *x,
                      size_t n)
{
    struct spy_appender *a = self(base);

    a->samples =
        mem_grow(a->samples, &a->cap, a->count + n, sizeof(*a->samples));
    memcpy(a->samples + a->count, x, n * sizeof(*x));
    a->count += n;
}

static void put_side(struct buf *b, const struct histogram *h,
                     const struct histogram_side *side)
{
    for (size_t i = 0; i < side->span_count; i++)
        buf_printf(b, " %d:%u", side->spans[i].offset, side->spans[i].length);
    buf_char(b, ';');
    for (size_t i = 0; i < side->bucket_count; i++)
        buf_printf(b, " %g",
                   h->is_float ? side->buckets.f[i]
                               : (double)side->buckets.i[i]);
}

static void op_histogram(struct appender *base, series_ref ref, sonde_msec t,
                         const struct histogram *h)
{
    struct spy_appender *a = self(base);
    const struct spy_series *s = held(a->store, ref);
    struct buf *b = &a->extras;

    if (!s) {
        a->unknown++;
        return;
    }
    buf_printf(b, "histogram %s %lld %s count=%g sum=%g schema=%d zero=%g/%g",
               s->text, (long long)t, h->is_float ? "float" : "int",
               h->is_float ? h->count.f : (double)h->count.i, h->sum, h->schema,
               h->is_float ? h->zero_count.f : (double)h->zero_count.i,
               h->zero_threshold);
    buf_cstr(b, " -");
    put_side(b, h, &h->negative);
    buf_cstr(b, " +");
    put_side(b, h, &h->positive);
    for (size_t i = 0; i < h->custom_count; i++)
        buf_printf(b, " <%g", h->custom_bounds[i]);
    buf_printf(b, " hint=%d\n", (int)h->hint);
    a->histograms++;
}

static void op_exemplar(struct appender *base, series_ref ref,
                        const struct exemplar *e)
{
    struct spy_appender *a = self(base);
    const struct spy_series *s = held(a->store, ref);
    char *labels = print(&e->labels);

    buf_printf(&a->extras, "exemplar %s %s %lld %g\n", s ? s->text : "?",
               labels, (long long)e->t, e->v);
    free(labels);
    a->exemplars++;
}

static void op_metadata(struct appender *base, series_ref ref,
                        const struct metadata *m)
{
    struct spy_appender *a = self(base);
    const struct spy_series *s = held(a->store, ref);

    buf_printf(&a->extras, "metadata %s %.*s %s \"%.*s\" \"%.*s\"\n",
               s ? s->text : "?", SONDE_ARG(m->family),
               metric_type_name(m->type), SONDE_ARG(m->unit),
               SONDE_ARG(m->help));
}

static enum append_verdict judge(const struct spy_series *s,
                                 const struct storage_sample *x)
{
    if (!s)
        return APPEND_UNKNOWN_SERIES;
    if (!s->seen || x->t > s->last)
        return APPEND_TAKEN;
    if (x->t < s->last)
        return APPEND_OUT_OF_ORDER;
    return double_bits(x->v) == s->bits ? APPEND_DUPLICATE_SAME
                                        : APPEND_DUPLICATE_OTHER;
}

static void count(struct append_stats *st, enum append_verdict v,
                  const struct storage_sample *x)
{
    st->appended += v == APPEND_TAKEN;
    st->duplicate_same += v == APPEND_DUPLICATE_SAME;
    st->duplicate_other += v == APPEND_DUPLICATE_OTHER;
    st->out_of_order += v == APPEND_OUT_OF_ORDER;
    st->unknown_series += v == APPEND_UNKNOWN_SERIES;
    if (v != APPEND_TAKEN && v != APPEND_DUPLICATE_SAME &&
        v != APPEND_UNKNOWN_SERIES && st->rejected_count < APPEND_REJECTED_MAX)
        st->rejected[st->rejected_count++] =
            (struct append_rejected){ x->ref, x->t, v };
}

static void close_transaction(struct spy_appender *a)
{
    a->count = a->histograms = a->exemplars = a->unknown = 0;
    buf_reset(&a->extras);
}

static sonde_code op_commit(struct appender *base, struct append_stats *stats,
                            struct sonde_err *err)
{
    struct spy_appender *a = self(base);
    struct spy_store *store = a->store;
    struct append_stats st = { .appended = a->histograms,
                               .histograms = a->histograms,
                               .exemplars = a->exemplars,
                               .unknown_series = a->unknown };

    if (store->fail) {
        close_transaction(a);
        return sonde_err_set(err, store->fail, "write the log: %s",
                             sonde_code_text(store->fail));
    }
    for (size_t i = 0; i < a->count; i++) {
        const struct storage_sample *x = &a->samples[i];
        struct spy_series *s = held(store, x->ref);
        enum append_verdict v = judge(s, x);

        count(&st, v, x);
        if (v != APPEND_TAKEN)
            continue;
        buf_printf(&store->told, "%s %lld %g\n", s->text, (long long)x->t,
                   x->v);
        s->seen = true;
        s->last = x->t;
        s->bits = double_bits(x->v);
    }
    buf_put(&store->told, buf_str(&a->extras));
    close_transaction(a);
    *stats = st;
    return SONDE_OK;
}

static void op_rollback(struct appender *base)
{
    close_transaction(self(base));
}

static void op_free(struct appender *base)
{
    free(self(base)->samples);
    buf_fini(&self(base)->extras);
    free(base);
}

static const struct appender_ops appender_ops = {
    .series = op_series,
    .known = op_known,
    .append = op_append,
    .histogram = op_histogram,
    .exemplar = op_exemplar,
    .metadata = op_metadata,
    .commit = op_commit,
    .rollback = op_rollback,
    .free = op_free,
};
static const struct appender_ops plain_ops = {
    .series = op_series,
    .known = op_known,
    .append = op_append,
    .commit = op_commit,
    .rollback = op_rollback,
    .free = op_free,
};

static struct appender *op_appender(struct storage *s)
{
    struct spy_appender *a = mem_new(struct spy_appender);

    a->store = (struct spy_store *)s;
    a->base.ops = a->store->no_histograms ? &plain_ops : &appender_ops;
    buf_init(&a->extras);
    return &a->base;
}

static bool op_labels(struct storage *s, series_ref ref, struct arena *arena,
                      struct labels *out)
{
    const struct spy_series *x = held((struct spy_store *)s, ref);

    if (x)
        *out = labels_dup(arena, &x->labels);
    return x != NULL;
}

static const struct storage_ops ops = { .appender = op_appender,
                                        .labels = op_labels };

void spy_init(struct spy_store *s)
{
    memset(s, 0, sizeof(*s));
    s->storage.ops = &ops;
    arena_init(&s->arena);
    buf_init(&s->told);
}

void spy_forget(struct spy_store *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->series[i].text);
        s->series[i].text = NULL;
    }
}

void spy_fini(struct spy_store *s)
{
    spy_forget(s);
    buf_fini(&s->told);
    arena_fini(&s->arena);
}
