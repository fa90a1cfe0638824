/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job is written as YAML and read by the tables that read files, so that
 * whatever is wrong is found by the same checks, and nothing that a
 * configuration can say is there twice. Every text goes in quoted; what can
 * not be quoted (a byte that is no UTF-8) is an error of the reader.
 *
 * What a block can not say (labels, a prefix, passwords of the pages) goes to
 * the door directly.
 */
#include "cli/exporter_job.h"

#include <stdlib.h>
#include <string.h>

#include "cli/exporter_targets.h"
#include "model/labels.h"
#include "model/number.h"
#include "util/mem.h"
#include "util/str.h"

#define INTERVAL_MS 60000 /* of the schedule that is not kept */
#define TIMEOUT_MS  10000

/* ---- writing YAML -------------------------------------------------------- */

static void put_quoted(struct buf *b, sonde_str s)
{
    buf_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\x%02x", c);
        else
            buf_char(b, (char)c);
    }
    buf_char(b, '"');
}

static void put_pair(struct buf *b, const char *indent, const char *key,
                     sonde_str value)
{
    if (value.len == 0)
        return;
    buf_printf(b, "%s%s: ", indent, key);
    put_quoted(b, value);
    buf_char(b, '\n');
}

static bool is_bare(enum sonde_option_kind kind)
{
    return kind == SONDE_OPT_KIND_BOOL || kind == SONDE_OPT_KIND_INT ||
           kind == SONDE_OPT_KIND_FLOAT;
}

static void put_option(struct buf *b, const struct job_option *o)
{
    if (o->count == 0 && o->row->kind != SONDE_OPT_KIND_LIST)
        return;
    buf_printf(b, "  %.*s: ", SONDE_ARG(o->name));
    if (o->row->kind == SONDE_OPT_KIND_LIST) {
        buf_char(b, '[');
        for (size_t i = 0; i < o->count; i++) {
            buf_cstr(b, i ? ", " : "");
            put_quoted(b, o->values[i]);
        }
        buf_char(b, ']');
    } else if (is_bare(o->row->kind)) {
        buf_put(b, o->values[o->count - 1]);
    } else {
        put_quoted(b, o->values[o->count - 1]);
    }
    buf_char(b, '\n');
}

static void put_options(struct buf *b, const struct job_parts *p)
{
    size_t start = b->len, content;

    buf_cstr(b, "options:\n");
    content = b->len;
    for (size_t i = 0; i < p->option_count; i++)
        put_option(b, &p->options[i]);
    if (b->len == content)
        b->len = start;
}

static void put_params(struct buf *b, sonde_str query)
{
    sonde_str pair;

    while (str_split(&query, '&', &pair)) {
        size_t eq = str_index(pair, '=');

        if (eq == 0)
            continue;
        buf_printf(b, "      __param_%.*s: ", SONDE_ARG(str_sub(pair, 0, eq)));
        put_quoted(b, str_sub(pair, eq + 1, pair.len));
        buf_char(b, '\n');
    }
}

static void put_target(struct buf *b, const struct job_target *t)
{
    buf_cstr(b, "  - targets: [");
    put_quoted(b, t->address);
    buf_cstr(b, "]\n    labels:\n");
    put_pair(b, "      ", TARGET_GIVEN_NAME, t->name);
    put_pair(b, "      ", "__scheme__", t->scheme);
    put_pair(b, "      ", "__metrics_path__", t->path);
    put_params(b, t->query);
}

/* The credentials that a URL brought: one pair for the job. */
static sonde_code put_auth(struct buf *b, const struct job_parts *p)
{
    const struct job_target *with = NULL;

    for (size_t i = 0; i < p->target_count; i++) {
        const struct job_target *t = &p->targets[i];

        if (t->user.len == 0)
            continue;
        if (with && (!sonde_str_eq(with->user, t->user) ||
                     !sonde_str_eq(with->password, t->password)))
            return sonde_err_set(p->err, SONDE_EUNSUPPORTED,
                                 "targets with different passwords: give each "
                                 "an exporter of its own, or a job in a "
                                 "configuration file");
        with = t;
    }
    if (!with)
        return SONDE_OK;
    buf_cstr(b, "basic_auth:\n");
    put_pair(b, "  ", "username", with->user);
    put_pair(b, "  ", "password", with->password);
    return SONDE_OK;
}

static bool is_unverified(const struct exporter_flags *f)
{
    const struct exporter_flag *verify =
        exporter_flag_of(f, SONDE_FLAG_TLS_VERIFY);

    return exporter_bool_of(f, SONDE_FLAG_TLS_INSECURE) ||
           (verify && !exporter_bool_of(f, SONDE_FLAG_TLS_VERIFY));
}

/* A client's pair is used when both halves are there. */
static void put_tls(struct buf *b, const struct exporter_flags *f)
{
    sonde_str cert = exporter_text_of(f, SONDE_FLAG_TLS_CERT);
    sonde_str key = exporter_text_of(f, SONDE_FLAG_TLS_KEY);

    buf_cstr(b, "tls_config:\n");
    buf_printf(b, "  insecure_skip_verify: %s\n",
               is_unverified(f) ? "true" : "false");
    put_pair(b, "  ", "ca_file", exporter_text_of(f, SONDE_FLAG_TLS_CA));
    put_pair(b, "  ", "server_name", exporter_text_of(f, SONDE_FLAG_TLS_NAME));
    if (cert.len == 0 || key.len == 0)
        return;
    put_pair(b, "  ", "cert_file", cert);
    put_pair(b, "  ", "key_file", key);
}

static void put_expose(struct buf *b, const struct exporter_flags *f)
{
    const struct exporter_flag *allow = exporter_flag_of(f, OWN_ALLOW);

    buf_cstr(b, "expose:\n  address: \":0\"\n  on_demand: true\n");
    put_pair(b, "  ", "path", exporter_text_of(f, SONDE_FLAG_METRICS_PATH));
    put_pair(b, "  ", "web_config_file",
             exporter_text_of(f, SONDE_FLAG_WEB_CONFIG));
    if (exporter_text_of(f, OWN_MAX_TARGETS).len)
        buf_printf(b, "  max_targets: %.*s\n",
                   SONDE_ARG(exporter_text_of(f, OWN_MAX_TARGETS)));
    if (!allow)
        return;
    buf_cstr(b, "  allow:\n");
    for (size_t i = 0; i < allow->count; i++) {
        buf_cstr(b, "    - ");
        put_quoted(b, allow->values[i]);
        buf_char(b, '\n');
    }
}

static sonde_msec duration_of(const struct exporter_flags *f, int role,
                              sonde_msec fallback)
{
    const struct exporter_flag *flag = exporter_flag_of(f, role);
    sonde_str s = exporter_text_of(f, role);
    sonde_msec ms;
    double seconds;

    if (!flag)
        return fallback;
    if (flag->row.kind == SONDE_OPT_KIND_DURATION)
        return duration_parse(s, &ms) ? ms : fallback;
    return number_parse(s, &seconds) ? (sonde_msec)(seconds * 1000) : fallback;
}

static sonde_code put_schedule(struct buf *b, const struct exporter_flags *f,
                               struct sonde_err *err)
{
    sonde_msec timeout = duration_of(f, SONDE_FLAG_TIMEOUT, TIMEOUT_MS);

    if (timeout <= 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "--%s: expected a duration above 0",
                             exporter_flag_of(f, SONDE_FLAG_TIMEOUT)->row.name);
    buf_printf(b,
               "scrape_timeout: %lldms\nscrape_interval: %lldms\n"
               "slow_interval: %lldms\n",
               (long long)timeout,
               (long long)(timeout > INTERVAL_MS ? timeout : INTERVAL_MS),
               (long long)duration_of(f, OWN_SLOW_INTERVAL, 0));
    return SONDE_OK;
}

static sonde_code put_job(struct buf *b, const struct job_parts *p)
{
    const struct exporter_flags *f = p->flags;
    sonde_code rc;

    buf_printf(b, "job_name: %s\nplugin: %s\n", p->plugin->name,
               p->plugin->name);
    rc = put_schedule(b, f, p->err);
    if (rc == SONDE_OK)
        rc = put_auth(b, p);
    if (rc != SONDE_OK)
        return rc;
    put_pair(b, "", "scheme", exporter_text_of(f, SONDE_FLAG_SCHEME));
    put_tls(b, f);
    put_options(b, p);
    put_expose(b, f);
    buf_cstr(b, p->target_count ? "static_configs:\n" : "");
    for (size_t i = 0; i < p->target_count; i++)
        put_target(b, &p->targets[i]);
    return SONDE_OK;
}

sonde_code exporter_job_text(const struct exporter_flags *f,
                             const struct sonde_plugin *plugin, struct buf *out,
                             struct sonde_err *err)
{
    struct job_parts p;
    sonde_code rc = job_parts_read(&p, f, plugin, err);

    if (rc == SONDE_OK)
        rc = put_job(out, &p);
    job_parts_fini(&p);
    return rc;
}

/* ---- the door ------------------------------------------------------------ */

/* name=value, each a label of all series. */
static sonde_code read_labels(const struct exporter_flags *f, struct arena *a,
                              struct expose_door *door, struct sonde_err *err)
{
    const struct exporter_flag *flag = exporter_flag_of(f, SONDE_FLAG_LABEL);
    size_t n = flag ? flag->count : 0;
    struct config_map *map = arena_new(a, struct config_map);
    sonde_str *values = arena_array(a, sonde_str, n + 1);

    map->items = arena_array(a, struct config_pair, n + 1);
    for (size_t i = 0; i < n; i++) {
        sonde_str s = flag->values[i];
        size_t eq = str_index(s, '=');
        sonde_str name = str_trim(str_sub(s, 0, eq));

        if (s.len == 0)
            continue;
        if (eq == s.len || !label_name_is_legacy(name))
            return sonde_err_set(err, SONDE_EINVAL,
                                 "--%s: expected NAME=VALUE, got \"%.*s\"",
                                 flag->row.name, SONDE_ARG(str_sub(s, 0, 128)));
        values[i] = arena_str(a, str_sub(s, eq + 1, s.len));
        map->items[map->count++] =
            (struct config_pair){ .key = arena_str(a, name),
                                  .values = { &values[i], 1 } };
    }
    door->labels = map;
    return SONDE_OK;
}

/* "redis" and "redis_" mean the same where the families begin "redis_". */
static void read_prefix(const struct exporter_flags *f, struct arena *a,
                        struct expose_door *door)
{
    const char *usual = f->exporter->prefix;
    sonde_str given = exporter_text_of(f, SONDE_FLAG_PREFIX);

    if (!usual || !exporter_flag_of(f, SONDE_FLAG_PREFIX))
        return;
    if (given.len && str_ends(sonde_cstr(usual), SONDE_STR("_")) &&
        !str_ends(given, SONDE_STR("_")))
        given = arena_printf(a, "%.*s_", SONDE_ARG(given));
    if (str_eq_cstr(given, usual))
        return;
    door->prefix = sonde_cstr(usual);
    door->prefix_instead = arena_str(a, given);
}

static void read_listen(const struct exporter_flags *f,
                        const struct sonde_plugin *plugin, struct arena *a,
                        struct expose_door *door)
{
    const struct exporter_flag *flag = exporter_flag_of(f, SONDE_FLAG_LISTEN);
    sonde_str host = exporter_text_of(f, SONDE_FLAG_LISTEN_HOST);
    sonde_str port = exporter_text_of(f, SONDE_FLAG_LISTEN_PORT);
    size_t n = flag ? flag->count : 1;
    const char **listen = arena_array(a, const char *, n + 1);

    for (size_t i = 0; flag && i < n; i++)
        listen[i] = arena_cstr(a, flag->values[i]);
    if (!flag && port.len)
        listen[0] =
            arena_printf(a, "%.*s:%.*s", SONDE_ARG(host), SONDE_ARG(port)).ptr;
    else if (!flag)
        listen[0] = arena_printf(a, "%.*s:%u", SONDE_ARG(host),
                                 (unsigned)plugin->expose_port)
                        .ptr;
    door->listen = listen;
    door->listen_count = n;
}

static sonde_code put_user(const struct exporter_flags *f, struct buf *b,
                           struct sonde_err *err)
{
    sonde_str user = exporter_text_of(f, SONDE_FLAG_USER);
    sonde_str password = exporter_text_of(f, SONDE_FLAG_PASSWORD);
    sonde_str hash = exporter_text_of(f, SONDE_FLAG_PASSWORD_HASH);
    sonde_code rc = SONDE_OK;
    struct buf made;

    if (user.len == 0 && password.len == 0 && hash.len == 0)
        return SONDE_OK;
    if (user.len == 0 || (password.len == 0) == (hash.len == 0))
        return sonde_err_set(err, SONDE_EINVAL,
                             "basic authentication of the pages: give a user "
                             "and either a password or a bcrypt hash");
    buf_init(&made);
    if (password.len)
        rc = web_password_hash(password, &made, err);
    buf_cstr(b, "basic_auth_users:\n  ");
    put_quoted(b, user);
    buf_cstr(b, ": ");
    put_quoted(b, password.len ? buf_str(&made) : hash);
    buf_char(b, '\n');
    buf_fini(&made);
    return rc;
}

/* "TLS1.2" is what the file calls TLS12. */
static void put_version(struct buf *b, sonde_str s)
{
    if (s.len == 0)
        return;
    buf_cstr(b, "  min_version: ");
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '.')
            buf_char(b, s.ptr[i]);
    buf_char(b, '\n');
}

static sonde_code put_server_tls(const struct exporter_flags *f, struct buf *b,
                                 struct sonde_err *err)
{
    sonde_str cert = exporter_text_of(f, SONDE_FLAG_SERVER_CERT);
    sonde_str key = exporter_text_of(f, SONDE_FLAG_SERVER_KEY);
    sonde_str ca = exporter_text_of(f, SONDE_FLAG_SERVER_CA);

    if (cert.len == 0 && key.len == 0)
        return SONDE_OK;
    if (cert.len == 0 || key.len == 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "TLS of the pages: give both the certificate's "
                             "and the key's file");
    buf_cstr(b, "tls_server_config:\n");
    put_pair(b, "  ", "cert_file", cert);
    put_pair(b, "  ", "key_file", key);
    put_pair(b, "  ", "client_ca_file", ca);
    if (ca.len)
        buf_cstr(b, "  client_auth_type: RequireAndVerifyClientCert\n");
    put_version(b, exporter_text_of(f, SONDE_FLAG_SERVER_TLS_MIN));
    return SONDE_OK;
}

static sonde_code read_web(const struct exporter_flags *f, struct arena *a,
                           struct expose_door *door, struct sonde_err *err)
{
    sonde_code rc;
    struct buf b;

    buf_init(&b);
    rc = put_server_tls(f, &b, err);
    if (rc == SONDE_OK)
        rc = put_user(f, &b, err);
    if (rc == SONDE_OK && b.len &&
        exporter_text_of(f, SONDE_FLAG_WEB_CONFIG).len)
        rc = sonde_err_set(err, SONDE_EINVAL,
                           "TLS and passwords of the pages come from flags or "
                           "from a web config file, not from both");
    door->web_config = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return rc;
}

static sonde_code read_door(const struct exporter_flags *f,
                            const struct sonde_plugin *plugin,
                            struct sidecar_config *c, struct sonde_err *err)
{
    struct expose_door *door = &c->door;
    sonde_code rc;

    *door = (struct expose_door){
        .job = &c->job,
        .no_targets = exporter_bool_of(f, SONDE_FLAG_NO_TARGETS),
        .self = !exporter_bool_of(f, SONDE_FLAG_NO_SELF),
    };
    read_prefix(f, &c->arena, door);
    read_listen(f, plugin, &c->arena, door);
    rc = read_labels(f, &c->arena, door, err);
    return rc == SONDE_OK ? read_web(f, &c->arena, door, err) : rc;
}

/* ---- the job ------------------------------------------------------------- */

static sonde_code read_job(const struct plugin *plugin, sonde_str text,
                           struct sidecar_config *c, struct sonde_err *err)
{
    struct config_ctx ctx = { .arena = &c->arena };
    struct yaml_node *node;
    sonde_code rc = yaml_parse(&c->arena, "flags", text, &node, err);

    c->globals = (struct scrape_globals){ .scrape_interval = INTERVAL_MS,
                                          .scrape_timeout = TIMEOUT_MS };
    if (rc == SONDE_OK)
        rc = config_read(&ctx, &scrape_config_block, node, &c->job, err);
    if (rc == SONDE_OK)
        rc = scrape_config_finish(&c->job, &c->globals, err);
    if (rc == SONDE_OK)
        rc = plugin_check_options(plugin, &ctx, c->job.options, err);
    c->job.pages_only = true;
    return rc;
}

sonde_code exporter_job(const struct exporter_flags *f,
                        const struct plugin *plugin,
                        struct sidecar_config **out, struct sonde_err *err)
{
    const struct sonde_plugin *d = plugin_desc(plugin);
    struct sidecar_config *c = sidecar_config_new();
    struct buf text;
    sonde_code rc;

    buf_init(&text);
    rc = exporter_job_text(f, d, &text, err);
    if (rc == SONDE_OK)
        rc = read_job(plugin, buf_str(&text), c, err);
    if (rc == SONDE_OK)
        rc = read_door(f, d, c, err);
    buf_fini(&text);
    if (rc == SONDE_OK)
        *out = c;
    else
        sidecar_config_unref(c);
    return rc;
}
