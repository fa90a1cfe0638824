# Every test speaks TAP, so that each case counts. A room's unit tests and
# fuzz targets are declared in the room's own fragment.
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
TEST_EXTENSIONS = .py .sh
PY_LOG_DRIVER = $(LOG_DRIVER)
PY_LOG_COMPILER = $(PYTHON3)
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(SHELL)
AM_TESTS_ENVIRONMENT = \
	SONDE_BUILD_DIR='$(abs_top_builddir)'; export SONDE_BUILD_DIR; \
	SONDE_SRC_DIR='$(abs_top_srcdir)'; export SONDE_SRC_DIR; \
	ASAN_OPTIONS=abort_on_error=0:detect_leaks=1; export ASAN_OPTIONS; \
	TSAN_OPTIONS=halt_on_error=1; export TSAN_OPTIONS; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE;

# Unit tests: $(LIBS_UNIT) has the TAP runner around CUnit.
check_LTLIBRARIES += tests/unit/libtap.la
tests_unit_libtap_la_SOURCES = tests/unit/tap.c tests/unit/tap.h
tests_unit_libtap_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
LIBS_UNIT = tests/unit/libtap.la $(CUNIT_LIBS)
CPPFLAGS_UNIT = $(AM_CPPFLAGS) -I$(srcdir)/tests $(CUNIT_CFLAGS)

# Fuzz targets: NAME defines LLVMFuzzerTestOneInput; without --enable-fuzzing
# FUZZ_MAIN replays the files of its corpus.
if FUZZING
FUZZ_MAIN =
LDFLAGS_FUZZ = $(AM_LDFLAGS) $(SONDE_FUZZER)
else
FUZZ_MAIN = tests/fuzz/replay.c
LDFLAGS_FUZZ = $(AM_LDFLAGS)
endif
CPPFLAGS_FUZZ = $(AM_CPPFLAGS) -I$(srcdir)/tests
EXTRA_DIST += tests/fuzz/replay.c

include tests/integration/local.mk
include tests/lint/local.mk
include tests/tools/local.mk
include tests/bench/local.mk
