/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the files of full chunks: each is mapped and walked through, every
 * record's checksum is looked at, and what is good is handed over.
 *
 * Damage costs what is damaged and no more: the walk goes on at the next
 * intact record. Two things that a kill leaves are no damage: a record cut
 * off at the end of the last file, and a last file that has not even its
 * header. A missing number in the row of files is damage; the files behind it
 * are read all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tsdb/head_files.h"
#include "tsdb/head_files_int.h"
#include "tsdb/vm.h"
#include "util/bytes.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define COMPLAINTS_MAX 20

struct opening {
    struct head_files *files;
    const struct head_files_options *options;
    struct arena arena;
    uint32_t *numbers; /* ascending */
    size_t count;
    unsigned complaints;
};

static void complain(struct opening *o, const char *path, size_t at,
                     size_t bytes, const char *why)
{
    o->files->damaged = true;
    metric_inc(o->files->metrics->all_corruptions);
    metric_inc(o->files->metrics->chunk_corruptions);
    if (++o->complaints == COMPLAINTS_MAX)
        log_warn("tsdb", "there is more damage in head chunk files; not all "
                         "is listed");
    if (o->complaints < COMPLAINTS_MAX)
        log_warn("tsdb",
                 "a head chunk file is damaged; what was there is lost if the "
                 "log does not have it, the rest is read",
                 LOG_CSTR("file", path), LOG_NUM("offset", at),
                 LOG_NUM("bytes", bytes), LOG_CSTR("why", why));
}

/* ---- a file ----------------------------------------------------------- */

static void found(struct opening *o, struct head_file *file, size_t at,
                  const struct head_chunk *c)
{
    head_file_saw(file, c);
    if (o->options->found)
        o->options->found(o->options->arg, (chunk_ref)file->number << 32 | at,
                          place_of(file, (uint32_t)at), c, o->files->damaged);
}

/* What a kill leaves at the end of the last file. */
static void cut_torn_end(struct opening *o, const char *path, size_t keep)
{
    if (o->files->read_only)
        return;
    if (truncate(path, (off_t)keep) == 0)
        log_info("tsdb", "the torn end of a head chunk file is cut off",
                 LOG_CSTR("file", path), LOG_NUM("bytes_kept", keep));
    else
        log_warn("tsdb", "the torn end of a head chunk file stays",
                 LOG_CSTR("file", path), LOG_CSTR("err", strerror(errno)));
}

/* Where the walk goes on behind damage at `at`. */
static size_t pass_damage(struct opening *o, const char *path, sonde_str all,
                          size_t at, bool last)
{
    sonde_str rest = { all.ptr + at, all.len - at };
    size_t next = head_record_seek(all, at + 1), len;
    struct head_chunk c;

    if (next == all.len && last && !head_record_get(rest, &c, &len))
        cut_torn_end(o, path, at);
    else
        complain(o, path, at, next - at, "a chunk's checksum does not match");
    return next;
}

static void file_walk(struct opening *o, struct head_file *file,
                      const char *path, bool last)
{
    sonde_str all = { (const char *)file->map, file->map_bytes };
    size_t at = HEAD_FILE_HEADER, end = at, len;
    struct head_chunk c;

    if (be32_get(all.ptr) != HEAD_FILE_MAGIC || all.ptr[4] != HEAD_FILE_VERSION)
        complain(o, path, 0, HEAD_FILE_HEADER,
                 "expected the header of a head chunk file");
    while (at < all.len) {
        switch (head_record_check((sonde_str){ all.ptr + at, all.len - at }, &c,
                                  &len)) {
        case HEAD_RECORD_GOOD:
            found(o, file, at, &c);
            at += len;
            end = at;
            break;
        case HEAD_RECORD_END:
            at = all.len;
            break;
        case HEAD_RECORD_BAD:
            at = pass_damage(o, path, all, at, last);
            break;
        }
    }
    atomic_store(&file->written, (uint32_t)end);
    file->end = (uint32_t)end;
}

static sonde_code file_map(struct head_file *file, int fd, const char *path,
                           size_t bytes, struct sonde_err *err)
{
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED)
        return fs_err(err, errno, "map head chunk file", path);
    file->map = map;
    file->map_bytes = bytes;
    return SONDE_OK;
}

/* A last file that has no header yet says nothing. */
static bool is_stillborn(const struct stat *st, int fd)
{
    uint8_t header[HEAD_FILE_HEADER] = { 0 };

    if (st->st_size < HEAD_FILE_HEADER)
        return true;
    return pread(fd, header, sizeof(header), 0) == sizeof(header) &&
           be32_get(header) == 0;
}

static sonde_code file_read(struct opening *o, uint32_t number,
                            const char *path, int fd, bool last,
                            struct sonde_err *err)
{
    struct head_file *file;
    struct stat st;
    sonde_code rc;

    if (fstat(fd, &st) != 0)
        return fs_err(err, errno, "stat head chunk file", path);
    if (is_stillborn(&st, fd)) {
        if (!last)
            complain(o, path, 0, (size_t)st.st_size, "it has no header");
        else if (!o->files->read_only && unlink(path) == 0)
            o->files->next = number;
        return SONDE_OK;
    }
    if (st.st_size > HEAD_FILE_BYTES) {
        complain(o, path, HEAD_FILE_BYTES, (size_t)st.st_size - HEAD_FILE_BYTES,
                 "it is larger than a head chunk file can be");
        st.st_size = HEAD_FILE_BYTES;
    }
    file = head_file_new(o->files, number);
    rc = file_map(file, fd, path, (size_t)st.st_size, err);
    if (rc != SONDE_OK)
        return rc;
    (void)madvise(file->map, file->map_bytes, MADV_SEQUENTIAL);
    file_walk(o, file, path, last);
    (void)madvise(file->map, file->map_bytes, MADV_RANDOM);
    (void)madvise(file->map, file->map_bytes, MADV_DONTNEED);
    return SONDE_OK;
}

static sonde_code file_open(struct opening *o, uint32_t number, bool last,
                            struct sonde_err *err)
{
    char *path = head_file_path(o->files, number, &o->arena);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    sonde_code rc;

    if (fd < 0)
        return fs_err(err, errno, "open head chunk file", path);
    rc = file_read(o, number, path, fd, last, err);
    (void)close(fd);
    return rc;
}

/* ---- the folder ------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Names that are numbers as this program writes them; others are not ours. */
static sonde_code list_files(struct opening *o, struct sonde_err *err)
{
    struct fs_names names;
    sonde_code rc = fs_list(o->files->dir, &names, err);

    if (rc != SONDE_OK)
        return rc;
    o->numbers = arena_array(&o->arena, uint32_t, names.count + 1);
    for (size_t i = 0; i < names.count; i++) {
        sonde_str name = sonde_cstr(names.items[i]);
        uint64_t n;

        if (str_to_u64(name, &n) && n && n < UINT32_MAX &&
            sonde_str_eq(name, arena_printf(&o->arena, "%06u", (uint32_t)n)))
            o->numbers[o->count++] = (uint32_t)n;
    }
    fs_names_fini(&names);
    qsort(o->numbers, o->count, sizeof(*o->numbers), by_number);
    return SONDE_OK;
}

static sonde_code open_files(struct opening *o, struct sonde_err *err)
{
    struct head_files *f = o->files;
    sonde_code rc = list_files(o, err);

    if (rc != SONDE_OK || o->count == 0)
        return rc;
    f->first = o->numbers[0];
    f->next = o->numbers[o->count - 1] + 1;
    if (f->next - f->first >= HEAD_FILES_MAX)
        return sonde_err_set(err, SONDE_ECORRUPT,
                             "open %s: expected head chunk files with numbers "
                             "in a row, got %u and %u",
                             f->dir, f->first, f->next - 1);
    for (size_t i = 0; i < o->count && rc == SONDE_OK; i++) {
        if (i && o->numbers[i] != o->numbers[i - 1] + 1)
            complain(o, f->dir, 0, 0, "a head chunk file is missing");
        rc = file_open(o, o->numbers[i], i + 1 == o->count, err);
    }
    f->flushed = f->next;
    return rc;
}

static struct head_files *files_new(const char *dir,
                                    const struct head_files_options *o)
{
    struct head_files *f = mem_new(struct head_files);

    f->dir = mem_strdup(sonde_cstr(dir));
    f->read_only = o->read_only;
    f->metrics = o->metrics;
    f->table = vm_alloc(HEAD_FILES_MAX * sizeof(*f->table), 4096);
    f->first = f->next = f->flushed = 1;
    f->cut = true;
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_mutex_init(&f->write_lock, NULL);
    return f;
}

sonde_code head_files_open(const char *dir, const struct head_files_options *o,
                           struct head_files **out, struct sonde_err *err)
{
    struct opening opening = { .files = files_new(dir, o), .options = o };
    sonde_code rc = SONDE_OK;

    arena_init(&opening.arena);
    if (!o->read_only)
        rc = fs_mkdirs(dir, 0750, err);
    if (rc == SONDE_OK && fs_exists(dir))
        rc = open_files(&opening, err);
    arena_fini(&opening.arena);
    if (rc == SONDE_OK)
        *out = opening.files;
    else
        head_files_close(opening.files);
    return rc;
}

void head_files_close(struct head_files *f)
{
    if (!f)
        return;
    head_files_release(f);
    for (uint32_t n = f->first; n < f->next; n++)
        head_file_free(file_at(f, n));
    vm_free((void *)f->table, HEAD_FILES_MAX * sizeof(*f->table));
    (void)pthread_mutex_destroy(&f->lock);
    (void)pthread_mutex_destroy(&f->write_lock);
    free(f->dir);
    free(f);
}

bool head_files_damaged(const struct head_files *f)
{
    return f->damaged;
}
