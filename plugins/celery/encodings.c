/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encodings of what workers and clients write. Nothing is trusted: base64
 * and dates come from the network.
 */
#include "encodings.h"

#include <math.h>
#include <time.h>

/* ---- base64 -------------------------------------------------------------- */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool text_add_base64(struct text *t, sonde_str s)
{
    uint32_t bits = 0;
    size_t have = 0, len = t->len;

    while (s.len && s.ptr[s.len - 1] == '=')
        s.len--;
    if (s.len % 4 == 1 || !text_reserve(t, s.len / 4 * 3 + 3))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        int v = sextet(s.ptr[i]);

        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            t->ptr[len++] = (char)(bits >> have);
        }
    }
    t->len = len;
    t->ptr[len] = '\0';
    return true;
}

/* ---- time ---------------------------------------------------------------- */

/* Seconds east of UTC of "+01:00", "-0530", "Z" or nothing. */
static bool offset_of(const char *z, double *out)
{
    unsigned int h = 0, m = 0;

    *out = 0;
    if (*z == '\0' || strcmp(z, "Z") == 0)
        return true;
    if ((*z != '+' && *z != '-') || sscanf(z + 1, "%2u:%2u", &h, &m) < 1)
        return false;
    *out = (h * 3600.0 + m * 60.0) * (*z == '-' ? -1 : 1);
    return h < 24 && m < 60;
}

double text_time(sonde_str s)
{
    char z[40];
    struct tm tm = { 0 };
    double fraction = 0, scale = 0.1, offset;
    const char *p;

    (void)snprintf(z, sizeof(z), "%.*s", SONDE_ARG(s));
    p = strptime(z, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!p)
        return NAN;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
            fraction += (*p - '0') * scale;
    }
    if (!offset_of(p, &offset))
        return NAN;
    return (double)timegm(&tm) + fraction - offset;
}
