SOURCES_CELERY = plugins/celery/amqp.c plugins/celery/broker.c \
	plugins/celery/broker.h plugins/celery/celery.c \
	plugins/celery/control.c plugins/celery/emit.c \
	plugins/celery/emit.h plugins/celery/event.c plugins/celery/event.h \
	plugins/celery/exporter.c plugins/celery/exporter.h \
	plugins/celery/families.c plugins/celery/fleet.c \
	plugins/celery/fleet.h plugins/celery/listener.c \
	plugins/celery/listener.h plugins/celery/login.c \
	plugins/celery/options.c plugins/celery/options.h \
	plugins/celery/redis.c plugins/celery/resp.c plugins/celery/resp.h \
	plugins/celery/series.c plugins/celery/series.h \
	plugins/celery/state.c plugins/celery/state.h \
	plugins/celery/table.c plugins/celery/table.h \
	plugins/celery/tasks.c plugins/celery/tasks.h \
	plugins/celery/text.c plugins/celery/text.h \
	plugins/celery/transport.h

if PLUGIN_CELERY
plugin_LTLIBRARIES += plugins/celery/celery.la
plugins_celery_celery_la_SOURCES = $(SOURCES_CELERY)
plugins_celery_celery_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(CELERY_PLUGIN_CFLAGS)
plugins_celery_celery_la_LDFLAGS = $(LDFLAGS_PLUGIN)
plugins_celery_celery_la_LIBADD = $(CELERY_PLUGIN_LIBS) -lm

# The same sources as a library, for tests to look inside.
check_LTLIBRARIES += plugins/celery/libcelery.la
plugins_celery_libcelery_la_SOURCES = $(SOURCES_CELERY)
plugins_celery_libcelery_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(CELERY_PLUGIN_CFLAGS)
plugins_celery_libcelery_la_LIBADD = $(CELERY_PLUGIN_LIBS) -lm
endif

INTEGRATION_CELERY = tests/integration/celery_redis.py
if PLUGIN_CELERY
TESTS += $(INTEGRATION_CELERY)
endif
$(INTEGRATION_CELERY:.py=.log): sonde plugins/celery/celery.la
EXTRA_DIST += $(INTEGRATION_CELERY) tests/integration/celery_base.py \
	plugins/celery/testdata conf.d/celery.yaml plugins/celery/README.md
