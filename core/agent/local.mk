noinst_LTLIBRARIES += core/agent/libagent.la
core_agent_libagent_la_SOURCES = \
	core/agent/agent.c core/agent/agent.h core/agent/agent_int.h \
	core/agent/reload.c \
	core/agent/signals.c \
	core/agent/wire.c
