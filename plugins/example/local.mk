# The example is built in the tree only to be tested; it is not installed.
# `make -C plugins/example` builds it against an installed SDK.
check_LTLIBRARIES += tests/plugins/example.la
tests_plugins_example_la_SOURCES = plugins/example/example.c
tests_plugins_example_la_CPPFLAGS = $(CPPFLAGS_PLUGIN)
tests_plugins_example_la_LDFLAGS = $(LDFLAGS_PLUGIN) -rpath /nowhere

check_PROGRAMS += tests/plugins/example_test
TESTS += tests/plugins/example_test
tests_plugins_example_test_SOURCES = plugins/example/example.c \
	plugins/example/example_test.c
tests_plugins_example_test_CPPFLAGS = $(CPPFLAGS_PLUGIN)
tests_plugins_example_test_LDADD = -lm
EXTRA_DIST += plugins/example/Makefile plugins/example/README.md \
	plugins/example/example.yaml
