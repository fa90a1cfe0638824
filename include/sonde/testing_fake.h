/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake host's parts that <sonde/testing.h> and its streams share: what a
 * test sees, growing text, clocks. Include <sonde/testing.h>.
 */
#ifndef SONDE_TESTING_FAKE_H
#define SONDE_TESTING_FAKE_H

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <sonde/plugin.h>

/* ---- what a test sees ---------------------------------------------------- */

/* Where the clock of a scripted fake stands at first. */
#define SONDE_FAKE_NOW INT64_C(1700000000000)

enum sonde_fake_kind {
    SONDE_FAKE_SEND,    /* reads return these bytes; all that was written
                           before counts as answered                      */
    SONDE_FAKE_EXPECT,  /* what was written and not answered yet begins
                           with these bytes                               */
    SONDE_FAKE_STALL,   /* a read finds nothing until its deadline        */
    SONDE_FAKE_END,     /* the target closes: a read returns 0 bytes      */
    SONDE_FAKE_RESET,   /* the next read or write fails                   */
    SONDE_FAKE_REFUSE,  /* the next opening is refused                    */
    SONDE_FAKE_CONNECT, /* waits for the next opening                     */
};

struct sonde_fake_step {
    enum sonde_fake_kind kind;
    sonde_str bytes;
    size_t chunk; /* SEND: most bytes a read returns; 0: as asked         */
};

struct sonde_fake_text {
    char *ptr; /* NUL-terminated once something was written               */
    size_t len, cap;
};

struct sonde_stream {
    int fd;   /* -1: plays the script                                     */
    int shut; /* by stream_shut; atomic                                   */
};

struct sonde_target {
    char *file; /* what read_file returned last                           */
};

struct sonde_sink {
    sonde_code code; /* sticks                                            */
    size_t samples;
    /* The part that was begun: */
    size_t part; /* 1 + collector, or 0                                   */
    sonde_code part_code;
    size_t part_text, part_keys, part_samples; /* where it began          */
    char part_err[256];
};

/* What became of a part (a collector) in the last collection. */
#define SONDE_FAKE_PARTS 64
struct sonde_fake_part {
    bool not_due;    /* what `due` says, see sonde_fake_due                */
    size_t begun;    /* how many times                                     */
    size_t failed;   /* of these, with an error                            */
    sonde_code code; /* of the first failure, or else of the last end     */
    char why[256];   /* of the same                                        */
    double seconds;  /* all that were given, those below 0 left out        */
};

/* The settings of an opening with TLS, copied. */
struct sonde_fake_tls {
    size_t opened; /* with TLS                                            */
    char ca_file[256], cert_file[256], key_file[256], server_name[256];
    bool insecure;
};

/* Documents of state_save; they stay when the instance is closed. */
#define SONDE_FAKE_STATES    8
#define SONDE_FAKE_STATE_MAX ((size_t)1 << 20)
struct sonde_fake_state {
    char name[64];
    char *ptr;
    size_t len;
};

struct sonde_fake {
    struct sonde_host host; /* what the plugin's entry is given           */
    const struct sonde_plugin *plugin;
    struct sonde_target target;
    struct sonde_sink sink;
    struct sonde_open open;
    void *options;
    struct sonde_instance *instance;

    struct sonde_fake_text text;    /* samples of the last collection        */
    struct sonde_fake_text keys;    /* their series, one per line            */
    struct sonde_fake_text log;     /* "level: text\n" each                  */
    struct sonde_fake_text written; /* to streams, all of it              */
    struct sonde_err err;           /* of the last call that failed       */

    const struct sonde_fake_step *steps;
    size_t step_count, step;
    size_t sent, expected; /* bytes of SEND done; of `written` matched    */
    size_t opened, closed; /* streams                                     */
    sonde_msec now_ms, monotonic_ms;

    /* Given to `open`; change them before. */
    struct sonde_tls job_tls;
    sonde_msec interval, timeout, slow_interval;

    struct sonde_fake_part parts[SONDE_FAKE_PARTS]; /* by collector       */
    size_t discarded;          /* times, in the last collection           */
    struct sonde_fake_tls tls; /* of the last opening that had it         */
    struct sonde_fake_state states[SONDE_FAKE_STATES];
    char *state;   /* what state_load returned last                         */
    bool no_state; /* as in an agent without a data directory             */
};

/* ---- small parts --------------------------------------------------------- */

static _Thread_local struct sonde_fake *sonde_fake_in_use;
/* For threads that the plugin started itself: the fake made last. What they
 * do beside streams of real sockets, log and clocks is not guarded. */
static struct sonde_fake *sonde_fake_made;
static pthread_mutex_t sonde_fake_mutex = PTHREAD_MUTEX_INITIALIZER;

static inline struct sonde_fake *sonde_fake_current(void)
{
    struct sonde_fake *f = sonde_fake_in_use;

    return f ? f : __atomic_load_n(&sonde_fake_made, __ATOMIC_ACQUIRE);
}

static inline void sonde_fake_lock(void)
{
    (void)pthread_mutex_lock(&sonde_fake_mutex);
}

static inline void sonde_fake_unlock(void)
{
    (void)pthread_mutex_unlock(&sonde_fake_mutex);
}

static inline void sonde_fake_add(struct sonde_fake_text *t, const void *p,
                                  size_t n)
{
    if (!t->ptr || t->len + n + 1 > t->cap) {
        t->cap = (t->len + n + 1) * 2;
        t->ptr = (char *)realloc(t->ptr, t->cap);
        if (!t->ptr)
            abort();
    }
    if (n)
        memcpy(t->ptr + t->len, p, n);
    t->len += n;
    t->ptr[t->len] = '\0';
}

static inline void sonde_fake_addz(struct sonde_fake_text *t, const char *z)
{
    sonde_fake_add(t, z, strlen(z));
}

static inline void sonde_fake_clear(struct sonde_fake_text *t)
{
    t->len = 0;
    if (t->ptr)
        t->ptr[0] = '\0';
}

/* The text so far, never NULL. */
static inline const char *sonde_fake_cstr(const struct sonde_fake_text *t)
{
    return t->ptr ? t->ptr : "";
}

/* The first error sticks: to the part under way, or else to the sink. */
SONDE_PRINTF(2, 3)
static inline sonde_code sonde_fake_refuse(struct sonde_sink *sink,
                                           const char *fmt, ...)
{
    struct sonde_fake *f = sonde_fake_in_use;
    va_list ap;

    va_start(ap, fmt);
    if (sink->part && sink->part_code == SONDE_OK) {
        sink->part_code = SONDE_EINVAL;
        (void)vsnprintf(sink->part_err, sizeof(sink->part_err), fmt, ap);
    } else if (!sink->part && sink->code == SONDE_OK) {
        sink->code = sonde_err_vset(&f->err, SONDE_EINVAL, fmt, ap);
    }
    va_end(ap);
    return sink->part ? sink->part_code : sink->code;
}

static inline void sonde_fake_number(struct sonde_fake_text *t, double v)
{
    char out[64];

    if (isnan(v)) {
        sonde_fake_addz(t, "NaN");
        return;
    }
    if (isinf(v)) {
        sonde_fake_addz(t, v > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(out, sizeof(out), "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            break;
    }
    sonde_fake_addz(t, out);
}

static inline bool sonde_fake_utf8(sonde_str s)
{
    static const unsigned char first_min[5] = { 0, 0, 0xc2, 0xe0, 0xf0 };
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t i = 0;

    while (i < s.len) {
        size_t n = p[i] < 0x80   ? 1
                   : p[i] < 0xc2 ? 0
                   : p[i] < 0xe0 ? 2
                   : p[i] < 0xf0 ? 3
                   : p[i] < 0xf5 ? 4
                                 : 0;

        if (n == 0 || i + n > s.len || (n > 1 && p[i] < first_min[n]))
            return false;
        for (size_t k = 1; k < n; k++) {
            if ((p[i + k] & 0xc0) != 0x80)
                return false;
        }
        if ((p[i] == 0xe0 && p[i + 1] < 0xa0) ||
            (p[i] == 0xed && p[i + 1] > 0x9f) ||
            (p[i] == 0xf0 && p[i + 1] < 0x90) ||
            (p[i] == 0xf4 && p[i + 1] > 0x8f))
            return false;
        i += n;
    }
    return true;
}

/* ---- clocks ---- */

static inline sonde_msec sonde_fake_clock(clockid_t which)
{
    struct timespec ts;

    (void)clock_gettime(which, &ts);
    return (sonde_msec)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline sonde_msec sonde_fake_now(void)
{
    struct sonde_fake *f = sonde_fake_current();

    return f->steps ? f->now_ms : sonde_fake_clock(CLOCK_REALTIME);
}

static inline sonde_msec sonde_fake_monotonic(void)
{
    struct sonde_fake *f = sonde_fake_current();

    return f->steps ? f->monotonic_ms : sonde_fake_clock(CLOCK_MONOTONIC);
}

/* Moves the clocks of a scripted fake. */
static inline void sonde_fake_advance(struct sonde_fake *f, sonde_msec by_ms)
{
    f->now_ms += by_ms;
    f->monotonic_ms += by_ms;
}

#endif
