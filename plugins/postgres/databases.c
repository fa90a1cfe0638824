/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other databases of the server: tables are seen only from inside.
 *
 * Their names come with the first round in the main one. They are visited one
 * after the other; as many connections as max_connections allows stay open,
 * and the databases beyond share one that is opened and closed. When the
 * deadline comes first, the rest is told as a failure of the parts that are
 * asked everywhere; the next collection begins with those.
 */
#include <stdlib.h>

#include "postgres.h"

#define NAMES                                                                  \
    "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn "           \
    "AND NOT datistemplate AND datname <> current_database() "                 \
    "AND pg_catalog.has_database_privilege(oid, 'CONNECT') "                   \
    "AND datname <> ALL ($1::text[]) "                                         \
    "AND ($2::text[] = '{}' OR datname = ANY ($2::text[])) "                   \
    "ORDER BY datname LIMIT 1000"

static void forget_names(struct sonde_instance *i)
{
    for (size_t k = 0; k < i->database_count; k++)
        free(i->databases[k]);
    i->database_count = 0;
}

void databases_fini(struct sonde_instance *i)
{
    forget_names(i);
    for (size_t k = 0; k < i->other_count; k++)
        session_fini(&i->others[k]);
    i->other_count = 0;
}

bool databases_wanted(const struct sonde_instance *i)
{
    if (queries_elsewhere(i))
        return true;
    for (size_t c = 0; i->options->all_databases && c < COLLECTOR_COUNT; c++) {
        if (collectors[c].each_database && collector_on(i, c))
            return true;
    }
    return false;
}

static void named(struct sonde_instance *i, struct session *s,
                  const struct task *t, sonde_code rc, const struct rows *r,
                  double seconds, struct sonde_err *err)
{
    (void)s;
    (void)t;
    (void)seconds;
    (void)err;
    forget_names(i);
    for (size_t k = 0; rc == SONDE_OK && k < r->count && k < DATABASES_MAX;
         k++) {
        char *name = text_copy(rows_text(r, k, 0));

        if (name)
            i->databases[i->database_count++] = name;
    }
}

void databases_add(struct sonde_instance *i, struct round *r)
{
    i->name_params[0] = i->params[PARAM_EXCLUDED];
    i->name_params[1] = i->include_databases;
    if (databases_wanted(i)) {
        const struct task t = { .statement = { .id = STATEMENT_IDS_MAX - 1,
                                               .sql = NAMES,
                                               .params = i->name_params,
                                               .param_count = 2,
                                               .joined = true },
                                .done = named };

        round_add(r, &t);
    } else {
        forget_names(i);
    }
}

/* ---- connections --------------------------------------------------------- */

static bool is_named(const struct sonde_instance *i, const char *name)
{
    for (size_t k = 0; k < i->database_count; k++) {
        if (strcmp(i->databases[k], name) == 0)
            return true;
    }
    return false;
}

/* A kept connection would hold up a DROP DATABASE for ever. */
static void drop_gone(struct sonde_instance *i)
{
    for (size_t k = 0; k < i->other_count;) {
        if (is_named(i, i->others[k].database)) {
            k++;
            continue;
        }
        session_fini(&i->others[k]);
        i->others[k] = i->others[--i->other_count];
    }
}

/* A place to keep it in, or NULL. */
static struct session *kept_session(struct sonde_instance *i, const char *name)
{
    size_t max = (size_t)i->options->max_connections - 1;
    struct session *s;

    for (size_t k = 0; k < i->other_count; k++) {
        if (strcmp(i->others[k].database, name) == 0)
            return &i->others[k];
    }
    /* One place is for those that are not kept. */
    if (i->other_count + 1 > max ||
        (i->other_count + 1 == max && i->database_count > max))
        return NULL;
    s = &i->others[i->other_count];
    *s = (struct session){ .database = text_copy(sonde_cstr(name)) };
    if (!s->database)
        return NULL;
    i->other_count++;
    return s;
}

static void visit_failed(struct sonde_instance *i, const char *name,
                         sonde_code rc, const struct sonde_err *err)
{
    char why[600];

    (void)snprintf(why, sizeof(why), "database %.80s: %.500s", name, err->text);
    for (size_t c = 0; c < COLLECTOR_COUNT; c++) {
        if (!collectors[c].each_database || !i->options->all_databases ||
            !collector_on(i, c) ||
            (SONDE_HAS(struct sonde_host, i->host, due) &&
             !i->host->due(i->sink, c)))
            continue;
        if (SONDE_HAS(struct sonde_host, i->host, begin))
            i->host->begin(i->sink, c);
        part_end(i, c, rc, why, 0);
    }
}

static void visit_one(struct sonde_instance *i, const char *name,
                      sonde_msec deadline)
{
    struct session passing = { 0 }, *s = kept_session(i, name);
    struct visit v = { .slow = true, .fast = true, .deadline = deadline };
    struct sonde_err err = { 0 };
    sonde_code rc = SONDE_OK;

    if (!s) {
        passing.database = text_copy(sonde_cstr(name));
        s = &passing;
        if (i->options->max_connections == 1)
            session_close(&i->main);
    }
    v.session = s;
    if (!s->link)
        rc = session_open(i, s, deadline, &err);
    if (rc != SONDE_OK)
        visit_failed(i, name, rc, &err);
    else
        (void)visit_run(i, &v, &err); /* parts tell of their failures */
    session_fini(&passing);
}

void databases_visit(struct sonde_instance *i, sonde_msec deadline)
{
    size_t n = i->database_count;
    size_t first = n ? i->next_database % n : 0;

    drop_gone(i);
    i->next_database = 0;
    for (size_t k = 0; k < n; k++) {
        size_t at = (first + k) % n;

        if (i->host->monotonic() < deadline) {
            visit_one(i, i->databases[at], deadline);
        } else {
            struct sonde_err err;
            sonde_code rc = sonde_err_set(&err, SONDE_ETIMEOUT,
                                          "not reached before the deadline");

            if (i->next_database == 0)
                i->next_database = at;
            visit_failed(i, i->databases[at], rc, &err);
        }
    }
}
