noinst_LTLIBRARIES += core/cli/libcli.la
core_cli_libcli_la_SOURCES = \
	core/cli/check.c core/cli/check.h \
	core/cli/check_metrics.c \
	core/cli/check_query.c \
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
core_cli_libcli_la_SOURCES += \
	core/cli/args.c core/cli/args.h \
	core/cli/exporter_cmd.c \
	core/cli/exporter_flags.c core/cli/exporter_flags.h \
	core/cli/exporter_help.c \
	core/cli/exporter_job.c core/cli/exporter_job.h \
	core/cli/exporter_targets.c core/cli/exporter_targets.h \
	core/cli/import_merge.c core/cli/import_run.c \
	core/cli/import_spill.c core/cli/import_spill.h \
	core/cli/chart.c core/cli/chart.h \
	core/cli/lint.c core/cli/lint.h \
	core/cli/progress.c core/cli/progress.h \
	core/cli/query_cmd.c core/cli/query_cmd.h \
	core/cli/query_data.c \
	core/cli/query_explain.c \
	core/cli/query_json.c \
	core/cli/query_print.c \
	core/cli/query_server.c \
	core/cli/query_table.c \
	core/cli/tsdb_analyze.c \
	core/cli/tsdb_blocks.c \
	core/cli/tsdb_check.c core/cli/tsdb_check.h \
	core/cli/tsdb_check_log.c \
	core/cli/tsdb_cmd.c core/cli/tsdb_cmd.h \
	core/cli/tsdb_dump.c \
	core/cli/tsdb_import.c \
	core/cli/tsdb_list.c \
	core/cli/tsdb_print.c \
	core/cli/tsdb_snapshot.c

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

check_PROGRAMS += tests/unit/tsdb_cli_test
TESTS += tests/unit/tsdb_cli_test
tests_unit_tsdb_cli_test_SOURCES = tests/unit/tsdb_cli_test.c
tests_unit_tsdb_cli_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_cli_test_LDADD = $(LIBS_UNIT) $(LIB_ALL)

check_PROGRAMS += tests/unit/query_cli_test
TESTS += tests/unit/query_cli_test
tests_unit_query_cli_test_SOURCES = tests/unit/query_cli_test.c
tests_unit_query_cli_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_query_cli_test_LDADD = $(LIBS_UNIT) $(LIB_ALL)

check_PROGRAMS += tests/fuzz/query_json
TESTS += tests/fuzz/query_json
tests_fuzz_query_json_SOURCES = tests/fuzz/query_json.c $(FUZZ_MAIN)
tests_fuzz_query_json_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_query_json_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_query_json_LDADD = $(LIB_ALL)
EXTRA_DIST += tests/fuzz/corpus/query_json
