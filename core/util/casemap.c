/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Case mapping for relabeling. ASCII, which is nearly all there is, is done
 * by hand; for the rest the C library has Unicode's tables, behind the
 * C.UTF-8 locale, which every current system carries. The locale is opened
 * per call: there is no place to keep it without a global, and text beyond
 * ASCII is rare and new series rarer.
 */
#include "util/casemap.h"

#include <locale.h>
#include <wctype.h>

#include "util/str.h"
#include "util/utf8.h"

static void map_ascii(struct buf *b, sonde_str s, char first)
{
    for (size_t i = 0; i < s.len; i++) {
        bool letter = s.ptr[i] >= first && s.ptr[i] <= first + 25;

        buf_char(b, letter ? (char)(s.ptr[i] ^ 0x20) : s.ptr[i]);
    }
}

static void map(struct buf *b, sonde_str s, bool upper)
{
    locale_t locale;

    if (str_is_ascii(s)) {
        map_ascii(b, s, upper ? 'a' : 'A');
        return;
    }
    locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
    while (s.len) {
        char text[UTF8_MAX_BYTES];
        bool ok = true;
        uint32_t r;

        s = str_sub(s, utf8_decode(s, &r, &ok), s.len);
        if (locale)
            r = (uint32_t)(upper ? towupper_l((wint_t)r, locale)
                                 : towlower_l((wint_t)r, locale));
        else if (r < 0x80 && rune_is_word(r) && r > '9')
            r = upper ? r & ~0x20u : r | 0x20u;
        buf_bytes(b, text, utf8_encode(text, r));
    }
    if (locale)
        freelocale(locale);
}

void buf_upper(struct buf *b, sonde_str s)
{
    map(b, s, true);
}

void buf_lower(struct buf *b, sonde_str s)
{
    map(b, s, false);
}
