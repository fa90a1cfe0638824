noinst_LTLIBRARIES += core/tsdb/libtsdb.la
core_tsdb_libtsdb_la_SOURCES = core/tsdb/tsdb.h 
