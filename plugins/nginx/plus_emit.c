/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of the API of NGINX Plus, walked along their tables. */
#include <stdlib.h>

#include "plus.h"

#define LABELS_MAX 3

struct labels {
    sonde_str values[LABELS_MAX]; /* the last one is left for a code */
    size_t count;
};

static void emit_rows(struct nginx_emit *e, struct labels l,
                      const struct plus_row *rows, size_t n,
                      const json_t *object)
{
    for (size_t i = 0; i < n; i++) {
        const struct plus_row *r = &rows[i];
        const json_t *in = r->in ? json_object_get(object, r->in) : object;

        if (r->code)
            l.values[l.count] = sonde_cstr(r->code);
        emit_sample(e, r->family, l.values, json_double(in, r->key));
    }
}

/* The statuses that occurred; the exporter has a fixed list of forty with
 * zeroes for all others. */
static void emit_codes(struct nginx_emit *e, struct labels l,
                       enum nginx_family family, const json_t *object)
{
    const json_t *responses = json_object_get(object, "responses");
    json_t *codes = json_object_get(responses, "codes");
    const char *code;
    json_t *count;

    if (family == NGINX_FAMILY_COUNT)
        return;
    json_object_foreach(codes, code, count)
    {
        l.values[l.count] = sonde_cstr(code);
        if (emit_name(e, l.values[l.count]))
            emit_sample(e, family, l.values, json_number_value(count));
    }
}

static double state_number(sonde_str state)
{
    static const struct {
        sonde_str name;
        double number;
    } states[] = {
        { SONDE_STR("up"), 1 },       { SONDE_STR("draining"), 2 },
        { SONDE_STR("down"), 3 },     { SONDE_STR("unavail"), 4 },
        { SONDE_STR("checking"), 5 }, { SONDE_STR("unhealthy"), 6 },
    };

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (sonde_str_eq(states[i].name, state))
            return states[i].number;
    return 0;
}

static bool is_checked(const json_t *peer)
{
    const json_t *h = json_object_get(peer, "health_checks");

    return json_double(h, "checks") != 0 || json_double(h, "fails") != 0 ||
           json_double(h, "unhealthy") != 0 || json_double(h, "last_passed");
}

static void emit_peer(struct nginx_emit *e, const struct plus_endpoint *p,
                      const struct labels *l, const json_t *peer)
{
    emit_sample(e, p->state, l->values, state_number(json_text(peer, "state")));
    emit_rows(e, *l, p->peers, p->peer_count, peer);
    emit_codes(e, *l, p->codes, peer);
    if (is_checked(peer))
        emit_rows(e, *l, p->checks, PLUS_CHECK_ROWS, peer);
}

static void emit_peers(struct nginx_emit *e, const struct plus_endpoint *p,
                       sonde_str upstream, const json_t *peers)
{
    struct nginx_seen seen = { 0 };
    json_t *peer;
    size_t i;

    json_array_foreach(peers, i, peer)
    {
        struct labels l = { { upstream, json_text(peer, "server") }, 2 };

        if (!emit_name(e, l.values[1]))
            continue;
        if (seen_before(&seen, l.values[1]))
            e->dropped++;
        else
            emit_peer(e, p, &l, peer);
    }
    seen_fini(&seen);
}

static void emit_zones(struct nginx_emit *e, const struct plus_endpoint *p,
                       const json_t *zones)
{
    const char *name;
    json_t *zone;

    json_object_foreach((json_t *)zones, name, zone) /* it is not changed */
    {
        struct labels l = { { sonde_cstr(name) }, 1 };

        if (!emit_name(e, l.values[0]))
            continue;
        emit_rows(e, l, p->rows, p->row_count, zone);
        if (p->shape == PLUS_UPSTREAMS)
            emit_peers(e, p, l.values[0], json_object_get(zone, "peers"));
        else
            emit_codes(e, l, p->codes, zone);
    }
}

static sonde_str number_text(char z[24], const json_t *object, const char *key)
{
    int n = snprintf(z, 24, "%.17g", json_double(object, key));

    return (sonde_str){ z, n > 0 && n < 24 ? (size_t)n : 0 };
}

static void emit_workers(struct nginx_emit *e, const struct plus_endpoint *p,
                         const json_t *workers)
{
    struct nginx_seen seen = { 0 };
    size_t n = json_array_size(workers);
    char(*texts)[2][24] = calloc(n ? n : 1, sizeof(*texts));

    for (size_t i = 0; texts && i < n; i++) {
        const json_t *w = json_array_get(workers, i);
        const json_t *http = json_object_get(w, "http");
        struct labels l = { { number_text(texts[i][0], w, "id"),
                              number_text(texts[i][1], w, "pid") },
                            2 };

        if (seen_before(&seen, l.values[0])) {
            e->dropped++;
            continue;
        }
        for (size_t k = 0; k < p->row_count; k++) {
            const struct plus_row *r = &p->rows[k];
            const json_t *in = json_object_get(w, r->in);

            if (!in) /* requests are those of http */
                in = json_object_get(http, r->in);
            emit_sample(e, r->family, l.values, json_double(in, r->key));
        }
    }
    free(texts);
    seen_fini(&seen);
}

void plus_emit_document(struct nginx_emit *e, const struct plus_endpoint *p,
                        const json_t *doc)
{
    const struct labels none = { .count = 0 };

    switch (p->shape) {
    case PLUS_ONE:
        emit_rows(e, none, p->rows, p->row_count, doc);
        break;
    case PLUS_ZONES:
    case PLUS_UPSTREAMS:
        emit_zones(e, p, doc);
        break;
    case PLUS_SYNC:
        emit_zones(e, p, json_object_get(doc, "zones"));
        break;
    case PLUS_WORKERS:
        emit_workers(e, p, doc);
        break;
    }
    if (!p->extra_member || json_object_get(doc, p->extra_member))
        emit_rows(e, none, p->extra, p->extra_count, doc);
}
