noinst_LTLIBRARIES += core/block/libblock.la
core_block_libblock_la_SOURCES = core/block/block.h \
	core/block/block.c core/block/block_int.h \
	core/block/block_query.c \
	core/block/block_delete.c core/block/block_select.c core/block/block_select.h \
	core/block/block_write.c \
	core/block/chunk_files.c core/block/chunk_files.h \
	core/block/chunk_write.c \
	core/block/index.h core/block/index_format.h \
	core/block/index_postings.c core/block/index_read.c \
	core/block/index_write.c core/block/index_write.h \
	core/block/mapped.c core/block/mapped.h \
	core/block/meta.c \
	core/block/out_file.c core/block/out_file.h \
	core/block/posting_runs.c core/block/posting_runs.h \
	core/block/postings_table.c \
	core/block/symbols.c core/block/symbols.h \
	core/block/tombstones.c \
	core/block/ulid.c \
	core/block/verify.c
core_block_libblock_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
EXTRA_DIST += core/block/README.md

check_PROGRAMS += tests/unit/block_test
TESTS += tests/unit/block_test
tests_unit_block_test_SOURCES = tests/unit/block_test.c
tests_unit_block_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_block_test_LDADD = $(LIBS_UNIT) $(LIB_BLOCK)

check_PROGRAMS += tests/unit/block_files_test
TESTS += tests/unit/block_files_test
tests_unit_block_files_test_SOURCES = tests/unit/block_files_test.c
tests_unit_block_files_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_block_files_test_LDADD = $(LIBS_UNIT) $(LIB_BLOCK)

check_PROGRAMS += tests/unit/block_round_test
TESTS += tests/unit/block_round_test
tests_unit_block_round_test_SOURCES = tests/unit/block_round_test.c \
	tests/unit/block_kit.h
tests_unit_block_round_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_block_round_test_LDADD = $(LIBS_UNIT) $(LIB_BLOCK)

check_PROGRAMS += tests/unit/block_damage_test
TESTS += tests/unit/block_damage_test
tests_unit_block_damage_test_SOURCES = tests/unit/block_damage_test.c \
	tests/unit/block_kit.h
tests_unit_block_damage_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_block_damage_test_LDADD = $(LIBS_UNIT) $(LIB_BLOCK)

check_PROGRAMS += tests/fuzz/block_files tests/fuzz/block_small
TESTS += tests/fuzz/block_files tests/fuzz/block_small
tests_fuzz_block_files_SOURCES = tests/fuzz/block_files.c $(FUZZ_MAIN)
tests_fuzz_block_files_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_block_files_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_block_files_LDADD = $(LIB_BLOCK)
tests_fuzz_block_small_SOURCES = tests/fuzz/block_small.c $(FUZZ_MAIN)
tests_fuzz_block_small_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_block_small_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_block_small_LDADD = $(LIB_BLOCK)
EXTRA_DIST += tests/fuzz/corpus/block_files/empty_chunk \
	tests/fuzz/corpus/block_files/prometheus \
	tests/fuzz/corpus/block_files/version1 \
	tests/fuzz/corpus/block_small/meta tests/fuzz/corpus/block_small/stones

check_PROGRAMS += tests/unit/block_query_test
TESTS += tests/unit/block_query_test
tests_unit_block_query_test_SOURCES = tests/unit/block_query_test.c \
	tests/unit/query_kit.h
tests_unit_block_query_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_block_query_test_LDADD = $(LIBS_UNIT) $(LIB_BLOCK)
