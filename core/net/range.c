/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses as numbers, and ranges of them. There is one form for both
 * families, IPv4 mapped into IPv6, so that 10.0.0.1 and ::ffff:10.0.0.1,
 * which are the same machine, are also the same address to an allow list.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "net/net.h"
#include "net/resolve.h"
#include "util/str.h"

#define V4_BITS_BEFORE 96

static const unsigned char v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool is_v4(const struct net_ip *ip)
{
    return memcmp(ip->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

static void from_v4(const void *four, struct net_ip *out)
{
    memcpy(out->bytes, v4_prefix, sizeof(v4_prefix));
    memcpy(out->bytes + sizeof(v4_prefix), four, 4);
}

bool net_ip_parse(sonde_str s, struct net_ip *out)
{
    char z[INET6_ADDRSTRLEN];
    unsigned char four[4];

    if (s.len > 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']')
        s = str_sub(s, 1, s.len - 1);
    if (s.len == 0 || s.len >= sizeof(z))
        return false;
    memcpy(z, s.ptr, s.len);
    z[s.len] = '\0';
    if (inet_pton(AF_INET, z, four) == 1) {
        from_v4(four, out);
        return true;
    }
    return inet_pton(AF_INET6, z, out->bytes) == 1;
}

bool net_range_parse(sonde_str s, struct net_range *out)
{
    size_t slash = str_index(s, '/');
    bool dotted = str_index(s, ':') == s.len;
    uint64_t bits = dotted ? 32 : 128;

    if (!net_ip_parse(str_sub(s, 0, slash), &out->base))
        return false;
    if (slash < s.len && (!str_to_u64(str_sub(s, slash + 1, s.len), &bits) ||
                          bits > (dotted ? 32 : 128)))
        return false;
    out->bits = (unsigned)bits + (dotted ? V4_BITS_BEFORE : 0);
    return true;
}

bool net_range_has(const struct net_range *r, const struct net_ip *ip)
{
    unsigned whole = r->bits / 8, rest = r->bits % 8;
    unsigned char mask = (unsigned char)(0xff00u >> rest);

    if (memcmp(r->base.bytes, ip->bytes, whole) != 0)
        return false;
    return !rest || ((r->base.bytes[whole] ^ ip->bytes[whole]) & mask) == 0;
}

static const struct net_range link_local[] = {
    { { { [10] = 0xff, [11] = 0xff, [12] = 169, [13] = 254 } }, 112 },
    { { { 0xfe, 0x80 } }, 10 },
};
#define LINK_LOCAL (sizeof(link_local) / sizeof(link_local[0]))

bool net_ip_is_link_local(const struct net_ip *ip)
{
    for (size_t i = 0; i < LINK_LOCAL; i++)
        if (net_range_has(&link_local[i], ip))
            return true;
    return false;
}

bool net_range_is_link_local(const struct net_range *r)
{
    for (size_t i = 0; i < LINK_LOCAL; i++)
        if (r->bits >= link_local[i].bits &&
            net_range_has(&link_local[i], &r->base))
            return true;
    return false;
}

void net_ip_write(struct buf *b, const struct net_ip *ip)
{
    char z[INET6_ADDRSTRLEN] = "";
    bool v4 = is_v4(ip);

    if (inet_ntop(v4 ? AF_INET : AF_INET6,
                  ip->bytes + (v4 ? sizeof(v4_prefix) : 0), z, sizeof(z)))
        buf_cstr(b, z);
}

static void from_sockaddr(const struct addrinfo *ai, struct net_ip *out)
{
    union {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } sa = { 0 };

    memcpy(&sa, ai->ai_addr,
           ai->ai_addrlen < sizeof(sa) ? ai->ai_addrlen : sizeof(sa));
    if (ai->ai_family == AF_INET)
        from_v4(&sa.v4.sin_addr, out);
    else
        memcpy(out->bytes, &sa.v6.sin6_addr, sizeof(out->bytes));
}

sonde_code net_lookup(sonde_str host, sonde_msec deadline, struct net_ip *out,
                      size_t cap, size_t *n, struct sonde_err *err)
{
    struct addrinfo *list = NULL;
    sonde_code rc = resolve(host, SONDE_STR("1"), deadline, &list, err);

    *n = 0;
    for (const struct addrinfo *ai = list; ai && rc == SONDE_OK;
         ai = ai->ai_next) {
        if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
            continue;
        if (*n == cap)
            rc = sonde_err_set(err, SONDE_ELIMIT,
                               "lookup %.*s: more than %zu addresses",
                               SONDE_ARG(host), cap);
        else
            from_sockaddr(ai, &out[(*n)++]);
    }
    resolve_free(list);
    if (rc == SONDE_OK && *n == 0)
        rc = sonde_err_set(err, SONDE_ENOTFOUND, "lookup %.*s: no address",
                           SONDE_ARG(host));
    return rc;
}
