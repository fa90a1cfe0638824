/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. What depends on time is given a `struct clock`, so that tests turn
 * the hands themselves.
 */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <sonde/base.h>

struct clock {
    sonde_msec (*now)(const struct clock *c);       /* since the epoch    */
    sonde_msec (*monotonic)(const struct clock *c); /* never jumps        */
};

/* The machine's clocks. */
extern const struct clock clock_system;

/* A clock for tests: stands still until it is set. */
struct clock_manual {
    struct clock clock;
    sonde_msec now_ms, monotonic_ms;
};
void clock_manual_init(struct clock_manual *c, sonde_msec now_ms);
void clock_manual_advance(struct clock_manual *c, sonde_msec by_ms);

static inline sonde_msec clock_now(const struct clock *c)
{
    return c->now(c);
}
static inline sonde_msec clock_monotonic(const struct clock *c)
{
    return c->monotonic(c);
}

/* Nanoseconds of the monotonic clock, to measure durations. */
uint64_t clock_ns(void);
/* A monotonic instant as the absolute time of pthread_cond_timedwait on a
 * condition that uses CLOCK_MONOTONIC. */
struct timespec clock_timespec(sonde_msec monotonic_ms);

/* RFC 3339 in UTC with milliseconds, "2026-01-02T03:04:05.678Z"; `out` holds
 * at least CLOCK_RFC3339_MAX bytes. */
#define CLOCK_RFC3339_MAX 40
void clock_rfc3339(sonde_msec t, char *out);

#endif
