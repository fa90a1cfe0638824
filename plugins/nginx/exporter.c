/* SPDX-License-Identifier: Apache-2.0 */
/* Flags and environment of nginx-prometheus-exporter. */
#include "nginx.h"

const struct sonde_exporter nginx_exporter = {
    .struct_size = sizeof(struct sonde_exporter),
    .name = "nginx_exporter",
    .prefix = "nginx_",
    .target_label = "addr",
};
