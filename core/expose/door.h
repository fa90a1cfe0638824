/* SPDX-License-Identifier: Apache-2.0 */
/* A door as the files of this room share it. */
#ifndef EXPOSE_DOOR_H
#define EXPOSE_DOOR_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>
#include <sonde/exporter.h>

#include "expose/asked.h"
#include "expose/compose.h"
#include "expose/expose.h"

#define DOOR_ROUTES 2

struct door {
    const struct expose_deps *deps;
    struct arena arena; /* of all strings */
    struct expose_door options;
    sonde_str job;
    const char *job_label;                 /* job="..." */
    const char *address, *web_config_file; /* what tells doors apart       */
    const struct sonde_plugin *plugin;
    const struct sonde_exporter *exporter; /* NULL: it is none             */
    sonde_str target_path;                 /* empty: not served            */
    sonde_str discover_path;               /* likewise                     */
    struct compose_rules rules;
    struct http_route routes[DOOR_ROUTES];
    struct http_server *server;
    struct asked *asked;
    struct metric *refused, *remembered, *in_flight;
    _Atomic uint64_t target_errors;
    pthread_mutex_t reloading;
};

SONDE_NODISCARD sonde_code door_open(const struct expose_deps *deps,
                                     const struct expose_door *options,
                                     struct door **out, struct sonde_err *err);
void door_close(struct door *d); /* NULL is fine */

/* A request, from routing to its answer. */
struct visit {
    struct door *door;
    struct http_call *call;
    struct job *job; /* held; NULL: it is not there (yet)                  */
    const struct scrape_config *config; /* of the job                      */
    sonde_msec deadline; /* of collections, monotonic                      */
    sonde_msec until;    /* of waiting for them: a little later            */
    int reloads;         /* that it has gone along with                    */
};

/* After a reload in the middle of a visit it goes on with the job that has the
 * name now (or with NULL). False: that is the same one, or the visit has gone
 * along with too many reloads. */
bool door_renew(struct visit *v);

/* pages.c */
void door_metrics(struct visit *v);
void door_target(struct visit *v);
/* discover.c */
void door_discover(struct visit *v);
/* landing.c */
void door_landing(struct visit *v);
void door_health(struct visit *v);

/* Plain text; `text` may hold what a caller sent. */
void door_reply_text(struct visit *v, int status, const char *text);

#endif
