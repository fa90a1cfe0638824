/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting the log behind a block that was made, and what it has to remember. */
#ifndef TSDB_LOG_CUT_H
#define TSDB_LOG_CUT_H

#include <sonde/base.h>

struct head;

/* A series that left the head, and the last segment that may have samples of
 * it: until a checkpoint stands for that one, its record is kept. */
struct gone_series {
    uint64_t ref, segment;
};
/* The maintenance thread's; sorted when a checkpoint is made. */
struct gone_list {
    struct gone_series *items;
    size_t count, cap;
};
void gone_list_fini(struct gone_list *g);
/* For who takes series out of the head: after the last commit that may have
 * logged a sample of it. */
void head_log_gone(struct head *h, uint64_t ref);

#endif
