/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis' patterns for names of keys, matched here, so that one walk over a
 * database serves any number of them.
 *
 * A star is tried with as little as possible; on a mismatch the last star
 * takes one byte more. Only the last one matters, so the work is bounded by
 * the product of both lengths.
 */
#include "pattern.h"

/* Whether the class at `p` (behind its '[') has `c`; *end is behind its ']',
 * or at the pattern's end if there is none. */
static bool class_has(sonde_str p, size_t at, unsigned char c, size_t *end)
{
    bool negated = at < p.len && p.ptr[at] == '^', found = false;

    at += negated;
    for (; at < p.len && p.ptr[at] != ']'; at++) {
        unsigned char low, high;

        if (p.ptr[at] == '\\' && at + 1 < p.len)
            at++;
        low = high = (unsigned char)p.ptr[at];
        if (at + 2 < p.len && p.ptr[at + 1] == '-') {
            high = (unsigned char)p.ptr[at + 2];
            at += 2;
        }
        if (low > high) {
            unsigned char swap = low;

            low = high;
            high = swap;
        }
        found |= c >= low && c <= high;
    }
    *end = at < p.len ? at + 1 : at;
    return found != negated;
}

/* Whether one element of the pattern, not a star, matches `c`. */
static bool matches_one(sonde_str p, size_t at, unsigned char c, size_t *end)
{
    *end = at + 1;
    switch (p.ptr[at]) {
    case '?':
        return true;
    case '[':
        return class_has(p, at + 1, c, end);
    case '\\':
        if (at + 1 < p.len) {
            at++;
            *end = at + 1;
        }
        break;
    default:
        break;
    }
    return (unsigned char)p.ptr[at] == c;
}

bool glob_matches(sonde_str p, sonde_str name)
{
    size_t at = 0, i = 0, star = SIZE_MAX, from = 0;

    while (i < name.len) {
        size_t next;

        if (at < p.len && p.ptr[at] == '*') {
            star = ++at;
            from = i;
        } else if (at < p.len &&
                   matches_one(p, at, (unsigned char)name.ptr[i], &next)) {
            at = next;
            i++;
        } else if (star != SIZE_MAX) {
            at = star;
            i = ++from;
        } else {
            return false;
        }
    }
    while (at < p.len && p.ptr[at] == '*')
        at++;
    return at == p.len;
}
