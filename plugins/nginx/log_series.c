/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters by method, status, route and server.
 *
 * The four are small numbers, and together a key of 32 bits: a line costs one
 * probe of a table. What makes the number of series bounded is that methods
 * are a fixed list, routes are configured, of servers a hundred are kept, and
 * beyond `series_max` combinations all further ones are counted with method,
 * route and server "other" (at most one more for each status).
 */
#include <math.h>
#include <stdlib.h>

#include "log.h"

#define ROUTE_NONE   (LOG_ROUTES_MAX + 1)
#define SERVER_NONE  LOG_SERVERS_MAX
#define SERVER_OTHER (LOG_SERVERS_MAX + 1)
#define ROUTE_OTHER  0
#define STATUSES     1000

struct log_times {
    uint64_t count;
    double sum;
    uint64_t *buckets; /* not cumulative; one for each bound */
};

struct log_series {
    uint32_t key;
    uint64_t count, bytes, request_bytes;
    struct log_times times[LOG_TIMES];
    uint64_t buckets[]; /* of the times that the format has */
};

static uint32_t key_of(unsigned method, unsigned status, unsigned route,
                       unsigned server)
{
    return method << 27 | status << 17 | route << 8 | server;
}
static unsigned key_method(uint32_t key)
{
    return key >> 27;
}
static unsigned key_status(uint32_t key)
{
    return key >> 17 & 1023;
}
static unsigned key_route(uint32_t key)
{
    return key >> 8 & 511;
}
static unsigned key_server(uint32_t key)
{
    return key & 255;
}

/* ---- bounds -------------------------------------------------------------- */

static const char *const usual_bounds[] = { "0.005", "0.01", "0.025", "0.05",
                                            "0.1",   "0.25", "0.5",   "1",
                                            "2.5",   "5",    "10" };

sonde_code log_bounds_parse(const struct sonde_list *list, double *out,
                            size_t *count, struct sonde_err *err)
{
    size_t n = list->count ? list->count
                           : sizeof(usual_bounds) / sizeof(usual_bounds[0]);

    if (n > LOG_BUCKETS_MAX)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "time_buckets: expected at most %d bounds, got "
                             "%zu",
                             LOG_BUCKETS_MAX, n);
    for (size_t i = 0; i < n; i++) {
        const char *z = list->count ? list->items[i].ptr : usual_bounds[i];
        char *end = NULL;

        out[i] = strtod(z ? z : "", &end);
        if (!z || end == z || *end || !isfinite(out[i]) ||
            (i && out[i] <= out[i - 1]))
            return sonde_err_set(err, SONDE_EINVAL,
                                 "time_buckets: expected seconds that rise, "
                                 "got \"%.40s\"",
                                 z ? z : "");
    }
    *count = n;
    return SONDE_OK;
}

/* ---- life ---------------------------------------------------------------- */

static uint64_t add_text(uint64_t h, sonde_str s)
{
    return log_checksum(log_checksum(h, s.ptr, s.len), "", 1);
}

/* What keys and buckets mean: counters saved under another one are of no
 * use. */
static uint64_t fingerprint_of(const struct log_counts *c,
                               const struct nginx_options *o)
{
    uint64_t h =
        log_checksum(LOG_CHECKSUM_SEED, &o->series_max, sizeof(o->series_max));

    for (unsigned i = 0; i < log_method_count(); i++)
        h = add_text(h, log_method_name(i));
    h = add_text(add_text(h, o->log_format), o->server_label);
    h = log_checksum(h, c->bounds, c->bound_count * sizeof(c->bounds[0]));
    for (size_t i = 0; i < c->routes->count; i++)
        h = add_text(h, c->routes->items[i].pattern);
    return h;
}

sonde_code log_counts_init(struct log_counts *c, const struct log_format *f,
                           const struct log_routes *r,
                           const struct nginx_options *o, struct sonde_err *err)
{
    sonde_code rc;

    *c = (struct log_counts){ .format = f,
                              .routes = r,
                              .series_max = (size_t)o->series_max };
    rc = log_bounds_parse(&o->time_buckets, c->bounds, &c->bound_count, err);
    if (rc != SONDE_OK)
        return rc;
    c->fingerprint = fingerprint_of(c, o);
    /* Room for one more for each status, and never more than half full. */
    c->slot_count = 64;
    while (c->slot_count < 2 * (c->series_max + STATUSES))
        c->slot_count *= 2;
    c->slots = calloc(c->slot_count, sizeof(*c->slots));
    c->series = calloc(c->series_max + STATUSES, sizeof(*c->series));
    return c->slots && c->series
               ? SONDE_OK
               : sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

static void drop_all(struct log_counts *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->series[i]);
    for (size_t i = 0; i < c->server_count; i++)
        free(c->servers[i]);
    c->count = c->server_count = 0;
    c->folded = c->parse_errors = 0;
}

void log_counts_fini(struct log_counts *c)
{
    drop_all(c);
    free(c->series);
    free(c->slots);
    *c = (struct log_counts){ 0 };
}

/* ---- servers ------------------------------------------------------------- */

static uint32_t hash_name(sonde_str s)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 16777619u;
    return h ^ h >> 15;
}

static bool add_server(struct log_counts *c, sonde_str name, uint8_t *slot)
{
    if (c->server_count == LOG_SERVERS_MAX || name.len > NGINX_NAME_MAX)
        return false;
    c->servers[c->server_count] = strndup(name.ptr, name.len);
    if (!c->servers[c->server_count])
        return false;
    *slot = (uint8_t)++c->server_count;
    return true;
}

/* Names that can not be a label, and one that reads like our "other". */
static bool is_odd(sonde_str name)
{
    return name.len == 0 || sonde_str_eq(name, SONDE_STR("other")) ||
           !text_is_utf8(name);
}

static uint8_t *server_slot(struct log_counts *c, sonde_str name)
{
    size_t i = hash_name(name) & 255;

    while (c->server_slots[i] &&
           !sonde_str_eq(sonde_cstr(c->servers[c->server_slots[i] - 1]), name))
        i = (i + 1) & 255;
    return &c->server_slots[i];
}

static unsigned server_of(struct log_counts *c, sonde_str name)
{
    uint8_t *slot;

    if (!c->format->has[FIELD_SERVER])
        return SERVER_NONE;
    slot = server_slot(c, name);
    if (*slot == 0 && (is_odd(name) || !add_server(c, name, slot)))
        return SERVER_OTHER;
    return *slot - 1u;
}

/* ---- series -------------------------------------------------------------- */

static uint32_t *slot_of(const struct log_counts *c, uint32_t key)
{
    size_t i = (size_t)(key * 2654435769u >> 7) & (c->slot_count - 1);

    while (c->slots[i] && c->series[c->slots[i] - 1]->key != key)
        i = (i + 1) & (c->slot_count - 1);
    return &c->slots[i];
}

static struct log_series *add_series(struct log_counts *c, uint32_t key,
                                     uint32_t *slot)
{
    size_t n = 0;
    struct log_series *s;

    for (size_t i = 0; i < LOG_TIMES; i++)
        n += c->format->has[FIELD_TIME + i] ? c->bound_count : 0;
    s = calloc(1, sizeof(*s) + n * sizeof(s->buckets[0]));
    if (!s)
        return NULL;
    s->key = key;
    n = 0;
    for (size_t i = 0; i < LOG_TIMES; i++) {
        s->times[i].buckets = s->buckets + n;
        n += c->format->has[FIELD_TIME + i] ? c->bound_count : 0;
    }
    c->series[c->count++] = s;
    *slot = (uint32_t)c->count;
    return s;
}

static struct log_series *find_series(struct log_counts *c, uint32_t key)
{
    uint32_t *slot = slot_of(c, key);

    if (*slot)
        return c->series[*slot - 1];
    if (c->count >= c->series_max) {
        c->folded++;
        slot = slot_of(c, key_of(METHOD_OTHER, key_status(key), ROUTE_OTHER,
                                 SERVER_OTHER));
        if (*slot)
            return c->series[*slot - 1];
        key = key_of(METHOD_OTHER, key_status(key), ROUTE_OTHER, SERVER_OTHER);
    }
    return c->count < c->series_max + STATUSES ? add_series(c, key, slot)
                                               : NULL;
}

static void observe(const struct log_counts *c, struct log_times *t, double v)
{
    size_t i = 0;

    t->count++;
    t->sum += v;
    while (i < c->bound_count && v > c->bounds[i])
        i++;
    if (i < c->bound_count)
        t->buckets[i]++;
}

void log_counts_add(struct log_counts *c, const struct log_record *r)
{
    unsigned route = c->routes->count
                         ? log_route_of(c->routes, r->path) /* 0: other */
                         : ROUTE_NONE;
    struct log_series *s = find_series(
        c, key_of(r->method, r->status, route, server_of(c, r->server)));

    if (!s)
        return;
    s->count++;
    s->bytes += r->bytes;
    s->request_bytes += r->request_bytes;
    for (size_t i = 0; i < LOG_TIMES; i++)
        if (r->times[i] >= 0 && c->format->has[FIELD_TIME + i])
            observe(c, &s->times[i], r->times[i]);
}

/* ---- emission ------------------------------------------------------------ */

static const struct {
    enum nginx_family summary, histogram;
} time_families[LOG_TIMES] = {
    [TIME_REQUEST] = { F_LOG_TIME, F_LOG_TIME_HIST },
    [TIME_UPSTREAM] = { F_LOG_UPSTREAM, F_LOG_UPSTREAM_HIST },
    [TIME_CONNECT] = { F_LOG_CONNECT, F_LOG_CONNECT_HIST },
    [TIME_HEADER] = { F_LOG_HEADER, F_LOG_HEADER_HIST },
};

static void emit_times(const struct log_counts *c, const struct log_times *t,
                       size_t which, const sonde_str *labels,
                       struct nginx_emit *e)
{
    struct sonde_bucket buckets[LOG_BUCKETS_MAX];
    uint64_t sum = 0;

    if (t->count == 0)
        return;
    for (size_t i = 0; i < c->bound_count; i++) {
        sum += t->buckets[i];
        buckets[i] =
            (struct sonde_bucket){ .upper = c->bounds[i], .count = sum };
    }
    emit_summary(e, time_families[which].summary, labels, t->count, t->sum);
    emit_histogram(e, time_families[which].histogram, labels, buckets,
                   c->bound_count, t->count, t->sum);
}

static sonde_str route_name(const struct log_counts *c, unsigned route)
{
    if (route == ROUTE_NONE)
        return SONDE_STR("");
    return route == ROUTE_OTHER ? SONDE_STR("other")
                                : c->routes->items[route - 1].pattern;
}

static sonde_str server_name(const struct log_counts *c, unsigned server)
{
    if (server == SERVER_NONE)
        return SONDE_STR("");
    return server == SERVER_OTHER ? SONDE_STR("other")
                                  : sonde_cstr(c->servers[server]);
}

static void emit_series(const struct log_counts *c, const struct log_series *s,
                        struct nginx_emit *e)
{
    const struct log_format *f = c->format;
    char status[8];
    const sonde_str labels[] = {
        log_method_name(key_method(s->key)),
        { status, 3 },
        route_name(c, key_route(s->key)),
        server_name(c, key_server(s->key)),
    };

    (void)snprintf(status, sizeof(status), "%03u", key_status(s->key) % 1000);
    emit_sample(e, F_LOG_COUNT, labels, (double)s->count);
    if (f->has[FIELD_BODY_BYTES] || f->has[FIELD_BYTES])
        emit_sample(e, F_LOG_SIZE, labels, (double)s->bytes);
    if (f->has[FIELD_REQUEST_LENGTH])
        emit_sample(e, F_LOG_REQUEST_SIZE, labels, (double)s->request_bytes);
    for (size_t i = 0; i < LOG_TIMES; i++)
        emit_times(c, &s->times[i], i, labels, e);
}

void log_counts_emit(struct log_counts *c, struct nginx_emit *e)
{
    for (size_t i = 0; i < c->count; i++)
        emit_series(c, c->series[i], e);
    emit_sample(e, F_LOG_FOLDED, NULL, (double)c->folded);
}

/* ---- over restarts -------------------------------------------------------
 *
 *     fingerprint, parse errors, folded
 *     number of servers, their names
 *     number of series; of each: key, count, bytes, bytes of requests; for
 *         each time of the format: count, and if that is not 0 sum and buckets
 */

static void put_times(const struct log_counts *c, const struct log_times *t,
                      struct log_doc *d)
{
    log_doc_put(d, t->count);
    if (t->count == 0)
        return;
    log_doc_put_double(d, t->sum);
    for (size_t i = 0; i < c->bound_count; i++)
        log_doc_put(d, t->buckets[i]);
}

static void put_series(const struct log_counts *c, const struct log_series *s,
                       struct log_doc *d)
{
    log_doc_put(d, s->key);
    log_doc_put(d, s->count);
    log_doc_put(d, s->bytes);
    log_doc_put(d, s->request_bytes);
    for (size_t i = 0; i < LOG_TIMES; i++)
        if (c->format->has[FIELD_TIME + i])
            put_times(c, &s->times[i], d);
}

void log_counts_put(const struct log_counts *c, struct log_doc *d)
{
    log_doc_put_fixed(d, c->fingerprint);
    log_doc_put(d, c->parse_errors);
    log_doc_put(d, c->folded);
    log_doc_put(d, c->server_count);
    for (size_t i = 0; i < c->server_count; i++)
        log_doc_put_text(d, sonde_cstr(c->servers[i]));
    log_doc_put(d, c->count);
    for (size_t i = 0; i < c->count && !d->failed; i++)
        put_series(c, c->series[i], d);
}

/* Whether a line could have had it. */
static bool is_key(const struct log_counts *c, uint64_t key)
{
    unsigned route, server;

    if (key > UINT32_MAX)
        return false;
    route = key_route((uint32_t)key);
    server = key_server((uint32_t)key);
    if (c->routes->count ? route > c->routes->count && route != ROUTE_OTHER
                         : route != ROUTE_NONE && route != ROUTE_OTHER)
        return false;
    return key_method((uint32_t)key) < log_method_count() &&
           key_status((uint32_t)key) < STATUSES &&
           (server < c->server_count || server == SERVER_NONE ||
            server == SERVER_OTHER);
}

static void take_times(const struct log_counts *c, struct log_times *t,
                       struct log_cursor *from)
{
    uint64_t left;

    t->count = left = log_doc_take(from);
    if (left == 0)
        return;
    t->sum = log_doc_take_double(from);
    from->failed |= !isfinite(t->sum) || t->sum < 0;
    for (size_t i = 0; i < c->bound_count; i++) {
        t->buckets[i] = log_doc_take(from);
        from->failed |= t->buckets[i] > left;
        left -= from->failed ? 0 : t->buckets[i];
    }
}

static void take_series(struct log_counts *c, struct log_cursor *from)
{
    uint64_t key = log_doc_take(from);
    uint32_t *slot = is_key(c, key) ? slot_of(c, (uint32_t)key) : NULL;
    struct log_series *s = slot && *slot == 0 && !from->failed
                               ? add_series(c, (uint32_t)key, slot)
                               : NULL;

    if (!s) {
        from->failed = true;
        return;
    }
    s->count = log_doc_take(from);
    s->bytes = log_doc_take(from);
    s->request_bytes = log_doc_take(from);
    for (size_t i = 0; i < LOG_TIMES; i++)
        if (c->format->has[FIELD_TIME + i])
            take_times(c, &s->times[i], from);
}

static void take_server(struct log_counts *c, struct log_cursor *from)
{
    sonde_str name = log_doc_take_text(from);
    uint8_t *slot = from->failed ? NULL : server_slot(c, name);

    from->failed |=
        !slot || *slot || is_odd(name) || !add_server(c, name, slot);
}

bool log_counts_take(struct log_counts *c, struct log_cursor *from)
{
    uint64_t n;

    if (log_doc_take_fixed(from) != c->fingerprint)
        return !from->failed; /* of other options */
    c->parse_errors = log_doc_take(from);
    c->folded = log_doc_take(from);
    for (n = log_doc_take(from); n > 0 && !from->failed; n--)
        take_server(c, from);
    n = log_doc_take(from);
    from->failed |= n > c->series_max + STATUSES;
    for (; n > 0 && !from->failed; n--)
        take_series(c, from);
    if (!from->failed && from->left == 0)
        return true;
    drop_all(c);
    memset(c->slots, 0, c->slot_count * sizeof(c->slots[0]));
    memset(c->server_slots, 0, sizeof(c->server_slots));
    return false;
}
