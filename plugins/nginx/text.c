/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that become labels: whether they are UTF-8. */
#include "nginx.h"

/* Length of the valid sequence at the front of `n` bytes, or 0. NUL is valid
 * but nothing that a label should hold. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (p[0] < 0x80)
        return p[0] ? 1 : 0;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > n)
        return 0;
    /* Overlong forms, surrogates, beyond U+10FFFF. */
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf)
        if (p[i] < low || p[i] > high)
            return 0;
    return len;
}

bool text_is_utf8(sonde_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;

    for (size_t i = 0; i < s.len;) {
        size_t len = utf8_len(p + i, s.len - i);

        if (len == 0)
            return false;
        i += len;
    }
    return true;
}
