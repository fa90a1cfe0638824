/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragments to records and back.
 *
 *     segment = pages of 32 KiB
 *     page    = fragments, then zeros
 *     fragment = type u8 | length u16 | CRC-32C u32 | data
 *
 * A fragment never crosses a page, so one page at a time is all that a
 * reader must hold. A record is one FULL fragment, or FIRST MIDDLE... LAST
 * over several pages; compression is of the whole record.
 *
 * Prometheus gives up at the first damaged byte and throws away what lies
 * behind it, later segments too. Here only what is damaged is lost: behind a
 * bad fragment the search looks for the next header whose checksum holds,
 * byte by byte in the same page (the length of the bad one can not be
 * trusted), and in any case at the start of the next page, where a header
 * always stands. Fragments that are intact but belong to the lost record
 * (MIDDLE, LAST) are stepped over. The search may spend a bounded amount of
 * work per page, so that a crafted file does not make it quadratic.
 *
 * Two kinds of end. A segment that nobody writes to any more is `final`: a
 * page that is too short ends in zeros that were never written, and a record
 * without an end is damage. In one that still grows, what is not whole yet
 * is simply not there yet.
 *
 * Rejected: mapping the file. A segment may be cut off below a reader (a
 * failed write is taken back), and a bad sector would be a SIGBUS instead of
 * damage.
 */
#include "wal/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/mem.h"
#include "wal/unpack.h"

/* Bytes that the search behind damage may checksum or compare per page. */
#define SCAN_BYTES_PER_PAGE ((size_t)16 << 20)

static void put_fragment(struct buf *out, unsigned type, sonde_str part)
{
    char *at = buf_reserve(out, WAL_HEADER_BYTES + part.len);

    if (!at)
        return;
    at[0] = (char)type;
    be16_put(at + 1, (uint16_t)part.len);
    be32_put(at + 3, crc32c(0, part.ptr, part.len));
    if (part.len)
        memcpy(at + WAL_HEADER_BYTES, part.ptr, part.len);
    buf_added(out, WAL_HEADER_BYTES + part.len);
}

static void put_zeros(struct buf *out, size_t n)
{
    static const char zeros[WAL_HEADER_BYTES];

    buf_bytes(out, zeros, n);
}

static unsigned fragment_type(bool begins, bool ends)
{
    if (begins)
        return ends ? FRAME_FULL : FRAME_FIRST;
    return ends ? FRAME_LAST : FRAME_MIDDLE;
}

void frame_put(struct buf *out, uint64_t offset, sonde_str record,
               unsigned flags)
{
    bool begins = true;

    do {
        uint64_t at = offset + out->len;
        size_t left = (size_t)(frame_page_end(at) - at);
        sonde_str part = record;

        if (left < WAL_HEADER_BYTES) {
            put_zeros(out, left);
            left = WAL_PAGE_BYTES;
        }
        if (part.len > left - WAL_HEADER_BYTES)
            part.len = left - WAL_HEADER_BYTES;
        put_fragment(out, fragment_type(begins, part.len == record.len) | flags,
                     part);
        /* A FIRST without data is written too: seven bytes were left. */
        if (begins && part.len == record.len)
            return;
        begins = false;
        record.ptr += part.len;
        record.len -= part.len;
    } while (record.len);
}

/* ---- the window ------------------------------------------------------- */

static void reset(struct frames *f, int fd)
{
    f->fd = fd;
    f->memory = NULL;
    f->size = 0;
    f->final = false;
    f->pos = 0;
    f->window_at = 0;
    f->window_len = 0;
}

void frames_init(struct frames *f, int fd, size_t window_pages)
{
    *f = (struct frames){ .window_cap = window_pages * WAL_PAGE_BYTES };
    reset(f, fd);
}

void frames_init_memory(struct frames *f, sonde_str bytes)
{
    frames_init(f, -1, 1);
    f->memory = (const uint8_t *)bytes.ptr;
    f->size = bytes.len;
    f->final = true;
}

void frames_reopen(struct frames *f, int fd)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    reset(f, fd);
}

void frames_fini(struct frames *f)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    free(f->window);
    buf_fini(&f->joined);
    buf_fini(&f->plain);
    zstd_free(f->zstd);
    *f = (struct frames){ .fd = -1 };
}

void frames_set_size(struct frames *f, uint64_t size)
{
    f->size = size;
    if (f->window_at + f->window_len > size)
        f->window_len = size > f->window_at ? (size_t)(size - f->window_at) : 0;
}

/* The rest of a page, from an offset. */
struct rest {
    const uint8_t *p;
    size_t len;
    bool unreadable;
};

/* As much as there is of [at, end), at most the window. */
static bool read_window(struct frames *f, uint64_t at)
{
    size_t want = f->window_cap;

    if (!f->window)
        f->window = mem_alloc(f->window_cap);
    if (want > f->size - at)
        want = (size_t)(f->size - at);
    f->window_at = at;
    f->window_len = 0;
    if (f->memory) {
        memcpy(f->window, f->memory + at, want);
        f->window_len = want;
    }
    while (f->window_len < want) {
        ssize_t n = pread(f->fd, f->window + f->window_len,
                          want - f->window_len, (off_t)(at + f->window_len));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            break;
        f->window_len += (size_t)n;
    }
    return true;
}

static struct rest rest_of_page(struct frames *f, uint64_t offset)
{
    uint64_t page = offset - offset % WAL_PAGE_BYTES;
    uint64_t end = page + WAL_PAGE_BYTES;
    uint64_t have = end < f->size ? end : f->size;
    size_t got;

    if (offset >= f->size && !(f->final && page < f->size))
        return (struct rest){ 0 };
    if (f->memory && end <= f->size)
        return (struct rest){ f->memory + offset, (size_t)(end - offset),
                              false };
    if (page < f->window_at || have > f->window_at + f->window_len) {
        if (!read_window(f, page))
            return (struct rest){ .unreadable = true };
    }
    got = f->window_len - (size_t)(page - f->window_at);
    if (got > WAL_PAGE_BYTES)
        got = WAL_PAGE_BYTES;
    if (got < WAL_PAGE_BYTES && f->final) {
        memset(f->window + (page - f->window_at) + got, 0,
               WAL_PAGE_BYTES - got);
        got = WAL_PAGE_BYTES;
    }
    if (offset - page >= got)
        return (struct rest){ 0 };
    return (struct rest){ f->window + (offset - f->window_at),
                          got - (size_t)(offset - page), false };
}

/* ---- fragments -------------------------------------------------------- */

enum fragment_state {
    FRAGMENT_OK,
    FRAGMENT_PAD,
    FRAGMENT_SHORT,
    FRAGMENT_BAD,
};

struct fragment {
    unsigned type, flags;
    sonde_str data;
    uint64_t at, end; /* a bad one's end is where to look next            */
    const char *why;
};

static enum fragment_state bad(struct fragment *g, const char *why)
{
    g->why = why;
    return FRAGMENT_BAD;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static enum fragment_state read_padding(struct frames *f, struct fragment *g,
                                        const struct rest *rest)
{
    uint64_t end = frame_page_end(g->at);

    f->scan_left -= f->scan_left < rest->len ? f->scan_left : rest->len;
    if (!all_zero(rest->p, rest->len))
        return bad(g, "bytes behind the end of a page's records");
    if (rest->len < end - g->at)
        return FRAGMENT_SHORT;
    g->end = end;
    return FRAGMENT_PAD;
}

/* What a writer never does, seen without the checksum: only a record that
 * fills its page goes on in the next one. */
static const char *impossible(unsigned type, uint64_t offset, size_t len)
{
    size_t room = (size_t)(frame_page_end(offset) - offset) - WAL_HEADER_BYTES;

    if (len > room)
        return "fragment is longer than its page";
    if ((type == FRAME_MIDDLE || type == FRAME_LAST) &&
        offset % WAL_PAGE_BYTES != 0)
        return "a record goes on in the middle of a page";
    if ((type == FRAME_FIRST || type == FRAME_MIDDLE) && len < room)
        return "a record goes on before the end of its page";
    return NULL;
}

/* The fragment whose header stands at `offset`, or at the next page if no
 * header fits before that. */
static enum fragment_state read_fragment(struct frames *f, uint64_t offset,
                                         struct fragment *g)
{
    struct rest rest;
    size_t len;

    if (frame_page_end(offset) - offset < WAL_HEADER_BYTES)
        offset = frame_page_end(offset);
    *g = (struct fragment){ .at = offset, .end = offset + 1 };
    rest = rest_of_page(f, offset);
    if (rest.unreadable) {
        g->end = frame_page_end(offset);
        return bad(g, "the file can not be read");
    }
    if (rest.len == 0)
        return FRAGMENT_SHORT;
    g->type = rest.p[0] & FRAME_TYPE_MASK;
    g->flags = rest.p[0] & (FRAME_SNAPPY | FRAME_ZSTD);
    if (rest.p[0] == FRAME_PAD)
        return read_padding(f, g, &rest);
    if (g->type == FRAME_PAD || g->type > FRAME_LAST ||
        rest.p[0] != (g->type | g->flags))
        return bad(g, "unknown fragment type");
    if (rest.len < WAL_HEADER_BYTES)
        return FRAGMENT_SHORT;
    len = be16_get(rest.p + 1);
    g->why = impossible(g->type, offset, len);
    if (g->why)
        return FRAGMENT_BAD;
    if (len > rest.len - WAL_HEADER_BYTES)
        return FRAGMENT_SHORT;
    f->scan_left -= f->scan_left < len ? f->scan_left : len;
    g->data = (sonde_str){ (const char *)rest.p + WAL_HEADER_BYTES, len };
    if (crc32c(0, g->data.ptr, len) != be32_get(rest.p + 3))
        return bad(g, "checksum mismatch");
    g->end = offset + WAL_HEADER_BYTES + len;
    return FRAGMENT_OK;
}

/* ---- records ---------------------------------------------------------- */

/*
 * Finds the next fragment that begins a record, from `offset` on; the offset
 * it returns may be the end of the data. `*more` says that a growing segment
 * ended first.
 */
static uint64_t search(struct frames *f, uint64_t offset, bool *more)
{
    *more = false;
    f->scan_left = SCAN_BYTES_PER_PAGE;
    for (;;) {
        struct fragment g;
        enum fragment_state state = read_fragment(f, offset, &g);
        bool begins = g.type == FRAME_FULL || g.type == FRAME_FIRST;
        uint64_t next = g.end;

        if (state == FRAGMENT_SHORT) {
            *more = !f->final;
            return f->size;
        }
        /* Seven bytes without data are too easily met by chance. */
        if (state == FRAGMENT_OK && begins && g.data.len)
            return g.at;
        if (f->scan_left == 0)
            next = frame_page_end(g.at);
        if (next / WAL_PAGE_BYTES != offset / WAL_PAGE_BYTES)
            f->scan_left = SCAN_BYTES_PER_PAGE;
        offset = next;
    }
}

static enum frames_got damaged(struct frames *f, struct frames_damage *d,
                               uint64_t from, uint64_t to, const char *why)
{
    *d = (struct frames_damage){ from, to, why };
    f->pos = to;
    return FRAMES_DAMAGE;
}

/* A fragment is bad, or in the wrong place: from `from` on something is
 * lost, and `look` is where a record may begin again. */
static enum frames_got skip(struct frames *f, struct frames_damage *d,
                            uint64_t from, uint64_t look, const char *why)
{
    bool more;
    uint64_t to = search(f, look, &more);

    if (more)
        return FRAMES_END;
    return damaged(f, d, from, to, why);
}

static enum frames_got finish(struct frames *f, const struct fragment *g,
                              uint64_t from, sonde_str *record,
                              struct frames_damage *d)
{
    const char *why = NULL;

    if (g->flags & FRAME_SNAPPY)
        why = unpack_snappy(*record, &f->plain);
    else if (g->flags & FRAME_ZSTD)
        why = unpack_zstd(&f->zstd, *record, &f->plain);
    if (why)
        return damaged(f, d, from, g->end, why);
    if (g->flags)
        *record = buf_str(&f->plain);
    f->pos = g->end;
    return FRAMES_RECORD;
}

/* The order of fragments: NULL if `g` may come here. */
static const char *misplaced(const struct fragment *g, bool inside)
{
    bool begins = g->type == FRAME_FULL || g->type == FRAME_FIRST;

    if (begins && inside)
        return "a record without an end";
    if (!begins && !inside)
        return "a record without a beginning";
    return NULL;
}

static void shrink(struct buf *b)
{
    buf_shrink(b, (size_t)4 << 20);
}

enum frames_got frames_next(struct frames *f, sonde_str *record,
                            struct frames_damage *d)
{
    uint64_t from = f->pos, at = from;
    bool inside = false;

    shrink(&f->joined);
    shrink(&f->plain);
    for (;;) {
        struct fragment g;
        const char *why;

        switch (read_fragment(f, at, &g)) {
        case FRAGMENT_PAD:
            at = g.end;
            continue;
        case FRAGMENT_SHORT:
            if (!inside || !f->final)
                return FRAMES_END;
            return damaged(f, d, from, f->size, "the record is torn");
        case FRAGMENT_BAD:
            return skip(f, d, inside ? from : g.at, g.end, g.why);
        case FRAGMENT_OK:
            break;
        }
        why = misplaced(&g, inside);
        if (why)
            return skip(f, d, inside ? from : g.at, inside ? g.at : g.end, why);
        if (g.type == FRAME_FULL) {
            *record = g.data;
            return finish(f, &g, g.at, record, d);
        }
        if (!inside)
            from = g.at;
        inside = true;
        buf_put(&f->joined, g.data);
        at = g.end;
        if (f->joined.len > WAL_RECORD_MAX_BYTES)
            return skip(f, d, from, at, "the record is too large");
        if (g.type == FRAME_LAST) {
            *record = buf_str(&f->joined);
            return finish(f, &g, from, record, d);
        }
    }
}
