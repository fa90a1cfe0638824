# The example is built in the tree only to be tested; it is not installed.
# `make -C plugins/example` builds it against an installed SDK.
check_LTLIBRARIES += plugins/example/loadavg.la
plugins_example_loadavg_la_SOURCES = plugins/example/loadavg.c
plugins_example_loadavg_la_CPPFLAGS = $(CPPFLAGS_PLUGIN)
plugins_example_loadavg_la_LDFLAGS = $(LDFLAGS_PLUGIN) -rpath /nowhere
EXTRA_DIST += plugins/example/Makefile plugins/example/README.md \
	plugins/example/loadavg.yaml plugins/example/loadavg_test.c
