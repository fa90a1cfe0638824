noinst_LTLIBRARIES += core/storage/libstorage.la
core_storage_libstorage_la_SOURCES = core/storage/matcher.h core/storage/storage.h 
