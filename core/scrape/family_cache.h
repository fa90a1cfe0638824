/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a target says about its families (# TYPE, # HELP, # UNIT), kept for
 * /api/v1/metadata. Lines come in the same order at every scrape, so the next
 * family is predicted and unchanged text is only compared. The lock is the
 * owner's.
 */
#ifndef SCRAPE_FAMILY_CACHE_H
#define SCRAPE_FAMILY_CACHE_H

#include <sonde/base.h>

#include "expo/expo.h"
#include "model/sample.h"

struct family_entry {
    char *family, *help, *unit; /* owned; help and unit may be NULL       */
    uint32_t family_len, help_len, unit_len;
    uint16_t round; /* in which it was seen last                          */
    uint8_t type;
};

struct family_cache {
    struct family_entry *items;
    size_t count, cap;
    size_t at; /* entry that the last line was of */
    uint16_t round;
};

/* More families than this of one target are not kept. */
#define FAMILY_CACHE_MAX 10000

void family_cache_init(struct family_cache *c);
void family_cache_fini(struct family_cache *c);
void family_cache_begin(struct family_cache *c);
void family_cache_note(struct family_cache *c, const struct expo_meta *m);
/* Forgets what was not seen in the last ten rounds. */
void family_cache_end(struct family_cache *c);
struct metadata family_metadata(const struct family_entry *e);

#endif
