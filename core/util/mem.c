/* SPDX-License-Identifier: Apache-2.0 */
/* See mem.h. */
#include "util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_Noreturn void mem_abort(const char *what, size_t size)
{
    (void)fprintf(stderr, "sonde: FATAL: out of memory: %s of %zu bytes\n",
                  what, size);
    abort();
}

_Noreturn void bug_abort(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    (void)fprintf(stderr, "sonde: BUG: %s:%d: ", file, line);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);

    if (!p)
        mem_abort("allocation", size);
    return p;
}

void *mem_zalloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (!p)
        mem_abort("allocation", size);
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);

    if (!q)
        mem_abort("reallocation", size);
    return q;
}

void *mem_grow(void *p, size_t *cap, size_t want, size_t elem_size)
{
    size_t n = *cap ? *cap : 8;
    size_t bytes;

    if (want <= *cap)
        return p;
    while (n < want)
        n *= 2;
    if (__builtin_mul_overflow(n, elem_size, &bytes))
        mem_abort("array", SIZE_MAX);
    p = mem_realloc(p, bytes);
    *cap = n;
    return p;
}

char *mem_strdup(sonde_str s)
{
    char *p = mem_alloc(s.len + 1);

    if (s.len)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return p;
}
