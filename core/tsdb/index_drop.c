/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Series go from the index. Which lists they are in their labels say; each of
 * these lists is gone through once. Short ones are cut down in place, some of
 * them under one hold of the lock; long ones are copied in pieces, cut down
 * without the lock, and put back with what was added meanwhile. So nobody who
 * makes a series waits for more than some ten microseconds, however many
 * series there are.
 *
 * One thread at a time takes anything out; others only add.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/index_hold.h"
#include "util/mem.h"

#define SHORT_LIST   8192u
#define DROP_BUDGET  16384u /* references looked at under one hold           */
#define SWEEP_PIECE  2048u
#define LIST_COST    64u
#define COPY_RETRIES 3

struct drop {
    struct head *head;
    const struct refs *gone;
    struct refs lists; /* that they are in                                 */
    struct refs names; /* of lists that were left empty                    */
    size_t spent;
};

/* ---- which lists ------------------------------------------------------- */

static void find_lists(struct drop *d, const uint32_t *places)
{
    struct head *h = d->head;
    struct index_hold hold;
    size_t press = DROP_BUDGET;

    index_hold_begin(&hold, h);
    for (size_t i = 0; i < d->gone->count; i++) {
        struct label_set set = label_store_get(&h->labels, places[i]);

        for (size_t k = 0; k < set.count; k++) {
            uint32_t number =
                postings_number(&h->postings, set.names[k], set.values[k]);

            if (number--)
                refs_append(&d->lists, &number, 1);
        }
        index_hold_spend(&hold, set.count * HOLD_LOOKUP);
        if (d->lists.count > press) {
            refs_sort(&d->lists);
            press = d->lists.count * 2 + DROP_BUDGET;
        }
    }
    index_hold_end(&hold);
    refs_sort(&d->lists);
}

/* ---- the lists --------------------------------------------------------- */

static void hold_begin(struct drop *d)
{
    (void)pthread_rwlock_wrlock(&d->head->index_lock);
    d->spent = 0;
}

static void hold_end(struct drop *d)
{
    (void)pthread_rwlock_unlock(&d->head->index_lock);
}

static void hold_spend(struct drop *d, size_t units)
{
    d->spent += units;
    if (d->spent < DROP_BUDGET)
        return;
    hold_end(d);
    index_hold_rest();
    hold_begin(d);
}

static void note_empty(struct drop *d, const struct postings_list *l)
{
    for (size_t i = 0; i < d->names.count; i++)
        if (d->names.items[i] == l->name)
            return;
    refs_append(&d->names, &l->name, 1);
}

/* Copies a list, some at a time; false if something was put in between. */
static bool copy_list(struct drop *d, uint32_t list, struct refs *out)
{
    const struct postings *p = &d->head->postings;
    uint32_t early;
    size_t n;

    out->count = 0;
    (void)pthread_rwlock_rdlock(&d->head->index_lock);
    early = p->early;
    do {
        const struct postings_list *l = &p->lists[list];

        n = l->count - out->count;
        if (n > DROP_BUDGET)
            n = DROP_BUDGET;
        refs_append(out, postings_refs(l) + out->count, n);
        (void)pthread_rwlock_unlock(&d->head->index_lock);
        (void)pthread_rwlock_rdlock(&d->head->index_lock);
    } while (n == DROP_BUDGET && early == p->early);
    (void)pthread_rwlock_unlock(&d->head->index_lock);
    return early == p->early;
}

/* Puts a copy back that was cut down, with what came after it was made.
 * Under the lock. */
static bool put_back(struct drop *d, uint32_t list, size_t copied,
                     uint32_t early, struct refs *r)
{
    struct postings *p = &d->head->postings;
    const struct postings_list *l = &p->lists[list];

    if (early != p->early)
        return false;
    refs_append(r, postings_refs(l) + copied, l->count - copied);
    postings_replace(p, list, r);
    return true;
}

/* The lock is held, and is again afterwards. */
static void drop_long(struct drop *d, uint32_t list)
{
    struct postings *p = &d->head->postings;
    struct refs r = { 0 };
    bool done = false;

    for (int i = 0; i < COPY_RETRIES && !done; i++) {
        uint32_t early = p->early;
        size_t copied;

        hold_end(d);
        done = copy_list(d, list, &r);
        copied = r.count;
        refs_subtract(&r, d->gone->items, d->gone->count);
        hold_begin(d);
        done = done && put_back(d, list, copied, early, &r);
    }
    if (!done)
        postings_drop(p, list, d->gone);
    refs_fini(&r);
}

static void drop_from_lists(struct drop *d)
{
    struct postings *p = &d->head->postings;

    hold_begin(d);
    for (size_t i = 0; i < d->lists.count; i++) {
        uint32_t list = d->lists.items[i];
        size_t count = p->lists[list].count;

        if (count > SHORT_LIST)
            drop_long(d, list);
        else
            postings_drop(p, list, d->gone);
        if (p->lists[list].count == 0)
            note_empty(d, &p->lists[list]);
        hold_spend(d, LIST_COST + (count > SHORT_LIST ? 0 : count));
    }
    hold_end(d);
}

static void sweep_names(struct drop *d)
{
    struct postings *p = &d->head->postings;

    for (size_t i = 0; i < d->names.count; i++) {
        uint32_t at = 0;

        hold_begin(d);
        while (postings_sweep(p, d->names.items[i], &at, SWEEP_PIECE))
            hold_spend(d, DROP_BUDGET);
        hold_end(d);
    }
}

void head_index_drop(struct head *h, const struct refs *gone,
                     const uint32_t *places)
{
    struct drop d = { .head = h, .gone = gone };

    if (gone->count == 0 || h->log_only)
        return;
    find_lists(&d, places);
    drop_from_lists(&d);
    sweep_names(&d);
    refs_fini(&d.lists);
    refs_fini(&d.names);
}
