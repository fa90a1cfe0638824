/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server for tests of the client: plain sockets, a thread per connection,
 * and for each request a function that may answer as badly as it likes.
 */
#ifndef TESTS_UNIT_NET_PEER_H
#define TESTS_UNIT_NET_PEER_H

#include <pthread.h>

#include <sonde/base.h>

#define PEER_CONNECTIONS_MAX 2048

struct peer;

struct peer_request {
    struct peer *peer;
    int fd;
    size_t number; /* on this connection, from 0                            */
    sonde_str head, body;
    char path[256];
    char method[16];
};

/* Answers by peer_send; true keeps the connection for another request. */
typedef bool peer_fn(struct peer_request *r);

struct peer {
    int listener, port;
    peer_fn *answer;
    void *arg;
    int stop_pipe[2]; /* readable once the peer stops                       */
    pthread_t thread;
    pthread_t workers[PEER_CONNECTIONS_MAX];
    pthread_mutex_t mutex; /* guards what follows                           */
    pthread_cond_t changed;
    size_t connections; /* ever accepted                                    */
    size_t closed;      /* of them, closed by us                            */
    size_t requests;
};

void peer_start(struct peer *p, peer_fn *answer, void *arg);
/* On a unix socket instead. */
void peer_start_unix(struct peer *p, const char *path, peer_fn *answer,
                     void *arg);
void peer_stop(struct peer *p);

/* All of it; false when the client has gone. */
bool peer_send(struct peer_request *r, const void *data, size_t len);
bool peer_sends(struct peer_request *r, const char *text);
/* A 200 with this body. */
bool peer_ok(struct peer_request *r, sonde_str body);
/* Until the client hangs up or the peer stops. */
void peer_hang(struct peer_request *r);
/* The value of a header of the request, or "". */
sonde_str peer_header(const struct peer_request *r, const char *name);

size_t peer_connections(struct peer *p);
/* Blocks until that many connections have been closed by us. */
void peer_await_closed(struct peer *p, size_t n);
void peer_await_requests(struct peer *p, size_t n);

/* A loopback port on which nobody listens. */
int peer_free_port(void);

#endif
