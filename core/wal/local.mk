noinst_LTLIBRARIES += core/wal/libwal.la
core_wal_libwal_la_SOURCES = \
	core/wal/wal.h \
	core/wal/ahead.c \
	core/wal/bulk.c \
	core/wal/checkpoint.c \
	core/wal/cursor.c \
	core/wal/frame.c core/wal/frame.h \
	core/wal/reader.c core/wal/replay.h \
	core/wal/record.c core/wal/record.h \
	core/wal/record_exemplars.c \
	core/wal/record_histograms.c \
	core/wal/record_marks.c \
	core/wal/record_samples.c \
	core/wal/record_series.c \
	core/wal/segments.c core/wal/segments.h \
	core/wal/sync.c \
	core/wal/truncate.c \
	core/wal/unpack.c core/wal/unpack.h \
	core/wal/watch.c \
	core/wal/writer.c core/wal/writer.h
core_wal_libwal_la_CPPFLAGS = $(AM_CPPFLAGS) $(ZSTD_CFLAGS)
if HAVE_ZSTD
core_wal_libwal_la_SOURCES += core/wal/unpack_zstd.c
else
core_wal_libwal_la_SOURCES += core/wal/unpack_nozstd.c
endif
EXTRA_DIST += core/wal/README.md \
	tests/fuzz/corpus/wal_reader/damaged tests/fuzz/corpus/wal_reader/plain \
	tests/fuzz/corpus/wal_reader/snappy tests/fuzz/corpus/wal_reader/torn \
	tests/fuzz/corpus/wal_record/custom_histograms \
	tests/fuzz/corpus/wal_record/exemplars \
	tests/fuzz/corpus/wal_record/float_histograms \
	tests/fuzz/corpus/wal_record/histograms \
	tests/fuzz/corpus/wal_record/histograms_v2 \
	tests/fuzz/corpus/wal_record/markers \
	tests/fuzz/corpus/wal_record/metadata \
	tests/fuzz/corpus/wal_record/samples \
	tests/fuzz/corpus/wal_record/samples_v2 \
	tests/fuzz/corpus/wal_record/series \
	tests/fuzz/corpus/wal_record/tombstones

check_PROGRAMS += tests/unit/wal_test tests/unit/wal_record_test \
	tests/unit/wal_checkpoint_test
TESTS += tests/unit/wal_test tests/unit/wal_record_test \
	tests/unit/wal_checkpoint_test
tests_unit_wal_test_SOURCES = tests/unit/wal_test.c tests/unit/wal_kit.h
tests_unit_wal_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_wal_test_LDADD = $(LIBS_UNIT) $(LIB_WAL)
tests_unit_wal_record_test_SOURCES = tests/unit/wal_record_test.c \
	tests/unit/wal_kit.h
tests_unit_wal_record_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_wal_record_test_LDADD = $(LIBS_UNIT) $(LIB_WAL)
tests_unit_wal_checkpoint_test_SOURCES = tests/unit/wal_checkpoint_test.c \
	tests/unit/wal_kit.h
tests_unit_wal_checkpoint_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_wal_checkpoint_test_LDADD = $(LIBS_UNIT) $(LIB_WAL)

check_PROGRAMS += tests/fuzz/wal_reader tests/fuzz/wal_record
TESTS += tests/fuzz/wal_reader tests/fuzz/wal_record
tests_fuzz_wal_reader_SOURCES = tests/fuzz/wal_reader.c $(FUZZ_MAIN)
tests_fuzz_wal_reader_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_wal_reader_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_wal_reader_LDADD = $(LIB_WAL)
tests_fuzz_wal_record_SOURCES = tests/fuzz/wal_record.c $(FUZZ_MAIN)
tests_fuzz_wal_record_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_wal_record_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_wal_record_LDADD = $(LIB_WAL)
