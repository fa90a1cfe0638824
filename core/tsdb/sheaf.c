/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See sheaf.h. Larger is not always smaller: the XOR encoding keeps a window
 * of bits for as long as values fit into it, so that after one odd value all
 * behind it may cost more. So chunks that are joined stay apart if the result
 * would not be smaller than they are.
 */
#include "tsdb/sheaf.h"

#include "util/mem.h"

#define CHUNK_COST 33 /* bytes beside the samples, see SHEAF_SAMPLES       */

static const struct chunk_limits limits = { SHEAF_SAMPLES, SHEAF_BYTES, 0 };

void sheaf_init(struct sheaf *s)
{
    *s = (struct sheaf){ 0 };
    arena_init(&s->arena);
}

void sheaf_fini(struct sheaf *s)
{
    free(s->items);
    arena_fini(&s->arena);
}

void sheaf_reset(struct sheaf *s)
{
    s->count = 0;
    arena_reset(&s->arena);
}

void sheaf_put(struct sheaf *s, const struct chunk *chunk)
{
    s->items = mem_grow(s->items, &s->cap, s->count + 1, sizeof(*s->items));
    s->items[s->count++] = *chunk;
}

static sonde_code keep(void *arg, const struct chunk *chunk,
                       struct sonde_err *err)
{
    struct sheaf *s = arg;
    struct chunk copy = *chunk;

    (void)err;
    copy.data = arena_str(&s->arena, chunk->data);
    sheaf_put(s, &copy);
    return SONDE_OK;
}

sonde_code sheaf_cut(struct sheaf *s, const struct columns *c, size_t from,
                     size_t to, struct sonde_err *err)
{
    if (from == to)
        return SONDE_OK;
    return chunks_cut(c, from, to, &limits, true, keep, s, err);
}

static size_t cost(const struct chunk *chunks, size_t n)
{
    size_t sum = n * CHUNK_COST;

    for (size_t i = 0; i < n; i++)
        sum += chunks[i].data.len;
    return sum;
}

sonde_code sheaf_join(struct sheaf *s, const struct chunk *chunks, size_t n,
                      struct columns *scratch, struct sonde_err *err)
{
    size_t before = s->count;
    sonde_code rc = SONDE_OK;

    if (n == 1) {
        sheaf_put(s, chunks);
        return SONDE_OK;
    }
    columns_reset(scratch);
    for (size_t i = 0; i < n && rc == SONDE_OK; i++)
        rc = chunk_decode(chunks[i].encoding, chunks[i].data, scratch, err);
    if (rc == SONDE_OK)
        rc = sheaf_cut(s, scratch, 0, scratch->count, err);
    if (rc != SONDE_OK ||
        cost(s->items + before, s->count - before) < cost(chunks, n))
        return rc;
    s->count = before;
    for (size_t i = 0; i < n; i++)
        sheaf_put(s, chunks + i);
    return SONDE_OK;
}
