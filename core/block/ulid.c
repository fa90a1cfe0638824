/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ULIDs (github.com/ulid/spec): 48 bits of milliseconds and 80 random bits
 * in Crockford's base 32, 26 characters; they sort by time.
 */
#include <string.h>
#include <sys/random.h>

#include "block/block.h"
#include "util/clock.h"

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#define TIME_CHARS   10
#define RANDOM_BYTES 10

static void random_fill(uint8_t *p, size_t n)
{
    uint64_t x = clock_ns();

    if (getrandom(p, n, 0) == (ssize_t)n)
        return;
    for (size_t i = 0; i < n; i++) { /* no entropy: the clock will do       */
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(x >> 56);
    }
}

struct ulid ulid_new(sonde_msec now)
{
    uint8_t bytes[RANDOM_BYTES];
    uint64_t ms = (uint64_t)now & ((UINT64_C(1) << 48) - 1);
    unsigned bits = 0, have = 0;
    struct ulid u;
    size_t at = TIME_CHARS;

    random_fill(bytes, sizeof(bytes));
    for (size_t i = TIME_CHARS; i-- > 0; ms >>= 5)
        u.text[i] = digits[ms & 31];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bits = bits << 8 | bytes[i];
        for (have += 8; have >= 5; have -= 5)
            u.text[at++] = digits[bits >> (have - 5) & 31];
    }
    u.text[ULID_CHARS] = 0;
    return u;
}

bool ulid_parse(sonde_str text, struct ulid *out)
{
    if (text.len != ULID_CHARS || text.ptr[0] > '7')
        return false;
    for (size_t i = 0; i < ULID_CHARS; i++)
        if (!text.ptr[i] || !strchr(digits, text.ptr[i]))
            return false;
    memcpy(out->text, text.ptr, ULID_CHARS);
    out->text[ULID_CHARS] = 0;
    return true;
}

sonde_msec ulid_time(const struct ulid *u)
{
    uint64_t ms = 0;

    for (size_t i = 0; i < TIME_CHARS; i++) {
        const char *d = u->text[i] ? strchr(digits, u->text[i]) : NULL;

        ms = ms << 5 | (d ? (uint64_t)(d - digits) : 0);
    }
    return (sonde_msec)ms;
}
