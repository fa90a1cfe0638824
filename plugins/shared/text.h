/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: a growing text, views cut at separators, UTF-8 made valid, numbers.
 * A plugin links nothing of the agent, so the few helpers it needs are here.
 */
#ifndef PLUGINS_SHARED_TEXT_H
#define PLUGINS_SHARED_TEXT_H

#include <sonde/base.h>

/* Grows as it is written to; NUL-terminated once something was added. After
 * a lack of memory `failed` is set and nothing more is added until it is
 * cleared, so that it is enough to look at the end. */
struct text {
    char *ptr;
    size_t len, cap;
    bool failed;
};
/* False when there is no memory; the text is then as it was. */
bool text_add(struct text *t, const void *p, size_t n);
bool text_addz(struct text *t, const char *z);
bool text_add_str(struct text *t, sonde_str s);
bool text_addf(struct text *t, const char *fmt, ...) SONDE_PRINTF(2, 3);
/* Appends `s` as UTF-8, at most `max` bytes of whole characters; what is no
 * UTF-8, and NUL, becomes U+FFFD. */
bool text_add_utf8(struct text *t, sonde_str s, size_t max);
/* Appends `s` with its %XX decoded, and '+' as a blank if `plus`; false also
 * when one is broken. */
bool text_add_decoded(struct text *t, sonde_str s, bool plus);
/* Makes room for `n` more bytes. */
bool text_reserve(struct text *t, size_t n);
void text_clear(struct text *t); /* keeps the memory */
void text_fini(struct text *t);
/* Frees, after overwriting: it held a secret. */
void text_wipe(struct text *t);
static inline sonde_str text_str(const struct text *t)
{
    return (sonde_str){ t->ptr, t->len };
}

/* A NUL-terminated copy for free(); NULL when there is no memory. */
char *text_copy(sonde_str s);
/* A copy with its %XX decoded, for free(); NULL when one is broken or stands
 * for NUL, or there is no memory. */
char *text_decoded(sonde_str s);
/* Frees a string after overwriting it; NULL is fine. */
void text_wipez(char *z);

sonde_str text_trim(sonde_str s);
/* Takes the part before `sep` off the front; false when all is used up. */
bool text_split(sonde_str *rest, char sep, sonde_str *part);
/* Here, so that the length of a literal is known at compile time. */
static inline bool text_starts(sonde_str s, const char *prefix)
{
    size_t n = strlen(prefix);

    return n == 0 || (s.len >= n && memcmp(s.ptr, prefix, n) == 0);
}
static inline bool text_is(sonde_str s, const char *z)
{
    return s.len == strlen(z) && text_starts(s, z);
}
/* Whether `part` occurs in `s`. */
bool text_has(sonde_str s, const char *part);
/* Whether `s` is PREFIX and then one or more digits, and nothing else. */
bool text_is_numbered(sonde_str s, const char *prefix);
/* Value of `key` in "k=v,k=v"; false if it is not there. */
bool text_pair(sonde_str list, const char *key, sonde_str *out);
/* `s` without its first `n` bytes. */
sonde_str text_after(sonde_str s, size_t n);
/* Takes PREFIX off the front if it is there and more follows. */
bool text_cut_prefix(sonde_str *s, const char *prefix);
/* Valid UTF-8 without NUL, which no label should hold. */
bool text_is_utf8(sonde_str s);

/* A number as Go reads one, whatever the process' locale: digits, a fraction,
 * an exponent (hexadecimal ones must have it), NaN, Inf(inity). Nothing may
 * stand around it. */
bool text_number(sonde_str s, double *out);
/* Digits only, at most `max`. */
bool text_whole(sonde_str s, int64_t max, int64_t *out);

#endif
