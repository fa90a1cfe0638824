noinst_LTLIBRARIES += core/tsdb/libtsdb.la
core_tsdb_libtsdb_la_SOURCES = \
	core/tsdb/tsdb.h core/tsdb/tsdb.c \
	core/tsdb/appender.c core/tsdb/batch.c core/tsdb/batch.h \
	core/tsdb/chunk_list.c core/tsdb/chunk_list.h \
	core/tsdb/chunk_mem.c core/tsdb/chunk_mem.h \
	core/tsdb/commit.c core/tsdb/commit_int.h \
	core/tsdb/commit_exemplars.c core/tsdb/commit_histograms.c \
	core/tsdb/exemplars.c core/tsdb/exemplars.h \
	core/tsdb/exemplars_query.c \
	core/tsdb/head_histograms.c core/tsdb/head_histograms.h \
	core/tsdb/block_set.c core/tsdb/block_set.h \
	core/tsdb/compact.h core/tsdb/compact_head.c \
	core/tsdb/compact_merge.c \
	core/tsdb/compact_plan.c core/tsdb/compact_plan.h \
	core/tsdb/compaction.c core/tsdb/delete.c \
	core/tsdb/dir_lock.c core/tsdb/dir_lock.h \
	core/tsdb/folder.c \
	core/tsdb/grow.h \
	core/tsdb/head.c core/tsdb/head.h core/tsdb/head_chunks.c \
	core/tsdb/head_delete.c core/tsdb/head_delete.h \
	core/tsdb/head_files.c core/tsdb/head_files.h \
	core/tsdb/head_files_int.h core/tsdb/head_files_open.c \
	core/tsdb/head_found.c core/tsdb/head_gc.c \
	core/tsdb/head_metrics.c core/tsdb/head_metrics.h \
	core/tsdb/head_read.c core/tsdb/head_record.c core/tsdb/head_record.h \
	core/tsdb/index_drop.c core/tsdb/index_hold.h core/tsdb/index_walk.c \
	core/tsdb/label_hash.c core/tsdb/label_hash.h \
	core/tsdb/label_store.c core/tsdb/label_store.h \
	core/tsdb/maintain.c core/tsdb/multikey.c core/tsdb/multikey.h \
	core/tsdb/late.c core/tsdb/late.h core/tsdb/late_cut.c \
	core/tsdb/late_read.c core/tsdb/wbl.c core/tsdb/wbl_replay.c \
	core/tsdb/postings.c core/tsdb/postings.h \
	core/tsdb/head_load.c core/tsdb/head_save.c core/tsdb/head_save.h \
	core/tsdb/log_cut.c core/tsdb/log_cut.h \
	core/tsdb/querier.c core/tsdb/replay.c \
	core/tsdb/replay_lanes.c core/tsdb/replay_lanes.h \
	core/tsdb/select.c \
	core/tsdb/retain.c core/tsdb/sheaf.c core/tsdb/sheaf.h \
	core/tsdb/snapshot.c core/tsdb/store.h core/tsdb/store_metrics.c \
	core/tsdb/readers.c core/tsdb/readers.h \
	core/tsdb/series.c core/tsdb/series.h \
	core/tsdb/store_querier.c core/tsdb/store_querier.h \
	core/tsdb/walk.h \
	core/tsdb/top.c core/tsdb/vm.c core/tsdb/vm.h
EXTRA_DIST += core/tsdb/README.md

check_PROGRAMS += tests/unit/tsdb_chunk_test tests/unit/tsdb_head_test \
	tests/unit/tsdb_index_test tests/unit/tsdb_late_cut_test \
	tests/unit/tsdb_late_test \
	tests/unit/tsdb_race_test
TESTS += tests/unit/tsdb_chunk_test tests/unit/tsdb_head_test \
	tests/unit/tsdb_index_test tests/unit/tsdb_late_cut_test \
	tests/unit/tsdb_late_test \
	tests/unit/tsdb_race_test
tests_unit_tsdb_chunk_test_SOURCES = tests/unit/tsdb_chunk_test.c
tests_unit_tsdb_chunk_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_chunk_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
tests_unit_tsdb_head_test_SOURCES = tests/unit/tsdb_head_test.c tests/unit/tsdb_kit.h
tests_unit_tsdb_head_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_head_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
tests_unit_tsdb_index_test_SOURCES = tests/unit/tsdb_index_test.c tests/unit/tsdb_kit.h
tests_unit_tsdb_index_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_index_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
tests_unit_tsdb_late_cut_test_SOURCES = tests/unit/tsdb_late_cut_test.c \
	tests/unit/histograms.h tests/unit/tsdb_kit.h
tests_unit_tsdb_late_cut_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_late_cut_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
tests_unit_tsdb_late_test_SOURCES = tests/unit/tsdb_late_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_late_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_late_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
tests_unit_tsdb_race_test_SOURCES = tests/unit/tsdb_race_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_race_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_race_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)

check_PROGRAMS += tests/unit/tsdb_plan_test tests/unit/tsdb_compact_test \
	tests/unit/tsdb_store_test tests/unit/tsdb_store_race_test
TESTS += tests/unit/tsdb_plan_test tests/unit/tsdb_compact_test \
	tests/unit/tsdb_store_test tests/unit/tsdb_store_race_test
tests_unit_tsdb_plan_test_SOURCES = tests/unit/tsdb_plan_test.c
tests_unit_tsdb_plan_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_plan_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
tests_unit_tsdb_compact_test_SOURCES = tests/unit/tsdb_compact_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_compact_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_compact_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
tests_unit_tsdb_store_test_SOURCES = tests/unit/tsdb_store_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_store_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_store_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)

check_PROGRAMS += tests/unit/tsdb_histogram_test tests/unit/tsdb_exemplar_test
TESTS += tests/unit/tsdb_histogram_test tests/unit/tsdb_exemplar_test
tests_unit_tsdb_histogram_test_SOURCES = tests/unit/tsdb_histogram_test.c \
	tests/unit/tsdb_kit.h tests/unit/histograms.h
tests_unit_tsdb_histogram_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_histogram_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
tests_unit_tsdb_exemplar_test_SOURCES = tests/unit/tsdb_exemplar_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_exemplar_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_exemplar_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)

check_PROGRAMS += tests/unit/store_query_test
TESTS += tests/unit/store_query_test
tests_unit_store_query_test_SOURCES = tests/unit/store_query_test.c \
	tests/unit/query_kit.h tests/unit/tsdb_kit.h
tests_unit_store_query_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_store_query_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)

check_PROGRAMS += tests/unit/tsdb_log_test
TESTS += tests/unit/tsdb_log_test
tests_unit_tsdb_log_test_SOURCES = tests/unit/tsdb_log_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_log_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_log_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)

check_PROGRAMS += tests/unit/tsdb_save_test
TESTS += tests/unit/tsdb_save_test
tests_unit_tsdb_save_test_SOURCES = tests/unit/tsdb_save_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_save_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_save_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
check_PROGRAMS += tests/fuzz/head_record
TESTS += tests/fuzz/head_record
tests_fuzz_head_record_SOURCES = tests/fuzz/head_record.c $(FUZZ_MAIN)
tests_fuzz_head_record_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_head_record_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_head_record_LDADD = $(LIB_TSDB)
EXTRA_DIST += tests/fuzz/corpus/head_record/damaged \
	tests/fuzz/corpus/head_record/plain \
	tests/fuzz/corpus/head_record/torn \
	tests/fuzz/corpus/head_record/zeros

check_PROGRAMS += tests/unit/tsdb_files_test tests/unit/tsdb_gc_test
TESTS += tests/unit/tsdb_files_test tests/unit/tsdb_gc_test
tests_unit_tsdb_files_test_SOURCES = tests/unit/tsdb_files_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_files_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_files_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
tests_unit_tsdb_gc_test_SOURCES = tests/unit/tsdb_gc_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_gc_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_gc_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)

tests_unit_tsdb_store_race_test_SOURCES = tests/unit/tsdb_store_race_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_store_race_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_store_race_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
check_PROGRAMS += tests/unit/tsdb_gc_race_test
TESTS += tests/unit/tsdb_gc_race_test
tests_unit_tsdb_gc_race_test_SOURCES = tests/unit/tsdb_gc_race_test.c \
	tests/unit/tsdb_kit.h
tests_unit_tsdb_gc_race_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_tsdb_gc_race_test_LDADD = $(LIBS_UNIT) $(LIB_TSDB)
