/* SPDX-License-Identifier: Apache-2.0 */
/* A question to an endpoint that says how the application is. */
#ifndef FASTAPI_PROBE_H
#define FASTAPI_PROBE_H

#include <sonde/plugin.h>

/* What a probe emits, from a first index on. */
enum probe_family {
    PROBE_UP,
    PROBE_DURATION,
    PROBE_STATUS,
    PROBE_SIZE,
    PROBE_FAMILIES,
};

struct probe {
    const char *name; /* "health" */
    sonde_str path;   /* empty: not asked */
    sonde_str body;   /* what a good answer holds; empty: anything */
    int64_t status_min, status_max;
    size_t base; /* index of its first family */
};

/* Checks the settings; messages name the options NAME_path and so on. */
sonde_code probe_check(const struct probe *p, struct sonde_err *err);
/* NULL when the answer is good, else what is wrong with it. */
const char *probe_illness(const struct probe *p,
                          const struct sonde_response *r);
void probe_emit(const struct probe *p, const struct sonde_host *host,
                struct sonde_sink *sink, const struct sonde_response *r);

#endif
