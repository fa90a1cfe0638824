/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics' page, of all targets, and the page of one that `target=`
 * names.
 *
 * A target that answered is on the page, whatever it said of itself: a server
 * that is down is `NAME_up 0` with status 200, as the exporters have it. A
 * collection that failed as a whole has nothing to show; if all have, the
 * answer is 503 with the reasons, else the page has the others, and
 * sonde_expose_target_up tells which are missing.
 */
#include <stdio.h>
#include <string.h>

#include "expose/door.h"
#include "expose/reach.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define PARAM_MAX_BYTES 4096
#define PARAMS_MAX      32

static bool is_gone(void *arg)
{
    return http_call_gone(arg);
}

/* ---- the pages of some targets ------------------------------------------- */

struct showing {
    struct visit *visit;
    struct target **targets;
    struct scrape_page **pages;
    size_t count;
    size_t failed;
};

/* All are asked before one is waited for. */
static void collect_all(struct showing *s, struct arena *a)
{
    struct visit *v = s->visit;
    struct scrape_ticket *tickets =
        arena_array(a, struct scrape_ticket, s->count + 1);

    for (size_t i = 0; i < s->count; i++)
        scrape_demand(s->targets[i], v->deadline, &tickets[i]);
    for (size_t i = 0; i < s->count; i++)
        s->pages[i] = scrape_demand_wait(s->targets[i], &tickets[i], v->until,
                                         is_gone, v->call);
}

static void show_begin(struct showing *s, struct visit *v,
                       struct target **targets, size_t n, bool fresh)
{
    struct arena *a = http_call_arena(v->call);

    *s = (struct showing){ .visit = v, .targets = targets, .count = n };
    s->pages = arena_array(a, struct scrape_page *, n + 1);
    if (fresh)
        collect_all(s, a);
    for (size_t i = 0; i < n; i++) {
        if (!fresh)
            s->pages[i] = scrape_last_page(targets[i]);
        s->failed += !s->pages[i] || s->pages[i]->code != SONDE_OK;
    }
}

static void show_end(struct showing *s)
{
    for (size_t i = 0; i < s->count; i++)
        scrape_page_unref(s->pages[i]);
}

static const char *reason(const struct scrape_page *p)
{
    return p ? p->error : "it has not been collected yet";
}

static void reply_failed(struct showing *s)
{
    bool wrong = s->count == 1 && s->pages[0] && s->pages[0]->unopened;
    struct buf b;

    buf_init(&b);
    for (size_t i = 0; i < s->count; i++)
        buf_printf(&b, "target %.*s: %s\n",
                   SONDE_ARG(scrape_target_name(s->targets[i])),
                   reason(s->pages[i]));
    buf_char(&b, '\0');
    door_reply_text(s->visit, wrong ? 400 : 503, b.data);
    buf_fini(&b);
}

/* ---- what the agent adds ------------------------------------------------- */

static const char *target_errors_name(const struct door *d)
{
    const struct sonde_exporter *x = d->exporter;

    return x && SONDE_HAS(struct sonde_exporter, x, target_errors)
               ? x->target_errors
               : NULL;
}

static void add_target_errors(const struct door *d, uint64_t n, struct buf *out)
{
    const char *name = target_errors_name(d);

    if (!name)
        return;
    expo_write_family(
        out, &(struct metadata){
                 .family = sonde_cstr(name),
                 .type = METRIC_COUNTER,
                 .help = sonde_cstr(d->exporter->target_errors_help) });
    buf_printf(out, "%s %llu\n", name, (unsigned long long)n);
}

/* A text as it is, but for that counter, if the plugin has a sample of it;
 * false: it has none. */
static bool put_with_errors(const struct door *d, sonde_str text, uint64_t n,
                            struct buf *out)
{
    const char *name = target_errors_name(d);
    const char *at;
    size_t value, end;
    char line[256];
    int len;

    if (!name || !text.len)
        return false;
    len = snprintf(line, sizeof(line), "\n%s ", name);
    at = memmem(text.ptr, text.len, line, (size_t)len);
    if (!at)
        return false;
    value = (size_t)(at - text.ptr) + (size_t)len;
    end = value + str_index(str_sub(text, value, text.len), '\n');
    buf_put(out, str_sub(text, 0, value));
    buf_uint(out, n);
    buf_put(out, str_sub(text, end, text.len));
    return true;
}

static void add_self(const struct door *d, struct buf *out)
{
    metric_set(d->remembered, (int64_t)asked_count(d->asked));
    if (d->options.self && d->deps->metrics)
        selfmetrics_write(d->deps->metrics, out);
}

static void compose_ours(struct compose *c, sonde_str text)
{
    struct sonde_err err;

    if (compose_text(c, text, EXPO_TEXT, (sonde_str){ 0 }, &err) != SONDE_OK)
        SONDE_BUG("our own metrics: %s", err.text);
}

static void add_health(const struct showing *s, struct compose *c)
{
    const struct door *d = s->visit->door;
    struct buf b;

    buf_init(&b);
    buf_cstr(&b, "# HELP sonde_expose_target_up Whether the target's "
                 "collection is on this page.\n"
                 "# TYPE sonde_expose_target_up gauge\n");
    for (size_t i = 0; i < s->count; i++) {
        sonde_str label = d->rules.target_label;

        buf_printf(&b, "sonde_expose_target_up{%.*s=\"", SONDE_ARG(label));
        expo_write_escaped(&b, scrape_target_name(s->targets[i]));
        buf_printf(&b, "\"} %d\n",
                   s->pages[i] && s->pages[i]->code == SONDE_OK);
    }
    compose_ours(c, buf_str(&b));
    buf_fini(&b);
}

/* ---- the page ------------------------------------------------------------ */

/* A text that can not be read to its end fails a page of its own; on one with
 * others it is left as far as it came. */
static bool compose_target(struct showing *s, struct compose *c, size_t i,
                           struct sonde_err *err)
{
    sonde_str name = { 0 };

    if (!s->pages[i] || s->pages[i]->code != SONDE_OK)
        return true;
    if (s->count > 1)
        name = scrape_target_name(s->targets[i]);
    if (compose_page(c, s->pages[i], name, err) == SONDE_OK)
        return true;
    log_warn("expose", "a target's text can not be read",
             LOG_STR("job", s->visit->door->job),
             LOG_STR("target", scrape_target_name(s->targets[i])),
             LOG_ERRTEXT(err));
    return s->count > 1;
}

static bool compose_all(struct showing *s, sonde_str ours, struct buf *out,
                        struct sonde_err *err)
{
    struct compose *c = compose_new(&s->visit->door->rules);
    bool ok = true;

    /* First, because the first of two counts. */
    compose_ours(c, ours);
    for (size_t i = 0; i < s->count; i++)
        ok = compose_target(s, c, i, err) && ok;
    if (s->count > 1)
        add_health(s, c);
    compose_write(c, out);
    compose_free(c);
    return ok;
}

static void put_plain(struct showing *s, uint64_t errors, struct buf *out)
{
    const struct door *d = s->visit->door;
    sonde_str text = buf_str(&s->pages[0]->text);

    if (put_with_errors(d, text, errors, out))
        return;
    buf_put(out, text);
    add_target_errors(d, errors, out);
}

static bool put_composed(struct showing *s, uint64_t errors, bool self,
                         struct buf *out, struct sonde_err *err)
{
    struct buf ours;
    bool ok;

    buf_init(&ours);
    add_target_errors(s->visit->door, errors, &ours);
    if (self)
        add_self(s->visit->door, &ours);
    ok = compose_all(s, buf_str(&ours), out, err);
    buf_fini(&ours);
    return ok;
}

/* `errors`: of requests for the target's page; `self`: with the agent's own
 * metrics, if the door has them. */
static void reply_page(struct showing *s, uint64_t errors, bool self)
{
    const struct compose_rules *rules = &s->visit->door->rules;
    struct sonde_err err = { 0 };
    struct buf out;
    bool ok = true;

    buf_init(&out);
    if (s->count == 1 && compose_is_plain(rules, s->pages[0])) {
        put_plain(s, errors, &out);
        if (self)
            add_self(s->visit->door, &out);
    } else {
        ok = put_composed(s, errors, self, &out, &err);
    }
    if (ok)
        http_reply_take(s->visit->call, 200, EXPO_CONTENT_TYPE, &out);
    else
        door_reply_text(s->visit, 503, err.text);
    buf_fini(&out);
}

/* A reload may take the targets away while they are shown. */
static bool is_outdated(const struct showing *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->pages[i] && s->pages[i]->code == SONDE_ENOTFOUND)
            return true;
    return s->count == 0;
}

static void show_job(struct showing *s, struct visit *v)
{
    struct target **targets;
    size_t n = scrape_job_targets(v->job, http_call_arena(v->call), &targets);

    show_begin(s, v, targets, n, v->config->expose.on_demand);
}

static void show_job_end(struct showing *s)
{
    show_end(s);
    for (size_t i = 0; i < s->count; i++)
        scrape_target_put(s->targets[i]);
}

void door_metrics(struct visit *v)
{
    struct door *d = v->door;
    struct showing s = { 0 };

    while (v->job) {
        show_job(&s, v);
        if (!is_outdated(&s) || !door_renew(v))
            break;
        show_job_end(&s);
        s.count = 0;
    }
    if (!v->job)
        door_reply_text(v, 503, "the job is not there yet\n");
    else if (s.count ? s.failed < s.count : d->options.self)
        reply_page(&s, atomic_load(&d->target_errors), true);
    else if (s.count)
        reply_failed(&s);
    else
        door_reply_text(v, 503, "the job has no targets\n");
    show_job_end(&s);
}

/* ---- target= ------------------------------------------------------------- */

static bool is_clean(sonde_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    return s.len <= PARAM_MAX_BYTES && str_is_utf8(s);
}

/* The option that a parameter sets. */
static sonde_str option_name(struct arena *a, const char *param)
{
    char *z = arena_cstr(a, sonde_cstr(param));

    for (char *p = z; *p; p++)
        if (*p == '-')
            *p = '_';
    return sonde_cstr(z);
}

static struct config_pair *find_pair(struct config_map *m, sonde_str key)
{
    for (size_t i = 0; i < m->count; i++)
        if (sonde_str_eq(m->items[i].key, key))
            return &m->items[i];
    return &m->items[m->count];
}

/* The parameters that the exporter has; others say nothing. Of two spellings
 * of one option the later in the exporter's list counts. False: one is no
 * text. */
static bool read_params(const struct visit *v, struct config_map *out)
{
    struct arena *a = http_call_arena(v->call);
    const char *const *names = v->door->exporter->target_params;

    out->items = arena_array(a, struct config_pair, PARAMS_MAX + 1);
    for (; names && *names && out->count < PARAMS_MAX; names++) {
        struct config_pair *p;
        sonde_str *value = arena_new(a, sonde_str);

        if (!http_call_param(v->call, *names, 0, value) || value->len == 0)
            continue;
        if (!is_clean(*value))
            return false;
        p = find_pair(out, option_name(a, *names));
        out->count += p == &out->items[out->count];
        *p = (struct config_pair){ .key = option_name(a, *names),
                                   .values = { value, 1 } };
    }
    return true;
}

/* False: a reload came between, nothing is answered yet. */
static bool show_target(struct visit *v, struct target *t)
{
    struct showing s;
    bool outdated;

    show_begin(&s, v, &t, 1, true);
    outdated = is_outdated(&s) && door_renew(v);
    if (!outdated && s.failed)
        reply_failed(&s);
    else if (!outdated)
        reply_page(&s, 0, false);
    show_end(&s);
    return !outdated;
}

static bool show_asked(struct visit *v, sonde_str address,
                       const struct config_map *options)
{
    const struct asked_want want = { v->job, address, options, v->deadline };
    struct sonde_err err = { 0 };
    struct target *t;
    sonde_code rc = asked_get(v->door->asked, &want, &t, &err);
    bool answered;

    if (rc != SONDE_OK) {
        door_reply_text(v, rc == SONDE_EINVAL ? 400 : 503, err.text);
        return true;
    }
    answered = show_target(v, t);
    asked_put(v->door->asked, t);
    return answered;
}

static void refuse(struct visit *v, sonde_code rc, const char *why,
                   sonde_str shown)
{
    static struct log_limit limit;
    uint64_t held;

    (void)atomic_fetch_add(&v->door->target_errors, 1);
    if (rc == SONDE_EACCESS) {
        metric_inc(v->door->refused);
        if (log_limit_pass(&limit, 60000, &held))
            log_warn("expose", "a target that is not allowed was asked for",
                     LOG_STR("job", v->door->job), LOG_STR("target", shown),
                     LOG_NUM("more", held));
    }
    door_reply_text(v,
                    rc == SONDE_EACCESS  ? 403
                    : rc == SONDE_EINVAL ? 400
                                         : 503,
                    why);
}

/* What `target=` says, if it may be reached. */
static bool show_reached(struct visit *v, sonde_str text,
                         const struct config_map *options)
{
    struct reach reach = { 0 };
    struct sonde_err err = { 0 };
    sonde_code rc = reach_target(v->job, http_call_arena(v->call), text,
                                 v->deadline, &reach, &err);
    bool answered = true;

    if (rc != SONDE_OK)
        refuse(v, rc, err.text, reach.shown);
    else if (reach.configured && options->count == 0)
        answered = show_target(v, reach.configured);
    else
        answered = show_asked(v,
                              reach.configured
                                  ? scrape_target_address(reach.configured)
                                  : reach.address,
                              options);
    scrape_target_put(reach.configured);
    return answered;
}

void door_target(struct visit *v)
{
    const sonde_str none = { 0 };
    struct config_map options = { 0 };
    sonde_str text;

    if (v->job &&
        (!http_call_param(v->call, "target", 0, &text) || text.len == 0)) {
        refuse(v, SONDE_EINVAL, "'target' parameter must be specified\n", none);
        return;
    }
    if (v->job && !read_params(v, &options)) {
        refuse(v, SONDE_EINVAL, "a parameter is no text, or is too long\n",
               none);
        return;
    }
    while (v->job && !show_reached(v, text, &options))
        ; /* once more, with the job as it is now */
    if (!v->job)
        door_reply_text(v, 503, "the job is not there yet\n");
}
