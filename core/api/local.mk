noinst_LTLIBRARIES += core/api/libapi.la
core_api_libapi_la_SOURCES = core/api/api.h core/api/admin.c core/api/api.c core/api/api_int.h core/api/blocks.c core/api/relabel_steps.c \
	core/api/envelope.c core/api/exemplars.c core/api/features.c core/api/rules.c core/api/federate.c core/api/federate.h \
	core/api/federate_proto.c core/api/federate_text.c \
	core/api/json.c core/api/json.h core/api/labels.c \
	core/api/landing.c core/api/lifecycle.c core/api/metadata.c core/api/metrics.c \
	core/api/parse_query.c \
	core/api/quantile_window.c core/api/quantile_window.h \
	core/api/query.c core/api/query_log.c core/api/result.c core/api/selectors.c core/api/selfpage.c core/api/status.c \
	core/api/targets.c core/api/times.c core/api/times.h

check_PROGRAMS += tests/unit/json_test
TESTS += tests/unit/json_test
tests_unit_json_test_SOURCES = tests/unit/json_test.c
tests_unit_json_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_json_test_LDADD = $(LIBS_UNIT) core/api/libapi.la $(LIB_MODEL)

check_PROGRAMS += tests/unit/api_test
TESTS += tests/unit/api_test
tests_unit_api_test_SOURCES = tests/unit/api_test.c
tests_unit_api_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_api_test_LDADD = $(LIBS_UNIT) $(LIB_API)
EXTRA_DIST += core/api/README.md
