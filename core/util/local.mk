noinst_LTLIBRARIES += core/util/libutil.la
core_util_libutil_la_SOURCES = core/util/arena.c core/util/arena.h core/util/buf.c core/util/buf.h core/util/bytes.c core/util/bytes.h core/util/clock.c core/util/clock.h core/util/crc32c.c core/util/crc32c.h core/util/fs.c core/util/fs.h core/util/log.c core/util/log.h core/util/mem.c core/util/mem.h core/util/parallel.c core/util/parallel.h core/util/regex.c core/util/regex.h \
	core/util/regex_class.c core/util/regex_emit.c \
	core/util/regex_parse.c core/util/regex_plan.c \
	core/util/regex_syntax.h core/util/str.c core/util/str.h core/util/utf8.c core/util/utf8.h
check_PROGRAMS += tests/unit/util_test
TESTS += tests/unit/util_test
tests_unit_util_test_SOURCES = tests/unit/util_test.c
tests_unit_util_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_util_test_LDADD = $(LIBS_UNIT) $(LIB_UTIL)

check_PROGRAMS += tests/unit/regex_test
TESTS += tests/unit/regex_test
tests_unit_regex_test_SOURCES = tests/unit/regex_test.c
tests_unit_regex_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_regex_test_LDADD = $(LIBS_UNIT) $(LIB_UTIL)

check_PROGRAMS += tests/fuzz/regex
TESTS += tests/fuzz/regex
tests_fuzz_regex_SOURCES = tests/fuzz/regex.c $(FUZZ_MAIN)
tests_fuzz_regex_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_regex_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_regex_LDADD = $(LIB_UTIL)

core_util_libutil_la_SOURCES += core/util/trim.c core/util/trim.h
check_PROGRAMS += tests/unit/trim_test
TESTS += tests/unit/trim_test
tests_unit_trim_test_SOURCES = tests/unit/trim_test.c
tests_unit_trim_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_trim_test_LDADD = $(LIBS_UNIT) $(LIB_UTIL)

core_util_libutil_la_SOURCES += core/util/casemap.c core/util/casemap.h \
	core/util/md5.c core/util/md5.h
EXTRA_DIST += core/util/README.md tests/fuzz/corpus/regex

core_util_libutil_la_SOURCES += core/util/refs.c core/util/refs.h
check_PROGRAMS += tests/unit/refs_test
TESTS += tests/unit/refs_test
tests_unit_refs_test_SOURCES = tests/unit/refs_test.c
tests_unit_refs_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_refs_test_LDADD = $(LIBS_UNIT) $(LIB_UTIL)
