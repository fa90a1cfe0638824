# Micro-benchmarks of single rooms: built on demand, `make tests/bench/NAME`.
EXTRA_PROGRAMS =

EXTRA_PROGRAMS += tests/bench/expo_bench
tests_bench_expo_bench_SOURCES = tests/bench/expo_bench.c
tests_bench_expo_bench_LDADD = $(LIB_EXPO)
