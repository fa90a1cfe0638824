/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as they lie in a segment: fragments in pages. frame.c reads them
 * for the replay and for the cursor; frame_put writes them.
 */
#ifndef WAL_FRAME_H
#define WAL_FRAME_H

#include <sonde/base.h>

#include "util/buf.h"

enum {
    WAL_PAGE_BYTES = 32768,
    WAL_HEADER_BYTES = 7,
};

enum frame_type {
    FRAME_PAD,
    FRAME_FULL,
    FRAME_FIRST,
    FRAME_MIDDLE,
    FRAME_LAST,
    FRAME_TYPE_MASK = 7,
    FRAME_SNAPPY = 1 << 3,
    FRAME_ZSTD = 1 << 4,
};

static inline uint64_t frame_page_end(uint64_t offset)
{
    return (offset / WAL_PAGE_BYTES + 1) * WAL_PAGE_BYTES;
}

/* Appends a record to `out` in fragments, as from `offset` of the segment
 * where `out` begins. `flags` are of the compression. */
void frame_put(struct buf *out, uint64_t offset, sonde_str record,
               unsigned flags);

struct zstd;

/* A segment being read. One thread at a time. */
struct frames {
    int fd; /* -1: `memory` is the segment                  */
    const uint8_t *memory;
    uint64_t size;   /* bytes that may be looked at                  */
    bool final;      /* nothing will be added: a short last page ends
                        in zeros that nobody wrote                   */
    uint64_t pos;    /* just behind the last record                  */
    uint8_t *window; /* of the file                                  */
    uint64_t window_at;
    size_t window_len, window_cap;
    struct buf joined; /* a record of several fragments                */
    struct buf plain;  /* a record decompressed                        */
    struct zstd *zstd;
    size_t scan_left; /* work left for the search in this page        */
};

struct frames_damage {
    uint64_t from, to;
    const char *why;
};

enum frames_got {
    FRAMES_RECORD,
    FRAMES_DAMAGE, /* and `pos` is where reading goes on               */
    FRAMES_END,    /* no whole record (yet); `pos` stays               */
};

/* Takes `fd` (or looks at `memory` with fd -1). `window_pages` is how much
 * is read at once. */
void frames_init(struct frames *f, int fd, size_t window_pages);
void frames_init_memory(struct frames *f, sonde_str bytes);
void frames_fini(struct frames *f);
/* The next segment in the same buffers. */
void frames_reopen(struct frames *f, int fd);
/* How much there is to be read; less than before forgets what was cached. */
void frames_set_size(struct frames *f, uint64_t size);

/* The next record, a view until the next call; or damage; or the end. */
enum frames_got frames_next(struct frames *f, sonde_str *record,
                            struct frames_damage *damage);

#endif
