/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of full chunks.
 *
 * A chunk that is full gets its place, file and offset, under the page's lock
 * of its series, and its record is written to memory that stands for the
 * file: address space as large as a file may be, paid for where it is
 * touched. Flushing writes what is new in it to the file in one piece and
 * gives the memory back. So a series' list never has to be changed when a
 * chunk moves to disk, nothing is searched for, and a disk that is full or
 * slow changes nothing but how much waits.
 *
 * A reader is told by one atomic number how far a file is written: what lies
 * before is read from the file's mapping, which covers all that the file may
 * become and is never touched behind its end; what lies behind is copied
 * from memory under the lock.
 *
 * Files are made when they are first written to, never appended to by a later
 * process, and numbered without a gap, as Prometheus wants it. A place (40
 * bits) has the number's low 13 bits and the offset: a terabyte of files can
 * be there at a time.
 *
 * A record cut off at the end of the last file is what a kill leaves; it is
 * cut off. All other damage is counted and read around.
 *
 * Locks: `lock` guards what is in memory and is held for copying a chunk;
 * `write_lock` is taken first, by one writer to the disk at a time.
 */
#include "tsdb/head_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tsdb/head_files_int.h"
#include "tsdb/vm.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define COOL_BYTES (UINT64_C(8) << 20) /* read since the last cooling    */

char *head_file_path(const struct head_files *f, uint32_t number,
                     struct arena *a)
{
    return (char *)arena_printf(a, "%s/%06u", f->dir, number).ptr;
}

/* ---- a file ----------------------------------------------------------- */

struct head_file *head_file_new(struct head_files *f, uint32_t number)
{
    struct head_file *file = mem_new(struct head_file);

    file->number = number;
    file->fd = -1;
    file->mint = file->first_end = INT64_MAX;
    file->maxt = INT64_MIN;
    atomic_store_explicit(&f->table[number % HEAD_FILES_MAX], file,
                          memory_order_release);
    return file;
}

void head_file_free(struct head_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        (void)close(file->fd);
    if (file->map)
        (void)munmap(file->map, file->map_bytes);
    vm_free(file->memory, HEAD_FILE_BYTES);
    free(file);
}

void head_file_saw(struct head_file *file, const struct head_chunk *c)
{
    file->chunks++;
    if (c->chunk.mint < file->mint)
        file->mint = c->chunk.mint;
    if (c->chunk.maxt > file->maxt)
        file->maxt = c->chunk.maxt;
    if (c->chunk.maxt < file->first_end)
        file->first_end = c->chunk.maxt;
}

/* ---- adding: under the lock ------------------------------------------- */

static struct head_file *file_begin(struct head_files *f)
{
    struct head_file *file = head_file_new(f, f->next);
    uint8_t *p = vm_alloc(HEAD_FILE_BYTES, 4096);

    if (f->next - f->first + 1 >= HEAD_FILES_MAX)
        SONDE_BUG("%u head chunk files", f->next - f->first);
    be32_put(p, HEAD_FILE_MAGIC);
    be32_put(p + 4, (uint32_t)HEAD_FILE_VERSION << 24);
    file->memory = p;
    file->end = HEAD_FILE_HEADER;
    f->next++;
    f->cut = false;
    atomic_fetch_add(&f->waiting, HEAD_FILE_HEADER);
    return file;
}

chunk_place head_files_add(struct head_files *f, const struct head_chunk *c)
{
    size_t bytes = head_record_bytes(c);
    struct head_file *file;
    chunk_place place;

    if (bytes > HEAD_RECORD_DATA)
        SONDE_BUG("a full chunk of %zu bytes", bytes);
    (void)pthread_mutex_lock(&f->lock);
    file = f->cut ? NULL : file_at(f, f->next - 1);
    if (!file || bytes > HEAD_FILE_BYTES - file->end)
        file = file_begin(f);
    place = place_of(file, file->end);
    file->end += (uint32_t)head_record_put(file->memory + file->end, c);
    head_file_saw(file, c);
    atomic_fetch_add(&f->waiting, bytes);
    (void)pthread_mutex_unlock(&f->lock);
    return place;
}

/* ---- reading ---------------------------------------------------------- */

static struct head_file *file_of(const struct head_files *f, chunk_place place)
{
    struct head_file *file = file_at(f, (uint32_t)(place >> OFFSET_BITS));

    if (!file)
        SONDE_BUG("a chunk in a head chunk file that is not there");
    return file;
}

chunk_ref head_files_ref(struct head_files *f, chunk_place place)
{
    return (chunk_ref)file_of(f, place)->number << 32 | (place & OFFSET_MASK);
}

static void record_at(const uint8_t *base, uint32_t from, uint32_t end,
                      struct head_chunk *out, size_t *len)
{
    sonde_str rest = { (const char *)base + from, end - from };

    if (from >= end || !head_record_get(rest, out, len))
        SONDE_BUG("a head chunk at %u of %u bytes is not there", from, end);
}

void head_files_read(struct head_files *f, chunk_place place, struct buf *copy,
                     struct head_chunk *out, bool *copied)
{
    struct head_file *file = file_of(f, place);
    uint32_t from = (uint32_t)(place & OFFSET_MASK);
    uint32_t end = atomic_load_explicit(&file->written, memory_order_acquire);
    size_t len;

    *copied = false;
    if (from >= end) {
        (void)pthread_mutex_lock(&f->lock);
        end = atomic_load(&file->written);
        if (from >= end) {
            record_at(file->memory, from, file->end, out, &len);
            buf_put(copy, out->chunk.data);
            out->chunk.data.ptr = copy->data + copy->len - out->chunk.data.len;
            *copied = true;
        }
        (void)pthread_mutex_unlock(&f->lock);
        if (*copied)
            return;
    }
    record_at(file->map, from, end, out, &len);
    atomic_fetch_add_explicit(&f->read_bytes, len, memory_order_relaxed);
}

enum head_files_side head_files_side(struct head_files *f, chunk_place place,
                                     sonde_msec t)
{
    struct head_file *file = file_of(f, place);
    enum head_files_side side = HEAD_FILE_MIXED;

    (void)pthread_mutex_lock(&f->lock);
    if (file->maxt < t)
        side = HEAD_FILE_BEFORE;
    else if (file->first_end >= t)
        side = HEAD_FILE_BEHIND;
    (void)pthread_mutex_unlock(&f->lock);
    return side;
}

/* ---- writing: under the write lock ------------------------------------- */

/* The mapping is as large as the file may become. */
static sonde_code file_create(struct head_file *file, const char *path,
                              struct sonde_err *err)
{
    void *map;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    if (fd < 0)
        return fs_err(err, errno, "create head chunk file", path);
    map = mmap(NULL, HEAD_FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        int errnum = errno;

        (void)close(fd);
        return fs_err(err, errnum, "map head chunk file", path);
    }
    (void)madvise(map, HEAD_FILE_BYTES, MADV_RANDOM);
    file->map = map;
    file->map_bytes = HEAD_FILE_BYTES;
    file->fd = fd;
    return SONDE_OK;
}

static sonde_code write_at(int fd, const uint8_t *data, size_t len, off_t at,
                           const char *path, struct sonde_err *err)
{
    while (len) {
        ssize_t n = pwrite(fd, data, len, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fs_err(err, n ? errno : ENOSPC, "write head chunk file",
                          path);
        data += n;
        at += n;
        len -= (size_t)n;
    }
    return SONDE_OK;
}

/* What is in the file now need not be in memory. */
static void file_wrote(struct head_files *f, struct head_file *file,
                       uint32_t from, uint32_t to)
{
    uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
    uint32_t first = from / page * page, last = to / page * page;
    bool full;

    (void)pthread_mutex_lock(&f->lock);
    atomic_store_explicit(&file->written, to, memory_order_release);
    full = file->end == to && (file->number + 1 != f->next || f->cut);
    if (full) {
        vm_free(file->memory, HEAD_FILE_BYTES);
        file->memory = NULL;
    } else if (last > first) {
        vm_clear(file->memory + first, last - first);
    }
    (void)pthread_mutex_unlock(&f->lock);
    atomic_fetch_sub(&f->waiting, to - from);
    if (full && file->fd >= 0) {
        (void)close(file->fd);
        file->fd = -1;
    }
}

static sonde_code file_flush(struct head_files *f, struct head_file *file,
                             struct sonde_err *err)
{
    uint32_t from = atomic_load(&file->written), to;
    sonde_code rc = SONDE_OK;
    struct arena a;
    char *path;

    (void)pthread_mutex_lock(&f->lock);
    to = file->end;
    (void)pthread_mutex_unlock(&f->lock);
    if (!file->memory)
        return SONDE_OK;
    arena_init(&a);
    path = head_file_path(f, file->number, &a);
    if (!file->map)
        rc = file_create(file, path, err);
    if (rc == SONDE_OK && to > from) {
        file->synced = false;
        rc =
            write_at(file->fd, file->memory + from, to - from, from, path, err);
    }
    if (rc == SONDE_OK)
        file_wrote(f, file, from, to);
    arena_fini(&a);
    return rc;
}

/* Says it once when writing begins to fail, and once when it goes again. */
static void tell(struct head_files *f, sonde_code rc,
                 const struct sonde_err *err)
{
    if (rc != SONDE_OK)
        metric_inc(f->metrics->chunk_write_failures);
    if (rc != SONDE_OK && !f->failing)
        log_warn("tsdb", "full chunks can not be written; they stay in memory",
                 LOG_ERRTEXT(err));
    else if (rc == SONDE_OK && f->failing)
        log_info("tsdb", "full chunks are written again");
    f->failing = rc != SONDE_OK;
}

/* Under the write lock. */
static sonde_code flush_all(struct head_files *f, struct sonde_err *err)
{
    struct sonde_err why;
    sonde_code rc = SONDE_OK;
    uint32_t next;

    if (f->read_only)
        return SONDE_OK;
    (void)pthread_mutex_lock(&f->lock);
    next = f->next;
    (void)pthread_mutex_unlock(&f->lock);
    for (uint32_t n = f->flushed; n < next && rc == SONDE_OK; n++) {
        rc = file_flush(f, file_at(f, n), &why);
        if (rc == SONDE_OK && n + 1 < next)
            f->flushed = n + 1;
    }
    tell(f, rc, &why);
    return rc == SONDE_OK ? rc : sonde_err_set(err, rc, "%s", why.text);
}

sonde_code head_files_flush(struct head_files *f, struct sonde_err *err)
{
    sonde_code rc;

    (void)pthread_mutex_lock(&f->write_lock);
    rc = flush_all(f, err);
    (void)pthread_mutex_unlock(&f->write_lock);
    return rc;
}

void head_files_flush_some(struct head_files *f)
{
    if (pthread_mutex_trylock(&f->write_lock) != 0)
        return;
    if (flush_all(f, NULL) != SONDE_OK) {
        /* said and counted; the next one tries again */
    }
    (void)pthread_mutex_unlock(&f->write_lock);
}

static sonde_code file_sync(struct head_files *f, struct head_file *file,
                            struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;
    struct arena a;
    char *path;
    int fd;

    if (file->synced || !file->map)
        return SONDE_OK;
    arena_init(&a);
    path = head_file_path(f, file->number, &a);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        rc = fs_err(err, errno, "open head chunk file", path);
    else if (fdatasync(fd) != 0)
        rc = fs_err(err, errno, "fsync head chunk file", path);
    else
        file->synced = true;
    if (fd >= 0)
        (void)close(fd);
    arena_fini(&a);
    return rc;
}

sonde_code head_files_sync(struct head_files *f, struct sonde_err *err)
{
    sonde_code rc;

    (void)pthread_mutex_lock(&f->write_lock);
    rc = flush_all(f, err);
    for (uint32_t n = f->first; n < f->next && rc == SONDE_OK; n++)
        if (file_at(f, n))
            rc = file_sync(f, file_at(f, n), err);
    if (rc == SONDE_OK && !f->read_only)
        rc = fs_sync_dir(f->dir, err);
    (void)pthread_mutex_unlock(&f->write_lock);
    return rc;
}

size_t head_files_waiting(const struct head_files *f)
{
    return atomic_load_explicit(&f->waiting, memory_order_relaxed);
}

void head_files_cut(struct head_files *f)
{
    struct head_file *file;

    (void)pthread_mutex_lock(&f->lock);
    file = file_at(f, f->next - 1);
    if (file && file->chunks)
        f->cut = true;
    (void)pthread_mutex_unlock(&f->lock);
}

/* ---- deleting --------------------------------------------------------- */

/* The oldest file, if it may go. Under both locks. */
static struct head_file *file_to_delete(struct head_files *f, sonde_msec mint,
                                        uint32_t keep)
{
    struct head_file *file = f->first < f->next ? file_at(f, f->first) : NULL;

    if (f->first >= f->next || f->first >= keep)
        return NULL;
    if (file &&
        (file->maxt >= mint || (file->number + 1 == f->next && !f->cut)))
        return NULL;
    return file;
}

static void file_unlink(struct head_files *f, uint32_t number)
{
    struct arena a;
    char *path;

    if (f->read_only)
        return;
    arena_init(&a);
    path = head_file_path(f, number, &a);
    if (unlink(path) != 0 && errno != ENOENT)
        log_warn("tsdb", "a head chunk file that nothing needs stays",
                 LOG_CSTR("file", path), LOG_CSTR("err", strerror(errno)));
    arena_fini(&a);
}

size_t head_files_delete(struct head_files *f, sonde_msec mint, uint32_t keep)
{
    struct head_file *file;
    size_t n = 0;

    (void)pthread_mutex_lock(&f->write_lock);
    for (;;) {
        (void)pthread_mutex_lock(&f->lock);
        while (f->first + 1 < f->next && !file_at(f, f->first))
            f->first++;
        file = file_to_delete(f, mint, keep);
        if (file)
            f->first++;
        (void)pthread_mutex_unlock(&f->lock);
        if (!file)
            break;
        if (f->flushed < f->first)
            f->flushed = f->first;
        atomic_fetch_sub(&f->waiting, file->end - atomic_load(&file->written));
        file_unlink(f, file->number);
        file->gone = f->gone;
        f->gone = file;
        n++;
    }
    (void)pthread_mutex_unlock(&f->write_lock);
    return n;
}

void head_files_release(struct head_files *f)
{
    struct head_file *gone;

    (void)pthread_mutex_lock(&f->write_lock);
    while ((gone = f->gone)) {
        f->gone = gone->gone;
        if (file_at(f, gone->number) == gone)
            atomic_store(&f->table[gone->number % HEAD_FILES_MAX], NULL);
        head_file_free(gone);
    }
    (void)pthread_mutex_unlock(&f->write_lock);
}

/* ---- figures ---------------------------------------------------------- */

void head_files_cool(struct head_files *f)
{
    if (atomic_load(&f->read_bytes) < COOL_BYTES)
        return;
    atomic_store(&f->read_bytes, 0);
    (void)pthread_mutex_lock(&f->write_lock);
    for (uint32_t n = f->first; n < f->next; n++) {
        struct head_file *file = file_at(f, n);

        if (file && file->map)
            (void)madvise(file->map, file->map_bytes, MADV_DONTNEED);
    }
    (void)pthread_mutex_unlock(&f->write_lock);
}

uint64_t head_files_bytes(struct head_files *f)
{
    uint64_t bytes = 0;

    (void)pthread_mutex_lock(&f->lock);
    for (uint32_t n = f->first; n < f->next; n++)
        if (file_at(f, n))
            bytes += file_at(f, n)->end;
    (void)pthread_mutex_unlock(&f->lock);
    return bytes;
}

sonde_msec head_files_oldest(struct head_files *f)
{
    sonde_msec oldest = INT64_MAX;

    (void)pthread_mutex_lock(&f->lock);
    for (uint32_t n = f->first; n < f->next; n++)
        if (file_at(f, n) && file_at(f, n)->mint < oldest)
            oldest = file_at(f, n)->mint;
    (void)pthread_mutex_unlock(&f->lock);
    return oldest;
}
