noinst_LTLIBRARIES += core/remote/libremote.la
core_remote_libremote_la_SOURCES = core/remote/remote.h 
core_remote_libremote_la_SOURCES += core/remote/remote_config.c
