/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target's address and DATA_SOURCE_NAME, for libpq.
 *
 * The exporter's driver takes what libpq takes, and more: any other key is a
 * run-time parameter of the session (`statement_timeout=5000`), a few keys
 * are its own. The former become `options=-c key=value`, the latter are left
 * out with a note. Without a host it goes to localhost over TCP, where libpq
 * would take a socket. So both forms are read here into keywords, and libpq
 * is given keywords, never a string: it would repeat parts of a broken one in
 * its messages.
 */
#include "dsn.h"

#include <ctype.h>
#include <stdlib.h>

#include <libpq-fe.h>

void dsn_fini(struct dsn *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free(d->items[i].key);
        text_wipez(d->items[i].value);
    }
    free(d->server);
    *d = (struct dsn){ 0 };
}

const char *dsn_get(const struct dsn *d, const char *key)
{
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->items[i].key, key) == 0)
            return d->items[i].value;
    }
    return NULL;
}

static bool set_slice(struct dsn *d, sonde_str key, sonde_str value)
{
    char *copy = text_copy(value);
    size_t i = 0;

    while (i < d->count && !text_is(key, d->items[i].key))
        i++;
    if (!copy || i == DSN_ITEMS_MAX ||
        (i == d->count && !(d->items[i].key = text_copy(key)))) {
        text_wipez(copy);
        return false;
    }
    if (i < d->count)
        text_wipez(d->items[i].value);
    else
        d->count++;
    d->items[i].value = copy;
    return true;
}

bool dsn_set(struct dsn *d, const char *key, sonde_str value)
{
    return set_slice(d, sonde_cstr(key), value);
}

static void dsn_remove(struct dsn *d, size_t i)
{
    free(d->items[i].key);
    text_wipez(d->items[i].value);
    d->items[i] = d->items[--d->count];
}

static sonde_code no_room(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ELIMIT,
                         "connection string: more than %d keys, or no memory",
                         DSN_ITEMS_MAX);
}

/* ---- URLs ---------------------------------------------------------------- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX decoded; NULL when one is broken or stands for NUL. */
static char *decoded(sonde_str s)
{
    char *z = text_copy(s), *to = z;

    for (size_t i = 0; z && i < s.len; i++) {
        int c = (unsigned char)s.ptr[i];

        if (c == '%') {
            int h = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1;
            int l = i + 2 < s.len ? hex(s.ptr[i + 2]) : -1;

            c = h < 0 || l < 0 ? 0 : h * 16 + l;
            i += 2;
        }
        if (c == 0) {
            text_wipez(z);
            return NULL;
        }
        *to++ = (char)c;
    }
    if (to)
        *to = '\0';
    return z;
}

static sonde_code set_decoded(struct dsn *d, const char *key, sonde_str value,
                              struct sonde_err *err)
{
    char *z;
    bool ok;

    if (value.len == 0)
        return SONDE_OK;
    z = decoded(value);
    if (!z)
        return sonde_err_set(err, SONDE_EINVAL,
                             "connection string: %s has a broken %%XX", key);
    ok = dsn_set(d, key, sonde_cstr(z));
    text_wipez(z);
    return ok ? SONDE_OK : no_room(err);
}

static bool is_port(sonde_str s)
{
    int64_t n;

    return s.len <= 5 && text_whole(s, INT64_MAX, &n) && n >= 1 && n <= 65535;
}

/* "host", "host:port", "[v6]:port": appended to the lists. */
static sonde_code add_host(sonde_str one, struct text *hosts,
                           struct text *ports, struct sonde_err *err)
{
    sonde_str host = one, port = { 0 };
    const char *end;

    if (one.len && one.ptr[0] == '[') {
        end = memchr(one.ptr, ']', one.len);
        if (!end || end == one.ptr + 1)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "connection string: expected [address]");
        host = (sonde_str){ one.ptr + 1, (size_t)(end - one.ptr) - 1 };
        port = text_after(one, host.len + 2);
    } else {
        end = one.len ? memchr(one.ptr, ':', one.len) : NULL;
        if (end) {
            host.len = (size_t)(end - one.ptr);
            port = text_after(one, host.len);
        }
    }
    if (port.len &&
        (port.ptr[0] != ':' || (port.len > 1 && !is_port(text_after(port, 1)))))
        return sonde_err_set(err, SONDE_EINVAL,
                             "connection string: expected host:port");
    text_add_str(hosts, host);
    if (port.len > 1)
        text_add_str(ports, text_after(port, 1));
    return SONDE_OK;
}

static sonde_code set_hosts(struct dsn *d, sonde_str list,
                            struct sonde_err *err)
{
    struct text hosts = { 0 }, ports = { 0 };
    sonde_str one;
    sonde_code rc = SONDE_OK;
    bool first = true, any_port;

    while (rc == SONDE_OK && text_split(&list, ',', &one)) {
        text_addz(&hosts, first ? "" : ",");
        text_addz(&ports, first ? "" : ",");
        first = false;
        rc = add_host(one, &hosts, &ports, err);
    }
    any_port = ports.len && strspn(ports.ptr, ",") < ports.len;
    if (rc == SONDE_OK && hosts.len)
        rc = set_decoded(d, "host", (sonde_str){ hosts.ptr, hosts.len }, err);
    if (rc == SONDE_OK && any_port)
        rc = set_decoded(d, "port", (sonde_str){ ports.ptr, ports.len }, err);
    text_fini(&hosts);
    text_fini(&ports);
    return rc;
}

static sonde_code set_params(struct dsn *d, sonde_str params,
                             struct sonde_err *err)
{
    sonde_str pair, key;
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && text_split(&params, '&', &pair)) {
        char *name;

        if (pair.len == 0)
            continue;
        if (!text_split(&pair, '=', &key) || !pair.ptr || key.len == 0)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "connection string: expected key=value "
                                 "after '?'");
        name = decoded(key);
        if (!name)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "connection string: a key has a broken %%XX");
        rc = strcmp(name, "ssl") == 0 && text_is(pair, "true")
                 ? set_decoded(d, "sslmode", SONDE_STR("require"), err)
                 : set_decoded(d, name, pair, err);
        free(name);
    }
    return rc;
}

static sonde_code parse_url(sonde_str s, struct dsn *d, struct sonde_err *err)
{
    sonde_str head, path, authority, user, at;
    sonde_code rc = SONDE_OK;
    const char *end = NULL;

    (void)text_split(&s, '?', &head); /* `s` has the parameters, if any */
    path = head;
    (void)text_split(&path, '/', &authority);
    /* The last one: a password may hold an '@' that was not encoded. */
    for (size_t i = 0; i < authority.len; i++) {
        if (authority.ptr[i] == '@')
            end = authority.ptr + i;
    }
    if (end) {
        at = (sonde_str){ authority.ptr, (size_t)(end - authority.ptr) };
        authority = text_after(authority, at.len + 1);
        (void)text_split(&at, ':', &user);
        rc = set_decoded(d, "user", user, err);
        if (rc == SONDE_OK)
            rc = set_decoded(d, "password", at, err);
    }
    if (rc == SONDE_OK)
        rc = set_hosts(d, authority, err);
    if (rc == SONDE_OK)
        rc = set_decoded(d, "dbname", path, err);
    if (rc == SONDE_OK && s.ptr)
        rc = set_params(d, s, err);
    return rc;
}

/* ---- key=value ----------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A word, or one in quotes; a backslash takes the next byte as it is. */
static bool take_value(sonde_str *rest, struct text *out)
{
    bool quoted = rest->len && rest->ptr[0] == '\'';
    size_t i = quoted ? 1 : 0;

    for (; i < rest->len; i++) {
        char c = rest->ptr[i];

        if (quoted ? c == '\'' : is_blank(c))
            break;
        if (c == '\\') {
            if (++i == rest->len)
                return false;
            c = rest->ptr[i];
        }
        text_add(out, &c, 1);
    }
    if (quoted && i == rest->len)
        return false;
    *rest = text_after(*rest, quoted ? i + 1 : i);
    return !out->failed;
}

static sonde_code parse_words(sonde_str s, struct dsn *d, struct sonde_err *err)
{
    for (s = text_trim(s); s.len; s = text_trim(s)) {
        struct text value = { 0 };
        size_t n = 0;
        sonde_str key;
        bool ok;

        while (n < s.len && s.ptr[n] != '=' && !is_blank(s.ptr[n]))
            n++;
        key = (sonde_str){ s.ptr, n };
        s = text_trim(text_after(s, n));
        if (n == 0 || s.len == 0 || s.ptr[0] != '=')
            return sonde_err_set(err, SONDE_EINVAL,
                                 "connection string: expected key=value");
        s = text_after(s, 1);
        while (s.len && is_blank(s.ptr[0]))
            s = text_after(s, 1);
        if (!take_value(&s, &value)) {
            text_wipe(&value);
            return sonde_err_set(err, SONDE_EINVAL,
                                 "connection string: a quote or a backslash "
                                 "has no end");
        }
        ok = set_slice(d, key,
                       (sonde_str){ value.len ? value.ptr : "", value.len });
        text_wipe(&value);
        if (!ok)
            return no_room(err);
    }
    return SONDE_OK;
}

/* ---- sockets ------------------------------------------------------------- */

#define SOCKET_NAME "/.s.PGSQL."

/* "/dir", "/dir:port", "/dir/.s.PGSQL.port" */
static sonde_code parse_path(sonde_str s, struct dsn *d, struct sonde_err *err)
{
    const char *name = memmem(s.ptr, s.len, SOCKET_NAME, strlen(SOCKET_NAME));
    const char *colon = memrchr(s.ptr, ':', s.len);
    sonde_str dir = s, port = { 0 };

    if (name) {
        dir.len = (size_t)(name - s.ptr);
        port = text_after(s, dir.len + strlen(SOCKET_NAME));
    } else if (colon) {
        dir.len = (size_t)(colon - s.ptr);
        port = text_after(s, dir.len + 1);
    }
    if (dir.len == 0 || dir.ptr[0] != '/' || (port.len && !is_port(port)))
        return sonde_err_set(err, SONDE_EINVAL,
                             "address: expected /directory of the socket, "
                             "/directory:port or unix:/path");
    if (!dsn_set(d, "host", dir) || (port.len && !dsn_set(d, "port", port)))
        return no_room(err);
    return SONDE_OK;
}

/* ---- from lib/pq to libpq ------------------------------------------------ */

static const char *const drivers_own[] = { "binary_parameters", "sslinline",
                                           "krbspn",
                                           "disable_prepared_binary_result" };

static bool is_drivers_own(const char *key)
{
    for (size_t i = 0; i < sizeof(drivers_own) / sizeof(drivers_own[0]); i++) {
        if (strcmp(key, drivers_own[i]) == 0)
            return true;
    }
    return false;
}

static bool is_known(const PQconninfoOption *known, const char *key)
{
    for (; known->keyword; known++) {
        if (strcmp(known->keyword, key) == 0)
            return true;
    }
    return false;
}

static bool is_setting_name(const char *key)
{
    for (const char *p = key; *p; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '.')
            return false;
    }
    return *key != '\0';
}

static void add_setting(struct text *options, const char *key,
                        const char *value)
{
    text_addf(options, "%s-c %s=", options->len ? " " : "", key);
    for (const char *p = value; *p; p++) {
        if (is_blank(*p) || *p == '\\')
            text_addz(options, "\\");
        text_add(options, p, 1);
    }
}

static sonde_code translate(struct dsn *d, struct sonde_err *err)
{
    PQconninfoOption *known = PQconninfoParse("", NULL);
    const char *given = dsn_get(d, "options");
    struct text options = { 0 };
    sonde_code rc = SONDE_OK;

    if (!known)
        return no_room(err);
    text_addz(&options, given ? given : "");
    for (size_t i = 0; rc == SONDE_OK && i < d->count;) {
        const char *key = d->items[i].key;

        if (is_known(known, key)) {
            i++;
            continue;
        }
        if (is_drivers_own(key))
            (void)snprintf(d->note, sizeof(d->note), "%s has no effect", key);
        else if (is_setting_name(key))
            add_setting(&options, key, d->items[i].value);
        else
            rc = sonde_err_set(err, SONDE_EINVAL,
                               "connection string: a key is no name");
        dsn_remove(d, i);
    }
    PQconninfoFree(known);
    if (rc == SONDE_OK && options.len &&
        !dsn_set(d, "options", (sonde_str){ options.ptr, options.len }))
        rc = no_room(err);
    text_fini(&options);
    return rc;
}

/* ---- all forms ----------------------------------------------------------- */

static size_t url_scheme(sonde_str s)
{
    return text_starts(s, "postgresql://") ? strlen("postgresql://")
           : text_starts(s, "postgres://") ? strlen("postgres://")
                                           : 0;
}

/* Whether a URL or key=value begins here. */
static bool begins(sonde_str s)
{
    size_t n = 0;

    s = text_trim(s);
    if (url_scheme(s))
        return true;
    while (n < s.len && (isalnum((unsigned char)s.ptr[n]) || s.ptr[n] == '_'))
        n++;
    s = text_trim(text_after(s, n));
    return n > 0 && s.len && s.ptr[0] == '=';
}

static sonde_code parse_any(sonde_str s, struct dsn *d, struct sonde_err *err)
{
    if (url_scheme(s))
        return parse_url(text_after(s, url_scheme(s)), d, err);
    if (text_starts(s, "unix:"))
        return parse_path(text_after(s, strlen("unix:")), d, err);
    if (s.len && s.ptr[0] == '/')
        return parse_path(s, d, err);
    if (begins(s))
        return parse_words(s, d, err);
    return parse_url(s, d, err); /* host:port/database?key=value */
}

/* The host as it was written; a socket in ?host= is not part of a URL's. */
static bool set_server(struct dsn *d, sonde_str text)
{
    const char *host = dsn_get(d, "host"), *port = dsn_get(d, "port");
    struct text t = { 0 };
    bool hidden = url_scheme(text) && host && host[0] == '/';

    text_addf(&t, "%s:%s", host && *host && !hidden ? host : "localhost",
              port && *port ? port : "5432");
    d->server = t.ptr;
    return d->server != NULL;
}

sonde_code dsn_parse(sonde_str text, struct dsn *out, struct sonde_err *err)
{
    sonde_code rc;

    *out = (struct dsn){ 0 };
    text = text_trim(text);
    if (text.len > DSN_BYTES_MAX ||
        (text.len && memchr(text.ptr, '\0', text.len)))
        return sonde_err_set(err, SONDE_EINVAL,
                             "connection string: too long, or has a NUL byte");
    rc = parse_any(text, out, err);
    if (rc == SONDE_OK && !set_server(out, text))
        rc = no_room(err);
    if (rc == SONDE_OK)
        rc = translate(out, err);
    if (rc == SONDE_OK && !dsn_get(out, "host") && !dsn_get(out, "hostaddr") &&
        !dsn_get(out, "service") && !getenv("PGHOST") &&
        !dsn_set(out, "host", SONDE_STR("localhost")))
        rc = no_room(err);
    return rc;
}

bool dsn_split(sonde_str *rest, sonde_str *one)
{
    if (!rest->ptr)
        return false;
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->ptr[i] == ',' && begins(text_after(*rest, i + 1))) {
            *one = (sonde_str){ rest->ptr, i };
            *rest = text_after(*rest, i + 1);
            return true;
        }
    }
    *one = *rest;
    *rest = (sonde_str){ 0 };
    return true;
}
