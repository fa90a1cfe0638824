noinst_LTLIBRARIES += core/expose/libexpose.la
core_expose_libexpose_la_SOURCES = \
	core/expose/asked.c core/expose/asked.h \
	core/expose/compose.c core/expose/compose.h \
	core/expose/door.c core/expose/door.h \
	core/expose/expose.c core/expose/expose.h \
	core/expose/landing.c \
	core/expose/pages.c \
	core/expose/reach.c core/expose/reach.h
EXTRA_DIST += core/expose/README.md
