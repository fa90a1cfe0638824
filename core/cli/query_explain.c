/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a query as a table: the tree at the right, one line a node,
 * and what it cost at the left. "self" is a node's time without those right
 * below it. Times are added up over the threads, so the sum of them may be
 * more than the query took; the last line has both.
 */
#include <inttypes.h>

#include "cli/query_cmd.h"

#define TEXT_MIN 20

static void put_duration(struct buf *b, uint64_t ns)
{
    double ms = (double)ns / 1e6;

    if (ms < 1)
        buf_printf(b, "%7.1fus ", ms * 1e3);
    else if (ms < 10000)
        buf_printf(b, "%7.2fms ", ms);
    else
        buf_printf(b, "%7.2fs  ", ms / 1e3);
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Of node `i` without the nodes right below. */
static uint64_t self_ns(const struct answer *a, size_t i)
{
    uint64_t ns = a->plan[i].wall_ns;

    for (size_t k = i + 1;
         k < a->plan_count && a->plan[k].depth > a->plan[i].depth; k++)
        if (a->plan[k].depth == a->plan[i].depth + 1)
            ns = less(ns, a->plan[k].wall_ns);
    return ns;
}

/* Cut to `columns`, 0: whole; never within a code point. */
static void put_cut(struct buf *b, sonde_str s, size_t columns)
{
    size_t n = 0;

    if (columns == 0 || text_columns(s) <= columns) {
        buf_put(b, s);
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
        if (n > columns - 3)
            break;
        buf_char(b, s.ptr[i]);
    }
    buf_cstr(b, "...");
}

static void put_node(struct buf *b, const struct answer *a, size_t i,
                     size_t width)
{
    const struct promql_plan_node *p = &a->plan[i];
    size_t began = b->len, used, left = 0;

    put_duration(b, p->wall_ns);
    put_duration(b, self_ns(a, i));
    put_duration(b, p->cpu_ns);
    buf_printf(b, "%7zu %7zu %6zu %10" PRIu64 "  ", p->series, p->rows,
               p->steps, p->samples);
    for (unsigned d = 0; d < p->depth; d++)
        buf_cstr(b, "  ");
    used = b->len - began;
    if (width)
        left = width > used + TEXT_MIN ? width - used : TEXT_MIN;
    put_cut(b, p->text, left);
    buf_char(b, '\n');
}

void answer_print_plan(struct buf *b, const struct answer *a, size_t width)
{
    buf_cstr(b, "     time      self       cpu   series    rows  steps    "
                "samples  node\n");
    for (size_t i = 0; i < a->plan_count; i++)
        put_node(b, a, i, width);
    buf_printf(b,
               "query: %.2f ms, cpu %.2f ms on %zu thread%s, %" PRIu64
               " samples read, %" PRIu64 " in windows, %" PRIu64
               " held at most\n",
               (double)a->wall_ns / 1e6, (double)a->cpu_ns / 1e6, a->threads,
               a->threads == 1 ? "" : "s", a->stats.samples_read,
               a->stats.queryable_samples, a->stats.peak_samples);
}
