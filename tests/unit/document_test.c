/* SPDX-License-Identifier: Apache-2.0 */
/* docs/configuration.md is what the tables print. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "unit/tap.h"
#include "util/fs.h"
#include "util/str.h"

static void test_file(void)
{
    const char *src = getenv("SONDE_SRC_DIR");
    struct buf have = { 0 }, want = { 0 };
    struct arena a;
    const char *path;

    arena_init(&a);
    path = fs_join(&a, sonde_cstr(src ? src : "."),
                   SONDE_STR("docs/configuration.md"));
    CU_ASSERT_EQUAL(fs_read(path, 1 << 20, &have, NULL), SONDE_OK);
    cli_document_text(&want);
    if (!sonde_str_eq(buf_str(&have), buf_str(&want)))
        tap_note("%s is not up to date: sonde document >%s", path, path);
    CU_ASSERT(sonde_str_eq(buf_str(&have), buf_str(&want)));
    buf_fini(&have);
    buf_fini(&want);
    arena_fini(&a);
}

/* Every link leads to a heading of the page. */
static void test_links(void)
{
    struct buf b = { 0 };
    char *p;

    cli_document_text(&b);
    buf_char(&b, 0);
    for (p = b.data; (p = strstr(p, "](#")) != NULL; p++) {
        char heading[128] = "\n### ";
        size_t n = strcspn(p + 3, ")");

        CU_ASSERT_FATAL(n < 100);
        strncat(heading, p + 3, n);
        for (char *c = heading + 5; *c; c++)
            if (*c == '-')
                *c = ' ';
        strcat(heading, "\n");
        if (!strstr(b.data, heading))
            tap_note("no heading for the link %s", heading + 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(b.data, heading));
    }
    buf_fini(&b);
}

static const struct tap_test tests[] = {
    { "configuration.md is up to date", test_file },
    { "its links lead somewhere", test_links },
};

int main(void)
{
    return TAP_RUN("document", tests);
}
