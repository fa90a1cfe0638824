/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log speaks of series by reference; an endpoint is sent all labels with
 * every sample. The labels come from the store, external labels are added
 * where absent, write_relabel_configs run, and the result is encoded.
 *
 * Keeping that for every series would cost an endpoint as much memory as the
 * store itself, so the cache is bounded. A scrape asks for the same series
 * in the same order again and again, and there the least recently used entry
 * is the worst one to throw away: everything would be thrown away just
 * before it is asked for again. So what came first stays, what does not fit
 * is made anew each time, and the whole cache is forgotten now and then, for
 * series that are gone.
 *
 * With rules, two bits for each reference remember whether they drop it, so
 * that dropped samples never get into a batch. References count up from 1;
 * those beyond the bound of the bitmap are judged each time.
 */
#include "remote/source.h"

#include <stdlib.h>

#include "remote/encode.h"
#include "util/mem.h"

#define CACHE_BYTES       ((size_t)8 << 20)
#define CACHE_SLOTS_MAX   ((size_t)1 << 17)
#define CACHE_AGE_MS      600000
#define VERDICT_BYTES_MAX ((size_t)16 << 20)

struct source_slot {
    uint64_t ref; /* 0: free */
    uint32_t offset, len;
};

enum verdict {
    VERDICT_NONE,
    VERDICT_KEEP,
    VERDICT_DROP,
};

void source_init(struct source *s, struct storage *storage,
                 const struct config_map *external,
                 const struct config_blocks *rules)
{
    *s = (struct source){ .storage = storage,
                          .external = external,
                          .rules = rules->items,
                          .rule_count = rules->count };
    arena_init(&s->arena);
}

static void forget_labels(struct source *s)
{
    buf_fini(&s->cached);
    free(s->slots);
    s->slots = NULL;
    s->slot_count = s->slots_used = 0;
}

void source_fini(struct source *s)
{
    arena_fini(&s->arena);
    buf_fini(&s->encoded);
    free(s->verdicts);
    forget_labels(s);
}

/* ---- verdicts --------------------------------------------------------- */

static enum verdict verdict_get(const struct source *s, uint64_t ref)
{
    uint64_t byte = ref / 4;

    if (byte >= s->verdict_bytes)
        return VERDICT_NONE;
    return (enum verdict)(s->verdicts[byte] >> (ref % 4 * 2) & 3);
}

static void verdict_set(struct source *s, uint64_t ref, enum verdict v)
{
    uint64_t byte = ref / 4;
    size_t before = s->verdict_bytes;

    if (byte >= VERDICT_BYTES_MAX)
        return;
    if (byte >= before) {
        s->verdicts =
            mem_grow(s->verdicts, &s->verdict_bytes, (size_t)byte + 1, 1);
        memset(s->verdicts + before, 0, s->verdict_bytes - before);
    }
    s->verdicts[byte] = (uint8_t)(s->verdicts[byte] | v << (ref % 4 * 2));
}

/* ---- the cache -------------------------------------------------------- */

static struct source_slot *slot_of(const struct source *s, uint64_t ref)
{
    size_t mask = s->slot_count - 1;
    size_t i = (size_t)(ref * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;

    while (s->slots[i].ref && s->slots[i].ref != ref)
        i = (i + 1) & mask;
    return &s->slots[i];
}

static bool cache_find(const struct source *s, uint64_t ref, sonde_str *out)
{
    const struct source_slot *slot;

    if (!s->slot_count)
        return false;
    slot = slot_of(s, ref);
    *out = (sonde_str){ s->cached.data + slot->offset, slot->len };
    return slot->ref == ref;
}

static void grow_slots(struct source *s)
{
    struct source_slot *old = s->slots;
    size_t n = s->slot_count;

    s->slot_count = n ? 2 * n : 256;
    s->slots = mem_zalloc(s->slot_count * sizeof(*s->slots));
    for (size_t i = 0; i < n; i++)
        if (old[i].ref)
            *slot_of(s, old[i].ref) = old[i];
    free(old);
}

static void cache_keep(struct source *s, uint64_t ref, sonde_str labels)
{
    if (ref == 0 || labels.len > CACHE_BYTES - s->cached.len ||
        s->slots_used >= CACHE_SLOTS_MAX * 3 / 4)
        return;
    if (s->slots_used >= s->slot_count * 3 / 4)
        grow_slots(s);
    *slot_of(s, ref) = (struct source_slot){
        .ref = ref,
        .offset = (uint32_t)s->cached.len,
        .len = (uint32_t)labels.len,
    };
    s->slots_used++;
    buf_put(&s->cached, labels);
}

void source_age(struct source *s, sonde_msec monotonic_ms)
{
    if (monotonic_ms - s->cached_since < CACHE_AGE_MS)
        return;
    forget_labels(s);
    s->cached_since = monotonic_ms;
}

/* ---- labels ----------------------------------------------------------- */

static bool has_label(const struct labels *l, sonde_str name)
{
    for (size_t i = 0; i < l->count; i++)
        if (sonde_str_eq(l->items[i].name, name))
            return true;
    return false;
}

/* The labels to be sent, in the arena. */
static enum source_got make_labels(struct source *s, uint64_t ref,
                                   struct labels *out)
{
    const struct config_map *external = s->external;
    struct labels_builder lb;
    struct labels stored;

    arena_reset(&s->arena);
    if (!s->storage->ops->labels(s->storage, ref, &s->arena, &stored))
        return SOURCE_UNKNOWN;
    labels_builder_init(&lb, &s->arena);
    labels_builder_from(&lb, &stored);
    for (size_t i = 0; external && i < external->count; i++) {
        const struct config_pair *pair = &external->items[i];

        if (pair->values.count && !has_label(&stored, pair->key))
            labels_builder_set(&lb, pair->key, pair->values.items[0]);
    }
    if (!relabel(s->rules, s->rule_count, &lb))
        return SOURCE_DROPPED;
    *out = labels_builder_view(&lb);
    return out->count ? SOURCE_LABELS : SOURCE_DROPPED;
}

enum source_got source_labels(struct source *s, uint64_t ref, sonde_str *out)
{
    struct labels labels;
    enum source_got got;

    if (cache_find(s, ref, out))
        return SOURCE_LABELS;
    got = make_labels(s, ref, &labels);
    if (got != SOURCE_LABELS)
        return got;
    buf_reset(&s->encoded);
    encode_labels(&s->encoded, &labels);
    *out = buf_str(&s->encoded);
    cache_keep(s, ref, *out);
    return SOURCE_LABELS;
}

bool source_wants(struct source *s, uint64_t ref)
{
    enum verdict v;
    sonde_str ignored;

    if (s->rule_count == 0)
        return true;
    v = verdict_get(s, ref);
    if (v != VERDICT_NONE)
        return v == VERDICT_KEEP;
    switch (source_labels(s, ref, &ignored)) {
    case SOURCE_LABELS:
        verdict_set(s, ref, VERDICT_KEEP);
        return true;
    case SOURCE_DROPPED:
        verdict_set(s, ref, VERDICT_DROP);
        return false;
    case SOURCE_UNKNOWN:
        break;
    }
    return true;
}
