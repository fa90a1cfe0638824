/* SPDX-License-Identifier: Apache-2.0 */
/* postgres_exporter's flags and pages. */
#ifndef PLUGINS_POSTGRES_EXPORTER_H
#define PLUGINS_POSTGRES_EXPORTER_H

#include <sonde/exporter.h>

extern const struct sonde_exporter pg_exporter;

#endif
