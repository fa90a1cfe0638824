/* SPDX-License-Identifier: Apache-2.0 */
/* See clock.h. */
#include "shared/clock.h"

static struct timespec now(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t;
}

double clock_seconds(void)
{
    struct timespec t = now();

    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct timespec clock_after(sonde_msec ms)
{
    struct timespec t = now();

    if (ms < 0)
        ms = 0;
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

sonde_msec clock_before(const struct sonde_host *host, sonde_msec deadline,
                        sonde_msec most)
{
    sonde_msec margin = (deadline - host->monotonic()) / 20;

    return deadline - (margin < 0 ? 0 : margin > most ? most : margin);
}
