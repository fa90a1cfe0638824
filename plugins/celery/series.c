/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters and histograms of tasks.
 *
 * All counters of one task on one host from one queue are one structure, so
 * an event costs one look-up. Their number is bounded by the owner's option,
 * the kinds of exception by a constant: both come from outside.
 */
#include "series.h"

#include <stdlib.h>

#define KEY_MAX 1024

static struct series *series_of(struct node *n)
{
    return TABLE_OWNER(struct series, n);
}

static void series_free(struct series *s)
{
    for (size_t i = 0; i < s->failure_count; i++)
        free(s->failures[i].exception);
    free(s->failures);
    free(s->runtime);
    free(s->wait);
    free(s);
}

static size_t put(char *to, sonde_str s)
{
    if (s.len)
        memcpy(to, s.ptr, s.len);
    to[s.len] = '\0';
    return s.len + 1;
}

static struct series *series_new(struct series_set *set, sonde_str key,
                                 const sonde_str parts[3])
{
    struct series *s = calloc(1, sizeof(*s) + key.len);
    char *at;

    if (!s)
        return NULL;
    at = s->key;
    memcpy(at, key.ptr, key.len);
    s->name = (sonde_str){ at, parts[0].len };
    s->host = (sonde_str){ at + parts[0].len + 1, parts[1].len };
    s->queue =
        (sonde_str){ at + parts[0].len + parts[1].len + 2, parts[2].len };
    if (!table_add(&set->table, &s->node, (sonde_str){ at, key.len })) {
        free(s);
        return NULL;
    }
    return s;
}

struct series *series_get(struct series_set *set, sonde_str name,
                          sonde_str host, sonde_str queue)
{
    const sonde_str parts[3] = { name, host, queue };
    char bytes[KEY_MAX];
    sonde_str key = { bytes, 0 };
    struct node *n;

    if (name.len + host.len + queue.len + 3 > sizeof(bytes))
        return NULL;
    for (size_t i = 0; i < 3; i++)
        key.len += put(bytes + key.len, parts[i]);
    n = table_find(&set->table, key);
    if (n)
        return series_of(n);
    return set->table.count < set->limit ? series_new(set, key, parts) : NULL;
}

static struct failure *find_failure(struct series *s, sonde_str exception)
{
    for (size_t i = 0; i < s->failure_count; i++) {
        if (text_is(exception, s->failures[i].exception))
            return &s->failures[i];
    }
    return NULL;
}

bool series_failed(struct series *s, sonde_str exception, uint64_t by,
                   double now)
{
    struct failure *f = find_failure(s, exception);
    char *name;

    if (!f && s->failure_count >= EXCEPTIONS_MAX) {
        exception = SONDE_STR("other");
        f = find_failure(s, exception);
    }
    if (f) {
        f->count += by;
        return true;
    }
    name = text_copy(exception);
    f = realloc(s->failures, (s->failure_count + 1) * sizeof(*f));
    if (f)
        s->failures = f;
    if (!f || !name) {
        free(name);
        return false;
    }
    s->failures[s->failure_count++] =
        (struct failure){ .exception = name, .count = by, .created = now };
    return true;
}

bool series_observe(struct histogram **h, const struct bounds *bounds,
                    double value, double now)
{
    if (!*h) {
        *h = calloc(1, sizeof(**h) + bounds->count * sizeof((*h)->counts[0]));
        if (!*h)
            return false;
        (*h)->created = now;
    }
    for (size_t i = 0; i < bounds->count; i++) {
        if (value <= bounds->upper[i]) {
            (*h)->counts[i]++;
            break;
        }
    }
    (*h)->count++;
    (*h)->sum += value;
    return true;
}

void series_purge(struct series_set *set, sonde_str host)
{
    TABLE_EACH(&set->table, n, after)
    {
        struct series *s = series_of(n);

        if (!sonde_str_eq(s->host, host))
            continue;
        table_remove(&set->table, n);
        series_free(s);
    }
}

void series_fini(struct series_set *set)
{
    TABLE_EACH(&set->table, n, after)
    {
        series_free(series_of(n));
    }
    table_fini(&set->table);
}
