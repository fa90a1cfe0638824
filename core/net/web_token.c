/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bearer tokens, an addition of ours to the web config file:
 *
 *     bearer_token_files:
 *       grafana: tokens/grafana
 *
 * A file holds one token a line, so that a new one can be added before the
 * old one goes; empty lines and those that begin with # count for nothing.
 * The files are watched as the certificates are.
 *
 * Tokens are long and random, so unlike passwords they need no slow hash:
 * what is kept is their SHA-256, and a request's is compared with all of
 * them, without an early end. A token that could be guessed is refused when
 * it is read.
 */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "net/web_config.h"
#include "util/buf.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define FILE_MAX_BYTES  (64u << 10)
#define FILES_MAX       64
#define TOKENS_MAX      1024 /* of all files */
#define TOKEN_MIN_BYTES 16
#define TOKEN_MAX_BYTES 4096

sonde_code web_token_files_take(struct web_snapshot *s, const char *file,
                                const struct config_map *map,
                                struct sonde_err *err)
{
    sonde_str dir = fs_dirname(sonde_cstr(file));

    s->token_files =
        arena_array(&s->arena, struct web_token_file, map->count + 1);
    for (size_t i = 0; i < map->count; i++) {
        const struct config_pair *p = &map->items[i];
        sonde_str path =
            p->values.count ? p->values.items[0] : (sonde_str){ 0 };

        if (path.len == 0 || p->key.len == 0)
            return yaml_error(p->node, err,
                              "bearer_token_files: expected NAME: FILE, got "
                              "\"%.*s\" without one of them",
                              SONDE_ARG(p->key));
        if (i == FILES_MAX)
            return yaml_error(p->node, err,
                              "bearer_token_files: more than %d files",
                              FILES_MAX);
        s->token_files[s->token_file_count++] = (struct web_token_file){
            .name = arena_cstr(&s->arena, p->key),
            .path = path.ptr[0] == '/' ? arena_cstr(&s->arena, path)
                                       : fs_join(&s->arena, dir, path),
        };
    }
    return SONDE_OK;
}

/* What RFC 6750 lets a token be made of. */
static bool is_token(sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

        if (!letter && !(c >= '0' && c <= '9') && !strchr("-._~+/=", c))
            return false;
    }
    return true;
}

static void token_digest(sonde_str token, uint8_t *out)
{
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, token.ptr, token.len, out) != 0)
        SONDE_BUG("gnutls has no SHA-256");
}

static sonde_code token_fault(const struct web_token_file *f, size_t line,
                              const char *text, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EPARSE,
                         "bearer_token_files: %s: %s, line %zu: %s", f->name,
                         f->path, line, text);
}

static sonde_code take_token(struct web_snapshot *s,
                             const struct web_token_file *f, size_t line,
                             sonde_str token, struct sonde_err *err)
{
    struct web_token *t;

    if (token.len < TOKEN_MIN_BYTES || token.len > TOKEN_MAX_BYTES)
        return token_fault(f, line,
                           "expected a token of 16 to 4096 characters (make "
                           "one with: openssl rand -hex 32)",
                           err);
    if (!is_token(token))
        return token_fault(
            f, line, "expected letters, digits and - . _ ~ + / = only", err);
    if (s->token_count == TOKENS_MAX)
        return token_fault(f, line, "more than 1024 tokens in all files", err);
    t = arena_new(&s->arena, struct web_token);
    token_digest(token, t->digest);
    t->next = s->tokens;
    s->tokens = t;
    s->token_count++;
    return SONDE_OK;
}

static sonde_code take_tokens(struct web_snapshot *s,
                              const struct web_token_file *f, sonde_str text,
                              struct sonde_err *err)
{
    size_t before = s->token_count;
    sonde_str line;

    for (size_t n = 1; str_split(&text, '\n', &line); n++) {
        sonde_code rc;

        line = str_trim(line);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        rc = take_token(s, f, n, line, err);
        if (rc != SONDE_OK)
            return rc;
    }
    if (s->token_count == before)
        return sonde_err_set(err, SONDE_EPARSE,
                             "bearer_token_files: %s: %s holds no token",
                             f->name, f->path);
    return SONDE_OK;
}

sonde_code web_tokens_load(struct web_snapshot *s, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;
    struct buf text;

    for (size_t i = 0; i < s->token_file_count && rc == SONDE_OK; i++) {
        const struct web_token_file *f = &s->token_files[i];

        buf_init(&text);
        rc = fs_read(f->path, FILE_MAX_BYTES, &text, err);
        if (rc == SONDE_OK)
            rc = take_tokens(s, f, buf_str(&text), err);
        else
            (void)sonde_err_prefix(err, "bearer_token_files: %s", f->name);
        if (text.data)
            gnutls_memset(text.data, 0, text.len);
        buf_fini(&text);
    }
    return rc;
}

enum web_verdict web_token_check(const struct web_snapshot *s, sonde_str header)
{
    static const sonde_str scheme = { "Bearer ", 7 };
    uint8_t digest[WEB_DIGEST_BYTES];
    bool found = false;
    sonde_str token;

    if (s->token_file_count == 0 ||
        !str_eq_nocase(str_sub(header, 0, scheme.len), scheme))
        return WEB_NO;
    token = str_trim(str_sub(header, scheme.len, header.len));
    if (token.len < TOKEN_MIN_BYTES || token.len > TOKEN_MAX_BYTES)
        return WEB_NO;
    token_digest(token, digest);
    for (const struct web_token *t = s->tokens; t; t = t->next)
        found |= gnutls_memcmp(t->digest, digest, WEB_DIGEST_BYTES) == 0;
    return found ? WEB_YES : WEB_NO;
}
