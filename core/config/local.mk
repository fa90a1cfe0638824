noinst_LTLIBRARIES += core/config/libconfig.la
core_config_libconfig_la_SOURCES = core/config/schema.h
core_config_libconfig_la_SOURCES += core/config/document.c
core_config_libconfig_la_SOURCES += core/config/hash.c
core_config_libconfig_la_SOURCES += core/config/options.c
core_config_libconfig_la_SOURCES += core/config/print.c
core_config_libconfig_la_SOURCES += core/config/schema.c
core_config_libconfig_la_SOURCES += core/config/value.c
core_config_libconfig_la_SOURCES += core/config/value.h
core_config_libconfig_la_SOURCES += core/config/yaml.c

check_PROGRAMS += tests/unit/config_test
TESTS += tests/unit/config_test
tests_unit_config_test_SOURCES = tests/unit/config_test.c
tests_unit_config_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_config_test_LDADD = $(LIBS_UNIT) $(LIB_CONFIG)

check_PROGRAMS += tests/fuzz/yaml
TESTS += tests/fuzz/yaml
tests_fuzz_yaml_SOURCES = tests/fuzz/yaml.c $(FUZZ_MAIN)
tests_fuzz_yaml_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_yaml_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_yaml_LDADD = $(LIB_CONFIG)
EXTRA_DIST += tests/fuzz/corpus/yaml
EXTRA_DIST += core/config/README.md
