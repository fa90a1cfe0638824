/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exemplars of a commit: judged before the log is written, so that what
 * was seen before (a target exposes its last exemplar at each scrape) is not
 * logged again, and added after. One that is refused fails nothing else.
 */
#include "tsdb/commit_int.h"
#include "tsdb/walk.h"

static bool is_there(struct commit *c, series_ref ref)
{
    struct walk w = walk_of(c->head);
    struct series *s = walk_to(&w, ref);
    bool logged = s && s->flags & (SERIES_LOGGED | SERIES_BUSY);

    walk_end(&w);
    if (s && !logged)
        ref_list_push(&c->batch->unlogged, (uint32_t)ref);
    return s != NULL;
}

static bool passes(struct commit *c, const struct batch_exemplar *e)
{
    switch (exemplars_judge(&c->head->exemplars, e->ref, &e->exemplar)) {
    case EXEMPLAR_TAKEN:
        return is_there(c, e->ref);
    case EXEMPLAR_OUT_OF_ORDER:
    case EXEMPLAR_TOO_LONG:
        c->stats.exemplars_refused++;
        break;
    case EXEMPLAR_SAME:
    case EXEMPLARS_OFF:
        break;
    }
    return false;
}

void commit_judge_exemplars(struct commit *c)
{
    struct batch *b = c->batch;
    struct wal_exemplars_writer w = { 0 };
    size_t kept = 0;

    for (size_t i = 0; i < b->exemplar_count; i++) {
        const struct batch_exemplar e = b->exemplars[i];
        struct wal_exemplar logged = { e.ref, e.exemplar.t, e.exemplar.v,
                                       e.exemplar.labels };

        if (!passes(c, &e))
            continue;
        if (kept == 0)
            wal_exemplars_begin(&w, batch_record(b));
        wal_exemplars_add(&w, &logged);
        b->exemplars[kept++] = e;
    }
    b->exemplar_count = kept;
}

void commit_add_exemplars(struct commit *c)
{
    const struct batch *b = c->batch;

    for (size_t i = 0; i < b->exemplar_count; i++)
        if (exemplars_add(&c->head->exemplars, b->exemplars[i].ref,
                          &b->exemplars[i].exemplar) == EXEMPLAR_TAKEN)
            c->stats.exemplars++;
}
