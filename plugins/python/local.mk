# What the plugins for Python's applications share.
noinst_LTLIBRARIES += plugins/python/libpython.la
plugins_python_libpython_la_SOURCES = plugins/python/db_file.c \
	plugins/python/db_file.h plugins/python/key.c plugins/python/key.h \
	plugins/python/merge.c plugins/python/merge.h \
	plugins/python/multiproc.c plugins/python/multiproc.h \
	plugins/python/pids.c plugins/python/pids.h plugins/python/preset.c \
	plugins/python/preset.h plugins/python/series.c \
	plugins/python/series.h plugins/python/store.c plugins/python/store.h
plugins_python_libpython_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) $(JANSSON_CFLAGS)
plugins_python_libpython_la_LIBADD = $(JANSSON_LIBS) -lm

check_PROGRAMS += tests/plugins/multiproc_test tests/fuzz/multiproc_files
TESTS += tests/plugins/multiproc_test tests/fuzz/multiproc_files
tests_plugins_multiproc_test_SOURCES = tests/plugins/multiproc_test.c \
	tests/plugins/db_writer.h plugins/prometheus/prometheus.c
tests_plugins_multiproc_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(JANSSON_CFLAGS) \
	-I$(srcdir)/plugins
tests_plugins_multiproc_test_LDADD = plugins/python/libpython.la $(LIBS_UNIT) \
	-lm
tests_fuzz_multiproc_files_SOURCES = tests/fuzz/multiproc_files.c \
	plugins/prometheus/prometheus.c $(FUZZ_MAIN)
tests_fuzz_multiproc_files_CPPFLAGS = $(CPPFLAGS_FUZZ) $(JANSSON_CFLAGS) \
	-I$(srcdir)/plugins
tests_fuzz_multiproc_files_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_multiproc_files_LDADD = plugins/python/libpython.la -lm

TESTS += tests/integration/python_apps.py
tests/integration/python_apps.log: sonde
EXTRA_DIST += docs/plugins/fastapi.md docs/plugins/prometheus.md \
	docs/plugins/python.md plugins/python/README.md tests/fuzz/corpus/multiproc_files \
	tests/integration/python_apps.py tests/integration/pyapps

# CPU time of a scrape beside that of the library's own page.
.PHONY: bench-python
bench: bench-python
bench-python: all
	$(PYTHON3) $(srcdir)/tests/bench/multiproc_bench.py \
		--build-dir=$(abs_top_builddir) $(BENCH_FLAGS)
EXTRA_DIST += tests/bench/multiproc_bench.py
