/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake host, to run a plugin inside its own unit test: no agent, no
 * configuration, no sockets unless wanted. Header-only; include it in the
 * test program, never in a plugin.
 *
 *     struct sonde_fake fake;
 *     static const struct sonde_fake_step talk[] = {
 *         { SONDE_FAKE_EXPECT, SONDE_STR("stats\r\n") },
 *         { SONDE_FAKE_SEND, SONDE_STR("up 1\r\n") },
 *     };
 *
 *     sonde_fake_init(&fake, sonde_plugin_entry);
 *     SONDE_FAKE_SCRIPT(&fake, talk);
 *     sonde_fake_option(&fake, "password", "secret");
 *     assert(sonde_fake_open(&fake, "127.0.0.1:1234") == SONDE_OK);
 *     assert(sonde_fake_collect(&fake, 1000) == SONDE_OK);
 *     assert(sonde_fake_value(&fake, "thing_up") == 1);
 *     sonde_fake_fini(&fake);
 *
 * The sink checks what the agent's sink checks and records exposition text in
 * `fake.text`. What became of each part of the collection is in `fake.parts`;
 * sonde_fake_due decides which are due (all, at first; last values are not
 * emitted again). A script plays the target; without one, streams are real
 * sockets. With a script time stands still and only moves when a step stalls
 * until a deadline, so tests never wait.
 *
 * The host's clocks have no argument by which to find the fake, so the fake
 * in use is a variable of the thread: one fake at a time per thread, and the
 * header is for one source file of a test. A thread that the plugin starts
 * gets the fake that was made last.
 */
#ifndef SONDE_TESTING_H
#define SONDE_TESTING_H

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <sonde/plugin.h>
#include <sonde/testing_fake.h>
#include <sonde/testing_parts.h>
#include <sonde/testing_state.h>
#include <sonde/testing_stream.h>

/* ---- the sink ------------------------------------------------------------ */

static inline const struct sonde_family *sonde_fake_family(size_t i)
{
    const struct sonde_plugin *p = sonde_fake_in_use->plugin;

    if (i >= p->family_count)
        return NULL;
    return (
        const struct sonde_family *)(const void *)((const char *)p->families +
                                                   i * p->family_size);
}

static inline void sonde_fake_label(struct sonde_fake_text *t, bool *any,
                                    const char *name, sonde_str value)
{
    sonde_fake_addz(t, *any ? "," : "{");
    *any = true;
    sonde_fake_addz(t, name);
    sonde_fake_addz(t, "=\"");
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == '\\' || c == '"')
            sonde_fake_add(t, "\\", 1);
        sonde_fake_add(t, c == '\n' ? "\\n" : &c, c == '\n' ? 2 : 1);
    }
    sonde_fake_addz(t, "\"");
}

/* The line of `t` that begins with `key` and then `end`, or NULL. Bytes, not
 * strings: a label may hold NUL. */
static inline const char *sonde_fake_line(const struct sonde_fake_text *t,
                                          const char *key, size_t len, char end)
{
    const char *p = t->ptr, *stop = t->len ? t->ptr + t->len : t->ptr;

    while (p && p < stop) {
        if ((size_t)(stop - p) > len && memcmp(p, key, len) == 0 &&
            p[len] == end)
            return p;
        p = (const char *)memchr(p, '\n', (size_t)(stop - p));
        p = p ? p + 1 : NULL;
    }
    return NULL;
}

static inline sonde_code sonde_fake_emit(struct sonde_sink *sink,
                                         const struct sonde_family *family,
                                         const char *suffix,
                                         const sonde_str *labels,
                                         const double *bound, double value)
{
    struct sonde_fake *f = sonde_fake_in_use;
    struct sonde_fake_text key = { 0 };
    bool any = false;

    if (sink->code != SONDE_OK || sink->part_code != SONDE_OK)
        return sink->code != SONDE_OK ? sink->code : sink->part_code;
    sonde_fake_addz(&key, family->name);
    sonde_fake_addz(&key, suffix);
    for (size_t i = 0; i < SONDE_LABELS_MAX && family->labels[i]; i++) {
        if (!labels || (*suffix && strcmp(family->labels[i], "quantile") == 0))
            continue;
        if (!sonde_fake_utf8(labels[i]))
            (void)sonde_fake_refuse(sink, "%s: label %s is not UTF-8",
                                    family->name, family->labels[i]);
        else if (labels[i].len)
            sonde_fake_label(&key, &any, family->labels[i], labels[i]);
    }
    if (bound) {
        struct sonde_fake_text le = { 0 };

        sonde_fake_number(&le, *bound);
        sonde_fake_label(&key, &any, "le", (sonde_str){ le.ptr, le.len });
        free(le.ptr);
    }
    if (any)
        sonde_fake_addz(&key, "}");
    if (sonde_fake_line(&f->keys, key.ptr, key.len, '\n'))
        (void)sonde_fake_refuse(sink, "duplicate series %s", key.ptr);
    sonde_fake_add(&f->keys, key.ptr, key.len);
    sonde_fake_addz(&f->keys, "\n");
    sonde_fake_add(&f->text, key.ptr, key.len);
    sonde_fake_addz(&f->text, " ");
    sonde_fake_number(&f->text, value);
    sonde_fake_addz(&f->text, "\n");
    free(key.ptr);
    sink->samples++;
    return sink->part ? sink->part_code : sink->code;
}

static inline sonde_code sonde_fake_sample(struct sonde_sink *sink, size_t i,
                                           const sonde_str *labels,
                                           double value)
{
    const struct sonde_family *family = sonde_fake_family(i);

    if (!family)
        return sonde_fake_refuse(sink, "family %zu is not declared", i);
    if (family->type == SONDE_METRIC_HISTOGRAM)
        return sonde_fake_refuse(sink, "%s is a histogram", family->name);
    if (family->labels[0] && !labels)
        return sonde_fake_refuse(sink, "%s needs labels", family->name);
    return sonde_fake_emit(sink, family, "", labels, NULL, value);
}

static inline sonde_code
sonde_fake_buckets(struct sonde_sink *sink, const struct sonde_family *family,
                   const sonde_str *labels, const struct sonde_bucket *b,
                   size_t n, uint64_t count, double sum)
{
    double inf = INFINITY;

    if (!family || family->type != SONDE_METRIC_HISTOGRAM)
        return sonde_fake_refuse(sink, "%s is no histogram",
                                 family ? family->name : "what was emitted");
    for (size_t k = 0; k < n; k++) {
        if (isnan(b[k].upper) || b[k].count > count ||
            (k &&
             (b[k].upper <= b[k - 1].upper || b[k].count < b[k - 1].count)))
            return sonde_fake_refuse(sink, "%s: bucket %zu is out of order",
                                     family->name, k);
        if (!isinf(b[k].upper))
            (void)sonde_fake_emit(sink, family, "_bucket", labels, &b[k].upper,
                                  (double)b[k].count);
    }
    (void)sonde_fake_emit(sink, family, "_bucket", labels, &inf, (double)count);
    (void)sonde_fake_emit(sink, family, "_sum", labels, NULL, sum);
    return sonde_fake_emit(sink, family, "_count", labels, NULL, (double)count);
}

static inline sonde_code sonde_fake_histogram(struct sonde_sink *sink, size_t i,
                                              const sonde_str *labels,
                                              const struct sonde_bucket *b,
                                              size_t n, uint64_t count,
                                              double sum)
{
    return sonde_fake_buckets(sink, sonde_fake_family(i), labels, b, n, count,
                              sum);
}

static inline sonde_code sonde_fake_sums(struct sonde_sink *sink,
                                         const struct sonde_family *family,
                                         const sonde_str *labels,
                                         uint64_t count, double sum)
{
    if (!family || family->type != SONDE_METRIC_SUMMARY)
        return sonde_fake_refuse(sink, "%s is no summary",
                                 family ? family->name : "what was emitted");
    (void)sonde_fake_emit(sink, family, "_sum", labels, NULL, sum);
    return sonde_fake_emit(sink, family, "_count", labels, NULL, (double)count);
}

static inline sonde_code sonde_fake_summary(struct sonde_sink *sink, size_t i,
                                            const sonde_str *labels,
                                            uint64_t count, double sum)
{
    return sonde_fake_sums(sink, sonde_fake_family(i), labels, count, sum);
}

static inline sonde_code sonde_fake_undeclared(struct sonde_sink *sink,
                                               const struct sonde_family *f)
{
    for (size_t i = 0; sonde_fake_family(i); i++) {
        if (strcmp(sonde_fake_family(i)->name, f->name) == 0)
            return sonde_fake_refuse(sink, "%s is declared: emit it by index",
                                     f->name);
    }
    return sink->code;
}

static inline sonde_code sonde_fake_dynamic(struct sonde_sink *sink,
                                            const struct sonde_family *family,
                                            const sonde_str *labels,
                                            double value)
{
    if (family->type == SONDE_METRIC_HISTOGRAM ||
        family->type == SONDE_METRIC_SUMMARY)
        return sonde_fake_refuse(sink, "%s has a function of its own",
                                 family->name);
    (void)sonde_fake_undeclared(sink, family);
    return sonde_fake_emit(sink, family, "", labels, NULL, value);
}

static inline sonde_code sonde_fake_dynamic_histogram(
    struct sonde_sink *sink, const struct sonde_family *family,
    const sonde_str *labels, const struct sonde_bucket *b, size_t n,
    uint64_t count, double sum)
{
    (void)sonde_fake_undeclared(sink, family);
    return sonde_fake_buckets(sink, family, labels, b, n, count, sum);
}

static inline sonde_code
sonde_fake_dynamic_summary(struct sonde_sink *sink,
                           const struct sonde_family *family,
                           const sonde_str *labels, uint64_t count, double sum)
{
    (void)sonde_fake_undeclared(sink, family);
    return sonde_fake_sums(sink, family, labels, count, sum);
}

/* ---- log, files ---------------------------------------------------------- */

SONDE_PRINTF(3, 4)
static inline void sonde_fake_log(const struct sonde_target *target,
                                  enum sonde_log_level level, const char *fmt,
                                  ...)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    struct sonde_fake_text *log = &sonde_fake_current()->log;
    char line[1024];
    va_list ap;

    (void)target;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    sonde_fake_lock();
    sonde_fake_addz(log, names[(size_t)level % 4]);
    sonde_fake_addz(log, ": ");
    sonde_fake_addz(log, line);
    sonde_fake_addz(log, "\n");
    sonde_fake_unlock();
}

static inline sonde_code sonde_fake_read_file(const struct sonde_target *target,
                                              sonde_str path, sonde_str *out,
                                              struct sonde_err *err)
{
    struct sonde_target *t = &sonde_fake_current()->target;
    char name[4096];
    FILE *f;
    size_t n;

    (void)target;
    (void)snprintf(name, sizeof(name), "%.*s", SONDE_ARG(path));
    f = fopen(name, "re");
    if (!f)
        return sonde_err_set(err, SONDE_ENOTFOUND, "read %s: %s", name,
                             strerror(errno));
    free(t->file);
    t->file = (char *)calloc(1, 65536);
    n = t->file ? fread(t->file, 1, 65535, f) : 0;
    (void)fclose(f);
    if (n && t->file[n - 1] == '\n')
        n--;
    *out = (sonde_str){ t->file, n };
    return SONDE_OK;
}

/* ---- options ------------------------------------------------------------- */

/* 1h30m, 15s, 500ms; 512MB. */
static inline bool sonde_fake_units(const char *z, bool size, int64_t *out)
{
    static const struct {
        const char *unit;
        bool size;
        int64_t factor;
    } units[] = { { "ms", false, 1 },       { "s", false, 1000 },
                  { "m", false, 60000 },    { "h", false, 3600000 },
                  { "d", false, 86400000 }, { "KB", true, 1 << 10 },
                  { "MB", true, 1 << 20 },  { "GB", true, 1 << 30 },
                  { "B", true, 1 } };
    size_t n = sizeof(units) / sizeof(units[0]), i;

    *out = 0;
    if (strcmp(z, "0") == 0)
        return true;
    while (*z) {
        char *end;
        long long v = strtoll(z, &end, 10);

        for (i = 0; i < n; i++) {
            if (units[i].size == size && end > z &&
                strncmp(end, units[i].unit, strlen(units[i].unit)) == 0)
                break;
        }
        if (i == n)
            return false;
        *out += v * units[i].factor;
        z = end + strlen(units[i].unit);
    }
    return true;
}

static inline void sonde_fake_list(struct sonde_list *l, const char *z)
{
    sonde_str *items =
        (sonde_str *)realloc((void *)l->items, (l->count + 1) * sizeof(*items));

    if (!items)
        abort();
    items[l->count] = sonde_cstr(z);
    l->items = items;
    l->count++;
}

/* `value` must outlive the fake; a list grows by one item a call. */
static inline sonde_code sonde_fake_fill(const struct sonde_option *o,
                                         void *field, const char *value)
{
    char *end = NULL;

    switch (o->kind) {
    case SONDE_OPT_KIND_STR:
    case SONDE_OPT_KIND_SECRET:
    case SONDE_OPT_KIND_FILE:
        *(sonde_str *)field = sonde_cstr(value);
        return SONDE_OK;
    case SONDE_OPT_KIND_BOOL:
        *(bool *)field = strcmp(value, "true") == 0;
        return SONDE_OK;
    case SONDE_OPT_KIND_INT:
        *(int64_t *)field = strtoll(value, &end, 10);
        return *end ? SONDE_EINVAL : SONDE_OK;
    case SONDE_OPT_KIND_FLOAT:
        *(double *)field = strtod(value, &end);
        return *end ? SONDE_EINVAL : SONDE_OK;
    case SONDE_OPT_KIND_DURATION:
    case SONDE_OPT_KIND_SIZE:
        return sonde_fake_units(value, o->kind == SONDE_OPT_KIND_SIZE,
                                (int64_t *)field)
                   ? SONDE_OK
                   : SONDE_EINVAL;
    case SONDE_OPT_KIND_LIST:
        sonde_fake_list((struct sonde_list *)field, value);
        return SONDE_OK;
    default:
        return SONDE_EINVAL;
    }
}

static inline const struct sonde_option *
sonde_fake_option_at(const struct sonde_plugin *p, size_t i)
{
    return (
        const struct sonde_option *)(const void *)((const char *)p->options +
                                                   i * p->option_size);
}

/* Gives an option a value, as the configuration would. Bounds and choices are
 * the agent's business and not looked at. */
static inline sonde_code sonde_fake_option(struct sonde_fake *f,
                                           const char *name, const char *value)
{
    for (size_t i = 0; i < f->plugin->option_count; i++) {
        const struct sonde_option *o = sonde_fake_option_at(f->plugin, i);

        if (strcmp(o->name, name) == 0)
            return sonde_fake_fill(o, (char *)f->options + o->offset, value);
    }
    return sonde_err_set(&f->err, SONDE_ENOTFOUND, "no option %s", name);
}

/* ---- life ---------------------------------------------------------------- */

typedef const struct sonde_plugin *
sonde_fake_entry(const struct sonde_host *host);

/* Makes the fake the one in use on this thread and asks the plugin for its
 * description; options have their fallbacks. */
static inline void sonde_fake_init(struct sonde_fake *f,
                                   sonde_fake_entry *entry)
{
    *f = (struct sonde_fake){
        .host = { .struct_size = sizeof(struct sonde_host),
                  .abi_major = SONDE_ABI_MAJOR,
                  .abi_minor = SONDE_ABI_MINOR,
                  .version = "0.0.0-test",
                  .log = sonde_fake_log,
                  .now = sonde_fake_now,
                  .monotonic = sonde_fake_monotonic,
                  .sample = sonde_fake_sample,
                  .histogram = sonde_fake_histogram,
                  .summary = sonde_fake_summary,
                  .dynamic = sonde_fake_dynamic,
                  .dynamic_histogram = sonde_fake_dynamic_histogram,
                  .dynamic_summary = sonde_fake_dynamic_summary,
                  .stream_open = sonde_fake_stream_open,
                  .stream_write = sonde_fake_stream_write,
                  .stream_read = sonde_fake_stream_read,
                  .stream_close = sonde_fake_stream_close,
                  .read_file = sonde_fake_read_file,
                  .due = sonde_fake_is_due,
                  .begin = sonde_fake_part_begin,
                  .end = sonde_fake_part_end,
                  .discard = sonde_fake_discard,
                  .stream_open_tls = sonde_fake_stream_open_tls,
                  .stream_shut = sonde_fake_stream_shut,
                  .state_load = sonde_fake_state_load,
                  .state_save = sonde_fake_state_save },
        .now_ms = SONDE_FAKE_NOW,
        .monotonic_ms = 1000,
        .job_tls = { .struct_size = sizeof(struct sonde_tls) },
        .interval = 15000,
        .timeout = 10000,
        .slow_interval = 300000,
    };
    sonde_fake_in_use = f;
    __atomic_store_n(&sonde_fake_made, f, __ATOMIC_RELEASE);
    f->plugin = entry(&f->host);
    f->options = calloc(1, f->plugin->options_size + 1);
    if (!f->options)
        abort();
    for (size_t i = 0; i < f->plugin->option_count; i++) {
        const struct sonde_option *o = sonde_fake_option_at(f->plugin, i);

        if (o->fallback)
            (void)sonde_fake_fill(o, (char *)f->options + o->offset,
                                  o->fallback);
    }
}

/* Lets a script play the target from here on. */
#define SONDE_FAKE_SCRIPT(f, rows)                                             \
    ((f)->steps = (rows), (f)->step_count = sizeof(rows) / sizeof((rows)[0]),  \
     (f)->step = 0, (f)->sent = 0, (f)->expected = (f)->written.len)

/* The plugin's `check`, then `open`. */
static inline sonde_code sonde_fake_open(struct sonde_fake *f,
                                         const char *address)
{
    sonde_code rc = SONDE_OK;

    f->open = (struct sonde_open){ .struct_size = sizeof(struct sonde_open),
                                   .target = &f->target,
                                   .options = f->options,
                                   .job = SONDE_STR("test"),
                                   .address = sonde_cstr(address),
                                   .scheme = SONDE_STR("http"),
                                   .metrics_path = SONDE_STR("/metrics"),
                                   .tls = &f->job_tls,
                                   .interval = f->interval,
                                   .timeout = f->timeout,
                                   .slow_interval = f->slow_interval };
    if (f->plugin->check)
        rc = f->plugin->check(f->options, &f->err);
    if (rc == SONDE_OK)
        rc = f->plugin->open(&f->host, &f->open, &f->instance, &f->err);
    return rc;
}

static inline void sonde_fake_begin(struct sonde_fake *f)
{
    sonde_fake_clear(&f->text);
    sonde_fake_clear(&f->keys);
    f->sink = (struct sonde_sink){ 0 };
    f->err = (struct sonde_err){ 0 };
    f->discarded = 0;
    for (size_t i = 0; i < SONDE_FAKE_PARTS; i++)
        f->parts[i] =
            (struct sonde_fake_part){ .not_due = f->parts[i].not_due };
}

/* One collection; what it emitted is in f->text, also when it failed. */
static inline sonde_code sonde_fake_collect(struct sonde_fake *f,
                                            sonde_msec timeout_ms)
{
    struct sonde_err err = { 0 };
    sonde_code rc;

    sonde_fake_begin(f);
    rc = f->plugin->collect(f->instance, &f->sink,
                            sonde_fake_monotonic() + timeout_ms, &err);
    if (rc == SONDE_OK && f->sink.part) {
        f->sink.part = 0;
        (void)sonde_fake_refuse(&f->sink, "a part was begun and not ended");
    }
    if (rc != SONDE_OK)
        f->err = err;
    return rc != SONDE_OK ? rc : f->sink.code;
}

/* Says that the configuration was read again. */
static inline void sonde_fake_reload(struct sonde_fake *f)
{
    if (SONDE_HAS(struct sonde_plugin, f->plugin, reload))
        f->plugin->reload(f->instance);
}

static inline void sonde_fake_discovered(void *arg, sonde_str address)
{
    struct sonde_fake *f = (struct sonde_fake *)arg;

    sonde_fake_add(&f->text, address.ptr, address.len);
    sonde_fake_addz(&f->text, "\n");
}

/* What the plugin discovers: a line of f->text for each address. */
static inline sonde_code sonde_fake_discover(struct sonde_fake *f,
                                             sonde_msec timeout_ms)
{
    struct sonde_err err = { 0 };
    sonde_code rc;

    sonde_fake_begin(f);
    rc = f->plugin->discover(f->instance, sonde_fake_monotonic() + timeout_ms,
                             sonde_fake_discovered, f, &err);
    if (rc != SONDE_OK)
        f->err = err;
    return rc;
}

/* The plan of a fetch plugin; then answers, one at a time (for a request
 * whose body is COLLECT call sonde_fake_collect). */
static inline sonde_code sonde_fake_plan(struct sonde_fake *f,
                                         struct sonde_plan *plan)
{
    *plan = (struct sonde_plan){ .struct_size = sizeof(*plan) };
    return f->plugin->plan(f->instance, plan, &f->err);
}

/* The next round of a plan that says `more`. */
static inline sonde_code sonde_fake_plan_more(struct sonde_fake *f,
                                              struct sonde_plan *plan)
{
    *plan = (struct sonde_plan){ .struct_size = sizeof(*plan),
                                 .round = plan->round + 1 };
    return f->plugin->plan(f->instance, plan, &f->err);
}

static inline sonde_code sonde_fake_parse(struct sonde_fake *f,
                                          const struct sonde_response *r)
{
    struct sonde_err err = { 0 };
    sonde_code rc;

    sonde_fake_begin(f);
    rc = f->plugin->parse(f->instance, r, &f->sink, &err);
    if (rc != SONDE_OK)
        f->err = err;
    return rc != SONDE_OK ? rc : f->sink.code;
}

/* The value of a series written as the exposition has it
 * (`x_total{a="b"}`); NaN when it was not emitted. */
static inline double sonde_fake_value(const struct sonde_fake *f,
                                      const char *series)
{
    size_t len = strlen(series);
    const char *p = sonde_fake_line(&f->text, series, len, ' ');

    return p ? strtod(p + len + 1, NULL) : (double)NAN;
}

static inline void sonde_fake_close(struct sonde_fake *f)
{
    if (f->plugin->close)
        f->plugin->close(f->instance);
    f->instance = NULL;
}

/* Closes the instance and frees all. */
static inline void sonde_fake_fini(struct sonde_fake *f)
{
    sonde_fake_close(f);
    for (size_t i = 0; i < f->plugin->option_count; i++) {
        const struct sonde_option *o = sonde_fake_option_at(f->plugin, i);

        if (o->kind == SONDE_OPT_KIND_LIST)
            free((void *)((struct sonde_list *)(void *)((char *)f->options +
                                                        o->offset))
                     ->items);
    }
    free(f->options);
    free(f->target.file);
    free(f->text.ptr);
    free(f->keys.ptr);
    free(f->log.ptr);
    free(f->written.ptr);
    for (size_t i = 0; i < SONDE_FAKE_STATES; i++)
        free(f->states[i].ptr);
    free(f->state);
    sonde_fake_in_use = NULL;
    __atomic_store_n(&sonde_fake_made, (struct sonde_fake *)NULL,
                     __ATOMIC_RELEASE);
}

#endif
