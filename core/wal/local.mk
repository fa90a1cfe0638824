noinst_LTLIBRARIES += core/wal/libwal.la
core_wal_libwal_la_SOURCES = core/wal/wal.h 
