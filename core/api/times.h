/* SPDX-License-Identifier: Apache-2.0 */
/* Times and durations as the API's parameters write them. */
#ifndef API_TIMES_H
#define API_TIMES_H

#include <sonde/base.h>

/* The bounds of Prometheus' API, as ms: what its "minimum" and "maximum time"
 * mean. */
#define API_TIME_MIN ((INT64_MIN / 1000 + INT64_C(62135596801)) * 1000)
#define API_TIME_MAX ((INT64_MAX / 1000 - INT64_C(62135596801)) * 1000 + 999)

/* Float seconds, or RFC 3339 with a zone. */
bool api_time_parse(sonde_str s, sonde_msec *out);
/* Float seconds, or 1d2h3m4s5ms; not negative. */
bool api_duration_parse(sonde_str s, sonde_msec *out);

#endif
