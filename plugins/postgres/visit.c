/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that is asked in one database: which collectors apply, their statements
 * in one round, their results to the sink.
 *
 * A collector does not apply when the server's version has no text for it, or
 * when the extension is not there; what the server refused (a right, a view
 * that a fork lacks) fails with the reason it gave. Neither is asked again
 * before the next login, so that the server's log does not fill with errors.
 */
#include <stdlib.h>

#include "families.h"
#include "postgres.h"

bool collector_on(const struct sonde_instance *i, size_t c)
{
    const struct collector *l = &collectors[c];
    char name[80];

    if (c == COLLECTOR_QUERIES)
        return i->queries.count > 0;
    if (!*(const bool *)((const char *)i->options + l->option))
        return false;
    if (i->options->disable_default_metrics && !l->group &&
        strcmp(l->part.name, "stat_database_conflicts") == 0)
        return false;
    if (l->prefix)
        (void)snprintf(name, sizeof(name), "%.*s", (int)strlen(l->prefix) - 1,
                       l->prefix);
    else
        (void)snprintf(name, sizeof(name), "pg_%s", l->part.name);
    return !queries_find(&i->queries, name);
}

void part_end(struct sonde_instance *i, size_t c, sonde_code rc,
              const char *why, double seconds)
{
    struct part *p = &i->parts[c];

    if (!p->ran) {
        p->ran = true;
        p->failed = false;
        p->seconds = 0;
    }
    p->seconds += seconds > 0 ? seconds : 0;
    if (rc != SONDE_OK && rc != SONDE_EUNSUPPORTED && rc != SONDE_EAGAIN)
        p->failed = true;
    if (SONDE_HAS(struct sonde_host, i->host, end))
        i->host->end(i->sink, rc, rc == SONDE_OK ? NULL : why, seconds);
}

static void part_begin(struct sonde_instance *i, size_t c)
{
    if (SONDE_HAS(struct sonde_host, i->host, begin))
        i->host->begin(i->sink, c);
}

static bool part_due(struct sonde_instance *i, size_t c)
{
    return !SONDE_HAS(struct sonde_host, i->host, due) ||
           i->host->due(i->sink, c);
}

/* ---- texts --------------------------------------------------------------- */

/* `sql` with the extension's schema in place of {}. */
static const char *with_schema(struct session *s, size_t c, const char *sql,
                               const char *schema)
{
    struct text t = { 0 };
    const char *at;

    if (s->texts[c])
        return s->texts[c];
    while ((at = strstr(sql, "{}"))) {
        text_add(&t, sql, (size_t)(at - sql));
        text_addz(&t, schema);
        sql = at + 2;
    }
    text_addz(&t, sql);
    s->texts[c] = t.ptr;
    return t.ptr;
}

static const struct extension *find_extension(const struct session *s,
                                              const char *name)
{
    for (size_t e = 0; e < EXTENSION_COUNT; e++) {
        if (strcmp(s->extensions[e].name, name) == 0)
            return s->extensions[e].schema ? &s->extensions[e] : NULL;
    }
    return NULL;
}

SONDE_PRINTF(4, 5)
static const char *refuse(struct session *s, size_t c, sonde_code code,
                          const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(s->refused[c].why, WHY_BYTES, fmt, ap);
    va_end(ap);
    s->refused[c].code = code;
    return NULL;
}

static const char *text_for(struct sonde_instance *i, struct session *s,
                            size_t c)
{
    const struct collector *l = &collectors[c];
    const struct extension *x = NULL;
    const char *sql;

    i->parts[c].missing = false;
    if (!l->extension) {
        sql = collector_sql(l, s->link->version);
        return sql ? sql
                   : refuse(s, c, SONDE_EUNSUPPORTED,
                            "not for this version of the server");
    }
    x = find_extension(s, l->extension);
    sql = x ? collector_sql(l, x->version) : NULL;
    i->parts[c].missing = !sql;
    if (!x)
        return refuse(s, c, SONDE_EUNSUPPORTED,
                      "the extension %s is not in database %s", l->extension,
                      s->name ? s->name : "");
    if (!sql)
        return refuse(s, c, SONDE_EUNSUPPORTED,
                      "not in version %d.%d of the extension %s",
                      x->version / 100, x->version % 100, l->extension);
    return with_schema(s, c, sql, x->schema);
}

/* ---- results ------------------------------------------------------------- */

static sonde_code emit_rows(struct sonde_instance *i, struct session *s,
                            size_t c, const struct rows *r,
                            struct sonde_err *err)
{
    const struct collector *l = &collectors[c];
    size_t max = l->count_sql ? (size_t)i->options->max_tables : SIZE_MAX;
    sonde_code rc;

    if (l->emit)
        return l->emit(&i->emit, r, err);
    if (!i->bindings[c]) {
        i->bindings[c] = malloc(sizeof(*i->bindings[c]));
        if (!i->bindings[c])
            return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
        rc = bind_columns(l, r, i->bindings[c], err);
        if (rc != SONDE_OK) {
            free(i->bindings[c]);
            i->bindings[c] = NULL;
            return rc;
        }
    }
    return bind_emit(l, i->bindings[c], r, max, i->server, s == &i->main,
                     &i->emit, err);
}

static bool worth_remembering(sonde_code rc)
{
    return rc == SONDE_EACCESS || rc == SONDE_ENOTFOUND;
}

static size_t index_of(const struct task *t)
{
    return (size_t)((const struct collector *)t->what - collectors);
}

static void collected(struct sonde_instance *i, struct session *s,
                      const struct task *t, sonde_code rc, const struct rows *r,
                      double seconds, struct sonde_err *err)
{
    size_t c = index_of(t);
    char why[600];

    s->alone[c] = s->alone[c] || rc != SONDE_OK;
    part_begin(i, c);
    if (rc == SONDE_OK)
        rc = emit_rows(i, s, c, r, err);
    else if (worth_remembering(rc))
        (void)refuse(s, c, rc, "%s", err->text);
    if (rc == SONDE_OK && collectors[c].count_sql &&
        r->count > (size_t)i->options->max_tables)
        i->parts[c].over = true;
    if (rc != SONDE_OK)
        (void)snprintf(why, sizeof(why), "database %.80s: %.500s",
                       s->name       ? s->name
                       : s->database ? s->database
                                     : "",
                       err->text);
    part_end(i, c, rc, why, seconds);
}

/* ---- a visit ------------------------------------------------------------- */

static bool wanted(struct sonde_instance *i, const struct visit *v, size_t c)
{
    const struct collector *l = &collectors[c];
    bool slow = l->part.flags & SONDE_COLLECTOR_SLOW;

    return (v->main || (l->each_database && i->options->all_databases)) &&
           (slow ? v->slow : v->fast) && collector_on(i, c) && part_due(i, c);
}

static void add_collector(struct sonde_instance *i, struct session *s, size_t c,
                          struct round *r)
{
    const struct collector *l = &collectors[c];
    struct refusal *no = &s->refused[c];
    const char *sql = no->code == SONDE_OK ? text_for(i, s, c) : NULL;
    struct task t = { .what = l, .done = collected };

    if (!sql) {
        part_begin(i, c);
        part_end(i, c, no->code != SONDE_OK ? no->code : SONDE_ENOMEM, no->why,
                 0);
        return;
    }
    t.statement = (struct statement){ .id = (unsigned)c + 1,
                                      .sql = sql,
                                      .params = i->param_rows[c],
                                      .joined = !s->alone[c] };
    while (t.statement.param_count < COLLECTOR_PARAMS_MAX &&
           l->params[t.statement.param_count])
        t.statement.param_count++;
    round_add(r, &t);
}

/* How many rows were left out, where some were. */
static void counted(struct sonde_instance *i, struct session *s,
                    const struct task *t, sonde_code rc, const struct rows *r,
                    double seconds, struct sonde_err *err)
{
    double n;

    (void)seconds;
    (void)err;
    if (rc != SONDE_OK || r->count != 1 || r->columns != 1 ||
        !text_number(rows_text(r, 0, 0), &n))
        return;
    n -= (double)i->options->max_tables;
    emit_sample(&i->emit, F_TABLES_OMITTED,
                SONDE_LABELS(sonde_cstr(collectors[index_of(t)].part.name),
                             sonde_cstr(s->name)),
                n > 0 ? n : 0);
}

static sonde_code count_omitted(struct sonde_instance *i, const struct visit *v,
                                struct sonde_err *err)
{
    struct round r = { 0 };
    sonde_code rc;

    for (size_t c = 0; c < COLLECTOR_COUNT; c++) {
        struct task t = { .what = &collectors[c], .done = counted };

        if (!i->parts[c].over)
            continue;
        i->parts[c].over = false;
        t.statement =
            (struct statement){ .id = COLLECTOR_COUNT + 1 + (unsigned)c,
                                .sql = collectors[c].count_sql };
        round_add(&r, &t);
    }
    rc = round_run(i, v->session, &r, v->deadline, err);
    round_fini(&r);
    return rc;
}

sonde_code visit_run(struct sonde_instance *i, const struct visit *v,
                     struct sonde_err *err)
{
    struct session *s = v->session;
    struct round r = { 0 };
    sonde_code rc = SONDE_OK;

    if (!s->link)
        rc = session_open(i, s, v->deadline, err);
    if (rc != SONDE_OK)
        return rc;
    if (v->main && v->fast)
        databases_add(i, &r);
    for (size_t c = 0; c < COLLECTOR_QUERIES; c++) {
        if (wanted(i, v, c))
            add_collector(i, s, c, &r);
    }
    if (r.count)
        r.tasks[r.count - 1].statement.joined = false;
    if (v->fast && collector_on(i, COLLECTOR_QUERIES))
        queries_add(i, v, &r);
    rc = round_run(i, s, &r, v->deadline, err);
    if (r.failed && rc == SONDE_OK)
        rc = sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    round_fini(&r);
    return rc == SONDE_OK ? count_omitted(i, v, err) : rc;
}
