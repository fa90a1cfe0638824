/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files beside an access log, where rotations put them: found by what they are
 * (an inode, or the same first bytes), or by when they were written.
 *
 * Files that stood under the path between two looks are all that are named
 * like rotations of it (access.log.1, access.log-20260101, or with their
 * extension kept access-20260101.log) and were made not before and written
 * after the last one that was seen there. Times are compared with those of
 * files on the same file system, so no clock has to be right.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define MARK_BYTES  256
#define ENTRIES_MAX 10000 /* of a folder that is searched */
#define DATE_DIGITS 6     /* at least, in the middle of a name */

/* ---- marks --------------------------------------------------------------- */

static bool mark_of(int fd, uint32_t len, uint64_t *out)
{
    unsigned char bytes[MARK_BYTES];

    if (pread(fd, bytes, len, 0) != (ssize_t)len)
        return false;
    *out = log_checksum(LOG_CHECKSUM_SEED, bytes, len);
    return true;
}

bool log_mark_fits(int fd, const struct log_tail *t)
{
    uint64_t mark;

    return t->mark_len <= MARK_BYTES &&
           (t->mark_len == 0 ||
            (mark_of(fd, t->mark_len, &mark) && mark == t->mark));
}

void log_mark_renew(struct log_tail *t)
{
    uint32_t len = t->offset < MARK_BYTES ? (uint32_t)t->offset : MARK_BYTES;

    if (len > t->mark_len && mark_of(t->fd, len, &t->mark))
        t->mark_len = len;
}

/* ---- opening ------------------------------------------------------------- */

int log_open(int folder, const char *name, struct stat *st)
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

static int64_t ns_of(const struct statx_timestamp *t)
{
    return t->tv_sec * 1000000000 + t->tv_nsec;
}

static struct log_age age_at(int folder, const char *name, int flags)
{
    struct statx st = { 0 };

    if (statx(folder, name, flags, STATX_TYPE | STATX_MTIME | STATX_BTIME,
              &st) != 0 ||
        !S_ISREG(st.stx_mode))
        return (struct log_age){ 0 };
    return (struct log_age){
        .born = st.stx_mask & STATX_BTIME ? ns_of(&st.stx_btime) : 0,
        .written = ns_of(&st.stx_mtime),
    };
}

struct log_age log_age_of(int fd)
{
    return age_at(fd, "", AT_EMPTY_PATH);
}

/* ---- the folder ---------------------------------------------------------- */

/* The folder of a path; `name` becomes what is behind the last '/'. */
static DIR *open_folder(sonde_str path, sonde_str *name)
{
    const char *slash = memrchr(path.ptr, '/', path.len);
    size_t n = slash ? (size_t)(slash - path.ptr) : 0;
    char *folder = strndup(path.ptr, n ? n : 1);
    DIR *d = folder ? opendir(folder) : NULL;

    free(folder);
    *name = (sonde_str){ path.ptr + n + 1, path.len - n - 1 };
    return d;
}

static bool is_tail(const struct log_tail *t, bool by_inode, int fd,
                    const struct stat *st)
{
    bool same =
        (uint64_t)st->st_dev == t->device && (uint64_t)st->st_ino == t->inode;

    if (by_inode ? !same : same || t->mark_len == 0)
        return false;
    return (uint64_t)st->st_size >= t->offset && log_mark_fits(fd, t);
}

int log_find_tail(sonde_str path, const struct log_tail *t, bool by_inode,
                  struct stat *st)
{
    const struct dirent *entry;
    sonde_str base;
    DIR *d = open_folder(path, &base);
    /* Copies have names that begin like its own, up to the first dot. */
    size_t stem = strcspn(base.ptr, ".");
    int fd = -1;

    for (int n = 0; d && n < ENTRIES_MAX && (entry = readdir(d)); n++) {
        if (by_inode ? entry->d_ino != t->inode
                     : strncmp(entry->d_name, base.ptr, stem) != 0)
            continue;
        fd = log_open(dirfd(d), entry->d_name, st);
        if (fd >= 0 && is_tail(t, by_inode, fd, st))
            break;
        if (fd >= 0)
            (void)close(fd);
        fd = -1;
    }
    if (d)
        (void)closedir(d);
    return fd;
}

/* ---- between two looks --------------------------------------------------- */

static bool is_compressed(const char *name)
{
    static const char *const ends[] = { ".gz",  ".bz2", ".xz",
                                        ".zst", ".lz4", ".Z" };
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof(ends) / sizeof(ends[0]); i++)
        if (strcmp(dot, ends[i]) == 0)
            return true;
    return false;
}

static bool is_number(const char *s)
{
    return *s && strchr("._-", *s) && isdigit((unsigned char)s[1]);
}

static bool is_rotation(const char *name, sonde_str base)
{
    const char *dot = memrchr(base.ptr, '.', base.len);
    size_t stem = dot ? (size_t)(dot - base.ptr) : 0, digits;

    if (strncmp(name, base.ptr, base.len) == 0)
        return is_number(name + base.len);
    if (stem == 0 || strncmp(name, base.ptr, stem) != 0 ||
        !is_number(name + stem))
        return false;
    name += stem + 1;
    digits = strspn(name, "0123456789-_");
    return digits >= DATE_DIGITS &&
           strncmp(name + digits, dot, base.len - stem) == 0;
}

static bool is_between(const struct log_age *a, const struct log_age *last)
{
    return a->written > last->written &&
           (a->born == 0 || last->born == 0 || a->born >= last->born);
}

static bool is_older(const struct log_age *a, const struct log_age *b)
{
    return a->written != b->written ? a->written < b->written
                                    : a->born < b->born;
}

/* Into its place; the oldest goes if there is no room. */
static size_t insert(struct log_between *out, size_t n, const char *name,
                     const struct log_age *age)
{
    size_t at = n;

    while (at > 0 && is_older(age, &out[at - 1].age))
        at--;
    if (n == LOG_BETWEEN_MAX) {
        if (at-- == 0)
            return n;
        memmove(&out[0], &out[1], at * sizeof(out[0]));
    } else {
        memmove(&out[at + 1], &out[at], (n++ - at) * sizeof(out[0]));
    }
    out[at] = (struct log_between){ .age = *age, .fd = -1 };
    (void)snprintf(out[at].name, sizeof(out[at].name), "%s", name);
    return n;
}

size_t log_find_between(sonde_str path, const struct log_age *last,
                        struct log_between *out)
{
    const struct dirent *entry;
    struct stat st;
    sonde_str base;
    DIR *d = open_folder(path, &base);
    size_t count = 0;

    for (int n = 0; d && n < ENTRIES_MAX && (entry = readdir(d)); n++) {
        struct log_age age;

        if (!is_rotation(entry->d_name, base))
            continue;
        age = age_at(dirfd(d), entry->d_name, AT_SYMLINK_NOFOLLOW);
        if (is_between(&age, last))
            count = insert(out, count, entry->d_name, &age);
    }
    for (size_t i = 0; i < count; i++) {
        if (is_compressed(out[i].name))
            continue;
        out[i].fd = log_open(dirfd(d), out[i].name, &st);
        out[i].error = out[i].fd < 0 ? errno : 0;
    }
    if (d)
        (void)closedir(d);
    return count;
}
