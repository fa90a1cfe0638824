/* SPDX-License-Identifier: Apache-2.0 */
/* See clock.h. */
#include "util/clock.h"

#include <inttypes.h>
#include <time.h>

static sonde_msec read_ms(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (sonde_msec)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static sonde_msec system_now(const struct clock *c)
{
    (void)c;
    return read_ms(CLOCK_REALTIME);
}

static sonde_msec system_monotonic(const struct clock *c)
{
    (void)c;
    return read_ms(CLOCK_MONOTONIC);
}

const struct clock clock_system = { system_now, system_monotonic };

static sonde_msec manual_now(const struct clock *c)
{
    return ((const struct clock_manual *)c)->now_ms;
}

static sonde_msec manual_monotonic(const struct clock *c)
{
    return ((const struct clock_manual *)c)->monotonic_ms;
}

void clock_manual_init(struct clock_manual *c, sonde_msec now_ms)
{
    c->clock = (struct clock){ manual_now, manual_monotonic };
    c->now_ms = now_ms;
    c->monotonic_ms = 0;
}

void clock_manual_advance(struct clock_manual *c, sonde_msec by_ms)
{
    c->now_ms += by_ms;
    c->monotonic_ms += by_ms;
}

uint64_t clock_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct timespec clock_timespec(sonde_msec monotonic_ms)
{
    return (struct timespec){ .tv_sec = monotonic_ms / 1000,
                              .tv_nsec = monotonic_ms % 1000 * 1000000 };
}

void clock_rfc3339(sonde_msec t, char *out)
{
    int64_t ms = t % 1000;
    time_t sec = (time_t)(t / 1000);
    struct tm tm;

    if (ms < 0) {
        ms += 1000;
        sec--;
    }
    if (!gmtime_r(&sec, &tm)) {
        (void)snprintf(out, CLOCK_RFC3339_MAX, "0001-01-01T00:00:00Z");
        return;
    }
    (void)snprintf(out, CLOCK_RFC3339_MAX,
                   "%04d-%02d-%02dT%02d:%02d:%02d.%03" PRId64 "Z",
                   (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday,
                   tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
}
