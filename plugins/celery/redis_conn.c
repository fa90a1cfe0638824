/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to Redis: where the master is, by sentinels if need be; dialing
 * by the host's streams; AUTH, SELECT and a name in one round trip.
 *
 * The streams of the listener are put in place under `wake_lock`, so that
 * `wake` never touches one that is being opened or closed.
 */
#include "redis_int.h"

/* A reply that is an error, as a code; AUTH's text is never passed on, for a
 * server may repeat what it was sent. */
sonde_code redis_refused(const struct reply *r, const char *what,
                         struct sonde_err *err)
{
    bool auth = strcmp(what, "AUTH") == 0;

    if (r->type != REDIS_REPLY_ERROR)
        return SONDE_OK;
    if (auth)
        return sonde_err_set(err, SONDE_EAUTH,
                             "AUTH is refused: wrong user or password, or the "
                             "server has none");
    return sonde_err_set(
        err,
        text_starts(text_str(&r->text), "NOAUTH") ? SONDE_EAUTH : SONDE_EPROTO,
        "%s is refused: %.200s", what, r->text.ptr ? r->text.ptr : "");
}

sonde_code redis_expect_ok(struct resp *c, const char *what,
                           sonde_msec deadline, struct sonde_err *err)
{
    struct reply *r = NULL;
    sonde_code rc = resp_read(c, deadline, &r, err);

    if (rc == SONDE_OK)
        rc = redis_refused(r, what, err);
    reply_free(r);
    return rc;
}

static sonde_code add_auth(struct resp *c, const struct login *l,
                           struct sonde_err *err)
{
    if (l->user)
        return RESP_ADD(c, err, sonde_cstr("AUTH"), sonde_cstr(l->user),
                        sonde_cstr(l->password));
    return RESP_ADD(c, err, sonde_cstr("AUTH"), sonde_cstr(l->password));
}

/* AUTH, SELECT and a name, in one round trip. */
static sonde_code greet(struct redis *r, struct resp *c, const struct login *l,
                        sonde_msec deadline, struct sonde_err *err)
{
    char database[32];
    sonde_code rc = SONDE_OK;

    (void)snprintf(database, sizeof(database), "%lld",
                   (long long)r->config.broker->database);
    if (l->password)
        rc = add_auth(c, l, err);
    if (rc == SONDE_OK)
        rc = RESP_ADD(c, err, sonde_cstr("SELECT"), sonde_cstr(database));
    if (rc == SONDE_OK)
        rc = RESP_ADD(c, err, sonde_cstr("CLIENT"), sonde_cstr("SETNAME"),
                      sonde_cstr("sonde-celery"));
    if (rc == SONDE_OK)
        rc = wire_send(&c->wire, deadline, err);
    if (rc == SONDE_OK && l->password)
        rc = redis_expect_ok(c, "AUTH", deadline, err);
    if (rc == SONDE_OK)
        rc = redis_expect_ok(c, "SELECT", deadline, err);
    if (rc == SONDE_OK) {
        rc = redis_expect_ok(c, "CLIENT SETNAME", deadline, err);
        if (rc == SONDE_EPROTO && c->wire.answered) /* an ACL may not have it */
            rc = SONDE_OK;
    }
    return rc;
}

/* Names itself as the wake-able stream once it is open. */
static sonde_code dial(struct redis *r, struct resp *c, sonde_str address,
                       sonde_msec deadline, struct sonde_err *err)
{
    struct sonde_tls tls = broker_tls(r->config.broker, r->config.tls);
    struct resp fresh = *c;
    sonde_code rc;

    fresh.wire.stream = NULL;
    fresh.wire.reader = NULL;
    fresh.wire.out = (struct text){ 0 };
    rc = resp_open(&fresh, address, r->config.broker->tls ? &tls : NULL,
                   deadline, err);
    if (rc != SONDE_OK)
        return rc;
    (void)pthread_mutex_lock(&r->wake_lock);
    *c = fresh;
    c->wire.reader->privdata = c;
    rc = r->stopped ? sonde_err_set(err, SONDE_ECANCELED, "stopped") : SONDE_OK;
    (void)pthread_mutex_unlock(&r->wake_lock);
    return rc;
}

void redis_hang_up(struct redis *r, struct resp *c)
{
    (void)pthread_mutex_lock(&r->wake_lock);
    resp_close(c);
    (void)pthread_mutex_unlock(&r->wake_lock);
}

/* What a sentinel says where the master is: "host:port". */
static sonde_code ask_sentinel(struct redis *r, const char *sentinel,
                               struct text *out, sonde_msec deadline,
                               struct sonde_err *err)
{
    const struct celery_options *o = r->config.options;
    struct resp c = { .wire = { .host = r->config.host,
                                .target = r->config.target,
                                .limit = 65536 } };
    struct reply *reply = NULL;
    sonde_str host;
    sonde_code rc = resp_open(&c, sonde_cstr(sentinel), NULL, deadline, err);

    if (rc == SONDE_OK && o->sentinel_password.len)
        rc = RESP_ADD(&c, err, sonde_cstr("AUTH"), o->sentinel_password);
    if (rc == SONDE_OK)
        rc = RESP_ADD(&c, err, sonde_cstr("SENTINEL"),
                      sonde_cstr("get-master-addr-by-name"), o->master_name);
    if (rc == SONDE_OK)
        rc = wire_send(&c.wire, deadline, err);
    if (rc == SONDE_OK && o->sentinel_password.len)
        rc = redis_expect_ok(&c, "AUTH", deadline, err);
    if (rc == SONDE_OK)
        rc = resp_read(&c, deadline, &reply, err);
    if (rc == SONDE_OK)
        rc = redis_refused(reply, "SENTINEL", err);
    if (rc == SONDE_OK && reply->count != 2)
        rc = sonde_err_set(err, SONDE_ENOTFOUND,
                           "sentinel %s knows no master \"%.*s\"", sentinel,
                           SONDE_ARG(o->master_name));
    if (rc == SONDE_OK) {
        host = reply_item(reply, 0);
        text_clear(out);
        if (host.len && memchr(host.ptr, ':', host.len)
                ? !text_addz(out, "[") || !text_add_str(out, host) ||
                      !text_addz(out, "]:")
                : !text_add_str(out, host) || !text_addz(out, ":"))
            rc = no_memory(err);
        if (rc == SONDE_OK && !text_add_str(out, reply_item(reply, 1)))
            rc = no_memory(err);
    }
    reply_free(reply);
    resp_close(&c);
    return rc;
}

static sonde_code find_master(struct redis *r, struct text *out,
                              sonde_msec deadline, struct sonde_err *err)
{
    const struct broker *b = r->config.broker;
    sonde_code rc = SONDE_ENOTFOUND;

    if (b->kind == BROKER_REDIS)
        return text_addz(out, b->hosts[0].address) ? SONDE_OK : no_memory(err);
    for (size_t i = 0; i < b->host_count && rc != SONDE_OK; i++)
        rc = ask_sentinel(r, b->hosts[i].address, out, deadline, err);
    return rc;
}

/* Opens one of the connections. A password that is refused is looked up once
 * more: the file may have been changed between reading and asking. */
sonde_code redis_connect(struct redis *r, struct resp *c, sonde_msec deadline,
                         struct sonde_err *err)
{
    struct text address = { 0 };
    struct login login = { 0 };
    bool again = r->config.options->password_file.len > 0;
    sonde_code rc = find_master(r, &address, deadline, err);

    while (rc == SONDE_OK) {
        redis_hang_up(r, c);
        rc = login_find(&r->config, &login, err);
        if (rc == SONDE_OK)
            rc = dial(r, c, text_str(&address), deadline, err);
        if (rc == SONDE_OK)
            rc = greet(r, c, &login, deadline, err);
        login_fini(&login);
        if (rc != SONDE_EAUTH || !again)
            break;
        again = false;
        rc = SONDE_OK;
    }
    if (rc != SONDE_OK)
        redis_hang_up(r, c);
    text_fini(&address);
    return rc;
}
