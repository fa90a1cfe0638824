/* SPDX-License-Identifier: Apache-2.0 */
/* `sonde [FLAGS]`: from flags to a running agent. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "cli/cli.h"
#include "cli/flags.h"
#include "model/number.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

/* Two arenas are enough for the threads that allocate at the same time, and
 * large blocks go back to the system. */
void cli_setup_heap(bool queries)
{
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, queries ? 4 << 20 : 256 << 10);
    (void)mallopt(M_TRIM_THRESHOLD, queries ? 16 << 20 : 512 << 10);
}

static const char usage_text[] =
    "sonde " PACKAGE_VERSION ": exporters, store and remote-write in one "
    "daemon\n\n"
    "Usage:\n"
    "  sonde [FLAGS]                     run\n"
    "  sonde check config FILE...        check a configuration as a start "
    "would\n"
    "  sonde plugins list                the plugins that are there\n"
    "  sonde plugins show|sample NAME    options and metrics; a snippet\n"
    "  sonde scrape PLUGIN TARGET        one collection, as text\n"
    "  sonde exporter NAME [FLAGS]       in the place of an exporter, with its "
    "flags\n"
    "  sonde tsdb list|analyze|dump|import|export|check|snapshot\n"
    "                                    a data directory, without a server\n\n"
    "Exit codes: 0, 1 for a failure at run time, 2 for wrong usage or "
    "configuration.\n\n";

static int print_help(void)
{
    struct buf b;

    buf_init(&b);
    buf_cstr(&b, usage_text);
    flags_help(&b);
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_fini(&b);
    return CLI_OK;
}

static int setup_log(const struct flags *f)
{
    enum log_level level;

    if (!log_level_parse(f->log_level, &level)) {
        cli_error("--log.level: \"%.*s\" is none of debug, info, warn, error",
                  SONDE_ARG(f->log_level));
        return CLI_USAGE;
    }
    if (!str_eq_cstr(f->log_format, "logfmt") &&
        !str_eq_cstr(f->log_format, "json")) {
        cli_error("--log.format: \"%.*s\" is neither logfmt nor json",
                  SONDE_ARG(f->log_format));
        return CLI_USAGE;
    }
    log_setup(level,
              str_eq_cstr(f->log_format, "json") ? LOG_JSON : LOG_LOGFMT);
    for (size_t i = 0; i < f->warnings.count; i++)
        log_warn("cli", "flag", LOG_STR("warning", f->warnings.items[i]));
    return CLI_OK;
}

/* --storage.wal-sync: never, always, or how often. */
static int read_sync(const struct flags *f, struct agent_options *o)
{
    if (str_eq_cstr(f->wal_sync, "never"))
        return CLI_OK;
    if (str_eq_cstr(f->wal_sync, "always")) {
        o->wal_always_sync = true;
        return CLI_OK;
    }
    if (duration_parse(f->wal_sync, &o->wal_sync_every_ms) &&
        o->wal_sync_every_ms > 0)
        return CLI_OK;
    cli_error("--storage.wal-sync: \"%.*s\" is neither never, always nor a "
              "duration such as 1s",
              SONDE_ARG(f->wal_sync));
    return CLI_USAGE;
}

/* --storage.remote.read-sample-limit: 5e7 and the like. */
static int read_samples(const struct flags *f, struct agent_options *o)
{
    double v;

    if (!number_parse(f->read_samples, &v) || !(v >= 0 && v < 1e18)) {
        cli_error("--storage.remote.read-sample-limit: \"%.*s\" is no number "
                  "of samples",
                  SONDE_ARG(f->read_samples));
        return CLI_USAGE;
    }
    o->read_samples = v == 0 ? UINT64_MAX : (uint64_t)v;
    return CLI_OK;
}

static const char *const *to_cstrs(struct arena *a,
                                   const struct sonde_list *list)
{
    const char **out = arena_array(a, const char *, list->count + 1);

    for (size_t i = 0; i < list->count; i++)
        out[i] = arena_cstr(a, list->items[i]);
    return out;
}

static struct api_flag *copy_flags(struct arena *a, const struct flags *f)
{
    struct api_flag *out = arena_array(a, struct api_flag, f->all_count + 1);

    for (size_t i = 0; i < f->all_count; i++)
        out[i] = (struct api_flag){ .name = f->all[i].name,
                                    .value = f->all[i].value };
    return out;
}

static int run_agent(struct arena *a, const struct flags *f)
{
    struct agent_options o = {
        .config_file = arena_cstr(a, f->config_file),
        .config_expand_env = f->config_expand_env,
        .log_only = f->agent,
        .data_dir = arena_cstr(a, f->agent ? f->agent_path : f->tsdb_path),
        .wal_compression = f->wal_compression,
        .wal_zstd = str_eq_cstr(f->wal_compression_type, "zstd"),
        .wal_segment_bytes = f->wal_segment_size,
        .flush_deadline_ms = f->flush_deadline,
        .listen = to_cstrs(a, &f->listen_addresses),
        .listen_count = f->listen_addresses.count,
        .web_config_file = arena_cstr(a, f->web_config_file),
        .external_url = f->external_url,
        .route_prefix = f->route_prefix,
        .cors_origin = f->cors_origin,
        .lifecycle = f->lifecycle,
        .admin = f->admin_api,
        .remote_receiver = f->remote_write_receiver,
        .remote_messages = f->remote_messages,
        .read_concurrent = f->read_concurrent,
        .read_frame_bytes = f->read_frame_bytes,
        .max_connections = f->web_max_connections,
        .read_timeout_ms = f->web_read_timeout,
        .lookback_ms = f->query_lookback,
        .query_timeout_ms = f->query_timeout,
        .query_max_concurrency = f->query_max_concurrency,
        .query_max_samples = f->query_max_samples,
        .promql_features = f->promql_features,
        .retention_ms = f->retention_time,
        .retention_bytes = f->retention_size,
        .min_block_ms = f->min_block_duration,
        .max_block_ms = f->max_block_duration,
        .truncate_every_ms = f->truncate_frequency,
        .keep_min_ms = f->keep_min_time,
        .keep_max_ms = f->keep_max_time,
        .no_lockfile = f->no_lockfile,
        .flags = copy_flags(a, f),
        .flag_count = f->all_count,
    };

    if (read_sync(f, &o) != CLI_OK || read_samples(f, &o) != CLI_OK)
        return CLI_USAGE;
    cli_plugin_dirs(a, &f->plugin_paths, &o.plugin_dirs, &o.plugin_dir_count);
    return agent_run(&o);
}

int cli_run(int argc, char **argv)
{
    struct arena a;
    struct flags f;
    struct sonde_err err;
    int code;

    cli_setup_heap(false);
    arena_init(&a);
    if (flags_parse(&a, argc, argv, &f, &err) != SONDE_OK) {
        cli_error("%s", err.text);
        code = CLI_USAGE;
    } else if (f.help) {
        code = print_help();
    } else if (f.version) {
        (void)puts("sonde " PACKAGE_VERSION);
        code = CLI_OK;
    } else {
        cli_setup_heap(!f.agent);
        code = setup_log(&f);
        if (code == CLI_OK)
            code = run_agent(&a, &f);
    }
    arena_fini(&a);
    return code;
}
