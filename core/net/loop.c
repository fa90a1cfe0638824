/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, thousands of connections: epoll says which sockets are ready,
 * curl's multi handle does the HTTP, a heap keeps the timers, and an eventfd
 * wakes the loop for what other threads post.
 *
 * Timers are embedded in their owners and know their place in the heap, so
 * that arming, moving and clearing one allocates nothing and is O(log n);
 * curl's own timer is one of them. A round goes: wait, posts, sockets,
 * timers, finished requests. Each step takes a snapshot of its work, so that
 * none can starve the others by making more of it.
 *
 * curl must not be asked to add or remove a handle from inside one of its
 * callbacks (`in_curl`); transfer.c puts such work off until its turn ends.
 *
 * The mutex guards the posts and the stop flag, and nothing else is touched
 * by other threads. Posts are not bounded here: a post is never dropped (it
 * may be what frees memory), and who posts has a bound of its own.
 *
 * Rejected: a thread per request (memory), curl_multi_poll (O(n) a round),
 * timerfd for each timer (a descriptor and two system calls each).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/loop_int.h"
#include "net/transfer.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define LOOP_EVENTS 256
/* Idle connections kept by one loop; the oldest goes when there are more. */
#define LOOP_CONNECTIONS_MAX 16384L
/* Rounds in which what ends at a stop may start anew before it is a bug. */
#define LOOP_STOP_ROUNDS 64

/* ---- timers ------------------------------------------------------------ */

static void heap_place(struct net_loop *loop, size_t i, struct net_timer *t)
{
    loop->heap[i] = t;
    t->slot = i + 1;
}

static void heap_up(struct net_loop *loop, size_t i, struct net_timer *t)
{
    while (i > 0 && loop->heap[(i - 1) / 2]->when_ms > t->when_ms) {
        heap_place(loop, i, loop->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_place(loop, i, t);
}

static void heap_down(struct net_loop *loop, size_t i, struct net_timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= loop->heap_len)
            break;
        if (child + 1 < loop->heap_len &&
            loop->heap[child + 1]->when_ms < loop->heap[child]->when_ms)
            child++;
        if (loop->heap[child]->when_ms >= t->when_ms)
            break;
        heap_place(loop, i, loop->heap[child]);
        i = child;
    }
    heap_place(loop, i, t);
}

/* `t` stands at i and its time has changed. */
static void heap_move(struct net_loop *loop, size_t i, struct net_timer *t)
{
    heap_up(loop, i, t);
    heap_down(loop, t->slot - 1, t);
}

void net_timer_set(struct net_loop *loop, struct net_timer *t,
                   sonde_msec when_ms, net_fn *fn, void *arg)
{
    t->when_ms = when_ms;
    t->fn = fn;
    t->arg = arg;
    if (t->slot) {
        heap_move(loop, t->slot - 1, t);
        return;
    }
    if (loop->heap_len == loop->heap_cap)
        loop->heap = mem_grow(loop->heap, &loop->heap_cap, loop->heap_len + 1,
                              sizeof(struct net_timer *));
    heap_up(loop, loop->heap_len++, t);
}

void net_timer_clear(struct net_loop *loop, struct net_timer *t)
{
    size_t i = t->slot;
    struct net_timer *last;

    if (!i)
        return;
    t->slot = 0;
    last = loop->heap[--loop->heap_len];
    if (last != t)
        heap_move(loop, i - 1, last);
}

/* Those due now; one armed again meanwhile waits for the next round. */
static void run_timers(struct net_loop *loop)
{
    sonde_msec now = clock_monotonic(&clock_system);
    size_t left = loop->heap_len;

    while (left-- && loop->heap_len && loop->heap[0]->when_ms <= now) {
        struct net_timer *t = loop->heap[0];

        net_timer_clear(loop, t);
        t->fn(t->arg);
    }
}

static int wait_ms(const struct net_loop *loop)
{
    sonde_msec left;

    if (loop->heap_len == 0)
        return -1;
    left = loop->heap[0]->when_ms - clock_monotonic(&clock_system);
    if (left < 0)
        return 0;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

/* ---- curl -------------------------------------------------------------- */

static void curl_turn(struct net_loop *loop, curl_socket_t fd, int what)
{
    int running;

    loop->in_curl = true;
    (void)curl_multi_socket_action(loop->multi, fd, what, &running);
    loop->in_curl = false;
    loop->curl_ran = true;
    transfer_run_deferred(loop);
}

static void on_curl_timer(void *arg)
{
    curl_turn(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int curl_wants_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct net_loop *loop = arg;

    (void)multi;
    if (timeout_ms < 0)
        net_timer_clear(loop, &loop->curl_timer);
    else
        net_timer_set(loop, &loop->curl_timer,
                      clock_monotonic(&clock_system) + timeout_ms,
                      on_curl_timer, loop);
    return 0;
}

/* curl says what it waits for on a socket. It may have closed one and opened
 * another of the same number, so it is not known whether epoll has it. */
static int curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                             void *known)
{
    struct net_loop *loop = arg;
    struct epoll_event ev = { .data.fd = fd };
    int rc;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        (void)curl_multi_assign(loop->multi, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        ev.events |= EPOLLOUT;
    rc = epoll_ctl(loop->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
                   &ev);
    if (rc < 0 && (errno == ENOENT || errno == EEXIST))
        rc = epoll_ctl(loop->epoll_fd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
                       fd, &ev);
    if (rc == 0 && !known)
        (void)curl_multi_assign(loop->multi, fd, loop);
    return rc;
}

/* Tells the owners of requests that have ended. */
static void collect(struct net_loop *loop)
{
    CURLMsg *msg;
    int left;

    if (!loop->curl_ran)
        return;
    loop->curl_ran = false;
    while ((msg = curl_multi_info_read(loop->multi, &left))) {
        CURLcode code = msg->data.result;
        char *t = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
        client_finished((struct transfer *)(void *)t, code);
    }
}

static int events_of(uint32_t events)
{
    int what = 0;

    if (events & EPOLLIN)
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & (EPOLLERR | EPOLLHUP))
        what |= CURL_CSELECT_ERR;
    return what;
}

/* ---- posts ------------------------------------------------------------- */

static void wake(struct net_loop *loop)
{
    uint64_t one = 1;

    /* Fails only when the counter is full, and then the loop is awake. */
    if (write(loop->wake_fd, &one, sizeof(one)) < 0)
        return;
}

void net_loop_post(struct net_loop *loop, net_fn *fn, void *arg)
{
    bool first;

    (void)pthread_mutex_lock(&loop->mutex);
    first = loop->posts_len == 0;
    if (loop->posts_len == loop->posts_cap)
        loop->posts = mem_grow(loop->posts, &loop->posts_cap,
                               loop->posts_len + 1, sizeof(struct net_post));
    loop->posts[loop->posts_len++] = (struct net_post){ fn, arg };
    (void)pthread_mutex_unlock(&loop->mutex);
    if (first)
        wake(loop);
}

void net_loop_stop(struct net_loop *loop)
{
    (void)pthread_mutex_lock(&loop->mutex);
    loop->stop = true;
    (void)pthread_mutex_unlock(&loop->mutex);
    wake(loop);
}

/* Runs what has been posted until now; true if there was any. */
static bool run_posts(struct net_loop *loop)
{
    struct net_post *posts;
    size_t n;

    (void)pthread_mutex_lock(&loop->mutex);
    posts = loop->posts;
    n = loop->posts_len;
    loop->posts = NULL;
    loop->posts_len = loop->posts_cap = 0;
    (void)pthread_mutex_unlock(&loop->mutex);
    for (size_t i = 0; i < n; i++)
        posts[i].fn(posts[i].arg);
    free(posts);
    return n > 0;
}

static void woken(struct net_loop *loop)
{
    uint64_t count;

    if (read(loop->wake_fd, &count, sizeof(count)) > 0)
        (void)run_posts(loop);
}

static bool stop_asked(struct net_loop *loop)
{
    bool stop;

    (void)pthread_mutex_lock(&loop->mutex);
    stop = loop->stop;
    (void)pthread_mutex_unlock(&loop->mutex);
    return stop;
}

/* ---- the loop ---------------------------------------------------------- */

static bool run_once(struct net_loop *loop)
{
    struct epoll_event events[LOOP_EVENTS];
    int n = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS, wait_ms(loop));

    if (n < 0 && errno != EINTR) {
        log_error("net", "the loop can not wait for events",
                  LOG_CSTR("err", strerror(errno)));
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (events[i].data.fd == loop->wake_fd)
            woken(loop);
        else
            curl_turn(loop, events[i].data.fd, events_of(events[i].events));
    }
    run_timers(loop);
    collect(loop);
    return true;
}

/* Ends all that is still open; what their ends start is ended too. */
static void cancel_all(struct net_loop *loop)
{
    loop->stopping = true;
    for (int round = 0; run_posts(loop) || loop->active; round++) {
        size_t n = loop->active_count;

        if (round == LOOP_STOP_ROUNDS)
            SONDE_BUG("requests start anew for ever while the loop stops");
        while (n-- && loop->active)
            client_cancel(loop->active);
    }
}

void net_loop_run(struct net_loop *loop)
{
    while (!stop_asked(loop) && run_once(loop))
        ;
    cancel_all(loop);
}

static void global_init(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        mem_abort("curl", 0);
}

static sonde_code loop_setup(struct net_loop *loop, struct sonde_err *err)
{
    struct epoll_event ev = { .events = EPOLLIN };

    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return sonde_err_set(err, SONDE_EIO, "make an epoll instance: %s",
                             strerror(errno));
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ev.data.fd = loop->wake_fd;
    if (loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0)
        return sonde_err_set(err, SONDE_EIO, "make an eventfd: %s",
                             strerror(errno));
    loop->multi = curl_multi_init();
    if (!loop->multi)
        return sonde_err_set(err, SONDE_ENOMEM, "make a curl multi handle");
    return SONDE_OK;
}

sonde_code net_loop_new(struct net_loop **out, struct sonde_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct net_loop *loop = mem_new(struct net_loop);
    sonde_code rc;

    (void)pthread_once(&once, global_init);
    loop->epoll_fd = loop->wake_fd = -1;
    (void)pthread_mutex_init(&loop->mutex, NULL);
    rc = loop_setup(loop, err);
    if (rc != SONDE_OK) {
        net_loop_free(loop);
        return rc;
    }
    (void)curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION,
                            curl_wants_socket);
    (void)curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
    (void)curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION,
                            curl_wants_timer);
    (void)curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    (void)curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS,
                            LOOP_CONNECTIONS_MAX);
    *out = loop;
    return SONDE_OK;
}

void net_loop_free(struct net_loop *loop)
{
    if (!loop)
        return;
    if (loop->multi)
        cancel_all(loop);
    transfer_free_idle(loop);
    if (loop->multi)
        (void)curl_multi_cleanup(loop->multi);
    if (loop->wake_fd >= 0)
        (void)close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        (void)close(loop->epoll_fd);
    free(loop->heap);
    free(loop->posts);
    free(loop->scratch);
    (void)pthread_mutex_destroy(&loop->mutex);
    free(loop);
}

char *net_loop_scratch(struct net_loop *loop)
{
    if (!loop->scratch)
        loop->scratch = mem_alloc(LOOP_SCRATCH);
    return loop->scratch;
}
