/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever a target says: the page that is made of it can be read, and a page
 * that is made of that page is the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expose/compose.h"
#include "util/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sonde_code compose_once(const struct compose_rules *rules,
                               sonde_str text, enum expo_format format,
                               sonde_str target, struct buf *out)
{
    struct compose *c = compose_new(rules);
    struct sonde_err err = { 0 };
    sonde_code rc = compose_text(c, text, format, target, &err);

    compose_write(c, out);
    compose_free(c);
    if (rc != SONDE_OK && err.text[0] == '\0')
        abort();
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct compose_rules with = { .target_label = { "a", 1 },
                                        .prefix = { "a", 1 },
                                        .prefix_instead = { "b", 1 } };
    const struct compose_rules none = { .target_label = { "a", 1 } };
    sonde_str text = { (const char *)data, size };
    struct buf once, twice;

    if (size == 0)
        return 0;
    buf_init(&once);
    buf_init(&twice);
    (void)compose_once(data[0] & 2 ? &with : &none, str_sub(text, 1, size),
                       data[0] & 1 ? EXPO_OPENMETRICS : EXPO_TEXT,
                       data[0] & 2 ? SONDE_STR("t\"\n") : (sonde_str){ 0 },
                       &once);
    if (compose_once(&none, buf_str(&once), EXPO_TEXT, (sonde_str){ 0 },
                     &twice) != SONDE_OK ||
        !sonde_str_eq(buf_str(&once), buf_str(&twice))) {
        (void)fprintf(stderr, "once:\n%.*s\ntwice:\n%.*s\n", (int)once.len,
                      once.data, (int)twice.len, twice.data);
        abort();
    }
    buf_fini(&once);
    buf_fini(&twice);
    return 0;
}
