/* SPDX-License-Identifier: Apache-2.0 */
/* Answers for people: columns that line up, times in UTC; a series is named
 * on the first of its lines only. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/query_cmd.h"
#include "util/clock.h"
#include "util/str.h"

#define SERIES_COLUMNS_MAX 100 /* a longer one pushes its line to the right */

size_t text_columns(sonde_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

size_t terminal_columns(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static void put_padded(struct buf *b, sonde_str s, size_t columns)
{
    size_t n = text_columns(s);

    buf_put(b, s);
    for (; n < columns; n++)
        buf_char(b, ' ');
}

static void put_time(struct buf *b, sonde_msec t)
{
    char text[CLOCK_RFC3339_MAX];

    clock_rfc3339(t, text);
    buf_cstr(b, text);
}

/* How wide the first column is. */
static size_t series_columns(const struct answer *a, struct buf *scratch)
{
    size_t widest = sizeof("SERIES") - 1;

    for (size_t i = 0; i < a->count; i++) {
        size_t n;

        buf_reset(scratch);
        labels_print(scratch, &a->series[i].labels);
        n = text_columns(buf_str(scratch));
        if (n > widest)
            widest = n;
    }
    return widest < SERIES_COLUMNS_MAX ? widest : SERIES_COLUMNS_MAX;
}

static void put_points(struct buf *b, const struct answer *a,
                       const struct answer_series *s, sonde_str name,
                       size_t columns)
{
    for (size_t i = 0; i < s->count; i++) {
        put_padded(b, i ? SONDE_STR("") : name, columns);
        buf_cstr(b, "  ");
        if (a->kind == ANSWER_MATRIX) {
            put_time(b, s->points[i].t);
            buf_cstr(b, "  ");
        }
        answer_put_value(b, &s->points[i]);
        buf_char(b, '\n');
    }
}

static void table_series(struct buf *b, const struct answer *a)
{
    struct buf name;
    size_t columns;

    buf_init(&name);
    columns = series_columns(a, &name);
    put_padded(b, SONDE_STR("SERIES"), columns);
    if (a->kind == ANSWER_MATRIX) {
        buf_cstr(b, "  ");
        put_padded(b, SONDE_STR("TIME"),
                   sizeof("2026-01-02T03:04:05.678Z") - 1);
    }
    buf_cstr(b, "  VALUE\n");
    for (size_t i = 0; i < a->count; i++) {
        buf_reset(&name);
        labels_print(&name, &a->series[i].labels);
        put_points(b, a, &a->series[i], buf_str(&name), columns);
    }
    buf_fini(&name);
}

void answer_print_table(struct buf *b, const struct answer *a)
{
    switch (a->kind) {
    case ANSWER_VECTOR:
    case ANSWER_MATRIX:
        table_series(b, a);
        break;
    case ANSWER_SCALAR:
        answer_put_value(b, &a->series[0].points[0]);
        buf_char(b, '\n');
        break;
    default: /* label sets, values and strings are lines in any case */
        answer_print_promql(b, a);
        break;
    }
}
