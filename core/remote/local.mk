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
	core/remote/receive_walk.c
core_remote_libremote_la_SOURCES += core/remote/remote_config.c
EXTRA_DIST += core/remote/README.md

check_PROGRAMS += tests/unit/remote_test
TESTS += tests/unit/remote_test
tests_unit_remote_test_SOURCES = tests/unit/remote_test.c \
	tests/unit/remote_sink.c tests/unit/remote_sink.h
tests_unit_remote_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_remote_test_LDADD = $(LIBS_UNIT) $(LIB_REMOTE)
