/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API of NGINX Plus as tables: which paths there are, how their documents
 * are shaped, and which member becomes which family.
 *
 * A member that is not there counts as 0, as in nginx-prometheus-exporter:
 * a zone without TLS has ssl_handshakes 0.
 */
#include "plus.h"

#define ROWS(r)   .rows = (r), .row_count = sizeof(r) / sizeof((r)[0])
#define NO_FAMILY NGINX_FAMILY_COUNT

static const struct plus_row connections[] = {
    { F_PLUS_CONN_ACCEPTED, NULL, "accepted", NULL },
    { F_PLUS_CONN_DROPPED, NULL, "dropped", NULL },
    { F_PLUS_CONN_ACTIVE, NULL, "active", NULL },
    { F_PLUS_CONN_IDLE, NULL, "idle", NULL },
};

static const struct plus_row requests[] = {
    { F_PLUS_REQUESTS, NULL, "total", NULL },
    { F_PLUS_REQUESTS_CURRENT, NULL, "current", NULL },
};

static const struct plus_row ssl[] = {
    { F_PLUS_SSL_HANDSHAKES, NULL, "handshakes", NULL },
    { F_PLUS_SSL_FAILED, NULL, "handshakes_failed", NULL },
    { F_PLUS_SSL_REUSES, NULL, "session_reuses", NULL },
};

static const struct plus_row server_zones[] = {
    { F_PLUS_ZONE_PROCESSING, NULL, "processing", NULL },
    { F_PLUS_ZONE_REQUESTS, NULL, "requests", NULL },
    { F_PLUS_ZONE_RESPONSES, "responses", "1xx", "1xx" },
    { F_PLUS_ZONE_RESPONSES, "responses", "2xx", "2xx" },
    { F_PLUS_ZONE_RESPONSES, "responses", "3xx", "3xx" },
    { F_PLUS_ZONE_RESPONSES, "responses", "4xx", "4xx" },
    { F_PLUS_ZONE_RESPONSES, "responses", "5xx", "5xx" },
    { F_PLUS_ZONE_DISCARDED, NULL, "discarded", NULL },
    { F_PLUS_ZONE_RECEIVED, NULL, "received", NULL },
    { F_PLUS_ZONE_SENT, NULL, "sent", NULL },
    { F_PLUS_ZONE_SSL_HANDSHAKES, "ssl", "handshakes", NULL },
    { F_PLUS_ZONE_SSL_FAILED, "ssl", "handshakes_failed", NULL },
    { F_PLUS_ZONE_SSL_REUSES, "ssl", "session_reuses", NULL },
};

static const struct plus_row location_zones[] = {
    { F_PLUS_LOCATION_REQUESTS, NULL, "requests", NULL },
    { F_PLUS_LOCATION_RESPONSES, "responses", "1xx", "1xx" },
    { F_PLUS_LOCATION_RESPONSES, "responses", "2xx", "2xx" },
    { F_PLUS_LOCATION_RESPONSES, "responses", "3xx", "3xx" },
    { F_PLUS_LOCATION_RESPONSES, "responses", "4xx", "4xx" },
    { F_PLUS_LOCATION_RESPONSES, "responses", "5xx", "5xx" },
    { F_PLUS_LOCATION_DISCARDED, NULL, "discarded", NULL },
    { F_PLUS_LOCATION_RECEIVED, NULL, "received", NULL },
    { F_PLUS_LOCATION_SENT, NULL, "sent", NULL },
};

static const struct plus_row stream_server_zones[] = {
    { F_PLUS_SZONE_PROCESSING, NULL, "processing", NULL },
    { F_PLUS_SZONE_CONNECTIONS, NULL, "connections", NULL },
    { F_PLUS_SZONE_SESSIONS, "sessions", "2xx", "2xx" },
    { F_PLUS_SZONE_SESSIONS, "sessions", "4xx", "4xx" },
    { F_PLUS_SZONE_SESSIONS, "sessions", "5xx", "5xx" },
    { F_PLUS_SZONE_DISCARDED, NULL, "discarded", NULL },
    { F_PLUS_SZONE_RECEIVED, NULL, "received", NULL },
    { F_PLUS_SZONE_SENT, NULL, "sent", NULL },
    { F_PLUS_SZONE_SSL_HANDSHAKES, "ssl", "handshakes", NULL },
    { F_PLUS_SZONE_SSL_FAILED, "ssl", "handshakes_failed", NULL },
    { F_PLUS_SZONE_SSL_REUSES, "ssl", "session_reuses", NULL },
};

static const struct plus_row peers[] = {
    { F_PLUS_PEER_ACTIVE, NULL, "active", NULL },
    { F_PLUS_PEER_LIMIT, NULL, "max_conns", NULL },
    { F_PLUS_PEER_REQUESTS, NULL, "requests", NULL },
    { F_PLUS_PEER_RESPONSES, "responses", "1xx", "1xx" },
    { F_PLUS_PEER_RESPONSES, "responses", "2xx", "2xx" },
    { F_PLUS_PEER_RESPONSES, "responses", "3xx", "3xx" },
    { F_PLUS_PEER_RESPONSES, "responses", "4xx", "4xx" },
    { F_PLUS_PEER_RESPONSES, "responses", "5xx", "5xx" },
    { F_PLUS_PEER_SENT, NULL, "sent", NULL },
    { F_PLUS_PEER_RECEIVED, NULL, "received", NULL },
    { F_PLUS_PEER_FAILS, NULL, "fails", NULL },
    { F_PLUS_PEER_UNAVAIL, NULL, "unavail", NULL },
    { F_PLUS_PEER_HEADER_TIME, NULL, "header_time", NULL },
    { F_PLUS_PEER_RESPONSE_TIME, NULL, "response_time", NULL },
    { F_PLUS_PEER_SSL_HANDSHAKES, "ssl", "handshakes", NULL },
    { F_PLUS_PEER_SSL_FAILED, "ssl", "handshakes_failed", NULL },
    { F_PLUS_PEER_SSL_REUSES, "ssl", "session_reuses", NULL },
};

static const struct plus_row peer_checks[PLUS_CHECK_ROWS] = {
    { F_PLUS_PEER_CHECKS, "health_checks", "checks", NULL },
    { F_PLUS_PEER_CHECK_FAILS, "health_checks", "fails", NULL },
    { F_PLUS_PEER_CHECK_UNHEALTHY, "health_checks", "unhealthy", NULL },
};

static const struct plus_row upstreams[] = {
    { F_PLUS_UPSTREAM_KEEPALIVE, NULL, "keepalive", NULL },
    { F_PLUS_UPSTREAM_ZOMBIES, NULL, "zombies", NULL },
};

static const struct plus_row stream_peers[] = {
    { F_PLUS_SPEER_ACTIVE, NULL, "active", NULL },
    { F_PLUS_SPEER_LIMIT, NULL, "max_conns", NULL },
    { F_PLUS_SPEER_CONNECTIONS, NULL, "connections", NULL },
    { F_PLUS_SPEER_CONNECT_TIME, NULL, "connect_time", NULL },
    { F_PLUS_SPEER_FIRST_BYTE_TIME, NULL, "first_byte_time", NULL },
    { F_PLUS_SPEER_RESPONSE_TIME, NULL, "response_time", NULL },
    { F_PLUS_SPEER_SENT, NULL, "sent", NULL },
    { F_PLUS_SPEER_RECEIVED, NULL, "received", NULL },
    { F_PLUS_SPEER_FAILS, NULL, "fails", NULL },
    { F_PLUS_SPEER_UNAVAIL, NULL, "unavail", NULL },
    { F_PLUS_SPEER_SSL_HANDSHAKES, "ssl", "handshakes", NULL },
    { F_PLUS_SPEER_SSL_FAILED, "ssl", "handshakes_failed", NULL },
    { F_PLUS_SPEER_SSL_REUSES, "ssl", "session_reuses", NULL },
};

static const struct plus_row stream_peer_checks[PLUS_CHECK_ROWS] = {
    { F_PLUS_SPEER_CHECKS, "health_checks", "checks", NULL },
    { F_PLUS_SPEER_CHECK_FAILS, "health_checks", "fails", NULL },
    { F_PLUS_SPEER_CHECK_UNHEALTHY, "health_checks", "unhealthy", NULL },
};

static const struct plus_row stream_upstreams[] = {
    { F_PLUS_SUPSTREAM_ZOMBIES, NULL, "zombies", NULL },
};

static const struct plus_row sync_zones[] = {
    { F_PLUS_SYNC_PENDING, NULL, "records_pending", NULL },
    { F_PLUS_SYNC_TOTAL, NULL, "records_total", NULL },
};

static const struct plus_row sync_status[] = {
    { F_PLUS_SYNC_BYTES_IN, "status", "bytes_in", NULL },
    { F_PLUS_SYNC_BYTES_OUT, "status", "bytes_out", NULL },
    { F_PLUS_SYNC_MSGS_IN, "status", "msgs_in", NULL },
    { F_PLUS_SYNC_MSGS_OUT, "status", "msgs_out", NULL },
    { F_PLUS_SYNC_NODES, "status", "nodes_online", NULL },
};

static const struct plus_row resolvers[] = {
    { F_PLUS_RESOLVER_NAME, "requests", "name", NULL },
    { F_PLUS_RESOLVER_SRV, "requests", "srv", NULL },
    { F_PLUS_RESOLVER_ADDR, "requests", "addr", NULL },
    { F_PLUS_RESOLVER_NOERROR, "responses", "noerror", NULL },
    { F_PLUS_RESOLVER_FORMERR, "responses", "formerr", NULL },
    { F_PLUS_RESOLVER_SERVFAIL, "responses", "servfail", NULL },
    { F_PLUS_RESOLVER_NXDOMAIN, "responses", "nxdomain", NULL },
    { F_PLUS_RESOLVER_NOTIMP, "responses", "notimp", NULL },
    { F_PLUS_RESOLVER_REFUSED, "responses", "refused", NULL },
    { F_PLUS_RESOLVER_TIMEDOUT, "responses", "timedout", NULL },
    { F_PLUS_RESOLVER_UNKNOWN, "responses", "unknown", NULL },
};

static const struct plus_row limit_reqs[] = {
    { F_PLUS_LIMIT_REQ_PASSED, NULL, "passed", NULL },
    { F_PLUS_LIMIT_REQ_REJECTED, NULL, "rejected", NULL },
    { F_PLUS_LIMIT_REQ_DELAYED, NULL, "delayed", NULL },
    { F_PLUS_LIMIT_REQ_REJECTED_DRY, NULL, "rejected_dry_run", NULL },
    { F_PLUS_LIMIT_REQ_DELAYED_DRY, NULL, "delayed_dry_run", NULL },
};

static const struct plus_row limit_conns[] = {
    { F_PLUS_LIMIT_CONN_PASSED, NULL, "passed", NULL },
    { F_PLUS_LIMIT_CONN_REJECTED, NULL, "rejected", NULL },
    { F_PLUS_LIMIT_CONN_REJECTED_DRY, NULL, "rejected_dry_run", NULL },
};

static const struct plus_row stream_limit_conns[] = {
    { F_PLUS_SLIMIT_CONN_PASSED, NULL, "passed", NULL },
    { F_PLUS_SLIMIT_CONN_REJECTED, NULL, "rejected", NULL },
    { F_PLUS_SLIMIT_CONN_REJECTED_DRY, NULL, "rejected_dry_run", NULL },
};

static const struct plus_row caches[] = {
    { F_PLUS_CACHE_SIZE, NULL, "size", NULL },
    { F_PLUS_CACHE_MAX_SIZE, NULL, "max_size", NULL },
    { F_PLUS_CACHE_COLD, NULL, "cold", NULL },
    { F_PLUS_CACHE_HIT_RESPONSES, "hit", "responses", NULL },
    { F_PLUS_CACHE_HIT_BYTES, "hit", "bytes", NULL },
    { F_PLUS_CACHE_STALE_RESPONSES, "stale", "responses", NULL },
    { F_PLUS_CACHE_STALE_BYTES, "stale", "bytes", NULL },
    { F_PLUS_CACHE_UPDATING_RESPONSES, "updating", "responses", NULL },
    { F_PLUS_CACHE_UPDATING_BYTES, "updating", "bytes", NULL },
    { F_PLUS_CACHE_REVALIDATED_RESPONSES, "revalidated", "responses", NULL },
    { F_PLUS_CACHE_REVALIDATED_BYTES, "revalidated", "bytes", NULL },
    { F_PLUS_CACHE_MISS_RESPONSES, "miss", "responses", NULL },
    { F_PLUS_CACHE_MISS_BYTES, "miss", "bytes", NULL },
    { F_PLUS_CACHE_EXPIRED_RESPONSES, "expired", "responses", NULL },
    { F_PLUS_CACHE_EXPIRED_BYTES, "expired", "bytes", NULL },
    { F_PLUS_CACHE_EXPIRED_RESPONSES_WRITTEN, "expired", "responses_written",
      NULL },
    { F_PLUS_CACHE_EXPIRED_BYTES_WRITTEN, "expired", "bytes_written", NULL },
    { F_PLUS_CACHE_BYPASS_RESPONSES, "bypass", "responses", NULL },
    { F_PLUS_CACHE_BYPASS_BYTES, "bypass", "bytes", NULL },
    { F_PLUS_CACHE_BYPASS_RESPONSES_WRITTEN, "bypass", "responses_written",
      NULL },
    { F_PLUS_CACHE_BYPASS_BYTES_WRITTEN, "bypass", "bytes_written", NULL },
};

static const struct plus_row workers[] = {
    { F_PLUS_WORKER_ACCEPTED, "connections", "accepted", NULL },
    { F_PLUS_WORKER_DROPPED, "connections", "dropped", NULL },
    { F_PLUS_WORKER_ACTIVE, "connections", "active", NULL },
    { F_PLUS_WORKER_IDLE, "connections", "idle", NULL },
    { F_PLUS_WORKER_REQUESTS, "requests", "total", NULL },
    { F_PLUS_WORKER_REQUESTS_CURRENT, "requests", "current", NULL },
};

static const struct plus_row license[] = {
    { F_PLUS_LICENSE_EXPIRATION, NULL, "active_till", NULL },
};

static const struct plus_row license_reporting[] = {
    { F_PLUS_LICENSE_HEALTHY, "reporting", "healthy", NULL },
    { F_PLUS_LICENSE_FAILS, "reporting", "fails", NULL },
    { F_PLUS_LICENSE_GRACE, "reporting", "grace", NULL },
};

const struct plus_endpoint plus_endpoints[PLUS_ENDPOINT_COUNT] = {
    { "connections", 4, PLUS_ONE, ROWS(connections), .codes = NO_FAMILY },
    { "http/requests", 4, PLUS_ONE, ROWS(requests), .codes = NO_FAMILY },
    { "ssl", 4, PLUS_ONE, ROWS(ssl), .codes = NO_FAMILY },
    { "http/server_zones", 4, PLUS_ZONES, ROWS(server_zones),
      .codes = F_PLUS_ZONE_CODES },
    { "http/location_zones", 5, PLUS_ZONES, ROWS(location_zones),
      .codes = F_PLUS_LOCATION_CODES },
    { "http/upstreams", 4, PLUS_UPSTREAMS, ROWS(upstreams),
      .codes = F_PLUS_PEER_CODES, .state = F_PLUS_PEER_STATE, .peers = peers,
      .peer_count = sizeof(peers) / sizeof(peers[0]), .checks = peer_checks },
    { "http/limit_reqs", 6, PLUS_ZONES, ROWS(limit_reqs), .codes = NO_FAMILY },
    { "http/limit_conns", 6, PLUS_ZONES, ROWS(limit_conns),
      .codes = NO_FAMILY },
    { "http/caches", 4, PLUS_ZONES, ROWS(caches), .codes = NO_FAMILY },
    { "stream/server_zones", 4, PLUS_ZONES, ROWS(stream_server_zones),
      .codes = NO_FAMILY },
    { "stream/upstreams", 4, PLUS_UPSTREAMS, ROWS(stream_upstreams),
      .codes = NO_FAMILY, .state = F_PLUS_SPEER_STATE, .peers = stream_peers,
      .peer_count = sizeof(stream_peers) / sizeof(stream_peers[0]),
      .checks = stream_peer_checks },
    { "stream/limit_conns", 6, PLUS_ZONES, ROWS(stream_limit_conns),
      .codes = NO_FAMILY },
    { "stream/zone_sync", 4, PLUS_SYNC, ROWS(sync_zones), .codes = NO_FAMILY,
      .extra = sync_status,
      .extra_count = sizeof(sync_status) / sizeof(sync_status[0]) },
    { "resolvers", 5, PLUS_ZONES, ROWS(resolvers), .codes = NO_FAMILY },
    { "workers", 9, PLUS_WORKERS, ROWS(workers), .codes = NO_FAMILY },
    { "license", 9, PLUS_ONE, ROWS(license), .codes = NO_FAMILY,
      .extra = license_reporting,
      .extra_count = sizeof(license_reporting) / sizeof(license_reporting[0]),
      .extra_member = "reporting", .may_fail = true },
};
