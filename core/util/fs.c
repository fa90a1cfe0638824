/* SPDX-License-Identifier: Apache-2.0 */
/* See fs.h. */
#include "util/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/str.h"

static sonde_code code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return SONDE_ENOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return SONDE_EACCESS;
    case ENOSPC:
    case EDQUOT:
        return SONDE_ENOSPACE;
    case EEXIST:
        return SONDE_EEXIST;
    case ENOMEM:
        return SONDE_ENOMEM;
    case ETIMEDOUT:
        return SONDE_ETIMEOUT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return SONDE_ECONNECT;
    default:
        return SONDE_EIO;
    }
}

sonde_code fs_err(struct sonde_err *err, int errnum, const char *op,
                  const char *path)
{
    char text[128];

    return sonde_err_set(err, code_of_errno(errnum), "%s %s: %s", op, path,
                         strerror_r(errnum, text, sizeof(text)));
}

static sonde_code read_fd(int fd, const char *path, size_t max_bytes,
                          struct buf *out, struct sonde_err *err)
{
    size_t begin = out->len;

    for (;;) {
        char *at = buf_reserve(out, 16384);
        ssize_t n;

        if (!at)
            return sonde_err_set(err, SONDE_ELIMIT, "read %s: too large", path);
        n = read(fd, at, 16384);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fs_err(err, errno, "read", path);
        if (n == 0)
            return SONDE_OK;
        buf_added(out, (size_t)n);
        if (out->len - begin > max_bytes)
            return sonde_err_set(err, SONDE_ELIMIT,
                                 "read %s: larger than %zu bytes", path,
                                 max_bytes);
    }
}

sonde_code fs_read(const char *path, size_t max_bytes, struct buf *out,
                   struct sonde_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    sonde_code rc;

    if (fd < 0)
        return fs_err(err, errno, "open", path);
    rc = read_fd(fd, path, max_bytes, out, err);
    (void)close(fd);
    return rc;
}

sonde_code fs_write_all(int fd, const void *data, size_t len, const char *path,
                        struct sonde_err *err)
{
    const char *p = data;

    while (len) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fs_err(err, errno, "write", path);
        p += n;
        len -= (size_t)n;
    }
    return SONDE_OK;
}

static sonde_code write_new(const char *path, sonde_str data, unsigned mode,
                            struct sonde_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    sonde_code rc;

    if (fd < 0)
        return fs_err(err, errno, "create", path);
    rc = fs_write_all(fd, data.ptr, data.len, path, err);
    if (rc == SONDE_OK && fsync(fd) != 0)
        rc = fs_err(err, errno, "fsync", path);
    if (close(fd) != 0 && rc == SONDE_OK)
        rc = fs_err(err, errno, "close", path);
    return rc;
}

sonde_code fs_write_atomic(const char *path, sonde_str data, unsigned mode,
                           struct sonde_err *err)
{
    struct arena a;
    const char *tmp;
    sonde_code rc;

    arena_init(&a);
    tmp = arena_printf(&a, "%s.tmp", path).ptr;
    rc = write_new(tmp, data, mode, err);
    if (rc == SONDE_OK && rename(tmp, path) != 0)
        rc = fs_err(err, errno, "rename to", path);
    if (rc == SONDE_OK)
        rc = fs_sync_dir(arena_cstr(&a, fs_dirname(sonde_cstr(path))), err);
    else
        (void)unlink(tmp);
    arena_fini(&a);
    return rc;
}

/* And sees to it that its name survives a loss of power, where the folder
 * around it may be read. */
static sonde_code make_folder(char *path, unsigned mode, struct sonde_err *err)
{
    sonde_str above;
    char *parent;
    sonde_code rc = SONDE_OK;

    if (mkdir(path, (mode_t)mode) != 0)
        return errno == EEXIST ? SONDE_OK
                               : fs_err(err, errno, "create folder", path);
    above = fs_dirname(sonde_cstr(path));
    parent = mem_strdup(above);
    if (access(parent, R_OK) == 0)
        rc = fs_sync_dir(parent, err);
    free(parent);
    return rc;
}

sonde_code fs_mkdirs(const char *path, unsigned mode, struct sonde_err *err)
{
    char *p = mem_strdup(sonde_cstr(path));
    sonde_code rc = SONDE_OK;

    for (char *at = p + 1; rc == SONDE_OK; at++) {
        bool last = *at == '\0';

        if (*at != '/' && !last)
            continue;
        *at = '\0';
        rc = make_folder(p, mode, err);
        if (last)
            break;
        *at = '/';
    }
    free(p);
    return rc;
}

sonde_code fs_sync_dir(const char *path, struct sonde_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sonde_code rc = SONDE_OK;

    if (fd < 0)
        return fs_err(err, errno, "open", path);
    if (fsync(fd) != 0 && errno != EINVAL)
        rc = fs_err(err, errno, "fsync", path);
    (void)close(fd);
    return rc;
}

static int remove_one(const char *path, const struct stat *st, int flag,
                      struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

sonde_code fs_remove_all(const char *path, struct sonde_err *err)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 &&
        errno != ENOENT)
        return fs_err(err, errno, "remove", path);
    return SONDE_OK;
}

bool fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int cmp_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

sonde_code fs_list(const char *path, struct fs_names *out,
                   struct sonde_err *err)
{
    DIR *dir = opendir(path);
    size_t cap = 0;
    struct dirent *e;

    *out = (struct fs_names){ 0 };
    if (!dir)
        return fs_err(err, errno, "open folder", path);
    while ((e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        out->items =
            mem_grow(out->items, &cap, out->count + 1, sizeof(*out->items));
        out->items[out->count++] = mem_strdup(sonde_cstr(e->d_name));
    }
    (void)closedir(dir);
    if (out->count)
        qsort(out->items, out->count, sizeof(*out->items), cmp_names);
    return SONDE_OK;
}

void fs_names_fini(struct fs_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct fs_names){ 0 };
}

char *fs_join(struct arena *a, sonde_str dir, sonde_str name)
{
    if (name.len && name.ptr[0] == '/')
        return arena_cstr(a, name);
    if (dir.len == 0 || str_eq_cstr(dir, "."))
        return arena_cstr(a, name);
    return (char *)arena_printf(a, "%.*s%s%.*s", SONDE_ARG(dir),
                                dir.ptr[dir.len - 1] == '/' ? "" : "/",
                                SONDE_ARG(name))
        .ptr;
}

sonde_str fs_dirname(sonde_str path)
{
    while (path.len && path.ptr[path.len - 1] != '/')
        path.len--;
    if (path.len == 0)
        return SONDE_STR(".");
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}
