/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's own metrics. A registry is made by agent/ and handed to the
 * rooms, which register their families once and keep pointers to the values;
 * updating one is an atomic add. What is only known when asked (sizes of
 * maps, the process' memory) is written by a callback. Names that Prometheus
 * has keep Prometheus' names; ours begin with sonde_.
 */
#ifndef MODEL_SELFMETRICS_H
#define MODEL_SELFMETRICS_H

#include <sonde/base.h>

#include "model/sample.h"
#include "util/buf.h"

struct selfmetrics; /* the registry */

/* One value of a counter or gauge; lives as long as the registry. */
struct metric {
    _Atomic uint64_t bits; /* of a double, or a plain integer (see kind)  */
    bool whole;
};

struct selfmetrics *selfmetrics_new(void);
void selfmetrics_free(struct selfmetrics *m);

/* Finds or makes a value. `labels` is text as between braces, already
 * escaped (`job="a",reason="b"`), or NULL. Whole counters and gauges are
 * added to without a loop. Registering a name twice with other type or help
 * is a bug. A NULL registry gives a value that nobody reads, so that unit
 * tests need none. */
struct metric *selfmetrics_counter(struct selfmetrics *m, const char *name,
                                   const char *help, const char *labels);
struct metric *selfmetrics_gauge(struct selfmetrics *m, const char *name,
                                 const char *help, const char *labels);
/* A counter or gauge of doubles (seconds). */
struct metric *selfmetrics_real(struct selfmetrics *m, enum metric_type type,
                                const char *name, const char *help,
                                const char *labels);
/* Forgets one labelled value (a queue or job that is gone). */
void selfmetrics_drop(struct selfmetrics *m, const char *name,
                      const char *labels);

/* Called at each exposition, in order of registration. */
struct selfmetrics_page;
typedef void selfmetrics_fn(struct selfmetrics_page *page, void *arg);
void selfmetrics_callback(struct selfmetrics *m, selfmetrics_fn *fn, void *arg);
void selfmetrics_uncallback(struct selfmetrics *m, selfmetrics_fn *fn,
                            void *arg);
/* For callbacks: one sample of a family; families must not interleave. */
void selfmetrics_emit(struct selfmetrics_page *page, const char *name,
                      enum metric_type type, const char *help,
                      const char *labels, double value);

/* A sample of a histogram or summary: `suffix` is "_bucket", "_sum", ... */
void selfmetrics_emit_part(struct selfmetrics_page *page, const char *name,
                           const char *suffix, enum metric_type type,
                           const char *help, const char *labels, double value);

/* A callback: process_cpu_seconds_total and the like. */
selfmetrics_fn selfmetrics_process;

/* All of it as text format 0.0.4, families sorted by name. */
void selfmetrics_write(struct selfmetrics *m, struct buf *out);

void metric_add(struct metric *c, uint64_t n);
static inline void metric_inc(struct metric *c)
{
    metric_add(c, 1);
}
void metric_set(struct metric *g, int64_t v);
void metric_add_real(struct metric *c, double v);
void metric_set_real(struct metric *g, double v);
double metric_get(const struct metric *c);

#endif
