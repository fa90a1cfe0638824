/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: a growing text, views cut at separators, UTF-8 made valid, numbers.
 * A plugin links nothing of the agent, so the few helpers it needs are here.
 */
#ifndef PLUGINS_POSTGRES_TEXT_H
#define PLUGINS_POSTGRES_TEXT_H

#include <sonde/base.h>

/* Grows as it is written to; NUL-terminated once something was added. After
 * a lack of memory `failed` is set and nothing more is added, so that only
 * the end has to look. */
struct text {
    char *ptr;
    size_t len, cap;
    bool failed;
};
void text_add(struct text *t, const void *p, size_t n);
void text_addz(struct text *t, const char *z);
void text_adds(struct text *t, sonde_str s);
void text_addf(struct text *t, const char *fmt, ...) SONDE_PRINTF(2, 3);
/* Appends `s` as UTF-8; what is none (and NUL) becomes U+FFFD. */
void text_add_utf8(struct text *t, sonde_str s);
void text_fini(struct text *t);
/* Frees, after overwriting: it held a secret. */
void text_wipe(struct text *t);

/* A NUL-terminated copy; NULL when there is no memory. */
char *text_copy(sonde_str s);
/* Frees a string after overwriting it; NULL is fine. */
void text_wipez(char *z);

sonde_str text_trim(sonde_str s);
/* Takes the part before `sep` off the front; false when all is used up. */
bool text_split(sonde_str *rest, char sep, sonde_str *part);
bool text_starts(sonde_str s, const char *prefix);
bool text_is(sonde_str s, const char *z);
sonde_str text_after(sonde_str s, size_t n);

/* A number as PostgreSQL prints it, read in the C locale: digits, a fraction,
 * an exponent, NaN, Infinity. Nothing may stand around it. */
bool text_number(sonde_str s, double *out);
/* A whole number from 0 to INT64_MAX. */
bool text_whole(sonde_str s, int64_t *out);

#endif
