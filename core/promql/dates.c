/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of dates in UTC of values that are seconds since the epoch, cut to
 * whole seconds towards zero. Days are turned into dates of the proleptic
 * Gregorian calendar by counting in eras of 400 years that begin in March
 * (Howard Hinnant, "chrono-compatible low-level date algorithms").
 */
#include <math.h>

#include "promql/element.h"
#include "util/str.h"

#define DAY_S         INT64_C(86400)
#define ERA_DAYS      INT64_C(146097)
#define EPOCH_DAYS    INT64_C(719468) /* from 0000-03-01 to 1970-01-01      */
#define SECONDS_BOUND 9.2e18

struct date {
    int64_t year;
    int month, day, weekday, yearday; /* yearday from 1, weekday 0 Sunday   */
    int hour, minute;
};

static bool is_leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int month_days(int64_t year, int month)
{
    static const int days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static struct date date_of(int64_t seconds)
{
    int64_t days = floor_div(seconds, DAY_S), z = days + EPOCH_DAYS;
    int64_t rest = seconds - days * DAY_S;
    int64_t era = floor_div(z, ERA_DAYS), doe = z - era * ERA_DAYS;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100); /* from March     */
    int64_t mp = (5 * doy + 2) / 153;
    struct date d = { 0 };

    d.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    d.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    d.year = yoe + era * 400 + (d.month <= 2);
    d.weekday = (int)((days % 7 + 11) % 7);
    d.yearday = d.day;
    for (int m = 1; m < d.month; m++)
        d.yearday += month_days(d.year, m);
    d.hour = (int)(rest / 3600);
    d.minute = (int)(rest % 3600 / 60);
    return d;
}

enum part {
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    DAY_OF_YEAR,
    DAYS_IN_MONTH,
    HOUR,
    MINUTE,
    MONTH,
    YEAR
};
static const char *const names[] = {
    "day_of_month", "day_of_week", "day_of_year", "days_in_month",
    "hour",         "minute",      "month",       "year",
};

static double part_of(enum part part, double v)
{
    struct date d;

    if (!(fabs(v) < SECONDS_BOUND))
        return NAN;
    d = date_of((int64_t)v);
    switch (part) {
    case DAY_OF_MONTH:
        return d.day;
    case DAY_OF_WEEK:
        return d.weekday;
    case DAY_OF_YEAR:
        return d.yearday;
    case DAYS_IN_MONTH:
        return month_days(d.year, d.month);
    case HOUR:
        return d.hour;
    case MINUTE:
        return d.minute;
    case MONTH:
        return d.month;
    case YEAR:
        return (double)d.year;
    }
    return NAN;
}

struct date_call {
    struct node node;
    struct node *of; /* NULL: of the step's own time                       */
    enum part part;
};

static sonde_code date_row(struct node *n, size_t i, struct worker *w,
                           struct row *out, struct sonde_err *err)
{
    struct date_call *c = (struct date_call *)n;
    sonde_code rc = SONDE_OK;

    if (c->of) {
        rc = node_row(c->of, i, w, out, err);
        if (rc == SONDE_OK)
            row_own(n, w, out);
    } else {
        row_begin(n, w, out);
        for (size_t k = 0; k < n->steps.count; k++)
            out->v[k] = (double)step_time(&n->steps, k) / 1000;
    }
    for (size_t k = 0; rc == SONDE_OK && k < n->steps.count; k++) {
        if (!row_has(out, k))
            continue;
        if (row_histogram(out, k))
            row_clear(out, k);
        else
            row_set(out, k, part_of(c->part, out->v[k]));
    }
    return rc;
}

static const struct node_ops date_ops = { .row = date_row };

static enum part part_find(const char *name)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(names[i], name) == 0)
            return (enum part)i;
    SONDE_BUG("no part of a date: %s", name);
}

static sonde_code date_make(struct exec *x, const struct promql_expr *e,
                            const struct steps *steps, struct node **out,
                            struct sonde_err *err)
{
    struct date_call *c = node_new(x, sizeof(*c), &date_ops, e, steps);
    sonde_code rc;

    c->part = part_find(e->call.function->name);
    if (e->call.count == 0) {
        c->node.series = arena_new(&x->arena, struct vseries);
        c->node.count = 1;
        *out = &c->node;
        return SONDE_OK;
    }
    rc = node_make(x, e->call.args[0], steps, &c->of, err);
    if (rc != SONDE_OK)
        return rc;
    series_drop_names(&c->node, c->of);
    return node_unique(&c->node, out, err);
}

#define DATE(name)                                                             \
    {                                                                          \
        name, date_make                                                        \
    }

const struct call_maker date_makers[] = {
    DATE("day_of_month"),  DATE("day_of_week"), DATE("day_of_year"),
    DATE("days_in_month"), DATE("hour"),        DATE("minute"),
    DATE("month"),         DATE("year"),        { 0 },
};
