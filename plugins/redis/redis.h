/* SPDX-License-Identifier: Apache-2.0 */
/* The instance, and what the files of the plugin do with it; redis.c says how
 * they fit together. */
#ifndef PLUGINS_REDIS_REDIS_H
#define PLUGINS_REDIS_REDIS_H

#include <sonde/plugin.h>

#include "conn.h"
#include "emit.h"
#include "shared/clock.h"
#include "shared/text.h"

/* Bounds on what one collection holds. */
#define REDIS_COMMANDS_MAX  4096 /* rows of commandstats that are kept    */
#define REDIS_DATABASES_MAX 4096 /* that are padded and walked            */
#define REDIS_CLIENTS_MAX   10000
#define REDIS_MASTERS_MAX   128 /* of a Sentinel                          */
#define REDIS_INDEXES_MAX   256
#define REDIS_NODES_MAX     128 /* of a cluster                           */
#define REDIS_GROUPS_MAX    65536
#define REDIS_SCRIPTS_MAX   32

struct redis_options {
    sonde_str user, password, password_file;
    sonde_str config_command;
    bool set_client_name, ping_on_connect;
    bool include_system_metrics, include_config_metrics, redact_config_metrics;
    bool include_metrics_for_empty_databases, include_rdb_file_size_metric;
    bool exclude_latency_histogram_metrics;
    bool export_client_list, export_client_port;
    bool include_modules_metrics, include_search_indexes_metrics;
    sonde_str check_search_indexes;
    bool include_sentinel_peer_info;
    bool is_tile38, is_cluster, cluster_discover_hostnames;
    bool append_instance_role_label;
    sonde_str check_keys, check_single_keys, count_keys;
    sonde_str check_streams, check_single_streams;
    bool streams_exclude_consumer_metrics;
    bool disable_exporting_key_values, skip_checkkeys_for_role_master;
    int64_t check_keys_batch_size;
    sonde_str check_key_groups;
    int64_t max_distinct_key_groups;
    int64_t max_walked_keys, walk_keys;
    sonde_msec walk_time;
    sonde_str script;
    bool lua_script_read_only;
    int64_t reply_limit;
};

/* The parts of a collection, in the order of the table of collectors. */
enum redis_part {
    P_INFO,
    P_CONFIG,
    P_LATENCY,
    P_SLOWLOG,
    P_COMMANDLOG,
    P_CLIENTS,
    P_CLUSTER,
    P_MODULES,
    P_TILE38,
    P_SENTINEL,
    P_SEARCH,
    P_KEYS,
    P_STREAMS,
    P_SCRIPTS,
    P_KEY_WALK,
    P_COUNT
};
void part_begin(struct sonde_instance *i, enum redis_part part);
void part_end(struct sonde_instance *i, sonde_code code,
              const struct sonde_err *why);

/* ---- questions.c: the round trip ----------------------------------------- */

enum redis_question {
    Q_INFO,
    Q_CONFIG,
    Q_LATENCY_LATEST,
    Q_LATENCY_HISTOGRAM,
    Q_SLOWLOG_LEN,
    Q_SLOWLOG_GET,
    Q_COMMANDLOG_SLOW,
    Q_COMMANDLOG_REQUEST,
    Q_COMMANDLOG_REPLY,
    Q_CLIENTS,
    Q_CLUSTER,
    Q_CLUSTER_SLOTS,
    Q_MODULES,
    Q_TILE38,
    Q_SENTINEL_MASTERS,
    Q_SENTINEL_CONFIG,
    Q_SEARCH_LIST,
    Q_COUNT
};

/* What a server would not answer: not asked again on this connection, but for
 * missing rights, which may be granted any time. */
struct redis_refusal {
    sonde_code code; /* SONDE_OK: it was not refused */
    sonde_msec again_at;
    char why[160];
};

/* What the last INFO said of the server. */
struct redis_facts {
    bool known, cluster, sentinel, commandlog;
    bool config_names;  /* CONFIG GET takes several patterns */
    char role_text[16]; /* master, slave */
    size_t role_length;
};

/* Asks everything, connecting if need be. The replies stand in
 * i->replies. */
SONDE_NODISCARD sonde_code questions_ask(struct sonde_instance *i,
                                         sonde_msec deadline,
                                         struct sonde_err *err);
/* Emits the replies, part by part. */
void questions_emit(struct sonde_instance *i);

/* ---- auth.c: a fresh connection ------------------------------------------ */

/* Adds AUTH, SELECT and CLIENT SETNAME; auth_read reads what they answer. */
struct redis_greeting {
    bool auth, select, name;
    char *secret; /* of the file, as it was when it was sent */
};
SONDE_NODISCARD sonde_code auth_add(struct sonde_instance *i,
                                    struct redis_conn *c,
                                    struct redis_greeting *g,
                                    struct sonde_err *err);
/* SONDE_EAUTH: refused. */
SONDE_NODISCARD sonde_code auth_read(struct redis_conn *c,
                                     const struct redis_greeting *g,
                                     sonde_msec deadline,
                                     struct sonde_err *err);
/* Whether the password's file says something else by now. */
bool auth_changed(struct sonde_instance *i, const struct redis_greeting *g);
void auth_forget(struct redis_greeting *g);
/* Looks a password up in the file's bytes; NULL and no error: none is needed.
 * Allocated. `uri` is the target as it is configured. */
SONDE_NODISCARD sonde_code auth_from_file(sonde_str file, sonde_str uri,
                                          sonde_str user, char **out,
                                          struct sonde_err *err);

/* ---- info.c -------------------------------------------------------------- */

struct redis_commands; /* commandstats, for the histograms' sums */

struct redis_command {
    sonde_str name;
    double calls, usec;
    double family_usec; /* with those of its subcommands */
    bool listed;        /* not only its subcommands are */
};
/* The row of that name, or NULL. */
const struct redis_command *commands_find(const struct redis_commands *c,
                                          sonde_str name);
/* Adds one; false when there are too many. */
bool commands_add(struct redis_commands *c, sonde_str name, double calls,
                  double usec);
void commands_reset(struct redis_commands *c);
struct redis_commands *commands_new(void);
void commands_free(struct redis_commands *c);

struct redis_info {
    bool system_metrics; /* in: total_system_memory is wanted        */
    double now;          /* in: seconds since the epoch              */
    double *start_time;  /* in, out: kept so that it does not flap   */
    struct redis_commands *commands;
    uint8_t *databases; /* REDIS_DATABASES_MAX: which have keys; or NULL */
};
/* Emits all that INFO (or CLUSTER INFO) says. */
void info_emit(struct redis_emit *e, sonde_str text, struct redis_info *info);
/* What it says of the server, before anything is emitted. */
void info_facts(sonde_str text, struct redis_facts *facts);
/* Zeroes for the databases below `databases` that INFO did not list. */
void info_pad_databases(struct redis_emit *e, int64_t databases);
/* INFO MODULES and Tile38's SERVER EXT. */
sonde_code modules_emit(struct sonde_instance *i, const struct redis_reply *r,
                        struct sonde_err *why);
sonde_code tile38_emit(struct sonde_instance *i, const struct redis_reply *r,
                       struct sonde_err *why);

/* ---- settings.c, latency.c, clients.c: replies of the round trip --------- */

/* The reply to CONFIG GET: the number of databases (-1: not said), an error
 * if it is not a number. */
SONDE_NODISCARD sonde_code settings_databases(const struct redis_reply *r,
                                              int64_t *out,
                                              struct sonde_err *err);
sonde_code settings_emit(struct sonde_instance *i, const struct redis_reply *r,
                         struct sonde_err *why);
/* Every setting as a label or a number, secrets left out if `redact`. */
void settings_emit_all(struct redis_emit *e, const struct redis_reply *r,
                       size_t as_text, size_t as_number, bool redact);
sonde_code latency_emit_latest(struct sonde_instance *i,
                               const struct redis_reply *r,
                               struct sonde_err *why);
sonde_code latency_emit_histogram(struct sonde_instance *i,
                                  const struct redis_reply *r,
                                  struct sonde_err *why);
sonde_code slowlog_emit_length(struct sonde_instance *i,
                               const struct redis_reply *r,
                               struct sonde_err *why);
sonde_code slowlog_emit_last(struct sonde_instance *i,
                             const struct redis_reply *r,
                             struct sonde_err *why);
sonde_code clients_emit(struct sonde_instance *i, const struct redis_reply *r,
                        struct sonde_err *why);

/* ---- nodes.c: connections to the nodes of a cluster ---------------------- */

struct redis_node {
    char *address;
    struct redis_conn *conn; /* NULL: not opened yet; its reader points to it,
                                so it must not move */
};
struct redis_nodes {
    struct redis_node *nodes;
    size_t count;
    uint8_t *of_slot; /* 16384 nodes, REDIS_NODES_MAX: nobody's */
};
/* Takes over the reply of CLUSTER SLOTS; connections to nodes that stay are
 * kept. *changed: they are others than before. */
SONDE_NODISCARD sonde_code nodes_update(struct sonde_instance *i,
                                        const struct redis_reply *slots,
                                        bool *changed, struct sonde_err *err);
/* A node's connection, opened if it is not. */
SONDE_NODISCARD sonde_code nodes_conn(struct sonde_instance *i, size_t node,
                                      sonde_msec deadline,
                                      struct redis_conn **out,
                                      struct sonde_err *err);
/* Opens a connection and logs in, without selecting a database. */
SONDE_NODISCARD sonde_code nodes_dial(struct sonde_instance *i,
                                      struct redis_conn *c, const char *address,
                                      sonde_msec deadline,
                                      struct sonde_err *err);
/* The host of the target's own address, brackets included. */
sonde_str nodes_own_host(const struct sonde_instance *i);
size_t nodes_of_key(const struct redis_nodes *n, sonde_str key);
void nodes_fini(struct redis_nodes *n);

/* ---- discover.c: the nodes of a cluster, by address ---------------------- */

/* Emits what CLUSTER NODES names; see `discover` of <sonde/plugin.h>. */
SONDE_NODISCARD sonde_code redis_discover(struct sonde_instance *i,
                                          sonde_msec deadline,
                                          void (*emit)(void *arg,
                                                       sonde_str address),
                                          void *arg, struct sonde_err *err);

/* ---- keylist.c: arguments that name keys --------------------------------- */

struct redis_key_item {
    int64_t db;
    char *name;
    size_t len;
};
struct redis_key_list {
    struct redis_key_item *items;
    size_t count;
};
/* "KEY", "dbN=KEY", "N=KEY", with commas between; adds to `out`. */
SONDE_NODISCARD sonde_code keylist_parse(sonde_str text, const char *option,
                                         struct redis_key_list *out,
                                         struct sonde_err *err);
bool keylist_has(const struct redis_key_list *l, int64_t db, sonde_str name);
/* Moves items that are patterns out of `l`. */
SONDE_NODISCARD sonde_code keylist_take_patterns(struct redis_key_list *l,
                                                 struct redis_key_list *out,
                                                 struct sonde_err *err);
void keylist_fini(struct redis_key_list *l);

/* ---- keys.c, streams.c --------------------------------------------------- */

/* A key that is looked at. */
struct redis_key {
    sonde_str name;
    bool as_key, as_stream;     /* what is wanted of it */
    const char *length_command; /* by its type; NULL: none */
    bool is_stream, is_string;
    double memory; /* below 0: not known */
};
struct redis_keys {
    struct sonde_instance *instance;
    struct redis_conn *conn;
    sonde_msec deadline;
    int64_t db;
    sonde_str db_label; /* the text behind it: */
    char label[32];
    struct redis_kept *kept; /* where results go */
    size_t denied;           /* keys that could not be read */
    char why[160];           /* the first reason             */
};
/* Looks at up to REDIS_KEYS_AT_ONCE keys of a database. */
#define REDIS_KEYS_AT_ONCE 512
SONDE_NODISCARD sonde_code keys_look(struct redis_keys *k,
                                     struct redis_key *keys, size_t n,
                                     struct sonde_err *err);
/* What XINFO says of the keys that are streams. */
SONDE_NODISCARD sonde_code streams_look(struct redis_keys *k,
                                        const struct redis_key *keys, size_t n,
                                        struct sonde_err *err);
/* The parts for keys and streams that are named one by one. */
void keys_collect(struct sonde_instance *i, enum redis_part part,
                  sonde_msec deadline);

/* ---- groups.c ------------------------------------------------------------ */

struct redis_group_table;
struct redis_group_table *groups_new(void);
void groups_free(struct redis_group_table *g);
/* False when there is no memory. */
bool groups_add(struct redis_group_table *g, sonde_str name, double memory);
/* Moves all into `kept`: the `limit` largest, and the rest as `overflow`. */
bool groups_finish(struct redis_group_table *g, sonde_str db, size_t limit,
                   struct redis_kept *kept);

/* ---- walk.c: over all keys, in pieces ------------------------------------ */

struct redis_walk;
SONDE_NODISCARD sonde_code walk_new(struct sonde_instance *i,
                                    struct redis_walk **out,
                                    struct sonde_err *err);
void walk_free(struct redis_walk *w);
/* Whether the patterns of groups are well formed. */
SONDE_NODISCARD sonde_code walk_check(const struct redis_options *o,
                                      struct sonde_err *err);
/* Forgets where it was. */
void walk_restart(struct redis_walk *w);
void walk_collect(struct sonde_instance *i, sonde_msec deadline);

/* ---- parts with conversations of their own ------------------------------- */

void sentinel_collect(struct sonde_instance *i, sonde_msec deadline);
void search_collect(struct sonde_instance *i, sonde_msec deadline);
void scripts_collect(struct sonde_instance *i, sonde_msec deadline);
SONDE_NODISCARD sonde_code search_compile(sonde_str pattern, void **out,
                                          struct sonde_err *err);
void search_free(void *pattern);

/* ---- redis.c ------------------------------------------------------------- */

struct sonde_instance {
    const struct sonde_host *host;
    const struct sonde_open *open;
    const struct redis_options *options;
    struct redis_address address;
    struct redis_conn conn;
    struct redis_emit emit;
    struct sonde_sink *sink; /* of this collection */
    struct redis_facts facts;
    struct redis_reply *replies[Q_COUNT]; /* of this collection */
    struct redis_refusal refused[Q_COUNT];
    struct redis_commands *commands;
    struct redis_nodes nodes;
    struct redis_key_list named_keys, named_streams;
    struct redis_key_list key_patterns, stream_patterns, count_patterns;
    struct redis_walk *walk; /* NULL: no option needs one */
    void *search_pattern;
    uint8_t *databases; /* REDIS_DATABASES_MAX: which have keys */
    int64_t database_count;
    double start_time;
    double connect_seconds, ping_seconds, duration_sum;
    double groups_milliseconds;
    uint64_t scrapes;
    bool plain_info; /* INFO ALL was refused on this connection   */
    bool no_memory;  /* MEMORY USAGE likewise                     */
    bool down;       /* at the last collection, for the log       */
};

/* The target's connection, open and at database 0 or that of the address, for
 * a part's own conversation; an error when it was lost meanwhile. */
SONDE_NODISCARD sonde_code redis_conn_for(struct sonde_instance *i,
                                          struct redis_conn **out,
                                          struct sonde_err *err);
/* The job's TLS settings if the address wants TLS, or NULL. */
const struct sonde_tls *redis_tls(const struct sonde_instance *i);
/* What was learnt of a connection is forgotten with it. */
void redis_forget(struct sonde_instance *i);

extern const struct sonde_exporter redis_exporter;

#endif
