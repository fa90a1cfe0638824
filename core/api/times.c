/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times come as float seconds (Grafana sends them with three decimals) or as
 * RFC 3339 with its mandatory zone. What Prometheus accepts and then wraps
 * around (infinities, 1e18) is refused; any time whose milliseconds fit is
 * fine, because Grafana probes with the year 58000.
 *
 * RFC 3339 is read by hand: strptime knows no fractions, depends on the
 * locale, and forgives what has to be refused.
 */
#include "api/times.h"

#include <math.h>

#include "model/number.h"
#include "util/str.h"

/* Seconds whose milliseconds fit with room for arithmetic. */
#define SECONDS_MAX 9.2e15

static sonde_msec round_seconds(double v)
{
    double whole, part = modf(v, &whole);

    return (sonde_msec)whole * 1000 + llround(part * 1000);
}

/* Takes exactly `n` digits. */
static bool take_digits(sonde_str *s, size_t n, int *out)
{
    *out = 0;
    if (s->len < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return false;
        *out = *out * 10 + (s->ptr[i] - '0');
    }
    *s = str_sub(*s, n, s->len);
    return true;
}

static bool take_char(sonde_str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = str_sub(*s, 1, s->len);
    return true;
}

static int month_days(int year, int month)
{
    static const int days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Days since the epoch of a date of the Gregorian calendar; years begin in
 * March, so that the leap day is a year's last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           719468;
}

/* ".123456789" to ms, cut. */
static bool take_fraction(sonde_str *s, int *ms)
{
    int scale = 100;
    size_t n = 0;

    *ms = 0;
    if (!take_char(s, '.'))
        return true;
    while (n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9') {
        *ms += (s->ptr[n] - '0') * scale;
        scale /= 10;
        n++;
    }
    *s = str_sub(*s, n, s->len);
    return n > 0;
}

/* "Z", "+01:00" to seconds east. */
static bool take_zone(sonde_str *s, int *east)
{
    int sign, hours, minutes;

    *east = 0;
    if (take_char(s, 'Z'))
        return true;
    sign = take_char(s, '+') ? 1 : take_char(s, '-') ? -1 : 0;
    if (sign == 0 || !take_digits(s, 2, &hours) || !take_char(s, ':') ||
        !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *east = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool rfc3339_parse(sonde_str s, sonde_msec *out)
{
    int year, month, day, hour, minute, second, ms, east;

    if (!take_digits(&s, 4, &year) || !take_char(&s, '-') ||
        !take_digits(&s, 2, &month) || !take_char(&s, '-') ||
        !take_digits(&s, 2, &day) || !take_char(&s, 'T') ||
        !take_digits(&s, 2, &hour) || !take_char(&s, ':') ||
        !take_digits(&s, 2, &minute) || !take_char(&s, ':') ||
        !take_digits(&s, 2, &second) || !take_fraction(&s, &ms) ||
        !take_zone(&s, &east) || s.len > 0)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month) ||
        hour > 23 || minute > 59 || second > 59)
        return false;
    *out = (days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 +
            second - east) *
               1000 +
           ms;
    return true;
}

bool api_time_parse(sonde_str s, sonde_msec *out)
{
    double v;

    if (number_parse(s, &v)) {
        if (!(fabs(v) <= SECONDS_MAX))
            return false;
        *out = round_seconds(v);
        return true;
    }
    if (str_eq_cstr(s, "-292273086-05-16T16:47:06Z")) {
        *out = API_TIME_MIN;
        return true;
    }
    if (str_eq_cstr(s, "292277025-08-18T07:12:54.999999999Z")) {
        *out = API_TIME_MAX;
        return true;
    }
    return rfc3339_parse(s, out);
}

bool api_duration_parse(sonde_str s, sonde_msec *out)
{
    double v;

    if (number_parse(s, &v)) {
        /* As Go's time.Duration: 2^63 ns. */
        if (!(v >= 0 && v <= 9223372036.0))
            return false;
        *out = round_seconds(v);
        return true;
    }
    return duration_parse(s, out) && *out <= INT64_C(9223372036854);
}
