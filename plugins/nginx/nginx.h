/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the nginx plugin share; nginx.c says how they fit. */
#ifndef PLUGINS_NGINX_NGINX_H
#define PLUGINS_NGINX_NGINX_H

#include <jansson.h>

#include <sonde/plugin.h>

#include "families.h"
#include "shared/text.h"

/* Bounds on what a server can make us hold or say in one collection. */
#define NGINX_SAMPLES_MAX 200000
#define NGINX_NAME_MAX    1024 /* bytes of a name that becomes a label      */
#define NGINX_PATH_MAX    2048

struct nginx_options {
    sonde_str mode, path;
    struct sonde_list access_log, routes, time_buckets;
    sonde_str log_format, server_label;
    bool from_beginning;
    int64_t read_limit, series_max;
};

/* The parts of a collection. */
enum nginx_part {
    PART_STATUS,
    PART_ACCESS_LOG,
};

/* ---- emit.c: into the sink, within bounds -------------------------------- */

struct nginx_emit {
    const struct sonde_host *host;
    struct sonde_sink *sink;
    size_t samples, dropped;
};

void emit_sample(struct nginx_emit *e, enum nginx_family family,
                 const sonde_str *labels, double value);
void emit_histogram(struct nginx_emit *e, enum nginx_family family,
                    const sonde_str *labels, const struct sonde_bucket *buckets,
                    size_t n, uint64_t count, double sum);
void emit_summary(struct nginx_emit *e, enum nginx_family family,
                  const sonde_str *labels, uint64_t count, double sum);
/* Whether a name can be a label; one that can not is counted. */
bool emit_name(struct nginx_emit *e, sonde_str name);
/* Begins and ends a part, where the agent knows parts. */
void emit_begin(struct nginx_emit *e, enum nginx_part part);
void emit_end(struct nginx_emit *e, sonde_code code, const char *why,
              double seconds);

/* Names that were there already, among the items of one list: a set of
 * strings that are owned by somebody else. */
struct nginx_seen {
    sonde_str *slots;
    size_t cap, count;
};
/* False: it is new, or there is no memory. */
bool seen_before(struct nginx_seen *s, sonde_str name);
void seen_fini(struct nginx_seen *s);

/* ---- json.c: what documents have in common ------------------------------- */

/* A document of at most JSON's depth; NULL: `err` says what it is instead. */
json_t *json_document(sonde_str body, struct sonde_err *err);
/* Numbers, true and false; what is not there, or something else, is 0. */
double json_double(const json_t *object, const char *key);
/* A text, or empty. Owned by the document. */
sonde_str json_text(const json_t *object, const char *key);
sonde_str json_str(const json_t *string);

/* ---- stub.c: stub_status ------------------------------------------------- */

struct stub_status {
    uint64_t active, accepts, handled, requests;
    uint64_t reading, writing, waiting;
    uint64_t request_time; /* ms; Tengine's fourth column                   */
    bool has_request_time;
};

sonde_code stub_parse(sonde_str body, struct stub_status *out,
                      struct sonde_err *err);
void stub_emit(struct nginx_emit *e, const struct stub_status *s);

/* ---- vts.c --------------------------------------------------------------- */

/* Emits a document; SONDE_EPARSE: it is none of vts'. */
sonde_code vts_emit(struct nginx_emit *e, const json_t *doc,
                    struct sonde_err *err);

/* ---- plus.c: the API of NGINX Plus --------------------------------------- */

struct plus;

/* `base`: "/api", with no slash at its end; stays the caller's. */
struct plus *plus_new(sonde_str base);
void plus_free(struct plus *p);
/* Adds the requests of a round to the plan. */
sonde_code plus_plan(struct plus *p, sonde_msec now, struct sonde_plan *plan,
                     struct sonde_err *err);
/* Takes an answer. SONDE_EAGAIN: others are to come; SONDE_OK: all are there,
 * plus_emit can be called. Else: the collection has failed; what comes after
 * it in the same collection is answered by SONDE_EAGAIN. */
sonde_code plus_take(struct plus *p, const struct sonde_response *r,
                     struct sonde_err *err);
/* What is worth a warning in the answers taken, or NULL. */
const char *plus_warning(const struct plus *p);
/* Emits all that was taken, and lets go of it. */
void plus_emit(struct plus *p, struct nginx_emit *e);

/* ---- log.c: access logs -------------------------------------------------- */

struct access_log;

/* Checks the options of access logs. */
sonde_code log_check(const struct nginx_options *o, struct sonde_err *err);
sonde_code log_new(const struct sonde_host *host, const struct sonde_open *open,
                   struct access_log **out, struct sonde_err *err);
void log_free(struct access_log *l);
void log_collect(struct access_log *l, struct nginx_emit *e,
                 sonde_msec deadline);

/* ---- exporter.c ---------------------------------------------------------- */

extern const struct sonde_exporter nginx_exporter;

#endif
