/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job without a configuration file, a store and an API: what `sonde
 * exporter` runs. Only pages collect; nothing is written anywhere.
 */
#ifndef AGENT_SIDECAR_H
#define AGENT_SIDECAR_H

#include <sonde/base.h>

#include "expose/expose.h"
#include "plugin/plugin.h"
#include "scrape/scrape.h"

/* What the command line, the environment and files say at one moment. */
struct sidecar_config {
    _Atomic size_t refs;
    struct arena arena; /* of all below */
    struct scrape_config job;
    struct scrape_globals globals;
    struct expose_door door; /* looked at when it is opened, not later      */
};
struct sidecar_config *sidecar_config_new(void);
void sidecar_config_unref(struct sidecar_config *c); /* NULL is fine */

struct sidecar {
    const char *name; /* of the exporter, for the log                       */
    const struct plugins *plugins;
    /* Reads it all (again); one reference is the caller's. */
    sonde_code (*load)(void *arg, struct sidecar_config **out,
                       struct sonde_err *err);
    void *arg;
};
/* Runs until it is told to stop; the exit code. SIGHUP and /-/reload read
 * everything again: what did not change goes on, with secrets read anew.
 * `hung`: a plugin is still in its code, so that it must not be unloaded. */
int sidecar_run(const struct sidecar *s, bool *hung);

#endif
