/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker's URL as Celery (kombu) takes it.
 *
 *     redis://[[user]:password@]host[:port][/db][?query]    rediss: with TLS
 *     redis+socket:///path[?virtual_host=db]   unix:///path  host[:port]
 *     sentinel://[:password@]host:port[/db][;sentinel://host:port...]
 *     amqp://[user:password@]host[:port][/vhost][?query]     amqps: with TLS
 *
 * User, password and virtual host are percent-decoded. The query may hold
 * ssl_cert_reqs, ssl_ca_certs, ssl_certfile and ssl_keyfile, which is how
 * Celery is told about TLS; keys that are not known are left alone, as there.
 * No message repeats the URL: it may hold a password.
 */
#include "broker.h"

#include <stdlib.h>

#include "encodings.h"

static const struct scheme {
    const char *prefix;
    enum broker_kind kind;
    bool tls;
    int port;
} schemes[] = {
    { "redis://", BROKER_REDIS, false, 6379 },
    { "rediss://", BROKER_REDIS, true, 6379 },
    { "valkey://", BROKER_REDIS, false, 6379 },
    { "valkeys://", BROKER_REDIS, true, 6379 },
    { "sentinel://", BROKER_SENTINEL, false, 26379 },
    { "amqp://", BROKER_AMQP, false, 5672 },
    { "pyamqp://", BROKER_AMQP, false, 5672 },
    { "amqps://", BROKER_AMQP, true, 5671 },
    { "pyamqps://", BROKER_AMQP, true, 5671 },
};

static sonde_code bad(struct sonde_err *err, const char *what)
{
    return sonde_err_set(err, SONDE_EINVAL,
                         "broker_url: %s; expected redis://host:port/db, "
                         "amqp://user:password@host:port/vhost or the like",
                         what);
}

/* ---- parts --------------------------------------------------------------- */

static sonde_code parse_user(sonde_str info, struct broker *b,
                             struct sonde_err *err)
{
    sonde_str user;

    (void)text_split(&info, ':', &user);
    if (!info.ptr)
        return bad(err, "one word without a colon before the '@': is it a "
                        "user or a password? write user:password@ or "
                        ":password@");
    if (user.len) {
        free(b->user);
        b->user = text_decoded(user);
        if (!b->user)
            return bad(err, "a broken %XX in the user");
    }
    free(b->password);
    b->password = text_decoded(info);
    return b->password ? SONDE_OK : bad(err, "a broken %XX in the password");
}

/* Takes "[v6]:port" or "host:port" apart; a name without its brackets. */
static bool split_host(sonde_str s, sonde_str *name, sonde_str *port)
{
    const char *end;

    *port = (sonde_str){ 0 };
    if (s.len == 0 || s.ptr[0] != '[') {
        (void)text_split(&s, ':', name);
        *port = s;
        return !s.ptr || s.len;
    }
    end = memchr(s.ptr, ']', s.len);
    if (!end)
        return false;
    *name = (sonde_str){ s.ptr + 1, (size_t)(end - s.ptr) - 1 };
    s = text_after(s, name->len + 2);
    *port = text_after(s, 1);
    return name->len && (s.len == 0 || (s.ptr[0] == ':' && s.len > 1));
}

/* NULL when there are too many. */
static struct broker_host *new_host(struct broker *b, struct sonde_err *err)
{
    if (b->host_count < BROKER_HOSTS_MAX)
        return &b->hosts[b->host_count++];
    (void)bad(err, "more than 8 hosts");
    return NULL;
}

static sonde_code add_host(struct broker *b, sonde_str authority,
                           const struct scheme *scheme, struct sonde_err *err)
{
    struct broker_host *h;
    sonde_str name, port;
    int64_t number = scheme->port;
    bool v6;

    if (!split_host(authority, &name, &port) ||
        (port.len && (!text_whole(port, 65535, &number) || number == 0)))
        return bad(err, "the host is not host, host:port or [v6]:port");
    if (name.len == 0)
        name = SONDE_STR("localhost");
    v6 = memchr(name.ptr, ':', name.len) != NULL;
    h = new_host(b, err);
    if (!h)
        return SONDE_EINVAL;
    h->port = (int)number;
    h->name = text_copy(name);
    if (!h->name ||
        asprintf(&h->address, v6 ? "[%s]:%d" : "%s:%d", h->name, h->port) < 0) {
        h->address = NULL;
        return no_memory(err);
    }
    return SONDE_OK;
}

static sonde_code add_socket(struct broker *b, sonde_str path,
                             struct sonde_err *err)
{
    struct broker_host *h;

    if (path.len < 2 || path.ptr[0] != '/')
        return bad(err, "a unix socket needs an absolute path, as in "
                        "unix:///run/redis.sock");
    h = new_host(b, err);
    if (!h)
        return SONDE_EINVAL;
    h->name = text_copy(path);
    if (!h->name || asprintf(&h->address, "unix:%s", h->name) < 0) {
        h->address = NULL;
        return no_memory(err);
    }
    return SONDE_OK;
}

static sonde_code parse_path(sonde_str path, struct broker *b,
                             struct sonde_err *err)
{
    if (b->kind == BROKER_AMQP) {
        free(b->vhost);
        b->vhost = text_decoded(path.len ? path : SONDE_STR("/"));
        return b->vhost ? SONDE_OK : bad(err, "a broken %XX in the vhost");
    }
    if (path.len && !text_whole(path, INT32_MAX, &b->database))
        return bad(err, "after '/' stands the number of a database");
    return SONDE_OK;
}

static sonde_code parse_pair(sonde_str name, sonde_str value, struct broker *b,
                             struct sonde_err *err)
{
    const struct {
        const char *name;
        char **field;
    } files[] = { { "ssl_ca_certs", &b->ca_file },
                  { "ssl_certfile", &b->cert_file },
                  { "ssl_keyfile", &b->key_file } };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (!text_is(name, files[i].name))
            continue;
        free(*files[i].field);
        *files[i].field = text_decoded(value);
        return *files[i].field ? SONDE_OK
                               : bad(err, "a broken %XX in the query");
    }
    if (text_is(name, "ssl_cert_reqs"))
        b->insecure = text_is(value, "none") || text_is(value, "CERT_NONE") ||
                      text_is(value, "optional") ||
                      text_is(value, "CERT_OPTIONAL");
    if (text_is(name, "virtual_host"))
        return parse_path(
            value.len && value.ptr[0] == '/' ? text_after(value, 1) : value, b,
            err);
    return SONDE_OK;
}

static sonde_code parse_query(sonde_str query, struct broker *b,
                              struct sonde_err *err)
{
    sonde_str pair, name;
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && text_split(&query, '&', &pair)) {
        (void)text_split(&pair, '=', &name);
        rc = parse_pair(name, pair, b, err);
    }
    return rc;
}

/* ---- the whole ----------------------------------------------------------- */

static sonde_code parse_rest(sonde_str rest, const struct scheme *scheme,
                             struct broker *b, struct sonde_err *err)
{
    sonde_str authority, path = rest;
    const char *at;
    sonde_code rc = SONDE_OK;

    (void)text_split(&path, '/', &authority);
    /* The last one: a password may hold an '@' that was not encoded. */
    at = authority.len ? memrchr(authority.ptr, '@', authority.len) : NULL;
    if (at) {
        sonde_str info = { authority.ptr, (size_t)(at - authority.ptr) };

        authority = text_after(authority, info.len + 1);
        rc = parse_user(info, b, err);
    }
    if (rc == SONDE_OK)
        rc = add_host(b, authority, scheme, err);
    return rc == SONDE_OK ? parse_path(path, b, err) : rc;
}

/* All parts of a list speak of the same kind of broker. */
static sonde_code set_kind(struct broker *b, enum broker_kind kind, bool tls,
                           struct sonde_err *err)
{
    if (b->host_count && (b->kind != kind || b->tls != tls))
        return bad(err, "its parts have different transports");
    b->kind = kind;
    b->tls = tls;
    return SONDE_OK;
}

static sonde_code parse_socket(sonde_str path, struct broker *b,
                               struct sonde_err *err)
{
    sonde_code rc = set_kind(b, BROKER_REDIS, false, err);

    return rc == SONDE_OK ? add_socket(b, path, err) : rc;
}

static sonde_code parse_scheme(sonde_str url, struct broker *b,
                               struct sonde_err *err)
{
    static const char *const sockets[] = { "redis+socket://", "unix://",
                                           "unix:" };
    const struct scheme *s = NULL;
    sonde_code rc;

    for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
        if (text_starts(url, sockets[i]))
            return parse_socket(text_after(url, strlen(sockets[i])), b, err);
    }
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]) && !s; i++) {
        if (text_starts(url, schemes[i].prefix))
            s = &schemes[i];
    }
    if (s)
        url = text_after(url, strlen(s->prefix));
    else if (memmem(url.ptr, url.len, "://", 3))
        return bad(err, "the transport is none of redis, rediss, sentinel, "
                        "amqp, amqps");
    else
        s = &schemes[0];
    rc = set_kind(b, s->kind, s->tls, err);
    return rc == SONDE_OK ? parse_rest(url, s, b, err) : rc;
}

static sonde_code parse_one(sonde_str url, struct broker *b,
                            struct sonde_err *err)
{
    sonde_str query = url, rest;
    sonde_code rc;

    (void)text_split(&query, '?', &rest);
    rc = parse_scheme(rest, b, err);
    return rc == SONDE_OK ? parse_query(query, b, err) : rc;
}

sonde_code broker_parse(sonde_str url, struct broker *out,
                        struct sonde_err *err)
{
    sonde_str one;
    sonde_code rc = SONDE_OK;

    *out = (struct broker){ 0 };
    if (url.len == 0 || memchr(url.ptr, '\0', url.len))
        rc = bad(err, url.len ? "it has a NUL byte" : "it is empty");
    while (rc == SONDE_OK && text_split(&url, ';', &one)) {
        if (one.len)
            rc = parse_one(one, out, err);
    }
    if (rc == SONDE_OK && out->host_count == 0)
        rc = bad(err, "it names no host");
    if (rc == SONDE_OK && out->host_count > 1 && out->kind == BROKER_REDIS)
        rc = bad(err, "Redis has one host; several are for sentinel and amqp");
    if (rc != SONDE_OK)
        broker_fini(out);
    return rc;
}

void broker_fini(struct broker *b)
{
    for (size_t i = 0; i < b->host_count; i++) {
        free(b->hosts[i].address);
        free(b->hosts[i].name);
    }
    if (b->password)
        explicit_bzero(b->password, strlen(b->password));
    free(b->user);
    free(b->password);
    free(b->vhost);
    free(b->ca_file);
    free(b->cert_file);
    free(b->key_file);
    *b = (struct broker){ 0 };
}

struct sonde_tls broker_tls(const struct broker *b,
                            const struct sonde_tls *base)
{
    struct sonde_tls tls = { .struct_size = sizeof(tls) };

    if (base) {
        tls.ca_file = base->ca_file;
        tls.cert_file = base->cert_file;
        tls.key_file = base->key_file;
        tls.server_name = base->server_name;
        tls.insecure = base->insecure;
    }
    if (b->ca_file)
        tls.ca_file = sonde_cstr(b->ca_file);
    if (b->cert_file)
        tls.cert_file = sonde_cstr(b->cert_file);
    if (b->key_file)
        tls.key_file = sonde_cstr(b->key_file);
    tls.insecure |= b->insecure;
    return tls;
}

char *broker_public(const struct broker *b)
{
    static const char *const names[][2] = {
        [BROKER_REDIS] = { "redis", "rediss" },
        [BROKER_SENTINEL] = { "sentinel", "sentinel" },
        [BROKER_AMQP] = { "amqp", "amqps" },
    };
    const char *scheme = names[b->kind][b->tls];
    const char *address = b->hosts[0].address;
    bool slash = b->vhost && strcmp(b->vhost, "/") != 0;
    char *out = NULL;
    int n;

    if (b->kind == BROKER_AMQP)
        n = asprintf(&out, "%s://%s%s%s", scheme, address, slash ? "/" : "",
                     slash ? b->vhost : "");
    else if (text_starts(sonde_cstr(address), "unix:"))
        n = asprintf(&out, "unix://%s", address + strlen("unix:"));
    else
        n = asprintf(&out, "%s://%s/%lld", scheme, address,
                     (long long)b->database);
    return n < 0 ? NULL : out;
}
