noinst_LTLIBRARIES += core/cli/libcli.la
core_cli_libcli_la_SOURCES = core/cli/flags.h 
