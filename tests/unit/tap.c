/* SPDX-License-Identifier: Apache-2.0 */
/* See tap.h. CUnit's automated registry runs; its per-test hook prints. */
#include "unit/tap.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/TestRun.h>

static int number;
static int failed;

static void complete(const CU_pTest test, const CU_pSuite suite,
                     const CU_pFailureRecord failure)
{
    number++;
    failed += failure != NULL;
    (void)printf("%s %d - %s: %s\n", failure ? "not ok" : "ok", number,
                 suite->pName, test->pName);
    for (CU_pFailureRecord f = failure; f; f = f->pNext)
        (void)printf("# %s:%u: %s\n", f->strFileName, f->uiLineNumber,
                     f->strCondition);
    (void)fflush(stdout);
}

void tap_note(const char *fmt, ...)
{
    va_list ap;

    (void)fputs("# ", stdout);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)fputc('\n', stdout);
}

int tap_run(const char *suite, const struct tap_test *tests, size_t n)
{
    CU_pSuite s;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 99;
    s = CU_add_suite(suite, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        if (!s || !CU_add_test(s, tests[i].name, tests[i].run))
            return 99;
    (void)printf("1..%zu\n", n);
    (void)fflush(stdout);
    CU_set_test_complete_handler(complete);
    (void)CU_run_all_tests();
    CU_cleanup_registry();
    return failed != 0;
}

static char tmpdir[4096];

static int remove_one(const char *path, const struct stat *st, int flag,
                      struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void remove_tmpdir(void)
{
    (void)nftw(tmpdir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *tap_tmpdir(void)
{
    const char *base = getenv("TMPDIR");

    if (tmpdir[0])
        return tmpdir;
    (void)snprintf(tmpdir, sizeof(tmpdir), "%s/sonde-test-XXXXXX",
                   base ? base : "/tmp");
    if (!mkdtemp(tmpdir)) {
        perror(tmpdir);
        exit(99);
    }
    (void)atexit(remove_tmpdir);
    return tmpdir;
}
