/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements of one session, all sent together, their results taken in order.
 *
 * A kept connection may be dead without anybody knowing (a restart, a pooler,
 * a firewall). If it ends before anything was answered, all is asked again on
 * a fresh one, within the same collection; if it ends in between, the
 * statement that ran is lost and the rest goes on on a fresh one. That is
 * done once: a server that goes away twice is down.
 *
 * Statements that were joined to one that failed were not run: they are sent
 * again, each by itself, in another round trip.
 */
#include <stdlib.h>

#include "postgres.h"

void round_add(struct round *r, const struct task *t)
{
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        struct task *grown = realloc(r->tasks, cap * sizeof(*grown));

        if (!grown) {
            r->failed = true;
            return;
        }
        r->tasks = grown;
        r->cap = cap;
    }
    r->tasks[r->count++] = *t;
}

void round_fini(struct round *r)
{
    free(r->tasks);
    *r = (struct round){ 0 };
}

static void tell(struct sonde_instance *i, struct session *s,
                 const struct task *t, sonde_code rc, const struct rows *r,
                 double seconds, struct sonde_err *err)
{
    static const struct rows none;

    if (t->done)
        t->done(i, s, t, rc, r ? r : &none, seconds, err);
}

static void tell_rest(struct sonde_instance *i, struct session *s,
                      struct round *r, size_t from, sonde_code rc,
                      const struct sonde_err *err)
{
    for (; from < r->count; from++) {
        struct sonde_err copy = *err;

        tell(i, s, &r->tasks[from], rc, NULL, 0, &copy);
    }
}

static sonde_code send_from(struct session *s, const struct round *r,
                            size_t from, sonde_msec deadline,
                            struct sonde_err *err)
{
    size_t n = r->count - from;
    struct statement *st = malloc(n * sizeof(*st));
    sonde_code rc;

    if (!st)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    for (size_t k = 0; k < n; k++)
        st[k] = r->tasks[from + k].statement;
    rc = s->link->ops->send(s->link, st, n, deadline, err);
    free(st);
    return rc;
}

static void not_run(struct round *r, size_t at, struct round *again)
{
    struct task t = r->tasks[at];

    t.statement.joined = false;
    round_add(again, &t);
}

/* Results until the end or until the link is lost; moves *at on. */
static sonde_code read_from(struct sonde_instance *i, struct session *s,
                            struct round *r, size_t *at, struct round *again,
                            sonde_msec deadline, struct sonde_err *err)
{
    while (*at < r->count) {
        struct rows rows = { 0 };
        double began = clock_seconds();
        sonde_code rc = s->link->ops->next(s->link, deadline, &rows, err);

        if (s->link->lost)
            return rc == SONDE_OK ? SONDE_EIO : rc;
        if (rc == SONDE_OK)
            i->answered = true;
        if (rc == SONDE_ECANCELED)
            not_run(r, *at, again);
        else
            tell(i, s, &r->tasks[*at], rc, &rows, clock_seconds() - began, err);
        ++*at;
    }
    return SONDE_OK;
}

static sonde_code run_once(struct sonde_instance *i, struct session *s,
                           struct round *r, struct round *again,
                           sonde_msec deadline, struct sonde_err *err)
{
    size_t at = 0;
    bool retried = false;

    while (at < r->count) {
        sonde_code rc = SONDE_OK;
        bool unheard;

        if (!s->link)
            rc = session_open(i, s, deadline, err);
        if (rc != SONDE_OK) {
            tell_rest(i, s, r, at, rc, err);
            return rc;
        }
        rc = send_from(s, r, at, deadline, err);
        if (rc == SONDE_OK)
            rc = read_from(i, s, r, &at, again, deadline, err);
        if (rc == SONDE_OK)
            return SONDE_OK;
        unheard = s->kept && !s->link->answered;
        session_close(s);
        if (!unheard || rc == SONDE_ETIMEOUT) {
            struct sonde_err copy = *err;

            tell(i, s, &r->tasks[at++], rc, NULL, 0, &copy);
        }
        if (retried || rc == SONDE_ETIMEOUT) {
            tell_rest(i, s, r, at, rc, err);
            return rc;
        }
        retried = true;
    }
    return SONDE_OK;
}

sonde_code round_run(struct sonde_instance *i, struct session *s,
                     struct round *r, sonde_msec deadline,
                     struct sonde_err *err)
{
    struct round again = { 0 }, none = { 0 };
    sonde_code rc = run_once(i, s, r, &again, deadline, err);

    if (again.count) {
        sonde_code second = run_once(i, s, &again, &none, deadline, err);

        rc = rc == SONDE_OK ? second : rc;
    }
    r->failed = r->failed || again.failed;
    round_fini(&again);
    round_fini(&none);
    return rc;
}
