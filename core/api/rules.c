/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /api/v1/rules, alerts and alertmanagers. There are no rules yet, so the
 * lists are empty, not missing: clients that ask for alerts and rules show
 * "none". What is asked for is checked all the same, in Prometheus' order and
 * with its messages.
 */
#include <ctype.h>

#include "api/api_int.h"
#include "util/str.h"

static void reply_lists(struct http_call *call, const char *const *keys)
{
    struct api_answer a;
    struct jsonw *j = api_answer_begin(&a, call);

    jsonw_object(j);
    for (; *keys; keys++) {
        jsonw_key(j, *keys);
        jsonw_array(j);
        jsonw_array_end(j);
    }
    jsonw_object_end(j);
    api_answer_send(&a);
}

void api_handle_alerts(struct api *api, struct http_call *call)
{
    (void)api;
    reply_lists(call, (const char *const[]){ "alerts", NULL });
}

void api_handle_alertmanagers(struct api *api, struct http_call *call)
{
    (void)api;
    reply_lists(call, (const char *const[]){ "activeAlertmanagers",
                                             "droppedAlertmanagers", NULL });
}

/* ---- parameters of rules ------------------------------------------------- */

static bool type_param(struct http_call *call)
{
    sonde_str type = api_param(call, "type");
    char lower[API_SHOWN_MAX];

    if (type.len == 0 || str_eq_nocase(type, SONDE_STR("alert")) ||
        str_eq_nocase(type, SONDE_STR("record")))
        return true;
    type = str_sub(type, 0, sizeof(lower));
    for (size_t i = 0; i < type.len; i++)
        lower[i] = (char)tolower((unsigned char)type.ptr[i]);
    api_error(call, API_BAD_DATA,
              "invalid parameter \"type\": not supported value \"%.*s\"",
              (int)type.len, lower);
    return false;
}

static bool exclude_param(struct http_call *call)
{
    sonde_str v = api_param(call, "exclude_alerts");
    bool exclude;

    if (v.len == 0 || api_bool_parse(v, &exclude))
        return true;
    api_error(call, API_BAD_DATA,
              "invalid parameter \"exclude_alerts\": error converting "
              "exclude_alerts: strconv.ParseBool: parsing \"%.*s\": invalid "
              "syntax",
              SONDE_ARG(str_sub(v, 0, API_SHOWN_MAX)));
    return false;
}

static bool is_integer(sonde_str s)
{
    size_t i = s.len > 1 && (s.ptr[0] == '-' || s.ptr[0] == '+');

    for (; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

static bool group_limit_param(struct http_call *call, bool *given)
{
    sonde_str v = api_param(call, "group_limit");
    int64_t n;

    *given = v.len > 0;
    if (v.len == 0)
        return true;
    if (!str_to_i64(v, &n))
        api_error(call, API_BAD_DATA,
                  "invalid parameter \"group_limit\": group_limit needs to be "
                  "a valid number: strconv.ParseInt: parsing \"%.*s\": %s",
                  SONDE_ARG(str_sub(v, 0, API_SHOWN_MAX)),
                  is_integer(v) ? "value out of range" : "invalid syntax");
    else if (n <= 0)
        api_error(call, API_BAD_DATA,
                  "invalid parameter \"group_limit\": group_limit needs to be "
                  "greater than 0");
    else
        return true;
    return false;
}

/* No token was ever given out, so none is known. */
static bool group_token_param(struct http_call *call, bool limited)
{
    sonde_str v = api_param(call, "group_next_token");

    if (v.len == 0)
        return true;
    if (limited)
        api_error(call, API_BAD_DATA,
                  "invalid parameter \"group_next_token\": invalid "
                  "group_next_token '%.*s'. were rule groups changed?",
                  SONDE_ARG(str_sub(v, 0, API_SHOWN_MAX)));
    else
        api_error(call, API_BAD_DATA,
                  "invalid parameter \"group_next_token\": group_limit needs "
                  "to be present in order to paginate over the groups");
    return false;
}

static bool match_param(struct http_call *call)
{
    struct api_selectors p;
    struct sonde_err why;

    if (http_call_params_broken(call, &why)) {
        api_error(call, API_BAD_DATA, "error parsing form values: %s",
                  why.text);
        return false;
    }
    if (!api_selectors_match(call, &p, ""))
        return false;
    api_selectors_fini(&p);
    return true;
}

void api_handle_rules(struct api *api, struct http_call *call)
{
    bool limited;

    (void)api;
    if (match_param(call) && type_param(call) && exclude_param(call) &&
        group_limit_param(call, &limited) && group_token_param(call, limited))
        reply_lists(call, (const char *const[]){ "groups", NULL });
}
