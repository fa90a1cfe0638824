SOURCES_CELERY = plugins/celery/amqp.c \
	plugins/celery/amqp_conn.c plugins/celery/amqp_int.h \
	plugins/celery/amqp_queues.c plugins/celery/broker.c \
	plugins/celery/broker.h plugins/celery/celery.c \
	plugins/celery/control.c plugins/celery/emit.c \
	plugins/celery/emit.h plugins/celery/encodings.c \
	plugins/celery/encodings.h plugins/celery/event.c plugins/celery/event.h \
	plugins/celery/exporter.c plugins/celery/exporter.h \
	plugins/celery/families.c plugins/celery/fleet.c \
	plugins/celery/fleet.h plugins/celery/listener.c \
	plugins/celery/listener.h plugins/celery/login.c \
	plugins/celery/options.c plugins/celery/options.h \
	plugins/celery/redis.c plugins/celery/redis_conn.c \
	plugins/celery/redis_control.c plugins/celery/redis_int.h \
	plugins/celery/redis_queues.c plugins/celery/resp.c plugins/celery/resp.h \
	plugins/celery/series.c plugins/celery/series.h \
	plugins/celery/state.c plugins/celery/state.h \
	plugins/celery/table.c plugins/celery/table.h \
	plugins/celery/tasks.c plugins/celery/tasks.h \
	plugins/celery/transport.h plugins/shared/wire.c plugins/shared/wire.h

if PLUGIN_CELERY
plugin_LTLIBRARIES += plugins/celery/celery.la
plugins_celery_celery_la_SOURCES = $(SOURCES_CELERY)
plugins_celery_celery_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(CELERY_PLUGIN_CFLAGS) -I$(srcdir)/plugins
plugins_celery_celery_la_LDFLAGS = $(LDFLAGS_PLUGIN)
plugins_celery_celery_la_LIBADD = plugins/shared/libshared.la \
	$(CELERY_PLUGIN_LIBS) -lm

# The same sources as a library, for tests to look inside.
check_LTLIBRARIES += plugins/celery/libcelery.la
plugins_celery_libcelery_la_SOURCES = $(SOURCES_CELERY)
plugins_celery_libcelery_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(CELERY_PLUGIN_CFLAGS) -I$(srcdir)/plugins
plugins_celery_libcelery_la_LIBADD = plugins/shared/libshared.la \
	$(CELERY_PLUGIN_LIBS) -lm

check_PROGRAMS += tests/plugins/celery_test tests/plugins/celery_state_test
TESTS += tests/plugins/celery_test tests/plugins/celery_state_test
tests_plugins_celery_test_SOURCES = tests/plugins/celery_test.c
tests_plugins_celery_test_CPPFLAGS = $(CPPFLAGS_UNIT) \
	$(CELERY_PLUGIN_CFLAGS) -I$(srcdir)/plugins
tests_plugins_celery_test_LDADD = $(LIBS_UNIT) plugins/celery/libcelery.la
tests_plugins_celery_state_test_SOURCES = tests/plugins/celery_state_test.c \
	tests/plugins/said.h
tests_plugins_celery_state_test_CPPFLAGS = $(CPPFLAGS_UNIT) \
	$(CELERY_PLUGIN_CFLAGS) -I$(srcdir)/plugins
tests_plugins_celery_state_test_LDADD = $(LIBS_UNIT) \
	plugins/celery/libcelery.la

FUZZ_CELERY = tests/fuzz/celery_message tests/fuzz/celery_resp \
	tests/fuzz/celery_url
check_PROGRAMS += $(FUZZ_CELERY)
TESTS += $(FUZZ_CELERY)
tests_fuzz_celery_message_SOURCES = tests/fuzz/celery_message.c $(FUZZ_MAIN)
tests_fuzz_celery_message_CPPFLAGS = $(CPPFLAGS_FUZZ) \
	$(CELERY_PLUGIN_CFLAGS) -I$(srcdir)/plugins
tests_fuzz_celery_message_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_celery_message_LDADD = plugins/celery/libcelery.la
tests_fuzz_celery_resp_SOURCES = tests/fuzz/celery_resp.c $(FUZZ_MAIN)
tests_fuzz_celery_resp_CPPFLAGS = $(CPPFLAGS_FUZZ) \
	$(CELERY_PLUGIN_CFLAGS) -I$(srcdir)/plugins
tests_fuzz_celery_resp_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_celery_resp_LDADD = plugins/celery/libcelery.la
tests_fuzz_celery_url_SOURCES = tests/fuzz/celery_url.c $(FUZZ_MAIN)
tests_fuzz_celery_url_CPPFLAGS = $(CPPFLAGS_FUZZ) \
	$(CELERY_PLUGIN_CFLAGS) -I$(srcdir)/plugins
tests_fuzz_celery_url_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_celery_url_LDADD = plugins/celery/libcelery.la
endif

INTEGRATION_CELERY = tests/integration/celery_amqp.py \
	tests/integration/celery_load.py tests/integration/celery_newest.py \
	tests/integration/celery_redis.py tests/integration/celery_sidecar.py \
	tests/integration/celery_ways.py
if PLUGIN_CELERY
TESTS += $(INTEGRATION_CELERY)
endif
$(INTEGRATION_CELERY:.py=.log): sonde plugins/celery/celery.la
EXTRA_DIST += $(INTEGRATION_CELERY) tests/integration/celery_base.py \
	plugins/celery/testdata tests/fuzz/corpus/celery_message \
	tests/fuzz/corpus/celery_resp tests/fuzz/corpus/celery_url conf.d/celery.yaml \
	plugins/celery/README.md docs/plugins/celery.md

# Half a minute instead of four seconds.
celery-load: sonde plugins/celery/celery.la
	SONDE_CELERY_LOAD_SECONDS=30 SONDE_SRC_DIR=$(srcdir) \
		SONDE_BUILD_DIR=$(builddir) $(PYTHON3) \
		$(srcdir)/tests/integration/celery_load.py
.PHONY: celery-load
