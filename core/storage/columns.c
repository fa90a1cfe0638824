/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples as two arrays, times and values, so that functions over a window
 * walk memory once. Both grow by doubling and keep their memory between
 * uses; a reader that fills them empties them by setting `count`.
 */
#include "storage/storage.h"
#include "util/mem.h"

void columns_fini(struct columns *c)
{
    free(c->t);
    free(c->v);
    *c = (struct columns){ 0 };
}

void columns_push(struct columns *c, sonde_msec t, double v)
{
    if (c->count == c->cap_t)
        c->t = mem_grow(c->t, &c->cap_t, c->count + 1, sizeof(*c->t));
    if (c->count == c->cap_v)
        c->v = mem_grow(c->v, &c->cap_v, c->count + 1, sizeof(*c->v));
    c->t[c->count] = t;
    c->v[c->count++] = v;
}
