/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an exporter that a plugin stands in for is started and asked, so that
 * `sonde exporter NAME` takes its place with its flags, its environment
 * variables and its pages, and no configuration file.
 *
 * The agent knows no exporter: a plugin describes the one it replaces with a
 * table of flags, each with the role it plays, and the agent parses, prints
 * the help, makes a job from it and serves the pages.
 */
#ifndef SONDE_EXPORTER_H
#define SONDE_EXPORTER_H

#include <sonde/base.h>
#include <sonde/option.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a flag's value becomes. */
enum sonde_flag_role {
    SONDE_FLAG_OPTION,       /* the plugin's option `to`                      */
    SONDE_FLAG_ADDRESS,      /* a target; each value one, an empty one none   */
    SONDE_FLAG_VALUE,        /* looked at by `targets` alone                  */
    SONDE_FLAG_LISTEN,       /* where the pages are served                    */
    SONDE_FLAG_METRICS_PATH, /* of the metrics' page                          */
    SONDE_FLAG_WEB_CONFIG,   /* Prometheus' web config file for the pages     */
    SONDE_FLAG_TIMEOUT,      /* of a collection                               */
    SONDE_FLAG_SCHEME,       /* http or https                                 */
    SONDE_FLAG_TLS_CA,       /* the job's tls_config ...                      */
    SONDE_FLAG_TLS_CERT,
    SONDE_FLAG_TLS_KEY,
    SONDE_FLAG_TLS_NAME,
    SONDE_FLAG_TLS_INSECURE, /* true: not verified                            */
    SONDE_FLAG_TLS_VERIFY,   /* false: not verified                           */
    SONDE_FLAG_LABEL,        /* name=value, on all series of the pages        */
    SONDE_FLAG_PREFIX,       /* instead of `prefix` in names of families      */
    SONDE_FLAG_NO_TARGETS,   /* true: `target_path` is not served             */
    SONDE_FLAG_USER,         /* basic auth of the pages ...                   */
    SONDE_FLAG_PASSWORD,
    SONDE_FLAG_PASSWORD_HASH, /* bcrypt                                       */
    SONDE_FLAG_LOG_LEVEL,
    SONDE_FLAG_LOG_FORMAT,
    SONDE_FLAG_UNUSED, /* taken, without effect; said once at the start      */
    SONDE_FLAG_LISTEN_HOST, /* the two halves of LISTEN, where the exporter
                               has a flag for each ...                     */
    SONDE_FLAG_LISTEN_PORT,
    SONDE_FLAG_SERVER_CERT, /* TLS of the pages ...                        */
    SONDE_FLAG_SERVER_KEY,
    SONDE_FLAG_SERVER_CA,      /* client certificates are required         */
    SONDE_FLAG_SERVER_TLS_MIN, /* "TLS1.2"                                 */
    SONDE_FLAG_DEBUG,          /* true: the log's level is debug           */
    SONDE_FLAG_NO_SELF,        /* true: no process_* and the like          */
};

enum {
    SONDE_FLAG_REPEATED = 1 << 0, /* may be given several times            */
    SONDE_FLAG_COMMAS = 1 << 1,   /* each value is a list with commas      */
    SONDE_FLAG_HIDDEN = 1 << 2,   /* not in the help: old spellings        */
    SONDE_FLAG_INVERTED = 1 << 3, /* of BOOL: the effect is the contrary   */
};

struct sonde_flag {
    const char *name; /* "redis.addr": --redis.addr V, -redis.addr=V       */
    char letter;      /* 'Q' for -Q, or 0                                  */
    const char *env;  /* the variable that stands in for it, or NULL       */
    /* BOOL takes no value (or =true, =false) and has a --no-NAME. */
    enum sonde_option_kind kind;
    enum sonde_flag_role role;
    uint32_t flags;       /* SONDE_FLAG_REPEATED ...                        */
    const char *to;       /* for OPTION; NULL: name with '.', '-' as '_'    */
    const char *fallback; /* what the exporter has, where that is not the
                             plugin's own default; or NULL                  */
    const char *help;     /* one sentence, no final stop                    */
};

/* What was given for a flag of role VALUE or ADDRESS: the i-th value, false
 * when there are no more. */
struct sonde_flag_values {
    bool (*get)(const struct sonde_flag_values *values, const char *flag,
                size_t i, sonde_str *out);
    /* The value of an environment variable; false: not set. */
    bool (*env)(const struct sonde_flag_values *values, const char *name,
                sonde_str *out);
    /* The whole of a file, blanks at both ends cut off. */
    bool (*file)(const struct sonde_flag_values *values, sonde_str path,
                 sonde_str *out, struct sonde_err *err);
    /* Adds a target, beside those of role ADDRESS. A fetch plugin's may be a
     * URL: http://user:password@host:port/path, unix:/socket:/path; the agent
     * takes it apart. Copied. */
    void (*target)(const struct sonde_flag_values *values, sonde_str address);
    /* Sets an option of the job, over what its flag gave. Text as on a command
     * line; a LIST's values are separated by commas. Copied. */
    void (*option)(const struct sonde_flag_values *values, const char *name,
                   sonde_str value);
};

struct sonde_exporter {
    uint32_t struct_size;
    const char *name;   /* "redis_exporter"                                */
    const char *prefix; /* "redis_": what a SONDE_FLAG_PREFIX replaces     */
    const struct sonde_flag *flags;
    size_t flag_count, flag_size; /* stride                               */
    /* The page that collects what `target=` names: "/scrape", "/probe", or
     * NULL. Its other query parameters, NULL-terminated; each sets the option
     * of its name, with '-' as '_'. */
    const char *target_path;
    const char *const *target_params;
    /* Begins an address without a scheme: "redis://"; or NULL. For finding a
     * `target=` among the configured ones. A `target=` that is none of these
     * reaches the plugin as [scheme]host:port[/name] and nothing else: user,
     * password and parameters are the operator's to give. */
    const char *scheme;
    /* The label that tells targets apart on a page with several of them
     * ("addr"); NULL: "target". */
    const char *target_label;
    /* Checks and completes what the flags gave: builds addresses from several
     * variables, translates what is written differently. Optional. */
    sonde_code (*targets)(const struct sonde_flag_values *values,
                          struct sonde_err *err);
    /* A counter that the exporter keeps of bad requests for `target_path`,
     * emitted by the agent beside the plugin's families
     * ("redis_target_scrape_request_errors_total"); or NULL. A sample that
     * the plugin emits by this name gives way to it. */
    const char *target_errors, *target_errors_help;
    /* A family of the plugin; while a sample of it is 0, /health answers 500
     * ("celery_up"). NULL: /health is always ok. */
    const char *health_family;
    /* Other spellings of `scheme` that a `target=` may have, NULL-terminated
     * ("rediss://", "valkey://"); or NULL. */
    const char *const *schemes;
    /* The page with what the plugin's `discover` names, as Prometheus' HTTP
     * service discovery reads it ("/discover-cluster-nodes"); or NULL. */
    const char *discover_path;
};

#define SONDE_EXPORTER_FLAGS(rows)                                             \
    .flags = (rows), .flag_count = sizeof(rows) / sizeof((rows)[0]),           \
    .flag_size = sizeof((rows)[0])

#ifdef __cplusplus
}
#endif

#endif
