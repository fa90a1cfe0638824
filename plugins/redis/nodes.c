/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The masters of a cluster, for looking at keys: a node only has its own.
 *
 * CLUSTER SLOTS comes with each collection; connections to nodes that are
 * still there are kept. Credentials and TLS are those of the target: nobody
 * but the operator says where a password goes, and a cluster's nodes share
 * theirs. A cluster of one node needs no second connection.
 */
#include <stdlib.h>

#include "redis.h"

#define SLOTS 16384

static uint16_t crc16(sonde_str s)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < s.len; i++) {
        crc = (uint16_t)(crc ^ (unsigned)(unsigned char)s.ptr[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

/* Only what is between the first '{' and the next '}' counts, if there is
 * anything. */
static sonde_str hashed_part(sonde_str key)
{
    const char *open = key.len ? memchr(key.ptr, '{', key.len) : NULL;
    const char *close;

    if (!open)
        return key;
    close = memchr(open, '}', key.len - (size_t)(open - key.ptr));
    if (!close || close == open + 1)
        return key;
    return (sonde_str){ open + 1, (size_t)(close - open) - 1 };
}

size_t nodes_of_key(const struct redis_nodes *n, sonde_str key)
{
    if (!n->of_slot || n->count <= 1)
        return 0;
    return n->of_slot[crc16(hashed_part(key)) % SLOTS];
}

/* ---- the list ------------------------------------------------------------ */

sonde_str nodes_own_host(const struct sonde_instance *i)
{
    const char *colon = strrchr(i->address.stream, ':');

    if (strncmp(i->address.stream, "unix:", 5) == 0)
        return SONDE_STR("localhost");
    return (sonde_str){ i->address.stream,
                        colon ? (size_t)(colon - i->address.stream) : 0 };
}

/* "ip:port" of a master in a row of CLUSTER SLOTS; a node that does not know
 * its own address says nothing. NULL: not to be used. */
static char *address_of(const struct sonde_instance *i,
                        const struct redis_reply *row)
{
    const struct redis_reply *m =
        row && row->count > 2 && row->items[2] ? row->items[2] : NULL;
    sonde_str host = { 0 };
    struct text t = { 0 };
    char port[16];
    double number;
    bool v6, ok;

    if (!m || m->count < 2 || !reply_number(m->items[1], &number) ||
        number < 1 || number > 65535)
        return NULL;
    if (reply_is_text(m->items[0]) && !text_is(m->items[0]->str, "?"))
        host = m->items[0]->str;
    v6 = host.len && memchr(host.ptr, ':', host.len);
    if (host.len == 0)
        host = nodes_own_host(i);
    (void)snprintf(port, sizeof(port), ":%d", (int)number);
    ok = (!v6 || text_addz(&t, "[")) && text_add(&t, host.ptr, host.len) &&
         (!v6 || text_addz(&t, "]")) && text_addz(&t, port);
    if (!ok)
        text_fini(&t);
    return t.ptr;
}

static size_t find(const struct redis_nodes *n, const char *address)
{
    size_t k = 0;

    while (k < n->count && strcmp(n->nodes[k].address, address) != 0)
        k++;
    return k;
}

/* Takes the address; REDIS_NODES_MAX when there are too many. */
static size_t put(struct redis_nodes *n, char *address)
{
    size_t k = find(n, address);

    if (k < n->count || n->count == REDIS_NODES_MAX) {
        free(address);
        return k < n->count ? k : REDIS_NODES_MAX;
    }
    n->nodes[n->count++] = (struct redis_node){ .address = address };
    return k;
}

static void assign(struct redis_nodes *n, const struct redis_reply *row,
                   size_t node)
{
    double from, to;

    if (!reply_number(row->items[0], &from) ||
        !reply_number(row->items[1], &to))
        return;
    for (double slot = from < 0 ? 0 : from; slot <= to && slot < SLOTS; slot++)
        n->of_slot[(size_t)slot] = (uint8_t)node;
}

static bool read_slots(struct sonde_instance *i, const struct redis_reply *r,
                       struct redis_nodes *out)
{
    out->nodes = calloc(REDIS_NODES_MAX, sizeof(*out->nodes));
    out->of_slot = malloc(SLOTS);
    if (!out->nodes || !out->of_slot)
        return false;
    memset(out->of_slot, REDIS_NODES_MAX, SLOTS);
    for (size_t k = 0; k < r->count; k++) {
        char *address = address_of(i, r->items[k]);

        if (address)
            assign(out, r->items[k], put(out, address));
    }
    return true;
}

sonde_code nodes_update(struct sonde_instance *i,
                        const struct redis_reply *slots, bool *changed,
                        struct sonde_err *err)
{
    struct redis_nodes fresh = { 0 };
    size_t kept = 0;

    if (!read_slots(i, slots, &fresh)) {
        nodes_fini(&fresh);
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    }
    for (size_t k = 0; k < fresh.count; k++) {
        size_t old = find(&i->nodes, fresh.nodes[k].address);

        if (old == i->nodes.count)
            continue;
        kept++;
        fresh.nodes[k].conn = i->nodes.nodes[old].conn;
        i->nodes.nodes[old].conn = NULL;
    }
    *changed = kept != fresh.count || kept != i->nodes.count;
    nodes_fini(&i->nodes);
    i->nodes = fresh;
    if (fresh.count == 0)
        return sonde_err_set(err, SONDE_EUNAVAILABLE,
                             "CLUSTER SLOTS names no node that has slots");
    return SONDE_OK;
}

void nodes_fini(struct redis_nodes *n)
{
    for (size_t k = 0; k < n->count; k++) {
        if (n->nodes[k].conn)
            conn_fini(n->nodes[k].conn);
        free(n->nodes[k].conn);
        free(n->nodes[k].address);
    }
    free(n->nodes);
    free(n->of_slot);
    *n = (struct redis_nodes){ 0 };
}

/* ---- connections --------------------------------------------------------- */

static sonde_code greet(struct sonde_instance *i, struct redis_conn *c,
                        sonde_msec deadline, struct sonde_err *err)
{
    struct redis_greeting g = { 0 };
    sonde_code rc = conn_begin(c, err);

    if (rc == SONDE_OK)
        rc = auth_add(i, c, &g, err);
    if (rc == SONDE_OK && c->waiting)
        rc = wire_send(&c->wire, deadline, err);
    if (rc == SONDE_OK)
        rc = auth_read(c, &g, deadline, err);
    auth_forget(&g);
    return rc;
}

sonde_code nodes_dial(struct sonde_instance *i, struct redis_conn *c,
                      const char *address, sonde_msec deadline,
                      struct sonde_err *err)
{
    sonde_code rc;

    c->wire.host = i->host;
    c->wire.target = i->open->target;
    c->wire.limit = i->conn.wire.limit;
    rc = conn_open(c, address, redis_tls(i), deadline, err);
    if (rc == SONDE_OK)
        rc = greet(i, c, deadline, err);
    if (rc != SONDE_OK)
        conn_close(c);
    return rc;
}

sonde_code nodes_conn(struct sonde_instance *i, size_t node,
                      sonde_msec deadline, struct redis_conn **out,
                      struct sonde_err *err)
{
    struct redis_node *n;
    struct redis_conn *c;
    sonde_code rc;

    if (i->nodes.count <= 1)
        return redis_conn_for(i, out, err);
    n = &i->nodes.nodes[node];
    if (!n->conn)
        n->conn = calloc(1, sizeof(*n->conn));
    if (!n->conn)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    *out = c = n->conn;
    if (c->wire.stream)
        return SONDE_OK;
    rc = nodes_dial(i, c, n->address, deadline, err);
    if (rc == SONDE_OK)
        return SONDE_OK;
    (void)sonde_err_prefix(err, "node %s", n->address);
    return rc;
}
