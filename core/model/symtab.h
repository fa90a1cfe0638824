/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbols: each distinct label name and value is stored once and named by a
 * 32-bit id, so that a series' labels are an array of id pairs. Symbols are
 * counted references; an id whose count falls to 0 may be given out again.
 * Reads (`symtab_str`) take no lock and may run beside an interning writer;
 * writers exclude each other inside.
 */
#ifndef MODEL_SYMTAB_H
#define MODEL_SYMTAB_H

#include <sonde/base.h>

struct symtab;
typedef uint32_t symbol;

struct symtab *symtab_new(void);
void symtab_free(struct symtab *t);

/* The symbol of a string, made if needed; takes a reference. */
symbol symtab_intern(struct symtab *t, sonde_str s);
/* The symbol of a string if there is one; takes no reference. */
bool symtab_find(const struct symtab *t, sonde_str s, symbol *out);
void symtab_release(struct symtab *t, symbol id);
/* Gives memory back that no symbol uses any more. By one thread at a time;
 * the others may go on. */
void symtab_trim(struct symtab *t);
/* The bytes of a symbol that is held; valid while it is. */
sonde_str symtab_str(const struct symtab *t, symbol id);

size_t symtab_count(const struct symtab *t);
size_t symtab_bytes(const struct symtab *t);

#endif
