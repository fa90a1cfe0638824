noinst_LTLIBRARIES += core/plugin/libplugin.la
core_plugin_libplugin_la_SOURCES = core/plugin/check.c \
	core/plugin/instance.c core/plugin/loader.c core/plugin/parts.c \
	core/plugin/parts.h core/plugin/plugin.h core/plugin/plugin_int.h \
	core/plugin/registry.c core/plugin/services.c core/plugin/show.c \
	core/plugin/sink.c core/plugin/sink_dynamic.c core/plugin/sink_int.h \
	core/plugin/sink_parts.c core/plugin/state.c
EXTRA_DIST += core/plugin/README.md

# Plugins for the loader's tests: one that is fine and some that are not.
PLUGINS_TEST = tests/plugins/good.la tests/plugins/twin.la \
	tests/plugins/wrong_abi.la tests/plugins/no_entry.la \
	tests/plugins/declines.la tests/plugins/unresolved.la \
	tests/plugins/steps.la
check_LTLIBRARIES += $(PLUGINS_TEST)
LDFLAGS_PLUGIN_TEST = -module -avoid-version -shared -rpath /nowhere \
	$(AM_LDFLAGS)
tests_plugins_good_la_SOURCES = tests/plugins/good.c
tests_plugins_good_la_LDFLAGS = $(LDFLAGS_PLUGIN_TEST)
tests_plugins_twin_la_SOURCES = tests/plugins/twin.c
tests_plugins_twin_la_LDFLAGS = $(LDFLAGS_PLUGIN_TEST)
tests_plugins_wrong_abi_la_SOURCES = tests/plugins/wrong_abi.c
tests_plugins_wrong_abi_la_LDFLAGS = $(LDFLAGS_PLUGIN_TEST)
tests_plugins_no_entry_la_SOURCES = tests/plugins/no_entry.c
tests_plugins_no_entry_la_LDFLAGS = $(LDFLAGS_PLUGIN_TEST)
tests_plugins_declines_la_SOURCES = tests/plugins/declines.c
tests_plugins_declines_la_LDFLAGS = $(LDFLAGS_PLUGIN_TEST)
tests_plugins_unresolved_la_SOURCES = tests/plugins/unresolved.c
tests_plugins_unresolved_la_LDFLAGS = $(LDFLAGS_PLUGIN_TEST)
tests_plugins_steps_la_SOURCES = tests/plugins/steps.c
tests_plugins_steps_la_LDFLAGS = $(LDFLAGS_PLUGIN_TEST)

TESTS += tests/integration/plugin_host.py
EXTRA_DIST += tests/integration/plugin_host.py
tests/integration/plugin_host.log: sonde tests/plugins/steps.la plugins/prometheus/prometheus.la

check_PROGRAMS += tests/unit/plugin_test tests/unit/plugin_sink_test \
	tests/unit/plugin_parts_test tests/unit/plugin_state_test \
	tests/plugins/steps_test
TESTS += tests/unit/plugin_test tests/unit/plugin_sink_test \
	tests/unit/plugin_parts_test tests/unit/plugin_state_test \
	tests/plugins/steps_test
tests_unit_plugin_state_test_SOURCES = tests/unit/plugin_state_test.c
tests_unit_plugin_state_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_plugin_state_test_LDADD = $(LIBS_UNIT) $(LIB_PLUGIN)
tests_plugins_steps_test_SOURCES = tests/plugins/steps_test.c \
	tests/plugins/steps.c
tests_plugins_steps_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_plugins_steps_test_LDADD = $(LIBS_UNIT)
tests_unit_plugin_parts_test_SOURCES = tests/unit/plugin_parts_test.c
tests_unit_plugin_parts_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_plugin_parts_test_LDADD = $(LIBS_UNIT) $(LIB_PLUGIN)
tests_unit_plugin_test_SOURCES = tests/unit/plugin_test.c
tests_unit_plugin_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_plugin_test_LDADD = $(LIBS_UNIT) $(LIB_PLUGIN)
EXTRA_tests_unit_plugin_test_DEPENDENCIES = $(PLUGINS_TEST) \
	tests/plugins/example.la
tests_unit_plugin_sink_test_SOURCES = tests/unit/plugin_sink_test.c
tests_unit_plugin_sink_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_plugin_sink_test_LDADD = $(LIBS_UNIT) $(LIB_PLUGIN)

check_PROGRAMS += tests/fuzz/plugin_parts
TESTS += tests/fuzz/plugin_parts
tests_fuzz_plugin_parts_SOURCES = tests/fuzz/plugin_parts.c $(FUZZ_MAIN)
tests_fuzz_plugin_parts_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_plugin_parts_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_plugin_parts_LDADD = $(LIB_PLUGIN)
EXTRA_DIST += tests/fuzz/corpus/plugin_parts/again \
	tests/fuzz/corpus/plugin_parts/discard \
	tests/fuzz/corpus/plugin_parts/slow \
	tests/fuzz/corpus/plugin_parts/wrong
