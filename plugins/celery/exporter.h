/* SPDX-License-Identifier: Apache-2.0 */
/* celery-exporter's flags, for `sonde exporter celery`. */
#ifndef PLUGINS_CELERY_EXPORTER_H
#define PLUGINS_CELERY_EXPORTER_H

#include <sonde/exporter.h>

extern const struct sonde_exporter celery_exporter;

#endif
