/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going through series by reference, holding one page's lock at a time: a run
 * of references in a page takes it once.
 */
#ifndef TSDB_WALK_H
#define TSDB_WALK_H

#include "tsdb/head.h"

struct walk {
    struct head *head;
    struct series_page *page; /* locked, or NULL                          */
    uint64_t number;
    const struct series_page *ahead; /* not locked                        */
    uint64_t ahead_number;
};

#define NO_PAGE UINT64_MAX

static inline struct walk walk_of(struct head *h)
{
    return (struct walk){ h, NULL, NO_PAGE, NULL, NO_PAGE };
}

static inline void walk_end(struct walk *w)
{
    if (w->page)
        (void)pthread_mutex_unlock(&w->page->lock);
    w->page = NULL;
    w->number = NO_PAGE;
}

/* The series of an id, with its page locked until the walk leaves it. */
static inline struct series *walk_to_id(struct walk *w, uint32_t id)
{
    uint64_t number = series_page_number(id);

    if (number != w->number) {
        walk_end(w);
        w->page = series_table_page(&w->head->table, id);
        w->number = number;
        if (w->page)
            (void)pthread_mutex_lock(&w->page->lock);
    }
    return w->page ? series_page_get(w->page, id) : NULL;
}

/* The same of a reference: not another series at its place. */
static inline struct series *walk_to(struct walk *w, series_ref ref)
{
    struct series *s = walk_to_id(w, (uint32_t)ref);

    return s && s->era == ref >> 32 ? s : NULL;
}

/* Fetches the series of a sample that comes soon; it may be in a page that
 * others hold, so only its address is used. */
static inline void walk_ahead(struct walk *w, series_ref ref)
{
    uint64_t number = series_page_number(ref);

    if (number != w->ahead_number) {
        w->ahead = series_table_page(&w->head->table, ref);
        w->ahead_number = number;
    }
    if (w->ahead)
        series_page_prefetch(w->ahead, ref);
}

#endif
