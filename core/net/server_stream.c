/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that leave while they are made. The worker hands over pieces, the
 * listener's thread copies them into what it sends:
 *
 *     worker ── piece ──▶ queue (about WAITING_MAX bytes) ──▶ listener
 *       ▲ waits for room                     waits for pieces │
 *       └────────────── signal ◀──────────────────────────────┘
 *
 * A connection without a piece to send is suspended, and resumed with the
 * next piece. A worker waits for room until the client has taken nothing for
 * STALL_MS; then the client is taken for gone and the connection is shut. The
 * janitor's deadline for the whole answer stands beside that.
 *
 * An answer that fits one piece does not get here: it is sent whole, with its
 * length. So small answers cost what they did.
 *
 * From the moment the first piece is handed over, the call is shared: the
 * listener may see the connection end at any time, while the worker still
 * writes. Whoever is done last frees the call; `gone` tells the worker.
 *
 * The mutex guards all of the stream; the connection is touched by the worker
 * only with it, and only while not gone.
 */
#include <stdlib.h>

#include "net/server_int.h"
#include "util/clock.h"
#include "util/mem.h"

#define WAITING_MAX ((size_t)1 << 20)
#define STALL_MS    30000
#define LOOK_MS     200 /* so often a waiting worker looks for the stop      */
#define BLOCK_BYTES ((size_t)64 << 10)
#define SPARES_MAX  4

struct piece {
    struct piece *next;
    char *data;
    size_t len, cap;
};

struct stream {
    struct packer *packer; /* the worker's; NULL: plain                    */
    pthread_mutex_t mutex;
    pthread_cond_t room;
    struct piece *head, **tail;
    size_t sent;    /* of the first piece                                  */
    size_t waiting; /* bytes in all pieces                                 */
    sonde_msec taken_at;
    struct piece *spare; /* sent, their memory to be used again             */
    size_t spare_count;
    bool starved; /* the connection is suspended                           */
    bool ended;   /* nothing more comes ...                                */
    bool cut;     /* ... although the answer is not whole                  */
    bool gone;    /* nobody takes it any more                              */
};

static sonde_msec now_ms(void)
{
    return clock_monotonic(&clock_system);
}

static void piece_drop(struct stream *s)
{
    struct piece *p = s->head;

    s->head = p->next;
    if (!s->head)
        s->tail = &s->head;
    s->sent = 0;
    if (s->spare_count < SPARES_MAX) {
        p->next = s->spare;
        s->spare = p;
        s->spare_count++;
        return;
    }
    free(p->data);
    free(p);
}

/* A piece to be filled, if one was sent; the mutex is held. */
static struct piece *spare_take(struct stream *s)
{
    struct piece *p = s->spare;

    if (!p)
        return NULL;
    s->spare = p->next;
    s->spare_count--;
    p->next = NULL;
    return p;
}

void server_stream_free(struct stream *s)
{
    if (!s)
        return;
    s->spare_count = SPARES_MAX;
    while (s->head)
        piece_drop(s);
    while (s->spare) {
        struct piece *p = s->spare;

        s->spare = p->next;
        free(p->data);
        free(p);
    }
    packer_free(s->packer);
    (void)pthread_cond_destroy(&s->room);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

static struct stream *stream_new(void)
{
    struct stream *s = mem_new(struct stream);
    pthread_condattr_t attr;

    s->tail = &s->head;
    s->starved = true; /* as the connection of every running handler */
    s->taken_at = now_ms();
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->room, &attr);
    (void)pthread_condattr_destroy(&attr);
    return s;
}

/* ---- the listener's side ------------------------------------------------ */

static size_t take(struct stream *s, char *out, size_t max)
{
    size_t n = 0;

    while (s->head && n < max) {
        size_t left = s->head->len - s->sent;
        size_t part = left < max - n ? left : max - n;

        memcpy(out + n, s->head->data + s->sent, part);
        n += part;
        s->sent += part;
        if (s->sent == s->head->len)
            piece_drop(s);
    }
    s->waiting -= n;
    s->taken_at = now_ms();
    if (s->waiting <= WAITING_MAX / 2)
        (void)pthread_cond_signal(&s->room);
    return n;
}

/* libmicrohttpd's content reader. */
static ssize_t pull(void *cls, uint64_t pos, char *out, size_t max)
{
    struct http_call *c = cls;
    struct stream *s = c->stream;
    ssize_t n = 0;

    (void)pos;
    (void)pthread_mutex_lock(&s->mutex);
    if (s->cut)
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    else if (s->head)
        n = (ssize_t)take(s, out, max);
    else if (s->ended)
        n = MHD_CONTENT_READER_END_OF_STREAM;
    if (n == 0) {
        s->starved = true;
        MHD_suspend_connection(c->mhd);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return n;
}

struct MHD_Response *server_stream_response(struct http_call *c)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                             pull, c, NULL);
}

void server_stream_detach(struct stream *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->gone = true;
    (void)pthread_cond_signal(&s->room);
    (void)pthread_mutex_unlock(&s->mutex);
}

/* ---- the worker's side -------------------------------------------------- */

bool server_stream_gone(struct http_call *c)
{
    struct stream *s = c->stream;
    bool gone;

    (void)pthread_mutex_lock(&s->mutex);
    gone = s->gone || server_conn_peer_gone(c->conn);
    (void)pthread_mutex_unlock(&s->mutex);
    return gone;
}

/* The mutex is held. */
static void wait_for_room(struct http_call *c, struct stream *s)
{
    while (s->waiting >= WAITING_MAX && !s->gone) {
        struct timespec until = clock_timespec(now_ms() + LOOK_MS);

        (void)pthread_cond_timedwait(&s->room, &s->mutex, &until);
        if (s->gone || s->waiting < WAITING_MAX)
            break;
        if (atomic_load(&c->server->stopping) ||
            now_ms() - s->taken_at > STALL_MS ||
            server_conn_peer_gone(c->conn)) {
            s->gone = true;
            server_conn_shut(c->conn);
        }
    }
}

/* Resumes the connection if it waits for what has just been added; not under
 * the mutex: a suspended connection can not end meanwhile. */
static void feed(struct http_call *c, bool starved)
{
    if (starved)
        MHD_resume_connection(c->mhd);
}

/* The piece gets what was written, the writer the piece's old memory. */
static void swap_memory(struct piece *p, struct buf *b)
{
    struct piece old = *p;

    p->data = b->data;
    p->len = b->len;
    p->cap = b->cap;
    b->data = old.data;
    b->cap = old.cap;
    b->len = 0;
}

static bool put_piece(struct http_call *c, struct buf *b)
{
    struct stream *s = c->stream;
    struct piece *p;
    bool starved, ok;

    if (b->len == 0)
        return true;
    c->sent_bytes += b->len;
    (void)pthread_mutex_lock(&s->mutex);
    wait_for_room(c, s);
    p = spare_take(s);
    if (!p)
        p = mem_new(struct piece);
    swap_memory(p, b);
    *s->tail = p;
    s->tail = &p->next;
    s->waiting += p->len;
    ok = !s->gone;
    starved = s->starved;
    s->starved = false;
    (void)pthread_mutex_unlock(&s->mutex);
    feed(c, starved);
    if (!b->data)
        (void)buf_reserve(b, HTTP_STREAM_PIECE + HTTP_STREAM_PIECE / 4);
    return ok;
}

/* What is in the buffer, compressed if it is to be. */
static bool put_buf(struct http_stream *h, bool last)
{
    struct stream *s = h->call->stream;
    struct buf packed;
    bool ok;

    if (!s->packer)
        return put_piece(h->call, &h->buf);
    buf_init(&packed);
    ok = packer_put(s->packer, buf_str(&h->buf), last, &packed) &&
         put_piece(h->call, &packed);
    buf_fini(&packed);
    buf_reset(&h->buf);
    return ok;
}

static void end(struct http_call *c, bool whole)
{
    struct stream *s = c->stream;
    bool starved;

    (void)pthread_mutex_lock(&s->mutex);
    s->ended = true;
    s->cut = !whole;
    starved = s->starved;
    s->starved = false;
    (void)pthread_mutex_unlock(&s->mutex);
    feed(c, starved);
}

static void begin(struct http_stream *h)
{
    struct http_call *c = h->call;
    enum coding coding = server_reply_coding(c);

    if (c->replied)
        SONDE_BUG("second reply to one call of %s", c->target);
    c->replied = true;
    c->status = h->status;
    c->content_type = h->content_type;
    c->stream = stream_new();
    c->stream->packer = packer_new(coding);
    if (c->stream->packer)
        http_call_set_header(c, "Content-Encoding",
                             sonde_cstr(coding_name(coding)));
    h->begun = true;
    atomic_fetch_add(&c->refs, 1);
}

void http_stream_open(struct http_stream *h, struct http_call *c, int status,
                      const char *content_type)
{
    *h = (struct http_stream){ .call = c,
                               .status = status,
                               .content_type = content_type };
    buf_init(&h->buf);
}

bool http_stream_send(struct http_stream *h)
{
    if (h->failed)
        buf_reset(&h->buf);
    else if (!h->begun)
        begin(h);
    if (!h->failed && !put_buf(h, false))
        h->failed = true;
    return !h->failed;
}

void http_stream_close(struct http_stream *h)
{
    if (!h->begun) {
        http_reply_take(h->call, h->status, h->content_type, &h->buf);
        return;
    }
    if (!h->failed && !put_buf(h, true))
        h->failed = true;
    end(h->call, !h->failed);
    buf_fini(&h->buf);
}

void http_stream_abort(struct http_stream *h)
{
    if (h->begun)
        end(h->call, false);
    buf_fini(&h->buf);
}
