SOURCES_REDIS = plugins/redis/address.c plugins/redis/conn.c \
	plugins/redis/emit.c plugins/redis/families.c plugins/redis/fields.c \
	plugins/redis/info.c plugins/redis/redis.c plugins/redis/redis.h \
	plugins/redis/settings.c plugins/redis/text.c

if PLUGIN_REDIS
plugin_LTLIBRARIES += plugins/redis/redis.la
plugins_redis_redis_la_SOURCES = $(SOURCES_REDIS)
plugins_redis_redis_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) $(REDIS_PLUGIN_CFLAGS)
plugins_redis_redis_la_LDFLAGS = $(LDFLAGS_PLUGIN)
plugins_redis_redis_la_LIBADD = $(REDIS_PLUGIN_LIBS) -lm

# The same sources as a library, for tests to look inside.
check_LTLIBRARIES += plugins/redis/libredis.la
plugins_redis_libredis_la_SOURCES = $(SOURCES_REDIS)
plugins_redis_libredis_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) $(REDIS_PLUGIN_CFLAGS)
plugins_redis_libredis_la_LIBADD = $(REDIS_PLUGIN_LIBS) -lm

check_PROGRAMS += tests/plugins/redis_test
TESTS += tests/plugins/redis_test
tests_plugins_redis_test_SOURCES = tests/plugins/redis_test.c
tests_plugins_redis_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(REDIS_PLUGIN_CFLAGS) \
	-I$(srcdir)/plugins
tests_plugins_redis_test_LDADD = $(LIBS_UNIT) plugins/redis/libredis.la

check_PROGRAMS += tests/fuzz/redis_info tests/fuzz/redis_resp
TESTS += tests/fuzz/redis_info tests/fuzz/redis_resp
tests_fuzz_redis_info_SOURCES = tests/fuzz/redis_info.c $(FUZZ_MAIN)
tests_fuzz_redis_info_CPPFLAGS = $(CPPFLAGS_FUZZ) $(REDIS_PLUGIN_CFLAGS) \
	-I$(srcdir)/plugins
tests_fuzz_redis_info_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_redis_info_LDADD = plugins/redis/libredis.la
tests_fuzz_redis_resp_SOURCES = tests/fuzz/redis_resp.c $(FUZZ_MAIN)
tests_fuzz_redis_resp_CPPFLAGS = $(CPPFLAGS_FUZZ) $(REDIS_PLUGIN_CFLAGS) \
	-I$(srcdir)/plugins
tests_fuzz_redis_resp_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_redis_resp_LDADD = plugins/redis/libredis.la
endif
EXTRA_DIST += plugins/redis/README.md plugins/redis/testdata \
	conf.d/redis.yaml tests/fuzz/corpus/redis_info \
	tests/fuzz/corpus/redis_resp
