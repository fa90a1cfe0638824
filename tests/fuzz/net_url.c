/* SPDX-License-Identifier: Apache-2.0 */
/* A base URL, a line feed, a Location: what is accepted is http or https,
 * and masking never shows a password that the parser finds. */
#include <stdlib.h>

#include <curl/curl.h>

#include "net/url.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct arena *a, const struct url *u)
{
    struct url again;

    if (strcmp(u->scheme, "http") != 0 && strcmp(u->scheme, "https") != 0)
        abort();
    if (!u->text[0] || !u->port[0])
        abort();
    /* What was taken apart can be taken apart again. */
    if (url_parse(a, sonde_cstr(u->text), &again, NULL) != SONDE_OK ||
        strcmp(u->host, again.host) != 0 || !url_same_party(u, &again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str rest = { (const char *)data, size }, base;
    struct url from, to;
    struct arena a;

    if (size == 0)
        return 0;
    arena_init(&a);
    (void)str_split(&rest, '\n', &base);
    (void)url_masked(&a, base);
    if (url_parse(&a, base, &from, NULL) == SONDE_OK) {
        check(&a, &from);
        if (rest.ptr && url_follow(&a, &from, rest, &to, NULL) == SONDE_OK)
            check(&a, &to);
    }
    arena_fini(&a);
    return 0;
}
