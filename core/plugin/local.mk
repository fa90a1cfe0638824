noinst_LTLIBRARIES += core/plugin/libplugin.la
core_plugin_libplugin_la_SOURCES = core/plugin/plugin.h 
