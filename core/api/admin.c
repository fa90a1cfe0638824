/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/admin/tsdb/...: what changes the store, behind a flag of its own.
 * Each waits until the store has done it; the store does one at a time.
 */
#include "api/api_int.h"
#include "util/str.h"

/* False: it was replied to. */
static bool admin_allowed(const struct api *api, struct http_call *call,
                          bool there)
{
    if (!api->options.admin)
        api_error(call, API_UNAVAILABLE, "admin APIs disabled");
    else if (!there)
        api_error(call, API_UNAVAILABLE, "TSDB not ready");
    else
        return true;
    return false;
}

static void reply_done(struct http_call *call, sonde_code rc,
                       const struct sonde_err *err)
{
    if (rc == SONDE_OK)
        http_reply(call, 204, "", (sonde_str){ 0 });
    else
        api_error(call, API_INTERNAL, "%s", err->text);
}

void api_handle_snapshot(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    sonde_str text = api_param(call, "skip_head"), name = { 0 };
    bool skip_head = false;
    struct sonde_err err = { 0 };
    struct api_answer a;
    struct jsonw *j;

    if (!admin_allowed(api, call, ops->snapshot != NULL))
        return;
    if (text.len && !api_bool_parse(text, &skip_head)) {
        api_error(call, API_BAD_DATA,
                  "invalid parameter \"skip_head\": unable to parse boolean "
                  "strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                  SONDE_ARG(str_sub(text, 0, 100)));
        return;
    }
    if (ops->snapshot(ops->arg, !skip_head, http_call_arena(call), &name,
                      &err) != SONDE_OK) {
        api_error(call, API_INTERNAL, "create snapshot: %s", err.text);
        return;
    }
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    jsonw_key(j, "name");
    jsonw_str(j, name);
    jsonw_object_end(j);
    api_answer_send(&a);
}

void api_handle_delete_series(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    struct sonde_err err = { 0 };
    struct api_selectors p;
    sonde_code rc = SONDE_OK;

    if (!admin_allowed(api, call, ops->delete_series != NULL) ||
        !api_selectors_given(call) ||
        !api_selectors_get(call, &p, "invalid parameter \"match[]\": "))
        return;
    for (size_t i = 0; i < p.count && rc == SONDE_OK; i++)
        rc = ops->delete_series(ops->arg, p.start, p.end, p.selectors[i].items,
                                p.selectors[i].count, &err);
    api_selectors_fini(&p);
    reply_done(call, rc, &err);
}

void api_handle_clean_tombstones(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    struct sonde_err err = { 0 };

    if (admin_allowed(api, call, ops->clean_tombstones != NULL))
        reply_done(call, ops->clean_tombstones(ops->arg, &err), &err);
}
