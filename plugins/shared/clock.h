/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines and durations by a clock that never jumps. */
#ifndef PLUGINS_SHARED_CLOCK_H
#define PLUGINS_SHARED_CLOCK_H

#include <time.h>

#include <sonde/plugin.h>

/* For durations. */
double clock_seconds(void);
/* The time in `ms` (now, if below 0), for a condition that waits by
 * CLOCK_MONOTONIC. */
struct timespec clock_after(sonde_msec ms);
/* A plugin's own deadline, a little before the host's, so that there is time
 * to say what failed: a twentieth of what is left, at most `most`. */
sonde_msec clock_before(const struct sonde_host *host, sonde_msec deadline,
                        sonde_msec most);

#endif
