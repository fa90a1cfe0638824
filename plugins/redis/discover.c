/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes of a cluster as targets, for /discover-cluster-nodes: a line of
 * CLUSTER NODES is
 *
 *     ID IP:PORT[@BUSPORT][,HOSTNAME[,FIELD=VALUE...]] FLAGS ...
 *
 * All nodes are named, whatever their flags say: one that is down is to be
 * seen as down. Only what has no address is left out (`noaddr`, port 0); a
 * node that does not know its own is there under the target's. The scheme is
 * the target's; a server gives the port that fits it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "redis.h"

#define HOST_BYTES_MAX 255

struct node {
    sonde_str host, port;
    bool v6; /* wants brackets */
};

/* Of a name or an address; nothing else gets into a target. */
static bool is_host(sonde_str s)
{
    for (size_t k = 0; k < s.len; k++) {
        char c = s.ptr[k];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            !(c >= '0' && c <= '9') && c != '.' && c != ':' && c != '-' &&
            c != '_')
            return false;
    }
    return s.len > 0 && s.len <= HOST_BYTES_MAX;
}

static bool is_port(sonde_str s)
{
    return s.len <= 5 && text_is_numbered(s, "") &&
           strtol(s.ptr, NULL, 10) >= 1 && strtol(s.ptr, NULL, 10) <= 65535;
}

/* IP:PORT[@BUSPORT]; the last colon counts. */
static bool split_endpoint(sonde_str s, struct node *out)
{
    sonde_str endpoint;
    size_t n;

    (void)text_split(&s, '@', &endpoint);
    n = endpoint.len;
    while (n && endpoint.ptr[n - 1] != ':')
        n--;
    if (n == 0)
        return false;
    out->host = (sonde_str){ endpoint.ptr, n - 1 };
    out->port = (sonde_str){ endpoint.ptr + n, endpoint.len - n };
    return is_port(out->port);
}

/* False: the node has no address. */
static bool read_line(const struct sonde_instance *i, sonde_str line,
                      struct node *out)
{
    sonde_str id, where, flags, endpoint, name = { 0 };

    *out = (struct node){ 0 };
    if (!text_split(&line, ' ', &id) || !text_split(&line, ' ', &where))
        return false;
    (void)text_split(&line, ' ', &flags);
    (void)text_split(&where, ',', &endpoint);
    (void)text_split(&where, ',', &name);
    if (!split_endpoint(endpoint, out))
        return false;
    if (i->options->cluster_discover_hostnames && is_host(name))
        out->host = name;
    if (out->host.len == 0 && text_has(flags, "myself")) {
        out->host = nodes_own_host(i);
        return true;
    }
    out->v6 = out->host.len && memchr(out->host.ptr, ':', out->host.len);
    return is_host(out->host);
}

/* How many were emitted. */
static size_t emit_nodes(const struct sonde_instance *i, sonde_str lines,
                         void (*emit)(void *arg, sonde_str address), void *arg)
{
    char address[HOST_BYTES_MAX + 32];
    struct node node;
    sonde_str line;
    size_t count = 0;

    while (text_split(&lines, '\n', &line)) {
        int n;

        if (!read_line(i, line, &node))
            continue;
        n = snprintf(address, sizeof(address), "redis%s://%s%.*s%s:%.*s",
                     i->address.tls ? "s" : "", node.v6 ? "[" : "",
                     SONDE_ARG(node.host), node.v6 ? "]" : "",
                     SONDE_ARG(node.port));
        if (n < 0 || (size_t)n >= sizeof(address))
            continue;
        emit(arg, (sonde_str){ address, (size_t)n });
        count++;
    }
    return count;
}

static sonde_code ask(struct redis_conn *c, sonde_msec deadline,
                      const struct redis_reply **out, struct sonde_err *err)
{
    struct redis_reply **replies = NULL;
    sonde_code rc = conn_begin(c, err);

    if (rc == SONDE_OK)
        rc = conn_add(c, err, SONDE_STR("CLUSTER"), SONDE_STR("NODES"));
    if (rc == SONDE_OK)
        rc = conn_exchange(c, deadline, &replies, err);
    if (rc != SONDE_OK)
        return rc;
    *out = replies[0];
    if (reply_is_text(*out))
        return SONDE_OK;
    return sonde_err_set(
        err, SONDE_EUNAVAILABLE, "CLUSTER NODES is refused: %.200s",
        (*out)->type == REDIS_REPLY_ERROR ? (*out)->str.ptr
                                          : "the answer is no text");
}

sonde_code redis_discover(struct sonde_instance *i, sonde_msec deadline,
                          void (*emit)(void *arg, sonde_str address), void *arg,
                          struct sonde_err *err)
{
    const struct redis_reply *reply = NULL;
    struct redis_conn c = { 0 };
    sonde_code rc;

    if (!i->options->is_cluster)
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "The discovery endpoint is only available on a "
                             "redis cluster: set is_cluster (--is-cluster)");
    rc = nodes_dial(i, &c, i->address.stream, deadline, err);
    if (rc == SONDE_OK)
        rc = ask(&c, deadline, &reply, err);
    if (rc == SONDE_OK && emit_nodes(i, reply->str, emit, arg) == 0)
        rc = sonde_err_set(err, SONDE_EUNAVAILABLE,
                           "CLUSTER NODES names no node that has an address");
    conn_fini(&c);
    return rc;
}
