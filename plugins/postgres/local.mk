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
	plugins/postgres/text.c plugins/postgres/text.h \
	plugins/postgres/visit.c plugins/postgres/yaml_file.c \
	plugins/postgres/yaml_file.h

if PLUGIN_POSTGRES
plugin_LTLIBRARIES += plugins/postgres/postgres.la
plugins_postgres_postgres_la_SOURCES = $(SOURCES_POSTGRES)
plugins_postgres_postgres_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(POSTGRES_PLUGIN_CFLAGS)
# A cancel request may outlive its target by a moment: link_cancel.c.
plugins_postgres_postgres_la_LDFLAGS = $(LDFLAGS_PLUGIN) -Wl,-z,nodelete
plugins_postgres_postgres_la_LIBADD = $(POSTGRES_PLUGIN_LIBS) -lm

# The same sources as a library, for tests to look inside.
check_LTLIBRARIES += plugins/postgres/libpostgres.la
plugins_postgres_libpostgres_la_SOURCES = $(SOURCES_POSTGRES)
plugins_postgres_libpostgres_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(POSTGRES_PLUGIN_CFLAGS)
plugins_postgres_libpostgres_la_LIBADD = $(POSTGRES_PLUGIN_LIBS) -lm
endif
