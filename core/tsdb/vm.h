/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address space straight from the kernel: zeroed, paid for page by page when
 * touched. For tables that are addressed directly and must never move, and
 * for memory that is given back in large pieces.
 */
#ifndef TSDB_VM_H
#define TSDB_VM_H

#include <stddef.h>

/* `align` is a power of two; aborts when the kernel refuses. */
void *vm_alloc(size_t bytes, size_t align);
void vm_free(void *p, size_t bytes);
/* Gives the memory back but keeps the addresses; reads as zeros then. */
void vm_clear(void *p, size_t bytes);

#endif
