/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One plugin working on one target: open, collect or plan and parse, close.
 *
 * The instance owns an arena with all that `open` was shown (options,
 * address, the handle), because the contract says that it stays valid until
 * after `close`. The plugin's own state is behind an opaque pointer and is
 * never looked into.
 *
 * `close` is called once for every `open` that was called, also for one that
 * failed, so a plugin has one place where things end. A plugin without
 * `open` has no state; its functions are called with NULL.
 *
 * What the parts of collections leave for the next is the instance's too. A
 * collect plugin's collection is one call and one sink; that of a plugin that
 * fetches begins with its plan, has a sink for each answer, and ends with
 * plugin_planned.
 *
 * A plugin that fails without saying why still gives a readable reason: the
 * text of its code.
 */
#include <string.h>

#include "plugin/parts.h"
#include "plugin/plugin_int.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

struct plugin_instance {
    const struct plugin *plugin;
    struct arena arena;
    struct sonde_target target;
    struct sonde_open open;
    struct sonde_tls tls;
    struct parts *parts;          /* NULL: the plugin names none */
    struct sonde_instance *state; /* the plugin's */
    bool opened;                  /* `open` was called */
};

static void no_warning(void *arg, const char *text)
{
    /* The configuration's check has said it already. */
    (void)arg;
    (void)text;
}

/* Makes sure that a failure has a code and a text. */
static sonde_code failed(sonde_code rc, const char *plugin, const char *what,
                         struct sonde_err *err)
{
    if (rc == SONDE_OK || !err)
        return rc;
    if (err->text[0] == '\0')
        (void)sonde_err_set(err, rc, "plugin %s: %s failed: %s", plugin, what,
                            sonde_code_text(rc));
    err->code = rc;
    return rc;
}

/* ---- options ------------------------------------------------------------- */

static sonde_code read_options(const struct sonde_plugin *d,
                               struct config_ctx *ctx,
                               const struct yaml_node *node,
                               const struct config_map *overrides, void **out,
                               struct sonde_err *err)
{
    void *options = arena_alloc(ctx->arena, d->options_size + 1);
    sonde_code rc;

    rc = options_read(ctx, d->options, d->option_count, d->option_size, node,
                      overrides, options, err);
    if (rc != SONDE_OK)
        return rc;
    *out = options;
    if (!d->check)
        return SONDE_OK;
    return failed(d->check(options, err), d->name, "check of options", err);
}

sonde_code plugin_check_options(const struct plugin *p, struct config_ctx *ctx,
                                const struct yaml_node *node,
                                struct sonde_err *err)
{
    struct sonde_err local = { 0 };
    void *options = NULL;
    sonde_code rc;

    rc = read_options(p->desc, ctx, node, NULL, &options, &local);
    /* What the plugin's own check says has no place in the file yet. */
    if (rc != SONDE_OK && options && node)
        return yaml_error(node, err, "options of plugin %s: %s", p->desc->name,
                          local.text);
    if (rc != SONDE_OK && err)
        *err = local;
    return rc;
}

/* ---- open and close ------------------------------------------------------ */

static bool is_bare_host(sonde_str a)
{
    if (a.len == 0 || str_starts(a, SONDE_STR("unix:")) ||
        str_index(a, '/') < a.len)
        return false;
    if (a.ptr[0] == '[')
        return a.ptr[a.len - 1] == ']';
    return str_index(a, ':') == a.len;
}

/* A plugin that fetches has the host's client, which takes PEM in place too. */
static void fill_tls(struct plugin_instance *i, const struct tls_config *c)
{
    struct arena *a = &i->arena;

    i->tls = (struct sonde_tls){ .struct_size = sizeof(i->tls) };
    if (!c)
        return;
    if ((c->ca.len || c->cert.len || c->key.len) && !i->plugin->desc->plan)
        log_warn("plugin",
                 "tls_config: certificates in place (ca, cert, key) do not "
                 "reach this plugin; give ca_file, cert_file, key_file",
                 LOG_CSTR("plugin", i->target.plugin),
                 LOG_STR("job", i->target.job),
                 LOG_STR("target", i->target.address));
    i->tls.ca_file = arena_str(a, c->ca_file);
    i->tls.cert_file = arena_str(a, c->cert_file);
    i->tls.key_file = arena_str(a, c->key_file);
    i->tls.server_name = arena_str(a, c->server_name);
    i->tls.insecure = c->insecure_skip_verify;
}

static void fill_open(struct plugin_instance *i, const struct plugin_target *t,
                      const void *options)
{
    const struct sonde_plugin *d = i->plugin->desc;
    struct arena *a = &i->arena;
    sonde_str address = arena_str(a, t->address);

    if (d->default_port && is_bare_host(address))
        address = arena_printf(a, "%.*s:%u", SONDE_ARG(address),
                               (unsigned)d->default_port);
    i->target.plugin = d->name;
    i->target.job = arena_str(a, t->job);
    i->target.address = address;
    buf_init(&i->target.file);
    buf_init(&i->target.state);
    if (t->state_dir)
        i->target.state_dir = arena_cstr(a, sonde_cstr(t->state_dir));
    plugin_state_id(t, i->target.state_id);
    fill_tls(i, t->tls);
    i->parts = parts_new(i->plugin, &i->target, t->interval, t->slow_interval);
    i->open = (struct sonde_open){
        .struct_size = sizeof(struct sonde_open),
        .target = &i->target,
        .options = options,
        .job = i->target.job,
        .address = address,
        .scheme = arena_str(a, t->scheme),
        .metrics_path = arena_str(a, t->metrics_path),
        .tls = &i->tls,
        .interval = t->interval,
        .timeout = t->timeout,
        .slow_interval = t->slow_interval,
    };
}

sonde_code plugin_open(const struct plugin *p,
                       const struct plugin_target *target,
                       struct plugin_instance **out, struct sonde_err *err)
{
    const struct sonde_plugin *d = p->desc;
    struct plugin_instance *i = mem_new(struct plugin_instance);
    struct sonde_err local = { 0 };
    struct config_ctx ctx = { .arena = &i->arena,
                              .expand_env = target->expand_env,
                              .warn = no_warning };
    void *options = NULL;
    sonde_code rc;

    i->plugin = p;
    arena_init(&i->arena);
    rc = read_options(d, &ctx, target->options, target->overrides, &options,
                      &local);
    if (rc == SONDE_OK) {
        fill_open(i, target, options);
        if (d->open) {
            i->opened = true;
            rc = failed(d->open(plugin_host(), &i->open, &i->state, &local),
                        d->name, "open", &local);
        }
    }
    if (rc != SONDE_OK) {
        plugin_close(i);
        if (err)
            *err = local;
        return rc;
    }
    *out = i;
    return SONDE_OK;
}

void plugin_close(struct plugin_instance *i)
{
    if (!i)
        return;
    if (i->opened)
        i->plugin->desc->close(i->state);
    parts_free(i->parts);
    buf_fini(&i->target.file);
    buf_fini(&i->target.state);
    arena_fini(&i->arena);
    free(i);
}

/* ---- collections --------------------------------------------------------- */

void plugin_reload(struct plugin_instance *i)
{
    const struct sonde_plugin *d = i->plugin->desc;

    if (SONDE_HAS(struct sonde_plugin, d, reload))
        d->reload(i->state);
}

/* The end of a sink: its text, if all went well, and what is kept of it.
 * `last`: it is the collection's last. */
static sonde_code finish_sink(struct plugin_instance *i,
                              struct sonde_sink *sink, bool last, sonde_code rc,
                              struct buf *out, struct sonde_err *err)
{
    if (last)
        parts_end(i->parts, sink, rc == SONDE_OK);
    else
        parts_take(i->parts, sink, rc == SONDE_OK);
    if (rc == SONDE_OK)
        rc = sink_finish(sink, out, err);
    sink_free(sink);
    return rc;
}

static sonde_code copy_err(sonde_code rc, const struct sonde_err *local,
                           struct sonde_err *err)
{
    if (rc != SONDE_OK && err)
        *err = *local;
    return rc;
}

sonde_code plugin_collect(struct plugin_instance *i, sonde_msec deadline,
                          struct buf *out, struct sonde_err *err)
{
    const struct sonde_plugin *d = i->plugin->desc;
    struct sonde_err local = { 0 };
    struct sonde_sink *sink;
    sonde_code rc;

    if (!d->collect)
        return sonde_err_set(err, SONDE_EINVAL,
                             "plugin %s fetches, it does not collect", d->name);
    if (!d->plan)
        parts_begin(i->parts, parts_now());
    sink = sink_new(i->plugin, i->parts);
    rc = failed(d->collect(i->state, sink, deadline, &local), d->name,
                "collection", &local);
    rc = finish_sink(i, sink, !d->plan, rc, out, &local);
    return copy_err(rc, &local, err);
}

static sonde_code check_request(const struct sonde_plugin *d,
                                const struct sonde_request *r, size_t n,
                                struct sonde_err *err)
{
    if (r->body != SONDE_BODY_EXPOSITION && r->body != SONDE_BODY_PLUGIN &&
        r->body != SONDE_BODY_COLLECT)
        return sonde_err_set(err, SONDE_EINVAL,
                             "plugin %s, request %zu: unknown kind of body %d",
                             d->name, n, (int)r->body);
    if (r->body == SONDE_BODY_COLLECT && !d->collect)
        return sonde_err_set(err, SONDE_EINVAL,
                             "plugin %s, request %zu needs `collect`, which "
                             "the plugin does not have",
                             d->name, n);
    if (!d->parse &&
        (r->body == SONDE_BODY_PLUGIN || (r->flags & SONDE_FETCH_MAY_FAIL)))
        return sonde_err_set(err, SONDE_EINVAL,
                             "plugin %s, request %zu needs `parse`, which the "
                             "plugin does not have",
                             d->name, n);
    if (r->path.len > PLUGIN_REQUEST_BYTES_MAX ||
        (r->path.len && r->path.ptr[0] != '/'))
        return sonde_err_set(err, SONDE_EINVAL,
                             "plugin %s, request %zu: expected a path of up "
                             "to %d bytes that begins with '/', got "
                             "\"%.100s\"",
                             d->name, n, PLUGIN_REQUEST_BYTES_MAX, r->path.ptr);
    for (size_t i = 0; i < r->path.len; i++) {
        unsigned char c = (unsigned char)r->path.ptr[i];

        if (c <= ' ' || c == 0x7f)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "plugin %s, request %zu: byte 0x%02x in the "
                                 "path must be percent-encoded",
                                 d->name, n, c);
    }
    return SONDE_OK;
}

sonde_code plugin_plan(struct plugin_instance *i, struct sonde_plan *out,
                       struct sonde_err *err)
{
    const struct sonde_plugin *d = i->plugin->desc;
    struct sonde_err local = { 0 };
    size_t round;
    sonde_code rc;

    if (!d->plan)
        return sonde_err_set(err, SONDE_EINVAL,
                             "plugin %s collects, it does not fetch", d->name);
    round = out->round;
    if (round == 0)
        parts_begin(i->parts, parts_now());
    *out = (struct sonde_plan){ .struct_size = sizeof(*out), .round = round };
    rc = failed(d->plan(i->state, out, &local), d->name, "plan", &local);
    out->round = round;
    if (rc == SONDE_OK &&
        ((out->count == 0 && round == 0) || out->count > SONDE_FETCH_MAX))
        rc = sonde_err_set(&local, SONDE_EINVAL,
                           "plugin %s plans %zu requests, expected 1 to %d",
                           d->name, out->count, SONDE_FETCH_MAX);
    if (rc == SONDE_OK && out->more && round + 1 >= SONDE_ROUNDS_MAX)
        rc = sonde_err_set(&local, SONDE_EINVAL,
                           "plugin %s plans more than %d rounds of requests",
                           d->name, SONDE_ROUNDS_MAX);
    for (size_t n = 0; rc == SONDE_OK && n < out->count; n++)
        rc = check_request(d, &out->requests[n], n, &local);
    return copy_err(rc, &local, err);
}

sonde_code plugin_parse(struct plugin_instance *i,
                        const struct sonde_response *response, struct buf *out,
                        struct sonde_err *err)
{
    const struct sonde_plugin *d = i->plugin->desc;
    struct sonde_err local = { 0 };
    struct sonde_sink *sink;
    sonde_code rc;

    if (!d->parse)
        return sonde_err_set(err, SONDE_EINVAL, "plugin %s does not parse",
                             d->name);
    sink = sink_new(i->plugin, i->parts);
    rc = failed(d->parse(i->state, response, sink, &local), d->name, "parse",
                &local);
    rc = finish_sink(i, sink, false, rc, out, &local);
    return copy_err(rc, &local, err);
}

sonde_code plugin_planned(struct plugin_instance *i, struct buf *out,
                          struct sonde_err *err)
{
    struct sonde_err local = { 0 };
    sonde_code rc;

    if (!i->parts)
        return SONDE_OK;
    rc = finish_sink(i, sink_new(i->plugin, i->parts), true, SONDE_OK, out,
                     &local);
    return copy_err(rc, &local, err);
}

/* ---- discovery ----------------------------------------------------------- */

sonde_code plugin_discover(struct plugin_instance *i, sonde_msec deadline,
                           void (*emit)(void *arg, sonde_str address),
                           void *arg, struct sonde_err *err)
{
    const struct sonde_plugin *d = i->plugin->desc;
    struct sonde_err local = { 0 };
    sonde_code rc;

    if (!SONDE_HAS(struct sonde_plugin, d, discover))
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "plugin %s discovers no targets", d->name);
    rc = failed(d->discover(i->state, deadline, emit, arg, &local), d->name,
                "discovery", &local);
    return copy_err(rc, &local, err);
}
