/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target's address as redis_exporter takes it.
 *
 *     redis://[[user]:password@]host[:port][/db]     also valkey://
 *     rediss://... valkeys://...                     the same with TLS
 *     host[:port]   [v6]:port                        the bare forms
 *     unix:///path                                   no credentials, no db
 *
 * A missing port is 6379, a missing host localhost. User and password of a
 * URL are percent-decoded. `redis://word@host` has no colon: redis-cli takes
 * the word as a password and redis_exporter sends nothing at all; here it is
 * an error, because either guess sends somebody's secret to the wrong place
 * or none at all. No message repeats the address: it may hold a password.
 */
#include <stdlib.h>
#include <string.h>

#include "conn.h"

static sonde_code parse_user(sonde_str info, struct redis_address *out,
                             struct sonde_err *err)
{
    sonde_str user;

    (void)text_split(&info, ':', &user);
    if (!info.ptr)
        return sonde_err_set(err, SONDE_EINVAL,
                             "address: expected user:password@ or :password@ "
                             "before the host, got one word without a colon");
    out->user = user.len ? text_decoded(user) : NULL;
    out->password = text_decoded(info);
    if (!out->password || (user.len && !out->user))
        return sonde_err_set(err, SONDE_EINVAL,
                             "address: user or password has a broken %%XX");
    return SONDE_OK;
}

static sonde_code parse_database(sonde_str path, struct redis_address *out,
                                 struct sonde_err *err)
{
    if (path.len == 0)
        return SONDE_OK;
    if (path.len > 9 || !text_is_numbered(path, ""))
        return sonde_err_set(err, SONDE_EINVAL,
                             "address: expected a database number after '/'");
    out->database = strtoll(path.ptr, NULL, 10);
    return SONDE_OK;
}

/* Splits "host:port" and "[v6]:port"; port is empty when there is none. */
static bool split_host(sonde_str s, sonde_str *host, sonde_str *port)
{
    const char *colon, *end;

    *port = (sonde_str){ 0 };
    if (s.len && s.ptr[0] == '[') {
        end = memchr(s.ptr, ']', s.len);
        if (!end)
            return false;
        *host = (sonde_str){ s.ptr, (size_t)(end - s.ptr) + 1 };
        s.ptr += host->len;
        s.len -= host->len;
        if (s.len == 0)
            return host->len > 2;
        if (s.ptr[0] != ':')
            return false;
        *port = (sonde_str){ s.ptr + 1, s.len - 1 };
        return host->len > 2;
    }
    colon = s.len ? memchr(s.ptr, ':', s.len) : NULL;
    *host = (sonde_str){ s.ptr, colon ? (size_t)(colon - s.ptr) : s.len };
    if (colon)
        *port = (sonde_str){ colon + 1, s.len - host->len - 1 };
    return true;
}

static sonde_code parse_host(sonde_str s, struct redis_address *out,
                             struct sonde_err *err)
{
    sonde_str host, port;
    struct text t = { 0 };
    bool ok;

    if (!split_host(s, &host, &port) || port.len > 5 ||
        (port.len &&
         (!text_is_numbered(port, "") || strtol(port.ptr, NULL, 10) > 65535)))
        return sonde_err_set(err, SONDE_EINVAL,
                             "address: expected host:port, [v6]:port, "
                             "redis://host:port or unix:///path");
    ok = host.len ? text_add(&t, host.ptr, host.len)
                  : text_addz(&t, "localhost");
    ok = ok && text_addz(&t, ":") &&
         (port.len ? text_add(&t, port.ptr, port.len) : text_addz(&t, "6379"));
    if (!ok) {
        text_fini(&t);
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    }
    out->stream = t.ptr;
    return SONDE_OK;
}

static sonde_code parse_url(sonde_str s, struct redis_address *out,
                            struct sonde_err *err)
{
    sonde_str authority, path = s;
    const char *at = NULL;
    sonde_code rc = SONDE_OK;

    (void)text_split(&path, '/', &authority);
    /* The last one: a password may hold an '@' that was not encoded. */
    for (size_t i = 0; i < authority.len; i++) {
        if (authority.ptr[i] == '@')
            at = authority.ptr + i;
    }
    if (at) {
        sonde_str info = { authority.ptr, (size_t)(at - authority.ptr) };

        rc = parse_user(info, out, err);
        authority.len -= info.len + 1;
        authority.ptr = at + 1;
    }
    if (rc == SONDE_OK)
        rc = parse_database(path, out, err);
    return rc == SONDE_OK ? parse_host(authority, out, err) : rc;
}

static sonde_code parse_unix(sonde_str path, struct redis_address *out,
                             struct sonde_err *err)
{
    struct text t = { 0 };

    if (path.len < 2 || path.ptr[0] != '/')
        return sonde_err_set(err, SONDE_EINVAL,
                             "address: expected unix:///absolute/path");
    if (!text_addz(&t, "unix:") || !text_add(&t, path.ptr, path.len)) {
        text_fini(&t);
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    }
    out->stream = t.ptr;
    return SONDE_OK;
}

static sonde_str after(sonde_str s, const char *prefix)
{
    size_t n = strlen(prefix);

    return (sonde_str){ s.ptr + n, s.len - n };
}

static sonde_code parse_any(sonde_str s, struct redis_address *out,
                            struct sonde_err *err)
{
    static const struct {
        const char *prefix;
        bool tls;
    } schemes[] = { { "redis://", false },
                    { "valkey://", false },
                    { "rediss://", true },
                    { "valkeys://", true } };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (text_starts(s, schemes[i].prefix)) {
            out->tls = schemes[i].tls;
            return parse_url(after(s, schemes[i].prefix), out, err);
        }
    }
    if (text_starts(s, "unix://"))
        return parse_unix(after(s, "unix://"), out, err);
    if (text_starts(s, "unix:"))
        return parse_unix(after(s, "unix:"), out, err);
    return parse_host(s, out, err);
}

sonde_code address_parse(sonde_str text, struct redis_address *out,
                         struct sonde_err *err)
{
    sonde_code rc;

    *out = (struct redis_address){ .database = -1 };
    if (text.len && memchr(text.ptr, '\0', text.len))
        return sonde_err_set(err, SONDE_EINVAL, "address: it has a NUL byte");
    rc = parse_any(text, out, err);
    if (rc != SONDE_OK)
        address_fini(out);
    return rc;
}

void address_fini(struct redis_address *a)
{
    if (a->password)
        explicit_bzero(a->password, strlen(a->password));
    free(a->stream);
    free(a->user);
    free(a->password);
    *a = (struct redis_address){ .database = -1 };
}
