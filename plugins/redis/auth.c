/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fresh connection says first: AUTH, SELECT, CLIENT SETNAME, in the
 * same round trip as the first questions.
 *
 * The password comes from the address, from the option or from a file; the
 * file is read at each connection, so a new password needs no restart. It
 * holds either the password itself or, when its first byte is '{',
 * redis_exporter's map of target to password. The map's keys are compared as
 * addresses: `redis://localhost:6379`, `localhost` and
 * `redis://localhost` are the same target; a user in a key must be the user
 * that logs in. An entry with the target's own spelling wins.
 *
 * The text of a refused AUTH is never passed on, because a server without
 * that command repeats its arguments.
 */
#include <jansson.h>
#include <stdlib.h>

#include "redis.h"

/* ---- the file ------------------------------------------------------------ */

/* Whether a key of the map names the same target and user. */
static bool same_target(const char *key, const struct redis_address *want,
                        sonde_str user)
{
    sonde_str rest = sonde_cstr(key), scheme = { 0 }, name = { 0 };
    struct text plain = { 0 };
    struct redis_address a;
    const char *at;
    bool same = false;

    /* "scheme://user@host" has no colon before '@', which an address needs. */
    at = strstr(key, "://");
    if (at) {
        scheme = (sonde_str){ key, (size_t)(at - key) + 3 };
        rest = sonde_cstr(at + 3);
    }
    at = rest.len ? memrchr(rest.ptr, '@', rest.len) : NULL;
    if (at) {
        sonde_str info = { rest.ptr, (size_t)(at - rest.ptr) };

        (void)text_split(&info, ':', &name);
        rest = sonde_cstr(at + 1);
    }
    if (text_add(&plain, scheme.ptr, scheme.len) &&
        text_add(&plain, rest.ptr, rest.len) &&
        address_parse((sonde_str){ plain.ptr, plain.len }, &a, NULL) ==
            SONDE_OK) {
        same = strcmp(a.stream, want->stream) == 0 && a.tls == want->tls &&
               (!at || sonde_str_eq(name, user));
        address_fini(&a);
    }
    text_fini(&plain);
    return same;
}

static const char *look_up(json_t *map, sonde_str uri, sonde_str user)
{
    const char *found = NULL, *key;
    struct redis_address want;
    json_t *value;

    if (address_parse(uri, &want, NULL) != SONDE_OK)
        return NULL;
    json_object_foreach(map, key, value)
    {
        if (!json_is_string(value) || !same_target(key, &want, user))
            continue;
        if (!found || sonde_str_eq(sonde_cstr(key), uri) ||
            (user.len && strchr(key, '@')))
            found = json_string_value(value);
    }
    address_fini(&want);
    return found;
}

sonde_code auth_from_file(sonde_str file, sonde_str uri, sonde_str user,
                          char **out, struct sonde_err *err)
{
    sonde_str text = text_trim(file);
    const char *found;
    json_t *map;

    *out = NULL;
    if (text.len == 0 || text.ptr[0] != '{') {
        if (file.len && memchr(file.ptr, '\0', file.len))
            return sonde_err_set(err, SONDE_EINVAL,
                                 "the password file has a NUL byte");
        *out = file.len ? strndup(file.ptr, file.len) : NULL;
        return file.len && !*out
                   ? sonde_err_set(err, SONDE_ENOMEM, "out of memory")
                   : SONDE_OK;
    }
    map = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(map)) {
        json_decref(map);
        return sonde_err_set(err, SONDE_EINVAL,
                             "the password file begins with '{' but is no "
                             "JSON object of targets and passwords");
    }
    found = look_up(map, uri, user);
    if (found && *found)
        *out = strdup(found);
    if (found && *found && !*out) {
        json_decref(map);
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    }
    json_decref(map);
    return SONDE_OK;
}

static sonde_code read_secret(struct sonde_instance *i, char **out,
                              struct sonde_err *err)
{
    sonde_str text;
    struct sonde_err why = { 0 };

    if (i->host->read_file(i->open->target, i->options->password_file, &text,
                           &why) != SONDE_OK) {
        i->host->log(i->open->target, SONDE_LOG_WARN, "%s", why.text);
        return sonde_err_set(err, SONDE_EACCESS,
                             "the password file can not be read");
    }
    return auth_from_file(text, i->open->address, i->options->user, out, err);
}

/* ---- the greeting -------------------------------------------------------- */

struct credentials {
    const char *user, *password; /* NULL: none */
};

static sonde_code find_credentials(struct sonde_instance *i,
                                   struct redis_greeting *g,
                                   struct credentials *out,
                                   struct sonde_err *err)
{
    const struct redis_options *o = i->options;
    sonde_code rc = SONDE_OK;

    out->user = o->user.len ? o->user.ptr : NULL;
    out->password = o->password.len ? o->password.ptr : NULL;
    if (i->address.password) {
        out->user = i->address.user;
        out->password = i->address.password;
    } else if (!o->password.len && o->password_file.len) {
        rc = read_secret(i, &g->secret, err);
        out->password = g->secret;
    }
    return rc;
}

sonde_code auth_add(struct sonde_instance *i, struct redis_conn *c,
                    struct redis_greeting *g, struct sonde_err *err)
{
    struct credentials cr = { 0 };
    sonde_code rc;

    *g = (struct redis_greeting){ 0 };
    rc = find_credentials(i, g, &cr, err);
    if (rc == SONDE_OK && cr.password) {
        g->auth = true;
        rc = cr.user
                 ? conn_add(c, err, SONDE_STR("AUTH"), sonde_cstr(cr.user),
                            sonde_cstr(cr.password))
                 : conn_add(c, err, SONDE_STR("AUTH"), sonde_cstr(cr.password));
    }
    c->database = 0;
    if (rc == SONDE_OK && c == &i->conn && i->address.database >= 0)
        rc = conn_select(c, i->address.database, &g->select, err);
    if (rc == SONDE_OK && i->options->set_client_name) {
        g->name = true;
        rc = conn_add(c, err, SONDE_STR("CLIENT"), SONDE_STR("SETNAME"),
                      SONDE_STR("sonde"));
    }
    return rc;
}

static sonde_code judge_auth(const struct redis_reply *r, struct sonde_err *err)
{
    if (r->type != REDIS_REPLY_ERROR)
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EAUTH, "AUTH is refused: %s",
                         reply_is_error(r, "WRONGPASS") ||
                                 text_has(r->str, "invalid password")
                             ? "wrong user or password"
                         : text_has(r->str, "without any password") ||
                                 text_has(r->str, "no password is set")
                             ? "the server has no password"
                             : "the server does not take it");
}

sonde_code auth_read(struct redis_conn *c, const struct redis_greeting *g,
                     sonde_msec deadline, struct sonde_err *err)
{
    struct redis_reply *r = NULL;
    sonde_code rc = SONDE_OK;

    if (g->auth) {
        rc = conn_read(c, deadline, &r, err);
        if (rc == SONDE_OK)
            rc = judge_auth(r, err);
    }
    if (rc == SONDE_OK && g->select) {
        rc = conn_read(c, deadline, &r, err);
        if (rc == SONDE_OK && r->type == REDIS_REPLY_ERROR)
            rc = sonde_err_set(err, SONDE_EPROTO, "SELECT is refused: %.200s",
                               r->str.ptr);
    }
    if (rc == SONDE_OK && g->name)
        rc = conn_read(c, deadline, &r, err); /* a refusal is no matter */
    return rc;
}

bool auth_changed(struct sonde_instance *i, const struct redis_greeting *g)
{
    struct sonde_err why;
    char *now = NULL;
    bool changed;

    if (i->address.password || i->options->password.len ||
        i->options->password_file.len == 0 ||
        read_secret(i, &now, &why) != SONDE_OK)
        return false;
    changed = !now != !g->secret || (now && strcmp(now, g->secret) != 0);
    if (now)
        explicit_bzero(now, strlen(now));
    free(now);
    return changed;
}

void auth_forget(struct redis_greeting *g)
{
    if (g->secret)
        explicit_bzero(g->secret, strlen(g->secret));
    free(g->secret);
    g->secret = NULL;
}
