/* SPDX-License-Identifier: Apache-2.0 */
/* util/refs: set operations against flags in an array, over both forms of a
 * list. */
#include <stdlib.h>
#include <string.h>

#include "unit/tap.h"
#include "util/bytes.h"
#include "util/mem.h"
#include "util/refs.h"

#define SPAN 4000

struct side {
    bool has[SPAN];
    struct refs refs;
    uint8_t be[SPAN * 4];
};

static void side_fill(struct side *s, unsigned seed, unsigned one_in)
{
    memset(s, 0, sizeof(*s));
    srand(seed);
    for (uint32_t i = 0; i < SPAN; i++) {
        s->has[i] = (unsigned)rand() % one_in == 0;
        if (!s->has[i])
            continue;
        be32_put(s->be + s->refs.count * 4, i);
        refs_append(&s->refs, &i, 1);
    }
}

/* Whether `r` is what `has` says of a, b or both. */
static bool is(const struct refs *r, const struct side *a, const struct side *b,
               bool in)
{
    size_t k = 0;

    for (uint32_t i = 0; i < SPAN; i++)
        if (a->has[i] && b->has[i] == in &&
            (k == r->count || r->items[k++] != i))
            return false;
    return k == r->count;
}

static struct refs copy(const struct side *s)
{
    struct refs r = { 0 };

    refs_append_be(&r, s->be, s->refs.count);
    return r;
}

static void against(const struct side *a, const struct side *b)
{
    struct refs x = copy(a), y = copy(a), z = copy(a), m = copy(a);
    bool *marks = mem_zalloc(SPAN);
    bool meet = refs_meet_be(&x, b->be, b->refs.count);

    refs_intersect(&x, b->refs.items, b->refs.count);
    refs_intersect_be(&y, b->be, b->refs.count);
    refs_subtract_be(&z, b->be, b->refs.count);
    refs_mark_be(&m, b->be, b->refs.count, marks);
    refs_keep(&m, marks);
    CU_ASSERT_TRUE(is(&x, a, b, true));
    CU_ASSERT_TRUE(is(&y, a, b, true));
    CU_ASSERT_TRUE(is(&z, a, b, false));
    CU_ASSERT_TRUE(is(&m, a, b, true));
    CU_ASSERT_EQUAL(meet, x.count > 0);
    free(marks);
    refs_fini(&x);
    refs_fini(&y);
    refs_fini(&z);
    refs_fini(&m);
}

static void test_two_lists(void)
{
    static const unsigned densities[] = { 1, 2, 3, 50, 900, 100000 };
    struct side *a = mem_new(struct side), *b = mem_new(struct side);

    for (unsigned i = 0; i < 6; i++)
        for (unsigned k = 0; k < 6; k++) {
            side_fill(a, i * 7 + k, densities[i]);
            side_fill(b, 1000 + k * 5 + i, densities[k]);
            against(a, b);
            refs_fini(&a->refs);
            refs_fini(&b->refs);
        }
    free(a);
    free(b);
}

/* Nothing is promised but that it ends and stays inside. */
static void test_unsorted_list(void)
{
    static const uint32_t mine[] = { 1, 5, 9, 70, 80, 4000000000u };
    bool marks[6] = { 0 };
    uint8_t be[40 * 4];

    srand(4);
    for (int round = 0; round < 200; round++) {
        struct refs r = { 0 };

        refs_append(&r, mine, 6);
        for (size_t i = 0; i < 40; i++)
            be32_put(be + i * 4, (uint32_t)rand() % 100);
        refs_mark_be(&r, be, 40, marks);
        (void)refs_meet_be(&r, be, 40);
        refs_intersect_be(&r, be, 40);
        CU_ASSERT_TRUE(r.count <= 6);
        refs_fini(&r);
    }
}

static void test_after(void)
{
    static const uint32_t items[] = { 0, 3, 7, UINT32_MAX };
    static const struct {
        int line;
        uint32_t after;
        size_t at;
    } rows[] = {
        { __LINE__, 0, 1 },
        { __LINE__, 2, 1 },
        { __LINE__, 3, 2 },
        { __LINE__, 7, 3 },
        { __LINE__, UINT32_MAX - 1, 3 },
        { __LINE__, UINT32_MAX, 4 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ROW_ASSERT(&rows[i], refs_after(items, 4, rows[i].after) == rows[i].at);
    CU_ASSERT_EQUAL(refs_after(items, 0, 5), 0);
}

static const struct tap_test tests[] = {
    { "two lists", test_two_lists },
    { "an unsorted list does no harm", test_unsorted_list },
    { "after", test_after },
};

int main(void)
{
    return TAP_RUN("refs", tests);
}
