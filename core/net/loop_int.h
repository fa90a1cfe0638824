/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's inside, for the files that make requests on it. */
#ifndef NET_LOOP_INT_H
#define NET_LOOP_INT_H

#include <pthread.h>

#include <curl/curl.h>

#include "net/net.h"

struct transfer;

struct net_post {
    net_fn *fn;
    void *arg;
};

struct net_loop {
    int epoll_fd, wake_fd;
    CURLM *multi;
    struct net_timer curl_timer; /* when curl wants to be called           */
    bool in_curl;  /* inside curl_multi_socket_action: handles can be
                    * neither added nor removed now                       */
    bool stopping; /* the loop has left its run                           */
    bool curl_ran; /* curl may have finished requests to be collected     */

    struct net_timer **heap; /* by when_ms; heap[i]->slot == i + 1         */
    size_t heap_len, heap_cap;

    struct transfer *active, *active_last; /* have not ended, oldest first */
    size_t active_count;
    struct transfer *idle; /* handles kept for the next requests         */
    size_t idle_count;
    struct transfer *deferred; /* to be added or removed after curl's turn */
    char *scratch;             /* where bodies are decoded; LOOP_SCRATCH   */

    pthread_mutex_t mutex; /* guards posts, posts_len, posts_cap, stop     */
    struct net_post *posts;
    size_t posts_len, posts_cap;
    bool stop;
};

/* Bytes of `scratch`. */
#define LOOP_SCRATCH ((size_t)32 << 10)

/* The decoding buffer that all requests of the loop share. */
char *net_loop_scratch(struct net_loop *loop);

#endif
