noinst_LTLIBRARIES += core/expo/libexpo.la
core_expo_libexpo_la_SOURCES = core/expo/chars.c core/expo/expo.h \
	core/expo/expo_int.h core/expo/format.c core/expo/line.c \
	core/expo/meta.c core/expo/scan.c core/expo/series.c core/expo/write.c

check_PROGRAMS += tests/unit/expo_test
TESTS += tests/unit/expo_test
tests_unit_expo_test_SOURCES = tests/unit/expo_test.c
tests_unit_expo_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_expo_test_LDADD = $(LIBS_UNIT) $(LIB_EXPO)

check_PROGRAMS += tests/fuzz/expo_text tests/fuzz/expo_openmetrics
TESTS += tests/fuzz/expo_text tests/fuzz/expo_openmetrics
tests_fuzz_expo_text_SOURCES = tests/fuzz/expo_text.c \
	tests/fuzz/expo_pieces.c tests/fuzz/expo_pieces.h $(FUZZ_MAIN)
tests_fuzz_expo_text_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_expo_text_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_expo_text_LDADD = $(LIB_EXPO)
tests_fuzz_expo_openmetrics_SOURCES = tests/fuzz/expo_openmetrics.c \
	tests/fuzz/expo_pieces.c tests/fuzz/expo_pieces.h $(FUZZ_MAIN)
tests_fuzz_expo_openmetrics_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_expo_openmetrics_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_expo_openmetrics_LDADD = $(LIB_EXPO)

EXTRA_DIST += tests/fuzz/corpus/expo_text/bad \
	tests/fuzz/corpus/expo_text/empty_family \
	tests/fuzz/corpus/expo_text/empty_name \
	tests/fuzz/corpus/expo_text/blanks \
	tests/fuzz/corpus/expo_text/lf_in_value \
	tests/fuzz/corpus/expo_text/nul \
	tests/fuzz/corpus/expo_text/plain \
	tests/fuzz/corpus/expo_text/quoted \
	tests/fuzz/corpus/expo_text/summary \
	tests/fuzz/corpus/expo_openmetrics/bad \
	tests/fuzz/corpus/expo_openmetrics/exemplar \
	tests/fuzz/corpus/expo_openmetrics/no_eof \
	tests/fuzz/corpus/expo_openmetrics/plain \
	tests/fuzz/corpus/expo_openmetrics/quoted
EXTRA_DIST += core/expo/README.md
