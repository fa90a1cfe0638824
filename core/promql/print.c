/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree as text: in one line, or over several where it is long.
 *
 * Both begin with the one line. While it is written, where each node's part of
 * it begins and ends is noted, in the order in which nodes are met; so the
 * longer form knows what is too long, and has the text of what is not.
 */
#include <stdlib.h>
#include <string.h>

#include "model/number.h"
#include "promql/promql.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/utf8.h"

/* A node's part of the line. */
struct piece {
    size_t begin, end;
    size_t nodes; /* itself and all below                                  */
};
struct printer {
    struct buf *b;
    struct piece *pieces; /* NULL: nobody asks                             */
    size_t count, cap;
};

static void print(struct printer *p, const struct promql_expr *e);

/* ---- parts ----------------------------------------------------------------
 */

static void print_labels(struct buf *b, const struct sonde_list *l)
{
    buf_char(b, '(');
    for (size_t i = 0; i < l->count; i++) {
        if (i)
            buf_cstr(b, ", ");
        if (label_name_is_legacy(l->items[i]))
            buf_put(b, l->items[i]);
        else
            buf_quote(b, l->items[i]);
    }
    buf_char(b, ')');
}

/* Seconds that were written as a duration. */
static void print_duration(struct buf *b, double seconds)
{
    if (seconds < 0)
        buf_char(b, '-');
    buf_duration(b, (sonde_msec)((seconds < 0 ? -seconds : seconds) * 1e9) /
                        1000000);
}

static void print_value(struct buf *b, double value, bool duration)
{
    if (duration)
        print_duration(b, value);
    else
        buf_number(b, value, NUMBER_PLAIN);
}

static void print_span(struct buf *b, const struct promql_span *s)
{
    if (s->wrapped)
        buf_char(b, '(');
    switch (s->kind) {
    case PROMQL_SPAN_NUMBER:
        print_value(b, s->value, s->duration);
        break;
    case PROMQL_SPAN_STEP:
        buf_cstr(b, "step()");
        break;
    case PROMQL_SPAN_RANGE:
        buf_cstr(b, "range()");
        break;
    case PROMQL_SPAN_MIN:
    case PROMQL_SPAN_MAX:
        buf_cstr(b, s->kind == PROMQL_SPAN_MIN ? "min_of(" : "max_of(");
        print_span(b, s->lhs);
        buf_cstr(b, ", ");
        print_span(b, s->rhs);
        buf_char(b, ')');
        break;
    case PROMQL_SPAN_NEGATE:
        buf_char(b, '-');
        print_span(b, s->rhs);
        break;
    case PROMQL_SPAN_BINARY:
        print_span(b, s->lhs);
        buf_printf(b, " %s ", promql_op_name(s->op));
        print_span(b, s->rhs);
        break;
    }
    if (s->wrapped)
        buf_char(b, ')');
}

static void print_at(struct buf *b, const struct promql_shift *s)
{
    if (s->at == PROMQL_AT_TIME)
        buf_printf(b, " @ %.3f", (double)s->at_ms / 1000);
    else if (s->at == PROMQL_AT_START)
        buf_cstr(b, " @ start()");
    else if (s->at == PROMQL_AT_END)
        buf_cstr(b, " @ end()");
}

static void print_offset(struct buf *b, const struct promql_shift *s)
{
    if (s->offset) {
        buf_cstr(b, " offset ");
        print_span(b, s->offset);
    } else if (s->offset_ms) {
        buf_cstr(b, " offset ");
        buf_duration(b, s->offset_ms);
    }
}

static void print_edges(struct buf *b, enum promql_edges edges)
{
    if (edges == PROMQL_EDGES_ANCHORED)
        buf_cstr(b, " anchored");
    else if (edges == PROMQL_EDGES_SMOOTHED)
        buf_cstr(b, " smoothed");
}

/* ---- selectors ------------------------------------------------------------
 */

static bool is_own_name(const struct promql_expr *e, const struct matcher *m)
{
    return e->selector.name.len && m->op == MATCH_EQ &&
           sonde_str_eq(m->name, SONDE_STR(LABEL_NAME)) &&
           sonde_str_eq(m->value, e->selector.name);
}

static int cmp_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Matchers are printed in the order of their texts. */
static void print_selector(struct buf *b, const struct promql_expr *e)
{
    char **texts = mem_alloc((e->selector.count + 1) * sizeof(*texts));
    size_t n = 0;

    buf_put(b, e->selector.name);
    for (size_t i = 0; i < e->selector.count; i++) {
        struct buf one;

        if (is_own_name(e, &e->selector.matchers[i]))
            continue;
        buf_init(&one);
        matcher_print(&one, &e->selector.matchers[i]);
        texts[n++] = buf_take(&one);
    }
    if (n)
        qsort(texts, n, sizeof(*texts), cmp_texts);
    for (size_t i = 0; i < n; i++) {
        buf_char(b, i ? ',' : '{');
        buf_cstr(b, texts[i]);
        free(texts[i]);
    }
    if (n)
        buf_char(b, '}');
    free(texts);
}

static void print_instant(struct buf *b, const struct promql_expr *e)
{
    print_selector(b, e);
    print_at(b, &e->selector.shift);
    print_edges(b, e->selector.edges);
    print_offset(b, &e->selector.shift);
}

static void print_range(struct buf *b, const struct promql_expr *e)
{
    const struct promql_expr *selector = e->range.selector;

    print_selector(b, selector);
    buf_char(b, '[');
    if (e->range.range)
        print_span(b, e->range.range);
    else
        buf_duration(b, e->range.range_ms);
    buf_char(b, ']');
    print_edges(b, selector->selector.edges);
    print_at(b, &selector->selector.shift);
    print_offset(b, &selector->selector.shift);
}

/* What follows the expression of a subquery. */
static void print_suffix(struct buf *b, const struct promql_expr *e)
{
    buf_char(b, '[');
    if (e->subquery.range)
        print_span(b, e->subquery.range);
    else
        buf_duration(b, e->subquery.range_ms);
    buf_char(b, ':');
    if (e->subquery.step)
        print_span(b, e->subquery.step);
    else if (e->subquery.step_ms)
        buf_duration(b, e->subquery.step_ms);
    buf_char(b, ']');
    print_at(b, &e->subquery.shift);
    print_offset(b, &e->subquery.shift);
}

/* ---- operators ------------------------------------------------------------
 */

/* "sum by (a) " */
static void print_head(struct buf *b, const struct promql_expr *e)
{
    buf_cstr(b, promql_op_name(e->aggregate.op));
    if (!e->aggregate.without && e->aggregate.labels.count == 0)
        return;
    buf_cstr(b, e->aggregate.without ? " without " : " by ");
    print_labels(b, &e->aggregate.labels);
    buf_char(b, ' ');
}

static void print_fill(struct buf *b, const struct promql_matching *m)
{
    static const char *const names[] = { " fill_left (", " fill_right (" };
    const double *values[] = { m->fill_lhs, m->fill_rhs };

    for (size_t i = 0; i < 2; i++) {
        if (!values[i] || (i == 1 && values[0] == values[1]))
            continue;
        buf_cstr(b, values[0] == values[1] ? " fill (" : names[i]);
        buf_number(b, *values[i], NUMBER_TEXT);
        buf_char(b, ')');
    }
}

static void print_matching(struct buf *b, const struct promql_matching *m)
{
    bool group = m->card == PROMQL_MANY_TO_ONE || m->card == PROMQL_ONE_TO_MANY;

    if (m->on || m->labels.count || group) {
        buf_cstr(b, m->on ? " on " : " ignoring ");
        print_labels(b, &m->labels);
    }
    if (group) {
        buf_cstr(b, m->card == PROMQL_MANY_TO_ONE ? " group_left "
                                                  : " group_right ");
        print_labels(b, &m->include);
    }
    print_fill(b, m);
}

/* "+ on (x)"; between scalars and vectors nothing is matched. */
static void print_operator(struct buf *b, const struct promql_expr *e)
{
    buf_cstr(b, promql_op_name(e->binary.op));
    if (e->binary.return_bool)
        buf_cstr(b, " bool");
    if (e->binary.lhs->type == PROMQL_VECTOR &&
        e->binary.rhs->type == PROMQL_VECTOR)
        print_matching(b, &e->binary.matching);
}

/* ---- in one line ----------------------------------------------------------
 */

static void print_args(struct printer *p, const struct promql_expr *e)
{
    const struct promql_expr *arg;

    buf_char(p->b, '(');
    for (size_t i = 0; (arg = promql_child(e, i)) != NULL; i++) {
        if (i)
            buf_cstr(p->b, ", ");
        print(p, arg);
    }
    buf_char(p->b, ')');
}

static void print_node(struct printer *p, const struct promql_expr *e)
{
    switch (e->kind) {
    case PROMQL_NUMBER:
        print_value(p->b, e->number.value, e->number.duration);
        break;
    case PROMQL_TEXT:
        buf_quote(p->b, e->text);
        break;
    case PROMQL_SELECTOR:
        print_instant(p->b, e);
        break;
    case PROMQL_RANGE:
        print_range(p->b, e);
        break;
    case PROMQL_SUBQUERY:
        print(p, e->subquery.expr);
        print_suffix(p->b, e);
        break;
    case PROMQL_CALL:
        buf_cstr(p->b, e->call.function->name);
        print_args(p, e);
        break;
    case PROMQL_AGGREGATE:
        print_head(p->b, e);
        print_args(p, e);
        break;
    case PROMQL_BINARY:
        print(p, e->binary.lhs);
        buf_char(p->b, ' ');
        print_operator(p->b, e);
        buf_char(p->b, ' ');
        print(p, e->binary.rhs);
        break;
    case PROMQL_UNARY:
        buf_char(p->b, e->unary.minus ? '-' : '+');
        print(p, e->unary.expr);
        break;
    case PROMQL_PAREN:
        print_args(p, e);
        break;
    }
}

static void print(struct printer *p, const struct promql_expr *e)
{
    size_t at = p->count++, begin = p->b->len;

    if (p->pieces)
        p->pieces = mem_grow(p->pieces, &p->cap, p->count, sizeof(*p->pieces));
    print_node(p, e);
    if (p->pieces)
        p->pieces[at] = (struct piece){ begin, p->b->len, p->count - at };
}

void promql_print(struct buf *b, const struct promql_expr *e)
{
    struct printer p = { .b = b };

    print(&p, e);
}

/* ---- in several -----------------------------------------------------------
 */

#define LINE_MAX_BYTES 100

struct formatter {
    struct buf *out;
    sonde_str line; /* the whole, in one line                              */
    const struct piece *pieces;
    size_t next; /* the piece of the node that is met next                 */
};

static void indent(struct formatter *f, size_t level)
{
    for (size_t i = 0; i < level; i++)
        buf_cstr(f->out, "  ");
}

static void format(struct formatter *f, const struct promql_expr *e,
                   size_t level);

/* Its parts one a line, in parentheses; the head is there. */
static void format_args(struct formatter *f, const struct promql_expr *e,
                        size_t level)
{
    const struct promql_expr *arg;

    buf_cstr(f->out, "(\n");
    for (size_t i = 0; (arg = promql_child(e, i)) != NULL; i++) {
        if (i)
            buf_cstr(f->out, ",\n");
        format(f, arg, level + 1);
    }
    buf_char(f->out, '\n');
    indent(f, level);
    buf_char(f->out, ')');
}

static void format_binary(struct formatter *f, const struct promql_expr *e,
                          size_t level)
{
    format(f, e->binary.lhs, level + 1);
    buf_char(f->out, '\n');
    indent(f, level);
    print_operator(f->out, e);
    buf_char(f->out, '\n');
    format(f, e->binary.rhs, level + 1);
}

/* The operand follows the sign, not the indentation. */
static void format_unary(struct formatter *f, const struct promql_expr *e,
                         size_t level)
{
    struct formatter inner = *f;
    struct buf text;
    size_t blanks = 0;

    buf_init(&text);
    inner.out = &text;
    format(&inner, e->unary.expr, level);
    f->next = inner.next;
    while (blanks < text.len && text.data[blanks] == ' ')
        blanks++;
    indent(f, level);
    buf_char(f->out, e->unary.minus ? '-' : '+');
    buf_put(f->out, str_sub(buf_str(&text), blanks, text.len));
    buf_fini(&text);
}

static void format_long(struct formatter *f, const struct promql_expr *e,
                        size_t level)
{
    f->next++;
    switch (e->kind) {
    case PROMQL_BINARY:
        format_binary(f, e, level);
        break;
    case PROMQL_UNARY:
        format_unary(f, e, level);
        break;
    case PROMQL_SUBQUERY:
        format(f, e->subquery.expr, level);
        print_suffix(f->out, e);
        break;
    default:
        indent(f, level);
        if (e->kind == PROMQL_CALL)
            buf_cstr(f->out, e->call.function->name);
        else if (e->kind == PROMQL_AGGREGATE)
            print_head(f->out, e);
        format_args(f, e, level);
        break;
    }
}

static void format(struct formatter *f, const struct promql_expr *e,
                   size_t level)
{
    const struct piece *piece = &f->pieces[f->next];

    if (piece->end - piece->begin > LINE_MAX_BYTES && piece->nodes > 1) {
        format_long(f, e, level);
        return;
    }
    indent(f, level);
    buf_put(f->out, str_sub(f->line, piece->begin, piece->end));
    f->next += piece->nodes;
}

void promql_format(struct buf *b, const struct promql_expr *e)
{
    struct buf line;
    struct printer p = { .b = &line };
    struct formatter f = { .out = b };

    buf_init(&line);
    p.pieces = mem_grow(NULL, &p.cap, 16, sizeof(*p.pieces));
    print(&p, e);
    f.line = buf_str(&line);
    f.pieces = p.pieces;
    format(&f, e, 0);
    free(p.pieces);
    buf_fini(&line);
}
