noinst_LTLIBRARIES += core/discovery/libdiscovery.la
core_discovery_libdiscovery_la_SOURCES = core/discovery/discovery.c \
	core/discovery/discovery.h core/discovery/discovery_int.h \
	core/discovery/discovery_config.c \
	core/discovery/file_sd.c core/discovery/target_file.c

check_PROGRAMS += tests/unit/discovery_test
TESTS += tests/unit/discovery_test
tests_unit_discovery_test_SOURCES = tests/unit/discovery_test.c
tests_unit_discovery_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_discovery_test_LDADD = $(LIBS_UNIT) $(LIB_DISCOVERY)

check_PROGRAMS += tests/fuzz/file_sd
TESTS += tests/fuzz/file_sd
tests_fuzz_file_sd_SOURCES = tests/fuzz/file_sd.c $(FUZZ_MAIN)
tests_fuzz_file_sd_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_file_sd_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_file_sd_LDADD = $(LIB_DISCOVERY)

EXTRA_DIST += tests/fuzz/corpus/file_sd/bad.json \
	tests/fuzz/corpus/file_sd/bad.yml \
	tests/fuzz/corpus/file_sd/good.json \
	tests/fuzz/corpus/file_sd/good.yml
EXTRA_DIST += core/discovery/README.md
