/* SPDX-License-Identifier: Apache-2.0 */
/* block: names of blocks. */
#include <string.h>

#include "block/block.h"
#include "unit/tap.h"

static void test_ulid_parse(void)
{
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        { "01M7XP3Y3HAACQ0EJKC0M1FJ0Z", true },
        { "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", true },
        { "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", false },  /* beyond 48 bits of time */
        { "01M7XP3Y3HAACQ0EJKC0M1FJ0", false },   /* short                  */
        { "01M7XP3Y3HAACQ0EJKC0M1FJ0ZZ", false }, /* long                   */
        { "01m7xp3y3haacq0ejkc0m1fj0z", false },  /* lower case             */
        { "01M7XP3Y3HAACQ0EJKC0M1FJ0I", false },  /* no digit               */
        { "", false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct ulid u;

        CU_ASSERT_EQUAL(ulid_parse(sonde_cstr(cases[i].text), &u), cases[i].ok);
        if (cases[i].ok)
            CU_ASSERT_STRING_EQUAL(u.text, cases[i].text);
    }
}

static void test_ulid_new(void)
{
    static const sonde_msec times[] = { 0, 1, INT64_C(1700006400000),
                                        (INT64_C(1) << 48) - 1 };
    struct ulid before = ulid_new(0), u;

    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        struct ulid a = ulid_new(times[i]), b = ulid_new(times[i]);

        CU_ASSERT_EQUAL(ulid_time(&a), times[i]);
        CU_ASSERT(ulid_parse(sonde_cstr(a.text), &u));
        CU_ASSERT_STRING_NOT_EQUAL(a.text, b.text);
        if (times[i])
            CU_ASSERT(strcmp(before.text, a.text) < 0);
        before = a;
    }
}

static const struct tap_test tests[] = {
    { "names of blocks are told from others", test_ulid_parse },
    { "names are new and sort by time", test_ulid_new },
};

int main(void)
{
    return TAP_RUN("block", tests);
}
