noinst_LTLIBRARIES += core/cli/libcli.la
core_cli_libcli_la_SOURCES = \
	core/cli/check.c \
	core/cli/cli.c core/cli/cli.h \
	core/cli/paths.c \
	core/cli/plugins_cmd.c core/cli/plugins_cmd.h \
	core/cli/run.c \
	core/cli/scrape_cmd.c
core_cli_libcli_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGINDIR='"$(plugindir)"'
core_cli_libcli_la_SOURCES += core/cli/document.c
core_cli_libcli_la_SOURCES += core/cli/document_cmd.c
core_cli_libcli_la_SOURCES += core/cli/flags.h
core_cli_libcli_la_SOURCES += core/cli/flags.c
core_cli_libcli_la_SOURCES += core/cli/flags_print.c
core_cli_libcli_la_SOURCES += core/cli/flags_table.c
core_cli_libcli_la_SOURCES += core/cli/flags_table.h

check_PROGRAMS += tests/unit/flags_test
TESTS += tests/unit/flags_test
tests_unit_flags_test_SOURCES = tests/unit/flags_test.c
tests_unit_flags_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_flags_test_LDADD = $(LIBS_UNIT) core/cli/libcli.la $(LIB_CONFIG)

check_PROGRAMS += tests/unit/document_test
TESTS += tests/unit/document_test
tests_unit_document_test_SOURCES = tests/unit/document_test.c
tests_unit_document_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_document_test_LDADD = $(LIBS_UNIT) $(LIB_ALL)
