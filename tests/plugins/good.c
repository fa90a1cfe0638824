/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin that uses all of the host: options of each kind, families of each
 * type, a file, the log. What it does depends on its options.
 */
#include <stdlib.h>

#include <sonde/plugin.h>

struct options {
    sonde_str mode, secret, file;
    bool flag;
    int64_t number, size;
    double ratio;
    sonde_msec wait;
    struct sonde_list list;
};

static const char *const modes[] = { "plain", "fail",      "mute",
                                     "twice", "fail_open", NULL };

static const struct sonde_option options[] = {
    SONDE_OPT_STR(struct options, mode, .fallback = "plain", .choices = modes,
                  .help = "What a collection does"),
    SONDE_OPT_SECRET(struct options, secret, .help = "A secret"),
    SONDE_OPT_FILE(struct options, file, .help = "A file"),
    SONDE_OPT_BOOL(struct options, flag, .help = "A flag"),
    SONDE_OPT_INT(struct options, number, .fallback = "7", .min = 1, .max = 10,
                  .help = "A number"),
    SONDE_OPT_SIZE(struct options, size, .fallback = "1MB", .help = "A size"),
    SONDE_OPT_FLOAT(struct options, ratio, .fallback = "0.5",
                    .help = "A ratio"),
    SONDE_OPT_DURATION(struct options, wait, .fallback = "1m30s",
                       .help = "A duration"),
    SONDE_OPT_LIST(struct options, list, .help = "A list"),
};

enum family {
    F_GAUGE,
    F_LABELLED,
    F_HISTOGRAM,
    F_SUMMARY,
};

static const struct sonde_family families[] = {
    [F_GAUGE] = { .name = "good_number",
                  .type = SONDE_METRIC_GAUGE,
                  .help = "The option number" },
    [F_LABELLED] = { .name = "good_total",
                     .type = SONDE_METRIC_COUNTER,
                     .help = "Has labels",
                     .labels = { "address", "text" } },
    [F_HISTOGRAM] = { .name = "good_seconds",
                      .type = SONDE_METRIC_HISTOGRAM,
                      .unit = "seconds",
                      .help = "A histogram" },
    [F_SUMMARY] = { .name = "good_summary",
                    .type = SONDE_METRIC_SUMMARY,
                    .help = "A summary",
                    .labels = { "quantile" } },
};

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_open *open;
    const struct options *options;
};

static sonde_code good_open(const struct sonde_host *host,
                            const struct sonde_open *open,
                            struct sonde_instance **out, struct sonde_err *err)
{
    const struct options *o = open->options;
    struct sonde_instance *i = calloc(1, sizeof(*i));

    if (!i)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    *out = i; /* also when this fails: close is called for it */
    i->host = host;
    i->open = open;
    i->options = o;
    if (sonde_str_eq(o->mode, SONDE_STR("fail_open")))
        return sonde_err_set(err, SONDE_EINVAL, "can not open this");
    return SONDE_OK;
}

static void good_close(struct sonde_instance *i)
{
    free(i);
}

static sonde_code emit(struct sonde_instance *i, struct sonde_sink *sink,
                       sonde_str text)
{
    const struct sonde_host *h = i->host;
    const struct sonde_bucket buckets[] = { { 0.5, 1 }, { 1, 3 } };
    const struct sonde_family dynamic = { .name = "good_dynamic",
                                          .type = SONDE_METRIC_GAUGE,
                                          .help = "Not declared",
                                          .labels = { "z", "a" } };

    (void)h->sample(sink, F_LABELLED, SONDE_LABELS(i->open->address, text), 1);
    (void)h->sample(sink, F_GAUGE, NULL, (double)i->options->number);
    (void)h->sample(sink, F_LABELLED, SONDE_LABELS(SONDE_STR("b"), { 0 }), 2);
    (void)h->histogram(sink, F_HISTOGRAM, NULL, buckets, 2, 4, 2.5);
    (void)h->sample(sink, F_SUMMARY, SONDE_LABELS(SONDE_STR("0.5")), 3);
    (void)h->summary(sink, F_SUMMARY, SONDE_LABELS({ 0 }), 4, 5);
    return h->dynamic(sink, &dynamic,
                      SONDE_LABELS(SONDE_STR("1"), SONDE_STR("2")), 6);
}

static sonde_code good_collect(struct sonde_instance *i,
                               struct sonde_sink *sink, sonde_msec deadline,
                               struct sonde_err *err)
{
    const struct options *o = i->options;
    sonde_str text = SONDE_STR("say \"hi\"\n\\");

    (void)deadline;
    if (sonde_str_eq(o->mode, SONDE_STR("fail")))
        return sonde_err_set(err, SONDE_ECONNECT, "nobody is there");
    if (sonde_str_eq(o->mode, SONDE_STR("mute")))
        return SONDE_EIO;
    if (sonde_str_eq(o->mode, SONDE_STR("twice")))
        (void)i->host->sample(sink, F_GAUGE, NULL, 1);
    if (o->file.len) {
        sonde_code rc =
            i->host->read_file(i->open->target, o->file, &text, err);

        if (rc != SONDE_OK)
            return rc;
    }
    i->host->log(i->open->target, SONDE_LOG_DEBUG, "collected %d", 1);
    (void)emit(i, sink, text);
    return SONDE_OK;
}

static sonde_code good_check(const void *opaque, struct sonde_err *err)
{
    const struct options *o = opaque;

    if (o->flag && o->number == 3)
        return sonde_err_set(err, SONDE_EINVAL, "flag does not go with 3");
    return SONDE_OK;
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "good",
        .version = "1.2.3",
        .summary = "A plugin for tests",
        SONDE_PLUGIN_OPTIONS(options, struct options),
        SONDE_PLUGIN_FAMILIES(families),
        .default_address = "localhost:99",
        .default_port = 99,
        .expose_port = 9099,
        .open = good_open,
        .close = good_close,
        .collect = good_collect,
        .check = good_check,
    };

    return SONDE_HAS(struct sonde_host, host, read_file) ? &plugin : NULL;
}
