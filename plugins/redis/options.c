/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options, under the names of redis_exporter's flags with '_' for '-' and
 * '.', and what the table can not check. Bounds of our own are at the end.
 */
#include "options.h"

/* clang-format off */
const struct sonde_option redis_options_table[REDIS_OPTION_COUNT] = {
    SONDE_OPT_STR(struct redis_options, user, .env = "REDIS_USER",
                  .help = "ACL user for AUTH", .example = "sonde"),
    SONDE_OPT_SECRET(struct redis_options, password, .env = "REDIS_PASSWORD",
                     .help = "Password for AUTH; one in the address wins"),
    SONDE_OPT_FILE(struct redis_options, password_file,
                   .env = "REDIS_PASSWORD_FILE",
                   .help = "File that holds the password, or redis_exporter's "
                           "JSON map of targets and passwords; read at each "
                           "connection, unless password is given",
                   .example = "/run/secrets/redis"),
    SONDE_OPT_STR(struct redis_options, config_command, .fallback = "CONFIG",
                  .help = "Name of the CONFIG command if it was renamed; - "
                          "does not ask for it"),
    SONDE_OPT_BOOL(struct redis_options, set_client_name, .fallback = "true",
                   .help = "Show up in CLIENT LIST as sonde"),
    SONDE_OPT_BOOL(struct redis_options, ping_on_connect, .fallback = "false",
                   .help = "Measure a PING too, in a round trip of its own"),
    SONDE_OPT_BOOL(struct redis_options, include_system_metrics,
                   .fallback = "false",
                   .help = "Add redis_total_system_memory_bytes"),
    SONDE_OPT_BOOL(struct redis_options, include_config_metrics,
                   .fallback = "false",
                   .help = "Add every setting, as label and as number"),
    SONDE_OPT_BOOL(struct redis_options, redact_config_metrics,
                   .fallback = "true",
                   .help = "Leave passwords out of the settings"),
    SONDE_OPT_BOOL(struct redis_options, include_metrics_for_empty_databases,
                   .fallback = "true",
                   .help = "Zeroes for databases without keys"),
    SONDE_OPT_BOOL(struct redis_options, include_rdb_file_size_metric,
                   .fallback = "false",
                   .help = "Size of the dump file, if it is on this machine"),
    SONDE_OPT_BOOL(struct redis_options, exclude_latency_histogram_metrics,
                   .fallback = "false",
                   .help = "Ask neither LATENCY LATEST nor LATENCY HISTOGRAM"),
    SONDE_OPT_BOOL(struct redis_options, export_client_list,
                   .fallback = "false",
                   .help = "Add a dozen samples for each connected client"),
    SONDE_OPT_BOOL(struct redis_options, export_client_port,
                   .fallback = "false",
                   .help = "Add the client's port to its labels"),
    SONDE_OPT_BOOL(struct redis_options, include_modules_metrics,
                   .fallback = "false", .help = "Ask INFO MODULES too"),
    SONDE_OPT_BOOL(struct redis_options, include_search_indexes_metrics,
                   .fallback = "false", .help = "Ask FT.INFO of search indexes"),
    SONDE_OPT_STR(struct redis_options, check_search_indexes,
                  .fallback = ".*",
                  .help = "Which of them, a regular expression"),
    SONDE_OPT_BOOL(struct redis_options, include_sentinel_peer_info,
                   .fallback = "false",
                   .help = "Add redis_sentinel_peer_info"),
    SONDE_OPT_BOOL(struct redis_options, is_tile38, .fallback = "false",
                   .help = "Ask Tile38's SERVER EXT"),
    SONDE_OPT_BOOL(struct redis_options, is_cluster, .fallback = "false",
                   .help = "Look for keys on all masters of the cluster"),
    SONDE_OPT_BOOL(struct redis_options, cluster_discover_hostnames,
                   .fallback = "false",
                   .help = "/discover-cluster-nodes names hosts where nodes "
                           "announce them"),
    SONDE_OPT_BOOL(struct redis_options, append_instance_role_label,
                   .fallback = "false",
                   .help = "Add the label instance_role (master, slave)"),
    SONDE_OPT_STR(struct redis_options, check_keys,
                  .help = "Keys to look at, or patterns of keys, as "
                          "dbN=KEY with commas between",
                  .example = "db0=queue:*"),
    SONDE_OPT_STR(struct redis_options, check_single_keys,
                  .help = "Keys to look at, never patterns"),
    SONDE_OPT_STR(struct redis_options, count_keys,
                  .help = "Patterns whose keys are counted"),
    SONDE_OPT_STR(struct redis_options, check_streams,
                  .help = "Streams, or patterns of streams, for XINFO"),
    SONDE_OPT_STR(struct redis_options, check_single_streams,
                  .help = "Streams for XINFO, never patterns"),
    SONDE_OPT_BOOL(struct redis_options, streams_exclude_consumer_metrics,
                   .fallback = "false",
                   .help = "Leave out what is of single consumers"),
    SONDE_OPT_BOOL(struct redis_options, disable_exporting_key_values,
                   .fallback = "false",
                   .help = "Leave out the values of strings"),
    SONDE_OPT_BOOL(struct redis_options, skip_checkkeys_for_role_master,
                   .fallback = "false",
                   .help = "Look at keys on replicas only"),
    SONDE_OPT_INT(struct redis_options, check_keys_batch_size,
                  .fallback = "1000", .min = 1, .max = 10000,
                  .help = "COUNT of SCAN"),
    SONDE_OPT_STR(struct redis_options, check_key_groups,
                  .help = "Lua patterns with commas between: keys are grouped "
                          "by what the first that matches captures",
                  .example = "^([^:]+):"),
    SONDE_OPT_INT(struct redis_options, max_distinct_key_groups,
                  .fallback = "100", .min = 1, .max = REDIS_GROUPS_MAX,
                  .help = "Groups of a database; the rest is `overflow`"),
    SONDE_OPT_STR(struct redis_options, script,
                  .help = "Files with Lua scripts, with commas between, whose "
                          "reply is a list of names and numbers"),
    SONDE_OPT_BOOL(struct redis_options, lua_script_read_only,
                   .fallback = "false",
                   .help = "Run them with EVAL_RO"),
    SONDE_OPT_INT(struct redis_options, max_walked_keys, .fallback = "10000",
                  .min = 1, .max = 100000,
                  .help = "Keys that match a pattern and are looked at, in one "
                          "walk"),
    SONDE_OPT_INT(struct redis_options, walk_keys, .fallback = "200000",
                  .min = 1, .max = 100000000,
                  .help = "Keys that a walk passes in one collection"),
    SONDE_OPT_DURATION(struct redis_options, walk_time, .fallback = "250ms",
                       .min = 1, .max = 60000,
                       .help = "Time that a walk takes in one collection"),
    SONDE_OPT_SIZE(struct redis_options, reply_limit, .fallback = "64MB",
                   .min = 65536, .max = INT64_C(1) << 30,
                   .help = "Most bytes that a server may answer in one "
                           "round trip"),
};
/* clang-format on */

_Static_assert(sizeof(redis_options_table) / sizeof(redis_options_table[0]) ==
                   REDIS_OPTION_COUNT,
               "options.h says how many options there are");

static sonde_code check_lists(const struct redis_options *o,
                              struct sonde_err *err)
{
    const struct {
        sonde_str text;
        const char *name;
    } rows[] = { { o->check_keys, "check_keys" },
                 { o->check_single_keys, "check_single_keys" },
                 { o->count_keys, "count_keys" },
                 { o->check_streams, "check_streams" },
                 { o->check_single_streams, "check_single_streams" } };
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; rc == SONDE_OK && i < sizeof(rows) / sizeof(rows[0]);
         i++) {
        struct redis_key_list list = { 0 };

        rc = keylist_parse(rows[i].text, rows[i].name, &list, err);
        keylist_fini(&list);
    }
    return rc;
}

sonde_code redis_check(const void *opaque, struct sonde_err *err)
{
    const struct redis_options *o = opaque;
    void *pattern = NULL;
    sonde_code rc = SONDE_OK;

    if (o->config_command.len == 0)
        rc = sonde_err_set(err, SONDE_EINVAL,
                           "config_command is empty: expected the command's "
                           "name, or '-' not to ask");
    if (rc == SONDE_OK)
        rc = check_lists(o, err);
    if (rc == SONDE_OK)
        rc = search_compile(o->check_search_indexes, &pattern, err);
    search_free(pattern);
    return rc == SONDE_OK ? walk_check(o, err) : rc;
}
