/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' web config file: TLS, passwords, headers. A snapshot is what
 * the file said at one moment; connections and requests hold one for as long
 * as they need it.
 */
#ifndef NET_WEB_CONFIG_H
#define NET_WEB_CONFIG_H

#include <gnutls/gnutls.h>

#include <sonde/base.h>
#include <sonde/option.h>

#include "config/schema.h"
#include "net/net.h"
#include "util/arena.h"

/* ---- the file's blocks: web_config.c ----------------------------------- */

struct web_tls_block {
    struct config_head head;
    sonde_str cert, key, client_ca;
    sonde_str cert_file, key_file, client_ca_file;
    sonde_str client_auth_type;
    struct sonde_list client_allowed_sans, cipher_suites, curve_preferences;
    int min_version, max_version; /* index in TLS10 TLS11 TLS12 TLS13 */
    bool prefer_server_cipher_suites;
};

/* ---- TLS: web_tls.c ---------------------------------------------------- */

struct web_tls {
    gnutls_certificate_credentials_t cred;
    gnutls_priority_t priority;
    gnutls_certificate_request_t request; /* of the client's certificate */
    struct sonde_list sans;               /* empty: any                  */
    /* NUL-terminated, for the start of the daemon. */
    sonde_str cert_pem, key_pem;
    const char *priorities;
};
/* Loads what the block names; memory is the arena's, except for what
 * web_tls_fini releases. NULL in `*out` if the block asks for no TLS. */
SONDE_NODISCARD sonde_code web_tls_load(struct arena *a,
                                        const struct web_tls_block *b,
                                        struct web_tls **out,
                                        struct sonde_err *err);
void web_tls_fini(struct web_tls *tls); /* NULL is fine */
/* Makes a session that has not shaken hands yet use these. */
void web_tls_apply(const struct web_tls *tls, gnutls_session_t session);
/* Whether the client's certificate is one of the allowed. */
bool web_tls_allows(const struct web_tls *tls, gnutls_session_t session);

/* ---- snapshots: web_config.c ------------------------------------------- */

struct web_user {
    sonde_str name, hash; /* NUL-terminated */
};

struct web_token_file {
    const char *name, *path;
};
#define WEB_DIGEST_BYTES 32
struct web_token {
    struct web_token *next;
    uint8_t digest[WEB_DIGEST_BYTES];
};

struct web_snapshot {
    _Atomic size_t refs;
    struct arena arena;
    struct web_user *users;
    size_t user_count;
    struct web_token_file *token_files;
    size_t token_file_count;
    struct web_token *tokens; /* of all files */
    size_t token_count;
    struct http_header *headers;
    size_t header_count;
    struct web_tls *tls;      /* NULL: plain */
    sonde_msec rate_interval; /* between tokens; 0: no limit */
    int64_t rate_burst;
};
struct web_snapshot *web_snapshot_ref(struct web_snapshot *s);
void web_snapshot_unref(struct web_snapshot *s); /* NULL is fine */

/* The text of such a file, without what it names: `tls` is its TLS block
 * (in the snapshot's arena) or NULL. */
SONDE_NODISCARD sonde_code web_config_parse(const char *file, sonde_str text,
                                            struct web_snapshot **out,
                                            struct web_tls_block **tls,
                                            struct sonde_err *err);

/* The file, watched. Thread-safe. */
struct web_config;
SONDE_NODISCARD sonde_code web_config_open(const char *file,
                                           struct web_config **out,
                                           struct sonde_err *err);
/* The same from a text; `name` is for messages. The certificates that it
 * names are watched. */
SONDE_NODISCARD sonde_code web_config_open_text(const char *name,
                                                sonde_str text,
                                                struct web_config **out,
                                                struct sonde_err *err);
void web_config_close(struct web_config *w); /* NULL is fine */
/* What the file says now, to be unref'd; NULL while it is broken. */
struct web_snapshot *web_config_acquire(struct web_config *w);

/* ---- passwords: web_auth.c --------------------------------------------- */

enum web_verdict {
    WEB_YES,
    WEB_NO,
    WEB_HASH /* only web_auth_hash can say */
};
struct web_auth;
struct web_auth *web_auth_new(void);
void web_auth_free(struct web_auth *auth);
/* `header` is the request's Authorization. The first takes microseconds,
 * the second as long as bcrypt does. Both thread-safe. */
enum web_verdict web_auth_cached(struct web_auth *auth,
                                 const struct web_snapshot *s,
                                 sonde_str header);
enum web_verdict web_auth_hash(struct web_auth *auth,
                               const struct web_snapshot *s, sonde_str header);
/* Whether nobody is asked who he is. */
static inline bool web_open(const struct web_snapshot *s)
{
    return s->user_count == 0 && s->token_file_count == 0;
}
/* Whether a text is a bcrypt hash that we check; says why not. */
SONDE_NODISCARD sonde_code web_auth_hash_check(sonde_str hash,
                                               struct sonde_err *err);

/* ---- bearer tokens: web_token.c ---------------------------------------- */

/* The names of the files, from the web config file `file`. */
SONDE_NODISCARD sonde_code web_token_files_take(struct web_snapshot *s,
                                                const char *file,
                                                const struct config_map *map,
                                                struct sonde_err *err);
/* Their contents. */
SONDE_NODISCARD sonde_code web_tokens_load(struct web_snapshot *s,
                                           struct sonde_err *err);
/* WEB_YES or WEB_NO. */
enum web_verdict web_token_check(const struct web_snapshot *s,
                                 sonde_str header);

#endif
