/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results come as text: one form for each type, whatever the platform. What
 * the exporter's driver made of them is made of them here: times are whole
 * seconds, booleans 0 and 1, and a text is a number if it reads as one.
 */
#include "query_values.h"

#include <ctype.h>
#include <math.h>

static bool take_digits(sonde_str *s, size_t max, int64_t *out)
{
    size_t n = 0;

    while (n < s->len && n < max && isdigit((unsigned char)s->ptr[n]))
        n++;
    if (!text_whole((sonde_str){ s->ptr, n }, INT64_MAX, out))
        return false;
    *s = text_after(*s, n);
    return true;
}

static bool take_char(sonde_str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = text_after(*s, 1);
    return true;
}

/* Days from 1970-01-01 in the Gregorian calendar: years begin in March, so
 * that the leap day is the last. */
static int64_t days_from(int64_t y, int64_t m, int64_t d)
{
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* "+02", "-03:30", "+05:53:28" */
static bool take_offset(sonde_str *s, double *seconds)
{
    double sign = s->len && s->ptr[0] == '-' ? -1 : 1;
    int64_t h, m = 0, sec = 0;

    *seconds = 0;
    if (!take_char(s, '+') && !take_char(s, '-'))
        return true;
    if (!take_digits(s, 2, &h) ||
        (take_char(s, ':') && !take_digits(s, 2, &m)) ||
        (take_char(s, ':') && !take_digits(s, 2, &sec)))
        return false;
    *seconds = sign * (double)(h * 3600 + m * 60 + sec);
    return true;
}

static void skip_fraction(sonde_str *s)
{
    if (!take_char(s, '.'))
        return;
    while (s->len && isdigit((unsigned char)s->ptr[0]))
        *s = text_after(*s, 1);
}

bool sql_time(sonde_str s, double *seconds)
{
    int64_t y, mo, d, h = 0, mi = 0, sec = 0;
    double offset = 0;

    if (text_is(s, "infinity") || text_is(s, "-infinity")) {
        *seconds = s.ptr[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (!take_digits(&s, 7, &y) || !take_char(&s, '-') ||
        !take_digits(&s, 2, &mo) || !take_char(&s, '-') ||
        !take_digits(&s, 2, &d))
        return false;
    if (take_char(&s, ' ')) {
        if (!take_digits(&s, 2, &h) || !take_char(&s, ':') ||
            !take_digits(&s, 2, &mi) || !take_char(&s, ':') ||
            !take_digits(&s, 2, &sec))
            return false;
        skip_fraction(&s);
        if (!take_offset(&s, &offset))
            return false;
    }
    if (s.len || mo < 1 || mo > 12 || d < 1 || d > 31)
        return false; /* " BC" too */
    *seconds =
        (double)(days_from(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec) -
        offset;
    return true;
}

/* "[-]HH:MM:SS[.fff]" */
static bool take_clock(sonde_str s, double *seconds)
{
    double sign = s.len && s.ptr[0] == '-' ? -1 : 1, sec;
    int64_t h, m;

    (void)(take_char(&s, '-') || take_char(&s, '+'));
    if (!take_digits(&s, 12, &h) || !take_char(&s, ':') ||
        !take_digits(&s, 2, &m) || !take_char(&s, ':') || !text_number(s, &sec))
        return false;
    *seconds = sign * ((double)(h * 3600 + m * 60) + sec);
    return true;
}

/* As extract(epoch ...) counts: a month has thirty days, a year 365.25. */
static bool unit_seconds(sonde_str word, double *out)
{
    if (text_starts(word, "year"))
        *out = 31557600;
    else if (text_starts(word, "mon"))
        *out = 2592000;
    else if (text_starts(word, "day"))
        *out = 86400;
    else
        return false;
    return true;
}

bool sql_interval(sonde_str s, double *ms)
{
    sonde_str word;
    double total = 0, n = 0, factor, clock;
    bool number = false, any = false;

    while (text_split(&s, ' ', &word)) {
        if (take_clock(word, &clock)) {
            total += clock;
            any = true;
        } else if (!number && text_number(word, &n)) {
            number = true;
        } else if (number && unit_seconds(word, &factor)) {
            total += n * factor;
            number = false;
            any = true;
        } else {
            return false;
        }
    }
    *ms = total * 1000;
    return any && !number;
}

bool sql_number(uint32_t type, sonde_str s, double *out)
{
    switch (type) {
    case SQL_BOOL:
        *out = text_is(s, "t") || text_is(s, "true");
        return true;
    case SQL_DATE:
    case SQL_TIMESTAMP:
    case SQL_TIMESTAMPTZ:
        return sql_time(s, out);
    case SQL_INTERVAL:
        return false;
    default:
        return text_number(s, out);
    }
}

bool sql_array_next(sonde_str *rest, double *out, bool *ok)
{
    sonde_str item;
    size_t n = 0;

    *ok = false;
    if (rest->len == 0 || (rest->ptr[0] != '{' && rest->ptr[0] != ','))
        return false;
    if (text_is(*rest, "{}")) {
        *ok = true;
        *rest = (sonde_str){ 0 };
        return false;
    }
    *rest = text_after(*rest, 1);
    while (n < rest->len && rest->ptr[n] != ',' && rest->ptr[n] != '}')
        n++;
    if (n == rest->len)
        return false;
    item = (sonde_str){ rest->ptr, n };
    *rest = text_after(*rest, n);
    if (rest->ptr[0] == '}') {
        if (rest->len != 1)
            return false;
        *rest = (sonde_str){ 0 };
    }
    if (item.len > 1 && item.ptr[0] == '"' && item.ptr[item.len - 1] == '"')
        item = (sonde_str){ item.ptr + 1, item.len - 2 };
    *ok = text_number(item, out);
    return *ok;
}
