if PLUGIN_FASTAPI
plugin_LTLIBRARIES += plugins/fastapi/fastapi.la
plugins_fastapi_fastapi_la_SOURCES = plugins/fastapi/fastapi.c \
	plugins/fastapi/probe.c plugins/fastapi/probe.h
plugins_fastapi_fastapi_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) $(JANSSON_CFLAGS) \
	-I$(srcdir)/plugins
plugins_fastapi_fastapi_la_LDFLAGS = $(LDFLAGS_PLUGIN)
plugins_fastapi_fastapi_la_LIBADD = plugins/python/libpython.la

check_PROGRAMS += tests/plugins/fastapi_test
TESTS += tests/plugins/fastapi_test
tests_plugins_fastapi_test_SOURCES = tests/plugins/fastapi_test.c \
	$(plugins_fastapi_fastapi_la_SOURCES)
tests_plugins_fastapi_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(JANSSON_CFLAGS) \
	-I$(srcdir)/plugins
tests_plugins_fastapi_test_LDADD = plugins/python/libpython.la $(LIBS_UNIT) -lm
endif
EXTRA_DIST += plugins/fastapi/README.md conf.d/fastapi.yaml conf.d/django.yaml \
	conf.d/flask.yaml
