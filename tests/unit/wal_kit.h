/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the log share: folders, bytes from text, and what a
 * replay saw. */
#ifndef TESTS_UNIT_WAL_KIT_H
#define TESTS_UNIT_WAL_KIT_H

#include <stdlib.h>
#include <string.h>

#include "unit/tap.h"
#include "util/bytes.h"
#include "wal/replay.h"
#include "wal/wal.h"

#define BASE_T INT64_C(1700006400000)

static inline const char *fresh_dir(struct arena *a)
{
    static int n;

    return arena_printf(a, "%s/wal-%d", tap_tmpdir(), n++).ptr;
}

static inline void unhex(const char *text, struct buf *out)
{
    unsigned v = 0;
    int digits = 0;

    for (; *text; text++) {
        const char *digit = strchr("0123456789abcdef", *text);

        if (*text == ' ' || !digit)
            continue;
        v = v << 4 | (unsigned)(digit - "0123456789abcdef");
        if (++digits % 2 == 0)
            buf_u8(out, (uint8_t)v);
    }
}

static inline struct wal *open_wal(const char *dir,
                                   const struct wal_options *options)
{
    struct sonde_err err;
    struct wal *w = NULL;

    if (wal_open(dir, options, &w, &err) != SONDE_OK)
        tap_note("%s", err.text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(w);
    return w;
}

/* What a replay saw, as text: records by hash and length, and damage. */
struct log {
    size_t records, damages;
    uint64_t lost_bytes;
    struct buf bytes;              /* all records, each with its length      */
    struct wal_position ends[512]; /* of the first ones                    */
    const char *why;
};

static inline sonde_code log_record(void *arg, sonde_str record,
                                    struct wal_position end,
                                    struct sonde_err *err)
{
    struct log *l = arg;

    (void)err;
    buf_uvarint_str(&l->bytes, record);
    if (l->records < 512)
        l->ends[l->records] = end;
    l->records++;
    return SONDE_OK;
}

static inline void log_damage(void *arg, const struct wal_damage *d)
{
    struct log *l = arg;

    l->damages++;
    l->lost_bytes += d->bytes;
    l->why = d->why;
}

static inline void log_reset(struct log *l)
{
    buf_reset(&l->bytes);
    l->records = l->damages = 0;
    l->lost_bytes = 0;
    l->why = NULL;
}

static inline void replay_dir(const char *dir, struct wal_position from,
                              struct log *l)
{
    struct wal_replay replay = { .record = log_record,
                                 .damage = log_damage,
                                 .arg = l };
    struct sonde_err err;

    log_reset(l);
    CU_ASSERT_EQUAL(wal_replay(dir, from, &replay, &err), SONDE_OK);
}

static inline void replay_bytes(sonde_str bytes, struct log *l)
{
    struct wal_replay replay = { .record = log_record,
                                 .damage = log_damage,
                                 .arg = l };

    log_reset(l);
    CU_ASSERT_EQUAL(wal_replay_bytes(bytes, &replay, NULL), SONDE_OK);
}

/* A record whose bytes follow from its number. */
static inline sonde_str numbered(struct buf *b, uint64_t number, size_t len)
{
    uint64_t x = number * 2654435761u + 1;

    buf_reset(b);
    buf_u8(b, 200);
    buf_be64(b, number);
    while (b->len < len) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        buf_u8(b, (uint8_t)(x >> 56));
    }
    return buf_str(b);
}

static inline uint64_t number_of(sonde_str record)
{
    return record.len >= 9 ? be64_get(record.ptr + 1) : UINT64_MAX;
}

#endif
