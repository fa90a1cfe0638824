/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label sets as sorted arrays of views. Sets are small (a dozen labels), so
 * lookups walk and sorting inserts; anything cleverer loses to the cache
 * line. A builder keeps its items unsorted while rules change them and sorts
 * once, when somebody looks.
 *
 * The order is Prometheus': bytes of the name, then bytes of the value; a
 * set that ends first comes first. The hash is over the sorted set with a
 * byte between the parts that valid UTF-8 can not have, so that {a="bc"} and
 * {ab="c"} differ. It is not stored anywhere, and may change.
 */
#include "model/labels.h"

#include <stdlib.h>
#include <xxhash.h>

#include "util/bytes.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/utf8.h"

/* Larger sets, which are rare, take memory to be hashed in one go. */
#define HASH_STACK_BYTES 1024
#define HASH_SEPARATOR   '\xff'
/* Above, insertion sort would show. */
#define INSERTION_MAX 24

sonde_str labels_get(const struct labels *l, sonde_str name)
{
    for (size_t i = 0; i < l->count; i++)
        if (sonde_str_eq(l->items[i].name, name))
            return l->items[i].value;
    return (sonde_str){ 0 };
}

/* As sonde_str_eq. Most names and values are of 4 to 16 bytes, for which the
 * call of memcmp costs more than its work; joining series compares many. */
static inline bool same_text(sonde_str a, sonde_str b)
{
    if (a.len != b.len)
        return false;
    if (a.len >= 8 && a.len <= 16)
        return be64_get(a.ptr) == be64_get(b.ptr) &&
               be64_get(a.ptr + a.len - 8) == be64_get(b.ptr + b.len - 8);
    if (a.len >= 4 && a.len < 8)
        return be32_get(a.ptr) == be32_get(b.ptr) &&
               be32_get(a.ptr + a.len - 4) == be32_get(b.ptr + b.len - 4);
    return sonde_str_eq(a, b);
}

bool labels_eq(const struct labels *a, const struct labels *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_text(a->items[i].name, b->items[i].name) ||
            !same_text(a->items[i].value, b->items[i].value))
            return false;
    return true;
}

int labels_cmp(const struct labels *a, const struct labels *b)
{
    size_t n = a->count < b->count ? a->count : b->count;

    for (size_t i = 0; i < n; i++) {
        int c = str_cmp(a->items[i].name, b->items[i].name);

        if (c == 0)
            c = str_cmp(a->items[i].value, b->items[i].value);
        if (c != 0)
            return c;
    }
    return a->count < b->count ? -1 : a->count > b->count;
}

static char *put(char *p, sonde_str s)
{
    if (s.len)
        memcpy(p, s.ptr, s.len);
    p[s.len] = HASH_SEPARATOR;
    return p + s.len + 1;
}

uint64_t labels_hash(const struct labels *l)
{
    char small[HASH_STACK_BYTES];
    char *bytes = small, *p;
    size_t need = 0;
    uint64_t hash;

    for (size_t i = 0; i < l->count; i++)
        need += l->items[i].name.len + l->items[i].value.len + 2;
    if (need > sizeof(small))
        bytes = mem_alloc(need);
    p = bytes;
    *p = '\0'; /* of no labels at all */
    for (size_t i = 0; i < l->count; i++) {
        p = put(p, l->items[i].name);
        p = put(p, l->items[i].value);
    }
    hash = XXH3_64bits(bytes, need);
    if (bytes != small)
        free(bytes);
    return hash;
}

struct labels labels_dup(struct arena *a, const struct labels *l)
{
    struct label *items;
    size_t bytes = 0;
    char *p;

    if (l->count == 0)
        return (struct labels){ 0 };
    items = arena_array(a, struct label, l->count);
    for (size_t i = 0; i < l->count; i++)
        bytes += l->items[i].name.len + l->items[i].value.len;
    p = arena_alloc(a, bytes + 1);
    for (size_t i = 0; i < l->count; i++) {
        const struct label *x = &l->items[i];

        items[i].name = (sonde_str){ p, x->name.len };
        if (x->name.len)
            memcpy(p, x->name.ptr, x->name.len);
        p += x->name.len;
        items[i].value = (sonde_str){ p, x->value.len };
        if (x->value.len)
            memcpy(p, x->value.ptr, x->value.len);
        p += x->value.len;
    }
    return (struct labels){ items, l->count };
}

/* All labels but the name, if it stands in front. */
static void print_set(struct buf *b, const struct labels *l, bool without_name)
{
    const char *separator = "";

    buf_char(b, '{');
    for (size_t i = 0; i < l->count; i++) {
        const struct label *x = &l->items[i];

        if (without_name && sonde_str_eq(x->name, SONDE_STR(LABEL_NAME)))
            continue;
        buf_cstr(b, separator);
        if (label_name_is_legacy(x->name))
            buf_put(b, x->name);
        else
            buf_quote(b, x->name);
        buf_char(b, '=');
        buf_quote(b, x->value);
        separator = ", ";
    }
    buf_char(b, '}');
}

void labels_print_set(struct buf *b, const struct labels *l)
{
    print_set(b, l, false);
}

void labels_print(struct buf *b, const struct labels *l)
{
    sonde_str name = labels_get(l, SONDE_STR(LABEL_NAME));
    bool in_front = metric_name_is_legacy(name);

    if (in_front)
        buf_put(b, name);
    if (!in_front || l->count > 1)
        print_set(b, l, in_front);
}

static bool name_is_legacy(sonde_str s, bool colon)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
            (c >= '0' && c <= '9' && i > 0) || (c == ':' && colon))
            continue;
        return false;
    }
    return s.len > 0;
}

bool metric_name_is_legacy(sonde_str s)
{
    return name_is_legacy(s, true);
}

bool label_name_is_legacy(sonde_str s)
{
    return name_is_legacy(s, false);
}

/* ---- builder ----------------------------------------------------------- */

void labels_builder_init(struct labels_builder *lb, struct arena *a)
{
    *lb = (struct labels_builder){ .arena = a };
}

void labels_builder_reset(struct labels_builder *lb)
{
    /* The arena may have been reset: its memory is not ours any more. */
    labels_builder_init(lb, lb->arena);
}

static void reserve(struct labels_builder *lb, size_t want)
{
    size_t cap = lb->cap ? lb->cap : 16;
    struct label *items;

    if (want <= lb->cap)
        return;
    while (cap < want)
        cap *= 2;
    items = arena_array(lb->arena, struct label, cap);
    if (lb->count)
        memcpy(items, lb->items, lb->count * sizeof(*items));
    lb->items = items;
    lb->cap = cap;
}

void labels_builder_from(struct labels_builder *lb, const struct labels *l)
{
    lb->count = 0;
    reserve(lb, l->count);
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].value.len)
            lb->items[lb->count++] = l->items[i];
}

static struct label *find(const struct labels_builder *lb, sonde_str name)
{
    for (size_t i = 0; i < lb->count; i++)
        if (sonde_str_eq(lb->items[i].name, name))
            return &lb->items[i];
    return NULL;
}

void labels_builder_set(struct labels_builder *lb, sonde_str name,
                        sonde_str value)
{
    struct label *x;

    if (value.len == 0) {
        labels_builder_del(lb, name);
        return;
    }
    x = find(lb, name);
    if (x) {
        x->value = value;
        return;
    }
    reserve(lb, lb->count + 1);
    lb->items[lb->count++] = (struct label){ name, value };
}

void labels_builder_del(struct labels_builder *lb, sonde_str name)
{
    struct label *x = find(lb, name);

    if (!x)
        return;
    lb->count--;
    memmove(x, x + 1, (size_t)(lb->items + lb->count - x) * sizeof(*x));
}

sonde_str labels_builder_get(const struct labels_builder *lb, sonde_str name)
{
    struct label *x = find(lb, name);

    return x ? x->value : (sonde_str){ 0 };
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name,
                   ((const struct label *)b)->name);
}

struct labels labels_builder_view(struct labels_builder *lb)
{
    if (lb->count > INSERTION_MAX) {
        qsort(lb->items, lb->count, sizeof(*lb->items), by_name);
        return (struct labels){ lb->items, lb->count };
    }
    for (size_t i = 1; i < lb->count; i++) {
        struct label x = lb->items[i];
        size_t j = i;

        for (; j > 0 && str_cmp(lb->items[j - 1].name, x.name) > 0; j--)
            lb->items[j] = lb->items[j - 1];
        lb->items[j] = x;
    }
    return (struct labels){ lb->items, lb->count };
}
