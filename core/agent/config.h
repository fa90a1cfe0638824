/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole configuration: the main file (a Prometheus configuration file),
 * the files it includes and the snippets beside it, read by the rooms' tables
 * into one immutable, reference-counted object. Whoever still reads an old
 * configuration after a reload holds a reference.
 */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <sonde/base.h>

#include "config/schema.h"
#include "plugin/plugin.h"
#include "remote/remote.h"
#include "scrape/scrape.h"

/* The section `storage`; 0 where nothing was given. */
struct config_store {
    sonde_msec out_of_order_ms, retention_ms;
    int64_t retention_bytes, max_exemplars;
    double retention_percent;
};

struct config {
    struct arena arena;
    struct config_store store;
    struct scrape_globals globals;
    sonde_msec evaluation_interval;
    const char *query_log_file; /* empty: none                            */
    const struct scrape_config **jobs; /* of all files, in order          */
    size_t job_count;
    const struct remote_write_config **remotes;
    size_t remote_count;
    struct sonde_list rule_files;
    sonde_str yaml; /* normalised, secrets masked                         */
    struct sonde_list warnings; /* one line each, with file:line:column   */
    struct sonde_list files;    /* all that were read                     */
    _Atomic size_t refs;
};

struct config_load {
    const char *file;
    const struct plugins *plugins; /* NULL: plugins are not checked       */
    bool expand_env;
};
/* Reads and checks everything a start would; the first error wins. One
 * reference is the caller's. */
SONDE_NODISCARD sonde_code config_load(const struct config_load *load,
                                       struct config **out,
                                       struct sonde_err *err);
struct config *config_ref(struct config *c);
void config_unref(struct config *c); /* NULL is fine */

/* docs/configuration.md, printed from the tables. */
void config_document_all(struct buf *b);

#endif
