/* SPDX-License-Identifier: Apache-2.0 */
/* util: trim gives pages back and breaks nothing. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit/tap.h"
#include "util/trim.h"

static long resident_pages(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long all = 0, resident = 0;

    if (!f || fscanf(f, "%ld %ld", &all, &resident) != 2)
        abort();
    (void)fclose(f);
    return resident;
}

/* Constant and larger than what the kernel maps around a fault. */
static const unsigned char table[4 << 20] = { 1, [(4 << 20) - 1] = 7 };

static unsigned touch(void)
{
    unsigned sum = 0;

    for (size_t i = 0; i < sizeof(table); i += 512)
        sum += ((const volatile unsigned char *)table)[i];
    return sum + ((const volatile unsigned char *)table)[sizeof(table) - 1];
}

static void test_trim(void)
{
    long pages = (long)sizeof(table) / sysconf(_SC_PAGESIZE);
    long before, after;

    CU_ASSERT_EQUAL(touch(), 8);
    before = resident_pages();
    trim_resident();
    after = resident_pages();
    CU_ASSERT_TRUE(before - after >= pages / 2);
    CU_ASSERT_EQUAL(touch(), 8);
}

static const struct tap_test tests[] = {
    { "pages of the program are given back and come again", test_trim },
};

int main(void)
{
    return TAP_RUN("trim", tests);
}
