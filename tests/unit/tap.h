/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs CUnit tests and reports each as a TAP line, so that `make check`
 * counts cases, not programs. A test program is a table and one call:
 *
 *     static const struct tap_test tests[] = { { "name", function }, ... };
 *     int main(void) { return TAP_RUN("wal", tests); }
 */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <stddef.h>

#include <CUnit/CUnit.h>

struct tap_test {
    const char *name;
    void (*run)(void);
};

int tap_run(const char *suite, const struct tap_test *tests, size_t n);
#define TAP_RUN(suite, tests)                                                  \
    tap_run((suite), (tests), sizeof(tests) / sizeof((tests)[0]))

/* An assertion that says which row of a table failed. */
#define ROW_ASSERT(row, cond)                                                  \
    do {                                                                       \
        CU_BOOL row_ok_ = (cond) ? CU_TRUE : CU_FALSE;                         \
        if (!row_ok_)                                                          \
            tap_note("%s:%d: row of line %d: %s", __FILE__, __LINE__,          \
                     (row)->line, #cond);                                      \
        (void)CU_assertImplementation(row_ok_, (unsigned)__LINE__, #cond,      \
                                      __FILE__, "", CU_FALSE);                 \
    } while (0)
__attribute__((format(printf, 1, 2))) void tap_note(const char *fmt, ...);

/* A fresh folder below $TMPDIR, removed with all in it at exit. */
const char *tap_tmpdir(void);

#endif
