/* SPDX-License-Identifier: Apache-2.0 */
/* A gzip body in pieces (the first byte says how large): decoding is the same
 * however it is cut, and ends. */
#include <stdlib.h>

#include "net/gunzip.h"
#include "util/buf.h"

#define OUT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct decoded {
    struct buf out;
    bool failed, complete;
};

static void feed(struct gunzip *g, sonde_str piece, struct decoded *d)
{
    char out[1000];
    size_t got = 1;

    gunzip_input(g, piece);
    while (got && !d->failed && d->out.len < OUT_MAX) {
        d->failed = gunzip_next(g, out, sizeof(out), &got, NULL) != SONDE_OK;
        buf_bytes(&d->out, out, got);
    }
}

static struct decoded decode(const uint8_t *data, size_t size, size_t step)
{
    struct gunzip *g = gunzip_new();
    struct decoded d = { 0 };

    for (size_t i = 0; i < size && !d.failed && d.out.len < OUT_MAX;
         i += step) {
        size_t n = size - i < step ? size - i : step;

        feed(g, (sonde_str){ (const char *)data + i, n }, &d);
    }
    d.complete = gunzip_complete(g);
    gunzip_free(g);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decoded whole, cut;

    if (size < 2)
        return 0;
    whole = decode(data + 1, size - 1, size);
    cut = decode(data + 1, size - 1, 1 + data[0]);
    if (whole.out.len < OUT_MAX &&
        (whole.failed != cut.failed || whole.complete != cut.complete ||
         !sonde_str_eq(buf_str(&whole.out), buf_str(&cut.out))))
        abort();
    buf_fini(&whole.out);
    buf_fini(&cut.out);
    return 0;
}
