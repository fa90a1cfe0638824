/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are to a server. In this order: the entry of auth_modules that the
 * target names, the connection string itself, password_file, password; and
 * when none says anything, libpq's own places (PGPASSWORD, .pgpass,
 * PGPASSFILE, a service).
 *
 * Files are read at every login, so a password may be changed at any time.
 * The file of modules is the exporter's:
 *
 *     auth_modules:
 *       first:
 *         type: userpass
 *         userpass: {username: u, password: p}
 *         options: {sslmode: disable}
 */
#include <stdlib.h>

#include "postgres.h"
#include "yaml_file.h"

void credentials_fini(struct credentials *c)
{
    free(c->user);
    text_wipez(c->password);
    dsn_fini(&c->extra);
    *c = (struct credentials){ 0 };
}

static sonde_code set_text(char **to, sonde_str s, struct sonde_err *err)
{
    text_wipez(*to);
    *to = text_copy(s);
    return *to ? SONDE_OK : sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

/* ---- modules ------------------------------------------------------------- */

static sonde_code module_wrong(const yaml_node_t *n, const char *what,
                               struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EPARSE, "line %zu: %s", yaml_line(n), what);
}

static sonde_code read_userpass(struct yaml_file *f, const yaml_node_t *n,
                                struct credentials *out, struct sonde_err *err)
{
    sonde_str key, text;
    yaml_node_t *value;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && yaml_pair(f, n, i, &key, &value);
         i++) {
        if (!yaml_scalar(value, &text))
            return module_wrong(value, "expected a text", err);
        if (text_is(key, "username"))
            rc = set_text(&out->user, text, err);
        else if (text_is(key, "password"))
            rc = set_text(&out->password, text, err);
        else
            rc = module_wrong(value, "expected username or password", err);
    }
    return rc;
}

static sonde_code read_options(struct yaml_file *f, const yaml_node_t *n,
                               struct credentials *out, struct sonde_err *err)
{
    sonde_str key, text;
    yaml_node_t *value;
    char *name;
    bool ok;

    for (size_t i = 0; yaml_pair(f, n, i, &key, &value); i++) {
        if (!yaml_scalar(value, &text))
            return module_wrong(value, "expected a text", err);
        name = text_copy(key);
        ok = name && dsn_set(&out->extra, name, text);
        free(name);
        if (!ok)
            return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    }
    return SONDE_OK;
}

static sonde_code read_module(struct yaml_file *f, const yaml_node_t *n,
                              struct credentials *out, struct sonde_err *err)
{
    sonde_str key, text;
    yaml_node_t *value;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && yaml_pair(f, n, i, &key, &value);
         i++) {
        if (text_is(key, "type"))
            rc = yaml_scalar(value, &text) && text_is(text, "userpass")
                     ? SONDE_OK
                     : module_wrong(value, "expected type: userpass", err);
        else if (text_is(key, "userpass"))
            rc = read_userpass(f, value, out, err);
        else if (text_is(key, "options"))
            rc = read_options(f, value, out, err);
        else
            rc = module_wrong(value, "expected type, userpass or options", err);
    }
    if (rc == SONDE_OK && (!out->user || !out->password))
        rc = module_wrong(n, "expected a username and a password", err);
    return rc;
}

static const yaml_node_t *find_module(struct yaml_file *f, sonde_str name)
{
    sonde_str key, entry;
    yaml_node_t *modules, *module;

    for (size_t i = 0; yaml_pair(f, f->root, i, &key, &modules); i++) {
        if (!text_is(key, "auth_modules"))
            continue;
        for (size_t k = 0; yaml_pair(f, modules, k, &entry, &module); k++) {
            if (sonde_str_eq(entry, name))
                return module;
        }
    }
    return NULL;
}

sonde_code auth_module_read(sonde_str text, sonde_str name,
                            struct credentials *out, struct sonde_err *err)
{
    struct yaml_file f;
    const yaml_node_t *module;
    sonde_code rc = yaml_file_read(text, &f, err);

    *out = (struct credentials){ 0 };
    if (rc == SONDE_OK && name.len) {
        module = find_module(&f, name);
        rc = module ? read_module(&f, module, out, err)
                    : sonde_err_set(err, SONDE_ENOTFOUND, "no auth module %.*s",
                                    (int)name.len, name.ptr);
    }
    yaml_file_fini(&f);
    if (rc != SONDE_OK)
        credentials_fini(out);
    return rc;
}

/* ---- all places ---------------------------------------------------------- */

static sonde_code from_module(struct sonde_instance *i, struct credentials *out,
                              struct sonde_err *err)
{
    const struct pg_options *o = i->options;
    sonde_str text;
    sonde_code rc =
        i->host->read_file(i->open->target, o->auth_modules, &text, err);

    if (rc == SONDE_OK)
        rc = auth_module_read(text, o->auth_module, out, err);
    i->auth_ok = rc == SONDE_OK;
    if (i->auth_ok)
        i->auth_time = (double)i->host->now() / 1000;
    return rc == SONDE_OK ? rc : sonde_err_prefix(err, "auth_modules");
}

sonde_code credentials_find(struct sonde_instance *i, struct credentials *out,
                            struct sonde_err *err)
{
    const struct pg_options *o = i->options;
    const char *user = dsn_get(&i->dsn, "user"),
               *password = dsn_get(&i->dsn, "password");
    sonde_str text = o->password;
    sonde_code rc = SONDE_OK;

    *out = (struct credentials){ 0 };
    if (o->auth_module.len || o->auth_modules.len) {
        rc = from_module(i, out, err);
        if (o->auth_module.len)
            return rc;
    }
    rc = SONDE_OK; /* a bad file matters to those who name an entry of it */
    if (user || o->user.len)
        rc = set_text(&out->user, user ? sonde_cstr(user) : o->user, err);
    if (rc == SONDE_OK && !password && o->password_file.len)
        rc = i->host->read_file(i->open->target, o->password_file, &text, err);
    if (rc == SONDE_OK && (password || text.len))
        rc = set_text(&out->password, password ? sonde_cstr(password) : text,
                      err);
    return rc;
}
