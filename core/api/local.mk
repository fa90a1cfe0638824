noinst_LTLIBRARIES += core/api/libapi.la
core_api_libapi_la_SOURCES = core/api/api.h 
