/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text either parses or is an error; what parses prints, in one line and
 * in several, to texts that parse to the same print. (But for the infinite: it
 * prints with a sign, which binds less than a power.)
 */
#include "promql/promql.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct promql_limits limits = { .features = ~0u };

/* The print of a text's tree must be that. */
static void check(struct arena *a, const struct buf *text,
                  const struct buf *print)
{
    struct promql_expr *e;
    struct sonde_err err;
    struct buf again = { 0 };

    if (promql_parse(a, buf_str(text), &limits, &e, &err) != SONDE_OK)
        return;
    promql_print(&again, e);
    if (!sonde_str_eq(buf_str(print), buf_str(&again)))
        abort();
    promql_fini(e);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str text = { (const char *)data, size };
    struct promql_expr *e;
    struct sonde_err err;
    struct arena a;
    struct buf line = { 0 }, lines = { 0 };

    arena_init(&a);
    if (promql_parse(&a, text, &limits, &e, &err) == SONDE_OK) {
        promql_print(&line, e);
        promql_format(&lines, e);
        if (!memmem(line.data, line.len, "Inf", 3)) {
            check(&a, &line, &line);
            check(&a, &lines, &line);
        }
        promql_fini(e);
    }
    buf_fini(&line);
    buf_fini(&lines);
    arena_fini(&a);
    return 0;
}
