/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libraries, one row each. All serve /metrics, the default of a job.
 *
 * health_path: none of them has a health endpoint, so it is what applications
 * of that framework usually call theirs. prometheus_client's own server
 * answers every path with 200 and the metrics; asked for /health it would
 * always seem well, so none is asked by itself.
 *
 * gauge_modes: what a library leaves at "all" or "max" and means once for the
 * application. By process, these are new series for each new worker, and the
 * facts of workers that were replaced stay.
 */
#include "preset.h"

static const struct preset presets[] = {
    { .name = "none", .health_path = "/health" },
    { .name = "prometheus_client", .health_path = "" },
    { .name = "prometheus-fastapi-instrumentator", .health_path = "/health" },
    { .name = "starlette_exporter", .health_path = "/health" },
    { .name = "django-prometheus",
      .health_path = "/health/",
      .gauge_modes = { "django_migrations_*=livemax" } },
    { .name = "prometheus-flask-exporter",
      .health_path = "/health",
      .gauge_modes = { "flask_exporter_info=livemax" } },
};

const char *const preset_names[] = {
    "none",
    "prometheus_client",
    "prometheus-fastapi-instrumentator",
    "starlette_exporter",
    "django-prometheus",
    "prometheus-flask-exporter",
    NULL,
};

const struct preset *preset_of(sonde_str name)
{
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        if (sonde_str_eq(name, sonde_cstr(presets[i].name)))
            return &presets[i];
    }
    return &presets[0];
}
