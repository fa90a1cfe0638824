/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process to a data directory, by flock(2) on DIR/lock, as Prometheus
 * does it, so that the two keep each other out as well. The kernel lets go
 * when the process dies, so a file that is left behind blocks nobody.
 *
 * The file is removed on a clean exit. Between opening and locking it another
 * process may have removed it and a third made a new one; so the name is
 * looked up again once the lock is held.
 */
#include "tsdb/dir_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/mem.h"

#define TRIES 10

static bool is_still(int fd, const char *path)
{
    struct stat held, named;

    return fstat(fd, &held) == 0 && stat(path, &named) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

static sonde_code explain(int errnum, const char *dir, const char *path,
                          struct sonde_err *err)
{
    sonde_code rc;

    if (errnum == EWOULDBLOCK)
        return sonde_err_set(err, SONDE_ELOCKED,
                             "lock data directory %s: another process uses "
                             "it (it holds %s); stop that one, or give this "
                             "one another directory (--storage.tsdb.path or "
                             "--storage.agent.path)",
                             dir, path);
    rc = fs_err(err, errnum, "make lock file", path);
    if (rc == SONDE_EACCESS || errnum == EROFS)
        rc = sonde_err_set(err, rc,
                           "lock data directory %s: can not write there: %s; "
                           "give this user the directory, or choose another "
                           "(--storage.tsdb.path or --storage.agent.path)",
                           dir, strerror(errnum));
    return rc;
}

/* 0, or errno; EAGAIN: the file went away meanwhile. */
static int try_lock(struct dir_lock *l)
{
    l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (l->fd < 0)
        return errno;
    if (flock(l->fd, LOCK_EX | LOCK_NB) == 0 && is_still(l->fd, l->path))
        return 0;
    return errno == EWOULDBLOCK ? EWOULDBLOCK : ESTALE;
}

sonde_code dir_lock_take(struct dir_lock *l, const char *dir,
                         struct sonde_err *err)
{
    int errnum = ESTALE;
    sonde_code rc;

    *l = (struct dir_lock){ .fd = -1 };
    l->path = mem_alloc(strlen(dir) + sizeof("/lock"));
    (void)sprintf(l->path, "%s/lock", dir);
    for (int i = 0; i < TRIES && errnum == ESTALE; i++) {
        errno = 0;
        errnum = try_lock(l);
        if (errnum && l->fd >= 0)
            (void)close(l->fd);
    }
    if (errnum == 0)
        return SONDE_OK;
    rc = explain(errnum, dir, l->path, err);
    free(l->path);
    *l = (struct dir_lock){ .fd = -1 };
    return rc;
}

void dir_lock_release(struct dir_lock *l)
{
    if (l->fd < 0)
        return;
    (void)unlink(l->path);
    (void)close(l->fd);
    free(l->path);
    *l = (struct dir_lock){ .fd = -1 };
}
