/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/targets/relabel_steps: what each relabeling rule of a scrape pool
 * makes of a set of labels, for pages that explain why a target is not there.
 * After a rule that drops the target, the later ones have nothing to work on.
 */
#include <jansson.h>

#include "api/api_int.h"
#include "util/str.h"

#define LABELS_MAX_BYTES ((size_t)1 << 20)

/* {"name": "value", ...}; false: it was replied to. */
static bool labels_param(struct http_call *call, struct labels *out)
{
    sonde_str text = api_param(call, "labels");
    struct arena *a = http_call_arena(call);
    json_error_t why = { 0 };
    struct labels_builder lb;
    const char *name;
    json_t *doc, *value;
    bool ok;

    labels_builder_init(&lb, a);
    doc = text.len <= LABELS_MAX_BYTES
              ? json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &why)
              : NULL;
    ok = json_is_object(doc);
    json_object_foreach(doc, name, value)
    {
        ok = ok && json_is_string(value);
        if (ok)
            labels_builder_set(
                &lb, arena_str(a, sonde_cstr(name)),
                arena_str(a, (sonde_str){ json_string_value(value),
                                          json_string_length(value) }));
    }
    json_decref(doc);
    if (!ok) {
        api_error(call, API_BAD_DATA, "error parsing labels: %s",
                  why.text[0] ? why.text : "expected an object of strings");
        return false;
    }
    *out = labels_builder_view(&lb);
    return true;
}

static void put_str(struct jsonw *j, const char *key, sonde_str v)
{
    jsonw_key(j, key);
    jsonw_str(j, v);
}

static void put_rule(struct jsonw *j, const struct api_relabel_rule *r)
{
    jsonw_object(j);
    if (r->source_labels.count) {
        jsonw_key(j, "source_labels");
        jsonw_array(j);
        for (size_t i = 0; i < r->source_labels.count; i++)
            jsonw_str(j, r->source_labels.items[i]);
        jsonw_array_end(j);
    }
    put_str(j, "separator", r->separator);
    put_str(j, "regex", r->regex);
    if (r->modulus) {
        jsonw_key(j, "modulus");
        jsonw_uint(j, r->modulus);
    }
    if (r->target_label.len)
        put_str(j, "target_label", r->target_label);
    put_str(j, "replacement", r->replacement);
    put_str(j, "action", r->action);
    jsonw_object_end(j);
}

static void reply(struct http_call *call, const struct api_relabel_step *steps,
                  size_t n)
{
    struct api_answer a;
    struct jsonw *j = api_answer_begin(&a, call);

    jsonw_object(j);
    jsonw_key(j, "steps");
    jsonw_array(j);
    for (size_t i = 0; i < n; i++) {
        jsonw_object(j);
        jsonw_key(j, "rule");
        put_rule(j, &steps[i].rule);
        jsonw_key(j, "output");
        jsonw_labels(j, &steps[i].output);
        jsonw_key(j, "keep");
        jsonw_bool(j, steps[i].keep);
        jsonw_object_end(j);
    }
    jsonw_array_end(j);
    jsonw_object_end(j);
    api_answer_send(&a);
}

void api_handle_relabel_steps(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    sonde_str pool = api_param(call, "scrapePool");
    struct api_relabel_step *steps = NULL;
    struct labels labels;
    size_t n = 0;

    if (pool.len == 0) {
        api_error(call, API_BAD_DATA, "no scrapePool parameter provided");
        return;
    }
    if (api_param(call, "labels").len == 0) {
        api_error(call, API_BAD_DATA, "no labels parameter provided");
        return;
    }
    if (!labels_param(call, &labels))
        return;
    if (!ops->relabel_steps ||
        !ops->relabel_steps(ops->arg, pool, &labels, http_call_arena(call),
                            &steps, &n)) {
        api_error(call, API_BAD_DATA,
                  "error getting relabel configs: scrape pool \"%.*s\" not "
                  "found",
                  SONDE_ARG(str_sub(pool, 0, API_SHOWN_MAX)));
        return;
    }
    reply(call, steps, n);
}
