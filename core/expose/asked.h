/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets that requests have named: kept with their connections, the latest
 * used, and never two of one address collected at a time.
 */
#ifndef EXPOSE_ASKED_H
#define EXPOSE_ASKED_H

#include <sonde/base.h>

#include "scrape/scrape.h"

struct asked; /* the table; thread-safe */
struct asked *asked_new(void);
void asked_free(struct asked *t); /* nobody holds a target; NULL is fine */

/* The target of an address with these options, made if there is none, held
 * until asked_put. Waits while the same address is collected with other
 * options. SONDE_ELIMIT: all that may be kept are in use. */
struct asked_want {
    struct job *job;
    sonde_str address;
    const struct config_map *options; /* sorted */
    sonde_msec deadline;
};
SONDE_NODISCARD sonde_code asked_get(struct asked *t,
                                     const struct asked_want *want,
                                     struct target **out,
                                     struct sonde_err *err);
void asked_put(struct asked *t, struct target *target);
/* Forgets all that are not in use; the others when they are put. */
void asked_clear(struct asked *t);
size_t asked_count(struct asked *t);

#endif
