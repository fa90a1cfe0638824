/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of --web.config.file, in the format that Prometheus and all its
 * exporters share, read by option tables. What can not be had is an error,
 * so that nobody believes in a protection that is not there.
 *
 * The file and what it names (certificates, tokens) are looked at with each
 * request, a call of stat each, and read anew when one of them has changed.
 * While what is there can not be used, every request is refused: guessing that
 * the old passwords are still meant would be as wrong as opening the door. For
 * the same reason a file that became empty is an error here (Prometheus
 * takes it as "no passwords"), since that is what a file looks like in the
 * moment when an editor writes it. Whether TLS is spoken is decided at the
 * start; a change of that is refused until the restart.
 *
 * Threads: the mutex guards the current snapshot and the stamps; a snapshot
 * does not change and goes with its last reference.
 */
#include "net/web_config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "util/fs.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define FILE_MAX_BYTES (4u << 20)

struct http_block {
    struct config_head head;
    bool http2;
    struct config_map headers;
};
struct rate_block {
    struct config_head head;
    sonde_msec interval;
    int64_t burst;
};
struct file_block {
    struct config_head head;
    struct web_tls_block *tls_server_config;
    struct http_block http_server_config;
    struct config_map basic_auth_users, bearer_token_files;
    struct rate_block *rate_limit;
};

static const char *const version_names[] = { "TLS10", "TLS11", "TLS12", "TLS13",
                                             NULL };

static const struct config_key tls_keys[] = {
    CONFIG_ROW_STR(struct web_tls_block, cert, .help = "Certificate, PEM"),
    CONFIG_ROW_SECRET(struct web_tls_block, key, .help = "Its key, PEM"),
    CONFIG_ROW_STR(struct web_tls_block, client_ca,
                   .help = "Authorities of client certificates, PEM"),
    CONFIG_ROW_PATH(struct web_tls_block, cert_file,
                    .help = "File of the certificate"),
    CONFIG_ROW_PATH(struct web_tls_block, key_file, .help = "File of its key"),
    CONFIG_ROW_PATH(struct web_tls_block, client_ca_file,
                    .help = "File of the authorities of client certificates"),
    CONFIG_ROW_STR(struct web_tls_block, client_auth_type,
                   .help = "NoClientCert, RequestClientCert, "
                           "RequireAnyClientCert, VerifyClientCertIfGiven or "
                           "RequireAndVerifyClientCert"),
    CONFIG_ROW_STR_LIST(struct web_tls_block, client_allowed_sans,
                        .help = "Names of which a client certificate must "
                                "have one"),
    CONFIG_ROW_ENUM(struct web_tls_block, min_version, .choices = version_names,
                    .fallback = "TLS12", .help = "Lowest version of TLS"),
    CONFIG_ROW_ENUM(struct web_tls_block, max_version, .choices = version_names,
                    .fallback = "TLS13", .help = "Highest version of TLS"),
    CONFIG_ROW_STR_LIST(struct web_tls_block, cipher_suites,
                        .help = "Cipher suites, by Go's names"),
    CONFIG_ROW_STR_LIST(struct web_tls_block, curve_preferences,
                        .help = "CurveP256, CurveP384, CurveP521, X25519"),
    CONFIG_ROW_BOOL(struct web_tls_block, prefer_server_cipher_suites,
                    .fallback = "true",
                    .help = "The server's order of suites counts"),
};
static const struct config_block_def tls_def =
    CONFIG_BLOCK_DEF("tls_server_config", struct web_tls_block, tls_keys, NULL,
                     "TLS of the web server");

static const struct config_key http_keys[] = {
    CONFIG_ROW_BOOL(struct http_block, http2, .fallback = "true",
                    .help = "Accepted; HTTP/1.1 is what is spoken"),
    CONFIG_ROW_STR_MAP(struct http_block, headers,
                       .help = "Security headers added to each answer"),
};
static const struct config_block_def http_def =
    CONFIG_BLOCK_DEF("http_server_config", struct http_block, http_keys, NULL,
                     "HTTP of the web server");

static const struct config_key rate_keys[] = {
    CONFIG_ROW_DURATION(struct rate_block, interval,
                        .help = "Time between two requests on average"),
    CONFIG_ROW_INT(struct rate_block, burst, .min = 0, .max = 1000000000,
                   .help = "How many may come at once"),
};
static const struct config_block_def rate_def =
    CONFIG_BLOCK_DEF("rate_limit", struct rate_block, rate_keys, NULL,
                     "Limit of all requests together");

static const struct config_key file_keys[] = {
    CONFIG_ROW_BLOCK(struct file_block, tls_server_config,
                     struct web_tls_block *, &tls_def,
                     .help = "TLS of the web server"),
    CONFIG_ROW_INLINE(struct file_block, http_server_config, struct http_block,
                      &http_def, .help = "HTTP of the web server"),
    CONFIG_ROW_STR_MAP(struct file_block, basic_auth_users,
                       .help = "User names and their bcrypt hashes"),
    CONFIG_ROW_STR_MAP(struct file_block, bearer_token_files,
                       .help = "Names and files of tokens, one a line, that "
                               "do instead of a password; not in Prometheus"),
    CONFIG_ROW_BLOCK(struct file_block, rate_limit, struct rate_block *,
                     &rate_def, .help = "Limit of all requests together"),
};
static const struct config_block_def file_def =
    CONFIG_BLOCK_DEF("web_config", struct file_block, file_keys, NULL,
                     "Prometheus' web config file");

/* ---- reading ----------------------------------------------------------- */

static const struct {
    const char *name;
    const char *const *choices; /* NULL: any */
} header_rules[] = {
    { "Content-Security-Policy", NULL },
    { "Strict-Transport-Security", NULL },
    { "X-Content-Type-Options", (const char *const[]){ "nosniff", NULL } },
    { "X-Frame-Options", (const char *const[]){ "deny", "sameorigin", NULL } },
    { "X-XSS-Protection", NULL },
};

static bool is_choice(const char *const *choices, sonde_str s)
{
    bool found = !choices;

    for (; choices && *choices; choices++)
        found |= str_eq_cstr(s, *choices);
    return found;
}

static sonde_code take_header(const struct config_pair *p,
                              struct http_header *out, struct sonde_err *err)
{
    sonde_str value = p->values.count ? p->values.items[0] : (sonde_str){ 0 };

    for (size_t i = 0; i < sizeof(header_rules) / sizeof(header_rules[0]);
         i++) {
        if (!str_eq_nocase(p->key, sonde_cstr(header_rules[i].name)))
            continue;
        if (!is_choice(header_rules[i].choices, value))
            return yaml_error(p->node, err,
                              "invalid value for %s: \"%.*s\", expected one "
                              "of the standard's, in lower case",
                              header_rules[i].name, SONDE_ARG(value));
        if (str_index(value, '\n') < value.len ||
            str_index(value, '\r') < value.len)
            return yaml_error(p->node, err, "%s: line break in a header",
                              header_rules[i].name);
        *out = (struct http_header){ header_rules[i].name, value };
        return SONDE_OK;
    }
    return yaml_error(p->node, err,
                      "HTTP header \"%.*s\" can not be configured",
                      SONDE_ARG(p->key));
}

static sonde_code take_headers(struct web_snapshot *s,
                               const struct config_map *map,
                               struct sonde_err *err)
{
    s->headers = arena_array(&s->arena, struct http_header, map->count + 1);
    for (size_t i = 0; i < map->count; i++) {
        struct http_header *h = &s->headers[s->header_count];
        sonde_code rc = take_header(&map->items[i], h, err);

        if (rc != SONDE_OK)
            return rc;
        s->header_count += h->value.len > 0;
    }
    return SONDE_OK;
}

static sonde_code take_users(struct web_snapshot *s,
                             const struct config_map *map,
                             struct sonde_err *err)
{
    s->users = arena_array(&s->arena, struct web_user, map->count + 1);
    for (size_t i = 0; i < map->count; i++) {
        const struct config_pair *p = &map->items[i];
        sonde_str hash =
            p->values.count ? p->values.items[0] : (sonde_str){ 0 };
        struct sonde_err why = { 0 };

        if (str_index(p->key, ':') < p->key.len || p->key.len == 0)
            return yaml_error(p->node, err,
                              "basic_auth_users: user name \"%.*s\": expected "
                              "some characters and no colon",
                              SONDE_ARG(p->key));
        if (web_auth_hash_check(hash, &why) != SONDE_OK)
            return yaml_error(p->node, err, "basic_auth_users: %.*s: %s",
                              SONDE_ARG(p->key), why.text);
        s->users[s->user_count++] =
            (struct web_user){ arena_str(&s->arena, p->key),
                               arena_str(&s->arena, hash) };
    }
    return SONDE_OK;
}

static sonde_code take_rate(struct web_snapshot *s, const struct rate_block *r,
                            struct sonde_err *err)
{
    if (!r)
        return SONDE_OK;
    if (r->interval < 0 || (r->interval > 0 && r->burst == 0))
        return yaml_error(r->head.node, err,
                          "rate_limit: expected an interval and a burst of "
                          "at least 1");
    s->rate_interval = r->interval;
    s->rate_burst = r->burst;
    return SONDE_OK;
}

static void config_warning(void *arg, const char *text)
{
    (void)arg;
    log_warn("web", "web config", LOG_CSTR("warning", text));
}

static sonde_code parse_text(struct web_snapshot *s, const char *file,
                             sonde_str text, struct file_block *block,
                             struct sonde_err *err)
{
    struct config_ctx ctx = { .arena = &s->arena, .warn = config_warning };
    struct yaml_node *root = NULL;
    sonde_code rc = yaml_parse(
        &s->arena, arena_cstr(&s->arena, sonde_cstr(file)), text, &root, err);

    if (rc == SONDE_OK)
        rc = config_read(&ctx, &file_def, root, block, err);
    return rc;
}

sonde_code web_config_parse(const char *file, sonde_str text,
                            struct web_snapshot **out,
                            struct web_tls_block **tls, struct sonde_err *err)
{
    struct web_snapshot *s = mem_new(struct web_snapshot);
    struct file_block block;
    sonde_code rc;

    memset(&block, 0, sizeof(block));
    arena_init(&s->arena);
    atomic_init(&s->refs, 1);
    rc = parse_text(s, file, text, &block, err);
    if (rc == SONDE_OK)
        rc = take_headers(s, &block.http_server_config.headers, err);
    if (rc == SONDE_OK)
        rc = take_users(s, &block.basic_auth_users, err);
    if (rc == SONDE_OK)
        rc = web_token_files_take(s, file, &block.bearer_token_files, err);
    if (rc == SONDE_OK)
        rc = take_rate(s, block.rate_limit, err);
    if (rc != SONDE_OK) {
        web_snapshot_unref(s);
        return rc;
    }
    *tls = block.tls_server_config;
    *out = s;
    return SONDE_OK;
}

/* ---- snapshots --------------------------------------------------------- */

struct web_snapshot *web_snapshot_ref(struct web_snapshot *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void web_snapshot_unref(struct web_snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    web_tls_fini(s->tls);
    arena_fini(&s->arena);
    free(s);
}

/* ---- the watched file -------------------------------------------------- */

struct stamp {
    char *path;
    struct timespec mtime;
    off_t size;
    ino_t inode;
};

struct web_config {
    char *path;
    char *text;                   /* instead of the file; or NULL */
    bool tls;                     /* as of the start */
    pthread_mutex_t mutex;        /* guards what is below */
    struct web_snapshot *current; /* NULL: broken */
    struct stamp *stamps;         /* the first is the file's, if there is one */
    size_t stamp_count;
};

static void stamp_take(struct stamp *s)
{
    struct stat st;

    if (!s->path || stat(s->path, &st) != 0)
        memset(&st, 0, sizeof(st));
    s->mtime = st.st_mtim;
    s->size = st.st_size;
    s->inode = st.st_ino;
}

static bool stamp_same(const struct stamp *s)
{
    struct stamp now = { .path = s->path };

    stamp_take(&now);
    return now.mtime.tv_sec == s->mtime.tv_sec &&
           now.mtime.tv_nsec == s->mtime.tv_nsec && now.size == s->size &&
           now.inode == s->inode;
}

static void stamp_add(struct web_config *w, sonde_str path)
{
    struct stamp *s = &w->stamps[w->stamp_count];

    if (path.len == 0)
        return;
    s->path = mem_strdup(path);
    stamp_take(s);
    w->stamp_count++;
}

static void stamps_free(struct web_config *w)
{
    for (size_t i = 0; i < w->stamp_count; i++)
        free(w->stamps[i].path);
    free(w->stamps);
    w->stamps = NULL;
    w->stamp_count = 0;
}

#define TLS_FILES 3

/* What the file names; before that is read, so that a later change is never
 * missed. The file's own stamp was taken before it was read itself. */
static void stamps_set(struct web_config *w, const struct web_snapshot *s,
                       const struct web_tls_block *b)
{
    struct stamp own = w->stamps[0];

    w->stamps[0].path = NULL;
    stamps_free(w);
    w->stamps =
        mem_zalloc((1 + TLS_FILES + s->token_file_count) * sizeof(*w->stamps));
    w->stamps[0] = own;
    w->stamp_count = 1;
    if (b) {
        stamp_add(w, b->cert_file);
        stamp_add(w, b->key_file);
        stamp_add(w, b->client_ca_file);
    }
    for (size_t i = 0; i < s->token_file_count; i++)
        stamp_add(w, sonde_cstr(s->token_files[i].path));
}

/* Whether a block asks for TLS at all: an empty one does not. */
static bool wants_tls(const struct web_tls_block *b)
{
    return b && b->head.node && b->head.node->kind == YAML_MAPPING &&
           b->head.node->count > 0;
}

static sonde_code load(struct web_config *w, struct web_snapshot **out,
                       struct sonde_err *err)
{
    struct web_tls_block *tls = NULL;
    struct web_snapshot *s = NULL;
    struct buf text;
    sonde_code rc = SONDE_OK;

    stamp_take(&w->stamps[0]);
    buf_init(&text);
    if (w->text)
        buf_cstr(&text, w->text);
    else
        rc = fs_read(w->path, FILE_MAX_BYTES, &text, err);
    if (rc == SONDE_OK)
        rc = web_config_parse(w->path, buf_str(&text), &s, &tls, err);
    buf_fini(&text);
    if (rc != SONDE_OK) {
        (void)sonde_err_prefix(err, "web config");
        return rc;
    }
    stamps_set(w, s, tls);
    rc = web_tokens_load(s, err);
    if (rc == SONDE_OK && wants_tls(tls))
        rc = web_tls_load(&s->arena, tls, &s->tls, err);
    if (rc != SONDE_OK) {
        (void)sonde_err_prefix(err, "web config %s", w->path);
        web_snapshot_unref(s);
        return rc;
    }
    *out = s;
    return SONDE_OK;
}

static sonde_code open_config(const char *path, const char *text,
                              struct web_config **out, struct sonde_err *err)
{
    struct web_config *w = mem_new(struct web_config);
    sonde_code rc;

    w->path = mem_strdup(sonde_cstr(path));
    w->text = text ? mem_strdup(sonde_cstr(text)) : NULL;
    w->stamps = mem_zalloc(sizeof(*w->stamps));
    if (!text)
        stamp_add(w, sonde_cstr(path));
    pthread_mutex_init(&w->mutex, NULL);
    rc = load(w, &w->current, err);
    if (rc != SONDE_OK) {
        web_config_close(w);
        return rc;
    }
    w->tls = w->current->tls != NULL;
    *out = w;
    return SONDE_OK;
}

sonde_code web_config_open(const char *file, struct web_config **out,
                           struct sonde_err *err)
{
    return open_config(file, NULL, out, err);
}

sonde_code web_config_open_text(const char *name, sonde_str text,
                                struct web_config **out, struct sonde_err *err)
{
    char *z = mem_strdup(text);
    sonde_code rc = open_config(name, z, out, err);

    free(z);
    return rc;
}

void web_config_close(struct web_config *w)
{
    if (!w)
        return;
    web_snapshot_unref(w->current);
    stamps_free(w);
    pthread_mutex_destroy(&w->mutex);
    free(w->path);
    free(w->text);
    free(w);
}

static void reload(struct web_config *w)
{
    struct web_snapshot *s = NULL;
    struct sonde_err err = { 0 };
    sonde_code rc = load(w, &s, &err);

    if (rc == SONDE_OK && !w->text && w->stamps[0].size == 0)
        rc = sonde_err_set(&err, SONDE_EPARSE,
                           "web config %s became empty; delete the flag "
                           "--web.config.file to run without",
                           w->path);
    else if (rc == SONDE_OK && (s->tls != NULL) != w->tls)
        rc = sonde_err_set(&err, SONDE_EUNSUPPORTED,
                           "web config %s turns TLS %s, which needs a restart",
                           w->path, s->tls ? "on" : "off");
    if (rc != SONDE_OK) {
        web_snapshot_unref(s);
        s = NULL;
        log_error("web", "all requests are refused until it is repaired",
                  LOG_ERRTEXT(&err));
    } else {
        log_info("web", "web config read again", LOG_CSTR("file", w->path));
    }
    web_snapshot_unref(w->current);
    w->current = s;
}

struct web_snapshot *web_config_acquire(struct web_config *w)
{
    struct web_snapshot *s;
    bool same = true;

    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < w->stamp_count && same; i++)
        same = stamp_same(&w->stamps[i]);
    if (!same)
        reload(w);
    s = w->current ? web_snapshot_ref(w->current) : NULL;
    pthread_mutex_unlock(&w->mutex);
    return s;
}

sonde_code web_config_check(const char *file, struct sonde_err *err)
{
    struct web_config *w = NULL;
    sonde_code rc = web_config_open(file, &w, err);

    web_config_close(w);
    return rc;
}
