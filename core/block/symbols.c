/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See symbols.h. The whole table is walked once when it is opened; from then
 * on its strings are known to lie inside of it, so that a look-up only has
 * to count.
 */
#include "block/symbols.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "util/mem.h"
#include "util/str.h"

/* The string at `*at`, which moves behind it; only after the first walk. */
static sonde_str take(const struct symbols *s, uint32_t *at)
{
    struct reader r = { s->base + *at, s->base + s->len, false };
    sonde_str text = reader_uvarint_str(&r);

    *at = (uint32_t)(r.p - s->base);
    return text;
}

static sonde_code walk(struct symbols *s, struct sonde_err *err)
{
    struct reader r = { s->base, s->base + s->len, false };
    sonde_str before = { 0 };

    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t at = (uint32_t)(r.p - s->base);
        sonde_str text = reader_uvarint_str(&r);

        if (r.failed)
            return sonde_err_set(err, SONDE_ECORRUPT,
                                 "symbol %u leaves the table", i);
        if (i && str_cmp(before, text) >= 0)
            return sonde_err_set(err, SONDE_ECORRUPT,
                                 "symbol %u is out of order", i);
        if (i % SYMBOL_STRIDE == 0)
            s->samples[i / SYMBOL_STRIDE] = at;
        before = text;
    }
    return SONDE_OK;
}

sonde_code symbols_open(struct symbols *s, sonde_str table,
                        struct sonde_err *err)
{
    *s = (struct symbols){ 0 };
    if (table.len < 4 || table.len > UINT32_MAX)
        return sonde_err_set(err, SONDE_ECORRUPT, "symbols of %zu bytes",
                             table.len);
    s->base = (const uint8_t *)table.ptr + 4;
    s->len = (uint32_t)(table.len - 4);
    s->count = be32_get(table.ptr);
    if (s->count > s->len) /* each takes a byte at least */
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "%u symbols in a table of %u bytes", s->count,
                             s->len);
    s->samples = mem_alloc((s->count / SYMBOL_STRIDE + 1) * sizeof(uint32_t));
    return walk(s, err);
}

void symbols_close(struct symbols *s)
{
    free(s->samples);
    *s = (struct symbols){ 0 };
}

sonde_str symbols_get(const struct symbols *s, uint32_t number)
{
    struct symbols_cursor c = { s, UINT32_MAX, 0 };

    return symbols_cursor_get(&c, number);
}

sonde_str symbols_cursor_get(struct symbols_cursor *c, uint32_t number)
{
    const struct symbols *s = c->symbols;
    sonde_str text;

    if (number >= s->count)
        return (sonde_str){ 0 };
    if (number < c->next || number - c->next >= SYMBOL_STRIDE) {
        c->next = number - number % SYMBOL_STRIDE;
        c->at = s->samples[number / SYMBOL_STRIDE];
    }
    do
        text = take(s, &c->at);
    while (c->next++ != number);
    return text;
}

/* The last sample that is not after `text`. */
static uint32_t sample_before(const struct symbols *s, sonde_str text)
{
    uint32_t lo = 0, hi = (s->count - 1) / SYMBOL_STRIDE;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo + 1) / 2, at = s->samples[mid];

        if (str_cmp(take(s, &at), text) <= 0)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

bool symbols_find(const struct symbols *s, sonde_str text, uint32_t *number)
{
    uint32_t sample, at, n;

    if (!s->count)
        return false;
    sample = sample_before(s, text);
    at = s->samples[sample];
    n = sample * SYMBOL_STRIDE;
    for (uint32_t end = n + SYMBOL_STRIDE; n < end && n < s->count; n++) {
        int cmp = str_cmp(take(s, &at), text);

        if (cmp == 0)
            *number = n;
        if (cmp >= 0)
            return cmp == 0;
    }
    return false;
}

bool symbols_at(const struct symbols *s, uint64_t offset, uint32_t *number)
{
    uint32_t lo = 0, hi = s->count ? (s->count - 1) / SYMBOL_STRIDE : 0, at, n;

    if (!s->count || offset >= s->len)
        return false;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo + 1) / 2;

        if (s->samples[mid] <= offset)
            lo = mid;
        else
            hi = mid - 1;
    }
    at = s->samples[lo];
    for (n = lo * SYMBOL_STRIDE; at < offset && n + 1 < s->count; n++)
        (void)take(s, &at);
    *number = n;
    return at == offset;
}
