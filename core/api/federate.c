/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /federate: the newest sample of each selected series, for a Prometheus that
 * scrapes this one. Everything is untyped, with the samples' own times;
 * external labels are added where a series has none of that name, and an empty
 * `instance` so that the scraper puts none of its own. Text (federate_text.c)
 * or, with native histograms, Protocol Buffers (federate_proto.c), as the
 * client's Accept says.
 */
#include "api/federate.h"

#include <stdlib.h>
#include <string.h>

#include "expo/expo.h"
#include "promql/promql.h"
#include "util/mem.h"
#include "util/str.h"

#define SELECTORS_MAX 1000
#define LOOK_EVERY    256 /* series, after which the client is looked for */
#define UTF8          "escaping=allow-utf-8"

/* ---- selectors ---------------------------------------------------------- */

static bool parse_selectors(struct federation *f, struct sonde_err *err)
{
    struct arena *a = http_call_arena(f->call);
    sonde_str v;
    size_t n = 0;

    if (http_call_params_broken(f->call, err)) {
        (void)sonde_err_prefix(err, "error parsing form values");
        return false;
    }
    while (n < SELECTORS_MAX && http_call_param(f->call, "match[]", n, &v))
        n++;
    f->selectors = arena_array(a, struct selector_list, n + 1);
    f->sets = arena_array(a, struct series_set *, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct selector_list *s = &f->selectors[f->selector_count];

        (void)http_call_param(f->call, "match[]", i, &v);
        if (promql_parse_selector(a, v, &s->items, &s->count, err) != SONDE_OK)
            return false;
        f->selector_count += s->count > 0; /* {} selects nothing */
    }
    return true;
}

static bool taken_before(const struct federation *f, size_t i,
                         const struct labels *l)
{
    for (size_t k = 0; k < i; k++)
        if (matchers_match(f->selectors[k].items, f->selectors[k].count, l))
            return true;
    return false;
}

/* ---- samples ------------------------------------------------------------ */

static enum fed_kind kind_of(const struct histogram *h)
{
    if (!h)
        return FED_FLOAT;
    return h->hint == HISTOGRAM_GAUGE ? FED_GAUGE_HISTOGRAM : FED_HISTOGRAM;
}

static void take_newest(struct federation *f, const struct storage_series *s,
                        const struct columns *c)
{
    sonde_str name = labels_get(&s->labels, SONDE_STR(LABEL_NAME));
    const struct histogram *h;
    size_t last = c->count - 1;

    if (c->count == 0 || name.len == 0)
        return;
    h = c->h ? c->h[last] : NULL;
    if (h ? histogram_is_stale(h) : is_stale_nan(c->v[last]))
        return;
    f->samples =
        mem_grow(f->samples, &f->cap, f->count + 1, sizeof(*f->samples));
    f->samples[f->count++] = (struct fed_sample){
        .labels = &s->labels,
        .name = name,
        .t = c->t[last],
        .kind = kind_of(h),
        .v = c->v[last],
        .h = h ? histogram_dup(http_call_arena(f->call), h) : NULL,
    };
}

static sonde_code select_series(struct federation *f, struct querier *q,
                                size_t i, struct columns *c,
                                struct sonde_err *err)
{
    struct select_hints hints = { .mint = f->from, .maxt = f->to };
    struct storage_series *s;
    struct series_set *set;
    sonde_code rc = q->ops->select(q, f->selectors[i].items,
                                   f->selectors[i].count, &hints, &set, err);

    if (rc != SONDE_OK)
        return rc;
    f->sets[f->set_count++] = set;
    for (size_t n = 0; (rc = set->ops->next(set, &s, err)) == SONDE_OK; n++) {
        if (taken_before(f, i, &s->labels))
            continue;
        if (n % LOOK_EVERY == 0 && http_call_gone(f->call))
            return sonde_err_set(err, SONDE_ECANCELED, "the client has gone");
        columns_reset(c);
        rc = s->ops->read(s, f->from, f->to, c, err);
        if (rc != SONDE_OK)
            return rc;
        take_newest(f, s, c);
    }
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

static int by_name(const void *x, const void *y)
{
    const struct fed_sample *a = x, *b = y;
    int c = str_cmp(a->name, b->name);

    if (c == 0)
        c = (int)a->kind - (int)b->kind;
    return c ? c : labels_cmp(a->labels, b->labels);
}

/* ---- the page ----------------------------------------------------------- */

static const char *content_type(const struct federation *f, bool proto)
{
    if (proto)
        return f->utf8 ? FED_PROTO_TYPE "; escaping=allow-utf-8"
                       : FED_PROTO_TYPE "; escaping=underscores";
    return f->utf8 ? EXPO_CONTENT_TYPE "; escaping=allow-utf-8"
                   : EXPO_CONTENT_TYPE "; escaping=underscores";
}

static void reply(struct federation *f)
{
    bool proto = federate_wants_proto(http_call_header(f->call, "Accept"));
    struct http_stream h;

    if (f->count > 0)
        qsort(f->samples, f->count, sizeof(*f->samples), by_name);
    http_stream_open(&h, f->call, 200, content_type(f, proto));
    if (proto)
        federate_proto(f, &h);
    else
        federate_text(f, &h);
    http_stream_close(&h);
}

/* The external labels and, if it is not among them, an empty instance. */
static struct labels external_labels(struct api *api, struct arena *a)
{
    const struct api_ops *ops = &api->options.ops;
    struct labels l = { 0 };
    struct label *items;
    size_t n = 0;

    if (ops->external_labels)
        ops->external_labels(ops->arg, a, &l);
    if (labels_get(&l, SONDE_STR("instance")).len)
        return l;
    items = arena_array(a, struct label, l.count + 1);
    while (n < l.count && str_cmp(l.items[n].name, SONDE_STR("instance")) < 0) {
        items[n] = l.items[n];
        n++;
    }
    items[n] = (struct label){ SONDE_STR("instance"), SONDE_STR("") };
    for (size_t i = n; i < l.count; i++)
        items[i + 1] = l.items[i];
    return (struct labels){ items, l.count + 1 };
}

static void fail(struct http_call *call, int status, const char *text)
{
    struct buf b;

    buf_init(&b);
    buf_printf(&b, "%s\n", text);
    http_call_set_header(call, "X-Content-Type-Options", SONDE_STR("nosniff"));
    http_reply_take(call, status, "text/plain; charset=utf-8", &b);
}

static void federate(struct federation *f, struct storage *store)
{
    struct columns c = { 0 };
    struct sonde_err err = { 0 };
    struct querier *q = NULL;
    sonde_code rc = store->ops->querier(store, f->from, f->to, &q, &err);

    for (size_t i = 0; rc == SONDE_OK && i < f->selector_count; i++)
        rc = select_series(f, q, i, &c, &err);
    columns_fini(&c);
    if (rc == SONDE_OK)
        reply(f);
    else
        fail(f->call, 500, err.text);
    for (size_t i = 0; i < f->set_count; i++)
        f->sets[i]->ops->free(f->sets[i]);
    if (q)
        q->ops->free(q);
}

void api_handle_federate(struct api *api, struct http_call *call)
{
    sonde_msec now = clock_now(api->options.clock);
    struct storage *store = atomic_load(&api->storage);
    sonde_str accept = http_call_header(call, "Accept");
    struct federation f = { .call = call,
                            .from = now - api->options.lookback_ms + 1,
                            .to = now };
    struct sonde_err err = { 0 };

    f.utf8 = accept.len &&
             memmem(accept.ptr, accept.len, UTF8, strlen(UTF8)) != NULL;
    f.external = external_labels(api, http_call_arena(call));
    if (!store)
        fail(call, 503, "the store is not open yet");
    else if (!parse_selectors(&f, &err))
        fail(call, 400, err.text);
    else
        federate(&f, store);
    for (size_t i = 0; i < f.selector_count; i++)
        api_matchers_fini(f.selectors[i].items, f.selectors[i].count);
    free(f.samples);
}
