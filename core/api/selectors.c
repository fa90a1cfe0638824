/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters match[], start, end and limit, which several endpoints take.
 */
#include "api/api_int.h"
#include "api/times.h"
#include "promql/promql.h"

#define SELECTORS_MAX 1000

void api_selectors_fini(struct api_selectors *p)
{
    for (size_t i = 0; i < p->count; i++)
        api_matchers_fini(p->selectors[i].items, p->selectors[i].count);
}

/* A selector that accepts everything is refused: it is nearly always a
 * mistake, and always expensive. */
static bool selects_something(const struct api_selector *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!matcher_matches(&s->items[i], (sonde_str){ 0 }))
            return true;
    return false;
}

/* `prefix` is what Prometheus puts before the error on some endpoints. */
static bool add_selector(struct http_call *call, struct api_selectors *p,
                         sonde_str text, const char *prefix)
{
    struct api_selector *s = &p->selectors[p->count];
    struct sonde_err err = { 0 };

    if (promql_parse_selector(http_call_arena(call), text, &s->items, &s->count,
                              &err) != SONDE_OK) {
        api_error(call, API_BAD_DATA, "%s%s", prefix, err.text);
        return false;
    }
    p->count++;
    if (selects_something(s))
        return true;
    api_error(call, API_BAD_DATA,
              "%smatch[] must contain at least one non-empty matcher", prefix);
    return false;
}

bool api_selectors_get(struct http_call *call, struct api_selectors *p,
                       const char *prefix)
{
    sonde_msec start = API_TIME_MIN, end = API_TIME_MAX;
    size_t limit = 0;

    if (!api_limit_param(call, &limit) ||
        !api_time_param(call, "start", &start) ||
        !api_time_param(call, "end", &end) ||
        !api_selectors_match(call, p, prefix))
        return false;
    p->start = start;
    p->end = end;
    p->limit = limit;
    return true;
}

bool api_selectors_match(struct http_call *call, struct api_selectors *p,
                         const char *prefix)
{
    size_t n = 0;
    sonde_str v;

    *p = (struct api_selectors){ .start = API_TIME_MIN, .end = API_TIME_MAX };
    while (n < SELECTORS_MAX && http_call_param(call, "match[]", n, &v))
        n++;
    p->selectors =
        arena_array(http_call_arena(call), struct api_selector, n + 1);
    for (size_t i = 0; i < n; i++) {
        (void)http_call_param(call, "match[]", i, &v);
        if (!add_selector(call, p, v, prefix)) {
            api_selectors_fini(p);
            return false;
        }
    }
    return true;
}

struct select_hints api_selectors_hints(const struct api_selectors *p)
{
    return (struct select_hints){ .mint = p->start, .maxt = p->end };
}

bool api_selectors_given(struct http_call *call)
{
    struct sonde_err why;

    if (http_call_params_broken(call, &why))
        api_error(call, API_BAD_DATA, "error parsing form values: %s",
                  why.text);
    else if (api_param(call, "match[]").len == 0)
        api_error(call, API_BAD_DATA, "no match[] parameter provided");
    else
        return true;
    return false;
}
