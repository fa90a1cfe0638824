SOURCES_NGINX = plugins/nginx/emit.c plugins/nginx/exporter.c \
	plugins/nginx/families.c plugins/nginx/families.h \
	plugins/nginx/json.c plugins/nginx/log.c plugins/nginx/log.h \
	plugins/nginx/log_doc.c plugins/nginx/log_file.c \
	plugins/nginx/log_folder.c plugins/nginx/log_format.c \
	plugins/nginx/log_line.c \
	plugins/nginx/log_route.c plugins/nginx/log_series.c \
	plugins/nginx/log_state.c \
	plugins/nginx/nginx.c plugins/nginx/nginx.h plugins/nginx/plus.c \
	plugins/nginx/plus.h plugins/nginx/plus_emit.c \
	plugins/nginx/plus_tables.c plugins/nginx/stub.c \
	plugins/nginx/vts.c

if PLUGIN_NGINX
plugin_LTLIBRARIES += plugins/nginx/nginx.la
plugins_nginx_nginx_la_SOURCES = $(SOURCES_NGINX)
plugins_nginx_nginx_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) $(NGINX_PLUGIN_CFLAGS) \
	-I$(srcdir)/plugins
plugins_nginx_nginx_la_LDFLAGS = $(LDFLAGS_PLUGIN)
plugins_nginx_nginx_la_LIBADD = plugins/shared/libshared.la $(NGINX_PLUGIN_LIBS)

# The same sources as a library, for tests to look inside.
check_LTLIBRARIES += plugins/nginx/libnginx.la
plugins_nginx_libnginx_la_SOURCES = $(SOURCES_NGINX)
plugins_nginx_libnginx_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) \
	$(NGINX_PLUGIN_CFLAGS) -I$(srcdir)/plugins
plugins_nginx_libnginx_la_LIBADD = plugins/shared/libshared.la $(NGINX_PLUGIN_LIBS)

check_PROGRAMS += tests/plugins/nginx_test tests/plugins/nginx_log_test
TESTS += tests/plugins/nginx_test tests/plugins/nginx_log_test
tests_plugins_nginx_test_SOURCES = tests/plugins/nginx_test.c
tests_plugins_nginx_test_CPPFLAGS = $(CPPFLAGS_UNIT) $(NGINX_PLUGIN_CFLAGS) \
	-I$(srcdir)/plugins
tests_plugins_nginx_test_LDADD = $(LIBS_UNIT) plugins/nginx/libnginx.la \
	$(NGINX_PLUGIN_LIBS) -lm
tests_plugins_nginx_log_test_SOURCES = tests/plugins/nginx_log_test.c
tests_plugins_nginx_log_test_CPPFLAGS = $(CPPFLAGS_UNIT) \
	$(NGINX_PLUGIN_CFLAGS) -I$(srcdir)/plugins
tests_plugins_nginx_log_test_LDADD = $(LIBS_UNIT) \
	plugins/nginx/libnginx.la $(NGINX_PLUGIN_LIBS) -lm

check_PROGRAMS += tests/fuzz/nginx_log tests/fuzz/nginx_log_state \
	tests/fuzz/nginx_pages
TESTS += tests/fuzz/nginx_log tests/fuzz/nginx_log_state \
	tests/fuzz/nginx_pages
tests_fuzz_nginx_log_SOURCES = tests/fuzz/nginx_log.c $(FUZZ_MAIN)
tests_fuzz_nginx_log_CPPFLAGS = $(CPPFLAGS_FUZZ) $(NGINX_PLUGIN_CFLAGS) \
	-I$(srcdir)/plugins
tests_fuzz_nginx_log_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_nginx_log_LDADD = plugins/nginx/libnginx.la $(NGINX_PLUGIN_LIBS)
tests_fuzz_nginx_log_state_SOURCES = tests/fuzz/nginx_log_state.c $(FUZZ_MAIN)
tests_fuzz_nginx_log_state_CPPFLAGS = $(CPPFLAGS_FUZZ) \
	$(NGINX_PLUGIN_CFLAGS) -I$(srcdir)/plugins
tests_fuzz_nginx_log_state_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_nginx_log_state_LDADD = plugins/nginx/libnginx.la \
	$(NGINX_PLUGIN_LIBS)
tests_fuzz_nginx_pages_SOURCES = tests/fuzz/nginx_pages.c $(FUZZ_MAIN)
tests_fuzz_nginx_pages_CPPFLAGS = $(CPPFLAGS_FUZZ) $(NGINX_PLUGIN_CFLAGS) \
	-I$(srcdir)/plugins
tests_fuzz_nginx_pages_LDFLAGS = $(LDFLAGS_FUZZ)
tests_fuzz_nginx_pages_LDADD = plugins/nginx/libnginx.la $(NGINX_PLUGIN_LIBS)

TESTS += $(INTEGRATION_NGINX)
$(INTEGRATION_NGINX:.py=.log): sonde plugins/nginx/nginx.la
endif
INTEGRATION_NGINX = \
	tests/integration/nginx_access_log.py \
	tests/integration/nginx_failures.py \
	tests/integration/nginx_parity.py \
	tests/integration/nginx_plus_vts.py
EXTRA_DIST += plugins/nginx/README.md plugins/nginx/testdata \
	conf.d/nginx.yaml conf.d/nginx-access-log.yaml docs/plugins/nginx.md \
	tests/fuzz/corpus/nginx_log tests/fuzz/corpus/nginx_log_state \
	tests/fuzz/corpus/nginx_pages \
	tests/integration/nginx_server.py $(INTEGRATION_NGINX)
