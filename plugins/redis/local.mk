SOURCES_REDIS = plugins/redis/address.c plugins/redis/arena.c \
	plugins/redis/auth.c plugins/redis/clients.c plugins/redis/commands.c \
	plugins/redis/conn.c plugins/redis/conn.h \
	plugins/redis/discover.c plugins/redis/emit.c \
	plugins/redis/emit.h plugins/redis/exporter.c \
	plugins/redis/families.c plugins/redis/families.def \
	plugins/redis/fields.def plugins/redis/glob.c \
	plugins/redis/groups.c plugins/redis/info.c plugins/redis/kept.c \
	plugins/redis/keylist.c plugins/redis/keys.c \
	plugins/redis/latency.c plugins/redis/lua_pattern.c \
	plugins/redis/modules.c plugins/redis/nodes.c \
	plugins/redis/options.c plugins/redis/options.h \
	plugins/redis/pattern.h \
	plugins/redis/questions.c plugins/redis/redis.c \
	plugins/redis/redis.h plugins/redis/scripts.c \
	plugins/redis/search.c plugins/redis/sentinel.c \
	plugins/redis/settings.c plugins/redis/streams.c \
	plugins/redis/walk.c plugins/shared/wire.c plugins/shared/wire.h
CFLAGS_REDIS = -I$(srcdir)/plugins $(REDIS_PLUGIN_CFLAGS) $(JANSSON_CFLAGS) \
	$(PCRE2_CFLAGS)
LIBS_REDIS = plugins/shared/libshared.la $(REDIS_PLUGIN_LIBS) \
	$(JANSSON_LIBS) $(PCRE2_LIBS) -lm
FUZZ_REDIS = tests/fuzz/redis_args tests/fuzz/redis_clients \
	tests/fuzz/redis_info tests/fuzz/redis_lua tests/fuzz/redis_password \
	tests/fuzz/redis_resp

if PLUGIN_REDIS
plugin_LTLIBRARIES += plugins/redis/redis.la
plugins_redis_redis_la_SOURCES = $(SOURCES_REDIS)
plugins_redis_redis_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) $(CFLAGS_REDIS)
plugins_redis_redis_la_LDFLAGS = $(LDFLAGS_PLUGIN)
plugins_redis_redis_la_LIBADD = $(LIBS_REDIS)

# The same sources as a library, for tests to look inside.
check_LTLIBRARIES += plugins/redis/libredis.la
plugins_redis_libredis_la_SOURCES = $(SOURCES_REDIS)
plugins_redis_libredis_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) $(CFLAGS_REDIS)
plugins_redis_libredis_la_LIBADD = $(LIBS_REDIS)

check_PROGRAMS += tests/plugins/redis_test tests/plugins/redis_parts_test
TESTS += tests/plugins/redis_test tests/plugins/redis_parts_test
tests_plugins_redis_test_SOURCES = tests/plugins/redis_test.c \
	tests/plugins/said.h
tests_plugins_redis_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(CFLAGS_REDIS) \
	-I$(srcdir)/plugins
tests_plugins_redis_test_LDADD = $(LIBS_UNIT) plugins/redis/libredis.la
tests_plugins_redis_parts_test_SOURCES = tests/plugins/redis_parts_test.c \
	tests/plugins/said.h
tests_plugins_redis_parts_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(CFLAGS_REDIS) \
	-I$(srcdir)/plugins
tests_plugins_redis_parts_test_LDADD = $(LIBS_UNIT) plugins/redis/libredis.la

check_PROGRAMS += $(FUZZ_REDIS)
TESTS += $(FUZZ_REDIS)
CPPFLAGS_FUZZ_REDIS = $(CPPFLAGS_FUZZ) $(CFLAGS_REDIS) -I$(srcdir)/plugins
tests_fuzz_redis_args_SOURCES = tests/fuzz/redis_args.c $(FUZZ_MAIN)
tests_fuzz_redis_args_CPPFLAGS = $(CPPFLAGS_FUZZ_REDIS)
tests_fuzz_redis_args_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_redis_args_LDADD = plugins/redis/libredis.la
tests_fuzz_redis_clients_SOURCES = tests/fuzz/redis_clients.c $(FUZZ_MAIN)
tests_fuzz_redis_clients_CPPFLAGS = $(CPPFLAGS_FUZZ_REDIS)
tests_fuzz_redis_clients_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_redis_clients_LDADD = plugins/redis/libredis.la
tests_fuzz_redis_info_SOURCES = tests/fuzz/redis_info.c $(FUZZ_MAIN)
tests_fuzz_redis_info_CPPFLAGS = $(CPPFLAGS_FUZZ_REDIS)
tests_fuzz_redis_info_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_redis_info_LDADD = plugins/redis/libredis.la
tests_fuzz_redis_lua_SOURCES = tests/fuzz/redis_lua.c $(FUZZ_MAIN)
tests_fuzz_redis_lua_CPPFLAGS = $(CPPFLAGS_FUZZ_REDIS)
tests_fuzz_redis_lua_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_redis_lua_LDADD = plugins/redis/libredis.la
tests_fuzz_redis_password_SOURCES = tests/fuzz/redis_password.c $(FUZZ_MAIN)
tests_fuzz_redis_password_CPPFLAGS = $(CPPFLAGS_FUZZ_REDIS)
tests_fuzz_redis_password_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_redis_password_LDADD = plugins/redis/libredis.la
tests_fuzz_redis_resp_SOURCES = tests/fuzz/redis_resp.c $(FUZZ_MAIN)
tests_fuzz_redis_resp_CPPFLAGS = $(CPPFLAGS_FUZZ_REDIS)
tests_fuzz_redis_resp_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_redis_resp_LDADD = plugins/redis/libredis.la

TESTS += tests/integration/redis_parity.py tests/integration/redis_faults.py \
	tests/integration/redis_discover.py
tests/integration/redis_discover.log: sonde
tests/integration/redis_parity.log: sonde
tests/integration/redis_faults.log: sonde
endif
EXTRA_DIST += plugins/redis/README.md plugins/redis/testdata \
	conf.d/redis.yaml docs/plugins/redis.md \
	tests/fuzz/corpus/redis_args tests/fuzz/corpus/redis_clients \
	tests/fuzz/corpus/redis_info tests/fuzz/corpus/redis_lua \
	tests/fuzz/corpus/redis_password tests/fuzz/corpus/redis_resp \
	tests/integration/redis_discover.py \
	tests/integration/redis_faults.py tests/integration/redis_parity.py \
	tests/integration/redis_servers.py
