/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libpq behind link.h: nothing blocks but poll, and poll has the deadline.
 *
 * Statements go out in pipeline mode: all of a collection is one round trip.
 * A sync after each keeps one that fails from taking the next ones with it,
 * but makes the server send every answer by itself and wake us for it, so
 * those that hardly ever fail are joined before one sync (round.c asks again
 * what was not run). The library flushes at every sync: on TCP the socket is
 * corked meanwhile, so that the batch leaves in full segments.
 *
 * A statement is prepared in front of its first use on a connection, in the
 * same batch. When the server says that a plan is no more what it was (an
 * extension was updated) or that it does not know the statement (a pooler in
 * between), it is prepared again under another name.
 *
 * Messages are the server's primary text, or libpq's about the connection
 * with the password cut out, should it ever be in there.
 */
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <libpq-fe.h>

#include "link.h"
#include "link_cancel.h"
#include "shared/text.h"

#define KEPT_BYTES_MAX (16u << 20) /* of the rows of one statement */

struct pending {
    unsigned id;
    bool prepare, joined;
    size_t rows_max;
};

/* Rows that came one by one: bytes and cells, by offset until all are there. */
struct kept {
    struct text bytes;
    struct cell *cells;
    size_t *offsets;
    size_t count, cap, columns;
    bool cut;
};

struct pq_link {
    struct link link; /* first */
    const struct sonde_host *host;
    PGconn *conn;
    char *password;
    struct pending *queue;
    size_t queue_len, queue_cap, queue_at;
    uint32_t generation[STATEMENT_IDS_MAX]; /* 0: not prepared */
    uint32_t last_generation[STATEMENT_IDS_MAX];
    PGresult *result; /* what `rows` views */
    struct kept kept;
    const char *names[ROWS_COLUMNS_MAX];
    uint32_t types[ROWS_COLUMNS_MAX];
    bool prepared, canceled; /* of the statement that is read */
};

static struct pq_link *pq_of(struct link *l)
{
    return (struct pq_link *)(void *)l;
}

/* ---- words --------------------------------------------------------------- */

/* One line, without the password. */
static void clean_message(const struct pq_link *p, const char *from, char *out,
                          size_t cap)
{
    struct text t = { 0 };
    sonde_str rest = text_trim(sonde_cstr(from)), line;
    size_t n = p->password ? strlen(p->password) : 0;

    while (text_split(&rest, '\n', &line)) {
        text_addz(&t, t.len ? "; " : "");
        text_add_str(&t, text_trim(line));
    }
    for (char *at = n ? strstr(t.ptr ? t.ptr : "", p->password) : NULL; at;
         at = strstr(at, p->password)) {
        memset(at, '*', n);
        at += n;
    }
    (void)snprintf(out, cap, "%s", t.ptr ? t.ptr : "");
    text_fini(&t);
}

static sonde_code connection_failed(const struct pq_link *p, sonde_code rc,
                                    const char *what, struct sonde_err *err)
{
    char why[500];

    clean_message(p, PQerrorMessage(p->conn), why, sizeof(why));
    return sonde_err_set(err, rc, "%s: %s", what,
                         why[0] ? why : sonde_code_text(rc));
}

static const struct {
    const char *state; /* or the beginning of one */
    sonde_code code;
} sql_codes[] = {
    { "42501", SONDE_EACCESS },      /* insufficient_privilege */
    { "57014", SONDE_ETIMEOUT },     /* query_canceled */
    { "55P03", SONDE_ETIMEOUT },     /* lock_not_available */
    { "42P01", SONDE_ENOTFOUND },    /* undefined_table */
    { "42703", SONDE_ENOTFOUND },    /* undefined_column */
    { "42883", SONDE_ENOTFOUND },    /* undefined_function */
    { "3F000", SONDE_ENOTFOUND },    /* invalid_schema_name */
    { "0A000", SONDE_EUNAVAILABLE }, /* a plan that changed */
    { "53", SONDE_EUNAVAILABLE },    /* insufficient resources */
    { "57", SONDE_EUNAVAILABLE },    /* operator intervention */
    { "28", SONDE_EAUTH },
};

static sonde_code code_of(const char *state)
{
    for (size_t i = 0; i < sizeof(sql_codes) / sizeof(sql_codes[0]); i++) {
        if (strncmp(state, sql_codes[i].state, strlen(sql_codes[i].state)) == 0)
            return sql_codes[i].code;
    }
    return SONDE_EINVAL;
}

/* Plans that are to be made again under a new name. */
static bool plan_is_gone(const char *state)
{
    return strcmp(state, "0A000") == 0 || strcmp(state, "26000") == 0 ||
           strcmp(state, "42P05") == 0;
}

static sonde_code statement_failed(struct pq_link *p, const struct pending *q,
                                   const PGresult *r, struct sonde_err *err)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    char why[500];

    (void)snprintf(p->link.sqlstate, sizeof(p->link.sqlstate), "%.5s",
                   state ? state : "");
    if ((severity && strcmp(severity, "FATAL") == 0) ||
        PQstatus(p->conn) == CONNECTION_BAD)
        p->link.lost = true;
    if (q->id && plan_is_gone(p->link.sqlstate))
        p->generation[q->id] = 0;
    clean_message(p, text ? text : PQresultErrorMessage(r), why, sizeof(why));
    return sonde_err_set(err, code_of(p->link.sqlstate), "%s%s%s%s", why,
                         state ? " (SQLSTATE " : "", state ? state : "",
                         state ? ")" : "");
}

/* ---- waiting ------------------------------------------------------------- */

static sonde_code wait_for(struct pq_link *p, short events, sonde_msec deadline,
                           const char *what, struct sonde_err *err)
{
    for (;;) {
        struct pollfd f = { .fd = PQsocket(p->conn), .events = events };
        sonde_msec left = deadline - p->host->monotonic();
        int n;

        if (left <= 0)
            return sonde_err_set(err, SONDE_ETIMEOUT,
                                 "%s: no answer before the deadline", what);
        n = poll(&f, 1, left > 60000 ? 60000 : (int)left);
        if (n > 0)
            return SONDE_OK;
        if (n < 0 && errno != EINTR)
            return sonde_err_set(err, SONDE_EIO, "%s: poll: %s", what,
                                 strerror(errno));
    }
}

/* ---- in and out ---------------------------------------------------------- */

static void forget_result(struct pq_link *p)
{
    PQclear(p->result);
    p->result = NULL;
    text_fini(&p->kept.bytes);
    free(p->kept.cells);
    free(p->kept.offsets);
    p->kept = (struct kept){ 0 };
}

static void pq_close(struct link *l)
{
    struct pq_link *p = pq_of(l);

    if (!p)
        return;
    forget_result(p);
    PQfinish(p->conn);
    free(p->queue);
    text_wipez(p->password);
    free(p);
}

static void no_notices(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

static sonde_code log_in(struct pq_link *p, sonde_msec deadline,
                         struct sonde_err *err)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    if (PQstatus(p->conn) == CONNECTION_BAD)
        return connection_failed(p, SONDE_ECONNECT, "connect", err);
    while (next != PGRES_POLLING_OK) {
        sonde_code rc =
            wait_for(p, next == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                     deadline, "connect", err);

        if (rc != SONDE_OK)
            return rc;
        next = PQconnectPoll(p->conn);
        if (next == PGRES_POLLING_FAILED)
            return connection_failed(p, SONDE_ECONNECT, "connect", err);
    }
    (void)PQsetNoticeReceiver(p->conn, no_notices, NULL);
    if (PQsetnonblocking(p->conn, 1) != 0 || !PQenterPipelineMode(p->conn))
        return connection_failed(p, SONDE_ECONNECT, "pipeline mode", err);
    p->link.version = PQserverVersion(p->conn);
    return SONDE_OK;
}

static sonde_code pq_open(const struct link_ops *ops, const struct login *login,
                          sonde_msec deadline, struct link **out,
                          struct sonde_err *err)
{
    const struct link_library *library =
        (const struct link_library *)(const void *)ops;
    struct pq_link *p = calloc(1, sizeof(*p));
    sonde_code rc;

    *out = NULL;
    if (!p)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    p->link.ops = ops;
    p->host = library->host;
    p->password = login->password.len ? text_copy(login->password) : NULL;
    p->conn = PQconnectStartParams(login->keys, login->values, 0);
    rc = p->conn ? log_in(p, deadline, err)
                 : sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    if (rc != SONDE_OK) {
        pq_close(&p->link);
        return rc;
    }
    *out = &p->link;
    return SONDE_OK;
}

/* ---- sending ------------------------------------------------------------- */

static void set_cork(const struct pq_link *p, int on)
{
    /* Fails on a unix socket, which has no segments to fill. */
    (void)setsockopt(PQsocket(p->conn), IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

static bool queue_add(struct pq_link *p, const struct pending *q)
{
    if (p->queue_len == p->queue_cap) {
        size_t cap = p->queue_cap ? p->queue_cap * 2 : 64;
        struct pending *grown = realloc(p->queue, cap * sizeof(*grown));

        if (!grown)
            return false;
        p->queue = grown;
        p->queue_cap = cap;
    }
    p->queue[p->queue_len++] = *q;
    return true;
}

/* Names differ by generation, because the old one may still be there. */
static void statement_name(const struct pq_link *p, unsigned id, char name[32])
{
    (void)snprintf(name, 32, "sonde_%u_%u", id, p->generation[id]);
}

static bool send_one(struct pq_link *p, const struct statement *s)
{
    struct pending q = { .id = s->id < STATEMENT_IDS_MAX ? s->id : 0,
                         .joined = s->joined,
                         .rows_max = s->rows_max };
    int n = (int)s->param_count;
    char name[32];

    if (q.id == 0)
        return PQsendQueryParams(p->conn, s->sql, n, NULL, s->params, NULL,
                                 NULL, 0) &&
               (q.joined || PQpipelineSync(p->conn)) && queue_add(p, &q);
    q.prepare = p->generation[q.id] == 0;
    if (q.prepare)
        p->generation[q.id] = ++p->last_generation[q.id];
    statement_name(p, q.id, name);
    return (!q.prepare || PQsendPrepare(p->conn, name, s->sql, n, NULL)) &&
           PQsendQueryPrepared(p->conn, name, n, s->params, NULL, NULL, 0) &&
           (q.joined || PQpipelineSync(p->conn)) && queue_add(p, &q);
}

static sonde_code pq_send(struct link *l, const struct statement *s, size_t n,
                          sonde_msec deadline, struct sonde_err *err)
{
    struct pq_link *p = pq_of(l);
    bool ok = true;

    (void)deadline;
    forget_result(p);
    if (p->queue_at == p->queue_len)
        p->queue_at = p->queue_len = 0;
    l->answered = false;
    set_cork(p, 1);
    for (size_t i = 0; ok && i < n; i++)
        ok = send_one(p, &s[i]);
    set_cork(p, 0);
    if (ok && PQflush(p->conn) >= 0)
        return SONDE_OK;
    l->lost = true;
    return connection_failed(p, SONDE_EIO, "send", err);
}

/* ---- receiving ----------------------------------------------------------- */

/* Waits until PQgetResult will not block. */
static sonde_code wait_result(struct pq_link *p, sonde_msec deadline,
                              struct sonde_err *err)
{
    while (PQisBusy(p->conn)) {
        int unsent = PQflush(p->conn);
        sonde_code rc;

        if (unsent < 0)
            return connection_failed(p, SONDE_EIO, "send", err);
        rc = wait_for(p, (short)(POLLIN | (unsent ? POLLOUT : 0)), deadline,
                      "query", err);
        if (rc != SONDE_OK)
            return rc;
        if (!PQconsumeInput(p->conn))
            return connection_failed(p, SONDE_EIO, "receive", err);
        p->link.answered = true;
    }
    return SONDE_OK;
}

static bool keep_grow(struct kept *k)
{
    size_t cap = k->cap ? k->cap * 2 : 256;
    size_t *grown;

    if (k->count + k->columns <= k->cap)
        return true;
    while (cap < k->count + k->columns)
        cap *= 2;
    grown = realloc(k->offsets, cap * sizeof(*grown));
    if (!grown)
        return false;
    k->offsets = grown;
    k->cap = cap;
    return true;
}

/* Offsets are one more than the place, so that 0 is NULL. */
static bool keep_row(struct pq_link *p, const PGresult *r, size_t rows_max)
{
    struct kept *k = &p->kept;

    if (k->count / (k->columns ? k->columns : 1) >= rows_max ||
        k->bytes.len > KEPT_BYTES_MAX) {
        k->cut = true;
        return true;
    }
    if (!keep_grow(k))
        return false;
    for (size_t i = 0; i < k->columns; i++) {
        bool null = PQgetisnull(r, 0, (int)i);

        k->offsets[k->count++] = null ? 0 : k->bytes.len + 1;
        if (!null)
            text_add(&k->bytes, PQgetvalue(r, 0, (int)i),
                     (size_t)PQgetlength(r, 0, (int)i) + 1);
    }
    return !k->bytes.failed;
}

static bool keep_end(struct pq_link *p)
{
    struct kept *k = &p->kept;
    size_t end = k->bytes.len;

    k->cells = calloc(k->count + 1, sizeof(*k->cells));
    if (!k->cells)
        return false;
    for (size_t i = k->count; i-- > 0;) {
        if (k->offsets[i] == 0)
            continue;
        k->cells[i].ptr = k->bytes.ptr + k->offsets[i] - 1;
        k->cells[i].len = (int)(end - k->offsets[i]);
        end = k->offsets[i] - 1;
    }
    return true;
}

static sonde_code note_columns(struct pq_link *p, const PGresult *r,
                               struct sonde_err *err)
{
    int n = PQnfields(r);

    if (n > ROWS_COLUMNS_MAX)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "%d columns; %d are the most there may be", n,
                             ROWS_COLUMNS_MAX);
    p->kept.columns = (size_t)n;
    for (int i = 0; i < n; i++)
        p->types[i] = PQftype(r, i);
    return SONDE_OK;
}

/* Takes over or frees `r`. */
static sonde_code take_result(struct pq_link *p, const struct pending *q,
                              PGresult *r, struct sonde_err *err)
{
    ExecStatusType status = PQresultStatus(r);
    sonde_code rc = SONDE_OK;

    switch (status) {
    case PGRES_SINGLE_TUPLE:
        rc = note_columns(p, r, err);
        if (rc == SONDE_OK && !keep_row(p, r, q->rows_max))
            rc = sonde_err_set(err, SONDE_ENOMEM, "out of memory");
        if (p->kept.cut && !p->canceled) {
            p->canceled = true;
            link_cancel(p->conn);
        }
        break;
    case PGRES_TUPLES_OK:
        rc = note_columns(p, r, err);
        PQclear(p->result);
        p->result = r; /* with rows, or for the names of the columns */
        return rc;
    case PGRES_COMMAND_OK:
        p->prepared = true;
        break;
    case PGRES_EMPTY_QUERY:
        break;
    case PGRES_PIPELINE_ABORTED:
        rc = sonde_err_set(err, SONDE_ECANCELED, "one before it failed");
        break;
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
        if (p->kept.cut) /* by us */
            break;
        rc = statement_failed(p, q, r, err);
        break;
    default:
        p->link.lost = true;
        rc = sonde_err_set(err, SONDE_EUNSUPPORTED,
                           "this kind of statement (%s) gives no rows",
                           PQresStatus(status));
        break;
    }
    PQclear(r);
    return rc;
}

static sonde_code show_rows(struct pq_link *p, struct rows *out,
                            struct sonde_err *err)
{
    *out = (struct rows){ .columns = p->kept.columns };
    if (p->kept.count == 0 && !p->kept.cut) {
        out->result = p->result;
        out->count = p->result ? (size_t)PQntuples(p->result) : 0;
        return SONDE_OK;
    }
    if (!p->result) /* cut: the names went with the error */
        return sonde_err_set(err, SONDE_ELIMIT,
                             "more than %zu rows or %u bytes; the query was "
                             "canceled",
                             p->kept.count /
                                 (p->kept.columns ? p->kept.columns : 1),
                             KEPT_BYTES_MAX);
    if (!keep_end(p))
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    for (size_t i = 0; i < p->kept.columns; i++)
        p->names[i] = PQfname(p->result, (int)i);
    out->cells = p->kept.cells;
    out->names = p->names;
    out->types = p->types;
    out->count = p->kept.columns ? p->kept.count / p->kept.columns : 0;
    out->cut = p->kept.cut;
    return SONDE_OK;
}

/* All results of one statement up to its end, and to the sync if one follows;
 * the first error counts. */
static sonde_code read_statement(struct pq_link *p, const struct pending *q,
                                 sonde_msec deadline, struct sonde_err *err)
{
    sonde_code first = SONDE_OK, rc;
    int stage = q->prepare ? 0 : 1, nothing = 0;
    struct sonde_err other;

    if (stage == 1 && q->rows_max)
        (void)PQsetSingleRowMode(p->conn);
    for (;;) {
        PGresult *r;

        rc = wait_result(p, deadline, first == SONDE_OK ? err : &other);
        if (rc != SONDE_OK) {
            p->link.lost = true;
            if (rc == SONDE_ETIMEOUT)
                link_cancel(p->conn);
            return first == SONDE_OK ? rc : first;
        }
        r = PQgetResult(p->conn);
        if (r && PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            return first;
        }
        if (r) {
            nothing = 0;
            rc = take_result(p, q, r, first == SONDE_OK ? err : &other);
            first = first == SONDE_OK ? rc : first;
        } else if (++nothing > 2 || PQstatus(p->conn) == CONNECTION_BAD) {
            p->link.lost = true;
            if (first == SONDE_OK)
                first = connection_failed(p, SONDE_EIO, "receive", err);
            return first;
        } else if (++stage == 1 && q->rows_max) {
            (void)PQsetSingleRowMode(p->conn);
        } else if (stage == 2 && q->joined) {
            return first;
        }
    }
}

static sonde_code pq_next(struct link *l, sonde_msec deadline, struct rows *out,
                          struct sonde_err *err)
{
    struct pq_link *p = pq_of(l);
    struct pending q;
    sonde_code rc;

    forget_result(p);
    p->prepared = p->canceled = false;
    l->sqlstate[0] = '\0';
    *out = (struct rows){ 0 };
    if (p->queue_at == p->queue_len)
        return sonde_err_set(err, SONDE_EINVAL, "no statement was sent");
    q = p->queue[p->queue_at++];
    rc = read_statement(p, &q, deadline, err);
    if (q.prepare && !p->prepared)
        p->generation[q.id] = 0;
    return rc == SONDE_OK ? show_rows(p, out, err) : rc;
}

void link_library_init(struct link_library *l, const struct sonde_host *host)
{
    *l = (struct link_library){
        .ops = { .open = pq_open,
                 .close = pq_close,
                 .send = pq_send,
                 .next = pq_next },
        .host = host,
    };
}
