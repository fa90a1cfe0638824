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
 * RESTART. What is saved is not a name but a file: device, inode, offset and
 * a mark of the first bytes (inodes are used again). It is looked for under
 * its path and then in its folder, where a rotation has put it meanwhile.
 * Compressed copies are not read; that lines are missing then is logged.
 *
 * An offset is always the beginning of a line: the last line of a file is
 * used when its end has been written. Lines longer than the buffer are
 * counted as errors and skipped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define MARK_BYTES   256
#define QUIET_MS     30000
#define ENTRIES_MAX  10000 /* of a folder that is searched */
#define LINES_A_LOOK 16    /* buffers between two looks at the clock */

/* ---- marks --------------------------------------------------------------- */

static bool mark_of(int fd, uint32_t len, uint64_t *out)
{
    unsigned char head[MARK_BYTES];
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    if (pread(fd, head, len, 0) != (ssize_t)len)
        return false;
    for (uint32_t i = 0; i < len; i++)
        h = (h ^ head[i]) * UINT64_C(0x100000001b3);
    *out = h;
    return true;
}

static bool mark_fits(int fd, const struct log_tail *t)
{
    uint64_t mark;

    return t->mark_len <= MARK_BYTES &&
           (t->mark_len == 0 ||
            (mark_of(fd, t->mark_len, &mark) && mark == t->mark));
}

/* Only what has been read is marked: it does not change any more. */
static void renew_mark(struct log_tail *t)
{
    uint32_t len = t->offset < MARK_BYTES ? (uint32_t)t->offset : MARK_BYTES;

    if (len > t->mark_len && mark_of(t->fd, len, &t->mark))
        t->mark_len = len;
}

/* ---- opening ------------------------------------------------------------- */

/* A plain file, or -1 with errno; EINVAL: it is something else. */
static int open_file(int folder, const char *name, struct stat *st)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -1;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        return fd;
    (void)close(fd);
    errno = EINVAL;
    return -1;
}

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

/* ---- the folder ---------------------------------------------------------- */

/* What is looked for: a file that was read up to an offset. */
struct wanted {
    const struct log_tail *tail;
    bool by_inode; /* or by its first bytes: a copy */
};

static bool is_wanted(const struct wanted *w, int fd, const struct stat *st)
{
    const struct log_tail *t = w->tail;
    bool same =
        (uint64_t)st->st_dev == t->device && (uint64_t)st->st_ino == t->inode;

    if (w->by_inode ? !same : same || t->mark_len == 0)
        return false;
    return (uint64_t)st->st_size >= t->offset && mark_fits(fd, t);
}

static int search(DIR *d, sonde_str stem, const struct wanted *w,
                  struct stat *st)
{
    const struct dirent *entry;

    for (int n = 0; n < ENTRIES_MAX && (entry = readdir(d)); n++) {
        int fd;

        if (w->by_inode ? entry->d_ino != w->tail->inode
                        : strncmp(entry->d_name, stem.ptr, stem.len) != 0)
            continue;
        fd = open_file(dirfd(d), entry->d_name, st);
        if (fd >= 0 && is_wanted(w, fd, st))
            return fd;
        if (fd >= 0)
            (void)close(fd);
    }
    return -1;
}

/* Searches the files beside the path; copies have names that begin like its
 * own, up to the first dot. */
static int find_rotated(const struct log_file *f, const struct wanted *w,
                        struct stat *st)
{
    const char *slash = memrchr(f->path.ptr, '/', f->path.len);
    size_t folder = slash ? (size_t)(slash - f->path.ptr) : 0;
    sonde_str stem = { f->path.ptr + folder + 1,
                       strcspn(f->path.ptr + folder + 1, ".") };
    char *name = strndup(f->path.ptr, folder ? folder : 1);
    DIR *d = name ? opendir(name) : NULL;
    int fd = -1;

    if (d) {
        fd = search(d, stem, w, st);
        (void)closedir(d);
    }
    free(name);
    return fd;
}

/* What was read up to an offset, under whatever name it is now; false: it is
 * nowhere. */
static bool open_rotated(struct log_file *f, const struct log_tail *tail,
                         bool copies)
{
    struct wanted w = { .tail = tail, .by_inode = true };
    struct stat st;
    int fd = copies ? -1 : find_rotated(f, &w, &st);
    struct log_tail t;

    if (fd < 0) {
        w.by_inode = false;
        fd = find_rotated(f, &w, &st);
    }
    if (fd < 0)
        return false;
    if (is_open(f, (uint64_t)st.st_dev, (uint64_t)st.st_ino)) {
        (void)close(fd);
        return true;
    }
    t = tail_of(fd, &st, tail->offset);
    t.mark = tail->mark;
    t.mark_len = tail->mark_len;
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
    fd = open_file(AT_FDCWD, f->path.ptr, &st);
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
    insert_tail(
        f, 0,
        tail_of(fd, &st,
                first && !r->from_beginning ? (uint64_t)st.st_size : 0));
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
    int fd = open_file(AT_FDCWD, f->path.ptr, &st);
    bool same = fd >= 0 && (uint64_t)st.st_dev == saved->device &&
                (uint64_t)st.st_ino == saved->inode;

    f->seen = true;
    if (same && (uint64_t)st.st_size >= saved->offset && mark_fits(fd, saved) &&
        !is_open(f, saved->device, saved->inode)) {
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
        ((uint64_t)st.st_size >= t->offset && mark_fits(t->fd, t)))
        return;
    f->truncations++;
    t->offset = t->mark_len = 0;
    t->skipping = false;
    if (was.mark_len && !open_rotated(f, &was, true))
        tell_lost(f, r);
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
    renew_mark(t);
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
    f->lag = 0;
    for (size_t i = 0; i < f->count; i++)
        f->lag += lag_of(&f->tails[i]);
}
