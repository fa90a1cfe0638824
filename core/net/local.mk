noinst_LTLIBRARIES += core/net/libnet.la
core_net_libnet_la_SOURCES = core/net/net.h
core_net_libnet_la_SOURCES += core/net/answer.c core/net/client.c \
	core/net/fetch.c core/net/gunzip.c core/net/gunzip.h \
	core/net/http_error.c core/net/loop.c core/net/loop_int.h \
	core/net/request.c core/net/resolve.c core/net/resolve.h \
	core/net/stream.c core/net/transfer.c core/net/transfer.h \
	core/net/url.c core/net/url.h

check_PROGRAMS += tests/unit/net_client_test tests/unit/net_stream_test
TESTS += tests/unit/net_client_test tests/unit/net_stream_test
tests_unit_net_client_test_SOURCES = tests/unit/net_client_test.c \
	tests/unit/net_peer.c tests/unit/net_peer.h
tests_unit_net_client_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_net_client_test_LDADD = $(LIBS_UNIT) $(LIB_NET)
tests_unit_net_stream_test_SOURCES = tests/unit/net_stream_test.c \
	tests/unit/net_peer.c tests/unit/net_peer.h
tests_unit_net_stream_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_net_stream_test_LDADD = $(LIBS_UNIT) $(LIB_NET)
core_net_libnet_la_SOURCES += core/net/client_config.c
