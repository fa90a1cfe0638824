/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A remote-write receiver for tests: plain sockets, one thread a connection,
 * answers by script. What it acknowledges must come once and in order: the
 * samples of series i (its label i) have the times 0, 1, 2, ...
 */
#ifndef TESTS_UNIT_REMOTE_SINK_H
#define TESTS_UNIT_REMOTE_SINK_H

#include <pthread.h>

#include <sonde/base.h>

#include "util/buf.h"

#define SINK_SERIES      4096
#define SINK_CONNECTIONS 512

enum {
    SINK_CLOSE = -1, /* no answer, the connection is closed               */
    SINK_HANG = -2,  /* no answer until the other side gives up           */
};

struct sink_request {
    size_t nth;
    sonde_str head, message; /* message: decompressed                     */
    size_t samples, metadata;
    uint64_t first_series;
    uint64_t hash; /* of the message                                      */
};

struct sink {
    int fd, port;
    pthread_t thread;
    pthread_t readers[SINK_CONNECTIONS];
    int connections[SINK_CONNECTIONS];
    size_t connection_count;
    struct buf reply_headers; /* more of them; set while nothing is sent  */
    /* The status of an answer; called under the lock. */
    int (*answer)(void *arg, const struct sink_request *r);
    void *arg;

    pthread_mutex_t lock; /* guards all below                             */
    pthread_cond_t changed;
    bool stop;
    size_t requests, samples, metadata, wrong, malformed, hanging;
    int64_t next[SINK_SERIES];
    uint64_t last_bits;
    struct buf labels; /* of the last series, as name=value,              */
    uint64_t hashes[64];
};

void sink_start(struct sink *s);
void sink_stop(struct sink *s);
void sink_script(struct sink *s,
                 int (*answer)(void *arg, const struct sink_request *r),
                 void *arg);
/* Waits, not for ever, until a counter of it is at least `n`. */
bool sink_wait(struct sink *s, const size_t *counter, size_t n);
size_t sink_count(struct sink *s, const size_t *counter);

#endif
