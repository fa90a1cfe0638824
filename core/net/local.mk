noinst_LTLIBRARIES += core/net/libnet.la
core_net_libnet_la_SOURCES = core/net/net.h 
core_net_libnet_la_SOURCES += core/net/server.c core/net/server_int.h \
	core/net/server_call.c core/net/server_conn.c core/net/server_reply.c \
	core/net/server_route.c core/net/params.c core/net/params.h \
	core/net/pool.c core/net/pool.h core/net/listen.c core/net/listen.h \
	core/net/web_config.c core/net/web_config.h core/net/web_auth.c \
	core/net/web_tls.c

check_PROGRAMS += tests/unit/net_server_test
TESTS += tests/unit/net_server_test
tests_unit_net_server_test_SOURCES = tests/unit/net_server_test.c
tests_unit_net_server_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_net_server_test_LDADD = $(LIBS_UNIT) $(LIB_NET)
