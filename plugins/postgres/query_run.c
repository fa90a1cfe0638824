/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's queries on their way: where each is asked, when again, what it
 * gave last.
 *
 * A query with an interval keeps its rows, which are emitted until it is
 * asked again; a failure is told at every collection until it succeeds, and
 * the rows are not emitted meanwhile. One with a timeout has a SET in front
 * of it and another behind, in the same round trip.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "families.h"
#include "postgres.h"

enum {
    PLACES_MAX = 4096
};

struct query_place {
    const struct query *query;
    char *database;        /* as the server says; NULL: the main one    */
    struct rows_copy rows; /* of the last answer, if there is an interval */
    sonde_msec due;        /* monotonic */
    sonde_code code;       /* of the last asking */
    char why[WHY_BYTES];
    double seconds;
    size_t count; /* rows */
    bool asked;   /* ever */
};

void queries_unload(struct sonde_instance *i)
{
    for (size_t k = 0; k < i->place_count; k++) {
        rows_copy_fini(&i->places[k].rows);
        free(i->places[k].database);
    }
    free(i->places);
    i->places = NULL;
    i->place_count = 0;
    queries_fini(&i->queries);
    i->queries_loaded = i->queries_bad = false;
}

/* ---- the file ------------------------------------------------------------ */

/* Of the file as it is: a newline at its end is not in `text`. */
static void hash_file(const char *path, sonde_str text, char out[65])
{
    unsigned char digest[32];
    struct stat st;
    gnutls_hash_hd_t h;

    out[0] = '\0';
    if (gnutls_hash_init(&h, GNUTLS_DIG_SHA256) != 0)
        return;
    (void)gnutls_hash(h, text.ptr ? text.ptr : "", text.len);
    if (stat(path, &st) == 0 && (size_t)st.st_size == text.len + 1)
        (void)gnutls_hash(h, "\n", 1);
    gnutls_hash_deinit(h, digest);
    for (size_t k = 0; k < sizeof(digest); k++)
        (void)snprintf(out + 2 * k, 3, "%02x", digest[k]);
}

void queries_load(struct sonde_instance *i)
{
    const struct sonde_open *o = i->open;
    struct sonde_err err = { 0 };
    sonde_str text = { 0 };
    sonde_code rc;

    if (i->queries_loaded || i->options->queries.len == 0)
        return;
    queries_unload(i);
    i->queries_hash[0] = '\0';
    rc = i->host->read_file(o->target, i->options->queries, &text, &err);
    if (rc == SONDE_OK) {
        hash_file(i->options->queries.ptr, text, i->queries_hash);
        rc = queries_read(text, &i->queries, &err);
    }
    i->queries_loaded = true;
    i->queries_bad = rc != SONDE_OK;
    if (rc != SONDE_OK) {
        queries_fini(&i->queries);
        (void)snprintf(i->queries_why, sizeof(i->queries_why), "%.199s",
                       err.text);
        i->host->log(o->target, SONDE_LOG_ERROR, "queries %.*s: %s",
                     SONDE_ARG(i->options->queries), err.text);
    }
    for (size_t c = 0; c < COLLECTOR_QUERIES; c++) {
        if (rc == SONDE_OK && !collector_on(i, c) &&
            *(const bool *)((const char *)i->options + collectors[c].option) &&
            !(i->options->disable_default_metrics && !collectors[c].group))
            i->host->log(o->target, SONDE_LOG_INFO,
                         "collector %s is off: %.*s has its namespace",
                         collectors[c].part.name,
                         SONDE_ARG(i->options->queries));
    }
}

void queries_report(struct sonde_instance *i)
{
    if (i->options->queries.len)
        emit_sample(
            &i->emit, F_QUERIES_ERROR,
            SONDE_LABELS(i->options->queries, sonde_cstr(i->queries_hash)),
            i->queries_bad);
}

/* ---- where ----------------------------------------------------------------
 */

static bool asked_elsewhere(const struct sonde_instance *i,
                            const struct query *q)
{
    if (q->scope_given)
        return q->scope != SCOPE_ONE;
    return i->options->auto_discover_databases && !q->master;
}

bool queries_elsewhere(const struct sonde_instance *i)
{
    for (size_t k = 0; k < i->queries.count; k++) {
        if (i->queries.items[k].sql && asked_elsewhere(i, &i->queries.items[k]))
            return true;
    }
    return false;
}

static bool asked_here(const struct sonde_instance *i, const struct query *q,
                       const struct visit *v)
{
    const char *name = v->session->name ? v->session->name : "";

    if (!q->sql || !query_applies(q, query_server_version(i->version)))
        return false;
    if (q->scope == SCOPE_LIST) {
        for (size_t k = 0; k < q->database_count; k++) {
            if (strcmp(q->databases[k], name) == 0)
                return true;
        }
        return false;
    }
    return v->main || asked_elsewhere(i, q);
}

static struct query_place *find_place(struct sonde_instance *i,
                                      const struct query *q, const char *name)
{
    struct query_place *grown;

    for (size_t k = 0; k < i->place_count; k++) {
        if (i->places[k].query == q && strcmp(i->places[k].database, name) == 0)
            return &i->places[k];
    }
    if (i->place_count >= PLACES_MAX)
        return NULL;
    grown = realloc(i->places, (i->place_count + 1) * sizeof(*grown));
    if (!grown)
        return NULL;
    i->places = grown;
    grown += i->place_count;
    *grown = (struct query_place){ .query = q,
                                   .database = text_copy(sonde_cstr(name)) };
    if (!grown->database)
        return NULL;
    i->place_count++;
    return grown;
}

/* ---- results ------------------------------------------------------------- */

/* Our own format says in which database a row is; the exporter's does not,
 * and its files have a label of their own for that. */
static sonde_str datname_of(const struct query_place *p)
{
    const struct query *q = p->query;

    return q->scope_given && q->scope != SCOPE_ONE ? sonde_cstr(p->database)
                                                   : (sonde_str){ 0 };
}

static void tell_place(struct sonde_instance *i, struct query_place *p,
                       const struct rows *r)
{
    struct sonde_err err = { 0 };
    sonde_code rc = p->code;
    char why[600];
    sonde_str labels[2] = { sonde_cstr(p->query->name),
                            sonde_cstr(p->database) };

    if (SONDE_HAS(struct sonde_host, i->host, begin))
        i->host->begin(i->sink, COLLECTOR_QUERIES);
    if (rc == SONDE_OK)
        rc = query_emit(&i->queries, p->query, r, i->server, datname_of(p),
                        &i->emit, &err);
    else
        (void)snprintf(err.text, sizeof(err.text), "%s", p->why);
    (void)snprintf(why, sizeof(why), "%.80s in database %.80s: %.400s",
                   p->query->name, p->database, err.text);
    part_end(i, COLLECTOR_QUERIES, rc, why, p->seconds);
    emit_sample(&i->emit, F_QUERY_SUCCESS, labels, rc == SONDE_OK);
    emit_sample(&i->emit, F_QUERY_DURATION, labels, p->seconds);
    emit_sample(&i->emit, F_QUERY_ROWS, labels,
                rc == SONDE_OK ? (double)p->count : 0);
}

/* Places may have moved since the task was made: it has the query. */
static void asked(struct sonde_instance *i, struct session *s,
                  const struct task *t, sonde_code rc, const struct rows *r,
                  double seconds, struct sonde_err *err)
{
    struct query_place *p = find_place(i, t->what, s->name ? s->name : "");

    if (!p)
        return;
    if (rc == SONDE_OK && r->cut)
        rc = sonde_err_set(err, SONDE_ELIMIT,
                           "more than max_rows (%lld) rows; the query was "
                           "canceled",
                           (long long)i->options->max_rows);
    rows_copy_fini(&p->rows);
    p->asked = true;
    p->code = rc;
    p->seconds = seconds;
    p->count = r->count;
    p->due = i->host->monotonic() + p->query->interval;
    if (rc != SONDE_OK)
        (void)snprintf(p->why, sizeof(p->why), "%.199s", err->text);
    else if (p->query->interval && !rows_save(r, &p->rows))
        p->due = 0;
    tell_place(i, p, r);
}

/* ---- tasks --------------------------------------------------------------- */

static void add_timeout(struct round *r, const char *sql)
{
    const struct task t = { .statement = { .sql = sql } };

    round_add(r, &t);
}

static void add_query(struct sonde_instance *i, struct query_place *p,
                      struct round *r)
{
    const struct query *q = p->query;
    size_t index = (size_t)(q - i->queries.items);
    const struct task t = {
        .statement = { .id = 2 * COLLECTOR_COUNT + 1 + (unsigned)index,
                       .sql = q->sql,
                       .rows_max = (size_t)i->options->max_rows },
        .done = asked,
        .what = q,
    };

    if (q->timeout)
        add_timeout(r, q->set_timeout);
    round_add(r, &t);
    if (q->timeout)
        add_timeout(r, "RESET statement_timeout");
}

void queries_add(struct sonde_instance *i, const struct visit *v,
                 struct round *r)
{
    const char *name = v->session->name ? v->session->name : "";

    for (size_t k = 0; k < i->queries.count; k++) {
        const struct query *q = &i->queries.items[k];
        struct query_place *p;

        if (!asked_here(i, q, v) || !(p = find_place(i, q, name)))
            continue;
        if (p->asked && p->code == SONDE_OK && q->interval &&
            i->host->monotonic() < p->due)
            tell_place(i, p, &p->rows.rows);
        else
            add_query(i, p, r);
    }
}
