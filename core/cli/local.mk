noinst_LTLIBRARIES += core/cli/libcli.la
core_cli_libcli_la_SOURCES = \
	core/cli/check.c \
	core/cli/cli.c core/cli/cli.h \
	core/cli/paths.c \
	core/cli/plugins_cmd.c core/cli/plugins_cmd.h \
	core/cli/run.c \
	core/cli/scrape_cmd.c
core_cli_libcli_la_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGINDIR='"$(plugindir)"'
