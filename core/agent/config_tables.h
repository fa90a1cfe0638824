/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root table and its structs; private to agent/, and for tests. An
 * included file has fewer keys: jobs, remote writes and rule files.
 */
#ifndef AGENT_CONFIG_TABLES_H
#define AGENT_CONFIG_TABLES_H

#include <sonde/base.h>

#include "config/schema.h"

struct global_config {
    struct config_head head;
    sonde_str query_log_file;
    sonde_msec scrape_interval, scrape_timeout, evaluation_interval;
    struct sonde_list scrape_protocols;
    struct config_map external_labels;
    int64_t body_size_limit, sample_limit, label_limit;
    int64_t label_name_length_limit, label_value_length_limit;
    int64_t target_limit, keep_dropped_targets;
    int metric_name_validation_scheme; /* as in struct scrape_config       */
};

/* exemplars.max_exemplars, also when the section is not there. */
#define EXEMPLARS_DEFAULT 100000

struct retention_config {
    struct config_head head;
    sonde_msec time;
    int64_t size;
    double percentage;
};
struct tsdb_config {
    struct config_head head;
    sonde_msec out_of_order_time_window;
    struct retention_config *retention; /* NULL: not given               */
};
struct exemplars_config {
    struct config_head head;
    int64_t max_exemplars;
};
struct storage_config {
    struct config_head head;
    struct tsdb_config *tsdb;           /* NULL: not given                */
    struct exemplars_config *exemplars; /* NULL: not given                */
};

struct root_config {
    struct config_head head;
    struct global_config global;
    struct storage_config *storage; /* NULL: not given                    */
    struct sonde_list rule_files, scrape_config_files;
    struct config_blocks scrape_configs; /* struct scrape_config           */
    struct config_blocks remote_write;   /* struct remote_write_config     */
};
extern const struct config_block_def root_config_block;

struct included_config {
    struct config_head head;
    struct sonde_list rule_files;
    struct config_blocks scrape_configs, remote_write;
};
extern const struct config_block_def included_config_block;

#endif
