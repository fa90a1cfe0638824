# Benchmarks: built and run on demand only. BENCH_FLAGS are passed on, such as
# --side-by-side, --gzip, --only=sonde; without --fetch in them, peers are
# only run if they are there already.
EXTRA_PROGRAMS = tests/bench/targets
tests_bench_targets_SOURCES = tests/bench/targets.c
tests_bench_targets_LDADD = $(LIB_UTIL) $(ZLIB_LIBS)
CLEANFILES += tests/bench/targets
EXTRA_DIST += tests/bench/exporter_bench.py tests/bench/footprint.py tests/bench/restart_bench.py \
	tests/bench/scrape_bench.py tests/bench/soak.py tests/tools/newer-debian

BENCH_FLAGS = --fetch

.PHONY: bench bench-scrape bench-footprint bench-restart bench-receive \
	bench-promql bench-exporters soak
bench: bench-footprint bench-scrape bench-restart bench-receive bench-promql \
	bench-exporters
bench-footprint: all
	SONDE_BUILD_DIR=$(abs_top_builddir) $(PYTHON3) \
		$(srcdir)/tests/bench/footprint.py
bench-scrape: all tests/bench/targets$(EXEEXT)
	$(PYTHON3) $(srcdir)/tests/bench/scrape_bench.py \
		--build-dir=$(abs_top_builddir) $(BENCH_FLAGS)
bench-restart: all tests/bench/targets$(EXEEXT)
	$(PYTHON3) $(srcdir)/tests/bench/restart_bench.py \
		--build-dir=$(abs_top_builddir) $(BENCH_FLAGS)

# An hour by itself; SOAK_FLAGS=--minutes=480 for a night.
SOAK_FLAGS =
soak: all tests/bench/targets$(EXEEXT)
	$(PYTHON3) $(srcdir)/tests/bench/soak.py \
		--build-dir=$(abs_top_builddir) $(SOAK_FLAGS)

EXTRA_PROGRAMS += tests/bench/expo_bench
tests_bench_expo_bench_SOURCES = tests/bench/expo_bench.c
tests_bench_expo_bench_LDADD = $(LIB_EXPO)
CLEANFILES += tests/bench/expo_bench
EXTRA_PROGRAMS += tests/bench/head_bench
tests_bench_head_bench_SOURCES = tests/bench/head_bench.c
tests_bench_head_bench_LDADD = $(LIB_TSDB)
CLEANFILES += tests/bench/head_bench
# An integration test uses it too.
EXTRA_PROGRAMS += tests/bench/fill_bench
tests_bench_fill_bench_SOURCES = tests/bench/fill_bench.c
tests_bench_fill_bench_LDADD = $(LIB_TSDB)
CLEANFILES += tests/bench/fill_bench
EXTRA_PROGRAMS += tests/bench/remote_write_load
tests_bench_remote_write_load_SOURCES = tests/bench/remote_write_load.c
tests_bench_remote_write_load_LDADD = $(LIB_REMOTE)
CLEANFILES += tests/bench/remote_write_load
EXTRA_PROGRAMS += tests/bench/query_bench
tests_bench_query_bench_SOURCES = tests/bench/query_bench.c
tests_bench_query_bench_LDADD = $(LIB_TSDB)
CLEANFILES += tests/bench/query_bench
EXTRA_DIST += tests/bench/promql_bench.py tests/bench/receive_bench.py
bench-promql: all tests/bench/remote_write_load$(EXEEXT)
	$(PYTHON3) $(srcdir)/tests/bench/promql_bench.py \
		--build-dir=$(abs_top_builddir) $(BENCH_FLAGS)
bench-receive: all tests/bench/remote_write_load$(EXEEXT)
	$(PYTHON3) $(srcdir)/tests/bench/receive_bench.py \
		--build-dir=$(abs_top_builddir) --fetch
	$(PYTHON3) $(srcdir)/tests/bench/receive_bench.py \
		--build-dir=$(abs_top_builddir) --fetch --backfill --batch=10000
bench-exporters: all
	$(PYTHON3) $(srcdir)/tests/bench/exporter_bench.py \
		--build-dir=$(abs_top_builddir) $(BENCH_FLAGS)
