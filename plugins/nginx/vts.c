/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of the module vts (/status/format/json), under the names that the
 * module itself uses for Prometheus; and its connections also under those of
 * stub_status, so that one dashboard shows all servers.
 *
 * The zone "*" is the sum of all others and is left out. Times are counted in
 * milliseconds there and are seconds here. Buckets are cumulative; what a
 * server could break about that is put right before it reaches the sink.
 */
#include "nginx.h"

#define BUCKETS_MAX 64

struct status_row {
    const char *key, *label;
};

static const struct status_row code_rows[] = {
    { "1xx", "1xx" }, { "2xx", "2xx" }, { "3xx", "3xx" },
    { "4xx", "4xx" }, { "5xx", "5xx" },
};
static const struct status_row cache_rows[] = {
    { "miss", "miss" },         { "bypass", "bypass" },
    { "expired", "expired" },   { "stale", "stale" },
    { "updating", "updating" }, { "revalidated", "revalidated" },
    { "hit", "hit" },           { "scarce", "scarce" },
};
static const struct status_row connection_rows[] = {
    { "accepted", "accepted" }, { "active", "active" },
    { "handled", "handled" },   { "reading", "reading" },
    { "requests", "requests" }, { "waiting", "waiting" },
    { "writing", "writing" },
};
static const struct status_row byte_rows[] = {
    { "inBytes", "in" },
    { "outBytes", "out" },
};
static const struct status_row shm_rows[] = {
    { "maxSize", "max_size" },
    { "usedSize", "used_size" },
    { "usedNode", "used_node" },
};
static const struct status_row size_rows[] = {
    { "maxSize", "max" },
    { "usedSize", "used" },
};

/* What the zones of one kind become. */
struct zone_families {
    enum nginx_family bytes, requests, seconds_total, seconds, duration;
    int cache; /* or -1 */
};

static const struct zone_families server_families = {
    F_VTS_SERVER_BYTES,   F_VTS_SERVER_REQUESTS, F_VTS_SERVER_SECONDS_TOTAL,
    F_VTS_SERVER_SECONDS, F_VTS_SERVER_DURATION, F_VTS_SERVER_CACHE,
};
static const struct zone_families filter_families = {
    F_VTS_FILTER_BYTES,   F_VTS_FILTER_REQUESTS, F_VTS_FILTER_SECONDS_TOTAL,
    F_VTS_FILTER_SECONDS, F_VTS_FILTER_DURATION, F_VTS_FILTER_CACHE,
};
static const struct zone_families upstream_families = {
    F_VTS_UPSTREAM_BYTES,         F_VTS_UPSTREAM_REQUESTS,
    F_VTS_UPSTREAM_SECONDS_TOTAL, F_VTS_UPSTREAM_SECONDS,
    F_VTS_UPSTREAM_DURATION,      -1,
};

/* Labels that stay the same, with room for the one that changes. */
struct names {
    sonde_str values[3];
    size_t count;
};

static void emit_rows(struct nginx_emit *e, enum nginx_family family,
                      struct names n, const json_t *object,
                      const struct status_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        n.values[n.count] = sonde_cstr(rows[i].label);
        emit_sample(e, family, n.values, json_double(object, rows[i].key));
    }
}
#define EMIT_ROWS(e, family, names, object, rows)                              \
    emit_rows((e), (family), (names), (object), (rows),                        \
              sizeof(rows) / sizeof((rows)[0]))

static uint64_t counter(const json_t *object, const char *key)
{
    double v = json_double(object, key);

    return v > 0 && v < 1.8e19 ? (uint64_t)v : 0;
}

/* Buckets in the order of their bounds, with counts that do not fall. */
static size_t read_buckets(const json_t *object, uint64_t most,
                           struct sonde_bucket *out)
{
    const json_t *bounds = json_object_get(object, "msecs");
    const json_t *counts = json_object_get(object, "counters");
    size_t n = 0, given = json_array_size(bounds);
    uint64_t last = 0;

    for (size_t i = 0; i < given && n < BUCKETS_MAX; i++) {
        double upper = json_number_value(json_array_get(bounds, i)) / 1000;
        double v = json_number_value(json_array_get(counts, i));
        uint64_t c = v > 0 && v < 1.8e19 ? (uint64_t)v : 0;

        if (n && upper <= out[n - 1].upper)
            continue;
        last = c < last ? last : c > most ? most : c;
        out[n++] = (struct sonde_bucket){ .upper = upper, .count = last };
    }
    return n;
}

static void emit_buckets(struct nginx_emit *e, enum nginx_family family,
                         const struct names *n, const json_t *zone,
                         const char *key, const char *sum_key)
{
    const json_t *object = json_object_get(zone, key);
    struct sonde_bucket buckets[BUCKETS_MAX];
    uint64_t count = counter(zone, "requestCounter");
    size_t given = read_buckets(object, count, buckets);

    if (given)
        emit_histogram(e, family, n->values, buckets, given, count,
                       json_double(zone, sum_key) / 1000);
}

static void emit_zone(struct nginx_emit *e, const struct zone_families *f,
                      const struct names *n, const json_t *zone)
{
    const json_t *responses = json_object_get(zone, "responses");
    struct names total = *n;

    EMIT_ROWS(e, f->bytes, *n, zone, byte_rows);
    EMIT_ROWS(e, f->requests, *n, responses, code_rows);
    total.values[total.count] = SONDE_STR("total");
    emit_sample(e, f->requests, total.values,
                json_double(zone, "requestCounter"));
    emit_sample(e, f->seconds_total, n->values,
                json_double(zone, "requestMsecCounter") / 1000);
    emit_sample(e, f->seconds, n->values,
                json_double(zone, "requestMsec") / 1000);
    emit_buckets(e, f->duration, n, zone, "requestBuckets",
                 "requestMsecCounter");
    if (f->cache >= 0 && json_object_get(responses, "miss"))
        EMIT_ROWS(e, (enum nginx_family)f->cache, *n, responses, cache_rows);
}

static void emit_servers(struct nginx_emit *e, const json_t *zones)
{
    const char *name;
    json_t *zone;

    json_object_foreach((json_t *)zones, name, zone) /* it is not changed */
    {
        struct names n = { { sonde_cstr(name) }, 1 };

        if (strcmp(name, "*") != 0 && emit_name(e, n.values[0]))
            emit_zone(e, &server_families, &n, zone);
    }
}

static void emit_filters(struct nginx_emit *e, const json_t *groups)
{
    const char *group, *name;
    json_t *zones, *zone;

    json_object_foreach((json_t *)groups, group, zones)
    {
        json_object_foreach(zones, name, zone)
        {
            struct names n = { { sonde_cstr(group), sonde_cstr(name) }, 2 };

            if (emit_name(e, n.values[0]) && emit_name(e, n.values[1]))
                emit_zone(e, &filter_families, &n, zone);
        }
    }
}

static void emit_backend(struct nginx_emit *e, const struct names *n,
                         const json_t *backend)
{
    emit_zone(e, &upstream_families, n, backend);
    emit_sample(e, F_VTS_UPSTREAM_RESPONSE_SECONDS_TOTAL, n->values,
                json_double(backend, "responseMsecCounter") / 1000);
    emit_sample(e, F_VTS_UPSTREAM_RESPONSE_SECONDS, n->values,
                json_double(backend, "responseMsec") / 1000);
    emit_buckets(e, F_VTS_UPSTREAM_RESPONSE_DURATION, n, backend,
                 "responseBuckets", "responseMsecCounter");
}

static void emit_upstreams(struct nginx_emit *e, const json_t *upstreams)
{
    const char *name;
    json_t *backends, *backend;
    size_t i;

    json_object_foreach((json_t *)upstreams, name, backends)
    {
        struct nginx_seen seen = { 0 };

        json_array_foreach(backends, i, backend)
        {
            struct names n = {
                { sonde_cstr(name), json_text(backend, "server") }, 2
            };

            if (!emit_name(e, n.values[0]) || !emit_name(e, n.values[1]))
                continue;
            if (seen_before(&seen, n.values[1]))
                e->dropped++;
            else
                emit_backend(e, &n, backend);
        }
        seen_fini(&seen);
    }
}

static void emit_caches(struct nginx_emit *e, const json_t *zones)
{
    const char *name;
    json_t *zone;

    json_object_foreach((json_t *)zones, name, zone)
    {
        struct names n = { { sonde_cstr(name) }, 1 };

        if (!emit_name(e, n.values[0]))
            continue;
        EMIT_ROWS(e, F_VTS_CACHE_USAGE, n, zone, size_rows);
        EMIT_ROWS(e, F_VTS_CACHE_BYTES, n, zone, byte_rows);
        EMIT_ROWS(e, F_VTS_CACHE_REQUESTS, n,
                  json_object_get(zone, "responses"), cache_rows);
    }
}

static void emit_main(struct nginx_emit *e, const json_t *doc)
{
    const json_t *c = json_object_get(doc, "connections");
    const json_t *shm = json_object_get(doc, "sharedZones");
    const struct stub_status stub = {
        .active = counter(c, "active"),
        .accepts = counter(c, "accepted"),
        .handled = counter(c, "handled"),
        .requests = counter(c, "requests"),
        .reading = counter(c, "reading"),
        .writing = counter(c, "writing"),
        .waiting = counter(c, "waiting"),
    };
    const sonde_str info[] = { json_text(doc, "hostName"),
                               json_text(doc, "moduleVersion"),
                               json_text(doc, "nginxVersion") };

    if (emit_name(e, info[0]) && emit_name(e, info[1]) && emit_name(e, info[2]))
        emit_sample(e, F_VTS_INFO, info, 1);
    emit_sample(e, F_VTS_START, NULL, json_double(doc, "loadMsec") / 1000);
    stub_emit(e, &stub);
    EMIT_ROWS(e, F_VTS_CONNECTIONS, (struct names){ 0 }, c, connection_rows);
    if (shm)
        EMIT_ROWS(e, F_VTS_SHM, (struct names){ 0 }, shm, shm_rows);
}

sonde_code vts_emit(struct nginx_emit *e, const json_t *doc,
                    struct sonde_err *err)
{
    if (!json_is_object(json_object_get(doc, "connections")) ||
        !json_object_get(doc, "loadMsec"))
        return sonde_err_set(err, SONDE_EPARSE,
                             "expected the JSON of the module vts, got another "
                             "document: the path ends in /format/json");
    emit_main(e, doc);
    emit_servers(e, json_object_get(doc, "serverZones"));
    emit_filters(e, json_object_get(doc, "filterZones"));
    emit_upstreams(e, json_object_get(doc, "upstreamZones"));
    emit_caches(e, json_object_get(doc, "cacheZones"));
    return SONDE_OK;
}
