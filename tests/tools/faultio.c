/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file layer that fails on demand, for tests: loaded into the agent by
 * LD_PRELOAD (with a sanitizer, behind the sanitizer's own library). Only
 * files under $FAULTIO_ROOT, an absolute path, are touched.
 *
 * $FAULTIO_PLAN names a file of lines "OP N ERROR [TIMES [PART]]": of calls of
 * kind OP whose path has PART in it, the N-th and the TIMES - 1 behind it fail
 * (TIMES -1: all from the N-th on). OP is write, sync, truncate, rename,
 * unlink, create, mkdir or any; ERROR is EIO, ENOSPC, EDQUOT or short (only
 * half of the bytes are written).
 * The file is read again when it changes, and the counts begin anew.
 * $FAULTIO_LOG gets a line for each call, "OP PATH", with "!" before those
 * that failed.
 *
 * $FAULTIO_SHADOW names a folder that keeps what would survive a loss of
 * power: of a file what it had when it was synced last, of a folder the names
 * that it had when it was synced last. Files are known by inode and time of
 * birth, so renaming and removing change nothing until the folder is synced.
 * Syncing copies and does not wait for a disk; what a sync that failed should
 * have written is lost even if a later one succeeds, as on Linux. What is there
 * when the first process starts has survived. faultio.py puts the folder
 * together again.
 *
 * Rejected: a FUSE file system (rights, and a mount that outlives a kill).
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define RULES_MAX 16
#define DIRTY_MAX 4096
#define NAMES_MAX 512
#define EXPORT    __attribute__((visibility("default")))

enum op {
    WRITE,
    SYNC,
    TRUNCATE,
    RENAME,
    UNLINK,
    CREATE,
    MKDIR,
    ANY,
    OPS
};
static const char *const op_names[OPS] = { "write",  "sync",   "truncate",
                                           "rename", "unlink", "create",
                                           "mkdir",  "any" };

struct rule {
    enum op op;
    long n, times, seen;
    int error; /* 0: a short write                                         */
    char part[128];
};

static struct {
    pthread_mutex_t lock; /* guards all below                              */
    bool ready;
    const char *root, *plan, *shadow;
    size_t root_len;
    int log;
    struct timespec plan_time;
    ino_t plan_ino;
    struct rule rules[RULES_MAX];
    size_t rule_count;
    struct {
        uint64_t ino;
        off_t from; /* what is behind it is not in the shadow              */
    } dirty[DIRTY_MAX];
    size_t dirty_count;
} io = { .lock = PTHREAD_MUTEX_INITIALIZER, .log = -1 };

/* ---- the real ones ------------------------------------------------------ */

#define REAL(type, name, ...)                                                  \
    ({                                                                         \
        static type (*real)(__VA_ARGS__);                                      \
        if (!real)                                                             \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                         \
        real;                                                                  \
    })
#define REAL_WRITE  REAL(ssize_t, write, int, const void *, size_t)
#define REAL_OPEN   REAL(int, open, const char *, int, ...)
#define REAL_RENAME REAL(int, rename, const char *, const char *)

/* ---- plan and log: under the lock --------------------------------------- */

static void start(void)
{
    const char *log = getenv("FAULTIO_LOG");

    if (io.ready)
        return;
    io.ready = true;
    io.root = getenv("FAULTIO_ROOT");
    io.plan = getenv("FAULTIO_PLAN");
    io.shadow = getenv("FAULTIO_SHADOW");
    io.root_len = io.root ? strlen(io.root) : 0;
    if (log)
        io.log =
            REAL_OPEN(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int error_of(const char *name)
{
    static const struct {
        const char *name;
        int error;
    } known[] = { { "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT } };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(name, known[i].name))
            return known[i].error;
    return 0;
}

static void add_rule(const char *line)
{
    struct rule *r = &io.rules[io.rule_count];
    char op[16], error[16];

    *r = (struct rule){ .times = 1 };
    if (io.rule_count == RULES_MAX ||
        sscanf(line, "%15s %ld %15s %ld %127s", op, &r->n, error, &r->times,
               r->part) < 3)
        return;
    while (r->op < OPS && strcmp(op, op_names[r->op]) != 0)
        r->op++;
    r->error = error_of(error);
    io.rule_count += r->op < OPS;
}

static void read_plan(void)
{
    char text[4096];
    struct stat st;
    ssize_t n;
    int fd;

    if (!io.plan || stat(io.plan, &st) != 0 ||
        (st.st_ino == io.plan_ino && st.st_mtim.tv_sec == io.plan_time.tv_sec &&
         st.st_mtim.tv_nsec == io.plan_time.tv_nsec))
        return;
    fd = REAL_OPEN(io.plan, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    io.plan_ino = st.st_ino;
    io.plan_time = st.st_mtim;
    io.rule_count = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        add_rule(line);
}

static void tell(enum op op, const char *path, bool fails)
{
    char line[PATH_MAX + 32];
    int n;

    if (io.log < 0)
        return;
    n = snprintf(line, sizeof(line), "%s%s %s\n", fails ? "!" : "",
                 op_names[op], path);
    if (n > 0 && REAL_WRITE(io.log, line, (size_t)n) != n)
        abort();
}

/* -1: it goes on; 0: a short write; else the error. */
static int judge(enum op op, const char *path)
{
    int error = -1;

    read_plan();
    for (size_t i = 0; i < io.rule_count; i++) {
        struct rule *r = &io.rules[i];

        if ((r->op != op && r->op != ANY) || !strstr(path, r->part))
            continue;
        r->seen++;
        if (r->seen >= r->n && (r->times < 0 || r->seen < r->n + r->times))
            error = r->error;
    }
    tell(op, path, error >= 0);
    return error;
}

static bool is_ours(const char *path)
{
    return io.root && !strncmp(path, io.root, io.root_len) &&
           (path[io.root_len] == '/' || path[io.root_len] == '\0');
}

static int check_path(enum op op, const char *path)
{
    int error = -1, was = errno;

    (void)pthread_mutex_lock(&io.lock);
    start();
    if (is_ours(path))
        error = judge(op, path);
    (void)pthread_mutex_unlock(&io.lock);
    errno = error > 0 ? error : was;
    return error;
}

static bool path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static int check_fd(enum op op, int fd)
{
    char path[PATH_MAX];
    int was = errno;
    bool known = path_of(fd, path);

    errno = was;
    return known ? check_path(op, path) : -1;
}

/* ---- what survives: under the lock -------------------------------------- */

/* The name of a file's or folder's image. */
static bool key_of(int at, const char *name, char key[64], mode_t *mode,
                   uint64_t *ino)
{
    struct statx st;

    if (statx(at, name, AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH),
              STATX_BASIC_STATS | STATX_BTIME, &st) != 0)
        return false;
    (void)snprintf(key, 64, "%llu-%lld.%u", (unsigned long long)st.stx_ino,
                   (long long)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
    *mode = st.stx_mode;
    *ino = st.stx_ino;
    return true;
}

static void touch(uint64_t ino, off_t from)
{
    size_t i = 0;

    while (i < io.dirty_count && io.dirty[i].ino != ino)
        i++;
    if (i == DIRTY_MAX)
        abort();
    if (i == io.dirty_count) {
        io.dirty[i].ino = ino;
        io.dirty[i].from = from;
        io.dirty_count++;
    } else if (from < io.dirty[i].from) {
        io.dirty[i].from = from;
    }
}

/* And it is clean from now on; a file that was never seen is all dirty. */
static off_t take_dirty(uint64_t ino, bool known)
{
    for (size_t i = 0; i < io.dirty_count; i++) {
        off_t from = io.dirty[i].from;

        if (io.dirty[i].ino != ino)
            continue;
        io.dirty[i] = io.dirty[--io.dirty_count];
        return known ? from : 0;
    }
    return known ? LLONG_MAX : 0;
}

static void copy_file(int fd, const char *to, uint64_t ino)
{
    static char block[65536];
    int out = REAL_OPEN(to, O_WRONLY | O_CLOEXEC);
    off_t at = take_dirty(ino, out >= 0), end;
    ssize_t n;

    if (out < 0)
        out = REAL_OPEN(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (out < 0)
        abort();
    while ((n = pread(fd, block, sizeof(block), at)) > 0) {
        if (REAL(ssize_t, pwrite, int, const void *, size_t,
                 off_t)(out, block, (size_t)n, at) != n)
            abort();
        at += n;
    }
    end = lseek(fd, 0, SEEK_END);
    if (REAL(int, ftruncate, int, off_t)(out, end) != 0)
        abort();
    (void)close(out);
}

static void keep(int at, const char *name);

/* The names of a folder, as of now. */
static void copy_names(int fd, const char *to, bool deep)
{
    char tmp[PATH_MAX], key[64];
    DIR *d = fdopendir(fd);
    FILE *out;
    mode_t mode;
    uint64_t ino;

    (void)snprintf(tmp, sizeof(tmp), "%s.new", to);
    out = fopen(tmp, "w");
    if (!d || !out)
        abort();
    for (struct dirent *e; (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
            !key_of(dirfd(d), e->d_name, key, &mode, &ino))
            continue;
        (void)fprintf(out, "%c %s %s\n", S_ISDIR(mode) ? 'd' : 'f', key,
                      e->d_name);
        if (deep)
            keep(dirfd(d), e->d_name);
    }
    if (fclose(out) != 0 || REAL_RENAME(tmp, to) != 0)
        abort();
    (void)closedir(d);
}

/* What is synced now; `deep`: with all that is in it. Closes `fd`. */
static void keep_fd(int fd, bool deep)
{
    char key[64], to[PATH_MAX / 2];
    mode_t mode = 0;
    uint64_t ino;

    if (!key_of(fd, "", key, &mode, &ino) ||
        snprintf(to, sizeof(to), "%s/%s", io.shadow, key) >= (int)sizeof(to))
        abort();
    if (S_ISDIR(mode)) {
        copy_names(fd, to, deep);
        return;
    }
    if (S_ISREG(mode))
        copy_file(fd, to, ino);
    (void)close(fd);
}

static void keep(int at, const char *name)
{
    int fd = REAL(int, openat, int, const char *, int,
                  ...)(at, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0)
        keep_fd(fd, true);
}

/* Which image is the root's, and at the beginning all that there is. */
static void keep_root(void)
{
    char key[64], to[PATH_MAX];
    mode_t mode;
    uint64_t ino;
    FILE *f;

    (void)snprintf(to, sizeof(to), "%s/root", io.shadow);
    if (access(to, F_OK) == 0 || !key_of(AT_FDCWD, io.root, key, &mode, &ino))
        return;
    f = fopen(to, "w");
    if (!f || fprintf(f, "%s\n", key) < 0 || fclose(f) != 0)
        abort();
}

__attribute__((constructor)) static void begin(void)
{
    char to[PATH_MAX];

    (void)pthread_mutex_lock(&io.lock);
    start();
    if (io.root && io.shadow) {
        (void)snprintf(to, sizeof(to), "%s/root", io.shadow);
        if (access(to, F_OK) != 0 && access(io.root, F_OK) == 0) {
            keep_root();
            keep(AT_FDCWD, io.root);
        }
    }
    (void)pthread_mutex_unlock(&io.lock);
}

/* True if the call is done with it. */
static bool survives(int fd)
{
    char path[PATH_MAX], again[64];
    bool ours;

    if (!path_of(fd, path))
        return false;
    (void)pthread_mutex_lock(&io.lock);
    ours = io.shadow && is_ours(path);
    if (ours) {
        keep_root();
        (void)snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
        fd = REAL_OPEN(again, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            keep_fd(fd, false);
    }
    (void)pthread_mutex_unlock(&io.lock);
    return ours;
}

/* Before a write: at < 0 means where the file stands. */
static void will_write(int fd, off_t at)
{
    struct stat st;
    int was = errno;

    if (!io.shadow || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    if (at < 0)
        at =
            fcntl(fd, F_GETFL) & O_APPEND ? st.st_size : lseek(fd, 0, SEEK_CUR);
    (void)pthread_mutex_lock(&io.lock);
    touch(st.st_ino, at);
    (void)pthread_mutex_unlock(&io.lock);
    errno = was;
}

/* ---- the calls ---------------------------------------------------------- */

/* How many bytes a write may take; -1: it fails. */
static ssize_t allowed(int fd, size_t n, off_t at)
{
    int error = check_fd(WRITE, fd);

    if (error > 0)
        return -1;
    will_write(fd, at);
    return error == 0 ? (ssize_t)(n / 2) : (ssize_t)n;
}

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
    ssize_t some = allowed(fd, n, -1);

    if (some == 0 && n) {
        errno = ENOSPC;
        return -1;
    }
    return some < 0 ? -1 : REAL_WRITE(fd, p, (size_t)some);
}

static ssize_t pwrite_any(int fd, const void *p, size_t n, off_t at)
{
    ssize_t some = allowed(fd, n, at);

    if (some == 0 && n) {
        errno = ENOSPC;
        return -1;
    }
    return some < 0 ? -1
                    : REAL(ssize_t, pwrite, int, const void *, size_t,
                           off_t)(fd, p, (size_t)some, at);
}
EXPORT ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return pwrite_any(fd, p, n, at);
}
EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return pwrite_any(fd, p, n, at);
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int n)
{
    ssize_t some = allowed(fd, n ? v[0].iov_len : 0, -1);

    if (some < 0)
        return -1;
    if (n && (size_t)some < v[0].iov_len)
        return REAL_WRITE(fd, v[0].iov_base, (size_t)some);
    return REAL(ssize_t, writev, int, const struct iovec *, int)(fd, v, n);
}

/* A sync failed: the kernel calls the pages clean all the same. */
static void forget_dirty(int fd)
{
    struct stat st;

    if (!io.shadow || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    (void)pthread_mutex_lock(&io.lock);
    (void)take_dirty(st.st_ino, true);
    (void)pthread_mutex_unlock(&io.lock);
}

static int sync_any(int fd, int (*real)(int))
{
    if (check_fd(SYNC, fd) >= 0) {
        forget_dirty(fd);
        errno = EIO;
        return -1;
    }
    return survives(fd) ? 0 : real(fd);
}
EXPORT int fsync(int fd)
{
    return sync_any(fd, REAL(int, fsync, int));
}
EXPORT int fdatasync(int fd)
{
    return sync_any(fd, REAL(int, fdatasync, int));
}

static int ftruncate_any(int fd, off_t len)
{
    struct stat st;

    if (check_fd(TRUNCATE, fd) > 0)
        return -1;
    if (fstat(fd, &st) == 0)
        will_write(fd, len < st.st_size ? len : st.st_size);
    return REAL(int, ftruncate, int, off_t)(fd, len);
}
EXPORT int ftruncate(int fd, off_t len)
{
    return ftruncate_any(fd, len);
}
EXPORT int ftruncate64(int fd, off_t len)
{
    return ftruncate_any(fd, len);
}

static int truncate_any(const char *path, off_t len)
{
    int fd, rc = -1;

    if (check_path(TRUNCATE, path) > 0)
        return -1;
    fd = REAL_OPEN(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        will_write(fd, len);
        rc = REAL(int, ftruncate, int, off_t)(fd, len);
        (void)close(fd);
    }
    return rc;
}
EXPORT int truncate(const char *path, off_t len)
{
    return truncate_any(path, len);
}
EXPORT int truncate64(const char *path, off_t len)
{
    return truncate_any(path, len);
}

EXPORT int rename(const char *from, const char *to)
{
    return check_path(RENAME, to) > 0 ? -1 : REAL_RENAME(from, to);
}
EXPORT int renameat(int a, const char *from, int b, const char *to)
{
    if (check_path(RENAME, to) > 0)
        return -1;
    return REAL(int, renameat, int, const char *, int, const char *)(a, from, b,
                                                                     to);
}

EXPORT int unlink(const char *path)
{
    return check_path(UNLINK, path) > 0 ? -1
                                        : REAL(int, unlink, const char *)(path);
}
EXPORT int remove(const char *path)
{
    return check_path(UNLINK, path) > 0 ? -1
                                        : REAL(int, remove, const char *)(path);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    if (check_path(MKDIR, path) > 0)
        return -1;
    return REAL(int, mkdir, const char *, mode_t)(path, mode);
}

static bool refuses(const char *path, int flags)
{
    return flags & O_CREAT && access(path, F_OK) != 0 &&
           check_path(CREATE, path) > 0;
}

static mode_t mode_of(int flags, va_list ap)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

/* What is emptied is not what was synced any more. */
static int opened(int fd, int flags)
{
    if (fd >= 0 && flags & O_TRUNC)
        will_write(fd, 0);
    return fd;
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = mode_of(flags, ap);
    va_end(ap);
    return refuses(path, flags) ? -1
                                : opened(REAL_OPEN(path, flags, mode), flags);
}
EXPORT int open64(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = mode_of(flags, ap);
    va_end(ap);
    return refuses(path, flags) ? -1
                                : opened(REAL_OPEN(path, flags, mode), flags);
}
EXPORT int openat(int at, const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = mode_of(flags, ap);
    va_end(ap);
    if (*path == '/' && refuses(path, flags))
        return -1;
    return opened(
        REAL(int, openat, int, const char *, int, ...)(at, path, flags, mode),
        flags);
}
