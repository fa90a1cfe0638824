/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address space. An aligned piece is cut out of a larger mapping, whose ends
 * go back at once: the kernel has no aligned mapping of its own.
 *
 * The heap would serve too, but it keeps what is freed in the middle, and
 * can not hand out half a megabyte of zeros that cost nothing until used.
 *
 * Thread-safe, as the kernel is.
 */
#include "tsdb/vm.h"

#include <stdint.h>
#include <sys/mman.h>

#include "util/mem.h"

#define PAGE ((size_t)4096)

/* Whole pages: ends between two can not be given back. */
static size_t pages_of(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

void *vm_alloc(size_t wanted, size_t align)
{
    size_t bytes = pages_of(wanted), total = bytes + align;
    uint8_t *p = mmap(NULL, total, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t lead;

    if (p == MAP_FAILED)
        mem_abort("map memory", total);
    lead = (align - (uintptr_t)p % align) % align;
    if (lead)
        (void)munmap(p, lead);
    if (total - lead > bytes)
        (void)munmap(p + lead + bytes, total - lead - bytes);
    return p + lead;
}

void vm_free(void *p, size_t bytes)
{
    if (p)
        (void)munmap(p, pages_of(bytes));
}

void vm_clear(void *p, size_t bytes)
{
    (void)madvise(p, bytes, MADV_DONTNEED);
}
