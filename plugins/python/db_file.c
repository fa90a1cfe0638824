/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of values: four bytes that say how many bytes are in use (these
 * included), four bytes of nothing, then entries. An entry is a key's length
 * in four bytes, the key, 1 to 8 blanks so that what follows is aligned, the
 * value, and since prometheus_client 0.17 the time at which it was set. All
 * numbers are the machine's own. The file is grown in advance and mapped by
 * its process, which writes an entry before it counts it as used, and never
 * moves or removes one.
 *
 * So reading what is in use, the count first, gives whole entries whatever
 * the process does meanwhile. We read and do not map: a mapped file that is
 * cut while we look at it would end us.
 *
 * Nothing says whether there are times. Read in the wrong way, a file breaks
 * at the second entry (a key begins with '[', a time's bytes are no length),
 * so both ways are walked and the one that comes further is right.
 */
#include "db_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES 8
#define LEN_BYTES  4

/* ---- names --------------------------------------------------------------- */

static bool starts(sonde_str *s, sonde_str with)
{
    if (s->len < with.len || memcmp(s->ptr, with.ptr, with.len) != 0)
        return false;
    s->ptr += with.len;
    s->len -= with.len;
    return true;
}

bool db_mode_parse(sonde_str text, enum db_mode *mode, bool *live)
{
    static const struct {
        sonde_str name;
        enum db_mode mode;
    } modes[] = {
        { SONDE_STR("all"), DB_ALL },
        { SONDE_STR("min"), DB_MIN },
        { SONDE_STR("max"), DB_MAX },
        { SONDE_STR("sum"), DB_SUM },
        { SONDE_STR("mostrecent"), DB_MOST_RECENT },
    };

    *live = starts(&text, SONDE_STR("live"));
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (sonde_str_eq(text, modes[i].name)) {
            *mode = modes[i].mode;
            return true;
        }
    }
    return false;
}

/* It becomes a label. */
static bool pid_ok(sonde_str pid)
{
    for (size_t i = 0; i < pid.len; i++) {
        if (pid.ptr[i] <= ' ' || pid.ptr[i] > '~')
            return false;
    }
    return pid.len > 0;
}

bool db_name_parse(sonde_str file, struct db_name *out)
{
    static const struct {
        sonde_str prefix;
        enum db_kind kind;
    } kinds[] = {
        { SONDE_STR("counter_"), DB_COUNTER },
        { SONDE_STR("gauge_"), DB_GAUGE },
        { SONDE_STR("histogram_"), DB_HISTOGRAM },
        { SONDE_STR("summary_"), DB_SUMMARY },
    };
    const size_t n = sizeof(kinds) / sizeof(kinds[0]);
    const char *cut;
    size_t i = 0;

    if (file.len < 3 || memcmp(file.ptr + file.len - 3, ".db", 3) != 0)
        return false;
    file.len -= 3;
    while (i < n && !starts(&file, kinds[i].prefix))
        i++;
    if (i == n)
        return false;
    *out = (struct db_name){ .kind = kinds[i].kind, .pid = file };
    if (out->kind != DB_GAUGE)
        return pid_ok(out->pid);
    cut = memchr(file.ptr, '_', file.len);
    if (!cut ||
        !db_mode_parse((sonde_str){ file.ptr, (size_t)(cut - file.ptr) },
                       &out->mode, &out->live))
        return false;
    out->pid.ptr = cut + 1;
    out->pid.len = (size_t)(file.ptr + file.len - out->pid.ptr);
    return pid_ok(out->pid);
}

/* ---- values -------------------------------------------------------------- */

static uint32_t u32_at(const char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static double double_at(const char *p)
{
    double v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* The entry at w->at, and where the next one begins. */
static bool entry_at(const struct db_walk *w, struct db_entry *out,
                     size_t *next)
{
    size_t left = w->end - w->at, tail = w->stamps ? 16 : 8, len, values;
    const char *key = w->data + w->at + LEN_BYTES;

    if (left < LEN_BYTES + tail)
        return false;
    len = u32_at(w->data + w->at);
    if (len < 2 || len > left - LEN_BYTES - tail)
        return false;
    values = w->at + LEN_BYTES + len + 8 - (LEN_BYTES + len) % 8;
    if (values > w->end || w->end - values < tail)
        return false;
    if (key[0] != '[' || key[len - 1] != ']')
        return false;
    *next = values + tail;
    *out = (struct db_entry){
        .key = { key, len },
        .value = double_at(w->data + values),
        .stamp = w->stamps ? double_at(w->data + values + 8) : 0,
    };
    return true;
}

static size_t reach(struct db_walk w)
{
    struct db_entry e;

    while (entry_at(&w, &e, &w.at))
        ;
    return w.at;
}

void db_walk_begin(struct db_walk *w, const char *data, size_t len)
{
    size_t used = len >= HEAD_BYTES ? u32_at(data) : 0;
    size_t plain, stamped;

    *w = (struct db_walk){ .data = data, .at = HEAD_BYTES };
    w->damaged = used > len || (used > 0 && used < HEAD_BYTES);
    if (used < HEAD_BYTES) { /* just made, or no file of this kind */
        w->end = HEAD_BYTES;
        return;
    }
    w->end = used < len ? used : len;
    plain = reach(*w);
    w->stamps = true;
    stamped = reach(*w);
    w->stamps = stamped >= plain;
}

bool db_walk_next(struct db_walk *w, struct db_entry *out)
{
    if (w->at >= w->end)
        return false;
    if (entry_at(w, out, &w->at))
        return true;
    w->damaged = true;
    w->at = w->end;
    return false;
}

/* ---- reading ------------------------------------------------------------- */

static bool reserve(struct db_buffer *b, size_t need)
{
    size_t cap = need > 4096 ? need + need / 4 : 4096;
    char *grown;

    if (b->cap >= need)
        return true;
    grown = realloc(b->data, cap);
    if (!grown)
        return false;
    b->data = grown;
    b->cap = cap;
    return true;
}

static sonde_code failed(struct sonde_err *err, const char *what,
                         const char *name)
{
    sonde_code code = errno == ENOENT   ? SONDE_ENOTFOUND
                      : errno == EACCES ? SONDE_EACCESS
                                        : SONDE_EIO;

    return sonde_err_set(err, code, "%s %s: %s", what, name, strerror(errno));
}

/* Fills the buffer from `at` to `to`; less when the file ends before. */
static sonde_code fill(int fd, const char *name, struct db_buffer *b, size_t at,
                       size_t to, size_t *got, struct sonde_err *err)
{
    while (at < to) {
        ssize_t n = pread(fd, b->data + at, to - at, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(err, "read", name);
        if (n == 0)
            break;
        at += (size_t)n;
    }
    *got = at;
    return SONDE_OK;
}

static sonde_code read_used(int fd, const char *name, size_t limit,
                            struct db_buffer *b, size_t *len,
                            struct sonde_err *err)
{
    struct stat st;
    size_t used;
    sonde_code rc;

    if (fstat(fd, &st) != 0)
        return failed(err, "stat", name);
    if (!S_ISREG(st.st_mode))
        return sonde_err_set(err, SONDE_EINVAL, "%s is no regular file", name);
    if (!reserve(b, HEAD_BYTES))
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    rc = fill(fd, name, b, 0, HEAD_BYTES, len, err);
    if (rc != SONDE_OK || *len < HEAD_BYTES)
        return rc;
    used = u32_at(b->data);
    if (used > (size_t)st.st_size)
        used = (size_t)st.st_size;
    if (used > limit)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "%s has %zu bytes in use, at most %zu are read",
                             name, used, limit);
    if (used <= HEAD_BYTES)
        return SONDE_OK;
    if (!reserve(b, used))
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    return fill(fd, name, b, HEAD_BYTES, used, len, err);
}

sonde_code db_file_read(int dir, const char *name, size_t limit,
                        struct db_buffer *b, size_t *len, struct sonde_err *err)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    sonde_code rc;

    *len = 0;
    if (fd < 0)
        return failed(err, "open", name);
    rc = read_used(fd, name, limit, b, len, err);
    (void)close(fd);
    return rc;
}

void db_buffer_fini(struct db_buffer *b)
{
    free(b->data);
    *b = (struct db_buffer){ 0 };
}
