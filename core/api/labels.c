/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/series, /api/v1/labels, /api/v1/label/NAME/values: what there is in
 * the store, by selectors. Several selectors mean their union: a series that
 * an earlier selector accepts was shown already, so that nothing has to be
 * looked up.
 */
#include <stdlib.h>

#include "api/api_int.h"
#include "api/times.h"
#include "promql/promql.h"
#include "util/mem.h"
#include "util/str.h"

/* ---- series ------------------------------------------------------------ */

static bool shown_before(const struct api_selectors *p, size_t i,
                         const struct labels *l)
{
    for (size_t k = 0; k < i; k++)
        if (matchers_match(p->selectors[k].items, p->selectors[k].count, l))
            return true;
    return false;
}

/* The label sets to be shown; they are the sets', which are held. */
struct series_list {
    struct labels *items;
    size_t count, cap;
    struct series_set **sets;
    size_t set_count;
    bool cut;
};

/* The series of the i-th selector. */
static sonde_code add_series(struct series_list *list, struct querier *q,
                             const struct api_selectors *p, size_t i,
                             struct http_call *call, struct sonde_err *err)
{
    struct select_hints hints = api_selectors_hints(p);
    struct storage_series *s;
    struct series_set *set;
    sonde_code rc = q->ops->select(q, p->selectors[i].items,
                                   p->selectors[i].count, &hints, &set, err);

    if (rc != SONDE_OK)
        return rc;
    list->sets[list->set_count++] = set;
    while ((rc = set->ops->next(set, &s, err)) == SONDE_OK) {
        if (shown_before(p, i, &s->labels))
            continue;
        list->cut = p->limit > 0 && list->count == p->limit;
        if (list->cut)
            break;
        if (list->count % 4096 == 0 && http_call_gone(call))
            return sonde_err_set(err, SONDE_ECANCELED, "the client has gone");
        list->items = mem_grow(list->items, &list->cap, list->count + 1,
                               sizeof(*list->items));
        list->items[list->count++] = s->labels;
    }
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

static void reply_series(struct http_call *call, const struct series_list *list,
                         struct sonde_list warnings)
{
    struct api_answer a;
    struct jsonw *j = api_answer_begin(&a, call);

    jsonw_array(j);
    for (size_t i = 0; i < list->count; i++) {
        jsonw_labels(j, &list->items[i]);
        if (!api_answer_flush(&a))
            break;
    }
    jsonw_array_end(j);
    if (list->cut)
        a.warning = API_TRUNCATED;
    a.warnings = warnings;
    api_answer_send(&a);
}

static void series_list_fini(struct series_list *list)
{
    for (size_t i = 0; i < list->set_count; i++)
        list->sets[i]->ops->free(list->sets[i]);
    free(list->items);
}

static sonde_code open_querier(struct storage *store,
                               const struct api_selectors *p,
                               struct querier **out, struct sonde_err *err)
{
    return store->ops->querier(store, p->start, p->end, out, err);
}

/* Label sets are gathered before the first is shown, so that what fails says
 * so. */
void api_handle_series(struct api *api, struct http_call *call)
{
    struct storage *store = api_store(api, call);
    struct series_list list = { 0 };
    struct sonde_err err = { 0 };
    struct querier *q = NULL;
    struct api_selectors p;
    sonde_code rc;

    if (!store)
        return;
    if (!api_selectors_given(call) ||
        !api_selectors_get(call, &p, "invalid parameter \"match[]\": "))
        return;
    list.sets =
        arena_array(http_call_arena(call), struct series_set *, p.count);
    rc = open_querier(store, &p, &q, &err);
    for (size_t i = 0; rc == SONDE_OK && i < p.count && !list.cut; i++)
        rc = add_series(&list, q, &p, i, call, &err);
    if (rc == SONDE_OK)
        reply_series(call, &list, querier_warnings(q, http_call_arena(call)));
    else
        api_fail(call, &err);
    series_list_fini(&list);
    if (q)
        q->ops->free(q);
    api_selectors_fini(&p);
}

/* ---- names and values -------------------------------------------------- */

static int str_order(const void *a, const void *b)
{
    return str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

/* Sorted strings of several lists, each once. */
struct name_list {
    sonde_str *items;
    size_t count, cap;
};

static void names_add(struct name_list *l, const struct sonde_list *more)
{
    if (more->count == 0)
        return;
    l->items =
        mem_grow(l->items, &l->cap, l->count + more->count, sizeof(*l->items));
    memcpy(l->items + l->count, more->items, more->count * sizeof(*l->items));
    l->count += more->count;
}

static void names_sort(struct name_list *l)
{
    size_t n = 0;

    if (l->count > 0)
        qsort(l->items, l->count, sizeof(*l->items), str_order);
    for (size_t i = 0; i < l->count; i++)
        if (n == 0 || !sonde_str_eq(l->items[i], l->items[n - 1]))
            l->items[n++] = l->items[i];
    l->count = n;
}

static sonde_code get_names(struct querier *q, struct http_call *call,
                            const struct api_selectors *p,
                            const sonde_str *label, struct name_list *out,
                            struct sonde_err *err)
{
    struct select_hints hints = api_selectors_hints(p);
    size_t i = 0;

    do {
        const struct api_selector *s = p->count ? &p->selectors[i] : NULL;
        struct sonde_list found = { 0 };
        sonde_code rc = q->ops->label_values(
            q, label, s ? s->items : NULL, s ? s->count : 0, &hints,
            http_call_arena(call), &found, err);

        if (rc != SONDE_OK)
            return rc;
        names_add(out, &found);
    } while (++i < p->count);
    names_sort(out);
    return SONDE_OK;
}

static void reply_names(struct http_call *call, const struct name_list *l,
                        size_t limit, struct sonde_list warnings)
{
    struct api_answer a;
    struct jsonw *j = api_answer_begin(&a, call);

    jsonw_array(j);
    for (size_t i = 0; i < l->count && (limit == 0 || i < limit); i++) {
        jsonw_str(j, l->items[i]);
        if (!api_answer_flush(&a))
            break;
    }
    jsonw_array_end(j);
    if (limit > 0 && l->count > limit)
        a.warning = API_TRUNCATED;
    a.warnings = warnings;
    api_answer_send(&a);
}

/* Names if `label` is NULL, else that label's values. */
static void list_names(struct api *api, struct http_call *call,
                       const sonde_str *label)
{
    struct storage *store = api_store(api, call);
    struct name_list names = { 0 };
    struct sonde_err err = { 0 };
    struct querier *q = NULL;
    struct api_selectors p;
    sonde_code rc;

    if (!store || !api_selectors_get(call, &p, ""))
        return;
    rc = open_querier(store, &p, &q, &err);
    if (rc == SONDE_OK)
        rc = get_names(q, call, &p, label, &names, &err);
    if (rc == SONDE_OK)
        reply_names(call, &names, p.limit,
                    querier_warnings(q, http_call_arena(call)));
    else
        api_fail(call, &err);
    if (q)
        q->ops->free(q);
    api_selectors_fini(&p);
    free(names.items);
}

void api_handle_labels(struct api *api, struct http_call *call)
{
    list_names(api, call, NULL);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

static size_t put_utf8(char *p, uint32_t c)
{
    if (c < 0x80) {
        p[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (char)(0xc0 | (c >> 6));
        p[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (char)(0xe0 | (c >> 12));
        p[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        p[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    p[0] = (char)(0xf0 | (c >> 18));
    p[1] = (char)(0x80 | ((c >> 12) & 0x3f));
    p[2] = (char)(0x80 | ((c >> 6) & 0x3f));
    p[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* What stands at `*i`, after an underscore: another one, or "HEX_". The
 * output is never longer than what it stands for. */
static bool unescape_one(sonde_str s, size_t *i, char *out, size_t *n)
{
    uint32_t code = 0;
    size_t digits = 0;

    if (*i < s.len && s.ptr[*i] == '_') {
        out[(*n)++] = '_';
        ++*i;
        return true;
    }
    for (; *i < s.len && s.ptr[*i] != '_'; ++*i) {
        int v = hex_value(s.ptr[*i]);

        if (v < 0 || ++digits > 6)
            return false;
        code = code * 16 + (uint32_t)v;
    }
    if (*i == s.len || digits == 0 || code > 0x10ffff ||
        (code >= 0xd800 && code < 0xe000))
        return false;
    ++*i;
    *n += put_utf8(out + *n, code);
    return true;
}

/* A name in "values escaping": U__, then the name with "__" for "_" and
 * "_HEX_" for what a legacy name may not hold. What is not well-formed is
 * taken as it is. */
static sonde_str unescape_name(struct arena *a, sonde_str name)
{
    sonde_str s = str_sub(name, 3, name.len);
    size_t n = 0, i = 0;
    char *out;

    if (!str_starts(name, SONDE_STR("U__")))
        return name;
    out = arena_alloc(a, s.len * 2 + 4);
    while (i < s.len) {
        char c = s.ptr[i++];

        if (c != '_')
            out[n++] = c;
        else if (!unescape_one(s, &i, out, &n))
            return name;
    }
    return (sonde_str){ out, n };
}

/* /api/v1/label/NAME/values */
void api_handle_label_values(struct api *api, struct http_call *call)
{
    static const sonde_str head = { "/api/v1/label/", 14 };
    static const sonde_str tail = { "/values", 7 };
    sonde_str path = http_call_path(call);
    sonde_str name;

    if (path.len <= head.len + tail.len || !str_ends(path, tail)) {
        api_not_found(call);
        return;
    }
    name = str_sub(path, head.len, path.len - tail.len);
    if (str_index(name, '/') < name.len) {
        api_not_found(call);
        return;
    }
    name = unescape_name(http_call_arena(call), name);
    if (!str_is_utf8(name)) {
        api_error(call, API_BAD_DATA, "invalid label name: not UTF-8");
        return;
    }
    list_names(api, call, &name);
}
