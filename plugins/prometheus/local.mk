if PLUGIN_PROMETHEUS
plugin_LTLIBRARIES += plugins/prometheus/prometheus.la
plugins_prometheus_prometheus_la_SOURCES = plugins/prometheus/prometheus.c
plugins_prometheus_prometheus_la_CPPFLAGS = $(CPPFLAGS_PLUGIN)
plugins_prometheus_prometheus_la_LDFLAGS = $(LDFLAGS_PLUGIN)
endif
EXTRA_DIST += plugins/prometheus/README.md conf.d/prometheus.yaml
