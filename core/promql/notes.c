/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annotations: what a result should be taken with. Each message is told once,
 * with the place of that part of the query that is evaluated last (as
 * Prometheus' maps have it); at most so many of each kind are told, the rest is
 * counted.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "promql/engine.h"
#include "util/str.h"

#define NOTES_MAX      10   /* told of each kind                            */
#define NOTES_KEPT_MAX 1000 /* compared with, of both kinds                 */
#define NOTE_BYTES     1024

/* ---- when a part is evaluated ----------------------------------------------
 */

struct order {
    const struct promql_expr *place;
    size_t count, found; /* parts so far; 1 + that of the place's owner     */
};

static void visit(struct order *o, const struct promql_expr *e)
{
    const struct promql_expr *child;
    bool owner = e == o->place;

    for (size_t i = 0; (child = promql_child(e, i)) != NULL; i++) {
        owner |= child == o->place;
        visit(o, child);
    }
    o->count++;
    if (owner)
        o->found = o->count;
}

/* What has no place in the tree is told of by what is evaluated last.
 * Children before parents, left before right. */
static size_t order_of(const struct exec *x, const struct promql_expr *place)
{
    struct order o = { place, 0, 0 };

    visit(&o, x->root);
    return o.found ? o.found : o.count;
}

/* ---- keeping ---------------------------------------------------------------
 */

static struct exec_note *find(const struct exec *x, sonde_str message)
{
    for (size_t i = 0; i < x->note_count; i++)
        if (sonde_str_eq(x->notes[i].message, message))
            return &x->notes[i];
    return NULL;
}

/* Under the mutex, or in one thread. */
static void keep(struct exec *x, bool warning, sonde_str message,
                 const struct promql_expr *place)
{
    struct exec_note *n = find(x, message);
    size_t order = place ? order_of(x, place) : 0;

    if (!n) {
        if (x->note_count == NOTES_KEPT_MAX)
            return;
        x->notes = mem_grow(x->notes, &x->note_cap, x->note_count + 1,
                            sizeof(*x->notes));
        n = &x->notes[x->note_count++];
        *n = (struct exec_note){ warning, arena_str(&x->note_arena, message),
                                 place, order };
    } else if (order > n->order) {
        n->place = place;
        n->order = order;
    }
}

SONDE_PRINTF(4, 0)
static void note_add(struct exec *x, bool warning, const struct promql_expr *e,
                     const char *fmt, va_list args)
{
    char message[NOTE_BYTES];

    (void)vsnprintf(message, sizeof(message), fmt, args);
    (void)pthread_mutex_lock(&x->mutex);
    keep(x, warning, sonde_cstr(message), e);
    (void)pthread_mutex_unlock(&x->mutex);
}

void note_warning(struct exec *x, const struct promql_expr *e, const char *fmt,
                  ...)
{
    va_list args;

    va_start(args, fmt);
    note_add(x, true, e, fmt, args);
    va_end(args);
}

void note_info(struct exec *x, const struct promql_expr *e, const char *fmt,
               ...)
{
    va_list args;

    va_start(args, fmt);
    note_add(x, false, e, fmt, args);
    va_end(args);
}

/* ---- telling ---------------------------------------------------------------
 */

/* Where a byte of the query is. */
static void place_of(sonde_str text, size_t at, size_t *line, size_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < at && i < text.len; i++) {
        (*column)++;
        if (text.ptr[i] == '\n') {
            (*line)++;
            *column = 1;
        }
    }
}

/* What comes from the store has no place, and no prefix. */
static sonde_str text_of(struct exec *x, const struct exec_note *n)
{
    size_t line, column;

    if (!n->place)
        return n->message;
    place_of(x->query->text, n->place->begin, &line, &column);
    return arena_printf(&x->note_arena, "PromQL %s: %.*s (%zu:%zu)",
                        n->warning ? "warning" : "info", SONDE_ARG(n->message),
                        line, column);
}

/* Those of one kind, the bound and what was left out. */
static void take_kind(struct exec *x, bool warning, struct promql_result *r)
{
    size_t told = 0, left_out = 0;

    for (size_t i = 0; i < x->note_count; i++) {
        if (x->notes[i].warning != warning)
            continue;
        if (told++ < NOTES_MAX)
            r->notes[r->note_count++] =
                (struct promql_note){ warning, text_of(x, &x->notes[i]) };
        else
            left_out++;
    }
    if (left_out)
        r->notes[r->note_count++] = (struct promql_note){
            warning,
            arena_printf(&x->note_arena, "%zu more %s annotations omitted",
                         left_out, warning ? "warning" : "info")
        };
}

static void take_store(struct exec *x)
{
    for (struct exec_querier *q = x->queriers; q; q = q->next) {
        struct sonde_list lines = querier_warnings(q->querier, &x->note_arena);

        for (size_t i = 0; i < lines.count; i++)
            keep(x, true, lines.items[i], NULL);
    }
}

void notes_take(struct exec *x, struct promql_result *r)
{
    take_store(x);
    r->notes =
        arena_array(&x->note_arena, struct promql_note, (NOTES_MAX + 1) * 2);
    take_kind(x, true, r);
    take_kind(x, false, r);
}
