/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs and targets as the files of this room share them. A job is one
 * scrape_config at work; a target is one thing it scrapes.
 *
 * Who touches what: a target's `loop only` fields belong to the thread of its
 * loop, the fields under `lock` to whoever holds it, the rest is written
 * before the target is handed out and never again.
 */
#ifndef SCRAPE_TARGET_H
#define SCRAPE_TARGET_H

#include <pthread.h>
#include <stdatomic.h>

#include <sonde/base.h>

#include "scrape/exemplar_cache.h"
#include "scrape/family_cache.h"
#include "scrape/scrape.h"
#include "scrape/series_cache.h"

struct scrape_loop;
struct exposure;

struct job {
    _Atomic size_t refs;
    struct scrape_manager *manager;
    const struct scrape_config *config;
    const struct scrape_globals *globals;
    void *owner; /* of the configuration, held */
    void (*unref_owner)(void *owner);
    const struct plugin *plugin;
    struct metric *collect_cpu;
    uint64_t fingerprint; /* of the configuration, to see changes */
    uint64_t offset_seed;
    sonde_str accept; /* header values that all targets share    */
    sonde_str agent;
    struct arena arena; /* of the strings above                   */
    struct discovery *discovery;
    bool started; /* the manager's, under its lock                       */
    _Atomic bool over_target_limit;

    pthread_mutex_t lock; /* guards the rest */
    struct group_store *groups;
    struct target **targets;
    size_t target_count;
    struct dropped_set *dropped;
};

enum { /* of report_series */
    REPORT_UP,
    REPORT_DURATION,
    REPORT_SCRAPED,
    REPORT_POST_RELABEL,
    REPORT_ADDED,
    REPORT_TIMEOUT,
    REPORT_SAMPLE_LIMIT,
    REPORT_BODY_BYTES,
    REPORT_COUNT
};

enum target_state {
    TARGET_IDLE,   /* waits for its timer                               */
    TARGET_BUSY,   /* a collection is under way                         */
    TARGET_ENDING, /* taken away: waits to write its stale markers      */
};

struct target {
    _Atomic size_t refs;
    struct job *job; /* held */
    struct scrape_loop *loop;
    struct arena arena;       /* of all strings below                      */
    struct labels labels;     /* what samples get                          */
    struct labels discovered; /* before relabeling                         */
    struct series_rules rules;
    sonde_str url, address, scheme, metrics_path;
    sonde_str request_path;      /* of a fetch plugin: path and parameters */
    struct config_map overrides; /* __param_NAME: plugin options          */
    uint64_t hash;               /* of what makes it this target              */
    uint64_t offset_ns;          /* of its schedule within the interval       */
    sonde_msec interval, timeout, slow_interval;
    bool asked_only; /* no schedule: collected when a page is asked for     */
    sonde_msec idle; /* then: its connections close after this; 0: never    */

    /* loop only */
    enum target_state state;
    bool ended; /* taken away; set while busy too */
    struct net_timer timer;
    sonde_msec next_ms; /* wall clock of the next scrape */
    struct http_client *client;
    struct plugin_instance *instance;
    uint64_t reloads; /* of the manager when the instance was told          */
    struct series_cache cache;
    uint64_t generation; /* of the store when it was checked               */
    struct exemplar_cache exemplars;
    series_ref report[REPORT_COUNT];
    bool reported;                 /* report series exist and are not stale */
    struct collection *collection; /* while busy */
    bool tick_waits; /* for the end of a collection that was asked for      */

    pthread_mutex_t lock; /* guards the rest */
    enum target_health health;
    char *last_error; /* NULL: none */
    sonde_msec last_scrape_ms;
    double last_seconds;
    struct family_cache families;
    struct exposure *exposure; /* NULL: the job has no pages; itself fixed  */
};

struct job *job_ref(struct job *j);
void job_unref(struct job *j);
struct target *target_ref(struct target *t);
void target_unref(struct target *t);

/* What becomes of one discovered label set: a target (SONDE_OK), dropped by
 * relabeling (SONDE_ENOTFOUND), or invalid (other codes, with why). `before`
 * is the label set as discovered with the job's defaults joined in. */
SONDE_NODISCARD sonde_code target_new(struct job *job,
                                      const struct labels *target,
                                      const struct labels *group,
                                      struct target **out,
                                      struct sonde_err *err);
/* One that a page asked for: __param_NAME labels from `options`, no
 * relabeling, no schedule. */
SONDE_NODISCARD sonde_code target_new_asked(struct job *job, sonde_str address,
                                            const struct config_map *options,
                                            struct target **out,
                                            struct sonde_err *err);
/* The label set before relabeling (discovery + defaults of the job). */
void target_populate(const struct scrape_config *config,
                     const struct labels *target, const struct labels *group,
                     struct labels_builder *lb);
/* The URL to ask an address for `path`, and in `unix_socket` the path of the
 * socket to ask at if the address is one (unix:/path), else nothing. */
void target_request_url(struct buf *url, sonde_str *unix_socket,
                        sonde_str scheme, sonde_str address, sonde_str path);
/* What the plugin is opened with for this target; views of it. Without a
 * folder for state. */
struct plugin_target target_for_plugin(const struct target *t);
/* The first moment at or after `now_ms` that the target's schedule has. */
sonde_msec target_first_ms(const struct target *t, sonde_msec now_ms);
/* Seed of all offsets: this host and the external labels. */
uint64_t target_offset_seed(const struct config_map *external_labels);

#endif
