/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink is strict: a series given twice or a label that is no UTF-8 fails
 * the collection. That is right for a plugin's own mistakes, but what a
 * server says is not ours: two replicas behind one address are the same
 * series twice, a query may return two rows of equal labels, a name any
 * bytes. So a set of hashes drops what was said before, labels are made UTF-8
 * and cut, and there is a bound on all. The hash is not kept secret; a server
 * that finds collisions loses its own samples.
 *
 * Most labels are ASCII and pass as views; only what has to be changed is
 * copied.
 */
#include "shared/unique.h"

#include <stdlib.h>

#define CAP_FIRST 1024
#define CAP_KEPT  4096 /* slots kept between collections, used or not */
#define PRIME     0x9fb21c651e98df25ull

void unique_begin(struct unique *s)
{
    if (s->cap > CAP_KEPT && s->count < s->cap / 8) {
        free(s->seen);
        s->seen = NULL;
        s->cap = 0;
    }
    s->count = 0;
    if (s->seen)
        memset(s->seen, 0, s->cap * sizeof(*s->seen));
}

void unique_fini(struct unique *s)
{
    free(s->seen);
    text_fini(&s->scratch);
    s->seen = NULL;
    s->cap = s->count = 0;
}

/* ---- what was said before ------------------------------------------------ */

/* Eight bytes a step; the length keeps parts apart. */
static uint64_t hash_add(uint64_t h, sonde_str s)
{
    size_t i = 0;
    uint64_t w;

    for (; i + 8 <= s.len; i += 8) {
        memcpy(&w, s.ptr + i, 8);
        h = (h ^ w) * PRIME;
        h ^= h >> 32;
    }
    w = 0;
    if (s.len > i)
        memcpy(&w, s.ptr + i, s.len - i);
    h = (h ^ w ^ ((uint64_t)s.len << 56)) * PRIME;
    return h ^ (h >> 29);
}

uint64_t unique_hash(uint64_t family)
{
    return (0xcbf29ce484222325ull ^ family) * PRIME;
}

uint64_t unique_hash_name(const char *name)
{
    return hash_add(0xcbf29ce484222325ull, sonde_cstr(name));
}

static bool put(uint64_t *set, size_t cap, uint64_t h)
{
    size_t i = (size_t)h & (cap - 1);

    while (set[i] && set[i] != h)
        i = (i + 1) & (cap - 1);
    if (set[i])
        return false;
    set[i] = h;
    return true;
}

static bool grow(struct unique *s)
{
    size_t cap = s->cap ? s->cap * 2 : CAP_FIRST;
    uint64_t *grown = calloc(cap, sizeof(*grown));

    if (!grown)
        return false;
    for (size_t i = 0; i < s->cap; i++) {
        if (s->seen[i])
            (void)put(grown, cap, s->seen[i]);
    }
    free(s->seen);
    s->seen = grown;
    s->cap = cap;
    return true;
}

static bool add(struct unique *s, uint64_t h)
{
    if (s->count >= s->max || ((s->count + 1) * 2 > s->cap && !grow(s)) ||
        !put(s->seen, s->cap, h ? h : 1))
        return false;
    s->count++;
    return true;
}

/* ---- labels -------------------------------------------------------------- */

/* ASCII without NUL. */
static bool is_plain(sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)(s.ptr[i] - 1) >= 0x7f)
            return false;
    }
    return true;
}

/* A view of `in`, or of a valid copy in the scratch text. The text may move:
 * copies are marked by a NULL and found again by `fix`. */
static void clean(struct unique *s, sonde_str in, sonde_str *out)
{
    size_t from = s->scratch.len;

    if (in.len > s->label_max)
        in.len = s->label_max;
    *out = in.len ? in : (sonde_str){ 0 };
    if (is_plain(in))
        return;
    (void)text_add_utf8(&s->scratch, in, SIZE_MAX);
    *out = (sonde_str){ NULL, s->scratch.len - from };
}

static void fix(const struct unique *s, sonde_str *out, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        if (!out[i].ptr && out[i].len) {
            out[i].ptr = s->scratch.ptr + at;
            at += out[i].len;
        }
    }
}

bool unique_add(struct unique *s, uint64_t hash, const sonde_str *in, size_t n,
                sonde_str *out)
{
    text_clear(&s->scratch);
    for (size_t i = 0; i < n; i++)
        clean(s, in[i], &out[i]);
    fix(s, out, n);
    for (size_t i = 0; i < n; i++)
        hash = hash_add(hash, out[i]);
    return !s->scratch.failed && add(s, hash);
}
