/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API of NGINX Plus: which requests to make, and their answers.
 *
 * A collection is a dozen documents below BASE/VERSION/, more or fewer by
 * version and by what is configured. Which, is learned: BASE/ lists the
 * versions, BASE/VERSION/ and BASE/VERSION/stream/ list what there is. That
 * is kept for five minutes, or until an answer shows that it is wrong, so
 * usually only the documents are asked for; what is unlisted is left out.
 *
 * The host takes a few requests at a time and asks for more: each round plans
 * what comes next. Documents are held until the last is there, because half a
 * collection must not be shown: a document that fails makes nginxplus_up 0
 * and is all. Only the license may fail, which is a warning.
 */
#include "plus.h"

#include <stdlib.h>

#define VERSION_MIN 4
#define VERSION_MAX 9
#define LEARNED_MS  (5 * 60 * 1000)
#define LISTS_MAX   256 /* items of a list that are looked at */

/* What a request asks for. */
enum asked {
    ASKED_VERSIONS = PLUS_ENDPOINT_COUNT,
    ASKED_NAMES,
    ASKED_STREAM,
};

struct plus {
    sonde_str base;
    bool learned;
    sonde_msec learned_at;
    int version;
    bool there[PLUS_ENDPOINT_COUNT];
    char *paths[SONDE_FETCH_MAX]; /* of the requests under way              */
    int asked[SONDE_FETCH_MAX];
    size_t asked_count, first; /* these, from the plan's request `first` on */
    /* Of this collection: */
    bool failed;
    bool has_stream;
    int step;    /* of learning */
    size_t next; /* endpoint to be asked for */
    json_t *docs[PLUS_ENDPOINT_COUNT];
    char warning[256];
};

struct plus *plus_new(sonde_str base)
{
    struct plus *p = calloc(1, sizeof(*p));

    if (p)
        p->base = base;
    return p;
}

static void forget_documents(struct plus *p)
{
    for (size_t i = 0; i < PLUS_ENDPOINT_COUNT; i++) {
        json_decref(p->docs[i]);
        p->docs[i] = NULL;
    }
}

static void forget_paths(struct plus *p)
{
    for (size_t i = 0; i < SONDE_FETCH_MAX; i++) {
        free(p->paths[i]);
        p->paths[i] = NULL;
    }
    p->asked_count = 0;
}

void plus_free(struct plus *p)
{
    if (!p)
        return;
    forget_documents(p);
    forget_paths(p);
    free(p);
}

/* ---- requests ------------------------------------------------------------ */

static sonde_code ask(struct plus *p, struct sonde_plan *plan, int what,
                      const char *path, struct sonde_err *err)
{
    size_t cap = p->base.len + 64;
    char *z = malloc(cap);
    int n;

    if (!z)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    if (what == ASKED_VERSIONS)
        n = snprintf(z, cap, "%.*s/", SONDE_ARG(p->base));
    else
        n = snprintf(z, cap, "%.*s/%d/%s", SONDE_ARG(p->base), p->version,
                     path);
    p->paths[p->asked_count] = z;
    p->asked[p->asked_count++] = what;
    plan->requests[plan->count++] =
        (struct sonde_request){ .path = { z, (size_t)n },
                                .body = SONDE_BODY_PLUGIN,
                                .flags = SONDE_FETCH_MAY_FAIL };
    return SONDE_OK;
}

static void begin(struct plus *p, sonde_msec now)
{
    forget_documents(p);
    p->failed = false;
    p->warning[0] = '\0';
    p->next = 0;
    p->step = 0;
    if (p->learned && now - p->learned_at >= LEARNED_MS)
        p->learned = false;
    if (!p->learned)
        p->learned_at = now;
}

static sonde_code plan_documents(struct plus *p, struct sonde_plan *plan,
                                 struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    for (; rc == SONDE_OK && p->next < PLUS_ENDPOINT_COUNT &&
           plan->count < SONDE_FETCH_MAX;
         p->next++)
        if (p->there[p->next])
            rc = ask(p, plan, (int)p->next, plus_endpoints[p->next].path, err);
    while (p->next < PLUS_ENDPOINT_COUNT && !p->there[p->next])
        p->next++;
    plan->more = p->next < PLUS_ENDPOINT_COUNT;
    return rc;
}

sonde_code plus_plan(struct plus *p, sonde_msec now, struct sonde_plan *plan,
                     struct sonde_err *err)
{
    if (plan->struct_size < sizeof(*plan))
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "this agent can not ask the API of NGINX Plus: "
                             "its plans have one round");
    forget_paths(p);
    p->first = plan->count;
    if (plan->round == 0)
        begin(p, now);
    if (p->failed)
        return SONDE_OK;
    if (p->learned)
        return plan_documents(p, plan, err);
    plan->more = true;
    switch (p->step) {
    case 0:
        return ask(p, plan, ASKED_VERSIONS, "", err);
    case 1:
        return ask(p, plan, ASKED_NAMES, "", err);
    default:
        return ask(p, plan, ASKED_STREAM, "stream/", err);
    }
}

/* ---- learning ------------------------------------------------------------ */

static sonde_code take_versions(struct plus *p, const json_t *doc,
                                struct sonde_err *err)
{
    int best = 0;

    for (size_t i = 0; i < json_array_size(doc) && i < LISTS_MAX; i++) {
        double v = json_number_value(json_array_get(doc, i));

        if (v >= VERSION_MIN && v <= VERSION_MAX && (int)v > best)
            best = (int)v;
    }
    if (best == 0)
        return sonde_err_set(err, SONDE_EPROTO,
                             "%.*s/: expected a list of versions with one from "
                             "%d to %d: is it the API of NGINX Plus?",
                             SONDE_ARG(p->base), VERSION_MIN, VERSION_MAX);
    p->version = best;
    return SONDE_OK;
}

static bool lists(const json_t *doc, sonde_str name)
{
    for (size_t i = 0; i < json_array_size(doc) && i < LISTS_MAX; i++)
        if (sonde_str_eq(json_str(json_array_get(doc, i)), name))
            return true;
    return false;
}

/* The part of a path before or after its '/'. */
static sonde_str first_part(const char *path)
{
    return (sonde_str){ path, strcspn(path, "/") };
}

static bool is_stream(const char *path)
{
    return strncmp(path, "stream/", 7) == 0;
}

static sonde_code take_names(struct plus *p, const json_t *doc,
                             struct sonde_err *err)
{
    if (!json_is_array(doc))
        return sonde_err_set(err, SONDE_EPARSE,
                             "%.*s/%d/: expected a list of names",
                             SONDE_ARG(p->base), p->version);
    for (size_t i = 0; i < PLUS_ENDPOINT_COUNT; i++) {
        const struct plus_endpoint *e = &plus_endpoints[i];

        p->there[i] = e->since <= p->version && lists(doc, first_part(e->path));
    }
    p->there[0] = true; /* connections are always there */
    p->has_stream = lists(doc, SONDE_STR("stream"));
    p->learned = !p->has_stream;
    return SONDE_OK;
}

static void take_stream(struct plus *p, const json_t *doc)
{
    for (size_t i = 0; i < PLUS_ENDPOINT_COUNT; i++) {
        const char *path = plus_endpoints[i].path;

        if (is_stream(path))
            p->there[i] = p->there[i] && lists(doc, sonde_cstr(path + 7));
    }
    p->learned = true;
}

/* ---- answers ------------------------------------------------------------- */

/* What an error document says: {"error":{"status":404,"text":...}}. */
static sonde_code tell_status(const char *path, const struct sonde_response *r,
                              struct sonde_err *err)
{
    struct sonde_err ignored;
    json_t *doc = json_document(r->body, &ignored);
    sonde_str text = json_text(json_object_get(doc, "error"), "text");
    sonde_code rc = sonde_err_set(
        err, r->status == 401 || r->status == 403 ? SONDE_EAUTH : SONDE_EPROTO,
        "GET %s: HTTP status %d%s%.*s", path, r->status, text.len ? ": " : "",
        text.len > 200 ? 200 : (int)text.len, text.ptr);

    json_decref(doc);
    return rc;
}

static sonde_code read_answer(struct plus *p, const struct sonde_response *r,
                              json_t **doc, struct sonde_err *err)
{
    const char *path = p->paths[r->request - p->first];

    *doc = NULL;
    if (r->code != SONDE_OK)
        return sonde_err_set(err, r->code, "%s",
                             r->error ? r->error : sonde_code_text(r->code));
    if (r->status != 200)
        return tell_status(path, r, err);
    *doc = json_document(r->body, err);
    if (!*doc) {
        (void)sonde_err_prefix(err, "GET %s", path);
        return SONDE_EPARSE;
    }
    return SONDE_OK;
}

/* What was listed and is not there any more: the server was configured anew,
 * which the next collection looks at. */
static bool has_gone(struct plus *p, int what, const struct sonde_response *r)
{
    if (r->code != SONDE_OK || r->status != 404 || what <= 0 ||
        what >= PLUS_ENDPOINT_COUNT)
        return false;
    p->learned_at -= LEARNED_MS;
    return true;
}

static sonde_code take_document(struct plus *p, int what, json_t *doc,
                                struct sonde_err *err)
{
    bool list = plus_endpoints[what].shape == PLUS_WORKERS;

    if (list ? !json_is_array(doc) : !json_is_object(doc)) {
        json_decref(doc);
        return sonde_err_set(err, SONDE_EPARSE, "%.*s/%d/%s: expected %s",
                             SONDE_ARG(p->base), p->version,
                             plus_endpoints[what].path,
                             list ? "a list" : "an object");
    }
    json_decref(p->docs[what]);
    p->docs[what] = doc;
    return SONDE_OK;
}

static sonde_code take_answer(struct plus *p, int what,
                              const struct sonde_response *r,
                              struct sonde_err *err)
{
    json_t *doc;
    sonde_code rc;

    if (has_gone(p, what, r))
        return SONDE_OK;
    rc = read_answer(p, r, &doc, err);
    if (rc == SONDE_OK && what < PLUS_ENDPOINT_COUNT)
        return take_document(p, what, doc, err);
    p->step++;
    if (rc == SONDE_OK && what == ASKED_VERSIONS)
        rc = take_versions(p, doc, err);
    else if (rc == SONDE_OK && what == ASKED_NAMES)
        rc = take_names(p, doc, err);
    else if (rc == SONDE_OK)
        take_stream(p, doc);
    json_decref(doc);
    return rc;
}

sonde_code plus_take(struct plus *p, const struct sonde_response *r,
                     struct sonde_err *err)
{
    size_t i = r->request - p->first;
    bool last;
    int what;
    sonde_code rc;

    if (p->failed || r->request < p->first || i >= p->asked_count)
        return SONDE_EAGAIN;
    what = p->asked[i];
    last = what < PLUS_ENDPOINT_COUNT && p->next == PLUS_ENDPOINT_COUNT &&
           i + 1 == p->asked_count;
    rc = take_answer(p, what, r, err);
    if (rc != SONDE_OK && what < PLUS_ENDPOINT_COUNT &&
        plus_endpoints[what].may_fail) {
        (void)snprintf(p->warning, sizeof(p->warning), "%.255s", err->text);
        rc = SONDE_OK;
    }
    if (rc != SONDE_OK) {
        p->failed = true;
        p->learned = false;
        forget_documents(p);
        return rc;
    }
    return last ? SONDE_OK : SONDE_EAGAIN;
}

const char *plus_warning(const struct plus *p)
{
    return p->warning[0] ? p->warning : NULL;
}

void plus_emit(struct plus *p, struct nginx_emit *e)
{
    for (size_t i = 0; i < PLUS_ENDPOINT_COUNT; i++)
        if (p->docs[i])
            plus_emit_document(e, &plus_endpoints[i], p->docs[i]);
    forget_documents(p);
}
