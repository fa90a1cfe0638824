if PLUGIN_PROMETHEUS
plugin_LTLIBRARIES += plugins/prometheus/prometheus.la
plugins_prometheus_prometheus_la_SOURCES = plugins/prometheus/prometheus.c
plugins_prometheus_prometheus_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(JANSSON_CFLAGS) -I$(srcdir)/plugins
plugins_prometheus_prometheus_la_LDFLAGS = $(LDFLAGS_PLUGIN)
plugins_prometheus_prometheus_la_LIBADD = plugins/python/libpython.la
endif
EXTRA_DIST += plugins/prometheus/README.md conf.d/prometheus.yaml
