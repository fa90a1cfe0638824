/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A complete plugin, small enough to be read in one go: the load averages of
 * the machine the agent runs on, from /proc/loadavg. docs/writing-a-plugin.md
 * walks through it; copy the folder to begin one of your own.
 *
 * It is of the collect form: it fetches its own data. The file can be read at
 * any time and never blocks, so the deadline is not looked at.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <sonde/plugin.h>

/* 1. Options: a struct of our own, and a table that says how to fill it. */
struct options {
    sonde_str path;
    bool processes;
};

static const struct sonde_option options[] = {
    SONDE_OPT_FILE(struct options, path, .fallback = "/proc/loadavg",
                   .help = "File to read"),
    SONDE_OPT_BOOL(struct options, processes, .fallback = "true",
                   .help = "Count processes too"),
};

/* 2. Families: what can be emitted, by index. */
enum family {
    F_LOAD,
    F_RUNNING,
    F_TOTAL,
};

static const struct sonde_family families[] = {
    [F_LOAD] = { .name = "loadavg",
                 .type = SONDE_METRIC_GAUGE,
                 .help = "Average number of processes that run or wait to run",
                 .labels = { "minutes" } },
    [F_RUNNING] = { .name = "loadavg_processes_running",
                    .type = SONDE_METRIC_GAUGE,
                    .help = "Processes that run or wait to run now" },
    [F_TOTAL] = { .name = "loadavg_processes",
                  .type = SONDE_METRIC_GAUGE,
                  .help = "Processes and threads" },
};

/* 3. The state of one target. */
struct sonde_instance {
    const struct sonde_host *host;
    const struct options *options;
};

static sonde_code example_open(const struct sonde_host *host,
                               const struct sonde_open *open,
                               struct sonde_instance **out,
                               struct sonde_err *err)
{
    struct sonde_instance *i = calloc(1, sizeof(*i));

    if (!i)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    i->host = host;
    i->options = open->options;
    *out = i;
    return SONDE_OK;
}

static void example_close(struct sonde_instance *i)
{
    free(i);
}

/* 4. A collection. */
static sonde_code read_line(const struct options *o, char *line, size_t size,
                            struct sonde_err *err)
{
    FILE *f = fopen(o->path.ptr, "re"); /* options end with NUL */
    bool ok;

    if (!f)
        return sonde_err_set(err, SONDE_EIO, "open %s: %s", o->path.ptr,
                             strerror(errno));
    ok = fgets(line, (int)size, f) != NULL;
    (void)fclose(f);
    return ok ? SONDE_OK
              : sonde_err_set(err, SONDE_EIO, "read %s: it is empty",
                              o->path.ptr);
}

static sonde_code example_collect(struct sonde_instance *i,
                                  struct sonde_sink *sink, sonde_msec deadline,
                                  struct sonde_err *err)
{
    static const char *const minutes[] = { "1", "5", "15" };
    double load[3];
    unsigned running, total;
    char line[256];
    sonde_code rc = read_line(i->options, line, sizeof(line), err);

    (void)deadline;
    if (rc != SONDE_OK)
        return rc;
    if (sscanf(line, "%lf %lf %lf %u/%u", &load[0], &load[1], &load[2],
               &running, &total) != 5)
        return sonde_err_set(err, SONDE_EPARSE,
                             "%s: expected \"1m 5m 15m running/total\", got "
                             "\"%.100s\"",
                             i->options->path.ptr, line);
    for (int k = 0; k < 3; k++)
        (void)i->host->sample(sink, F_LOAD,
                              SONDE_LABELS(sonde_cstr(minutes[k])), load[k]);
    if (i->options->processes) {
        (void)i->host->sample(sink, F_RUNNING, NULL, running);
        (void)i->host->sample(sink, F_TOTAL, NULL, total);
    }
    return SONDE_OK;
}

/* 5. The description, and the one function that is exported. */
const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD,
        .name = "example",
        .version = "1.0.0",
        .summary = "Load averages of this machine",
        SONDE_PLUGIN_OPTIONS(options, struct options),
        SONDE_PLUGIN_FAMILIES(families),
        .default_address = "localhost",
        .open = example_open,
        .close = example_close,
        .collect = example_collect,
    };

    (void)host;
    return &plugin;
}
