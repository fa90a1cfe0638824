/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer of whoever `sonde query` was told to ask: read, printed in every
 * format, drawn as a chart. The first byte says what was asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/chart.h"
#include "cli/query_cmd.h"
#include "util/arena.h"
#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum query_kind kinds[] = { QUERY_INSTANT, QUERY_RANGE,
                                         QUERY_SERIES, QUERY_LABELS };

static void draw(struct buf *b, const struct answer *a, uint8_t choice)
{
    static const enum chart_style styles[] = { CHART_LETTERS, CHART_BRAILLE,
                                               CHART_COLOUR };
    struct chart c = {
        .series = a->series,
        .count = a->count,
        .start = 0,
        .end = 3600 * 1000,
        .step = 60 * 1000,
        .width = 10 + choice % 120,
        .height = 5 + choice % 40,
        .style = styles[choice % 3],
    };

    chart_draw(b, &c);
}

static void print(const struct answer *a, uint8_t choice)
{
    static const char *const formats[] = { "table", "csv", "json", "promql" };

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct buf b;

        buf_init(&b);
        answer_printer_find(formats[i])(&b, a);
        if (a->kind == ANSWER_MATRIX && i == 0)
            draw(&b, a, choice);
        buf_fini(&b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sonde_err err = { 0 };
    struct answer a = { 0 };
    struct arena arena;
    sonde_code rc;

    if (size == 0)
        return 0;
    arena_init(&arena);
    a.arena = &arena;
    rc = answer_read_json((sonde_str){ (const char *)data + 1, size - 1 },
                          kinds[data[0] % 4], &a, &err);
    if (rc == SONDE_OK)
        print(&a, data[0]);
    else if (err.text[0] == '\0')
        abort();
    arena_fini(&arena);
    return 0;
}
