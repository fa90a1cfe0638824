noinst_LTLIBRARIES += core/agent/libagent.la
core_agent_libagent_la_SOURCES = \
	core/agent/agent.c core/agent/agent.h core/agent/agent_int.h \
	core/agent/limits.c core/agent/quiet.c core/agent/reload.c \
	core/agent/sidecar.c core/agent/sidecar.h \
	core/agent/signals.c \
	core/agent/web_metrics.c core/agent/wire.c core/agent/wire_status.c
core_agent_libagent_la_SOURCES += core/agent/config.h
core_agent_libagent_la_SOURCES += core/agent/config.c
core_agent_libagent_la_SOURCES += core/agent/config_tables.c
core_agent_libagent_la_SOURCES += core/agent/config_tables.h

check_PROGRAMS += tests/unit/agent_config_test
TESTS += tests/unit/agent_config_test
tests_unit_agent_config_test_SOURCES = tests/unit/agent_config_test.c
tests_unit_agent_config_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_agent_config_test_LDADD = $(LIBS_UNIT) $(LIB_ALL)
EXTRA_DIST += tests/unit/config

check_PROGRAMS += tests/fuzz/config
TESTS += tests/fuzz/config
tests_fuzz_config_SOURCES = tests/fuzz/config.c $(FUZZ_MAIN)
tests_fuzz_config_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_config_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_config_LDADD = $(LIB_ALL)
EXTRA_DIST += tests/fuzz/corpus/config
