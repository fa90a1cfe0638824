/* SPDX-License-Identifier: Apache-2.0 */
/* An answer as curl would bring it: header lines up to an empty one, then the
 * body in pieces of 100 bytes. The limit holds, whatever is decoded. */
#include <stdlib.h>

#include "net/transfer.h"
#include "util/str.h"

#define LIMIT 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_data(void *arg, sonde_str piece)
{
    size_t *got = arg;

    *got += piece.len;
    if (*got >= LIMIT || piece.len == 0)
        abort();
    return true;
}

static bool bring(struct transfer *t, sonde_str in, bool head)
{
    sonde_str copy = in;
    char *text = malloc(in.len ? in.len : 1);
    size_t took;

    if (!text)
        abort();
    if (in.len)
        memcpy(text, in.ptr, in.len);
    copy.ptr = text;
    took = head ? answer_header(text, 1, copy.len, t)
                : answer_body(text, 1, copy.len, t);
    free(text);
    if (took != in.len && took != 0)
        abort();
    return took == in.len;
}

static void run(struct transfer *t, sonde_str rest)
{
    sonde_str line = SONDE_STR("x");
    bool more = true;

    while (more && !t->answer.final && str_split(&rest, '\n', &line))
        more = bring(t, (sonde_str){ line.ptr, line.len }, true);
    while (more && t->answer.final && rest.len > 0) {
        size_t n = rest.len < 100 ? rest.len : 100;

        more = bring(t, str_sub(rest, 0, n), false);
        rest = str_sub(rest, n, rest.len);
    }
    if (answer_finish(t, NULL) == SONDE_OK && !t->answer.final)
        abort();
    if (t->answer.status > 999 || t->answer.status < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct net_loop loop = { 0 };
    size_t got = 0;
    struct transfer t = {
        .loop = &loop,
        /* Only asked whether it is there. */
        .client = (struct http_client *)&loop,
        .req = { .url = SONDE_STR("http://h/"),
                 .method = SONDE_STR("GET"),
                 .data = on_data,
                 .error_body = size % 2,
                 .body_limit_bytes = LIMIT,
                 .arg = &got },
    };

    arena_init(&t.arena);
    run(&t, (sonde_str){ (const char *)data, size });
    answer_fini(&t.answer);
    arena_fini(&t.arena);
    free(loop.scratch);
    return 0;
}
