/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labels of a series that the cache does not know. What a receiver should
 * get is sorted, without empty or repeated names. Senders differ, so: labels
 * are sorted here; one with an empty value is left out, which means the same;
 * names may be any UTF-8, in 1.0 too, as Prometheus 3 sends and takes them.
 * What is left can not be taken: no metric name, an empty name, a name twice,
 * bytes that are not UTF-8, too many.
 */
#include <stdlib.h>

#include "remote/receive_int.h"
#include "remote/wire.h"
#include "util/mem.h"
#include "util/str.h"

/* ---- as sent ----------------------------------------------------------- */

/* Label: 1 name, 2 value. */
static bool label_read(sonde_str message, struct label *out)
{
    struct reader r = reader_of(message);
    struct wire_field f;

    *out = (struct label){ 0 };
    while (wire_next(&r, &f)) {
        if (f.number != 1 && f.number != 2)
            continue;
        if (!wire_is(&r, &f, WIRE_BYTES))
            return false;
        *(f.number == 1 ? &out->name : &out->value) = f.bytes;
    }
    return !r.failed;
}

static size_t fields_count(sonde_str raw, uint64_t number)
{
    struct reader r = reader_of(raw);
    struct wire_field f;
    size_t n = 0;

    while (wire_next(&r, &f))
        n += f.number == number;
    return n;
}

static sonde_code too_many(size_t n, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EINVAL, "%zu labels, at most %d are taken",
                         n, RECEIVE_LABELS_MAX);
}

static sonde_code read_fields(struct receive_desk *d, sonde_str raw,
                              struct label **items, size_t *n,
                              struct sonde_err *err)
{
    struct reader r = reader_of(raw);
    struct wire_field f;
    size_t count = fields_count(raw, 1);

    *n = 0;
    if (count > RECEIVE_LABELS_MAX)
        return too_many(count, err);
    *items = arena_array(&d->arena, struct label, count + 1);
    while (wire_next(&r, &f)) {
        if (f.number != 1)
            continue;
        if (!wire_is(&r, &f, WIRE_BYTES) || !label_read(f.bytes, &(*items)[*n]))
            return sonde_err_set(err, SONDE_EPARSE, "a broken label");
        ++*n;
    }
    if (r.failed)
        return sonde_err_set(err, SONDE_EPARSE, "broken labels");
    return SONDE_OK;
}

/* The references behind a packed field's tag and length. */
static struct reader references_of(sonde_str raw)
{
    struct reader r = reader_of(raw);
    struct wire_field f = { 0 };

    (void)wire_next(&r, &f);
    return reader_of(f.bytes);
}

static sonde_code read_references(struct receive_desk *d, sonde_str raw,
                                  struct label **items, size_t *n,
                                  struct sonde_err *err)
{
    struct reader r = references_of(raw);
    size_t count =
        wire_packed_count((sonde_str){ (const char *)r.p, reader_left(&r) });

    *n = 0;
    if (count % 2)
        return sonde_err_set(err, SONDE_EINVAL,
                             "%zu label references, which is odd", count);
    if (count / 2 > RECEIVE_LABELS_MAX)
        return too_many(count / 2, err);
    *items = arena_array(&d->arena, struct label, count / 2 + 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t ref = wire_uvarint(&r);

        if (r.failed || ref >= d->symbol_count)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "label reference %llu of %zu symbols",
                                 (unsigned long long)ref, d->symbol_count);
        if (i % 2)
            (*items)[(*n)++].value = d->symbols[ref];
        else
            (*items)[*n].name = d->symbols[ref];
    }
    return SONDE_OK;
}

/* ---- as a set ---------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name,
                   ((const struct label *)b)->name);
}

static sonde_code check_label(const struct label *l, struct sonde_err *err)
{
    if (l->name.len == 0)
        return sonde_err_set(err, SONDE_EINVAL, "a label without a name");
    if (!str_is_utf8(l->name))
        return sonde_err_set(err, SONDE_EINVAL,
                             "a label name that is not UTF-8");
    if (!str_is_utf8(l->value))
        return sonde_err_set(err, SONDE_EINVAL,
                             "label %.*s has a value that is not UTF-8",
                             SONDE_ARG(str_sub(l->name, 0, 64)));
    return SONDE_OK;
}

/* Checks, drops empty ones, sorts. */
static sonde_code labels_settle(struct label *items, size_t *n,
                                struct sonde_err *err)
{
    size_t kept = 0;
    bool sorted = true;

    for (size_t i = 0; i < *n; i++) {
        sonde_code rc = check_label(&items[i], err);

        if (rc != SONDE_OK)
            return rc;
        if (items[i].value.len == 0)
            continue;
        sorted &= kept == 0 || by_name(&items[kept - 1], &items[i]) < 0;
        items[kept++] = items[i];
    }
    *n = kept;
    if (sorted)
        return SONDE_OK;
    qsort(items, kept, sizeof(*items), by_name);
    for (size_t i = 1; i < kept; i++)
        if (sonde_str_eq(items[i - 1].name, items[i].name))
            return sonde_err_set(err, SONDE_EINVAL, "label %.*s twice",
                                 SONDE_ARG(str_sub(items[i].name, 0, 64)));
    return SONDE_OK;
}

sonde_code receive_labels(struct receive_desk *d, sonde_str raw, bool need_name,
                          struct labels *out, struct sonde_err *err)
{
    struct label *items = NULL;
    size_t n = 0;
    sonde_code rc = d->version == 2 ? read_references(d, raw, &items, &n, err)
                                    : read_fields(d, raw, &items, &n, err);

    if (rc == SONDE_OK)
        rc = labels_settle(items, &n, err);
    *out = (struct labels){ items, n };
    if (rc == SONDE_OK && need_name &&
        labels_get(out, SONDE_STR(LABEL_NAME)).len == 0)
        rc = sonde_err_set(err, SONDE_EINVAL, "no metric name");
    return rc;
}

/* ---- as a key ---------------------------------------------------------- */

/* References mean other symbols in each request, so the key of a 2.0 series is
 * that of its symbols' keys. With references that can not be, the series will
 * be refused and never be cached; any key does. */
static struct receive_key references_key(struct receive_desk *d, sonde_str raw)
{
    const struct receive_cache *c = &d->receiver->cache;
    struct reader r = references_of(raw);
    size_t n = 0;

    while (reader_left(&r) && n < (size_t)2 * RECEIVE_LABELS_MAX) {
        uint64_t ref = wire_uvarint(&r);

        if (ref >= d->symbol_count)
            return receive_cache_key(c, raw);
        d->keys[n++] = d->symbol_keys[ref];
    }
    return receive_cache_key(
        c, (sonde_str){ (const char *)d->keys, n * sizeof(*d->keys) });
}

struct receive_key receive_series_key(struct receive_desk *d, sonde_str raw)
{
    if (d->version == 2)
        return references_key(d, raw);
    return receive_cache_key(&d->receiver->cache, raw);
}
