/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emission within bounds.
 *
 * An error of the sink fails the whole collection, and a server (or whoever
 * writes its zones' names) must not be able to do that: what is too much, too
 * long or there twice is dropped here and counted in nginx_series_dropped.
 */
#include <stdlib.h>

#include "nginx.h"

static bool take(struct nginx_emit *e, size_t n)
{
    if (e->samples + n > NGINX_SAMPLES_MAX) {
        e->dropped++;
        return false;
    }
    e->samples += n;
    return true;
}

void emit_sample(struct nginx_emit *e, enum nginx_family family,
                 const sonde_str *labels, double value)
{
    if (take(e, 1))
        (void)e->host->sample(e->sink, family, labels, value);
}

void emit_histogram(struct nginx_emit *e, enum nginx_family family,
                    const sonde_str *labels, const struct sonde_bucket *buckets,
                    size_t n, uint64_t count, double sum)
{
    if (take(e, n + 3))
        (void)e->host->histogram(e->sink, family, labels, buckets, n, count,
                                 sum);
}

void emit_summary(struct nginx_emit *e, enum nginx_family family,
                  const sonde_str *labels, uint64_t count, double sum)
{
    if (take(e, 2))
        (void)e->host->summary(e->sink, family, labels, count, sum);
}

bool emit_name(struct nginx_emit *e, sonde_str name)
{
    if (name.len <= NGINX_NAME_MAX)
        return true;
    e->dropped++;
    return false;
}

void emit_begin(struct nginx_emit *e, enum nginx_part part)
{
    if (SONDE_HAS(struct sonde_host, e->host, begin))
        e->host->begin(e->sink, part);
}

void emit_end(struct nginx_emit *e, sonde_code code, const char *why,
              double seconds)
{
    if (SONDE_HAS(struct sonde_host, e->host, end))
        e->host->end(e->sink, code, why, seconds);
}

/* ---- names seen ---------------------------------------------------------- */

static uint64_t hash(sonde_str s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

static sonde_str *slot_of(const struct nginx_seen *s, sonde_str name)
{
    size_t i = (size_t)hash(name) & (s->cap - 1);

    while (s->slots[i].ptr && !sonde_str_eq(s->slots[i], name))
        i = (i + 1) & (s->cap - 1);
    return &s->slots[i];
}

static bool grow(struct nginx_seen *s)
{
    struct nginx_seen big = { .cap = s->cap ? s->cap * 2 : 16,
                              .count = s->count };

    big.slots = calloc(big.cap, sizeof(*big.slots));
    if (!big.slots)
        return false;
    for (size_t i = 0; i < s->cap; i++)
        if (s->slots[i].ptr)
            *slot_of(&big, s->slots[i]) = s->slots[i];
    free(s->slots);
    *s = big;
    return true;
}

bool seen_before(struct nginx_seen *s, sonde_str name)
{
    sonde_str *slot;

    if (!name.ptr)
        name.ptr = "";
    if (s->count * 2 >= s->cap && !grow(s))
        return false;
    slot = slot_of(s, name);
    if (slot->ptr)
        return true;
    *slot = name;
    s->count++;
    return false;
}

void seen_fini(struct nginx_seen *s)
{
    free(s->slots);
    *s = (struct nginx_seen){ 0 };
}
