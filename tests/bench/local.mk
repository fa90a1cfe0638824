# Benchmarks: built and run on demand only (`make bench`).
EXTRA_PROGRAMS = tests/bench/targets
tests_bench_targets_SOURCES = tests/bench/targets.c
tests_bench_targets_LDADD = $(LIB_UTIL) $(ZLIB_LIBS)
CLEANFILES += tests/bench/targets
