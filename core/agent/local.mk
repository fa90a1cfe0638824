noinst_LTLIBRARIES += core/agent/libagent.la
core_agent_libagent_la_SOURCES = core/agent/config.h
core_agent_libagent_la_SOURCES += core/agent/config.c
core_agent_libagent_la_SOURCES += core/agent/config_tables.c
core_agent_libagent_la_SOURCES += core/agent/config_tables.h
