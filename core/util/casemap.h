/* SPDX-License-Identifier: Apache-2.0 */
/* Upper and lower case of UTF-8 text, character by character. */
#ifndef UTIL_CASEMAP_H
#define UTIL_CASEMAP_H

#include "util/buf.h"

/* Appends `s` with every character in its upper or lower case, as Unicode's
 * simple mappings have it; a byte that is no UTF-8 becomes U+FFFD. Where the
 * system has no UTF-8 locale only ASCII changes. */
void buf_upper(struct buf *b, sonde_str s);
void buf_lower(struct buf *b, sonde_str s);

#endif
