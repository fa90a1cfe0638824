# One fragment a plugin. A plugin is a module that exports one symbol and
# links nothing of the agent; it includes <sonde/...> and its client library.
CPPFLAGS_PLUGIN = -D_GNU_SOURCE -I$(srcdir)/include $(SONDE_CPPFLAGS)
LDFLAGS_PLUGIN = -module -avoid-version -shared \
	-export-symbols-regex '^sonde_plugin_entry$$' $(SONDE_PLUGIN_DEFS) \
	$(AM_LDFLAGS)
include plugins/shared/local.mk
include plugins/python/local.mk
include plugins/prometheus/local.mk
include plugins/fastapi/local.mk
include plugins/redis/local.mk
include plugins/postgres/local.mk
include plugins/nginx/local.mk
include plugins/celery/local.mk
include plugins/example/local.mk
