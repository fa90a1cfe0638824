noinst_LTLIBRARIES += core/pipeline/libpipeline.la
core_pipeline_libpipeline_la_SOURCES = core/pipeline/merge.c \
	core/pipeline/pipeline.h core/pipeline/relabel.c \
	core/pipeline/relabel_table.c

check_PROGRAMS += tests/unit/pipeline_test
TESTS += tests/unit/pipeline_test
tests_unit_pipeline_test_SOURCES = tests/unit/pipeline_test.c
tests_unit_pipeline_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_pipeline_test_LDADD = $(LIBS_UNIT) $(LIB_PIPELINE)
EXTRA_DIST += core/pipeline/README.md
