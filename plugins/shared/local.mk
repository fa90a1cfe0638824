# What plugins share: sources that are compiled into each.
noinst_LTLIBRARIES += plugins/shared/libshared.la
plugins_shared_libshared_la_SOURCES = plugins/shared/clock.c \
	plugins/shared/clock.h plugins/shared/text.c plugins/shared/text.h \
	plugins/shared/unique.c plugins/shared/unique.h
plugins_shared_libshared_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) -I$(srcdir)/plugins

check_PROGRAMS += tests/plugins/shared_test
TESTS += tests/plugins/shared_test
tests_plugins_shared_test_SOURCES = tests/plugins/shared_test.c
tests_plugins_shared_test_CPPFLAGS = $(CPPFLAGS_UNIT) -I$(srcdir)/plugins
tests_plugins_shared_test_LDADD = plugins/shared/libshared.la $(LIBS_UNIT) -lm
EXTRA_DIST += plugins/shared/README.md
