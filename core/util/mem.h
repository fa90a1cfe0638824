/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap memory that is never NULL: a process that can not get a few bytes can
 * not go on either, and an abort with a message beats a crash elsewhere.
 * Sizes that come from outside (a declared length, a limit) are checked
 * before they get here.
 */
#ifndef UTIL_MEM_H
#define UTIL_MEM_H

#include <stddef.h>
#include <stdlib.h>

#include <sonde/base.h>

/* Not zeroed; free with free(). */
void *mem_alloc(size_t size);
/* Zeroed. */
void *mem_zalloc(size_t size);
#define mem_new(T) ((T *)mem_zalloc(sizeof(T)))
void *mem_realloc(void *p, size_t size);
/* Makes room for `want` elements in an array that holds `*cap`, at least
 * doubling it; `*cap` is updated. */
void *mem_grow(void *p, size_t *cap, size_t want, size_t elem_size);
/* A NUL-terminated copy; free with free(). */
char *mem_strdup(sonde_str s);

_Noreturn void mem_abort(const char *what, size_t size);

/* A broken invariant: says where and what, and aborts. */
#define SONDE_BUG(...) bug_abort(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn SONDE_PRINTF(3, 4) void bug_abort(const char *file, int line,
                                            const char *fmt, ...);

#endif
