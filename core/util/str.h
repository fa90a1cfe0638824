/* SPDX-License-Identifier: Apache-2.0 */
/* Small work on string views: compare, trim, split, parse integers, UTF-8. */
#ifndef UTIL_STR_H
#define UTIL_STR_H

#include <sonde/base.h>

/* Bytewise order, shorter first: <0, 0, >0. */
int str_cmp(sonde_str a, sonde_str b);
bool str_eq_cstr(sonde_str s, const char *z);
bool str_starts(sonde_str s, sonde_str prefix);
bool str_ends(sonde_str s, sonde_str suffix);
/* ASCII case ignored. */
bool str_eq_nocase(sonde_str a, sonde_str b);
/* Index of the first `c`, or s.len. */
size_t str_index(sonde_str s, char c);
/* Without blanks (space, tab, CR, LF) at both ends. */
sonde_str str_trim(sonde_str s);
/* Views; `to` is cut to the length. */
sonde_str str_sub(sonde_str s, size_t from, size_t to);
/* Takes the part before `sep` off the front of `*rest`; false when `*rest`
 * is used up (its ptr is NULL then). */
bool str_split(sonde_str *rest, char sep, sonde_str *part);

/* Whole string, decimal, no blanks; false on anything else or overflow. */
bool str_to_u64(sonde_str s, uint64_t *out);
bool str_to_i64(sonde_str s, int64_t *out);

/* Valid UTF-8 without surrogates and overlong forms. */
bool str_is_utf8(sonde_str s);

/* Of `names`, the one nearest to `s` by edit distance if it is near enough
 * to be what was meant, else NULL. For "did you mean". */
const char *str_nearest(sonde_str s, const char *const *names, size_t n);

#endif
