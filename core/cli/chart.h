/* SPDX-License-Identifier: Apache-2.0 */
/* Lines over time in a terminal: chart.c. */
#ifndef CLI_CHART_H
#define CLI_CHART_H

#include <sonde/base.h>

#include "cli/query_cmd.h"
#include "util/buf.h"

#define CHART_SERIES_MAX 8 /* drawn; the rest is counted                   */

enum chart_style {
    CHART_LETTERS, /* one letter a series in ASCII: for files and pipes   */
    CHART_BRAILLE, /* 2 x 4 points a character; all series look the same  */
    CHART_COLOUR   /* the same, each series in a colour of its own        */
};
struct chart {
    const struct answer_series *series;
    size_t count;
    sonde_msec start, end, step; /* points further apart than two steps are
                                    not joined                            */
    size_t width, height;        /* characters, all included; the legend
                                    comes below                           */
    enum chart_style style;
};
/* Values that are not finite and histograms are left out. */
void chart_draw(struct buf *b, const struct chart *c);

/* What suits standard output: colours on a terminal unless NO_COLOR is set,
 * Braille where the locale is UTF-8. */
enum chart_style chart_style_of(bool terminal, const char *no_color,
                                const char *locale, size_t series);

/* Round numbers that enclose [low, high], about `n` of them: the first, and
 * how far they are apart. */
struct chart_ticks {
    double first, step;
    size_t count;
};
struct chart_ticks chart_ticks(double low, double high, size_t n);

#endif
