if PLUGIN_FASTAPI
plugin_LTLIBRARIES += plugins/fastapi/fastapi.la
plugins_fastapi_fastapi_la_SOURCES = plugins/fastapi/fastapi.c
plugins_fastapi_fastapi_la_CPPFLAGS = $(CPPFLAGS_PLUGIN)
plugins_fastapi_fastapi_la_LDFLAGS = $(LDFLAGS_PLUGIN)

check_PROGRAMS += tests/plugins/fastapi_test
TESTS += tests/plugins/fastapi_test
tests_plugins_fastapi_test_SOURCES = tests/plugins/fastapi_test.c \
	plugins/fastapi/fastapi.c
tests_plugins_fastapi_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_plugins_fastapi_test_LDADD = $(LIBS_UNIT) -lm
endif
EXTRA_DIST += plugins/fastapi/README.md conf.d/fastapi.yaml
