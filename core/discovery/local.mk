noinst_LTLIBRARIES += core/discovery/libdiscovery.la
core_discovery_libdiscovery_la_SOURCES = core/discovery/discovery.h 
core_discovery_libdiscovery_la_SOURCES += core/discovery/discovery_config.c
