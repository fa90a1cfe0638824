/* SPDX-License-Identifier: Apache-2.0 */
/* The encodings of what workers and clients write. */
#ifndef PLUGINS_CELERY_ENCODINGS_H
#define PLUGINS_CELERY_ENCODINGS_H

#include "shared/text.h"

static inline sonde_code no_memory(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

/* Appends what `s` is the base64 of; false also when it is none. */
bool text_add_base64(struct text *t, sonde_str s);
/* Seconds since the epoch of "2026-11-20T22:49:34.027087+00:00" (fraction
 * and offset may be missing, then UTC), or NaN. */
double text_time(sonde_str s);

#endif
