/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status pages: whatever a server answers, the sink must not find fault with
 * what comes out. The first byte says which page it is: 's' stub_status, 'v'
 * vts, 'p' all documents of NGINX Plus.
 */
#include <stdlib.h>

#include <sonde/testing.h>

#include "nginx/nginx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(struct sonde_fake *f, size_t request, sonde_str body)
{
    const struct sonde_response r = { .struct_size = sizeof(r),
                                      .request = request,
                                      .status = 200,
                                      .body = body };

    if (sonde_fake_parse(f, &r) != SONDE_OK) {
        (void)fprintf(stderr, "%s\n", f->err.text);
        abort();
    }
}

/* The lists are good; each document is what the fuzzer gives. */
static void play(struct sonde_fake *f, sonde_str body)
{
    static const sonde_str lists[] = {
        SONDE_STR("[9]"),
        SONDE_STR("[\"connections\",\"http\",\"stream\",\"ssl\",\"resolvers\","
                  "\"workers\",\"license\"]"),
        SONDE_STR("[\"server_zones\",\"upstreams\",\"limit_conns\","
                  "\"zone_sync\"]"),
    };
    struct sonde_plan plan;

    (void)sonde_fake_plan(f, &plan);
    for (size_t n = 0; plan.count; n++) {
        for (size_t i = 0; i < plan.count; i++)
            answer(f, i, n < 3 ? lists[n] : body);
        if (!plan.more)
            break;
        (void)sonde_fake_plan_more(f, &plan);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonde_str body = { (const char *)data + 1, size ? size - 1 : 0 };
    struct sonde_fake f;

    if (size == 0 || size > 16384) /* the fake's search is quadratic */
        return 0;
    sonde_fake_init(&f, sonde_plugin_entry);
    (void)sonde_fake_option(&f, "mode",
                            data[0] == 'p'   ? "plus"
                            : data[0] == 'v' ? "vts"
                                             : "stub_status");
    if (sonde_fake_open(&f, "h") != SONDE_OK)
        abort();
    if (data[0] == 'p')
        play(&f, body);
    else
        answer(&f, 0, body);
    sonde_fake_fini(&f);
    return 0;
}
