/* SPDX-License-Identifier: Apache-2.0 */
/* Where the messages are: a broker's URL, taken apart. */
#ifndef PLUGINS_CELERY_BROKER_H
#define PLUGINS_CELERY_BROKER_H

#include <sonde/plugin.h>

#define BROKER_HOSTS_MAX 8

enum broker_kind {
    BROKER_REDIS,
    BROKER_SENTINEL, /* the hosts are sentinels that know where Redis is */
    BROKER_AMQP,
};

struct broker_host {
    char *address; /* "host:port", "[v6]:port" or "unix:/path" */
    char *name;    /* the host alone, without brackets         */
    int port;
};

struct broker {
    enum broker_kind kind;
    bool tls;
    struct broker_host hosts[BROKER_HOSTS_MAX];
    size_t host_count;
    char *user, *password; /* NULL: not given                     */
    int64_t database;      /* of Redis                            */
    char *vhost;           /* of AMQP; NULL for Redis             */
    /* What the URL's query says of TLS; NULL: not said. */
    char *ca_file, *cert_file, *key_file;
    bool insecure;
};

/* redis:// rediss:// sentinel:// amqp:// amqps:// as Celery writes them,
 * unix:///path, or host:port for Redis. Errors never show credentials. */
SONDE_NODISCARD sonde_code broker_parse(sonde_str url, struct broker *out,
                                        struct sonde_err *err);
void broker_fini(struct broker *b);

/* The job's TLS settings with those of the URL in front. */
struct sonde_tls broker_tls(const struct broker *b,
                            const struct sonde_tls *base);

/* The URL without what is secret (user, password, query), for people. The
 * result is for free(), or NULL. */
char *broker_public(const struct broker *b);

#endif
