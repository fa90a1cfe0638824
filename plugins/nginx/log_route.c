/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of paths, so that a label has as many values as there are routes
 * and not as many as there are paths.
 *
 *     /api/users/:id      :name and {name} are one part of a path
 *     /files/<any>/raw    with * in the place of <any>: the same
 *     /static/<any>       with * at the end: all that is below
 *
 * The first that fits counts, so the more special ones come first. Compared
 * are the bytes of the path as they were sent, without the query. Most
 * patterns are told apart by their beginning, which is compared at once.
 */
#include <stdlib.h>

#include "log.h"

static bool is_wild(sonde_str part)
{
    return (part.len == 1 && part.ptr[0] == '*') ||
           (part.len > 1 && part.ptr[0] == ':') ||
           (part.len > 2 && part.ptr[0] == '{' &&
            part.ptr[part.len - 1] == '}');
}

/* Cuts off what stands before the next '/'. */
static sonde_str take_part(sonde_str *s)
{
    const char *at = s->len ? memchr(s->ptr, '/', s->len) : NULL;
    size_t n = at ? (size_t)(at - s->ptr) : s->len;
    sonde_str part = { s->ptr, n };

    s->ptr += n;
    s->len -= n;
    return part;
}

static size_t literal_of(sonde_str pattern)
{
    sonde_str rest = pattern;

    while (rest.len) {
        rest.ptr++; /* the '/' */
        rest.len--;
        if (is_wild(take_part(&(sonde_str){ rest.ptr, rest.len })))
            return (size_t)(rest.ptr - pattern.ptr);
        (void)take_part(&rest);
    }
    return pattern.len;
}

static sonde_code check_pattern(sonde_str p, struct sonde_err *err)
{
    if (p.len == 0 || p.len > NGINX_NAME_MAX || p.ptr[0] != '/')
        return sonde_err_set(err, SONDE_EINVAL,
                             "routes: expected patterns of up to %d bytes that "
                             "begin with '/', got \"%.100s\"",
                             NGINX_NAME_MAX, p.len ? p.ptr : "");
    for (size_t i = 0; i < p.len; i++)
        if ((unsigned char)p.ptr[i] <= ' ' || (unsigned char)p.ptr[i] > '~' ||
            p.ptr[i] == '?')
            return sonde_err_set(err, SONDE_EINVAL,
                                 "routes: \"%.100s\": what is not plain ASCII "
                                 "is percent-encoded in a request, and there "
                                 "is no query in a pattern",
                                 p.ptr);
    return SONDE_OK;
}

sonde_code log_routes_parse(struct log_routes *r, const struct sonde_list *list,
                            struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    *r = (struct log_routes){ 0 };
    if (list->count == 0)
        return SONDE_OK;
    if (list->count > LOG_ROUTES_MAX)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "routes: expected at most %d, got %zu",
                             LOG_ROUTES_MAX, list->count);
    r->items = calloc(list->count, sizeof(*r->items));
    if (!r->items)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    for (size_t i = 0; rc == SONDE_OK && i < list->count; i++) {
        sonde_str p = list->items[i];

        rc = check_pattern(p, err);
        for (size_t k = 0; rc == SONDE_OK && k < i; k++)
            if (sonde_str_eq(r->items[k].pattern, p))
                rc = sonde_err_set(err, SONDE_EINVAL,
                                   "routes: \"%.100s\" is there twice", p.ptr);
        if (rc == SONDE_OK)
            r->items[r->count++] =
                (struct log_route){ .pattern = p, .literal = literal_of(p) };
    }
    return rc;
}

void log_routes_fini(struct log_routes *r)
{
    free(r->items);
    *r = (struct log_routes){ 0 };
}

/* Both behind the literal beginning, at the begin of a part. */
static bool fits(sonde_str pattern, sonde_str path)
{
    for (;;) {
        sonde_str want = take_part(&pattern), got = { 0 };

        if (want.len == 1 && want.ptr[0] == '*' && pattern.len == 0)
            return true;
        got = take_part(&path);
        if (is_wild(want) ? got.len == 0 : !sonde_str_eq(want, got))
            return false;
        if (pattern.len == 0 || path.len == 0)
            return pattern.len == path.len;
        pattern.ptr++;
        pattern.len--;
        path.ptr++;
        path.len--;
    }
}

unsigned log_route_of(const struct log_routes *r, sonde_str path)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct log_route *t = &r->items[i];
        sonde_str pattern = t->pattern, rest = path;

        if (path.len < t->literal ||
            memcmp(path.ptr, pattern.ptr, t->literal) != 0)
            continue;
        pattern.ptr += t->literal;
        pattern.len -= t->literal;
        rest.ptr += t->literal;
        rest.len -= t->literal;
        if (pattern.len ? fits(pattern, rest) : rest.len == 0)
            return (unsigned)i + 1;
    }
    return 0;
}
