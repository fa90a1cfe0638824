/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One page out of several texts: what each target's collection brought, and
 * what the agent says of itself. Families stand once, with all their series
 * together, each series once.
 */
#ifndef EXPOSE_COMPOSE_H
#define EXPOSE_COMPOSE_H

#include <sonde/base.h>

#include "expo/expo.h"
#include "scrape/scrape.h"

/* What becomes of every series. */
struct compose_rules {
    const struct config_map *labels;  /* added to all; NULL: none           */
    sonde_str target_label;           /* tells targets apart                */
    sonde_str prefix, prefix_instead; /* of names; empty: names stay        */
};

struct compose;
/* `rules` must outlive it. */
struct compose *compose_new(const struct compose_rules *rules);
void compose_free(struct compose *c);

/* Adds a text. `target`: the value of the target's label; empty: none. An
 * error of the text's grammar leaves the page without the rest of it. */
SONDE_NODISCARD sonde_code compose_text(struct compose *c, sonde_str text,
                                        enum expo_format format,
                                        sonde_str target,
                                        struct sonde_err *err);
/* All parts of a page. */
SONDE_NODISCARD sonde_code compose_page(struct compose *c,
                                        const struct scrape_page *page,
                                        sonde_str target,
                                        struct sonde_err *err);
/* Text 0.0.4, families in the order of their first appearance. */
void compose_write(const struct compose *c, struct buf *out);

/* Whether a page can be served as it is: text that a plugin emitted, and
 * rules that change nothing. */
bool compose_is_plain(const struct compose_rules *rules,
                      const struct scrape_page *page);

#endif
