/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to one database, and what was learnt on it.
 *
 * The first round trip after a login sets the session's guards, each by a
 * statement of its own, so that a server that does not know one (jit before
 * 11, forks, poolers) takes the others: nothing may run longer than a
 * collection, wait long for a lock, write, or stay in a transaction. What the
 * connection string itself sets is left alone. The same batch asks for the
 * version's text, the database's name and the extensions.
 *
 * A login that fails is tried again after a while that doubles, up to fifteen
 * seconds; at once when the password is another one now, or after a reload.
 */
#include <netdb.h>
#include <stdlib.h>

#include "postgres.h"

enum {
    LOGIN_KEYS_MAX = DSN_ITEMS_MAX * 2,
    RETRY_MAX_MS = 15000
};

static const char *const extension_names[EXTENSION_COUNT] = {
    "pg_stat_statements", "pg_buffercache"
};

static void free_texts(struct session *s)
{
    for (size_t c = 0; c < COLLECTOR_COUNT; c++) {
        free(s->texts[c]);
        s->texts[c] = NULL;
        s->refused[c].code = SONDE_OK;
        s->alone[c] = false;
    }
    for (size_t e = 0; e < EXTENSION_COUNT; e++) {
        free(s->extensions[e].schema);
        s->extensions[e] = (struct extension){ .name = extension_names[e] };
    }
    free(s->name);
    s->name = NULL;
}

void session_close(struct session *s)
{
    if (s->link)
        s->link->ops->close(s->link);
    s->link = NULL;
    free_texts(s);
}

void session_fini(struct session *s)
{
    session_close(s);
    free(s->database);
    s->database = NULL;
}

/* ---- keywords ------------------------------------------------------------ */

struct keywords {
    const char *keys[LOGIN_KEYS_MAX + 1], *values[LOGIN_KEYS_MAX + 1];
    size_t count;
    char *owned[8]; /* NUL-terminated copies of options */
    size_t owned_count;
};

/* Replaces what is there; an empty value is not set. */
static void put(struct keywords *k, const char *key, const char *value)
{
    size_t i = 0;

    if (!value || !*value)
        return;
    while (i < k->count && strcmp(k->keys[i], key) != 0)
        i++;
    if (i == LOGIN_KEYS_MAX)
        return;
    k->keys[i] = key;
    k->values[i] = value;
    if (i == k->count)
        k->count++;
}

static bool has(const struct keywords *k, const char *key)
{
    for (size_t i = 0; i < k->count; i++) {
        if (strcmp(k->keys[i], key) == 0)
            return true;
    }
    return false;
}

static void put_default(struct keywords *k, const char *key, sonde_str value)
{
    if (!has(k, key) && value.len)
        put(k, key, value.ptr); /* options end with a NUL */
}

static void put_dsn(struct keywords *k, const struct dsn *d)
{
    for (size_t i = 0; i < d->count; i++)
        put(k, d->items[i].key, d->items[i].value);
}

/* The job's tls_config, as far as the connection string is silent. To verify
 * a name that is not the host's, the host is given as an address. */
static void put_tls(struct keywords *k, const struct sonde_tls *tls,
                    char address[NI_MAXHOST])
{
    const char *host = NULL;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;

    if (!tls)
        return;
    put_default(k, "sslrootcert", tls->ca_file);
    put_default(k, "sslcert", tls->cert_file);
    put_default(k, "sslkey", tls->key_file);
    if (tls->insecure)
        put_default(k, "sslmode", SONDE_STR("require"));
    else if (tls->ca_file.len)
        put_default(k, "sslmode", SONDE_STR("verify-full"));
    for (size_t i = 0; i < k->count; i++) {
        if (strcmp(k->keys[i], "host") == 0)
            host = k->values[i];
    }
    if (tls->server_name.len == 0 || !host || host[0] == '/' ||
        strchr(host, ',') || has(k, "hostaddr"))
        return;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return;
    if (getnameinfo(found->ai_addr, found->ai_addrlen, address, NI_MAXHOST,
                    NULL, 0, NI_NUMERICHOST) == 0) {
        put(k, "hostaddr", address);
        put(k, "host", tls->server_name.ptr);
    }
    freeaddrinfo(found);
}

static void make_keywords(const struct sonde_instance *i,
                          const struct session *s, const struct credentials *c,
                          struct keywords *k, char address[NI_MAXHOST])
{
    const struct pg_options *o = i->options;

    *k = (struct keywords){ 0 };
    put_dsn(k, &i->dsn);
    put_dsn(k, &c->extra);
    put(k, "user", c->user);
    put(k, "password", c->password);
    put_default(k, "dbname", o->database);
    put(k, "dbname", s->database);
    put_default(k, "application_name", o->application_name);
    put_default(k, "sslmode", o->sslmode);
    put_tls(k, i->open->tls, address);
    put(k, "client_encoding", "UTF8");
}

/* ---- the first round trip ------------------------------------------------ */

static const struct guard {
    const char *name, *value; /* NULL: see guard_value */
    int from;
} guards[] = {
    { "statement_timeout", NULL, 0 },
    { "lock_timeout", NULL, 90300 },
    { "idle_in_transaction_session_timeout", "60s", 90600 },
    { "default_transaction_read_only", "on", 0 },
    { "jit", "off", 110000 },
    { "client_connection_check_interval", "1s", 140000 },
    { "timezone", "UTC", 0 },
    { "datestyle", "ISO, YMD", 0 },
    { "intervalstyle", "postgres", 0 },
    { "bytea_output", "hex", 0 },
    { "extra_float_digits", "1", 120000 },
};
enum {
    GUARD_COUNT = sizeof(guards) / sizeof(guards[0])
};

/* A server of SQL_ASCII does not know what its bytes are, and refuses those
 * that are no UTF-8 to who asks for that; emit.c makes them valid. */
static const char encoding_sql[] =
    "SELECT set_config('client_encoding', 'SQL_ASCII', false) "
    "WHERE current_setting('server_encoding') = 'SQL_ASCII'";
static const char about_sql[] = "SELECT version(), current_database()";
static const char extensions_sql[] =
    "SELECT e.extname, e.extversion, quote_ident(n.nspname) "
    "FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n "
    "ON n.oid = e.extnamespace "
    "WHERE e.extname IN ('pg_stat_statements', 'pg_buffercache')";

static void guard_value(const struct sonde_instance *i, const struct guard *g,
                        sonde_msec deadline, char out[32])
{
    sonde_msec left = i->open->timeout > 0 ? i->open->timeout
                                           : deadline - i->host->monotonic();

    if (g->value)
        (void)snprintf(out, 32, "%s", g->value);
    else if (strcmp(g->name, "lock_timeout") == 0)
        (void)snprintf(out, 32, "%lldms", (long long)i->options->lock_timeout);
    else
        (void)snprintf(out, 32, "%lldms", (long long)(left < 1 ? 1 : left));
}

/* Whether the connection string sets it (it is then in `options`). */
static bool is_set(const struct sonde_instance *i, const char *name)
{
    const char *options = dsn_get(&i->dsn, "options");

    return options && strcasestr(options, name);
}

static size_t add_guards(const struct sonde_instance *i, int version,
                         sonde_msec deadline, struct statement *out,
                         char texts[GUARD_COUNT][128])
{
    size_t n = 0;

    for (size_t g = 0; g < GUARD_COUNT; g++) {
        char value[32];

        if (version < guards[g].from || is_set(i, guards[g].name))
            continue;
        guard_value(i, &guards[g], deadline, value);
        (void)snprintf(texts[n], 128, "SET %s = '%s'", guards[g].name, value);
        out[n] = (struct statement){ .sql = texts[n] };
        n++;
    }
    return n;
}

static void learn_about(struct sonde_instance *i, struct session *s,
                        const struct rows *r)
{
    if (r->count != 1 || r->columns != 2)
        return;
    if (s == &i->main) {
        free(i->version_text);
        i->version_text = text_copy(rows_text(r, 0, 0));
    }
    free(s->name);
    s->name = text_copy(rows_text(r, 0, 1));
}

/* "1.10" is 110. */
static int extension_version(sonde_str s)
{
    sonde_str major;
    int64_t a, b = 0;

    if (!text_split(&s, '.', &major) || !text_whole(major, INT64_MAX, &a))
        return 0;
    if (s.ptr && !text_whole(s, INT64_MAX, &b))
        b = 0;
    return a < 10000 && b < 100 ? (int)(a * 100 + b) : 0;
}

static void learn_extensions(struct session *s, const struct rows *r)
{
    for (size_t row = 0; row < r->count && r->columns == 3; row++) {
        for (size_t e = 0; e < EXTENSION_COUNT; e++) {
            struct extension *x = &s->extensions[e];

            if (!text_is(rows_text(r, row, 0), x->name))
                continue;
            x->version = extension_version(rows_text(r, row, 1));
            free(x->schema);
            x->schema = text_copy(rows_text(r, row, 2));
        }
    }
}

static sonde_code greet(struct sonde_instance *i, struct session *s,
                        sonde_msec deadline, struct sonde_err *err)
{
    struct statement st[GUARD_COUNT + 3];
    char texts[GUARD_COUNT][128];
    struct sonde_err ignored;
    size_t n = add_guards(i, s->link->version, deadline, st, texts), total;
    sonde_code rc;

    st[n++] = (struct statement){ .sql = encoding_sql };
    total = n;
    st[total++] = (struct statement){ .sql = about_sql };
    st[total++] = (struct statement){ .sql = extensions_sql };
    rc = s->link->ops->send(s->link, st, total, deadline, err);
    for (size_t k = 0; rc == SONDE_OK && k < total; k++) {
        struct rows r;
        sonde_code one =
            s->link->ops->next(s->link, deadline, &r, k == n ? err : &ignored);

        if (s->link->lost)
            rc = k == n ? one : sonde_err_set(err, one, "%s", ignored.text);
        else if (one == SONDE_OK && k == n)
            learn_about(i, s, &r);
        else if (one == SONDE_OK && k == n + 1)
            learn_extensions(s, &r);
    }
    return rc;
}

/* ---- logging in ---------------------------------------------------------- */

static sonde_code try_login(struct sonde_instance *i, struct session *s,
                            const struct credentials *c, sonde_msec deadline,
                            struct sonde_err *err)
{
    struct keywords k;
    char address[NI_MAXHOST];
    struct login login = { .keys = k.keys, .values = k.values };
    double began = clock_seconds();
    sonde_code rc;

    make_keywords(i, s, c, &k, address);
    for (size_t n = 0; n < k.count; n++) {
        if (strcmp(k.keys[n], "password") == 0)
            login.password = sonde_cstr(k.values[n]);
    }
    i->connects++;
    rc = i->ops->open(i->ops, &login, deadline, &s->link, err);
    if (rc == SONDE_OK)
        rc = greet(i, s, deadline, err);
    if (s == &i->main)
        i->connect_seconds = clock_seconds() - began;
    if (rc != SONDE_OK)
        session_close(s);
    return rc;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* A password that changed while we were being refused is tried once. */
static sonde_code log_in(struct sonde_instance *i, struct session *s,
                         struct credentials *c, sonde_msec deadline,
                         struct sonde_err *err)
{
    sonde_code rc = try_login(i, s, c, deadline, err);
    struct credentials again;
    struct sonde_err ignored;

    if (rc != SONDE_ECONNECT || !c->password)
        return rc;
    if (credentials_find(i, &again, &ignored) == SONDE_OK &&
        !same_text(again.password, c->password)) {
        credentials_fini(c);
        *c = again;
        return try_login(i, s, c, deadline, err);
    }
    credentials_fini(&again);
    return rc;
}

static sonde_code too_early(const struct sonde_instance *i,
                            const struct credentials *c, struct sonde_err *err)
{
    if (i->failures < 2 || i->host->monotonic() >= i->retry_at ||
        !same_text(c->password, i->last_password))
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EUNAVAILABLE, "%s (not tried again yet)",
                         i->down_why);
}

static void note_login(struct sonde_instance *i, sonde_code rc,
                       const struct credentials *c, const struct sonde_err *err)
{
    sonde_msec wait = 500;

    text_wipez(i->last_password);
    i->last_password = c->password ? text_copy(sonde_cstr(c->password)) : NULL;
    if (rc == SONDE_OK) {
        i->failures = 0;
        return;
    }
    (void)snprintf(i->down_why, sizeof(i->down_why), "%.399s", err->text);
    i->failures++;
    for (unsigned n = 2; n < i->failures && wait < RETRY_MAX_MS; n++)
        wait *= 2;
    i->retry_at =
        i->host->monotonic() + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS);
}

sonde_code session_open(struct sonde_instance *i, struct session *s,
                        sonde_msec deadline, struct sonde_err *err)
{
    struct credentials c;
    sonde_code rc;

    session_close(s);
    rc = credentials_find(i, &c, err);
    if (rc == SONDE_OK && s == &i->main)
        rc = too_early(i, &c, err);
    if (rc != SONDE_OK) {
        credentials_fini(&c);
        return rc;
    }
    rc = log_in(i, s, &c, deadline, err);
    if (s == &i->main)
        note_login(i, rc, &c, err);
    credentials_fini(&c);
    if (rc != SONDE_OK)
        return rc;
    s->since = i->host->monotonic();
    s->kept = false;
    if (s == &i->main && i->version != s->link->version) {
        i->version = s->link->version;
        for (size_t b = 0; b < COLLECTOR_COUNT; b++) {
            free(i->bindings[b]);
            i->bindings[b] = NULL;
        }
    }
    return SONDE_OK;
}
