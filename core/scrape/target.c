/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From discovery's labels to a target: the job's defaults join in, the
 * relabel rules run, what begins with __ steers the scrape, the rest goes on
 * every sample. The order of steps is Prometheus' (scrape/target.go,
 * PopulateLabels), so is the offset of the schedule within the interval: a
 * hash of labels and URL, so that it is the same after a restart and spread
 * over targets and replicas.
 */
#include "scrape/target.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "model/number.h"
#include "scrape/demand.h"
#include "util/mem.h"
#include "util/str.h"

#define UNIX       SONDE_STR("unix:")
#define FNV_OFFSET UINT64_C(14695981039346656037)
#define FNV_PRIME  UINT64_C(1099511628211)

struct target *target_ref(struct target *t)
{
    (void)atomic_fetch_add(&t->refs, 1);
    return t;
}

void target_unref(struct target *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    http_client_free(t->client);
    plugin_close(t->instance);
    series_cache_fini(&t->cache);
    exemplar_cache_fini(&t->exemplars);
    family_cache_fini(&t->families);
    exposure_free(t->exposure);
    free(t->last_error);
    (void)pthread_mutex_destroy(&t->lock);
    job_unref(t->job);
    arena_fini(&t->arena);
    free(t);
}

static void set_if_absent(struct labels_builder *lb, const char *name,
                          sonde_str value)
{
    if (labels_builder_get(lb, sonde_cstr(name)).len == 0)
        labels_builder_set(lb, sonde_cstr(name), value);
}

static sonde_str duration_text(struct arena *a, sonde_msec d)
{
    struct buf b;
    sonde_str s;

    buf_init(&b);
    buf_duration(&b, d);
    s = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return s;
}

void target_populate(const struct scrape_config *config,
                     const struct labels *target, const struct labels *group,
                     struct labels_builder *lb)
{
    struct arena *a = lb->arena;

    labels_builder_from(lb, group);
    for (size_t i = 0; i < target->count; i++)
        labels_builder_set(lb, target->items[i].name, target->items[i].value);
    set_if_absent(lb, "job", config->job_name);
    set_if_absent(lb, "__scrape_interval__",
                  duration_text(a, config->scrape_interval));
    set_if_absent(lb, "__scrape_timeout__",
                  duration_text(a, config->scrape_timeout));
    set_if_absent(lb, "__metrics_path__", config->metrics_path);
    set_if_absent(lb, "__scheme__", config->scheme);
    for (size_t i = 0; i < config->params.count; i++) {
        const struct config_pair *p = &config->params.items[i];

        if (p->values.count)
            set_if_absent(
                lb, arena_printf(a, "__param_%.*s", SONDE_ARG(p->key)).ptr,
                p->values.items[0]);
    }
}

static void percent_encode(struct buf *b, sonde_str s)
{
    static const char safe[] = "-_.~";

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c >= '0' && c <= '9') || (c && strchr(safe, c)))
            buf_char(b, c);
        else if (c == ' ')
            buf_char(b, '+');
        else
            buf_printf(b, "%%%02X", (unsigned char)c);
    }
}

static void add_param(struct buf *b, bool *any, sonde_str key, sonde_str value)
{
    buf_char(b, *any ? '&' : '?');
    *any = true;
    percent_encode(b, key);
    buf_char(b, '=');
    percent_encode(b, value);
}

static bool param_name(sonde_str label, sonde_str *out)
{
    const sonde_str prefix = SONDE_STR("__param_");

    if (!str_starts(label, prefix))
        return false;
    *out = str_sub(label, prefix.len, label.len);
    return true;
}

static const struct config_pair *find_param(const struct config_map *params,
                                            sonde_str key)
{
    for (size_t i = 0; i < params->count; i++)
        if (sonde_str_eq(params->items[i].key, key))
            return &params->items[i];
    return NULL;
}

/* The query string: each parameter's first value is its __param_ label's,
 * further ones are the configuration's. */
static void add_query(struct buf *b, const struct config_map *params,
                      const struct labels *all)
{
    bool any = false;

    for (size_t i = 0; i < all->count; i++) {
        const struct config_pair *p;
        sonde_str key;

        if (!param_name(all->items[i].name, &key))
            continue;
        add_param(b, &any, key, all->items[i].value);
        p = find_param(params, key);
        for (size_t k = 1; p && k < p->values.count; k++)
            add_param(b, &any, key, p->values.items[k]);
    }
}

/* An address may bring a user and a password (redis://user:secret@host);
 * what is shown and stored has neither. */
static sonde_str without_user(struct arena *a, sonde_str address)
{
    const char *p = memmem(address.ptr, address.len, "://", 3);
    size_t from = p ? (size_t)(p - address.ptr) + 3 : 0;
    sonde_str rest = str_sub(address, from, address.len);
    size_t at = str_index(rest, '@');

    if (at >= str_index(rest, '/'))
        return address;
    return arena_printf(a, "%.*s%.*s", (int)from, address.ptr,
                        SONDE_ARG(str_sub(rest, at + 1, rest.len)));
}

void target_request_url(struct buf *url, sonde_str *unix_socket,
                        sonde_str scheme, sonde_str address, sonde_str path)
{
    bool local = str_starts(address, UNIX);

    *unix_socket =
        local ? str_sub(address, UNIX.len, address.len) : (sonde_str){ 0 };
    if (local)
        address = SONDE_STR("localhost");
    buf_printf(url, "%.*s://%.*s%s%.*s", SONDE_ARG(scheme), SONDE_ARG(address),
               path.len && path.ptr[0] == '/' ? "" : "/", SONDE_ARG(path));
}

/* A unix socket shows as http://unix:/run/x.sock:/metrics. */
static void make_url(struct target *t, const struct config_map *params,
                     const struct labels *all)
{
    /* A plugin that speaks its own protocol shows as redis://host:port. */
    bool fetch = plugin_is_fetch(t->job->plugin);
    sonde_str scheme =
        fetch ? t->scheme : sonde_cstr(plugin_desc(t->job->plugin)->name);
    struct buf b;
    size_t path;

    buf_init(&b);
    if (!memmem(t->address.ptr, t->address.len, "://", 3))
        buf_printf(&b, "%.*s://", SONDE_ARG(scheme));
    buf_put(&b, without_user(&t->arena, t->address));
    if (fetch && str_starts(t->address, UNIX))
        buf_char(&b, ':');
    path = b.len;
    if (fetch) {
        if (t->metrics_path.len && t->metrics_path.ptr[0] != '/')
            buf_char(&b, '/');
        buf_put(&b, t->metrics_path);
        add_query(&b, params, all);
    }
    t->url = arena_str(&t->arena, buf_str(&b));
    t->request_path = str_sub(t->url, path, t->url.len);
    buf_fini(&b);
}

static sonde_code check_address(sonde_str address, struct sonde_err *err)
{
    if (address.len == 0)
        return sonde_err_set(err, SONDE_EINVAL, "no address");
    if (str_starts(address, UNIX))
        return SONDE_OK;
    if (str_index(address, '/') < address.len &&
        str_index(address, ':') < address.len &&
        memmem(address.ptr, address.len, "://", 3))
        return sonde_err_set(err, SONDE_EINVAL,
                             "\"%.*s\" is not a valid hostname: give host:port "
                             "without scheme and path",
                             SONDE_ARG(address));
    if (str_index(address, '/') < address.len)
        return sonde_err_set(err, SONDE_EINVAL,
                             "\"%.*s\" is not a valid hostname",
                             SONDE_ARG(address));
    return SONDE_OK;
}

static sonde_code read_duration(const struct labels *all, const char *name,
                                sonde_msec *out, struct sonde_err *err)
{
    sonde_str s = labels_get(all, sonde_cstr(name));

    if (!duration_parse(s, out) || *out <= 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "label %s has no valid duration: \"%.*s\"", name,
                             SONDE_ARG(s));
    return SONDE_OK;
}

/* The job's, unless a label says otherwise; 0 is every collection. */
static sonde_code read_slow_interval(struct target *t, const struct labels *all,
                                     struct sonde_err *err)
{
    sonde_str s = labels_get(all, SONDE_STR("__slow_interval__"));

    t->slow_interval = t->job->config->slow_interval;
    if (s.len && !duration_parse(s, &t->slow_interval))
        return sonde_err_set(err, SONDE_EINVAL,
                             "label __slow_interval__ has no valid duration: "
                             "\"%.*s\"",
                             SONDE_ARG(s));
    return SONDE_OK;
}

static sonde_code read_schedule(struct target *t, const struct labels *all,
                                struct sonde_err *err)
{
    sonde_code rc =
        read_duration(all, "__scrape_interval__", &t->interval, err);

    if (rc == SONDE_OK)
        rc = read_duration(all, "__scrape_timeout__", &t->timeout, err);
    if (rc == SONDE_OK && t->timeout > t->interval)
        rc = sonde_err_set(err, SONDE_EINVAL,
                           "scrape timeout cannot be greater than scrape "
                           "interval");
    return rc == SONDE_OK ? read_slow_interval(t, all, err) : rc;
}

static bool is_internal(sonde_str name)
{
    return str_starts(name, SONDE_STR("__"));
}

/* Labels for samples: all but the internal ones, with `instance`. */
static void keep_public(struct target *t, struct arena *scratch,
                        const struct labels *all)
{
    struct labels_builder lb;
    struct labels view;

    labels_builder_init(&lb, scratch);
    for (size_t i = 0; i < all->count; i++)
        if (!is_internal(all->items[i].name))
            labels_builder_set(&lb, all->items[i].name, all->items[i].value);
    set_if_absent(&lb, "instance", without_user(scratch, t->address));
    view = labels_builder_view(&lb);
    t->labels = labels_dup(&t->arena, &view);
}

/* Plugin options come from __param_NAME labels that name an option. */
static void keep_overrides(struct target *t, const struct labels *all)
{
    const struct sonde_plugin *d = plugin_desc(t->job->plugin);
    struct config_pair *pairs =
        arena_array(&t->arena, struct config_pair, all->count + 1);
    size_t n = 0;

    if (d->option_count == 0)
        return;
    for (size_t i = 0; i < all->count; i++) {
        sonde_str *value;
        sonde_str key;

        if (!param_name(all->items[i].name, &key))
            continue;
        value = arena_new(&t->arena, sonde_str);
        *value = arena_str(&t->arena, all->items[i].value);
        pairs[n++] =
            (struct config_pair){ .key = arena_str(&t->arena, key),
                                  .values = { .items = value, .count = 1 } };
    }
    t->overrides = (struct config_map){ .items = pairs, .count = n };
}

static uint64_t fnv64a(uint64_t h, sonde_str s)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * FNV_PRIME;
    return h;
}

/* As Prometheus' label hash: XXH64 over names and values with separators. */
static uint64_t labels_xxh64(const struct labels *l)
{
    struct buf b;
    uint64_t h;

    buf_init(&b);
    for (size_t i = 0; i < l->count; i++) {
        buf_put(&b, l->items[i].name);
        buf_u8(&b, 0xff);
        buf_put(&b, l->items[i].value);
        buf_u8(&b, 0xff);
    }
    h = XXH64(b.data, b.len, 0);
    buf_fini(&b);
    return h;
}

static void make_schedule(struct target *t)
{
    char text[24];
    uint64_t interval_ns = (uint64_t)t->interval * 1000000u;
    uint64_t h;
    int n = snprintf(text, sizeof(text), "%016llu",
                     (unsigned long long)labels_xxh64(&t->labels));

    h = fnv64a(FNV_OFFSET, (sonde_str){ text, (size_t)n });
    h = fnv64a(h, t->url);
    t->offset_ns = (h ^ t->job->offset_seed) % interval_ns;
}

struct plugin_target target_for_plugin(const struct target *t)
{
    return (struct plugin_target){
        .job = t->job->config->job_name,
        .address = t->address,
        .scheme = t->scheme,
        .metrics_path = t->metrics_path,
        .options = t->job->config->options,
        .overrides = &t->overrides,
        .tls = &t->job->config->http.tls_config,
        .interval = t->interval,
        .timeout = t->timeout,
        .slow_interval = t->slow_interval,
    };
}

sonde_msec target_first_ms(const struct target *t, sonde_msec now_ms)
{
    int64_t interval_ns = t->interval * 1000000;
    int64_t now_ns = now_ms * 1000000;
    int64_t next_ns = now_ns - now_ns % interval_ns + (int64_t)t->offset_ns;

    if (next_ns < now_ns)
        next_ns += interval_ns;
    return (next_ns + 999999) / 1000000;
}

uint64_t target_offset_seed(const struct config_map *external_labels)
{
    char host[256] = "";
    struct addrinfo hints = { .ai_flags = AI_CANONNAME };
    struct addrinfo *info = NULL;
    uint64_t h = FNV_OFFSET;

    (void)gethostname(host, sizeof(host) - 1);
    /* The hosts file or the resolver's cache knows our own name; where they
     * do not, the plain host name serves as well. */
    if (getaddrinfo(host, NULL, &hints, &info) == 0 && info->ai_canonname)
        h = fnv64a(h, sonde_cstr(info->ai_canonname));
    else
        h = fnv64a(h, sonde_cstr(host));
    if (info)
        freeaddrinfo(info);
    for (size_t i = 0; i < external_labels->count; i++) {
        h = fnv64a(h, external_labels->items[i].key);
        h = fnv64a(h, external_labels->items[i].values.items[0]);
    }
    return h;
}

static sonde_str with_default_port(struct target *t, sonde_str address)
{
    uint16_t port = plugin_desc(t->job->plugin)->default_port;
    sonde_str tail = address;

    if (!port || memmem(address.ptr, address.len, "://", 3) ||
        str_starts(address, UNIX) || address.ptr[0] == '/')
        return arena_str(&t->arena, address);
    if (address.ptr[0] == '[')
        tail = str_sub(address, str_index(address, ']'), address.len);
    if (str_index(tail, ':') < tail.len)
        return arena_str(&t->arena, address);
    return arena_printf(&t->arena, "%.*s:%u", SONDE_ARG(address), port);
}

static sonde_code target_fill(struct target *t, struct arena *scratch,
                              const struct labels *all, struct sonde_err *err)
{
    const struct scrape_config *c = t->job->config;
    bool fetch = plugin_is_fetch(t->job->plugin);
    sonde_str address = labels_get(all, SONDE_STR("__address__"));
    sonde_code rc = SONDE_OK;

    if (fetch || address.len == 0)
        rc = check_address(address, err);
    if (rc == SONDE_OK)
        rc = read_schedule(t, all, err);
    for (size_t i = 0; rc == SONDE_OK && i < all->count; i++)
        if (!str_is_utf8(all->items[i].value))
            rc = sonde_err_set(err, SONDE_EINVAL,
                               "label %.*s has a value that is not UTF-8",
                               SONDE_ARG(all->items[i].name));
    if (rc != SONDE_OK)
        return rc;
    t->address = with_default_port(t, address);
    t->scheme = arena_str(&t->arena, labels_get(all, SONDE_STR("__scheme__")));
    t->metrics_path =
        arena_str(&t->arena, labels_get(all, SONDE_STR("__metrics_path__")));
    make_url(t, &c->params, all);
    keep_public(t, scratch, all);
    keep_overrides(t, all);
    t->hash = fnv64a(labels_hash(all), t->url);
    make_schedule(t);
    return SONDE_OK;
}

static void target_rules(struct target *t)
{
    const struct scrape_config *c = t->job->config;

    t->rules = (struct series_rules){
        .target = &t->labels,
        .honor_labels = c->honor_labels,
        .metric_relabel = c->metric_relabel_configs.items,
        .metric_relabel_count = c->metric_relabel_configs.count,
        .limits = { .labels = c->label_limit,
                    .name_bytes = c->label_name_length_limit,
                    .value_bytes = c->label_value_length_limit },
        .legacy_names = c->metric_name_validation_scheme == 2,
    };
}

static struct target *target_make(struct job *job)
{
    struct target *t = mem_new(struct target);

    atomic_store(&t->refs, 1);
    t->job = job_ref(job);
    arena_init(&t->arena);
    series_cache_init(&t->cache);
    family_cache_init(&t->families);
    (void)pthread_mutex_init(&t->lock, NULL);
    t->asked_only = job->config->pages_only;
    if (job->config->expose.address.len)
        t->exposure = exposure_new();
    return t;
}

/* The labels are put together in a scratch arena: a target keeps only what
 * comes out. */
static sonde_code target_build(struct target *t, struct arena *scratch,
                               const struct labels *target,
                               const struct labels *group,
                               const struct config_blocks *rules,
                               struct sonde_err *err)
{
    struct labels_builder lb;
    struct labels all;
    sonde_code rc;

    labels_builder_init(&lb, scratch);
    target_populate(t->job->config, target, group, &lb);
    all = labels_builder_view(&lb);
    t->discovered = labels_dup(&t->arena, &all);
    if (!relabel(rules->items, rules->count, &lb))
        return SONDE_ENOTFOUND;
    all = labels_builder_view(&lb);
    rc = target_fill(t, scratch, &all, err);
    if (rc == SONDE_OK)
        target_rules(t);
    return rc;
}

sonde_code target_new(struct job *job, const struct labels *target,
                      const struct labels *group, struct target **out,
                      struct sonde_err *err)
{
    struct target *t = target_make(job);
    struct arena scratch;
    sonde_code rc;

    arena_init(&scratch);
    rc = target_build(t, &scratch, target, group, &job->config->relabel_configs,
                      err);
    arena_fini(&scratch);
    if (rc == SONDE_OK)
        *out = t;
    else
        target_unref(t);
    return rc;
}

sonde_code target_new_asked(struct job *job, sonde_str address,
                            const struct config_map *options,
                            struct target **out, struct sonde_err *err)
{
    const struct config_blocks no_rules = { 0 };
    const struct labels no_labels = { 0 };
    struct target *t = target_make(job);
    struct labels_builder lb;
    struct arena scratch;
    struct labels labels;
    sonde_code rc;

    arena_init(&scratch);
    labels_builder_init(&lb, &scratch);
    labels_builder_set(&lb, SONDE_STR("__address__"), address);
    for (size_t i = 0; i < options->count; i++)
        labels_builder_set(&lb,
                           arena_printf(&scratch, "__param_%.*s",
                                        SONDE_ARG(options->items[i].key)),
                           options->items[i].values.items[0]);
    labels = labels_builder_view(&lb);
    rc = target_build(t, &scratch, &labels, &no_labels, &no_rules, err);
    arena_fini(&scratch);
    t->asked_only = true;
    t->idle = job->config->expose.idle_timeout;
    if (rc == SONDE_OK)
        *out = t;
    else
        target_unref(t);
    return rc;
}
