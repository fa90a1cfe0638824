/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake host's documents that outlive an instance: kept in the fake, so
 * that a test can close and open again. Include <sonde/testing.h>.
 */
#ifndef SONDE_TESTING_STATE_H
#define SONDE_TESTING_STATE_H

#include <sonde/testing_fake.h>

/* The slot of that name, or else a free one; NULL: all are taken. */
static inline struct sonde_fake_state *sonde_fake_slot(struct sonde_fake *f,
                                                       const char *name)
{
    struct sonde_fake_state *vacant = NULL;

    for (size_t i = SONDE_FAKE_STATES; i-- > 0;) {
        if (!f->states[i].ptr)
            vacant = &f->states[i];
        else if (strcmp(f->states[i].name, name) == 0)
            return &f->states[i];
    }
    return vacant;
}

/* What is saved under that name now: a string (an empty one also when there
 * is nothing), valid until the next save. */
static inline const char *sonde_fake_saved(struct sonde_fake *f,
                                           const char *name)
{
    const struct sonde_fake_state *s = sonde_fake_slot(f, name);

    return s && s->ptr ? s->ptr : "";
}

static inline sonde_code sonde_fake_state_name(const char *name,
                                               struct sonde_err *err)
{
    size_t n = strlen(name);

    if (n && n < sizeof(((struct sonde_fake_state *)0)->name) &&
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n)
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EINVAL,
                         "state \"%s\": expected a name of [a-z0-9_]", name);
}

static inline sonde_code
sonde_fake_state_save(const struct sonde_target *target, const char *name,
                      const void *data, size_t len, struct sonde_err *err)
{
    struct sonde_fake *f = sonde_fake_current();
    struct sonde_fake_state *s;
    char *copy;

    (void)target;
    if (f->no_state)
        return sonde_err_set(err, SONDE_EUNSUPPORTED, "no data directory");
    if (sonde_fake_state_name(name, err) != SONDE_OK)
        return SONDE_EINVAL;
    if (len > SONDE_FAKE_STATE_MAX)
        return sonde_err_set(err, SONDE_ELIMIT, "state %s: %zu bytes", name,
                             len);
    s = sonde_fake_slot(f, name);
    copy = (char *)calloc(1, len + 1);
    if (!s || !copy)
        abort();
    if (len)
        memcpy(copy, data, len);
    free(s->ptr);
    (void)snprintf(s->name, sizeof(s->name), "%s", name);
    s->ptr = copy;
    s->len = len;
    return SONDE_OK;
}

static inline sonde_code
sonde_fake_state_load(const struct sonde_target *target, const char *name,
                      sonde_str *out, struct sonde_err *err)
{
    struct sonde_fake *f = sonde_fake_current();
    const struct sonde_fake_state *s;

    (void)target;
    if (f->no_state)
        return sonde_err_set(err, SONDE_EUNSUPPORTED, "no data directory");
    if (sonde_fake_state_name(name, err) != SONDE_OK)
        return SONDE_EINVAL;
    s = sonde_fake_slot(f, name);
    if (!s || !s->ptr)
        return sonde_err_set(err, SONDE_ENOTFOUND, "state %s: not there", name);
    free(f->state);
    f->state = (char *)calloc(1, s->len + 1);
    if (!f->state)
        abort();
    memcpy(f->state, s->ptr, s->len);
    *out = (sonde_str){ f->state, s->len };
    return SONDE_OK;
}

#endif
