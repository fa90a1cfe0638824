/* SPDX-License-Identifier: Apache-2.0 */
/* Code points out of UTF-8 and back, and text quoted as Go quotes it. */
#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include <sonde/base.h>

#include "util/buf.h"

#define UTF8_MAX_BYTES 4
#define UTF8_INVALID   0xfffdu /* stands for a byte that is none        */
#define UTF8_MAX_RUNE  0x10ffffu

/* The first code point of `s` (which is not empty) and how many bytes it
 * takes. A byte that begins no well-formed sequence counts as one
 * UTF8_INVALID of one byte and makes `*ok` false. */
size_t utf8_decode(sonde_str s, uint32_t *rune, bool *ok);
/* Writes a code point (a surrogate or one out of range as UTF8_INVALID);
 * returns the number of bytes. */
size_t utf8_encode(char out[UTF8_MAX_BYTES], uint32_t rune);
/* Whether all bytes are below 0x80. */
bool str_is_ascii(sonde_str s);
/* Letters and digits, as far as names in templates go: exact up to U+024F,
 * by blocks above. */
bool rune_is_word(uint32_t rune);

/* "..." as Go's strconv.Quote writes it: printable text is kept, the rest
 * escaped (\n, \x01, \u200b). */
void buf_quote(struct buf *b, sonde_str s);

#endif
