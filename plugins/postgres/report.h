/* SPDX-License-Identifier: Apache-2.0 */
/* What a collection says about itself: the exporter's own families. */
#ifndef PLUGINS_POSTGRES_REPORT_H
#define PLUGINS_POSTGRES_REPORT_H

#include "postgres.h"

/* `up`: the server answered. Emits pg_up, pg_exporter_*, pg_scrape_collector_*
 * and pg_static. */
void report_emit(struct sonde_instance *i, bool up, double seconds);

#endif
