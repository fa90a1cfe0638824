/* SPDX-License-Identifier: Apache-2.0 */
/* tsdb: selecting by matchers, names and values; the structures below. */
#include "tsdb/label_hash.h"
#include "tsdb/postings.h"
#include "tsdb/series.h"
#include "unit/tap.h"
#include "unit/tsdb_kit.h"
#include "util/str.h"

static const char *const world[] = {
    "up job=api env=prod zone=a",
    "up job=api env=prod zone=b",
    "up job=api env=dev",
    "up job=web env=prod zone=a",
    "up job=web",
    "load job=api env=prod zone=a",
    "load job=batch env=dev zone=ab",
    "load job=batch zone=b",
};
#define WORLD (sizeof(world) / sizeof(world[0]))

static void fill(struct kit *k)
{
    for (size_t i = 0; i < WORLD; i++)
        (void)kit_put(k, world[i], KIT_NOW + (sonde_msec)i, (double)i);
}

struct want {
    enum matcher_op op;
    const char *name, *value;
};

/* A bit for each series of the world that the matchers select. */
static unsigned selected(struct kit *k, const struct want *want,
                         const struct select_hints *hints)
{
    struct matcher ms[4];
    struct storage *st = tsdb_storage(k->db);
    struct querier *q;
    struct series_set *set;
    struct storage_series *s;
    unsigned bits = 0;
    size_t n = 0;

    for (; n < 4 && want[n].name; n++)
        CU_ASSERT_EQUAL(matcher_init(&ms[n], want[n].op,
                                     sonde_cstr(want[n].name),
                                     sonde_cstr(want[n].value), NULL),
                        SONDE_OK);
    CU_ASSERT_EQUAL(st->ops->querier(st, INT64_MIN, INT64_MAX, &q, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL(q->ops->select(q, ms, n, hints, &set, NULL), SONDE_OK);
    while (set->ops->next(set, &s, NULL) == SONDE_OK)
        for (size_t i = 0; i < WORLD; i++) {
            struct labels l = kit_labels(k, world[i]);

            if (labels_eq(&l, &s->labels)) {
                CU_ASSERT_FALSE(bits >> i & 1);
                bits |= 1u << i;
            }
        }
    set->ops->free(set);
    q->ops->free(q);
    for (size_t i = 0; i < n; i++)
        matcher_fini(&ms[i]);
    return bits;
}

static void test_select(void)
{
    static const struct {
        int line;
        struct want want[4];
        unsigned bits;
    } rows[] = {
        { __LINE__, { { 0 } }, 0xff },
        { __LINE__, { { MATCH_EQ, "__name__", "up" } }, 0x1f },
        { __LINE__, { { MATCH_EQ, "__name__", "none" } }, 0 },
        { __LINE__, { { MATCH_EQ, "none", "x" } }, 0 },
        { __LINE__, { { MATCH_EQ, "none", "" } }, 0xff },
        { __LINE__, { { MATCH_NE, "none", "" } }, 0 },
        { __LINE__, { { MATCH_NE, "none", "x" } }, 0xff },
        { __LINE__, { { MATCH_EQ, "zone", "" } }, 0x14 },
        { __LINE__, { { MATCH_NE, "zone", "" } }, 0xeb },
        { __LINE__, { { MATCH_NE, "zone", "a" } }, 0xd6 },
        { __LINE__, { { MATCH_RE, "zone", "a|b" } }, 0xab },
        { __LINE__, { { MATCH_RE, "zone", "a|a" } }, 0x29 },
        { __LINE__, { { MATCH_RE, "zone", "a.*" } }, 0x69 },
        { __LINE__, { { MATCH_RE, "zone", ".+" } }, 0xeb },
        { __LINE__, { { MATCH_RE, "zone", ".*" } }, 0xff },
        { __LINE__, { { MATCH_RE, "zone", "a?" } }, 0x3d },
        { __LINE__, { { MATCH_RE, "zone", "c|d" } }, 0 },
        { __LINE__, { { MATCH_NRE, "zone", "a|b" } }, 0x54 },
        { __LINE__, { { MATCH_NRE, "zone", "a.*" } }, 0x96 },
        { __LINE__, { { MATCH_NRE, "zone", ".*" } }, 0 },
        { __LINE__, { { MATCH_NRE, "zone", ".+" } }, 0x14 },
        { __LINE__, { { MATCH_NRE, "zone", "b?" } }, 0x69 },
        { __LINE__,
          { { MATCH_EQ, "job", "api" }, { MATCH_EQ, "env", "prod" } },
          0x23 },
        { __LINE__,
          { { MATCH_EQ, "job", "api" }, { MATCH_EQ, "job", "web" } },
          0 },
        { __LINE__,
          { { MATCH_EQ, "job", "api" }, { MATCH_NE, "zone", "b" } },
          0x25 },
        { __LINE__,
          { { MATCH_EQ, "__name__", "up" },
            { MATCH_RE, "zone", ".+" },
            { MATCH_NRE, "job", "w.*" } },
          0x03 },
        { __LINE__,
          { { MATCH_RE, "job", "api|web" },
            { MATCH_RE, "zone", "a|b" },
            { MATCH_EQ, "env", "prod" } },
          0x2b },
        { __LINE__,
          { { MATCH_NE, "job", "api" }, { MATCH_EQ, "env", "" } },
          0x90 },
        { __LINE__,
          { { MATCH_RE, "env", ".+" }, { MATCH_RE, "job", ".+i" } },
          0x27 },
    };
    struct kit k;

    kit_init(&k, "select");
    fill(&k);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            unsigned got = selected(&k, rows[i].want, NULL);

            ROW_ASSERT(&rows[i], got == rows[i].bits);
            if (got != rows[i].bits)
                tap_note("got 0x%02x, want 0x%02x", got, rows[i].bits);
        }
        kit_reopen(&k);
    }
    kit_fini(&k);
}

static void test_hints(void)
{
    static const struct want all[1] = { { 0 } };
    struct select_hints hints = { INT64_MIN, INT64_MAX, 3 };
    struct kit k;
    struct appender *a;

    kit_init(&k, "hints");
    fill(&k);
    CU_ASSERT_EQUAL(__builtin_popcount(selected(&k, all, &hints)), 3);
    hints = (struct select_hints){ KIT_NOW + 2, KIT_NOW + 3, 0 };
    CU_ASSERT_EQUAL(selected(&k, all, &hints), 0x0c);
    hints = (struct select_hints){ KIT_NOW + 100, INT64_MAX, 0 };
    CU_ASSERT_EQUAL(selected(&k, all, &hints), 0);
    /* What was made but has no sample is not there. */
    a = storage_appender(tsdb_storage(k.db));
    (void)kit_series(&k, a, "up job=new");
    CU_ASSERT_EQUAL(kit_count(&k, "up job=new"), 0);
    appender_free(a);
    kit_fini(&k);
}

/* "a b c" of the names or values that are there. */
static const char *listed(struct kit *k, const char *label,
                          const struct matcher *m, size_t limit)
{
    struct storage *st = tsdb_storage(k->db);
    struct select_hints hints = { INT64_MIN, INT64_MAX, limit };
    sonde_str name = sonde_cstr(label);
    struct sonde_list list;
    struct querier *q;
    struct buf b;
    const char *text;

    buf_init(&b);
    CU_ASSERT_EQUAL(st->ops->querier(st, INT64_MIN, INT64_MAX, &q, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL(q->ops->label_values(q, label ? &name : NULL, m, m ? 1 : 0,
                                         &hints, &k->arena, &list, NULL),
                    SONDE_OK);
    q->ops->free(q);
    for (size_t i = 0; i < list.count; i++)
        buf_printf(&b, "%s%.*s", i ? " " : "", SONDE_ARG(list.items[i]));
    buf_char(&b, '\0');
    text = arena_cstr(&k->arena, buf_str(&b));
    buf_fini(&b);
    return text;
}

static void test_label_values(void)
{
    struct kit k;
    struct matcher prod = { MATCH_EQ, SONDE_STR("env"), SONDE_STR("prod"),
                            NULL };
    struct matcher bare = { MATCH_EQ, SONDE_STR("zone"), SONDE_STR(""), NULL };
    struct matcher web = { MATCH_EQ, SONDE_STR("job"), SONDE_STR("web"), NULL };

    kit_init(&k, "values");
    CU_ASSERT_STRING_EQUAL(listed(&k, NULL, NULL, 0), "");
    CU_ASSERT_STRING_EQUAL(listed(&k, "job", NULL, 0), "");
    fill(&k);
    CU_ASSERT_STRING_EQUAL(listed(&k, NULL, NULL, 0), "__name__ env job zone");
    CU_ASSERT_STRING_EQUAL(listed(&k, "zone", NULL, 0), "a ab b");
    CU_ASSERT_STRING_EQUAL(listed(&k, "job", NULL, 2), "api batch");
    CU_ASSERT_STRING_EQUAL(listed(&k, "none", NULL, 0), "");
    CU_ASSERT_STRING_EQUAL(listed(&k, "job", &prod, 0), "api web");
    CU_ASSERT_STRING_EQUAL(listed(&k, "zone", &bare, 0), "");
    CU_ASSERT_STRING_EQUAL(listed(&k, NULL, &bare, 0), "__name__ env job");
    CU_ASSERT_STRING_EQUAL(listed(&k, "zone", &web, 0), "a");
    kit_fini(&k);
}

/* ---- below ------------------------------------------------------------ */

static void test_postings(void)
{
    struct postings p = { 0 };
    const struct postings_list *l;
    const struct postings_name *n;
    bool ascending = true;

    for (uint32_t ref = 1; ref <= 10000; ref++) {
        postings_add(&p, 10, 20 + ref % 2, ref);
        postings_add(&p, 5, 1000 + ref, ref);
    }
    l = postings_get(&p, 10, 21);
    CU_ASSERT_PTR_NOT_NULL_FATAL(l);
    CU_ASSERT_EQUAL(l->count, 5000);
    CU_ASSERT_TRUE(l->cap - l->count <= l->count / 8 + 4);
    for (uint32_t i = 0; i < l->count; i++)
        ascending = ascending && postings_refs(l)[i] == i * 2 + 1;
    CU_ASSERT_TRUE(ascending);
    l = postings_get(&p, 5, 11000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(l);
    CU_ASSERT_EQUAL(l->cap, 0);
    CU_ASSERT_EQUAL(postings_refs(l)[0], 10000);
    CU_ASSERT_PTR_NULL(postings_get(&p, 10, 22));
    n = postings_name(&p, 5);
    CU_ASSERT_PTR_NOT_NULL_FATAL(n);
    CU_ASSERT_EQUAL(n->count, 10000);
    CU_ASSERT_PTR_NULL(postings_name(&p, 6));
    postings_add(&p, 10, 21, 4);
    CU_ASSERT_FALSE(p.live);
    postings_sort(&p);
    CU_ASSERT_EQUAL(postings_refs(postings_get(&p, 10, 21))[2], 4);
    postings_fini(&p);
    CU_ASSERT_PTR_NULL(postings_get(&p, 1, 1));
}

static void test_sets(void)
{
    static const uint32_t evens[] = { 2, 4, 6, 8, 10, 400, 70000, 4000000000u };
    struct refs r = { 0 };
    const uint32_t some[] = { 4000000000u, 8, 3, 8, 70000, 1, 2 };
    const uint32_t want[] = { 2, 8, 70000, 4000000000u };

    refs_append(&r, some, 7);
    refs_sort(&r);
    CU_ASSERT_EQUAL(r.count, 6);
    refs_intersect(&r, evens, 8);
    CU_ASSERT_EQUAL_FATAL(r.count, 4);
    CU_ASSERT_EQUAL(memcmp(r.items, want, sizeof(want)), 0);
    refs_intersect(&r, evens, 1);
    CU_ASSERT_EQUAL(r.count, 1);
    refs_intersect(&r, NULL, 0);
    CU_ASSERT_EQUAL(r.count, 0);
    refs_fini(&r);
}

static bool is_same(void *arg, uint32_t ref)
{
    return *(uint32_t *)arg == ref;
}

static void test_hash(void)
{
    struct label_hash h = { 0 };
    uint32_t ref, bad = 0;

    /* Hashes that collide in all, in half, or not at all. */
    for (ref = 1; ref <= 20000; ref++)
        label_hash_add(&h, (uint64_t)(ref / 3) * UINT64_C(0x9e3779b97f4a7c15),
                       ref);
    for (ref = 1; ref <= 20000; ref++)
        bad += label_hash_find(
                   &h, (uint64_t)(ref / 3) * UINT64_C(0x9e3779b97f4a7c15),
                   is_same, &ref) != ref;
    CU_ASSERT_EQUAL(bad, 0);
    ref = 20001;
    CU_ASSERT_EQUAL(label_hash_find(&h, 1, is_same, &ref), 0);
    label_hash_fini(&h);
}

/* Pages that fill in any order, with gaps. */
static void test_table(void)
{
    static const uint32_t refs[] = {
        64, 1, 65, 40, 3, 2, 128, 129, UINT32_MAX, UINT32_MAX - 64, 70000000
    };
    struct series_table t;
    struct series_page *p;
    size_t pages = 0;

    series_table_init(&t);
    for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
        p = series_table_make(&t, refs[i]);
        CU_ASSERT_PTR_NULL(series_page_get(p, refs[i]));
        series_page_add(p, refs[i])->labels = refs[i];
        for (size_t j = 0; j <= i; j++) {
            p = series_table_page(&t, refs[j]);
            CU_ASSERT_PTR_NOT_NULL_FATAL(p);
            CU_ASSERT_PTR_NOT_NULL_FATAL(series_page_get(p, refs[j]));
            CU_ASSERT_EQUAL(series_page_get(p, refs[j])->labels, refs[j]);
        }
    }
    CU_ASSERT_PTR_NULL(series_table_page(&t, 0));
    CU_ASSERT_PTR_NULL(series_table_page(&t, 200));
    CU_ASSERT_PTR_NULL(series_table_page(&t, UINT64_C(1) << 32));
    for (uint32_t page = 0; series_table_next(&t, &page); page++)
        pages++;
    CU_ASSERT_EQUAL(pages, 6);
    series_table_fini(&t);
}

static struct label_set set_of(uint32_t first, uint32_t n, symbol *names,
                               symbol *values)
{
    for (uint32_t j = 0; j < n; j++) {
        names[j] = j + 1;
        values[j] = first + j;
    }
    return (struct label_set){ names, values, n };
}

static bool is_set(const struct label_store *s, uint32_t at, uint32_t first,
                   uint32_t n)
{
    struct label_set got = label_store_get(s, at);
    bool same = got.count == n;

    for (uint32_t j = 0; j < n; j++)
        same = same && got.names[j] == j + 1 && got.values[j] == first + j;
    return same;
}

static void test_label_store(void)
{
    struct label_store s;
    symbol names[100], values[100];
    uint32_t at[3000];
    bool right = true;

    label_store_init(&s);
    for (uint32_t i = 0; i < 3000; i++) {
        struct label_set set = set_of(i, i % 100, names, values);

        CU_ASSERT_TRUE_FATAL(label_store_add(&s, &set, &at[i]));
    }
    for (uint32_t i = 0; i < 3000; i++)
        right = right && is_set(&s, at[i], i, i % 100);
    CU_ASSERT_TRUE(right);
    CU_ASSERT_EQUAL(s.shape_count, 100);
    label_store_fini(&s);
}

/* ---- taking out -------------------------------------------------------- */

static bool has_ref(void *arg, uint32_t ref)
{
    return ref == *(const uint32_t *)arg;
}

/* While the table grows, and is moved in steps, all of it is found. */
static void test_hash_grows(void)
{
    struct label_hash h = { 0 };
    bool right = true;

    for (uint32_t ref = 1; ref <= 200000; ref++) {
        uint32_t other = 1 + ref * 7919u % ref;

        label_hash_add(&h, ref * UINT64_C(0x9e3779b97f4a7c15), ref);
        right =
            right && label_hash_find(&h, other * UINT64_C(0x9e3779b97f4a7c15),
                                     has_ref, &other) == other;
    }
    for (uint32_t ref = 1; ref <= 200000; ref += 2)
        label_hash_remove(&h, ref * UINT64_C(0x9e3779b97f4a7c15), ref);
    for (uint32_t ref = 1; ref <= 200000; ref++)
        right =
            right && (label_hash_find(&h, ref * UINT64_C(0x9e3779b97f4a7c15),
                                      has_ref, &ref) == ref) == (ref % 2 == 0);
    CU_ASSERT_TRUE(right);
    CU_ASSERT_EQUAL(h.used, 100000);
    label_hash_fini(&h);
}

/* Few distinct hashes, so that runs are long and go around the end; taken
 * out while the table moves, too. */
static void test_hash_remove(void)
{
    struct label_hash h = { 0 };
    bool there[2001] = { false }, right = true;
    uint32_t random = 7;

    for (int round = 0; round < 20000; round++) {
        uint32_t ref, other;
        uint64_t hash;

        random = random * 1664525u + 1013904223u;
        ref = 1 + (random >> 8) % 2000;
        hash = (uint64_t)(UINT32_MAX - ref % 97 * 1000003u) << 32;
        if (there[ref])
            label_hash_remove(&h, hash, ref);
        else
            label_hash_add(&h, hash, ref);
        there[ref] = !there[ref];
        other = 1 + (random >> 4) % 2000;
        hash = (uint64_t)(UINT32_MAX - other % 97 * 1000003u) << 32;
        right = right && (label_hash_find(&h, hash, has_ref, &other) ==
                          other) == there[other];
    }
    CU_ASSERT_TRUE(right);
    label_hash_fini(&h);
}

static void test_table_remove(void)
{
    static const uint32_t ids[] = { 64, 65, 70, 129, 70000, UINT32_MAX };
    size_t n = sizeof(ids) / sizeof(ids[0]);
    struct series_table t;
    struct series_page *kept;

    series_table_init(&t);
    for (size_t i = 0; i < n; i++)
        series_page_add(series_table_make(&t, ids[i]), ids[i])->labels = ids[i];
    kept = series_table_page(&t, 65);
    series_page_remove(kept, 65);
    CU_ASSERT_PTR_NULL(series_page_get(kept, 65));
    CU_ASSERT_EQUAL(series_page_get(kept, 70)->labels, 70);
    series_page_remove(kept, 70);
    series_table_remove(&t, kept);
    CU_ASSERT_PTR_NULL(series_table_page(&t, 70));
    /* who holds the page yet finds nothing of another one in it */
    CU_ASSERT_PTR_EQUAL(series_table_make(&t, 1000), kept);
    series_page_add(kept, 1000 - 1000 % 64 + 70 % 64);
    CU_ASSERT_PTR_NULL(series_page_get(kept, 70));
    CU_ASSERT_EQUAL(
        series_page_get(series_table_page(&t, 70000), 70000)->labels, 70000);
    series_table_fini(&t);
}

/* All series of a page, taken out in another order than put in. */
static void test_page_shrinks(void)
{
    struct series_table t;
    struct series_page *p;
    bool right = true;

    series_table_init(&t);
    p = series_table_make(&t, 1);
    for (uint32_t id = 1; id <= 64; id++)
        series_page_add(p, id)->labels = id;
    for (uint32_t i = 0; i < 64; i++) {
        series_page_remove(p, 1 + i * 37 % 64);
        for (uint32_t k = 0; k < 64; k++) {
            uint32_t id = 1 + k * 37 % 64;
            const struct series *s = series_page_get(p, id);

            right = right && (k <= i ? !s : s && s->labels == id);
        }
    }
    CU_ASSERT_TRUE(right);
    CU_ASSERT_EQUAL(p->cap, 0);
    series_table_fini(&t);
}

static void test_label_store_reuse(void)
{
    struct label_store s;
    symbol names[300], values[300];
    uint32_t at[300];
    uint64_t words = 0;
    bool right = true;

    label_store_init(&s);
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = round & 1; i < 300; i += round ? 2 : 1) {
            struct label_set set = set_of(i, 1 + i % 150, names, values);

            CU_ASSERT_TRUE(label_store_add(&s, &set, &at[i]));
        }
        words = round ? words : s.next;
        CU_ASSERT_EQUAL(s.next, words);
        CU_ASSERT_EQUAL(s.free_words, 0);
        CU_ASSERT_EQUAL(s.shape_count, 150);
        for (uint32_t i = 0; i < 300; i++)
            right = right && is_set(&s, at[i], i, 1 + i % 150);
        /* all lists of an odd number of names go, and come back */
        for (uint32_t i = ~round & 1; i < 300; i += 2)
            label_store_remove(&s, at[i]);
        CU_ASSERT_EQUAL(s.shape_count, 75);
        CU_ASSERT_EQUAL(s.shape_end, 150);
    }
    CU_ASSERT_TRUE(right);
    label_store_fini(&s);
}

static void test_postings_drop(void)
{
    static const uint32_t some[] = { 2, 4, 6, 9, 500, 501 };
    struct refs gone = { (uint32_t *)(uintptr_t)some, 6, 6 };
    const struct postings_list *l;
    struct postings p = { 0 };
    uint32_t at = 0, pairs;

    for (uint32_t i = 1; i <= 1000; i++) {
        postings_add(&p, 10, 20, i);
        postings_add(&p, 5, 1000 + i, i);
    }
    postings_sort(&p);
    pairs = postings_pairs(&p);
    postings_drop(&p, postings_number(&p, 10, 20) - 1, &gone);
    for (size_t i = 0; i < gone.count; i++)
        postings_drop(&p, postings_number(&p, 5, 1000 + some[i]) - 1, &gone);
    while (postings_sweep(&p, 5, &at, 7))
        ;
    CU_ASSERT_EQUAL(postings_pairs(&p), pairs - 6);
    CU_ASSERT_PTR_NULL(postings_get(&p, 5, 1009));
    CU_ASSERT_PTR_NOT_NULL(postings_get(&p, 5, 1010));
    CU_ASSERT_EQUAL(postings_name(&p, 5)->count, 994);
    l = postings_get(&p, 10, 20);
    CU_ASSERT_EQUAL_FATAL(l->count, 994);
    CU_ASSERT_EQUAL(postings_refs(l)[1], 3);
    /* numbers come round: what is put before others is where it belongs */
    postings_add(&p, 10, 20, 4);
    CU_ASSERT_EQUAL(postings_refs(postings_get(&p, 10, 20))[2], 4);
    postings_add(&p, 5, 1004, 4);
    CU_ASSERT_EQUAL(postings_pairs(&p), pairs - 5);
    postings_fini(&p);
}

static void test_names_go(void)
{
    static const uint32_t one = 7;
    struct refs gone = { (uint32_t *)(uintptr_t)&one, 1, 1 };
    struct postings p = { 0 };
    uint32_t at = 0;

    postings_add(&p, 1, 2, 7);
    postings_add(&p, 3, 4, 8);
    postings_drop(&p, postings_number(&p, 1, 2) - 1, &gone);
    CU_ASSERT_FALSE(postings_sweep(&p, 1, &at, 100));
    CU_ASSERT_PTR_NULL(postings_name(&p, 1));
    CU_ASSERT_PTR_NOT_NULL(postings_name(&p, 3));
    CU_ASSERT_EQUAL(postings_pairs(&p), 1);
    postings_fini(&p);
}

static const struct tap_test tests[] = {
    { "the label hash grows in steps", test_hash_grows },
    { "the label hash forgets", test_hash_remove },
    { "pages come back", test_table_remove },
    { "a page shrinks", test_page_shrinks },
    { "places of label sets serve again", test_label_store_reuse },
    { "references leave postings, values leave names", test_postings_drop },
    { "names without values go", test_names_go },
    { "matchers select what they say", test_select },
    { "hints narrow a selection", test_hints },
    { "names and values are listed", test_label_values },
    { "postings grow modestly and stay sorted", test_postings },
    { "sets sort and intersect", test_sets },
    { "the label hash finds among collisions", test_hash },
    { "references find their series", test_table },
    { "label sets stay where they are", test_label_store },
};

int main(void)
{
    return TAP_RUN("tsdb_index", tests);
}
