# Benchmarks: built and run on demand only. BENCH_FLAGS are passed on, such as
# --side-by-side, --gzip, --only=sonde; without --fetch in them, peers are
# only run if they are there already.
EXTRA_PROGRAMS = tests/bench/targets
tests_bench_targets_SOURCES = tests/bench/targets.c
tests_bench_targets_LDADD = $(LIB_UTIL) $(ZLIB_LIBS)
CLEANFILES += tests/bench/targets
EXTRA_DIST += tests/bench/scrape_bench.py tests/tools/newer-debian

BENCH_FLAGS = --fetch

.PHONY: bench bench-scrape
bench: bench-scrape
bench-scrape: sonde$(EXEEXT) tests/bench/targets$(EXEEXT)
	$(PYTHON3) $(srcdir)/tests/bench/scrape_bench.py \
		--build-dir=$(abs_top_builddir) $(BENCH_FLAGS)
