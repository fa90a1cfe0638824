/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for tests of the host's services: a plan with a step that
 * collects, a slow part, state that outlives the process, reloads, an option
 * from the environment. Files steer it: what one says is what happens.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sonde/plugin.h>

struct options {
    sonde_str word;
    sonde_str folder; /* of the files fail_step, fail_part, hang           */
    bool fetch, judge;
};

static const struct sonde_option options[] = {
    SONDE_OPT_STR(struct options, word, .fallback = "none", .env = "STEPS_WORD",
                  .help = "A word"),
    SONDE_OPT_FILE(struct options, folder, .help = "Folder of files"),
    SONDE_OPT_BOOL(struct options, fetch, .help = "Fetch before and after"),
    SONDE_OPT_BOOL(struct options, judge,
                   .help = "Let the step that collects fail"),
};

enum family {
    F_COLLECTED,
    F_RELOADS,
    F_STATE,
    F_SLOW,
    F_FETCHED,
    F_JUDGED,
    F_MS,
    F_INFO,
};

#define GAUGE(n, h)                                                            \
    {                                                                          \
        .name = "steps_" n, .type = SONDE_METRIC_GAUGE, .help = (h)            \
    }

static const struct sonde_family families[] = {
    [F_COLLECTED] = GAUGE("collected", "Calls of collect"),
    [F_RELOADS] = GAUGE("reloads", "Calls of reload"),
    [F_STATE] = GAUGE("state", "Calls of collect, kept over restarts"),
    [F_SLOW] = GAUGE("slow", "How often the slow part worked"),
    [F_FETCHED] = GAUGE("fetched", "Bytes of the body"),
    [F_JUDGED] = GAUGE("judged", "Failed steps told to parse"),
    [F_MS] = { .name = "steps_ms",
               .type = SONDE_METRIC_GAUGE,
               .help = "Durations that open was given",
               .labels = { "of" } },
    [F_INFO] = { .name = "steps_info",
                 .type = SONDE_METRIC_GAUGE,
                 .help = "Words",
                 .labels = { "word", "ca_file" } },
};

enum collector {
    C_QUICK,
    C_SLOW,
};

static const struct sonde_collector collectors[] = {
    [C_QUICK] = { .name = "quick", .help = "What is quick" },
    [C_SLOW] = { .name = "slow",
                 .flags = SONDE_COLLECTOR_SLOW,
                 .help = "What is slow" },
};

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_open *open;
    const struct options *options;
    int collected, reloads, slow;
};

static sonde_code steps_open(const struct sonde_host *host,
                             const struct sonde_open *open,
                             struct sonde_instance **out, struct sonde_err *err)
{
    struct sonde_instance *i = calloc(1, sizeof(*i));

    if (!i)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    i->host = host;
    i->open = open;
    i->options = open->options;
    *out = i;
    return SONDE_OK;
}

static void steps_close(struct sonde_instance *i)
{
    free(i);
}

static void steps_reload(struct sonde_instance *i)
{
    i->reloads++;
}

static bool asked(const struct sonde_instance *i, const char *what)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%.*s/%s", SONDE_ARG(i->options->folder),
                   what);
    return access(path, F_OK) == 0;
}

/* Counts in a document; the count so far, 0 without a place for it. */
static double count_state(struct sonde_instance *i)
{
    const struct sonde_host *h = i->host;
    struct sonde_err err = { 0 };
    sonde_str text = { 0 };
    char now[32];
    int n = 0;

    if (h->state_load(i->open->target, "count", &text, &err) == SONDE_OK) {
        (void)snprintf(now, sizeof(now), "%.*s", SONDE_ARG(text));
        n = atoi(now);
    }
    n++;
    (void)snprintf(now, sizeof(now), "%d", n);
    if (h->state_save(i->open->target, "count", now, strlen(now), &err) !=
        SONDE_OK)
        return 0;
    return n;
}

static void emit_quick(struct sonde_instance *i, struct sonde_sink *sink)
{
    const struct sonde_host *h = i->host;
    const struct sonde_open *o = i->open;
    const struct {
        const char *of;
        sonde_msec ms;
    } spans[] = { { "interval", o->interval },
                  { "timeout", o->timeout },
                  { "slow", o->slow_interval } };

    (void)h->sample(sink, F_COLLECTED, NULL, i->collected);
    (void)h->sample(sink, F_RELOADS, NULL, i->reloads);
    (void)h->sample(sink, F_STATE, NULL, count_state(i));
    for (size_t k = 0; k < sizeof(spans) / sizeof(spans[0]); k++)
        (void)h->sample(sink, F_MS, SONDE_LABELS(sonde_cstr(spans[k].of)),
                        (double)spans[k].ms);
    (void)h->sample(sink, F_INFO,
                    SONDE_LABELS(i->options->word, o->tls->ca_file), 1);
}

static void burn_cpu(void)
{
    volatile double x = 1;

    for (int k = 0; k < 200000; k++)
        x = x * 1.0000001;
}

static sonde_code steps_collect(struct sonde_instance *i,
                                struct sonde_sink *sink, sonde_msec deadline,
                                struct sonde_err *err)
{
    const struct sonde_host *h = i->host;
    const struct timespec tick = { .tv_nsec = 10000000 };

    (void)deadline;
    i->collected++;
    burn_cpu();
    while (asked(i, "hang"))
        (void)nanosleep(&tick, NULL);
    if (asked(i, "fail_step"))
        return sonde_err_set(err, SONDE_EIO, "asked to fail the step");
    h->begin(sink, C_QUICK);
    emit_quick(i, sink);
    h->end(sink, SONDE_OK, NULL, -1);
    if (h->due(sink, C_SLOW)) {
        bool fails = asked(i, "fail_part");

        h->begin(sink, C_SLOW);
        (void)h->sample(sink, F_SLOW, NULL, ++i->slow);
        h->end(sink, fails ? SONDE_EIO : SONDE_OK, "asked to fail the part",
               -1);
    }
    return SONDE_OK;
}

static sonde_code steps_plan(struct sonde_instance *i, struct sonde_plan *plan,
                             struct sonde_err *err)
{
    (void)err;
    if (i->options->fetch)
        plan->requests[plan->count++] =
            (struct sonde_request){ .path = SONDE_STR("/before"),
                                    .body = SONDE_BODY_EXPOSITION };
    plan->requests[plan->count++] = (struct sonde_request){
        .body = SONDE_BODY_COLLECT,
        .flags = i->options->judge ? SONDE_FETCH_MAY_FAIL : 0,
    };
    if (i->options->fetch)
        plan->requests[plan->count++] =
            (struct sonde_request){ .path = SONDE_STR("/after"),
                                    .body = SONDE_BODY_PLUGIN };
    return SONDE_OK;
}

static sonde_code steps_parse(struct sonde_instance *i,
                              const struct sonde_response *r,
                              struct sonde_sink *sink, struct sonde_err *err)
{
    (void)err;
    if (r->code != SONDE_OK)
        return i->host->sample(sink, F_JUDGED, NULL, 1);
    return i->host->sample(sink, F_FETCHED, NULL, (double)r->body.len);
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "steps",
        .version = "1.0.0",
        .summary = "The host's services, for tests",
        SONDE_PLUGIN_OPTIONS(options, struct options),
        SONDE_PLUGIN_FAMILIES(families),
        SONDE_PLUGIN_COLLECTORS(collectors),
        .open = steps_open,
        .close = steps_close,
        .collect = steps_collect,
        .plan = steps_plan,
        .parse = steps_parse,
        .reload = steps_reload,
    };

    return SONDE_HAS(struct sonde_host, host, state_save) ? &plugin : NULL;
}
