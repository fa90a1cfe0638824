/* SPDX-License-Identifier: Apache-2.0 */
/* net: what the client thinks of URLs. */
#include <string.h>

#include "net/url.h"
#include "unit/tap.h"

static void test_parts(void)
{
    static const struct {
        int line;
        const char *text, *whole, *host, *port;
    } rows[] = {
        { __LINE__, "http://h", "http://h/", "h", "80" },
        { __LINE__, "https://H.x/a?b#c", "https://H.x/a?b", "h.x", "443" },
        { __LINE__, "HTTP://h:8080/", "http://h:8080/", "h", "8080" },
        { __LINE__, "http://[::1]:1/x", "http://[::1]:1/x", "[::1]", "1" },
        { __LINE__, "http://u:p@h/a/../b", "http://u:p@h/a/../b", "h", "80" },
    };
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct url u;
        struct sonde_err err;

        ROW_ASSERT(&rows[i], url_parse(&a, sonde_cstr(rows[i].text), &u,
                                       &err) == SONDE_OK);
        ROW_ASSERT(&rows[i], !strcmp(u.text, rows[i].whole));
        ROW_ASSERT(&rows[i], !strcmp(u.host, rows[i].host));
        ROW_ASSERT(&rows[i], !strcmp(u.port, rows[i].port));
    }
    arena_fini(&a);
}

static void test_masked(void)
{
    static const struct {
        int line;
        const char *text, *want;
    } rows[] = {
        { __LINE__, "", "" },
        { __LINE__, "http://h/", "http://h/" },
        { __LINE__, "http://u@h/", "http://u@h/" },
        { __LINE__, "http://u:p@h/", "http://u:xxxxx@h/" },
        { __LINE__, "http://:p@h", "http://:xxxxx@h" },
        { __LINE__, "u:p@h:1/x", "u:xxxxx@h:1/x" },
        { __LINE__, "http://u:a@b:c@h/", "http://u:xxxxx@h/" },
        { __LINE__, "http://h/a:b@c", "http://h/a:b@c" },
        { __LINE__, "http://h?a:b@c", "http://h?a:b@c" },
        { __LINE__, "://:@", "://:xxxxx@" },
    };
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ROW_ASSERT(&rows[i], !strcmp(url_masked(&a, sonde_cstr(rows[i].text)),
                                     rows[i].want));
    arena_fini(&a);
}

static void test_same_party(void)
{
    static const struct {
        int line;
        const char *from, *to;
        bool same;
    } rows[] = {
        { __LINE__, "http://h/a", "http://H/b", true },
        { __LINE__, "http://h:80/", "http://h/", true },
        { __LINE__, "http://h/", "https://h/", true },
        { __LINE__, "http://h:8080/", "https://h:8443/", true },
        { __LINE__, "https://h/", "http://h/", false },
        { __LINE__, "http://h/", "http://h:81/", false },
        { __LINE__, "https://h/", "https://h:444/", false },
        { __LINE__, "http://h/", "http://x.h/", false },
        { __LINE__, "http://h/", "http://h.evil/", false },
    };
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct url from, to;
        struct sonde_err err;

        ROW_ASSERT(&rows[i],
                   url_parse(&a, sonde_cstr(rows[i].from), &from, &err) == 0);
        ROW_ASSERT(&rows[i],
                   url_parse(&a, sonde_cstr(rows[i].to), &to, &err) == 0);
        ROW_ASSERT(&rows[i], url_same_party(&from, &to) == rows[i].same);
    }
    arena_fini(&a);
}

static void test_follow(void)
{
    static const struct {
        int line;
        const char *location, *want; /* NULL: refused                      */
    } rows[] = {
        { __LINE__, "/x", "http://u:p@h:1/x" },
        { __LINE__, "x", "http://u:p@h:1/a/x" },
        { __LINE__, "?q", "http://u:p@h:1/a/b?q" },
        { __LINE__, "//other/x", "http://other/x" },
        { __LINE__, "https://other:2/x#f", "https://other:2/x" },
        { __LINE__, "ftp://h/x", NULL },
        { __LINE__, "file:///etc/passwd", NULL },
        { __LINE__, "javascript:alert(1)", NULL },
        { __LINE__, "http://h:notaport/", NULL },
    };
    struct arena a;
    struct url base;
    struct sonde_err err;

    arena_init(&a);
    CU_ASSERT_EQUAL(url_parse(&a, SONDE_STR("http://u:p@h:1/a/b"), &base, &err),
                    0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct url to = { 0 };
        sonde_code rc =
            url_follow(&a, &base, sonde_cstr(rows[i].location), &to, &err);

        ROW_ASSERT(&rows[i], (rc == SONDE_OK) == (rows[i].want != NULL));
        ROW_ASSERT(&rows[i], !rows[i].want || !strcmp(to.text, rows[i].want));
        if (rows[i].want && to.text && strcmp(to.text, rows[i].want))
            tap_note("%s", to.text);
    }
    arena_fini(&a);
}

static void test_loopback(void)
{
    static const struct {
        int line;
        const char *url;
        bool is;
    } rows[] = {
        { __LINE__, "http://localhost:1/", true },
        { __LINE__, "http://LOCALHOST/", true },
        { __LINE__, "http://127.0.0.9/", true },
        { __LINE__, "http://[::1]/", true },
        { __LINE__, "http://128.0.0.1/", false },
        { __LINE__, "http://localhost.evil/", false },
        { __LINE__, "http://127.evil/", false },
    };
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct url u;
        struct sonde_err err;

        ROW_ASSERT(&rows[i],
                   url_parse(&a, sonde_cstr(rows[i].url), &u, &err) == 0);
        ROW_ASSERT(&rows[i], url_is_loopback(&u) == rows[i].is);
    }
    arena_fini(&a);
}

static const struct tap_test tests[] = {
    { "parts of a URL", test_parts },
    { "passwords are masked", test_masked },
    { "who may be told secrets", test_same_party },
    { "where a redirect leads", test_follow },
    { "the own machine", test_loopback },
};

int main(void)
{
    return TAP_RUN("net url", tests);
}
