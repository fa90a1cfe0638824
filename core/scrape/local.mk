noinst_LTLIBRARIES += core/scrape/libscrape.la
core_scrape_libscrape_la_SOURCES = core/scrape/scrape.h 
core_scrape_libscrape_la_SOURCES += core/scrape/scrape_config.c
