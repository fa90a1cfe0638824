noinst_LTLIBRARIES += core/block/libblock.la
core_block_libblock_la_SOURCES = core/block/block.h core/block/ulid.c
EXTRA_DIST += core/block/README.md

check_PROGRAMS += tests/unit/block_test
TESTS += tests/unit/block_test
tests_unit_block_test_SOURCES = tests/unit/block_test.c
tests_unit_block_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_block_test_LDADD = $(LIBS_UNIT) $(LIB_BLOCK)
