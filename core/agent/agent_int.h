/* SPDX-License-Identifier: Apache-2.0 */
/* The agent as its own files see it. */
#ifndef AGENT_AGENT_INT_H
#define AGENT_AGENT_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "agent/agent.h"
#include "agent/config.h"
#include "expose/expose.h"
#include "model/selfmetrics.h"
#include "plugin/plugin.h"
#include "remote/remote.h"
#include "scrape/scrape.h"
#include "tsdb/tsdb.h"

/* A reload that somebody waits for (an HTTP request). */
struct reload_request {
    struct reload_request *next;
    bool done;
    sonde_code code;
    struct sonde_err err;
};

struct agent {
    const struct agent_options *options;
    struct selfmetrics *metrics;
    struct plugins *plugins;
    struct tsdb *db;
    struct remote_manager *remote;
    struct remote_receiver *receiver; /* NULL: remote writes are not taken */
    struct remote_reader *reader;
    struct scrape_manager *scrape;
    struct expose *expose;
    struct api *api;
    struct http_server *server;
    sonde_str external_url, route_prefix;
    struct arena arena; /* of the strings above */
    sonde_msec start_time;
    int signal_fd, wake_fd;
    bool hung; /* a plugin is still in its code and can not be unloaded */
    struct metric *reload_ok, *reload_time, *ready_gauge;

    _Atomic bool ready, stopping, quit_asked;
    _Atomic uint64_t replay_segment, replay_last;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t reloaded;
    struct reload_request *requests;
    struct config *config; /* the one that runs */
    /* Whether `remote` knows all endpoints, so that it can say which part of
     * the log they need. */
    bool remote_knows;
    bool reload_success;
    struct {
        uint64_t seen, trimmed; /* answers of the API                      */
        size_t free_bytes;      /* of the heap, after the last time         */
    } quiet;                    /* the main thread's                        */
    sonde_msec last_config_time;
};

/* reload.c */
SONDE_NODISCARD sonde_code agent_load_config(struct agent *a,
                                             struct config **out,
                                             struct sonde_err *err);
SONDE_NODISCARD sonde_code agent_apply(struct agent *a, struct config *config,
                                       struct sonde_err *err);
/* Loads and applies; logs either way; keeps the old one on an error. */
sonde_code agent_reload(struct agent *a, struct sonde_err *err);
/* From a web thread: asks the main thread to reload and waits. */
sonde_code agent_reload_wait(struct agent *a, struct sonde_err *err);
/* On the main thread: serves those that wait. */
void agent_serve_reloads(struct agent *a);

/* limits.c: what flags and configuration say of the store. */
void agent_limits(const struct agent_options *o, const struct config *c,
                  struct tsdb_limits *out);
/* "15d or 10GiB". */
void agent_retention_text(const struct tsdb_limits *l, struct buf *b);

/* wire.c */
void agent_wire_api(struct agent *a, struct api_ops *ops);
void agent_wire_status(struct api_ops *ops); /* wire_status.c */
void agent_external_labels(void *arg, struct arena *arena, struct labels *out);
void agent_remote_metadata(void *arg, struct arena *arena,
                           struct metadata **out, size_t *n);

/* web_metrics.c: while there is a server. */
void agent_web_metrics(struct agent *a);
void agent_web_metrics_end(struct agent *a);

/* quiet.c: now and then, on the main thread. */
void agent_quiet(struct agent *a);

/* signals.c */
SONDE_NODISCARD sonde_code agent_signals_open(struct agent *a,
                                              struct sonde_err *err);
void agent_signals_close(struct agent *a);
void agent_wake(struct agent *a);
/* Waits for signals and wishes until it is time to stop. */
void agent_wait(struct agent *a);
/* Whether it was asked to stop, while it starts. On the main thread. */
bool agent_signals_stop(struct agent *a);
/* From now on a SIGTERM or SIGINT ends the process at once. */
void agent_signals_let_kill(void);

#endif
