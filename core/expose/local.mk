noinst_LTLIBRARIES += core/expose/libexpose.la
core_expose_libexpose_la_SOURCES = \
	core/expose/asked.c core/expose/asked.h \
	core/expose/compose.c core/expose/compose.h \
	core/expose/discover.c \
	core/expose/door.c core/expose/door.h \
	core/expose/expose.c core/expose/expose.h \
	core/expose/landing.c \
	core/expose/pages.c \
	core/expose/place.c core/expose/place.h \
	core/expose/reach.c core/expose/reach.h
core_expose_libexpose_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
EXTRA_DIST += core/expose/README.md

# A plugin that stands in for an exporter.
check_LTLIBRARIES += tests/plugins/door.la
tests_plugins_door_la_SOURCES = tests/plugins/door.c
tests_plugins_door_la_LDFLAGS = $(LDFLAGS_PLUGIN_TEST)

check_PROGRAMS += tests/unit/exporter_flags_test tests/unit/expose_test
TESTS += tests/unit/exporter_flags_test tests/unit/expose_test
tests_unit_exporter_flags_test_SOURCES = tests/unit/exporter_flags_test.c
tests_unit_exporter_flags_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_exporter_flags_test_LDADD = $(LIBS_UNIT) $(LIB_ALL)
EXTRA_tests_unit_exporter_flags_test_DEPENDENCIES = tests/plugins/door.la
tests_unit_expose_test_SOURCES = tests/unit/expose_test.c
tests_unit_expose_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_expose_test_LDADD = $(LIBS_UNIT) $(LIB_ALL)

TESTS += tests/integration/expose.py tests/integration/expose_peers.py
EXTRA_DIST += tests/integration/expose.py tests/integration/expose_peers.py
tests/integration/expose.log: sonde tests/plugins/door.la
tests/integration/expose_peers.log: sonde

check_PROGRAMS += tests/fuzz/expose_compose
TESTS += tests/fuzz/expose_compose
tests_fuzz_expose_compose_SOURCES = tests/fuzz/expose_compose.c $(FUZZ_MAIN)
tests_fuzz_expose_compose_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_expose_compose_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_expose_compose_LDADD = $(LIB_ALL)
EXTRA_DIST += tests/fuzz/corpus/expose_compose
