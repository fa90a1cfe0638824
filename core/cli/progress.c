/* SPDX-License-Identifier: Apache-2.0 */
/* See progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/clock.h"

#define NS                1000000000.0
#define TERMINAL_NS       (UINT64_C(100) * 1000 * 1000)
#define PLAIN_NS          (UINT64_C(10) * 1000 * 1000 * 1000)
#define WIDTH_DEFAULT     80
#define BAR_MIN           10
#define BAR_MAX           40
#define RATE_AFTER_SEC    0.5 /* before, a rate says nothing                 */
#define REMAINING_MAX_SEC 360000.0

void progress_begin(struct progress *p, const char *what,
                    enum progress_unit unit, uint64_t total)
{
    *p = (struct progress){ .what = what,
                            .unit = unit,
                            .total = total,
                            .began_ns = clock_ns(),
                            .terminal = isatty(STDERR_FILENO) };
    p->shown_ns = p->began_ns;
}

static void put_amount(struct buf *b, enum progress_unit unit, double v)
{
    static const char *const bytes[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    static const char *const counts[] = { "", "k", "M", "G", "T" };
    double step = unit == PROGRESS_BYTES ? 1024 : 1000;
    size_t i = 0;

    while (v >= step && i < 4) {
        v /= step;
        i++;
    }
    if (i == 0)
        buf_printf(b, "%.0f", v);
    else
        buf_printf(b, v < 10 ? "%.2f" : "%.1f", v);
    if (unit == PROGRESS_BYTES)
        buf_printf(b, " %s", bytes[i]);
    else
        buf_cstr(b, counts[i]);
}

static void put_seconds(struct buf *b, double sec)
{
    unsigned s = (unsigned)(sec + 0.5);

    if (s >= 3600)
        buf_printf(b, "%uh%02um", s / 3600, s / 60 % 60);
    else if (s >= 60)
        buf_printf(b, "%um%02us", s / 60, s % 60);
    else
        buf_printf(b, "%us", s);
}

static void put_bar(struct buf *b, const struct progress *p, size_t room)
{
    size_t cells = room < BAR_MAX ? room : BAR_MAX;
    uint64_t done = p->done < p->total ? p->done : p->total;
    size_t full = (size_t)((double)done / (double)p->total * (double)cells);

    buf_cstr(b, " [");
    for (size_t i = 0; i < cells; i++)
        buf_char(b, i < full ? '=' : i == full ? '>' : ' ');
    buf_char(b, ']');
}

/* "12.0 MiB of 1.20 GiB, 35.1 MiB/s, 34s left" */
static void put_numbers(struct buf *b, const struct progress *p,
                        uint64_t now_ns)
{
    double sec = (double)(now_ns - p->began_ns) / NS;
    double rate = sec > 0 ? (double)p->done / sec : 0;

    put_amount(b, p->unit, (double)p->done);
    if (p->total) {
        buf_cstr(b, " of ");
        put_amount(b, p->unit, (double)p->total);
    }
    if (sec < RATE_AFTER_SEC)
        return;
    buf_cstr(b, ", ");
    put_amount(b, p->unit, rate);
    buf_cstr(b, "/s");
    if (p->total > p->done && rate > 0) {
        double left = (double)(p->total - p->done) / rate;

        buf_cstr(b, ", ");
        put_seconds(b, left < REMAINING_MAX_SEC ? left : REMAINING_MAX_SEC);
        buf_cstr(b, " left");
    }
}

void progress_line(struct buf *b, const struct progress *p, uint64_t now_ns,
                   unsigned width)
{
    struct buf numbers;
    size_t used, begin = b->len;

    buf_init(&numbers);
    put_numbers(&numbers, p, now_ns);
    buf_cstr(b, p->what);
    if (p->total) {
        uint64_t done = p->done < p->total ? p->done : p->total;

        buf_printf(b, " %3.0f%%", 100.0 * (double)done / (double)p->total);
    }
    used = b->len - begin + numbers.len + sizeof(" [] ");
    if (p->total && width >= used + BAR_MIN)
        put_bar(b, p, width - used);
    buf_char(b, ' ');
    buf_put(b, buf_str(&numbers));
    if (width && b->len - begin > width)
        b->len = begin + width;
    buf_fini(&numbers);
}

static unsigned terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
        return size.ws_col - 1u; /* the last cell would wrap               */
    return WIDTH_DEFAULT - 1;
}

static void show(struct progress *p, uint64_t now_ns)
{
    struct buf b;

    p->shown_ns = now_ns;
    if (p->quiet)
        return;
    buf_init(&b);
    if (p->terminal)
        buf_cstr(&b, "\r\033[K");
    progress_line(&b, p, now_ns, p->terminal ? terminal_width() : 0);
    if (!p->terminal)
        buf_char(&b, '\n');
    (void)fwrite(b.data, 1, b.len, stderr);
    (void)fflush(stderr);
    buf_fini(&b);
    p->shown = true;
}

void progress_to(struct progress *p, uint64_t done)
{
    uint64_t now_ns = clock_ns();

    p->done = done;
    if (now_ns - p->shown_ns >= (p->terminal ? TERMINAL_NS : PLAIN_NS))
        show(p, now_ns);
}

void progress_hide(struct progress *p)
{
    if (p->terminal && p->shown && !p->quiet)
        (void)fputs("\r\033[K", stderr);
    p->shown = false;
}

void progress_end(struct progress *p)
{
    if (!p->terminal && !p->shown)
        return; /* it was short: nothing to say                           */
    show(p, clock_ns());
    if (p->terminal && !p->quiet)
        (void)fputc('\n', stderr);
}
