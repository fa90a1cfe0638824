/* SPDX-License-Identifier: Apache-2.0 */
/* See place.h; why it is so narrow is said in reach.c. */
#include "expose/place.h"

#include <string.h>

#include "util/str.h"

static bool all_of(sonde_str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            !(c >= '0' && c <= '9') && (c == '\0' || !strchr(more, c)))
            return false;
    }
    return true;
}

size_t place_scheme_bytes(sonde_str s)
{
    const char *p = s.len ? memmem(s.ptr, s.len, "://", 3) : NULL;

    return p ? (size_t)(p - s.ptr) + 3 : 0;
}

/* Where the authority begins, behind its user. */
static size_t after_user(sonde_str s)
{
    size_t from = place_scheme_bytes(s), at = from;

    for (size_t i = from; i < s.len && !strchr("/?#", s.ptr[i]); i++)
        if (s.ptr[i] == '@')
            at = i + 1;
    return at;
}

bool place_is_plain(sonde_str s)
{
    size_t at = after_user(s);

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c <= ' ' || c >= 0x7f || c == '?' || c == '#' ||
            (c == '@' && i >= at))
            return false;
    }
    return true;
}

sonde_str place_public(struct arena *a, sonde_str s)
{
    size_t from = place_scheme_bytes(s), at = after_user(s);

    s = str_sub(s, 0, at + str_index(str_sub(s, at, s.len), '?'));
    return arena_printf(a, "%.*s%.*s", SONDE_ARG(str_sub(s, 0, from)),
                        SONDE_ARG(str_sub(s, at, s.len)));
}

static bool is_port(sonde_str s)
{
    uint64_t port;

    return s.len == 0 ||
           (s.ptr[0] == ':' && str_to_u64(str_sub(s, 1, s.len), &port) &&
            port > 0 && port <= 65535);
}

/* What is before the port; `*s` is what comes after it. */
static bool take_host(sonde_str *s, sonde_str *host)
{
    size_t end;

    if (s->len && s->ptr[0] == '[') {
        end = str_index(*s, ']');
        *host = str_sub(*s, 1, end);
        if (end == s->len)
            return false;
        *s = str_sub(*s, end + 1, s->len);
        return host->len && str_index(*host, ':') < host->len &&
               all_of(*host, ":.");
    }
    *host = str_sub(*s, 0, str_index(*s, ':'));
    *s = str_sub(*s, host->len, s->len);
    return host->len && all_of(*host, "._-");
}

bool place_split(sonde_str s, struct place *out)
{
    size_t from = place_scheme_bytes(s), slash;

    *out = (struct place){ .scheme = str_sub(s, 0, from) };
    s = str_sub(s, from, s.len);
    slash = str_index(s, '/');
    out->name = str_sub(s, slash, s.len);
    s = str_sub(s, 0, slash);
    if (!take_host(&s, &out->host) || !is_port(s))
        return false;
    out->port = str_sub(s, 1, s.len);
    return out->name.len < 2 ||
           all_of(str_sub(out->name, 1, out->name.len), "._-");
}

sonde_str place_join(struct arena *a, const struct place *p)
{
    bool v6 = str_index(p->host, ':') < p->host.len;

    return arena_printf(a, "%.*s%s%.*s%s%s%.*s%.*s", SONDE_ARG(p->scheme),
                        v6 ? "[" : "", SONDE_ARG(p->host), v6 ? "]" : "",
                        p->port.len ? ":" : "", SONDE_ARG(p->port),
                        SONDE_ARG(p->name));
}
