/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host side of <sonde/plugin.h>: finding and checking plugin files,
 * filling options, instances, the sink that turns what a plugin emits into
 * exposition text. Emitting text lets everything a plugin says take the same
 * road as a scraped body: one scanner, one series cache, one set of rules.
 */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include <sonde/base.h>
#include <sonde/plugin.h>

#include "config/schema.h"
#include "net/net.h"
#include "util/arena.h"
#include "util/buf.h"

/* ---- the registry: registry.c ------------------------------------------ */

struct plugin; /* a loaded plugin file */
struct plugins;

/* Loads every *.so of the folders (in order). A file that is refused is
 * logged with the reason and the remedy and remembered, so that a job that
 * names it gets that reason. Of two files with one name the first stands and
 * the second is refused. */
struct plugins *plugins_new(const char *const *dirs, size_t n);
/* The same of the files called NAME.so alone; NULL: of all. */
struct plugins *plugins_new_one(const char *const *dirs, size_t n,
                                const char *name);
void plugins_free(struct plugins *p); /* after all instances are closed */

/* SONDE_ENOTFOUND with the nearest name and the folders searched, or why the
 * file of that name was refused. */
SONDE_NODISCARD sonde_code plugin_find(const struct plugins *p, sonde_str name,
                                       const struct plugin **out,
                                       struct sonde_err *err);
size_t plugins_count(const struct plugins *p);
const struct plugin *plugins_at(const struct plugins *p, size_t i);
/* Files that were refused, with why. */
size_t plugins_refused_count(const struct plugins *p);
const char *plugins_refused_at(const struct plugins *p, size_t i,
                               const char **path);

/* Loads one file; the checks (owner, mode, ABI, entry, description) and
 * their messages are here. */
SONDE_NODISCARD sonde_code plugin_load(const char *path, struct plugin **out,
                                       struct sonde_err *err);
void plugin_unload(struct plugin *p);

const struct sonde_plugin *plugin_desc(const struct plugin *p);
const char *plugin_path(const struct plugin *p);
const struct sonde_family *plugin_family(const struct plugin *p, size_t i);
bool plugin_is_fetch(const struct plugin *p);

/* Checks an options node as a start would: table, then the plugin's own
 * check. For `sonde check config`. */
SONDE_NODISCARD sonde_code plugin_check_options(const struct plugin *p,
                                                struct config_ctx *ctx,
                                                const struct yaml_node *node,
                                                struct sonde_err *err);

/* ---- instances: instance.c ---------------------------------------------- */

struct plugin_instance;
struct plugin_target {
    sonde_str job, address, scheme, metrics_path;
    const struct yaml_node *options;    /* of the job; may be NULL        */
    const struct config_map *overrides; /* from __param_ labels; or NULL  */
    bool expand_env;              /* ${VAR} in the options' scalars      */
    const struct tls_config *tls; /* of the job; may be NULL             */
    sonde_msec interval, timeout, slow_interval;
    const char *state_dir; /* where state is kept; NULL: nowhere          */
};
/* Strings of the target are copied; the plugin's default port is added to an
 * address that is a bare host. */
SONDE_NODISCARD sonde_code plugin_open(const struct plugin *p,
                                       const struct plugin_target *target,
                                       struct plugin_instance **out,
                                       struct sonde_err *err);
void plugin_close(struct plugin_instance *i); /* NULL is fine */

/* The configuration was read again; between two collections. */
void plugin_reload(struct plugin_instance *i);

/* A collection: blocking, until `deadline` (monotonic). On success `out` has
 * the exposition text (0.0.4) of what was emitted. For a plugin that fetches
 * it is but one step of its plan. */
SONDE_NODISCARD sonde_code plugin_collect(struct plugin_instance *i,
                                          sonde_msec deadline, struct buf *out,
                                          struct sonde_err *err);
/* Fetch plugins: the plan of round out->round (the caller's), and a parsed
 * answer's text appended to `out`. Duplicates are checked within one answer. */
SONDE_NODISCARD sonde_code plugin_plan(struct plugin_instance *i,
                                       struct sonde_plan *out,
                                       struct sonde_err *err);
SONDE_NODISCARD sonde_code plugin_parse(struct plugin_instance *i,
                                        const struct sonde_response *response,
                                        struct buf *out, struct sonde_err *err);
/* The plan is through: what its parts leave to say is appended to `out`.
 * Not called when the collection failed. */
SONDE_NODISCARD sonde_code plugin_planned(struct plugin_instance *i,
                                          struct buf *out,
                                          struct sonde_err *err);

/* The targets that the plugin's `discover` names: blocking, on an instance
 * that has no collections. What `emit` was given counts only on success.
 * SONDE_EUNSUPPORTED: the plugin, or this target's options, have none. */
SONDE_NODISCARD sonde_code plugin_discover(struct plugin_instance *i,
                                           sonde_msec deadline,
                                           void (*emit)(void *arg,
                                                        sonde_str address),
                                           void *arg, struct sonde_err *err);

/* ---- state: state.c ------------------------------------------------------ */

/* Removes documents in `state_dir` that nobody has written for months. */
void plugin_state_sweep(const char *state_dir);

/* ---- printing: show.c ---------------------------------------------------- */

/* Options and metrics of a plugin as `sonde plugins show` prints them, and a
 * working snippet for conf.d. */
void plugin_show(struct buf *b, const struct plugin *p);
void plugin_sample(struct buf *b, const struct plugin *p);

#endif
