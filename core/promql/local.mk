noinst_LTLIBRARIES += core/promql/libpromql.la
core_promql_libpromql_la_SOURCES = core/promql/ast.h core/promql/promql.h 
