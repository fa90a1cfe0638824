/* SPDX-License-Identifier: Apache-2.0 */
/* scrape: the series cache, the family cache, schedule offsets. */
#include <stdlib.h>
#include <string.h>

#include "scrape/exemplar_cache.h"
#include "scrape/family_cache.h"
#include "scrape/series_cache.h"
#include "scrape/target.h"
#include "unit/tap.h"
#include "util/str.h"

/* Runs rounds over lines given as letters; what is gone is written down. */
struct rounds {
    struct series_cache cache;
    series_ref next_ref;
    char gone[64];
    size_t gone_count;
};

static void note_gone(void *arg, series_ref ref)
{
    struct rounds *r = arg;

    r->gone[r->gone_count++] = (char)ref;
    r->gone[r->gone_count] = '\0';
}

/* Hashes of one letter each, with collisions in the low bits. */
static uint64_t hash_of(char c)
{
    return (uint64_t)(unsigned char)c << 40 | 7;
}

static void see(struct rounds *r, const char *lines)
{
    for (; *lines; lines++) {
        uint64_t h = hash_of(*lines);
        struct cached_series *e = series_cache_find(&r->cache, h);

        if (!e)
            e = series_cache_add(&r->cache, h, (unsigned char)*lines,
                                 *lines == 'd');
        CU_ASSERT(*lines == 'd' || cached_ref(e) == (unsigned char)*lines);
        (void)series_cache_touch(&r->cache, e, *lines == 't');
    }
}

static const char *round_ok(struct rounds *r, const char *lines)
{
    r->gone_count = 0;
    r->gone[0] = '\0';
    series_cache_begin(&r->cache);
    see(r, lines);
    series_cache_end(&r->cache, note_gone, r);
    return r->gone;
}

static const char *round_failed(struct rounds *r, const char *lines)
{
    r->gone_count = 0;
    r->gone[0] = '\0';
    series_cache_begin(&r->cache);
    see(r, lines);
    series_cache_fail(&r->cache, note_gone, r);
    return r->gone;
}

/* Each row is what one scrape showed, whether it failed in the end, and which
 * series must get a stale marker. 'd' is dropped by relabeling, 't' has its
 * own time. */
static void test_staleness(void)
{
    static const struct {
        int line;
        const char *lines;
        bool fails;
        const char *gone;
        size_t added;
    } rows[] = {
        { __LINE__, "abc", false, "", 3 },
        { __LINE__, "abc", false, "", 0 },
        { __LINE__, "ac", false, "b", 0 },
        { __LINE__, "abc", false, "", 1 },
        { __LINE__, "cba", false, "", 0 },
        { __LINE__, "axbyc", false, "", 2 },
        { __LINE__, "axbyc", false, "", 0 },
        { __LINE__, "", false, "abcxy", 0 },
        { __LINE__, "ab", false, "", 2 },
        { __LINE__, "an", true, "ab", 1 },
        { __LINE__, "", true, "", 0 },
        { __LINE__, "ab", false, "", 2 },
        { __LINE__, "dta", false, "b", 1 },
        { __LINE__, "", false, "a", 0 },
    };
    struct rounds r = { 0 };

    series_cache_init(&r.cache);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *gone = rows[i].fails ? round_failed(&r, rows[i].lines)
                                         : round_ok(&r, rows[i].lines);

        ROW_ASSERT(&rows[i], strlen(gone) == strlen(rows[i].gone));
        for (const char *p = rows[i].gone; *p; p++)
            ROW_ASSERT(&rows[i], strchr(gone, *p) != NULL);
        ROW_ASSERT(&rows[i], r.cache.added == rows[i].added);
    }
    series_cache_fini(&r.cache);
}

static void test_same_twice(void)
{
    struct series_cache c;
    struct cached_series *e;

    series_cache_init(&c);
    series_cache_begin(&c);
    e = series_cache_add(&c, 1, 1, false);
    CU_ASSERT_TRUE(series_cache_touch(&c, e, false));
    e = series_cache_find(&c, 1);
    CU_ASSERT_FALSE(series_cache_touch(&c, e, false));
    series_cache_fini(&c);
}

static bool is_vowel(void *arg, series_ref ref)
{
    (void)arg;
    return strchr("aeiou", (int)ref) != NULL;
}

/* What the store gave up is new when it comes back, and nothing else is. */
static void test_recheck(void)
{
    struct rounds r = { 0 };

    series_cache_init(&r.cache);
    (void)round_ok(&r, "abcde");
    CU_ASSERT_EQUAL(r.cache.count, 5);
    series_cache_recheck(&r.cache, is_vowel, NULL);
    CU_ASSERT_EQUAL(r.cache.count, 3); /* d is dropped by relabeling */
    CU_ASSERT_PTR_NULL(series_cache_find(&r.cache, hash_of('b')));
    CU_ASSERT_PTR_NOT_NULL(series_cache_find(&r.cache, hash_of('d')));
    CU_ASSERT_STRING_EQUAL(round_ok(&r, "abcd"), "e");
    CU_ASSERT_EQUAL(r.cache.added, 2);
    CU_ASSERT_STRING_EQUAL(round_ok(&r, "abcd"), "");
    series_cache_recheck(&r.cache, is_vowel, NULL);
    CU_ASSERT_STRING_EQUAL(round_failed(&r, ""), "a");
    CU_ASSERT_STRING_EQUAL(round_ok(&r, "zyabx"), "");
    series_cache_fini(&r.cache);
}

/* Round numbers wrap after 65535 scrapes: nothing may come back to life. */
static void test_rounds_wrap(void)
{
    struct rounds r = { 0 };

    series_cache_init(&r.cache);
    (void)round_ok(&r, "ab");
    for (int i = 0; i < 70000; i++)
        CU_ASSERT_FATAL(round_ok(&r, "ab")[0] == '\0');
    CU_ASSERT_STRING_EQUAL(round_ok(&r, "a"), "b");
    series_cache_fini(&r.cache);
}

/* A random walk against a model that only knows sets. */
static void test_against_model(void)
{
    struct rounds r = { 0 };
    bool live[26] = { false };
    unsigned seed = 4711;

    series_cache_init(&r.cache);
    for (int round = 0; round < 5000; round++) {
        char lines[27] = "";
        size_t n = 0;
        bool now[26] = { false };
        size_t lost = 0;
        bool fails = rand_r(&seed) % 10 == 0;

        for (int k = rand_r(&seed) % 26; k > 0; k--) {
            int s = rand_r(&seed) % 26;

            if (now[s] || s == 'd' - 'a' || s == 't' - 'a')
                continue;
            now[s] = true;
            lines[n++] = (char)('a' + s);
        }
        for (int s = 0; s < 26; s++)
            lost += live[s] && (fails || !now[s]);
        CU_ASSERT_FATAL(strlen(fails ? round_failed(&r, lines)
                                     : round_ok(&r, lines)) == lost);
        for (int s = 0; s < 26; s++)
            live[s] = !fails && now[s];
    }
    series_cache_fini(&r.cache);
}

static void note(struct family_cache *c, const char *family, const char *help)
{
    family_cache_note(c, &(struct expo_meta){ .kind = EXPO_META_TYPE,
                                              .family = sonde_cstr(family),
                                              .type = METRIC_GAUGE });
    family_cache_note(c, &(struct expo_meta){ .kind = EXPO_META_HELP,
                                              .family = sonde_cstr(family),
                                              .text = sonde_cstr(help) });
}

/* Exemplars as a target shows them, scrape by scrape: only what is not as the
 * last time is new. */
static void test_exemplars(void)
{
    static const struct {
        int line;
        const char *shown; /* a letter for the series, one for the text    */
        const char *had;   /* for each whether it was there                */
        bool fails;
    } rows[] = {
        { __LINE__, "a1b1c1", "nnn", false },
        { __LINE__, "a1b1c1", "yyy", false },
        { __LINE__, "a1b2c1", "yny", false },
        { __LINE__, "a9b9c9", "nnn", true }, /* a failed one is forgotten  */
        { __LINE__, "a1b2c1", "yyy", false },
        { __LINE__, "a1x1c1d1", "ynyn", false },
        { __LINE__, "d1", "y", false },
        { __LINE__, "", "", false },
        { __LINE__, "a1", "n", false },
    };
    struct exemplar_cache c = { 0 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        exemplar_cache_begin(&c);
        for (size_t k = 0; rows[i].had[k]; k++) {
            bool had = exemplar_cache_had(&c, (series_ref)rows[i].shown[k * 2],
                                          (uint64_t)rows[i].shown[k * 2 + 1]);

            ROW_ASSERT(&rows[i], had == (rows[i].had[k] == 'y'));
        }
        if (!rows[i].fails)
            exemplar_cache_end(&c);
    }
    exemplar_cache_fini(&c);
}

static void test_families(void)
{
    struct family_cache c;
    struct metadata m;

    family_cache_init(&c);
    family_cache_begin(&c);
    note(&c, "a", "one");
    note(&c, "b", "two");
    family_cache_end(&c);
    CU_ASSERT_EQUAL(c.count, 2);
    for (int i = 0; i < 11; i++) {
        family_cache_begin(&c);
        note(&c, "b", i < 5 ? "two" : "other");
        family_cache_end(&c);
    }
    CU_ASSERT_EQUAL_FATAL(c.count, 1);
    m = family_metadata(&c.items[0]);
    CU_ASSERT_TRUE(str_eq_cstr(m.family, "b"));
    CU_ASSERT_TRUE(str_eq_cstr(m.help, "other"));
    CU_ASSERT_EQUAL(m.type, METRIC_GAUGE);
    family_cache_fini(&c);
}

static void test_schedule(void)
{
    static const struct {
        int line;
        sonde_msec interval;
        uint64_t offset_ns;
        sonde_msec now, first;
    } rows[] = {
        { __LINE__, 1000, 0, 5000, 5000 },
        { __LINE__, 1000, 1000000, 5000, 5001 },
        { __LINE__, 1000, 500000000, 5600, 6500 },
        { __LINE__, 15000, 14999999999, 30001, 45000 },
        { __LINE__, 60000, 1, 0, 1 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct target t = { .interval = rows[i].interval,
                                  .offset_ns = rows[i].offset_ns };

        ROW_ASSERT(&rows[i], target_first_ms(&t, rows[i].now) == rows[i].first);
    }
}

static const struct tap_test tests[] = {
    { "what was there and is not gets a stale marker", test_staleness },
    { "series that the store gave up are new ones", test_recheck },
    { "the same series twice is noticed", test_same_twice },
    { "round numbers wrap", test_rounds_wrap },
    { "the cache agrees with a model", test_against_model },
    { "exemplars seen before", test_exemplars },
    { "families are kept ten rounds", test_families },
    { "the first scrape is at the offset", test_schedule },
};

int main(void)
{
    return TAP_RUN("scrape", tests);
}
