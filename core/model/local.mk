noinst_LTLIBRARIES += core/model/libmodel.la
core_model_libmodel_la_SOURCES = core/model/histogram.c core/model/histogram.h \
	core/model/histogram_bounds.c core/model/histogram_bounds.h \
	core/model/labels.c core/model/labels.h \
	core/model/number.c core/model/number.h \
	core/model/number_format.c core/model/process.c core/model/pow10.c \
	core/model/pow10.h core/model/sample.c core/model/sample.h \
	core/model/selfmetrics.c core/model/selfmetrics.h \
	core/model/symtab.c core/model/symtab.h core/model/units.c
core_model_libmodel_la_CPPFLAGS = $(AM_CPPFLAGS) $(XXHASH_CFLAGS)

check_PROGRAMS += tests/unit/model_test
TESTS += tests/unit/model_test
tests_unit_model_test_SOURCES = tests/unit/model_test.c
tests_unit_model_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_model_test_LDADD = $(LIBS_UNIT) $(LIB_MODEL)

check_PROGRAMS += tests/unit/histogram_test
TESTS += tests/unit/histogram_test
tests_unit_histogram_test_SOURCES = tests/unit/histogram_test.c \
	tests/unit/histograms.h
tests_unit_histogram_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_histogram_test_LDADD = $(LIBS_UNIT) $(LIB_MODEL)

check_PROGRAMS += tests/fuzz/number
TESTS += tests/fuzz/number
tests_fuzz_number_SOURCES = tests/fuzz/number.c $(FUZZ_MAIN)
tests_fuzz_number_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_number_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_number_LDADD = $(LIB_MODEL)
EXTRA_DIST += core/model/README.md tests/fuzz/corpus/number
