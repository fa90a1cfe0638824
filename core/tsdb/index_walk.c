/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All names and all values of one, for pickers in a user interface and for
 * expressions. There may be a million, so they are gone through in pieces;
 * when a list went away in between, places have changed, and the walk begins
 * again, a few times at most: then it keeps the lock.
 */
#include "tsdb/index_hold.h"

#define WALK_PIECE 4096u
#define WALK_TRIES 3

/* Some of them, from the i-th on; false: there are no more. */
typedef bool walk_piece(const struct postings *p, symbol name, uint32_t i,
                        struct refs *out);

static uint32_t piece_end(uint32_t i, uint32_t count)
{
    return count - i > WALK_PIECE ? i + WALK_PIECE : count;
}

static bool names_piece(const struct postings *p, symbol name, uint32_t i,
                        struct refs *out)
{
    uint32_t end;

    (void)name;
    if (i >= p->name_count)
        return false;
    for (end = piece_end(i, p->name_count); i < end; i++)
        refs_append(out, &p->names[i].name, 1);
    return true;
}

static bool values_piece(const struct postings *p, symbol name, uint32_t i,
                         struct refs *out)
{
    const struct postings_name *n = postings_name(p, name);
    uint32_t end;

    if (!n || i >= n->count)
        return false;
    for (end = piece_end(i, n->count); i < end; i++)
        refs_append(out, &p->lists[n->lists[i]].value, 1);
    return true;
}

/* False if it was disturbed; with `keep_lock` that does not happen. */
static bool walk_all(struct head *h, walk_piece *piece, symbol name,
                     bool keep_lock, struct refs *out)
{
    struct index_hold hold;
    uint32_t moves, i = 0;
    bool calm = true;

    out->count = 0;
    index_hold_begin(&hold, h);
    moves = h->postings.moves;
    while (calm && piece(&h->postings, name, i, out)) {
        i += WALK_PIECE;
        if (!keep_lock)
            index_hold_spend(&hold, (size_t)WALK_PIECE * 8);
        calm = h->postings.moves == moves;
    }
    index_hold_end(&hold);
    return calm;
}

static void walk(struct head *h, walk_piece *piece, symbol name,
                 struct refs *out)
{
    for (int i = 0; i < WALK_TRIES; i++)
        if (walk_all(h, piece, name, false, out))
            return;
    (void)walk_all(h, piece, name, true, out);
}

void head_names(struct head *h, struct refs *out)
{
    walk(h, names_piece, 0, out);
}

void head_values(struct head *h, symbol name, struct refs *out)
{
    walk(h, values_piece, name, out);
}
