/* SPDX-License-Identifier: Apache-2.0 */
/* See mapped.h. */
#include "block/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/mem.h"

#define PASS_BYTES (4u << 20)

sonde_code mapped_fd(int fd, const char *path, struct mapped *out,
                     struct sonde_err *err)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0)
        return fs_err(err, errno, "stat", path);
    if (!S_ISREG(st.st_mode))
        return sonde_err_set(err, SONDE_ECORRUPT, "%s: not a file", path);
    *out = (struct mapped){ .len = (size_t)st.st_size };
    if (out->len) {
        p = mmap(NULL, out->len, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            return fs_err(err, errno, "map", path);
        out->data = p;
    }
    out->path = mem_strdup(sonde_cstr(path));
    return SONDE_OK;
}

sonde_code mapped_open(const char *path, struct mapped *out,
                       struct sonde_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    sonde_code rc;

    *out = (struct mapped){ 0 };
    if (fd < 0)
        return fs_err(err, errno, "open", path);
    rc = mapped_fd(fd, path, out, err);
    (void)close(fd);
    return rc;
}

void mapped_close(struct mapped *m)
{
    if (m->data)
        (void)munmap((void *)(uintptr_t)m->data, m->len);
    free(m->path);
    *m = (struct mapped){ 0 };
}

void mapped_forget(const struct mapped *m)
{
    if (m->data)
        (void)madvise((void *)(uintptr_t)m->data, m->len, MADV_DONTNEED);
}

void mapped_pass(struct mapped *m, size_t n)
{
    m->passed += n;
    if (m->passed < PASS_BYTES)
        return;
    mapped_forget(m);
    m->passed = 0;
}
