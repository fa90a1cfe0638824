/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs and their targets: discovery's groups become targets by relabeling,
 * each target has a schedule, a loop collects it (HTTP on the loop's own
 * thread, plugins' `collect` on a pool), and what came in goes line by line
 * through the target's series cache into the store, as one transaction.
 */
#ifndef SCRAPE_SCRAPE_H
#define SCRAPE_SCRAPE_H

#include <sonde/base.h>

#include "config/schema.h"
#include "discovery/discovery.h"
#include "model/labels.h"
#include "model/selfmetrics.h"
#include "net/net.h"
#include "pipeline/pipeline.h"
#include "plugin/plugin.h"
#include "storage/storage.h"
#include "util/clock.h"

/* ---- configuration: scrape_config.c ------------------------------------ */

/* `expose` of a job: where its collections are served as an exporter's page.
 * The room expose/ does that; this one keeps the text. */
struct expose_config {
    struct config_head head;
    sonde_str address; /* HOST:PORT; empty: the job is not exposed          */
    sonde_str path;
    bool on_demand; /* a page asks the targets; else it is their last one   */
    sonde_str web_config_file;
    struct sonde_list allow;   /* what `target=` may name beside the targets  */
    sonde_msec timeout_offset; /* before the scraper's own timeout          */
    sonde_msec idle_timeout;   /* of connections to what `target=` named    */
    int64_t max_targets;       /* of these that are remembered              */
};
extern const struct config_block_def expose_block;
/* Reads an `expose` of either form, a text or a block; NULL: not exposed. */
SONDE_NODISCARD sonde_code expose_config_read(struct config_ctx *ctx,
                                              const struct yaml_node *node,
                                              struct expose_config *out,
                                              struct sonde_err *err);

/* A scrape_config, which is also a job of a plugin. Values of 0 for interval
 * and timeout mean "as global says" until scrape_config_finish. */
struct scrape_config {
    struct config_head head;
    sonde_str job_name;
    sonde_str plugin;                    /* "prometheus" by default          */
    const struct yaml_node *options;     /* the plugin's                     */
    const struct yaml_node *expose_node; /* as it was written              */
    struct expose_config expose;         /* read from that                 */
    /* Collected only when somebody asks for a page, and never stored; said by
     * who makes a job without a file. */
    bool pages_only;
    sonde_msec scrape_interval, scrape_timeout;
    sonde_msec slow_interval; /* 0: every collection                     */
    sonde_str metrics_path, scheme;
    struct config_map params;
    bool honor_labels, honor_timestamps, track_timestamps_staleness;
    bool enable_compression, extra_scrape_metrics;
    struct sonde_list scrape_protocols;
    sonde_str fallback_scrape_protocol;
    int64_t body_size_limit, sample_limit, label_limit;
    int64_t label_name_length_limit, label_value_length_limit;
    int64_t target_limit, keep_dropped_targets;
    int metric_name_validation_scheme; /* 0 unset, 1 utf8, 2 legacy       */
    struct http_client_config http;
    struct config_blocks static_configs;         /* struct static_config  */
    struct config_blocks file_sd_configs;        /* struct file_sd_config */
    struct config_blocks relabel_configs;        /* struct relabel_rule   */
    struct config_blocks metric_relabel_configs; /* struct relabel_rule   */
};
extern const struct config_block_def scrape_config_block;

/* Of `global`, what a job inherits. */
struct scrape_globals {
    sonde_msec scrape_interval, scrape_timeout;
    struct sonde_list scrape_protocols;
    int64_t body_size_limit, sample_limit, label_limit;
    int64_t label_name_length_limit, label_value_length_limit;
    int64_t target_limit, keep_dropped_targets;
    int metric_name_validation_scheme;
    struct config_map external_labels; /* seed of the schedule offsets    */
};
/* Fills what the job left unset and checks what needs both (timeout not
 * above interval). The validation scheme is 1 or 2 afterwards. */
SONDE_NODISCARD sonde_code scrape_config_finish(struct scrape_config *c,
                                                const struct scrape_globals *g,
                                                struct sonde_err *err);

/* No two of the jobs are exposed on one port of one address. */
SONDE_NODISCARD sonde_code expose_config_check_all(
    const struct scrape_config *const *jobs, size_t n, struct sonde_err *err);

/* The values of a `scrape_protocols` key of this block: known, each once. */
SONDE_NODISCARD sonde_code scrape_protocols_check(const struct yaml_node *block,
                                                  const struct sonde_list *l,
                                                  struct sonde_err *err);

/* ---- the manager: manager.c --------------------------------------------- */

struct scrape_manager;
struct scrape_deps {
    const struct clock *clock;
    struct selfmetrics *metrics;
    struct storage *storage;
    const struct plugins *plugins;
    const char *state_dir; /* of plugins' documents; NULL: none are kept  */
    size_t loops;          /* 0: one per core, up to 4                    */
    size_t collectors_max; /* 0: 64 */
};
SONDE_NODISCARD sonde_code scrape_manager_new(const struct scrape_deps *deps,
                                              struct scrape_manager **out,
                                              struct sonde_err *err);
/* Stops discovery, loops and plugins; scrapes in flight are dropped. No stale
 * markers (a restart is not an end). The status below can still be read, the
 * storage is no longer used. False: a plugin does not come back from its
 * `collect`; what it may still use (the plugins, the self-metrics) must then
 * live as long as the process, and scrape_manager_free frees nothing. NULL is
 * fine. */
bool scrape_manager_stop(struct scrape_manager *m);
/* Stops, if that has not been done; before the storage goes. */
void scrape_manager_free(struct scrape_manager *m);

/* Makes the jobs be these. Jobs whose configuration did not change keep
 * their targets, caches and schedules; the others end (stale markers as
 * Prometheus writes them) and start anew. `jobs` must outlive the manager or
 * the next apply (`jobs_ref` is released by `jobs_unref` when nobody reads
 * them any more). On an error nothing changed. */
struct scrape_jobs {
    const struct scrape_config *const *items;
    size_t count;
    const struct scrape_globals *globals;
    void *owner;
    void (*ref)(void *owner);
    void (*unref)(void *owner);
};
SONDE_NODISCARD sonde_code scrape_manager_apply(struct scrape_manager *m,
                                                const struct scrape_jobs *jobs,
                                                struct sonde_err *err);

/* ---- what the status pages show: status.c -------------------------------- */

enum target_health {
    TARGET_UNKNOWN,
    TARGET_UP,
    TARGET_DOWN
};

struct target_status {
    sonde_str job, scrape_url, global_url;
    struct labels labels, discovered;
    enum target_health health;
    sonde_str last_error;
    sonde_msec last_scrape; /* 0: never                              */
    double last_scrape_seconds;
    sonde_msec interval, timeout;
};
struct dropped_target {
    sonde_str job;
    struct labels discovered;
};
struct targets_status {
    struct target_status *active;
    size_t active_count;
    struct dropped_target *dropped;
    size_t dropped_count;
    struct {
        sonde_str job;
        size_t dropped;
    } * pools; /* all jobs, sorted */
    size_t pool_count;
};
/* A snapshot in the arena, sorted by job, then URL. */
void scrape_status(struct scrape_manager *m, struct arena *a,
                   struct targets_status *out);

/* Metadata of the families that targets expose now. */
struct metadata_status {
    struct metadata meta;
    const struct labels *target;
};
void scrape_metadata(struct scrape_manager *m, struct arena *a,
                     struct metadata_status **out, size_t *n);

/* ---- pages: demand.c ------------------------------------------------------
 *
 * For the room expose/. A job that has an `expose` keeps the text of its
 * targets' last collections. All functions are thread-safe; jobs and targets
 * are references that their _put gives back.
 */

struct job;
struct target;

/* A label before relabeling: how a target was named by who gave it, if that
 * is not its address. */
#define TARGET_GIVEN_NAME "__given_name__"

/* What one collection of one target brought. Immutable. */
#define SCRAPE_PAGE_PARTS (2 * SONDE_FETCH_MAX + 1)
struct scrape_page {
    _Atomic size_t refs;
    sonde_code code; /* SONDE_OK, or why there is no text                 */
    char *error;     /* a sentence, then                                  */
    bool unopened;   /* then: nobody was asked, the options are wrong     */
    struct buf text;
    struct scrape_part {
        size_t end;   /* in the text; it begins where the last one ends     */
        int format;   /* enum expo_format                                   */
        bool foreign; /* as it was scraped; else a plugin emitted it, and
                         it is text 0.0.4 without fault                   */
    } parts[SCRAPE_PAGE_PARTS];
    size_t part_count;
};
struct scrape_page *scrape_page_ref(struct scrape_page *p);
void scrape_page_unref(struct scrape_page *p); /* NULL is fine */

/* NULL: there is no such job now. */
struct job *scrape_job_get(struct scrape_manager *m, sonde_str name);
struct job *scrape_job_ref(struct job *j);
void scrape_job_put(struct job *j); /* NULL is fine */
const struct scrape_config *scrape_job_config(const struct job *j);
const struct sonde_plugin *scrape_job_plugin(const struct job *j);
/* The targets that it has now, in the arena, each a reference. */
size_t scrape_job_targets(struct job *j, struct arena *a, struct target ***out);
struct target *scrape_target_get(struct target *t);
void scrape_target_put(struct target *t); /* NULL is fine */
/* With the default port; may have user and password. */
sonde_str scrape_target_address(const struct target *t);
/* For people: as it was given, without user and password. */
sonde_str scrape_target_name(const struct target *t);
sonde_msec scrape_target_timeout(const struct target *t);

/* The targets that this one's plugin knows of, if it discovers any
 * (SONDE_EUNSUPPORTED: it does not, or is not to). Blocking, until `deadline`
 * (monotonic), on an instance of its own: collections go on beside it. What
 * `emit` was given counts only on success. */
SONDE_NODISCARD sonde_code
scrape_target_discover(const struct target *t, sonde_msec deadline,
                       void (*emit)(void *arg, sonde_str address), void *arg,
                       struct sonde_err *err);

/* Of the last collection that ended; NULL: none has. */
struct scrape_page *scrape_last_page(struct target *t);
/* Wants a collection that ends by `deadline` (monotonic); one that is under
 * way will do. Returns at once. */
struct scrape_ticket {
    uint64_t seen;
};
void scrape_demand(struct target *t, sonde_msec deadline,
                   struct scrape_ticket *ticket);
/* Its outcome, or that there is none yet at `until` (a little later than the
 * deadline: a plugin says what it has when its time is over); never NULL.
 * `gone` is asked now and then. */
struct scrape_page *scrape_demand_wait(struct target *t,
                                       const struct scrape_ticket *ticket,
                                       sonde_msec until,
                                       bool (*gone)(void *arg), void *arg);

/* A target that nobody discovered: the job's configuration with another
 * address and other values for some options, without relabeling. It is only
 * collected on demand. Ended by scrape_target_end, which also puts it. */
SONDE_NODISCARD sonde_code scrape_target_make(struct job *j, sonde_str address,
                                              const struct config_map *options,
                                              struct target **out,
                                              struct sonde_err *err);
void scrape_target_end(struct target *t);

/* ---- one collection by hand: oneshot.c ----------------------------------- */

/* `sonde scrape PLUGIN TARGET`: one collection of a target of this job, the
 * exposition text in `out`, blocking. `options` (name -> text) override. */
SONDE_NODISCARD sonde_code scrape_oneshot(const struct scrape_config *job,
                                          const struct plugins *plugins,
                                          sonde_str address,
                                          const struct config_map *options,
                                          struct buf *out,
                                          struct sonde_err *err);

#endif
