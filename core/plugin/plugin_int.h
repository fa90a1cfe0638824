/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. */
#ifndef PLUGIN_PLUGIN_INT_H
#define PLUGIN_PLUGIN_INT_H

#include "plugin/plugin.h"

/* Bounds. A plugin is trusted code, what it reads is not: these keep a
 * target that answers without end from filling the agent. */
#define PLUGIN_FILES_MAX         1024
#define PLUGIN_NAME_MAX          64
#define PLUGIN_FAMILIES_MAX      4096
#define PLUGIN_OPTIONS_MAX       256
#define PLUGIN_OPTIONS_SIZE_MAX  (1u << 20)
#define PLUGIN_SAMPLES_MAX       1000000
#define PLUGIN_TEXT_BYTES_MAX    ((size_t)256 << 20)
#define PLUGIN_LABEL_BYTES_MAX   65536
#define PLUGIN_METRIC_BYTES_MAX  1024
#define PLUGIN_HELP_BYTES_MAX    4096
#define PLUGIN_DYNAMIC_MAX       10000
#define PLUGIN_BUCKETS_MAX       1024
#define PLUGIN_READ_FILE_MAX     ((size_t)1 << 20)
#define PLUGIN_STATE_MAX         ((size_t)1 << 20)
#define PLUGIN_REQUEST_BYTES_MAX 4096
#define PLUGIN_COLLECTORS_MAX    256
#define PLUGIN_KEPT_BYTES_MAX    ((size_t)64 << 20) /* of a slow part      */

/* What the host reports of a plugin's collectors is named so. */
#define PLUGIN_COLLECTOR_PREFIX "sonde_collector_"

struct plugin {
    void *dl; /* NULL in tests of descriptions                            */
    const struct sonde_plugin *desc;
    char *path; /* symlinks resolved                                      */
};

/* All that a description must hold to before anything of it is used; `path`
 * is for messages. */
SONDE_NODISCARD sonde_code plugin_check_desc(const struct sonde_plugin *desc,
                                             const char *path,
                                             struct sonde_err *err);
const struct sonde_option *plugin_option(const struct sonde_plugin *desc,
                                         size_t i);

/* The fields of later minors: nothing where an old plugin ends before. */
size_t plugin_collector_count(const struct plugin *p);
const struct sonde_collector *plugin_collector(const struct plugin *p,
                                               size_t i);

/* The name rules of check.c: [a-z][a-z0-9_]*, a metric's, a label's. */
bool plugin_name_ok(const char *z);
bool plugin_metric_name_ok(const char *z);
bool plugin_label_name_ok(const char *z);

/* The host's table: services.c. */
const struct sonde_host *plugin_host(void);

/* The handle that services know a target by. */
#define PLUGIN_STATE_ID 33
struct sonde_target {
    const char *plugin;
    sonde_str job, address;
    struct buf file;                /* what read_file returned last          */
    struct buf state;               /* what state_load returned last         */
    char *state_dir;                /* NULL: none                            */
    char state_id[PLUGIN_STATE_ID]; /* of the target, in names of files    */
};

/* ---- state.c ------------------------------------------------------------ */

/* Writes PLUGIN_STATE_ID bytes: what identifies the target. */
void plugin_state_id(const struct plugin_target *t, char *out);
sonde_code plugin_state_load(const struct sonde_target *target,
                             const char *name, sonde_str *out,
                             struct sonde_err *err);
sonde_code plugin_state_save(const struct sonde_target *target,
                             const char *name, const void *data, size_t len,
                             struct sonde_err *err);

/* ---- sink.c, sink_dynamic.c, sink_parts.c ------------------------------- */

struct parts; /* parts.h */

/* `parts`: the instance's, or NULL. */
struct sonde_sink *sink_new(const struct plugin *p, struct parts *parts);
void sink_free(struct sonde_sink *s); /* NULL is fine */
/* Appends what was emitted to `out`, or says what was wrong with it. */
SONDE_NODISCARD sonde_code sink_finish(struct sonde_sink *s, struct buf *out,
                                       struct sonde_err *err);
sonde_code sink_sample(struct sonde_sink *s, size_t family,
                       const sonde_str *labels, double value);
sonde_code sink_histogram(struct sonde_sink *s, size_t family,
                          const sonde_str *labels,
                          const struct sonde_bucket *buckets, size_t n,
                          uint64_t count, double sum);
sonde_code sink_summary(struct sonde_sink *s, size_t family,
                        const sonde_str *labels, uint64_t count, double sum);
sonde_code sink_dynamic(struct sonde_sink *s, const struct sonde_family *family,
                        const sonde_str *labels, double value);
bool sink_due(struct sonde_sink *s, size_t collector);
void sink_begin(struct sonde_sink *s, size_t collector);
void sink_end(struct sonde_sink *s, sonde_code code, const char *why,
              double seconds);
void sink_discard(struct sonde_sink *s);
sonde_code sink_dynamic_histogram(struct sonde_sink *s,
                                  const struct sonde_family *family,
                                  const sonde_str *labels,
                                  const struct sonde_bucket *buckets, size_t n,
                                  uint64_t count, double sum);
sonde_code sink_dynamic_summary(struct sonde_sink *s,
                                const struct sonde_family *family,
                                const sonde_str *labels, uint64_t count,
                                double sum);

#endif
