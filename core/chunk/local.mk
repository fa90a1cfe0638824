noinst_LTLIBRARIES += core/chunk/libchunk.la
core_chunk_libchunk_la_SOURCES = core/chunk/bits.h \
	core/chunk/chunk.c core/chunk/chunk.h core/chunk/cut.c \
	core/chunk/hist_chunk.c core/chunk/hist_chunk.h \
	core/chunk/hist_decode.c core/chunk/hist_reader.h \
	core/chunk/hist_fit.c core/chunk/hist_fit.h core/chunk/hist_mend.c \
	core/chunk/xor_chunk.c core/chunk/xor_chunk.h \
	core/chunk/xor_windows.c

check_PROGRAMS += tests/unit/xor_chunk_test tests/unit/hist_chunk_test
TESTS += tests/unit/xor_chunk_test tests/unit/hist_chunk_test
tests_unit_xor_chunk_test_SOURCES = tests/unit/xor_chunk_test.c
tests_unit_xor_chunk_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_xor_chunk_test_LDADD = $(LIBS_UNIT) $(LIB_CHUNK)
tests_unit_hist_chunk_test_SOURCES = tests/unit/hist_chunk_test.c \
	tests/unit/histograms.h
tests_unit_hist_chunk_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_hist_chunk_test_LDADD = $(LIBS_UNIT) $(LIB_CHUNK)

check_PROGRAMS += tests/fuzz/xor_chunk
TESTS += tests/fuzz/xor_chunk
tests_fuzz_xor_chunk_SOURCES = tests/fuzz/xor_chunk.c $(FUZZ_MAIN)
tests_fuzz_xor_chunk_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_xor_chunk_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_xor_chunk_LDADD = $(LIB_CHUNK)

check_PROGRAMS += tests/fuzz/hist_chunk
TESTS += tests/fuzz/hist_chunk
tests_fuzz_hist_chunk_SOURCES = tests/fuzz/hist_chunk.c $(FUZZ_MAIN)
tests_fuzz_hist_chunk_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_hist_chunk_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_hist_chunk_LDADD = $(LIB_CHUNK)
EXTRA_DIST += tests/fuzz/corpus/hist_chunk

EXTRA_DIST += core/chunk/README.md tests/fuzz/corpus/xor_chunk/five \
	tests/fuzz/corpus/xor_chunk/lying_count \
	tests/fuzz/corpus/xor_chunk/samples tests/fuzz/corpus/xor_chunk/steady \
	tests/fuzz/corpus/xor_chunk/tenths \
	tests/fuzz/corpus/xor_chunk/wide_window
