noinst_LTLIBRARIES += core/net/libnet.la
core_net_libnet_la_SOURCES = core/net/net.h
core_net_libnet_la_SOURCES += core/net/answer.c core/net/client.c \
	core/net/fetch.c core/net/gunzip.c core/net/gunzip.h \
	core/net/http_error.c core/net/loop.c core/net/loop_int.h \
	core/net/range.c \
	core/net/request.c core/net/resolve.c core/net/resolve.h \
	core/net/stream.c core/net/stream_int.h core/net/stream_tls.c \
	core/net/transfer.c core/net/transfer.h \
	core/net/url.c core/net/url.h

check_PROGRAMS += tests/unit/net_client_test tests/unit/net_stream_test \
	tests/unit/net_tls_test tests/unit/net_stream_tls_test
TESTS += tests/unit/net_client_test tests/unit/net_stream_test \
	tests/unit/net_tls_test tests/unit/net_stream_tls_test
tests_unit_net_stream_tls_test_SOURCES = tests/unit/net_stream_tls_test.c \
	tests/unit/net_cert.c tests/unit/net_cert.h
tests_unit_net_stream_tls_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(GNUTLS_CFLAGS)
tests_unit_net_stream_tls_test_LDADD = $(LIBS_UNIT) $(LIB_NET)
tests_unit_net_client_test_SOURCES = tests/unit/net_client_test.c \
	tests/unit/net_peer.c tests/unit/net_peer.h
tests_unit_net_client_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_net_client_test_LDADD = $(LIBS_UNIT) $(LIB_NET)
tests_unit_net_stream_test_SOURCES = tests/unit/net_stream_test.c \
	tests/unit/net_peer.c tests/unit/net_peer.h
tests_unit_net_stream_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_net_stream_test_LDADD = $(LIBS_UNIT) $(LIB_NET)
tests_unit_net_tls_test_SOURCES = tests/unit/net_tls_test.c
tests_unit_net_tls_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(GNUTLS_CFLAGS)
tests_unit_net_tls_test_LDADD = $(LIBS_UNIT) $(LIB_NET)
core_net_libnet_la_SOURCES += core/net/server.c core/net/server_int.h \
	core/net/server_call.c core/net/server_conn.c core/net/server_reply.c \
	core/net/server_route.c core/net/server_stream.c core/net/pack.c \
	core/net/pack.h core/net/params.c core/net/params.h \
	core/net/pool.c core/net/pool.h core/net/listen.c core/net/listen.h \
	core/net/web_config.c core/net/web_config.h core/net/web_auth.c \
	core/net/web_tls.c core/net/web_token.c
core_net_libnet_la_CPPFLAGS = $(AM_CPPFLAGS) $(ZSTD_CFLAGS)
if HAVE_ZSTD
core_net_libnet_la_SOURCES += core/net/pack_zstd.c
else
core_net_libnet_la_SOURCES += core/net/pack_nozstd.c
endif

check_PROGRAMS += tests/unit/net_server_test
TESTS += tests/unit/net_server_test
tests_unit_net_server_test_SOURCES = tests/unit/net_server_test.c
tests_unit_net_server_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_net_server_test_LDADD = $(LIBS_UNIT) $(LIB_NET)

check_PROGRAMS += tests/unit/net_url_test
TESTS += tests/unit/net_url_test
tests_unit_net_url_test_SOURCES = tests/unit/net_url_test.c
tests_unit_net_url_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_net_url_test_LDADD = $(LIBS_UNIT) $(LIB_NET)

check_PROGRAMS += tests/fuzz/net_answer tests/fuzz/net_gunzip \
	tests/fuzz/net_url
TESTS += tests/fuzz/net_answer tests/fuzz/net_gunzip tests/fuzz/net_url
tests_fuzz_net_answer_SOURCES = tests/fuzz/net_answer.c $(FUZZ_MAIN)
tests_fuzz_net_answer_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_net_answer_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_net_answer_LDADD = $(LIB_NET)
tests_fuzz_net_gunzip_SOURCES = tests/fuzz/net_gunzip.c $(FUZZ_MAIN)
tests_fuzz_net_gunzip_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_net_gunzip_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_net_gunzip_LDADD = $(LIB_NET)
tests_fuzz_net_url_SOURCES = tests/fuzz/net_url.c $(FUZZ_MAIN)
tests_fuzz_net_url_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_net_url_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_net_url_LDADD = $(LIB_NET)
EXTRA_DIST += tests/fuzz/corpus/net_answer/bomb \
	tests/fuzz/corpus/net_answer/error \
	tests/fuzz/corpus/net_answer/gzip \
	tests/fuzz/corpus/net_answer/plain \
	tests/fuzz/corpus/net_answer/redirect \
	tests/fuzz/corpus/net_gunzip/bomb \
	tests/fuzz/corpus/net_gunzip/cut \
	tests/fuzz/corpus/net_gunzip/one \
	tests/fuzz/corpus/net_gunzip/trailing \
	tests/fuzz/corpus/net_gunzip/two \
	tests/fuzz/corpus/net_url/relative \
	tests/fuzz/corpus/net_url/scheme \
	tests/fuzz/corpus/net_url/v6
core_net_libnet_la_SOURCES += core/net/client_config.c

check_PROGRAMS += tests/unit/web_config_test
TESTS += tests/unit/web_config_test
tests_unit_web_config_test_SOURCES = tests/unit/web_config_test.c \
	tests/unit/net_cert.c tests/unit/net_cert.h
tests_unit_web_config_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(GNUTLS_CFLAGS)
tests_unit_web_config_test_LDADD = $(LIBS_UNIT) $(LIB_NET)

check_PROGRAMS += tests/fuzz/web_params tests/fuzz/web_config
TESTS += tests/fuzz/web_params tests/fuzz/web_config
tests_fuzz_web_params_SOURCES = tests/fuzz/web_params.c $(FUZZ_MAIN)
tests_fuzz_web_params_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_web_params_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_web_params_LDADD = $(LIB_NET)
tests_fuzz_web_config_SOURCES = tests/fuzz/web_config.c $(FUZZ_MAIN)
tests_fuzz_web_config_CPPFLAGS = $(CPPFLAGS_FUZZ)
tests_fuzz_web_config_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_web_config_LDADD = $(LIB_NET)
EXTRA_DIST += tests/fuzz/corpus/web_params/mixed \
	tests/fuzz/corpus/web_params/path tests/fuzz/corpus/web_params/twice \
	tests/fuzz/corpus/web_params/empty \
	tests/fuzz/corpus/web_config/full.yml \
	tests/fuzz/corpus/web_config/short tests/fuzz/corpus/web_config/broken \
	tests/fuzz/corpus/web_config/empty
EXTRA_DIST += core/net/README.md
