/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to log in with. The file is read at each connection, so a password
 * that was changed is taken as soon as the old one is refused. The host keeps
 * what it read until the next call for that target, and two threads of ours
 * connect: hence the lock.
 */
#include <stdlib.h>

#include "encodings.h"
#include "transport.h"

static sonde_code read_password(const struct transport_config *c, char **out,
                                struct sonde_err *err)
{
    sonde_str text = { 0 };
    sonde_code rc;

    (void)pthread_mutex_lock(c->files);
    rc = c->host->read_file(c->target, c->options->password_file, &text, err);
    if (rc == SONDE_OK) {
        *out = text_copy(text);
        if (!*out)
            rc = no_memory(err);
    }
    (void)pthread_mutex_unlock(c->files);
    return rc;
}

sonde_code login_find(const struct transport_config *c, struct login *out,
                      struct sonde_err *err)
{
    const struct celery_options *o = c->options;
    const char *user = c->broker->user;
    const char *password = c->broker->password;

    *out = (struct login){ 0 };
    if (!user && o->user.len)
        user = o->user.ptr;
    if (!password && o->password.len)
        password = o->password.ptr;
    if (user)
        out->user = text_copy(sonde_cstr(user));
    if (o->password_file.len)
        return read_password(c, &out->password, err);
    if (password)
        out->password = text_copy(sonde_cstr(password));
    return SONDE_OK;
}

void login_fini(struct login *l)
{
    if (l->password)
        explicit_bzero(l->password, strlen(l->password));
    free(l->user);
    free(l->password);
    *l = (struct login){ 0 };
}
