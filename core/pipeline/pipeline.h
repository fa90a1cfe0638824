/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to labels between a target and the store: relabeling (for
 * targets, samples, remote writes), merging a target's labels with a line's,
 * limits and name checks. All of it runs only for series that are new.
 */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include <sonde/base.h>

#include "config/schema.h"
#include "model/labels.h"
#include "util/regex.h"

/* ---- relabel.c -------------------------------------------------------- */

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
};

struct relabel_rule {
    struct config_head head;
    struct sonde_list source_labels;
    sonde_str separator, regex, target_label, replacement;
    int64_t modulus;
    int action;             /* enum relabel_action */
    struct regex *compiled; /* made by the block's check; released by
                               relabel_rules_fini */
};
/* Table of one relabel_config; a BLOCK_LIST of it is a rule chain. */
extern const struct config_block_def relabel_block;

/* As configuration files have it. */
const char *relabel_action_name(int action);
/* Runs the chain; false: dropped. */
bool relabel(const struct relabel_rule *rules, size_t n,
             struct labels_builder *lb);
/* Releases compiled expressions of a chain read from configuration. */
void relabel_rules_fini(struct relabel_rule *rules, size_t n);

/* ---- merge.c: a scraped series' final labels -------------------------- */

struct series_limits { /* 0: no limit */
    int64_t labels, name_bytes, value_bytes;
};

struct series_rules {
    const struct labels *target; /* labels of the target, no __ ones      */
    bool honor_labels;
    const struct relabel_rule *metric_relabel;
    size_t metric_relabel_count;
    struct series_limits limits;
    bool legacy_names; /* metric_name_validation_scheme: legacy           */
};

/* From a line's labels to the ones that are stored: target labels joined in
 * (clashes become exported_X, or the line's win with honor_labels), metric
 * relabeling, checks. Returns SONDE_OK; SONDE_ENOTFOUND if relabeling
 * dropped the series; SONDE_ELIMIT or SONDE_EPARSE (bad name) with
 * Prometheus' text, which fail the whole scrape. */
SONDE_NODISCARD sonde_code series_labels(const struct series_rules *rules,
                                         struct labels_builder *lb,
                                         struct sonde_err *err);

#endif
