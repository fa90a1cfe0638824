# Loaded into the agent by tests; never built with a sanitizer.
check_LTLIBRARIES += tests/tools/libfaultio.la
tests_tools_libfaultio_la_SOURCES = tests/tools/faultio.c
tests_tools_libfaultio_la_CFLAGS = $(SONDE_CFLAGS) -pthread
tests_tools_libfaultio_la_LDFLAGS = -module -avoid-version -shared \
	-rpath /nowhere -pthread
tests_tools_libfaultio_la_LIBADD = -ldl
