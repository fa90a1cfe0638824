# What the plugins for Python's applications share.
noinst_LTLIBRARIES += plugins/python/libpython.la
plugins_python_libpython_la_SOURCES = plugins/python/db_file.c \
	plugins/python/db_file.h plugins/python/key.c plugins/python/key.h \
	plugins/python/merge.c plugins/python/merge.h \
	plugins/python/multiproc.c plugins/python/multiproc.h \
	plugins/python/pids.c plugins/python/pids.h plugins/python/preset.c \
	plugins/python/preset.h plugins/python/store.c plugins/python/store.h
plugins_python_libpython_la_CPPFLAGS = $(CPPFLAGS_PLUGIN) $(JANSSON_CFLAGS)
plugins_python_libpython_la_LIBADD = $(JANSSON_LIBS) -lm
