/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives back what only starting needed. Three dozen shared libraries are
 * mapped, relocated and initialised, and all the pages that were looked at
 * on the way stay resident: about 8 MB on Debian 12, of which a running agent
 * uses a tenth. Pages of file mappings that are never written can be dropped:
 * the few that are needed come back from the page cache at their next use.
 *
 * Only segments without PF_W are dropped (of a writable one, relocated pages
 * would lose their relocations).
 */
#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/agent_int.h"

static int drop_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)arg;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from, to;

        if (p->p_type != PT_LOAD || (p->p_flags & PF_W))
            continue;
        from = (info->dlpi_addr + p->p_vaddr) & ~(page - 1);
        to = (info->dlpi_addr + p->p_vaddr + p->p_memsz) & ~(page - 1);
        if (to > from)
            (void)madvise((void *)from, to - from, MADV_DONTNEED);
    }
    return 0;
}

void agent_trim_memory(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(drop_segments, NULL);
#endif
}
