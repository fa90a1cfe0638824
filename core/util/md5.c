/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MD5 as RFC 1321 defines it, over a string that is all there. Written here
 * because no library of this layer has it, and a TLS library is too much for
 * spreading targets over shards. The constants are the RFC's: T[i] is the
 * integer part of 2^32 * |sin(i + 1)|.
 */
#include "util/md5.h"

#include <endian.h>

#define BLOCK_BYTES 64

static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
    0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
    0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
    0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
    0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
    0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
    0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
    0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

/* The function of a round and the word it takes, RFC 1321 section 3.4. */
static uint32_t mix(unsigned i, const uint32_t s[4], unsigned *word)
{
    uint32_t b = s[1], c = s[2], d = s[3];

    switch (i / 16) {
    case 0:
        *word = i;
        return (b & c) | (~b & d);
    case 1:
        *word = (5 * i + 1) % 16;
        return (d & b) | (~d & c);
    case 2:
        *word = (3 * i + 5) % 16;
        return b ^ c ^ d;
    default:
        *word = 7 * i % 16;
        return c ^ (b | ~d);
    }
}

static void block(uint32_t state[4], const unsigned char *p)
{
    static const unsigned char shifts[4][4] = { { 7, 12, 17, 22 },
                                                { 5, 9, 14, 20 },
                                                { 4, 11, 16, 23 },
                                                { 6, 10, 15, 21 } };
    uint32_t words[16], s[4];

    memcpy(words, p, BLOCK_BYTES);
    for (unsigned i = 0; i < 16; i++)
        words[i] = le32toh(words[i]);
    memcpy(s, state, sizeof(s));
    for (unsigned i = 0; i < 64; i++) {
        unsigned word;
        uint32_t f = mix(i, s, &word) + s[0] + sines[i] + words[word];

        s[0] = s[3];
        s[3] = s[2];
        s[2] = s[1];
        s[1] += rotate(f, shifts[i / 16][i % 4]);
    }
    for (unsigned i = 0; i < 4; i++)
        state[i] += s[i];
}

void md5(uint8_t out[MD5_BYTES], sonde_str s)
{
    uint32_t state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
    unsigned char last[2 * BLOCK_BYTES] = { 0 };
    size_t whole = s.len / BLOCK_BYTES, rest = s.len % BLOCK_BYTES;
    size_t end = rest < BLOCK_BYTES - 8 ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    uint64_t bits = htole64((uint64_t)s.len * 8);

    for (size_t i = 0; i < whole; i++)
        block(state, (const unsigned char *)s.ptr + i * BLOCK_BYTES);
    if (rest)
        memcpy(last, s.ptr + whole * BLOCK_BYTES, rest);
    last[rest] = 0x80;
    memcpy(last + end - sizeof(bits), &bits, sizeof(bits));
    for (size_t i = 0; i < end; i += BLOCK_BYTES)
        block(state, last + i);
    for (unsigned i = 0; i < 4; i++)
        state[i] = htole32(state[i]);
    memcpy(out, state, MD5_BYTES);
}
