noinst_LTLIBRARIES += core/promql/libpromql.la
core_promql_libpromql_la_SOURCES = \
	core/promql/ast.h core/promql/promql.h core/promql/parse_int.h \
	core/promql/absent.c \
	core/promql/aggregate.c core/promql/aggregate.h \
	core/promql/ast.c \
	core/promql/binary.c \
	core/promql/call.c core/promql/call.h \
	core/promql/check.c core/promql/count_values.c \
	core/promql/dates.c \
	core/promql/edges.c core/promql/edges.h \
	core/promql/edges_histograms.c core/promql/element.c core/promql/element.h \
	core/promql/engine.c core/promql/engine.h core/promql/tally.h \
	core/promql/explain.c core/promql/explain.h \
	core/promql/fold.c \
	core/promql/functions.c \
	core/promql/hist.c core/promql/hist.h \
	core/promql/hist_trim.c core/promql/hist_walk.c \
	core/promql/histogram_fold.c core/promql/histogram_functions.c \
	core/promql/histogram_rate.c \
	core/promql/histogram_rows.c core/promql/instant.c \
	core/promql/kahan.h \
	core/promql/info.c core/promql/label_functions.c \
	core/promql/lex.c core/promql/lex.h core/promql/lex_int.h \
	core/promql/lex_number.c core/promql/lex_string.c \
	core/promql/match.c core/promql/match.h \
	core/promql/match_series.c core/promql/match_sets.c \
	core/promql/math.c \
	core/promql/names.c core/promql/node.c core/promql/notes.c \
	core/promql/over_time.c \
	core/promql/parse.c core/promql/parse_call.c \
	core/promql/parse_postfix.c core/promql/parse_span.c \
	core/promql/print.c \
	core/promql/quantile.c core/promql/quantile.h \
	core/promql/quantile_classic.c core/promql/quantile_native.c \
	core/promql/quantiles.c core/promql/quantiles.h \
	core/promql/range.c core/promql/ranked.c core/promql/rate.c \
	core/promql/regress.c \
	core/promql/select.c core/promql/select.h \
	core/promql/shapes.c core/promql/sort.c core/promql/span.c \
	core/promql/selector.c core/promql/token.c

check_PROGRAMS += tests/unit/promql_engine_test \
	tests/unit/promql_explain_test \
	tests/unit/promql_errors_test \
	tests/unit/promql_verified_test \
	tests/unit/promql_functions_test \
	tests/unit/promql_histogram_test \
	tests/unit/promql_language_test \
	tests/unit/promql_match_test tests/unit/promql_test \
	tests/fuzz/promql tests/fuzz/promql_engine
TESTS += tests/unit/promql_engine_test \
	tests/unit/promql_explain_test \
	tests/unit/promql_errors_test \
	tests/unit/promql_verified_test \
	tests/unit/promql_functions_test \
	tests/unit/promql_histogram_test \
	tests/unit/promql_language_test tests/unit/promql_match_test \
	tests/unit/promql_test \
	tests/fuzz/promql tests/fuzz/promql_engine
PROMQL_KIT = tests/unit/promql_kit.c tests/unit/promql_kit.h
tests_unit_promql_engine_test_SOURCES = tests/unit/promql_engine_test.c \
	$(PROMQL_KIT)
tests_unit_promql_engine_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_promql_engine_test_LDADD = $(LIBS_UNIT) $(LIB_PROMQL)
tests_unit_promql_explain_test_SOURCES = tests/unit/promql_explain_test.c \
	$(PROMQL_KIT)
tests_unit_promql_explain_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_promql_explain_test_LDADD = $(LIBS_UNIT) $(LIB_PROMQL)
tests_unit_promql_errors_test_SOURCES = tests/unit/promql_errors_test.c \
	$(PROMQL_KIT)
tests_unit_promql_errors_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_promql_errors_test_LDADD = $(LIBS_UNIT) $(LIB_PROMQL)
tests_unit_promql_verified_test_SOURCES = tests/unit/promql_verified_test.c \
	$(PROMQL_KIT)
tests_unit_promql_verified_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_promql_verified_test_LDADD = $(LIBS_UNIT) $(LIB_PROMQL)
tests_unit_promql_functions_test_SOURCES = tests/unit/promql_functions_test.c \
	$(PROMQL_KIT)
tests_unit_promql_functions_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_promql_functions_test_LDADD = $(LIBS_UNIT) $(LIB_PROMQL)
tests_unit_promql_histogram_test_SOURCES = tests/unit/promql_histogram_test.c \
	$(PROMQL_KIT)
tests_unit_promql_histogram_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_promql_histogram_test_LDADD = $(LIBS_UNIT) $(LIB_PROMQL)
tests_unit_promql_language_test_SOURCES = tests/unit/promql_language_test.c \
	$(PROMQL_KIT)
tests_unit_promql_language_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_promql_language_test_LDADD = $(LIBS_UNIT) $(LIB_PROMQL)
tests_unit_promql_match_test_SOURCES = tests/unit/promql_match_test.c \
	$(PROMQL_KIT)
tests_unit_promql_match_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_promql_match_test_LDADD = $(LIBS_UNIT) $(LIB_PROMQL)
tests_unit_promql_test_SOURCES = tests/unit/promql_test.c
tests_unit_promql_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_promql_test_LDADD = $(LIBS_UNIT) $(LIB_PROMQL)
tests_fuzz_promql_SOURCES = tests/fuzz/promql.c $(FUZZ_MAIN)
tests_fuzz_promql_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_promql_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_promql_LDADD = $(LIB_PROMQL)
tests_fuzz_promql_engine_SOURCES = tests/fuzz/promql_engine.c $(FUZZ_MAIN)
tests_fuzz_promql_engine_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_promql_engine_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_promql_engine_LDADD = $(LIB_PROMQL)
EXTRA_DIST += core/promql/README.md tests/fuzz/corpus/promql tests/fuzz/corpus/promql_engine
