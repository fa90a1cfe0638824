/* SPDX-License-Identifier: Apache-2.0 */
/* Results, whether libpq holds them or we do; see link.h. */
#include <stdlib.h>

#include <libpq-fe.h>

#include "link.h"

/* libpq takes its results without const, but only reads them here. */
static const PGresult *result_of(const struct rows *r)
{
    return r->result;
}

bool rows_null(const struct rows *r, size_t row, size_t column)
{
    if (r->result)
        return PQgetisnull(result_of(r), (int)row, (int)column);
    return !r->cells[row * r->columns + column].ptr;
}

sonde_str rows_text(const struct rows *r, size_t row, size_t column)
{
    if (r->result)
        return (sonde_str){ PQgetvalue(result_of(r), (int)row, (int)column),
                            (size_t)PQgetlength(result_of(r), (int)row,
                                                (int)column) };
    return (sonde_str){ r->cells[row * r->columns + column].ptr,
                        (size_t)r->cells[row * r->columns + column].len };
}

const char *rows_name(const struct rows *r, size_t column)
{
    return r->result ? PQfname(result_of(r), (int)column) : r->names[column];
}

uint32_t rows_type(const struct rows *r, size_t column)
{
    if (r->result)
        return PQftype(result_of(r), (int)column);
    return r->types ? r->types[column] : 0;
}

/* ---- copies -------------------------------------------------------------- */

/* First the arrays, then the bytes. */
static size_t bytes_of(const struct rows *r, size_t *text)
{
    size_t n = r->columns * (sizeof(char *) + sizeof(uint32_t)) +
               r->count * r->columns * sizeof(struct cell);

    *text = 0;
    for (size_t c = 0; c < r->columns; c++) {
        *text += strlen(rows_name(r, c)) + 1;
        for (size_t i = 0; i < r->count; i++)
            *text += rows_text(r, i, c).len + 1;
    }
    return n;
}

static const char *put(char **at, sonde_str s)
{
    char *z = *at;

    if (s.len)
        memcpy(z, s.ptr, s.len);
    z[s.len] = '\0';
    *at += s.len + 1;
    return z;
}

bool rows_save(const struct rows *r, struct rows_copy *out)
{
    size_t text, arrays = bytes_of(r, &text);
    struct cell *cells;
    const char **names;
    uint32_t *types;
    char *at;

    *out = (struct rows_copy){ .memory = malloc(arrays + text + 1) };
    if (!out->memory)
        return false;
    cells = (struct cell *)(void *)out->memory;
    names = (const char **)(void *)(cells + r->count * r->columns);
    types = (uint32_t *)(void *)(names + r->columns);
    at = out->memory + arrays;
    for (size_t c = 0; c < r->columns; c++) {
        names[c] = put(&at, sonde_cstr(rows_name(r, c)));
        types[c] = rows_type(r, c);
        for (size_t i = 0; i < r->count; i++) {
            sonde_str s = rows_text(r, i, c);

            cells[i * r->columns + c] = (struct cell){ 0 };
            if (!rows_null(r, i, c))
                cells[i * r->columns + c] =
                    (struct cell){ put(&at, s), (int)s.len };
        }
    }
    out->rows = (struct rows){ .count = r->count,
                               .columns = r->columns,
                               .names = names,
                               .types = types,
                               .cells = cells };
    return true;
}

void rows_copy_fini(struct rows_copy *c)
{
    free(c->memory);
    *c = (struct rows_copy){ 0 };
}
