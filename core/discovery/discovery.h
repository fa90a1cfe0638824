/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding targets. Each mechanism of a job (static_configs,
 * file_sd_configs, ...) yields target groups under source names of its own;
 * a group that comes again under its source replaces the old one, an empty
 * one deletes it. One file per mechanism.
 */
#ifndef DISCOVERY_DISCOVERY_H
#define DISCOVERY_DISCOVERY_H

#include <sonde/base.h>

#include "config/schema.h"
#include "model/labels.h"
#include "model/selfmetrics.h"

struct target_group {
    sonde_str source;             /* unique within the job                 */
    const struct labels *targets; /* each with __address__, unless it was
                                     written as an empty string            */
    size_t count;
    struct labels labels; /* common to all                         */
};

/* The blocks of a scrape_config that this room reads. */
struct static_config {
    struct config_head head;
    struct sonde_list targets;
    struct config_map labels;
};
struct file_sd_config {
    struct config_head head;
    struct sonde_list files; /* globs */
    sonde_msec refresh_interval;
};
extern const struct config_block_def static_config_block;
extern const struct config_block_def file_sd_config_block;

/* Mechanisms that are known and not there yet. Their blocks are checked, so
 * that a typo is an error; blocks that have targets to find put
 * DISCOVERY_UNUSED_ROWS into their table. */
extern const struct config_block_def dns_sd_config_block;
extern const struct config_block_def http_sd_config_block;
extern const struct config_block_def kubernetes_sd_config_block;

#define DISCOVERY_UNUSED_ROWS                                                  \
    CONFIG_ROW_UNUSED_AS("dns_sd_configs", CONFIG_BLOCK_LIST,                  \
                         .block = &dns_sd_config_block,                        \
                         .help = "Targets from DNS"),                          \
        CONFIG_ROW_UNUSED_AS("http_sd_configs", CONFIG_BLOCK_LIST,             \
                             .block = &http_sd_config_block,                   \
                             .help = "Targets from an HTTP endpoint"),         \
        CONFIG_ROW_UNUSED_AS("kubernetes_sd_configs", CONFIG_BLOCK_LIST,       \
                             .block = &kubernetes_sd_config_block,             \
                             .help = "Targets from the Kubernetes API"),       \
        CONFIG_ROW_UNUSED("aws_sd_configs"),                                   \
        CONFIG_ROW_UNUSED("azure_sd_configs"),                                 \
        CONFIG_ROW_UNUSED("consul_sd_configs"),                                \
        CONFIG_ROW_UNUSED("digitalocean_sd_configs"),                          \
        CONFIG_ROW_UNUSED("docker_sd_configs"),                                \
        CONFIG_ROW_UNUSED("dockerswarm_sd_configs"),                           \
        CONFIG_ROW_UNUSED("ec2_sd_configs"),                                   \
        CONFIG_ROW_UNUSED("eureka_sd_configs"),                                \
        CONFIG_ROW_UNUSED("gce_sd_configs"),                                   \
        CONFIG_ROW_UNUSED("hetzner_sd_configs"),                               \
        CONFIG_ROW_UNUSED("ionos_sd_configs"),                                 \
        CONFIG_ROW_UNUSED("kuma_sd_configs"),                                  \
        CONFIG_ROW_UNUSED("lightsail_sd_configs"),                             \
        CONFIG_ROW_UNUSED("linode_sd_configs"),                                \
        CONFIG_ROW_UNUSED("marathon_sd_configs"),                              \
        CONFIG_ROW_UNUSED("nerve_sd_configs"),                                 \
        CONFIG_ROW_UNUSED("nomad_sd_configs"),                                 \
        CONFIG_ROW_UNUSED("openstack_sd_configs"),                             \
        CONFIG_ROW_UNUSED("ovhcloud_sd_configs"),                              \
        CONFIG_ROW_UNUSED("puppetdb_sd_configs"),                              \
        CONFIG_ROW_UNUSED("scaleway_sd_configs"),                              \
        CONFIG_ROW_UNUSED("serverset_sd_configs"),                             \
        CONFIG_ROW_UNUSED("stackit_sd_configs"),                               \
        CONFIG_ROW_UNUSED("triton_sd_configs"),                                \
        CONFIG_ROW_UNUSED("uyuni_sd_configs"),                                 \
        CONFIG_ROW_UNUSED("vultr_sd_configs")

/* What a job wants found. What it points to is borrowed for the life of the
 * discovery. */
struct discovery_job {
    sonde_str job;
    const struct static_config *statics;
    size_t static_count;
    const struct file_sd_config *files;
    size_t file_count;
};

/*
 * All discovery of one job. discovery_start calls `update` at once, in the
 * caller's thread, with everything that can be known now (static groups,
 * files as they are), and later from a discovery thread with the groups that
 * changed. The groups are valid for the call.
 */
struct discovery;
typedef void discovery_update(void *arg, const struct target_group *groups,
                              size_t n);
SONDE_NODISCARD sonde_code discovery_start(const struct discovery_job *job,
                                           struct selfmetrics *metrics,
                                           discovery_update *update, void *arg,
                                           struct discovery **out,
                                           struct sonde_err *err);
/* No update comes after this returns. NULL is fine. */
void discovery_stop(struct discovery *d);

/* The target groups that are written in `text`, JSON or YAML by the end of
 * `path`; strings are the arena's. An error refuses all of it. */
SONDE_NODISCARD sonde_code file_sd_parse(struct arena *a, const char *path,
                                         sonde_str text,
                                         struct target_group **out, size_t *n,
                                         struct sonde_err *err);
/* Reads one file_sd file (YAML or JSON); for `sonde check config` too. */
SONDE_NODISCARD sonde_code file_sd_read(struct arena *a, const char *path,
                                        struct target_group **out, size_t *n,
                                        struct sonde_err *err);

#endif
