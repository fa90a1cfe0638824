bin_PROGRAMS += sonde
sonde_SOURCES = core/main.c
sonde_LDADD = $(LIB_ALL)
sonde_LDFLAGS = $(AM_LDFLAGS) -pie
