/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One collection of one target, from the first byte of its first body to the
 * commit: the lines go through the series cache into a transaction of the
 * store, and the end decides about staleness, report series and `up`.
 * Belongs to the thread of the target's loop.
 */
#ifndef SCRAPE_COLLECTION_H
#define SCRAPE_COLLECTION_H

#include <sonde/base.h>

#include "expo/expo.h"
#include "scrape/target.h"

#define COLLECTION_BATCH 256
/* Where the configuration sets no body_size_limit: of decoded bytes. */
#define COLLECTION_BODY_MAX (UINT64_C(256) << 20)
/* Of a body that a plugin parses itself. */
#define COLLECTION_PLUGIN_BODY_MAX ((size_t)16 << 20)

struct collection {
    struct collection *next_free;
    struct target *target; /* held while in use */
    struct appender *appender;
    struct expo_scanner scanner;
    struct expo_handler handler;
    bool scanning;
    enum expo_format format;
    struct arena arena; /* of a new series' labels, reset for each        */
    struct labels_builder lb;
    struct storage_sample batch[COLLECTION_BATCH];
    size_t batched;
    bool open; /* the transaction is, and the cache is good for it         */

    sonde_msec t;        /* of all samples without a time of their own  */
    sonde_msec deadline; /* monotonic                                   */
    uint64_t started_ns;
    size_t scraped;      /* lines with a sample                         */
    size_t kept;         /* of these, after metric relabeling           */
    size_t duplicates;   /* the same series twice                       */
    uint64_t body_bytes; /* decoded                                     */
    bool over_sample_limit, over_body_limit;
    bool reload;          /* the instance is still to be told ...        */
    uint64_t reloads;     /* ... of these, see target.reloads            */
    bool late;            /* its time was given up: the result is dropped */
    struct sonde_err err; /* why it failed; code SONDE_OK: it did not    */

    /* The plan of a fetch plugin and where it stands. */
    struct sonde_plan plan;
    size_t request;
    struct buf body; /* of a request that the plugin parses         */
    int status;
    struct buf text; /* what a plugin emitted                       */
    struct collection *next_job; /* in the collectors' queue              */

    /* For pages; only of targets that are exposed. */
    bool asked;    /* for a page: nothing is stored                         */
    bool unopened; /* it failed because the plugin did not take its options */
    struct buf page;
    struct scrape_part parts[SCRAPE_PAGE_PARTS];
    size_t part_count;
    bool part_open; /* the last one is of the request under way            */
};

struct collection *collection_new(struct storage *storage);
void collection_free(struct collection *c);

/* Begins for a target at a scheduled time. */
void collection_begin(struct collection *c, struct target *t,
                      sonde_msec time_ms);
/* Begins because a page was asked for: its text is kept, and that is all. */
void collection_begin_asked(struct collection *c, struct target *t);
/* A body begins, goes on and ends; errors stick in c->err. Samples of one
 * body may come in any number of pieces. */
void collection_body_begin(struct collection *c, enum expo_format format);
bool collection_body(struct collection *c, sonde_str piece);
bool collection_body_end(struct collection *c);
/* What there is of the body that came last does not belong on a page. */
void collection_forget_part(struct collection *c);
/* A whole text 0.0.4 that a plugin emitted. */
bool collection_text(struct collection *c, sonde_str text);

/* The end: commits, or rolls back and marks everything stale, writes the
 * report series, updates the target's status. Lets go of the target. */
void collection_finish(struct collection *c);

/* The end without a verdict: nothing is stored, the target's status stays as
 * it was. Lets go of the target. */
void collection_drop(struct collection *c);

/* Writes stale markers for all a target has, report series included, at
 * `time_ms`: the target has ended. */
void collection_mark_gone(struct collection *c, struct target *t,
                          sonde_msec time_ms);
/* `up 0` and the error at a moment when no collection could be begun. */
void collection_missed(struct collection *c, struct target *t,
                       sonde_msec time_ms, const char *why);

#endif
