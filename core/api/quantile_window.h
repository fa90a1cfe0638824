/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles of the last ten minutes, for self-metrics. Zeroed is empty; no
 * lock inside. */
#ifndef API_QUANTILE_WINDOW_H
#define API_QUANTILE_WINDOW_H

#include <sonde/base.h>

#define QUANTILE_PARTS        16    /* of a power of two                    */
#define QUANTILE_EXPONENT_MIN (-29) /* about a nanosecond, in seconds       */
#define QUANTILE_EXPONENT_MAX 11    /* a quarter of an hour                 */
#define QUANTILE_BINS                                                          \
    ((QUANTILE_EXPONENT_MAX - QUANTILE_EXPONENT_MIN) * QUANTILE_PARTS)
#define QUANTILE_AGES 5

struct quantile_window {
    sonde_msec age; /* number of the newest                                */
    uint32_t counts[QUANTILE_AGES][QUANTILE_BINS];
};

/* `now` is monotonic. */
void quantile_window_add(struct quantile_window *w, sonde_msec now, double v);
/* NaN if there was nothing. */
double quantile_window_get(struct quantile_window *w, sonde_msec now, double q);

#endif
