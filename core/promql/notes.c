/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annotations: what a result should be taken with. Each text is told once;
 * at most so many of each kind are kept, the rest is counted, as Prometheus
 * does it.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "promql/engine.h"
#include "util/str.h"

#define NOTES_MAX      10   /* told of each kind                            */
#define NOTES_KEPT_MAX 1000 /* compared with, of both kinds                 */
#define NOTE_BYTES     1024

/* Under the mutex. */
static bool is_there(const struct exec *x, sonde_str text)
{
    for (size_t i = 0; i < x->note_count; i++)
        if (sonde_str_eq(x->notes[i].text, text))
            return true;
    return false;
}

/* Under the mutex, or in one thread. */
static void keep_note(struct exec *x, bool warning, sonde_str text)
{
    x->notes =
        mem_grow(x->notes, &x->note_cap, x->note_count + 1, sizeof(*x->notes));
    x->notes[x->note_count++] =
        (struct promql_note){ warning, arena_str(&x->note_arena, text) };
}

/* Where a byte of the query is. */
static void place(sonde_str text, size_t at, unsigned *line, unsigned *column)
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

static void note_add(struct exec *x, bool warning, const struct promql_expr *e,
                     const char *fmt, va_list args)
{
    char message[NOTE_BYTES], text[NOTE_BYTES + 64];
    sonde_str s = { text, 0 };
    unsigned line, column;
    int n;

    (void)vsnprintf(message, sizeof(message), fmt, args);
    place(x->query->text, e->begin, &line, &column);
    n = snprintf(text, sizeof(text), "PromQL %s: %s (%u:%u)",
                 warning ? "warning" : "info", message, line, column);
    s.len = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    (void)pthread_mutex_lock(&x->mutex);
    if (x->note_count < NOTES_KEPT_MAX && !is_there(x, s))
        keep_note(x, warning, s);
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

/* Those of one kind, the bound and what was left out. */
static void take_kind(struct exec *x, bool warning, struct promql_result *r)
{
    size_t told = 0, left_out = 0;

    for (size_t i = 0; i < x->note_count; i++) {
        if (x->notes[i].warning != warning)
            continue;
        if (told == NOTES_MAX) {
            left_out++;
            continue;
        }
        r->notes[r->note_count++] = x->notes[i];
        told++;
    }
    if (left_out)
        r->notes[r->note_count++] = (struct promql_note){
            warning,
            arena_printf(&x->note_arena, "%zu more %s annotations omitted",
                         left_out, warning ? "warning" : "info")
        };
}

/* What the store has to say, without prefix and place. */
static void take_store(struct exec *x)
{
    for (struct exec_querier *q = x->queriers; q; q = q->next) {
        struct sonde_list lines = querier_warnings(q->querier, &x->note_arena);

        for (size_t i = 0; i < lines.count; i++)
            if (!is_there(x, lines.items[i]))
                keep_note(x, true, lines.items[i]);
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
