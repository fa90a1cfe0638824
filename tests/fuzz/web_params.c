/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Query strings, forms and paths. The first byte tells where the form ends.
 * What was decoded is never longer than what was sent, a cleaned path is
 * clean, and a path survives being encoded and decoded.
 */
#include <stdlib.h>

#include "net/params.h"
#include "util/mem.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_params(struct arena *a, sonde_str form, sonde_str query)
{
    struct http_params p;
    size_t bytes = 0;

    http_params_parse(a, form, query, &p);
    for (size_t i = 0; i < p.count; i++)
        bytes += p.items[i].name.len + p.items[i].value.len;
    if (bytes > form.len + query.len || p.count > HTTP_PARAMS_MAX)
        abort();
}

static void check_path(struct arena *a, sonde_str path)
{
    sonde_str clean = http_path_clean(a, path);
    sonde_str again = http_path_clean(a, clean);
    sonde_str decoded;
    struct buf b;

    if (clean.len == 0 || clean.ptr[0] != '/' || !sonde_str_eq(clean, again))
        abort();
    buf_init(&b);
    http_encode_path(&b, path);
    if (!http_decode(a, buf_str(&b), false, &decoded) ||
        !sonde_str_eq(decoded, path))
        abort();
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    sonde_str text;
    size_t cut;

    if (size == 0)
        return 0;
    text = (sonde_str){ (const char *)data + 1, size - 1 };
    cut = data[0] % (text.len + 1);
    arena_init(&a);
    check_params(&a, str_sub(text, 0, cut), str_sub(text, cut, text.len));
    check_path(&a, text);
    arena_fini(&a);
    return 0;
}
