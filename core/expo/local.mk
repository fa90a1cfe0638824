noinst_LTLIBRARIES += core/expo/libexpo.la
core_expo_libexpo_la_SOURCES = core/expo/expo.h 
