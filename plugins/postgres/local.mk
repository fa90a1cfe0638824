SOURCES_POSTGRES = plugins/postgres/auth.c plugins/postgres/bind.c \
	plugins/postgres/bind.h plugins/postgres/collectors.c \
	plugins/postgres/collectors.h plugins/postgres/databases.c \
	plugins/postgres/dsn.c plugins/postgres/dsn.h \
	plugins/postgres/emit.c plugins/postgres/emit.h \
	plugins/postgres/exporter.c plugins/postgres/exporter.h \
	plugins/postgres/families.c plugins/postgres/families.h \
	plugins/postgres/link.h plugins/postgres/link_cancel.c \
	plugins/postgres/link_cancel.h plugins/postgres/link_libpq.c \
	plugins/postgres/options.c plugins/postgres/options.h \
	plugins/postgres/postgres.c plugins/postgres/postgres.h \
	plugins/postgres/process_idle.c plugins/postgres/queries.c \
	plugins/postgres/queries.h plugins/postgres/query_rows.c \
	plugins/postgres/query_run.c plugins/postgres/query_values.c \
	plugins/postgres/query_values.h plugins/postgres/report.c \
	plugins/postgres/report.h plugins/postgres/round.c \
	plugins/postgres/rows.c plugins/postgres/session.c \
	plugins/postgres/settings.c plugins/postgres/special.h \
	plugins/postgres/visit.c plugins/postgres/yaml_file.c \
	plugins/postgres/yaml_file.h

if PLUGIN_POSTGRES
plugin_LTLIBRARIES += plugins/postgres/postgres.la
plugins_postgres_postgres_la_SOURCES = $(SOURCES_POSTGRES)
plugins_postgres_postgres_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(POSTGRES_PLUGIN_CFLAGS) -I$(srcdir)/plugins
# A cancel request may outlive its target by a moment: link_cancel.c.
plugins_postgres_postgres_la_LDFLAGS = $(LDFLAGS_PLUGIN) -Wl,-z,nodelete
plugins_postgres_postgres_la_LIBADD = plugins/shared/libshared.la \
	$(POSTGRES_PLUGIN_LIBS) -lm

# The same sources as a library, for tests to look inside.
check_LTLIBRARIES += plugins/postgres/libpostgres.la
plugins_postgres_libpostgres_la_SOURCES = $(SOURCES_POSTGRES)
plugins_postgres_libpostgres_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(POSTGRES_PLUGIN_CFLAGS) -I$(srcdir)/plugins
plugins_postgres_libpostgres_la_LIBADD = plugins/shared/libshared.la \
	$(POSTGRES_PLUGIN_LIBS) -lm

TESTS_POSTGRES = tests/plugins/postgres_test tests/plugins/postgres_text_test
check_PROGRAMS += $(TESTS_POSTGRES)
TESTS += $(TESTS_POSTGRES)
CPPFLAGS_POSTGRES = $(POSTGRES_PLUGIN_CFLAGS) -I$(srcdir)/plugins
tests_plugins_postgres_test_SOURCES = tests/plugins/postgres_test.c \
	tests/plugins/said.h
tests_plugins_postgres_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(CPPFLAGS_POSTGRES)
tests_plugins_postgres_test_LDADD = $(LIBS_UNIT) \
	plugins/postgres/libpostgres.la
tests_plugins_postgres_text_test_SOURCES = tests/plugins/postgres_text_test.c
tests_plugins_postgres_text_test_CPPFLAGS = $(CPPFLAGS_UNIT) \
	$(CPPFLAGS_POSTGRES)
tests_plugins_postgres_text_test_LDADD = $(LIBS_UNIT) \
	plugins/postgres/libpostgres.la

FUZZ_POSTGRES = tests/fuzz/postgres_dsn tests/fuzz/postgres_queries \
	tests/fuzz/postgres_values
check_PROGRAMS += $(FUZZ_POSTGRES)
TESTS += $(FUZZ_POSTGRES)
tests_fuzz_postgres_dsn_SOURCES = tests/fuzz/postgres_dsn.c $(FUZZ_MAIN)
tests_fuzz_postgres_dsn_CPPFLAGS = $(CPPFLAGS_FUZZ) $(CPPFLAGS_POSTGRES)
tests_fuzz_postgres_dsn_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_postgres_dsn_LDADD = plugins/postgres/libpostgres.la
tests_fuzz_postgres_queries_SOURCES = tests/fuzz/postgres_queries.c $(FUZZ_MAIN)
tests_fuzz_postgres_queries_CPPFLAGS = $(CPPFLAGS_FUZZ) $(CPPFLAGS_POSTGRES)
tests_fuzz_postgres_queries_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_postgres_queries_LDADD = plugins/postgres/libpostgres.la
tests_fuzz_postgres_values_SOURCES = tests/fuzz/postgres_values.c $(FUZZ_MAIN)
tests_fuzz_postgres_values_CPPFLAGS = $(CPPFLAGS_FUZZ) $(CPPFLAGS_POSTGRES)
tests_fuzz_postgres_values_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_postgres_values_LDADD = plugins/postgres/libpostgres.la

INTEGRATION_POSTGRES = tests/integration/postgres_failures.py \
	tests/integration/postgres_parity.py
TESTS += $(INTEGRATION_POSTGRES)
$(INTEGRATION_POSTGRES:.py=.log): sonde plugins/postgres/postgres.la
endif
EXTRA_DIST += plugins/postgres/README.md conf.d/postgres.yaml \
	docs/plugins/postgres.md \
	tests/fuzz/corpus/postgres_dsn tests/fuzz/corpus/postgres_queries \
	tests/fuzz/corpus/postgres_values \
	tests/integration/postgres_failures.py \
	tests/integration/postgres_parity.py \
	tests/integration/postgres_server.py
