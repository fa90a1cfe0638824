/* SPDX-License-Identifier: Apache-2.0 */
/* What the requests of one endpoint share: where they go, what an answer
 * means, how long to wait before the next try: sending.c. */
#ifndef REMOTE_SENDING_H
#define REMOTE_SENDING_H

#include "net/net.h"
#include "remote/endpoint.h"
#include "remote/metrics.h"
#include "remote/source.h"
#include "util/log.h"

#define SENDING_ERROR_BODY_MAX 1024
#define SENDING_HEADERS_MAX    64

/* All of the endpoint's thread. */
struct sending {
    struct net_loop *loop;
    const struct remote_write_config *config;
    const struct endpoint *endpoint;
    struct remote_metrics m;
    struct source source;
    struct buf message; /* a message before it is compressed              */
    bool halted;        /* no new request, no next try                    */
    bool hurry;         /* batches do not wait to be full                 */
    uint64_t answered;  /* requests acknowledged so far                   */
    struct log_limit failed_log, refused_log;
    sonde_msec highest_sent_ms;
    size_t batch_max; /* samples; less than configured after a 413        */
    /* Before a request with samples goes out, and after one was answered or
     * a batch has gone; the latter must not call back at once. */
    void (*about_to_send)(void *arg);
    void (*changed)(void *arg);
    void *arg;
};

/* One request that is tried until it is answered for good. */
struct attempt {
    struct http_client *client;
    struct buf body;  /* compressed                                       */
    struct buf error; /* the beginning of an answer that is not 2xx       */
    sonde_msec backoff_ms;
    unsigned tries; /* of this body                                       */
};

enum answer {
    ANSWER_DONE,
    ANSWER_AGAIN,     /* later: attempt_wait says when                    */
    ANSWER_TOO_LARGE, /* in smaller pieces                                */
    ANSWER_REFUSED,   /* never                                            */
    ANSWER_CANCELED,  /* the loop has stopped                             */
};

/* A time from now that is never past the end of times. */
static inline sonde_msec later(sonde_msec now, sonde_msec ms)
{
    return ms > INT64_MAX - now ? INT64_MAX : now + ms;
}

void attempt_init(struct attempt *a, const struct sending *s);
void attempt_fini(struct attempt *a);
/* Posts the body; `done` is given to the client with `arg`. */
void attempt_start(struct attempt *a, const struct sending *s,
                   void (*done)(void *arg, const struct http_result *r),
                   void *arg);
enum answer answer_of(const struct http_result *r);
/* The monotonic time of the next try. */
sonde_msec attempt_wait(struct attempt *a, const struct sending *s,
                        const struct http_result *r);
/* Says, not too often, what was wrong. */
void sending_log_retry(struct sending *s, const struct attempt *a,
                       const struct http_result *r);
void sending_log_refused(struct sending *s, const struct attempt *a,
                         const struct http_result *r, size_t lost);

/* The receiver took less than was sent: later batches are smaller. */
void sending_shrink_batches(struct sending *s, size_t samples);

/* Seconds, or a date of HTTP; 0 if it is neither or past. */
sonde_msec retry_after_ms(sonde_str value, sonde_msec now_ms);

#endif
