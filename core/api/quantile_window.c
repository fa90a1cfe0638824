/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantiles of what was observed in the last ten minutes, as Prometheus'
 * summaries show them. Observations are counted in bins of a sixteenth of a
 * power of two, so a quantile is right by 3 percent and memory does not depend
 * on how many there were. There are five such sets of bins, one for each two
 * minutes; the oldest is emptied when its turn comes.
 *
 * What was rejected: the samples themselves or a compressed selection of
 * them, which costs a lock held for a sort at every so many queries.
 */
#include "api/quantile_window.h"

#include <math.h>
#include <string.h>

#define AGE_MS ((sonde_msec)2 * 60 * 1000)

/* The bin of a value: 0 for what is shorter than the shortest. */
static size_t bin_of(double v)
{
    int exponent;
    double fraction = frexp(v, &exponent); /* 0.5 <= fraction < 1 */
    int at;

    if (!(v > 0))
        return 0;
    at = (exponent - QUANTILE_EXPONENT_MIN) * QUANTILE_PARTS +
         (int)((fraction - 0.5) * 2 * QUANTILE_PARTS);
    return at < 0 ? 0 : at >= QUANTILE_BINS ? QUANTILE_BINS - 1 : (size_t)at;
}

/* Its middle. */
static double bin_value(size_t bin)
{
    double part = (double)(bin % QUANTILE_PARTS) + 0.5;

    return ldexp(0.5 + part / (2 * QUANTILE_PARTS),
                 (int)(bin / QUANTILE_PARTS) + QUANTILE_EXPONENT_MIN);
}

/* Empties the ages whose time has come again. */
static void turn(struct quantile_window *w, sonde_msec now)
{
    sonde_msec age = now / AGE_MS;

    if (age - w->age > QUANTILE_AGES)
        w->age = age - QUANTILE_AGES;
    while (w->age < age) {
        w->age++;
        memset(w->counts[w->age % QUANTILE_AGES], 0, sizeof(w->counts[0]));
    }
}

void quantile_window_add(struct quantile_window *w, sonde_msec now, double v)
{
    turn(w, now);
    w->counts[w->age % QUANTILE_AGES][bin_of(v)]++;
}

static uint64_t bin_count(const struct quantile_window *w, size_t bin)
{
    uint64_t n = 0;

    for (size_t a = 0; a < QUANTILE_AGES; a++)
        n += w->counts[a][bin];
    return n;
}

double quantile_window_get(struct quantile_window *w, sonde_msec now, double q)
{
    uint64_t total = 0, rank, seen = 0;

    turn(w, now);
    for (size_t i = 0; i < QUANTILE_BINS; i++)
        total += bin_count(w, i);
    if (total == 0)
        return (double)NAN;
    rank = (uint64_t)ceil(q * (double)total);
    for (size_t i = 0; i < QUANTILE_BINS; i++) {
        seen += bin_count(w, i);
        if (seen >= rank)
            return bin_value(i);
    }
    return (double)NAN;
}
