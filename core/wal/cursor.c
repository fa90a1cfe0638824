/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cursor walks behind the writer, in the files. Three things must never
 * happen: that it takes a record which is being written for damage, that it
 * leaves a segment before its last record, and that it stays in one for ever.
 *
 * - Inside the segment that grows (`final` is false), whatever is not whole
 *   is not there yet: SONDE_EAGAIN, and the next call looks again from the
 *   same place. With a limit (wal_cursor_limit) not even half a write is
 *   seen.
 * - A segment is finished once a later one exists, for the writer never goes
 *   back. Only after that has been seen is the size looked up and the rest
 *   read, now with `final`, and only then does the cursor go on; so nothing
 *   that was written between the two looks is passed over.
 * - The next one is the next that exists: numbers that are missing (cleaned
 *   up by quota, or by hand) are reported once and stepped over.
 *
 * The position is always just behind the record that was read last, so that
 * it can be saved and opened again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/mem.h"
#include "wal/frame.h"
#include "wal/segments.h"
#include "wal/wal.h"

#define WINDOW_PAGES 4

struct wal_cursor {
    char *dir;
    struct frames frames; /* fd is -1 until the segment exists            */
    uint64_t segment;
    uint64_t offset; /* where to begin in it, until it is open          */
    bool limited;
    struct wal_position limit;
    bool anywhere; /* begins at the oldest segment, whichever that is    */
};

sonde_code wal_cursor_open(const char *dir, struct wal_position from,
                           struct wal_cursor **out, struct sonde_err *err)
{
    struct wal_cursor *c;

    if (!fs_exists(dir))
        return fs_err(err, ENOENT, "open log", dir);
    c = mem_new(struct wal_cursor);
    c->dir = mem_strdup(sonde_cstr(dir));
    c->segment = from.segment;
    c->offset = from.offset;
    c->anywhere = from.segment == 0 && from.offset == 0;
    frames_init(&c->frames, -1, WINDOW_PAGES);
    *out = c;
    return SONDE_OK;
}

void wal_cursor_close(struct wal_cursor *c)
{
    if (!c)
        return;
    frames_fini(&c->frames);
    free(c->dir);
    free(c);
}

void wal_cursor_limit(struct wal_cursor *c, struct wal_position end)
{
    c->limited = true;
    c->limit = end;
}

struct wal_position wal_cursor_position(const struct wal_cursor *c)
{
    return (struct wal_position){ c->segment, c->frames.fd >= 0 ? c->frames.pos
                                                                : c->offset };
}

/* The first segment with a number >= `from`; false if there is none. */
static sonde_code next_segment(const struct wal_cursor *c, uint64_t from,
                               bool *found, uint64_t *number,
                               struct sonde_err *err)
{
    struct segments all;
    sonde_code rc;
    size_t i;

    *found = false;
    if (c->limited && from > c->limit.segment)
        return SONDE_OK;
    rc = segments_list(c->dir, &all, err);
    if (rc != SONDE_OK)
        return rc;
    i = segments_at(&all, from);
    *found =
        i < all.count && (!c->limited || all.numbers[i] <= c->limit.segment);
    if (*found)
        *number = all.numbers[i];
    segments_fini(&all);
    return SONDE_OK;
}

static sonde_code open_segment(struct wal_cursor *c, struct sonde_err *err)
{
    char *path = segment_path(c->dir, c->segment);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    sonde_code rc = SONDE_OK;

    if (fd < 0) {
        rc = fs_err(err, errno, "open log segment", path);
    } else {
        frames_reopen(&c->frames, fd);
        c->frames.pos = c->offset;
    }
    free(path);
    return rc;
}

/* Makes the segment to be read the open one; SONDE_ECORRUPT (once) if the
 * one that was asked for is gone, SONDE_EAGAIN if it is not there yet. */
static sonde_code find_segment(struct wal_cursor *c, struct sonde_err *err)
{
    uint64_t wanted = c->segment;
    uint64_t number = 0;
    bool found, anywhere = c->anywhere;
    sonde_code rc = next_segment(c, wanted, &found, &number, err);

    if (rc != SONDE_OK)
        return rc;
    if (!found)
        return sonde_err_set(err, SONDE_EAGAIN,
                             "log segment %" PRIu64 " of %s is not there yet",
                             wanted, c->dir);
    c->anywhere = false;
    if (number != wanted) {
        c->segment = number;
        c->offset = 0;
    }
    rc = open_segment(c, err);
    if (rc != SONDE_OK || number == wanted || anywhere)
        return rc;
    return sonde_err_set(err, SONDE_ECORRUPT,
                         "log %s: segments %" PRIu64 " to %" PRIu64 " are gone",
                         c->dir, wanted, number - 1);
}

/* How much of the open segment may be read now. */
static sonde_code look_size(struct wal_cursor *c, struct sonde_err *err)
{
    struct stat st;
    uint64_t size;

    if (fstat(c->frames.fd, &st) != 0)
        return fs_err(err, errno, "stat log segment in", c->dir);
    size = (uint64_t)st.st_size;
    if (c->limited && c->limit.segment == c->segment && size > c->limit.offset)
        size = c->limit.offset;
    frames_set_size(&c->frames, size);
    return SONDE_OK;
}

/* At the end of what was known: is there more here, or somewhere else? */
static sonde_code look_further(struct wal_cursor *c, struct sonde_err *err)
{
    uint64_t before = c->frames.size;
    bool later = false;
    uint64_t number;
    sonde_code rc;

    if (c->frames.final) { /* and read to its end */
        c->segment++;
        c->offset = 0;
        frames_reopen(&c->frames, -1);
        return SONDE_OK;
    }
    rc = next_segment(c, c->segment + 1, &later, &number, err);
    if (rc == SONDE_OK)
        rc = look_size(c, err);
    if (rc != SONDE_OK)
        return rc;
    c->frames.final = later;
    if (!later && c->frames.size == before)
        return SONDE_EAGAIN;
    return SONDE_OK;
}

static sonde_code damaged(const struct wal_cursor *c,
                          const struct frames_damage *d, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ECORRUPT,
                         "log segment %s/%08" PRIu64 ": %s at offset %" PRIu64
                         ", %" PRIu64 " bytes are lost",
                         c->dir, c->segment, d->why, d->from,
                         d->to > d->from ? d->to - d->from : 0);
}

sonde_code wal_cursor_next(struct wal_cursor *c, sonde_str *record,
                           struct sonde_err *err)
{
    for (;;) {
        struct frames_damage damage;
        sonde_code rc;

        if (c->frames.fd < 0) {
            rc = find_segment(c, err);
            if (rc != SONDE_OK)
                return rc;
        }
        switch (frames_next(&c->frames, record, &damage)) {
        case FRAMES_RECORD:
            return SONDE_OK;
        case FRAMES_DAMAGE:
            return damaged(c, &damage, err);
        case FRAMES_END:
            break;
        }
        rc = look_further(c, err);
        if (rc != SONDE_OK)
            return rc;
    }
}
