/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `target=` of a page may reach: the job's own targets, and what its
 * allow list has.
 */
#ifndef EXPOSE_REACH_H
#define EXPOSE_REACH_H

#include <sonde/base.h>

#include "scrape/scrape.h"

struct reach {
    /* One of the job's targets, as configured; a reference of the caller's.
     * NULL: `address` is to be reached instead. */
    struct target *configured;
    sonde_str address; /* for the plugin; numbers where a name was looked up */
    sonde_str shown;   /* for messages: no user, no password               */
};

/* SONDE_EINVAL: it is no target at all; SONDE_EACCESS: it may not be reached,
 * and what to do about it; SONDE_ENOTFOUND and others: its name has no
 * address. Messages never have user and password. Memory is the arena's. */
SONDE_NODISCARD sonde_code reach_target(struct job *job, struct arena *a,
                                        sonde_str text, sonde_msec deadline,
                                        struct reach *out,
                                        struct sonde_err *err);

#endif
