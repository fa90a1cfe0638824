noinst_LTLIBRARIES += core/scrape/libscrape.la
core_scrape_libscrape_la_SOURCES = \
	core/scrape/collection.c core/scrape/collection.h \
	core/scrape/collectors.c core/scrape/collectors.h \
	core/scrape/exemplar_cache.c core/scrape/exemplar_cache.h \
	core/scrape/demand.c core/scrape/demand.h \
	core/scrape/expose_config.c \
	core/scrape/family_cache.c core/scrape/family_cache.h \
	core/scrape/fetch.c \
	core/scrape/job.c core/scrape/job.h \
	core/scrape/loop.c core/scrape/loop.h core/scrape/loop_int.h \
	core/scrape/manager.c core/scrape/manager.h \
	core/scrape/metrics.h \
	core/scrape/oneshot.c \
	core/scrape/scrape.h \
	core/scrape/series_cache.c core/scrape/series_cache.h \
	core/scrape/status.c \
	core/scrape/target.c core/scrape/target.h

check_PROGRAMS += tests/unit/scrape_test
TESTS += tests/unit/scrape_test
tests_unit_scrape_test_SOURCES = tests/unit/scrape_test.c
tests_unit_scrape_test_CPPFLAGS = $(CPPFLAGS_UNIT)
tests_unit_scrape_test_LDADD = $(LIBS_UNIT) $(LIB_SCRAPE)
core_scrape_libscrape_la_SOURCES += core/scrape/scrape_config.c
EXTRA_DIST += core/scrape/README.md
