/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that grows, is renamed and cut, read at each collection.
 *
 * ROTATION BY RENAMING. nginx goes on writing into the renamed file until it
 * is told to open its logs again, and each of its processes does that when it
 * gets to it. So the old file stays open beside the new one and both are
 * read, until the old one has been quiet for a while and the new one is in
 * use. Nothing depends on when the signal comes.
 *
 * TRUNCATION (copytruncate). A file that is shorter than what was read, or
 * whose first bytes are others, begins anew. What it held between our last
 * look and the cut is in the copy that was made: the folder is searched for a
 * file with the same first bytes, and the rest is read from there.
 *
 * BETWEEN TWO LOOKS (the agent was down, most often) there may have been
 * several rotations. The files in the middle are told by their names and by
 * when they were made and written: not before the last one that was seen under
 * the path (log_folder.c).
 *
 * RESTART. What is saved is not a name but a file: device, inode, offset and
 * a mark of the first bytes (inodes are used again). It is looked for under
 * its path and then in its folder, where a rotation has put it meanwhile.
 * Compressed copies are not read; that lines are missing then is logged.
 *
 * An offset is always the beginning of a line: the last line of a file is
 * used when its end has been written. Lines longer than the buffer are
 * counted as errors and skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define QUIET_MS     30000
#define LINES_A_LOOK 16 /* buffers between two looks at the clock */

/* ---- tails --------------------------------------------------------------- */

static struct log_tail tail_of(int fd, const struct stat *st, uint64_t offset)
{
    return (struct log_tail){ .fd = fd,
                              .device = (uint64_t)st->st_dev,
                              .inode = (uint64_t)st->st_ino,
                              .offset = offset };
}

static bool is_open(const struct log_file *f, uint64_t device, uint64_t inode)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->tails[i].device == device && f->tails[i].inode == inode)
            return true;
    return false;
}

static void drop_tail(struct log_file *f, size_t i)
{
    (void)close(f->tails[i].fd);
    f->count--;
    memmove(&f->tails[i], &f->tails[i + 1],
            (f->count - i) * sizeof(f->tails[0]));
}

/* Puts a tail at place `i`; the oldest one has to go if there is no room. */
static void insert_tail(struct log_file *f, size_t i, struct log_tail t)
{
    if (f->count == LOG_TAILS_MAX)
        drop_tail(f, f->count - 1);
    if (i > f->count)
        i = f->count;
    memmove(&f->tails[i + 1], &f->tails[i],
            (f->count - i) * sizeof(f->tails[0]));
    f->tails[i] = t;
    f->count++;
}

void log_file_close(struct log_file *f)
{
    while (f->count)
        drop_tail(f, f->count - 1);
}

/* ---- files beside the path ----------------------------------------------- */

/* What was read up to an offset, under whatever name it is now; false: it is
 * nowhere. */
static bool open_rotated(struct log_file *f, const struct log_tail *tail,
                         bool copies)
{
    struct stat st;
    int fd = copies ? -1 : log_find_tail(f->path, tail, true, &st);
    struct log_tail t;

    if (fd < 0)
        fd = log_find_tail(f->path, tail, false, &st);
    if (fd < 0)
        return false;
    if (is_open(f, (uint64_t)st.st_dev, (uint64_t)st.st_ino)) {
        (void)close(fd);
        return true;
    }
    t = tail_of(fd, &st, tail->offset);
    t.mark = tail->mark;
    t.mark_len = tail->mark_len;
    t.skipping = tail->skipping;
    insert_tail(f, 1, t);
    return true;
}

static void tell_lost(const struct log_file *f, const struct log_reader *r)
{
    r->host->log(r->target, SONDE_LOG_WARN,
                 "%s: what was written between the last look and its rotation "
                 "is not to be found beside it and is not counted",
                 f->path.ptr);
}

/* What is told apart from it later is newer: so it never goes back. */
static void note_age(struct log_file *f)
{
    struct log_age age = { 0 };

    if (f->count)
        age = log_age_of(f->tails[0].fd);
    if (age.written > f->last.written)
        f->last = age;
}

/* Files that stood under the path since the last look and do no more are read
 * too, from their beginnings: tails behind the current one, the newest first.
 * Their number. */
static size_t open_between(struct log_file *f, const struct log_reader *r)
{
    struct log_between found[LOG_BETWEEN_MAX];
    size_t n = f->last.written ? log_find_between(f->path, &f->last, found) : 0;
    size_t opened = 0;

    for (size_t i = 0; i < n; i++) {
        struct stat st;

        if (found[i].fd < 0) {
            r->host->log(r->target, SONDE_LOG_WARN,
                         "%s: %s was made and left between two looks and is "
                         "not counted: %s",
                         f->path.ptr, found[i].name,
                         found[i].error ? strerror(found[i].error)
                                        : "it is compressed");
        } else if (fstat(found[i].fd, &st) != 0 ||
                   is_open(f, (uint64_t)st.st_dev, (uint64_t)st.st_ino)) {
            (void)close(found[i].fd);
        } else {
            insert_tail(f, 1, tail_of(found[i].fd, &st, 0));
            opened++;
        }
    }
    return opened;
}

/* ---- what is under the path ---------------------------------------------- */

static void tell_unreadable(struct log_file *f, const struct log_reader *r,
                            int error)
{
    f->readable = false;
    if (f->told)
        return;
    f->told = true;
    r->host->log(r->target, SONDE_LOG_WARN, "read access log %s: %s",
                 f->path.ptr,
                 error == EINVAL ? "it is not a plain file" : strerror(error));
}

static void look(struct log_file *f, struct log_reader *r)
{
    bool first = !f->seen;
    struct stat st;
    int fd;

    f->seen = true;
    if (stat(f->path.ptr, &st) == 0 && f->count && f->readable &&
        f->tails[0].device == (uint64_t)st.st_dev &&
        f->tails[0].inode == (uint64_t)st.st_ino)
        return;
    fd = log_open(AT_FDCWD, f->path.ptr, &st);
    if (fd < 0) {
        /* Renamed, and nginx has not opened a new one yet: no fault. */
        if (errno != ENOENT || f->count == 0)
            tell_unreadable(f, r, errno);
        return;
    }
    f->readable = true;
    f->told = false;
    if (f->count && f->tails[0].device == (uint64_t)st.st_dev &&
        f->tails[0].inode == (uint64_t)st.st_ino) {
        (void)close(fd);
        return;
    }
    f->rotations += f->count ? 1 : 0;
    note_age(f);
    insert_tail(
        f, 0,
        tail_of(fd, &st,
                first && !r->from_beginning ? (uint64_t)st.st_size : 0));
    f->rotations += open_between(f, r);
}

/* The first look at a file that has lines already begins behind them, in the
 * middle of a line perhaps: then at that line's beginning. */
static void to_line(struct log_tail *t, struct log_reader *r)
{
    size_t n = t->offset < r->buffer_size ? (size_t)t->offset : r->buffer_size;
    ssize_t got = pread(t->fd, r->buffer, n, (off_t)(t->offset - n));
    const char *at = got > 0 ? memrchr(r->buffer, '\n', (size_t)got) : NULL;

    if (got == (ssize_t)n)
        t->offset -= n - (at ? (size_t)(at - r->buffer) + 1 : 0);
}

void log_file_resume(struct log_file *f, struct log_reader *r,
                     const struct log_tail *saved)
{
    struct stat st;
    int fd = log_open(AT_FDCWD, f->path.ptr, &st);
    bool same = fd >= 0 && (uint64_t)st.st_dev == saved->device &&
                (uint64_t)st.st_ino == saved->inode;

    f->seen = true;
    if (same && (uint64_t)st.st_size >= saved->offset &&
        log_mark_fits(fd, saved) && !is_open(f, saved->device, saved->inode)) {
        struct log_tail t = *saved;

        t.fd = fd;
        f->readable = true;
        insert_tail(f, 0, t);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    if (!open_rotated(f, saved, same) && saved->offset > 0)
        tell_lost(f, r);
}

/* ---- reading ------------------------------------------------------------- */

static void check_cut(struct log_file *f, struct log_tail *t,
                      struct log_reader *r)
{
    struct log_tail was = *t;
    struct stat st;

    if (fstat(t->fd, &st) != 0 ||
        ((uint64_t)st.st_size >= t->offset && log_mark_fits(t->fd, t)))
        return;
    f->truncations++;
    t->offset = t->mark_len = 0;
    t->skipping = false;
    if (was.mark_len && !open_rotated(f, &was, true))
        tell_lost(f, r);
    if (t == &f->tails[0])
        f->truncations += open_between(f, r);
}

/* Uses the whole lines of `n` bytes; says how many bytes were used. */
static size_t use_lines(struct log_file *f, struct log_tail *t,
                        struct log_reader *r, size_t n)
{
    const char *p = r->buffer, *end = p + n, *at;

    while ((at = memchr(p, '\n', (size_t)(end - p)))) {
        size_t len = (size_t)(at - p);

        if (!t->skipping) {
            f->lines++;
            r->line(r->arg, (sonde_str){ p, len });
        }
        t->skipping = false;
        p = at + 1;
    }
    if (p == r->buffer && n == r->buffer_size) {
        if (!t->skipping)
            r->too_long(r->arg);
        t->skipping = true;
        return n;
    }
    return (size_t)(p - r->buffer);
}

static bool time_is_up(const struct log_reader *r, int *n)
{
    return ++*n % LINES_A_LOOK == 0 && r->host->monotonic() >= r->until;
}

static void read_tail(struct log_file *f, struct log_tail *t,
                      struct log_reader *r)
{
    sonde_msec now = r->host->monotonic();
    int n = 0;

    t->at_end = false;
    while (r->budget > 0 && !time_is_up(r, &n)) {
        ssize_t got = pread(t->fd, r->buffer, r->buffer_size, (off_t)t->offset);
        size_t used = got > 0 ? use_lines(f, t, r, (size_t)got) : 0;

        t->at_end = got >= 0 && (size_t)got < r->buffer_size;
        if (used == 0)
            break;
        t->offset += used;
        t->quiet_since = now;
        r->budget -= used < r->budget ? used : r->budget;
        if (t->at_end)
            break;
    }
    if (t->quiet_since == 0)
        t->quiet_since = now;
    log_mark_renew(t);
}

static uint64_t lag_of(const struct log_tail *t)
{
    struct stat st;

    return fstat(t->fd, &st) == 0 && (uint64_t)st.st_size > t->offset
               ? (uint64_t)st.st_size - t->offset
               : 0;
}

/* An old file is let go when nothing came for a while, and the new one is in
 * use: until then nginx may not have been told yet. */
static void retire(struct log_file *f, struct log_reader *r)
{
    sonde_msec now = r->host->monotonic();

    for (size_t i = f->count; i-- > 1;) {
        struct log_tail *t = &f->tails[i];

        if (!t->at_end || f->tails[0].offset == 0 ||
            now - t->quiet_since < QUIET_MS)
            continue;
        if (lag_of(t) > 0)
            r->too_long(r->arg); /* a last line without its end */
        drop_tail(f, i);
    }
}

void log_file_poll(struct log_file *f, struct log_reader *r)
{
    bool first = !f->seen;

    look(f, r);
    if (first && f->count && f->tails[0].offset > 0)
        to_line(&f->tails[0], r);
    for (size_t i = f->count; i-- > 0;)
        check_cut(f, &f->tails[i], r);
    for (size_t i = f->count; i-- > 0;)
        read_tail(f, &f->tails[i], r);
    retire(f, r);
    note_age(f);
    f->lag = 0;
    for (size_t i = 0; i < f->count; i++)
        f->lag += lag_of(&f->tails[i]);
}
