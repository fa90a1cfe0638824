/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/metadata and /api/v1/targets/metadata: type, unit and help of the
 * families that targets expose now. The first is by family, with equal
 * entries of many targets shown once; the second by target.
 *
 * A limit of 0 means none at all here, unlike anywhere else (so Prometheus),
 * and a negative one means no limit.
 */
#include <stdlib.h>

#include "api/api_int.h"
#include "promql/promql.h"
#include "util/str.h"

/* "limit" and "limit_per_metric"; -1: no limit. */
static bool limit_param(struct http_call *call, const char *name, int64_t *out)
{
    sonde_str v = api_param(call, name);

    *out = -1;
    if (v.len == 0 || api_int_parse(v, out))
        return true;
    api_error(call, API_BAD_DATA, "%s must be a number", name);
    return false;
}

static bool get_metadata(struct api *api, struct http_call *call,
                         struct api_metadata **out, size_t *n)
{
    const struct api_ops *ops = &api->options.ops;

    *out = NULL;
    *n = 0;
    if (!ops->metadata) {
        api_error(call, API_NOT_READY, "metadata is not available");
        return false;
    }
    ops->metadata(ops->arg, http_call_arena(call), out, n);
    return true;
}

static int by_family(const void *x, const void *y)
{
    const struct metadata *a = &((const struct api_metadata *)x)->meta;
    const struct metadata *b = &((const struct api_metadata *)y)->meta;
    int c = str_cmp(a->family, b->family);

    if (c == 0)
        c = (int)a->type - (int)b->type;
    if (c == 0)
        c = str_cmp(a->help, b->help);
    return c ? c : str_cmp(a->unit, b->unit);
}

/* The three keys that an entry has wherever it stands. */
static void put_entry(struct jsonw *j, const struct metadata *m)
{
    jsonw_key(j, "type");
    jsonw_cstr(j, metric_type_name(m->type));
    jsonw_key(j, "help");
    jsonw_str(j, m->help);
    jsonw_key(j, "unit");
    jsonw_str(j, m->unit);
}

/* The family that begins at `items`; returns how many entries it has. */
static size_t put_family(struct jsonw *j, const struct api_metadata *items,
                         size_t n, int64_t limit)
{
    int64_t shown = 0;
    size_t i = 0;

    jsonw_key_str(j, items[0].meta.family);
    jsonw_array(j);
    for (; i < n && sonde_str_eq(items[i].meta.family, items[0].meta.family);
         i++) {
        if (i > 0 && by_family(&items[i - 1], &items[i]) == 0)
            continue;
        if (limit > 0 && shown == limit)
            continue;
        shown++;
        jsonw_object(j);
        put_entry(j, &items[i].meta);
        jsonw_object_end(j);
    }
    jsonw_array_end(j);
    return i;
}

void api_handle_metadata(struct api *api, struct http_call *call)
{
    sonde_str metric = api_param(call, "metric");
    int64_t limit, per_metric, families = 0;
    struct api_metadata *items;
    struct api_answer a;
    struct jsonw *j;
    size_t n;

    if (!limit_param(call, "limit", &limit) ||
        !limit_param(call, "limit_per_metric", &per_metric) ||
        !get_metadata(api, call, &items, &n))
        return;
    if (n > 0)
        qsort(items, n, sizeof(*items), by_family);
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    for (size_t i = 0; i < n && (limit < 0 || families < limit);) {
        if (metric.len > 0 && !sonde_str_eq(items[i].meta.family, metric)) {
            i++;
            continue;
        }
        i += put_family(j, items + i, n - i, per_metric);
        families++;
    }
    jsonw_object_end(j);
    api_answer_send(&a);
}

/* match_target, optional. */
static bool target_param(struct http_call *call, struct matcher **ms, size_t *n)
{
    sonde_str v = api_param(call, "match_target");
    struct sonde_err err = { 0 };

    *ms = NULL;
    *n = 0;
    if (v.len == 0 || promql_parse_selector(http_call_arena(call), v, ms, n,
                                            &err) == SONDE_OK)
        return true;
    api_error(call, API_BAD_DATA, "invalid parameter \"match_target\": %s",
              err.text);
    return false;
}

static void put_of_target(struct jsonw *j, const struct api_metadata *m,
                          bool name)
{
    jsonw_object(j);
    jsonw_key(j, "target");
    jsonw_labels(j, m->target);
    if (name) {
        jsonw_key(j, "metric");
        jsonw_str(j, m->meta.family);
    }
    put_entry(j, &m->meta);
    jsonw_object_end(j);
}

void api_handle_targets_metadata(struct api *api, struct http_call *call)
{
    sonde_str metric = api_param(call, "metric");
    const struct labels *last = NULL;
    struct api_metadata *items;
    struct matcher *ms = NULL;
    struct api_answer a;
    struct jsonw *j;
    size_t n, match_count = 0;
    int64_t limit, shown = 0;

    if (!limit_param(call, "limit", &limit) ||
        !target_param(call, &ms, &match_count))
        return;
    if (!get_metadata(api, call, &items, &n)) {
        api_matchers_fini(ms, match_count);
        return;
    }
    j = api_answer_begin(&a, call);
    jsonw_array(j);
    for (size_t i = 0; i < n; i++) {
        const struct api_metadata *m = &items[i];

        /* The target that reaches the limit is shown whole. */
        if (limit >= 0 && shown >= limit && m->target != last)
            break;
        if ((metric.len > 0 && !sonde_str_eq(metric, m->meta.family)) ||
            !matchers_match(ms, match_count, m->target))
            continue;
        put_of_target(j, m, metric.len == 0);
        last = m->target;
        shown++;
    }
    jsonw_array_end(j);
    api_matchers_fini(ms, match_count);
    api_answer_send(&a);
}
