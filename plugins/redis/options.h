/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options and its check. */
#ifndef PLUGINS_REDIS_OPTIONS_H
#define PLUGINS_REDIS_OPTIONS_H

#include "redis.h"

#define REDIS_OPTION_COUNT 39
extern const struct sonde_option redis_options_table[REDIS_OPTION_COUNT];
SONDE_NODISCARD sonde_code redis_check(const void *options,
                                       struct sonde_err *err);

#endif
