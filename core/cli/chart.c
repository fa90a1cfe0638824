/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line chart made of characters. Series are drawn into a raster of points,
 * 2 x 4 in each character cell with Braille patterns (U+2800 and a bit for
 * each point), 1 x 1 with letters. Neighbouring samples are joined by
 * Bresenham's line unless there is a gap between them. Where two series meet
 * in a cell, the one drawn last gives colour or letter.
 *
 * The vertical axis goes over round numbers, so that its labels are short;
 * the horizontal one has times in UTC.
 */
#include "cli/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "util/mem.h"
#include "util/str.h"
#include "util/utf8.h"

#define HEIGHT_MIN   4
#define WIDTH_MIN    30
#define TICKS        4
#define LABEL_MAX    24
#define TIME_COLUMNS 16 /* a label of the horizontal axis and a gap        */
#define BRAILLE      0x2800
#define DAY_MS       (INT64_C(24) * 3600 * 1000)

/* Colours that are readable on black and on white, by series. */
static const char *const colours[CHART_SERIES_MAX] = { "32", "34", "33", "35",
                                                       "36", "31", "92", "94" };

/* ---- scales -----------------------------------------------------------------
 */

struct chart_ticks chart_ticks(double low, double high, size_t n)
{
    static const double rounds[] = { 1, 2, 2.5, 5, 10 };
    struct chart_ticks t;
    double span, unit;
    size_t i = 0;

    if (!(high > low)) { /* a flat line stands in the middle               */
        double around = low == 0 ? 1 : fabs(low) * 0.1;

        high = low + around;
        low -= around;
    }
    span = high / (double)n - low / (double)n;
    unit = pow(10, floor(log10(span)));
    while (i + 1 < sizeof(rounds) / sizeof(*rounds) && rounds[i] * unit < span)
        i++;
    t.step = rounds[i] * unit;
    t.first = floor(low / t.step) * t.step;
    t.count = (size_t)(ceil(high / t.step) - floor(low / t.step)) + 1;
    return t;
}

static bool drawn(const struct answer_point *p)
{
    return !p->h && isfinite(p->v);
}

/* The least and greatest value of all that is drawn; false: there is none. */
static bool bounds(const struct chart *c, size_t count, double *low,
                   double *high)
{
    bool any = false;

    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < c->series[s].count; i++) {
            const struct answer_point *p = &c->series[s].points[i];

            if (!drawn(p))
                continue;
            *low = any && *low < p->v ? *low : p->v;
            *high = any && *high > p->v ? *high : p->v;
            any = true;
        }
    return any;
}

/* ---- the raster ---------------------------------------------------------- */

struct cell {
    uint8_t dots;   /* of a Braille pattern; 1 for letters                 */
    uint8_t series; /* drawn last                                          */
};
struct raster {
    struct cell *cells;
    size_t columns, rows;  /* of cells                                      */
    unsigned across, down; /* points of a cell                             */
};

static void plot(struct raster *r, long x, long y, uint8_t series)
{
    /* Bits of the points of a Braille pattern, row by row. */
    static const uint8_t bits[4][2] = {
        { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 }
    };
    struct cell *cell;
    size_t column, row;

    if (x < 0 || y < 0)
        return;
    column = (size_t)x / r->across;
    row = (size_t)y / r->down;
    if (column >= r->columns || row >= r->rows)
        return;
    cell = &r->cells[row * r->columns + column];
    cell->dots |= bits[(size_t)y % r->down][(size_t)x % r->across];
    cell->series = series;
}

static void line(struct raster *r, long x0, long y0, long x1, long y1,
                 uint8_t series)
{
    long dx = labs(x1 - x0), dy = -labs(y1 - y0), error = dx + dy;
    long sx = x0 < x1 ? 1 : -1, sy = y0 < y1 ? 1 : -1;

    for (;;) {
        long twice = 2 * error;

        plot(r, x0, y0, series);
        if (x0 == x1 && y0 == y1)
            return;
        if (twice >= dy) {
            error += dy;
            x0 += sx;
        }
        if (twice <= dx) {
            error += dx;
            y0 += sy;
        }
    }
}

struct scale {
    sonde_msec start, end;
    double low, high;
    long x_max, y_max; /* points                                           */
};

static long x_of(const struct scale *s, sonde_msec t)
{
    if (s->end <= s->start)
        return 0;
    return lround((double)(t - s->start) / (double)(s->end - s->start) *
                  (double)s->x_max);
}

static long y_of(const struct scale *s, double v)
{
    /* Halved, so that the greatest doubles have a difference. */
    double part = (v / 2 - s->low / 2) / (s->high / 2 - s->low / 2);

    return lround((1 - part) * (double)s->y_max);
}

static void draw_series(struct raster *r, const struct scale *s,
                        const struct chart *c, size_t number)
{
    const struct answer_series *series = &c->series[number];
    const struct answer_point *before = NULL;

    for (size_t i = 0; i < series->count; i++) {
        const struct answer_point *p = &series->points[i];
        long x, y;

        if (!drawn(p) || p->t < s->start || p->t > s->end) {
            before = NULL;
            continue;
        }
        x = x_of(s, p->t);
        y = y_of(s, p->v);
        if (before && p->t - before->t <= 2 * c->step)
            line(r, x_of(s, before->t), y_of(s, before->v), x, y,
                 (uint8_t)number);
        else
            plot(r, x, y, (uint8_t)number);
        before = p;
    }
}

/* ---- characters ---------------------------------------------------------- */

static void put_cell(struct buf *b, const struct cell *cell,
                     enum chart_style style)
{
    char text[UTF8_MAX_BYTES];

    if (!cell->dots) {
        buf_char(b, ' ');
    } else if (style == CHART_LETTERS) {
        buf_char(b, (char)('a' + cell->series));
    } else {
        if (style == CHART_COLOUR)
            buf_printf(b, "\x1b[%sm", colours[cell->series]);
        buf_bytes(b, text, utf8_encode(text, BRAILLE + cell->dots));
        if (style == CHART_COLOUR)
            buf_cstr(b, "\x1b[0m");
    }
}

static void trim_blanks(struct buf *b)
{
    while (b->len && b->data[b->len - 1] == ' ')
        b->len--;
}

static const char *vertical(enum chart_style style, bool tick)
{
    if (style == CHART_LETTERS)
        return tick ? "+" : "|";
    return tick ? "\u2524" : "\u2502";
}

static void tick_text(char out[LABEL_MAX], const struct chart_ticks *t,
                      size_t i)
{
    double v = t->first + (double)i * t->step;

    /* What is left of a subtraction is 0. */
    if (fabs(v) < t->step / 1e6)
        v = 0;
    (void)snprintf(out, LABEL_MAX, "%.6g", v);
}

static size_t tick_columns(const struct chart_ticks *t)
{
    char text[LABEL_MAX];
    size_t widest = 0;

    for (size_t i = 0; i < t->count; i++) {
        tick_text(text, t, i);
        if (strlen(text) > widest)
            widest = strlen(text);
    }
    return widest;
}

/* The tick whose line is this row of cells; SIZE_MAX: none. */
static size_t tick_at(const struct chart_ticks *t, const struct raster *r,
                      const struct scale *s, size_t row)
{
    for (size_t i = 0; i < t->count; i++) {
        long y = y_of(s, t->first + (double)i * t->step);

        if ((size_t)y / r->down == row)
            return i;
    }
    return SIZE_MAX;
}

static void put_rows(struct buf *b, const struct chart *c,
                     const struct raster *r, const struct scale *s,
                     const struct chart_ticks *ticks)
{
    int columns = (int)tick_columns(ticks);

    for (size_t row = 0; row < r->rows; row++) {
        size_t tick = tick_at(ticks, r, s, row);
        char text[LABEL_MAX] = "";

        if (tick != SIZE_MAX)
            tick_text(text, ticks, tick);
        buf_printf(b, "%*s %s", columns, text,
                   vertical(c->style, tick != SIZE_MAX));
        for (size_t i = 0; i < r->columns; i++)
            put_cell(b, &r->cells[row * r->columns + i], c->style);
        trim_blanks(b);
        buf_char(b, '\n');
    }
}

/* ---- the horizontal axis ------------------------------------------------- */

static void time_text(char out[LABEL_MAX], sonde_msec t, sonde_msec span)
{
    time_t sec = (time_t)(t >= 0 ? t / 1000 : (t - 999) / 1000);
    struct tm tm;

    (void)gmtime_r(&sec, &tm);
    if (strftime(out, LABEL_MAX,
                 span > 20 * DAY_MS ? "%Y-%m-%d"
                 : span > DAY_MS    ? "%m-%d %H:%M"
                                    : "%H:%M:%S",
                 &tm) == 0)
        out[0] = '\0';
}

static void put_times(struct buf *b, const struct chart *c,
                      const struct raster *r, size_t indent)
{
    sonde_msec span = c->end - c->start;
    size_t n = r->columns / TIME_COLUMNS, at = 0;
    char text[LABEL_MAX];

    buf_printf(b, "%*s", (int)indent, "");
    for (size_t i = 0; i <= n; i++) {
        size_t column = n ? (r->columns - 1) * i / n : 0, len, to;

        time_text(text,
                  c->start + (n ? span * (sonde_msec)i / (sonde_msec)n : 0),
                  span);
        len = strlen(text);
        /* Around its place, the first and the last within the chart. */
        to = i == 0                          ? 0
             : column + len / 2 > r->columns ? r->columns - len
                                             : column - len / 2;
        if (i == n && n)
            to = r->columns > len ? r->columns - len : 0;
        if (i && to <= at)
            continue;
        buf_printf(b, "%*s%s", (int)(to - at), "", text);
        at = to + len;
    }
    buf_cstr(b, " UTC\n");
}

static void put_axis(struct buf *b, const struct chart *c,
                     const struct raster *r, size_t indent)
{
    bool plain = c->style == CHART_LETTERS;

    buf_printf(b, "%*s%s", (int)(indent - 1), "", plain ? "+" : "\u2514");
    for (size_t i = 0; i < r->columns; i++)
        buf_cstr(b, plain ? "-" : "\u2500");
    buf_char(b, '\n');
    put_times(b, c, r, indent);
}

/* ---- the legend ---------------------------------------------------------- */

static void put_mark(struct buf *b, const struct chart *c, size_t number)
{
    if (c->style == CHART_LETTERS)
        buf_printf(b, "%c  ", (char)('a' + number));
    else if (c->style == CHART_COLOUR)
        buf_printf(b, "\x1b[%sm\u2501\u2501\x1b[0m ", colours[number]);
    else
        buf_cstr(b, "\u2501\u2501 ");
}

static void put_legend(struct buf *b, const struct chart *c, size_t count)
{
    for (size_t s = 0; s < count; s++) {
        const struct answer_series *series = &c->series[s];
        double low = INFINITY, high = -INFINITY, last = NAN;

        for (size_t i = 0; i < series->count; i++) {
            if (!drawn(&series->points[i]))
                continue;
            last = series->points[i].v;
            low = last < low ? last : low;
            high = last > high ? last : high;
        }
        put_mark(b, c, s);
        labels_print(b, &series->labels);
        if (isnan(last))
            buf_cstr(b, "  nothing to draw\n");
        else
            buf_printf(b, "  min %.6g  max %.6g  last %.6g\n", low, high, last);
    }
    if (c->count > count)
        buf_printf(b, "and %zu more\n", c->count - count);
}

/* ---- all of it ----------------------------------------------------------- */

void chart_draw(struct buf *b, const struct chart *c)
{
    size_t count = c->count < CHART_SERIES_MAX ? c->count : CHART_SERIES_MAX;
    size_t width = c->width < WIDTH_MIN ? WIDTH_MIN : c->width, indent;
    bool plain = c->style == CHART_LETTERS;
    struct raster r = { .across = plain ? 1 : 2, .down = plain ? 1 : 4 };
    struct chart_ticks ticks;
    struct scale s = { .start = c->start, .end = c->end };
    double low = 0, high = 0;

    if (!bounds(c, count, &low, &high)) {
        buf_cstr(b, "nothing to draw\n");
        return;
    }
    ticks = chart_ticks(low, high, TICKS);
    indent = tick_columns(&ticks) + 2;
    r.rows = c->height < HEIGHT_MIN ? HEIGHT_MIN : c->height;
    r.columns = width - indent;
    r.cells = mem_zalloc(r.rows * r.columns * sizeof(*r.cells));
    s.low = ticks.first;
    s.high = ticks.first + (double)(ticks.count - 1) * ticks.step;
    s.x_max = (long)(r.columns * r.across) - 1;
    s.y_max = (long)(r.rows * r.down) - 1;
    for (size_t i = 0; i < count; i++)
        draw_series(&r, &s, c, i);
    put_rows(b, c, &r, &s, &ticks);
    put_axis(b, c, &r, indent);
    put_legend(b, c, count);
    free(r.cells);
}

enum chart_style chart_style_of(bool terminal, const char *no_color,
                                const char *locale, size_t series)
{
    bool utf8 =
        locale && (strcasestr(locale, "utf-8") || strcasestr(locale, "utf8"));

    if (!utf8)
        return CHART_LETTERS;
    if (terminal && !(no_color && *no_color))
        return CHART_COLOUR;
    return series > 1 ? CHART_LETTERS : CHART_BRAILLE;
}
