/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes: a growing text, copies, and the encodings that brokers use. */
#ifndef PLUGINS_CELERY_TEXT_H
#define PLUGINS_CELERY_TEXT_H

#include <sonde/base.h>

struct text {
    char *ptr; /* NUL-terminated once something was added */
    size_t len, cap;
};

/* False when there is no memory; the text is then as it was. */
bool text_add(struct text *t, const void *p, size_t n);
bool text_addz(struct text *t, const char *z);
bool text_add_str(struct text *t, sonde_str s);
void text_clear(struct text *t);
void text_fini(struct text *t);
static inline sonde_str text_str(const struct text *t)
{
    return (sonde_str){ t->ptr, t->len };
}

static inline sonde_code no_memory(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

/* Appends `s` as UTF-8, at most `max` bytes of whole characters; what is no
 * UTF-8, and NUL, becomes U+FFFD. */
bool text_add_utf8(struct text *t, sonde_str s, size_t max);
/* Appends what `s` is the base64 of; false also when it is none. */
bool text_add_base64(struct text *t, sonde_str s);
/* Appends `s` with %XX decoded; false also when one is broken or NUL. */
bool text_add_decoded(struct text *t, sonde_str s);

/* A NUL-terminated copy for free(), or NULL. */
char *text_copy(sonde_str s);
bool text_is(sonde_str s, const char *z);
bool text_starts(sonde_str s, const char *prefix);
/* `s` without its first `n` bytes. */
sonde_str text_after(sonde_str s, size_t n);
/* Takes the part before `sep` off the front of `rest`; false when all is
 * used up. */
bool text_split(sonde_str *rest, char sep, sonde_str *part);
/* Digits only, at most `max`; false otherwise. */
bool text_number(sonde_str s, int64_t max, int64_t *out);
/* Seconds since the epoch of "2026-11-20T22:49:34.027087+00:00" (fraction
 * and offset may be missing, then UTC), or NaN. */
double text_time(sonde_str s);

#endif
