/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Basic authentication against bcrypt hashes (and who comes with a bearer
 * token instead, see web_token.c). bcrypt is slow on purpose, and
 * a client sends its password with every request, so what was found out once
 * is remembered: not the password, but an HMAC (with a key made at the start)
 * of user, stored hash and password. A changed hash in the file is another
 * HMAC, so nothing has to be forgotten on a reload.
 *
 * Right and wrong passwords are remembered apart, each in a small ring, so
 * that guessing can not push out those who are known. All entries of a ring
 * are compared, without an early end. An unknown user costs one hash as well,
 * of the first user's cost, so that the time does not tell names.
 *
 * What bcrypt would silently cut (a NUL byte, an absurd length) is refused
 * before.
 */
#include <crypt.h>
#include <pthread.h>
#include <stdlib.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "net/web_config.h"
#include "util/bytes.h"
#include "util/mem.h"
#include "util/str.h"

#define DIGEST_BYTES     32
#define RING_ENTRIES     128
#define CREDENTIAL_BYTES 1024
#define BCRYPT_BYTES     60
#define BCRYPT_COST_MAX  18 /* 2^18 rounds are 15 seconds */

struct ring {
    uint8_t digests[RING_ENTRIES][DIGEST_BYTES];
    size_t count, next;
};

struct web_auth {
    uint8_t key[DIGEST_BYTES];
    pthread_mutex_t mutex; /* guards what is below */
    struct ring right, wrong;
};

struct credentials {
    char text[CREDENTIAL_BYTES + 1]; /* user:password */
    sonde_str user, password;
    sonde_str hash; /* of the user, or one that nothing matches */
    bool known;
    char dummy[BCRYPT_BYTES + 1];
    uint8_t digest[DIGEST_BYTES];
};

struct web_auth *web_auth_new(void)
{
    struct web_auth *auth = mem_new(struct web_auth);

    pthread_mutex_init(&auth->mutex, NULL);
    if (gnutls_rnd(GNUTLS_RND_KEY, auth->key, sizeof(auth->key)) != 0)
        SONDE_BUG("no random numbers for the password cache");
    return auth;
}

void web_auth_free(struct web_auth *auth)
{
    if (!auth)
        return;
    gnutls_memset(auth->key, 0, sizeof(auth->key));
    pthread_mutex_destroy(&auth->mutex);
    free(auth);
}

sonde_code web_auth_hash_check(sonde_str hash, struct sonde_err *err)
{
    uint64_t cost;

    if (hash.len < BCRYPT_BYTES - 1)
        return sonde_err_set(err, SONDE_EPARSE,
                             "hashedSecret too short to be a bcrypted "
                             "password (make one with: htpasswd -nBC 10 NAME)");
    if (hash.len != BCRYPT_BYTES ||
        !(str_starts(hash, SONDE_STR("$2a$")) ||
          str_starts(hash, SONDE_STR("$2b$")) ||
          str_starts(hash, SONDE_STR("$2y$"))) ||
        !str_to_u64(str_sub(hash, 4, 6), &cost) || hash.ptr[6] != '$')
        return sonde_err_set(err, SONDE_EPARSE,
                             "expected a bcrypt hash, $2a$, $2b$ or $2y$ and "
                             "60 characters long (make one with: htpasswd "
                             "-nBC 10 NAME)");
    if (cost < 4 || cost > BCRYPT_COST_MAX)
        return sonde_err_set(err, SONDE_EPARSE,
                             "bcrypt cost %d: expected 4 to %d, because each "
                             "step doubles the time of a login",
                             (int)cost, BCRYPT_COST_MAX);
    return SONDE_OK;
}

static bool decode_basic(sonde_str header, struct credentials *c)
{
    static const sonde_str scheme = { "Basic ", 6 };
    gnutls_datum_t in, out = { 0 };
    bool fits;

    if (header.len > 2 * CREDENTIAL_BYTES ||
        !str_eq_nocase(str_sub(header, 0, scheme.len), scheme))
        return false;
    header = str_trim(str_sub(header, scheme.len, header.len));
    in.data = (unsigned char *)header.ptr;
    in.size = (unsigned)header.len;
    if (header.len == 0 || gnutls_base64_decode2(&in, &out) != 0)
        return false;
    fits = out.size <= CREDENTIAL_BYTES;
    if (fits) {
        memcpy(c->text, out.data, out.size);
        c->text[out.size] = '\0';
        c->user = (sonde_str){ c->text, out.size };
    }
    gnutls_memset(out.data, 0, out.size);
    gnutls_free(out.data);
    return fits;
}

/* A hash of the same cost that no password has. */
static void make_dummy(const struct web_snapshot *s, char *out)
{
    memcpy(out, s->users[0].hash.ptr, 7);
    memset(out + 7, '.', BCRYPT_BYTES - 7);
    out[BCRYPT_BYTES] = '\0';
}

static void digest(const struct web_auth *auth, struct credentials *c)
{
    const sonde_str parts[] = { c->user, c->hash, c->password };
    gnutls_hmac_hd_t h;

    if (gnutls_hmac_init(&h, GNUTLS_MAC_SHA256, auth->key, DIGEST_BYTES) != 0)
        SONDE_BUG("gnutls has no HMAC-SHA256");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        uint8_t len[8];

        be64_put(len, parts[i].len);
        (void)gnutls_hmac(h, len, sizeof(len));
        (void)gnutls_hmac(h, parts[i].ptr, parts[i].len);
    }
    gnutls_hmac_deinit(h, c->digest);
}

/* False if the header holds nothing that could be right. */
static bool credentials_init(const struct web_auth *auth,
                             const struct web_snapshot *s, sonde_str header,
                             struct credentials *c)
{
    size_t colon;

    c->known = false;
    if (s->user_count == 0 || !decode_basic(header, c))
        return false;
    colon = str_index(c->user, ':');
    if (colon == c->user.len || str_index(c->user, '\0') < c->user.len)
        return false;
    c->password = str_sub(c->user, colon + 1, c->user.len);
    c->user = str_sub(c->user, 0, colon);
    if (c->password.len >= CRYPT_MAX_PASSPHRASE_SIZE)
        return false;
    make_dummy(s, c->dummy);
    c->hash = (sonde_str){ c->dummy, BCRYPT_BYTES };
    for (size_t i = 0; i < s->user_count; i++) {
        if (!sonde_str_eq(s->users[i].name, c->user))
            continue;
        c->hash = s->users[i].hash;
        c->known = true;
    }
    digest(auth, c);
    return true;
}

static bool ring_has(const struct ring *r, const uint8_t *d)
{
    bool found = false;

    for (size_t i = 0; i < r->count; i++)
        found |= gnutls_memcmp(r->digests[i], d, DIGEST_BYTES) == 0;
    return found;
}

static void ring_add(struct ring *r, const uint8_t *d)
{
    if (ring_has(r, d))
        return;
    memcpy(r->digests[r->next], d, DIGEST_BYTES);
    r->next = (r->next + 1) % RING_ENTRIES;
    if (r->count < RING_ENTRIES)
        r->count++;
}

static enum web_verdict cache_look(struct web_auth *auth, const uint8_t *d)
{
    enum web_verdict v = WEB_HASH;

    pthread_mutex_lock(&auth->mutex);
    if (ring_has(&auth->right, d))
        v = WEB_YES;
    else if (ring_has(&auth->wrong, d))
        v = WEB_NO;
    pthread_mutex_unlock(&auth->mutex);
    return v;
}

enum web_verdict web_auth_cached(struct web_auth *auth,
                                 const struct web_snapshot *s, sonde_str header)
{
    struct credentials c;
    enum web_verdict v = WEB_NO;

    if (web_open(s) || web_token_check(s, header) == WEB_YES)
        return WEB_YES;
    if (credentials_init(auth, s, header, &c))
        v = cache_look(auth, c.digest);
    gnutls_memset(&c, 0, sizeof(c));
    return v;
}

static bool bcrypt_matches(const struct credentials *c)
{
    struct crypt_data *data = mem_new(struct crypt_data);
    const char *got = crypt_r(c->password.ptr, c->hash.ptr, data);
    bool same = got && strlen(got) == c->hash.len &&
                gnutls_memcmp(got, c->hash.ptr, c->hash.len) == 0;

    gnutls_memset(data, 0, sizeof(*data));
    free(data);
    return same && c->known;
}

enum web_verdict web_auth_hash(struct web_auth *auth,
                               const struct web_snapshot *s, sonde_str header)
{
    struct credentials c;
    enum web_verdict v = WEB_NO;

    if (web_open(s) || web_token_check(s, header) == WEB_YES)
        return WEB_YES;
    if (credentials_init(auth, s, header, &c)) {
        v = cache_look(auth, c.digest); /* somebody may have been faster */
        if (v == WEB_HASH) {
            v = bcrypt_matches(&c) ? WEB_YES : WEB_NO;
            pthread_mutex_lock(&auth->mutex);
            ring_add(v == WEB_YES ? &auth->right : &auth->wrong, c.digest);
            pthread_mutex_unlock(&auth->mutex);
        }
    }
    gnutls_memset(&c, 0, sizeof(c));
    return v;
}

/* As the flag's own security goes: the password stands on a command line, so
 * the hash needs no more rounds than keep it from being read at a glance. */
#define HASH_COST 5

sonde_code web_password_hash(sonde_str password, struct buf *out,
                             struct sonde_err *err)
{
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *data;
    const char *hash = NULL;
    bool ok;

    if (password.len == 0 || password.len > 72 ||
        memchr(password.ptr, '\0', password.len))
        return sonde_err_set(err, SONDE_EINVAL,
                             "a password of the pages has 1 to 72 characters");
    data = mem_new(struct crypt_data);
    if (crypt_gensalt_rn("$2b$", HASH_COST, NULL, 0, salt, sizeof(salt)))
        hash = crypt_r(password.ptr, salt, data);
    ok = hash && hash[0] == '$';
    if (ok)
        buf_cstr(out, hash);
    gnutls_memset(data, 0, sizeof(*data));
    free(data);
    return ok ? SONDE_OK
              : sonde_err_set(err, SONDE_EIO, "a password was not hashed");
}
