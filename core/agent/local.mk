noinst_LTLIBRARIES += core/agent/libagent.la
core_agent_libagent_la_SOURCES = core/agent/config.h 
