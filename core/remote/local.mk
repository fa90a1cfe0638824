noinst_LTLIBRARIES += core/remote/libremote.la
core_remote_libremote_la_SOURCES = \
	core/remote/remote.h \
	core/remote/encode.c core/remote/encode.h \
	core/remote/endpoint.c core/remote/endpoint.h \
	core/remote/lane.c core/remote/lane.h \
	core/remote/manager.c \
	core/remote/metadata.c core/remote/metadata.h \
	core/remote/metrics.c core/remote/metrics.h \
	core/remote/progress.c core/remote/progress.h \
	core/remote/queue.c core/remote/queue.h \
	core/remote/sending.c core/remote/sending.h \
	core/remote/source.c core/remote/source.h \
	core/remote/wire.c core/remote/wire.h \
	core/remote/receive.c core/remote/receive_int.h \
	core/remote/receive_cache.c core/remote/receive_cache.h \
	core/remote/receive_labels.c core/remote/receive_piece.c \
	core/remote/receive_reply.c core/remote/receive_value.c \
	core/remote/receive_walk.c \
	core/remote/read.c core/remote/read.h core/remote/read_reply.c \
	core/remote/read_request.c
core_remote_libremote_la_SOURCES += core/remote/remote_config.c
EXTRA_DIST += core/remote/README.md

check_PROGRAMS += tests/unit/remote_test
TESTS += tests/unit/remote_test
tests_unit_remote_test_SOURCES = tests/unit/remote_test.c \
	tests/unit/remote_sink.c tests/unit/remote_sink.h
tests_unit_remote_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_remote_test_LDADD = $(LIBS_UNIT) $(LIB_REMOTE)

check_PROGRAMS += tests/unit/receive_test
TESTS += tests/unit/receive_test
tests_unit_receive_test_SOURCES = tests/unit/receive_test.c \
	tests/unit/proto_kit.h tests/unit/spy_store.c tests/unit/spy_store.h
tests_unit_receive_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_receive_test_LDADD = $(LIBS_UNIT) $(LIB_REMOTE)

check_PROGRAMS += tests/fuzz/remote_receive
TESTS += tests/fuzz/remote_receive
tests_fuzz_remote_receive_SOURCES = tests/fuzz/remote_receive.c \
	tests/unit/spy_store.c tests/unit/spy_store.h $(FUZZ_MAIN)
tests_fuzz_remote_receive_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_remote_receive_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_remote_receive_LDADD = $(LIB_REMOTE)
EXTRA_DIST += \
	tests/fuzz/corpus/remote_receive/declares_4_gib \
	tests/fuzz/corpus/remote_receive/garbage \
	tests/fuzz/corpus/remote_receive/refused \
	tests/fuzz/corpus/remote_receive/v1 \
	tests/fuzz/corpus/remote_receive/v1_histograms \
	tests/fuzz/corpus/remote_receive/v2

check_PROGRAMS += tests/fuzz/remote_read
TESTS += tests/fuzz/remote_read
tests_fuzz_remote_read_SOURCES = tests/fuzz/remote_read.c $(FUZZ_MAIN)
tests_fuzz_remote_read_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_remote_read_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_remote_read_LDADD = $(LIB_REMOTE)
EXTRA_DIST += tests/fuzz/corpus/remote_read/bad_regex \
	tests/fuzz/corpus/remote_read/cut \
	tests/fuzz/corpus/remote_read/packed \
	tests/fuzz/corpus/remote_read/streamed
