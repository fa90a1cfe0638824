noinst_LTLIBRARIES += core/chunk/libchunk.la
core_chunk_libchunk_la_SOURCES = core/chunk/chunk.h \
	core/chunk/xor_chunk.c core/chunk/xor_chunk.h

check_PROGRAMS += tests/fuzz/xor_chunk
TESTS += tests/fuzz/xor_chunk
tests_fuzz_xor_chunk_SOURCES = tests/fuzz/xor_chunk.c $(FUZZ_MAIN)
tests_fuzz_xor_chunk_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_xor_chunk_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_xor_chunk_LDADD = $(LIB_CHUNK)
EXTRA_DIST += core/chunk/README.md tests/fuzz/corpus/xor_chunk/five \
	tests/fuzz/corpus/xor_chunk/lying_count \
	tests/fuzz/corpus/xor_chunk/samples tests/fuzz/corpus/xor_chunk/steady \
	tests/fuzz/corpus/xor_chunk/tenths \
	tests/fuzz/corpus/xor_chunk/wide_window
