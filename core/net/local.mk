noinst_LTLIBRARIES += core/net/libnet.la
core_net_libnet_la_SOURCES = core/net/net.h 
