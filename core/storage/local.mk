noinst_LTLIBRARIES += core/storage/libstorage.la
core_storage_libstorage_la_SOURCES = \
	core/storage/columns.c core/storage/columns.h \
	core/storage/fake.c core/storage/fake_int.h core/storage/fake_query.c \
	core/storage/matcher.c core/storage/matcher.h \
	core/storage/merge.c core/storage/merge.h \
	core/storage/storage.h core/storage/verdict.c

check_PROGRAMS += tests/unit/storage_test
TESTS += tests/unit/storage_test
tests_unit_storage_test_SOURCES = tests/unit/storage_test.c
tests_unit_storage_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_storage_test_LDADD = $(LIBS_UNIT) $(LIB_STORAGE)

check_PROGRAMS += tests/unit/merge_test
TESTS += tests/unit/merge_test
tests_unit_merge_test_SOURCES = tests/unit/merge_test.c
tests_unit_merge_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_merge_test_LDADD = $(LIBS_UNIT) $(LIB_STORAGE)
EXTRA_DIST += core/storage/README.md
