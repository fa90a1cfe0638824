/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs are read by curl's own parser, so that what is checked here (scheme,
 * host) is what curl will then connect to; a second parser that disagreed
 * with it would be a hole. Only masking works on the raw text, since it must
 * also serve URLs that do not parse.
 */
#include "net/url.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "util/str.h"

/* One part as a copy in the arena; "" when the URL has none. */
static char *part(struct arena *a, CURLU *u, CURLUPart what, unsigned flags)
{
    char *text = NULL, *copy;

    if (curl_url_get(u, what, &text, flags) != CURLUE_OK)
        text = NULL;
    copy = arena_cstr(a, sonde_cstr(text));
    curl_free(text);
    return copy;
}

static char *lower(char *text)
{
    for (char *z = text; *z; z++)
        if (*z >= 'A' && *z <= 'Z')
            *z = (char)(*z - 'A' + 'a');
    return text;
}

/* `text` is absolute, or else relative to what `u` has. */
static sonde_code take_apart(struct arena *a, CURLU *u, sonde_str text,
                             struct url *out, struct sonde_err *err)
{
    CURLUcode rc = curl_url_set(u, CURLUPART_URL, arena_cstr(a, text),
                                CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS);

    if (rc != CURLUE_OK)
        return sonde_err_set(err, SONDE_EINVAL, "bad URL \"%s\": %s",
                             url_masked(a, text), curl_url_strerror(rc));
    (void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    out->text = part(a, u, CURLUPART_URL, 0);
    out->scheme = part(a, u, CURLUPART_SCHEME, 0);
    out->host = lower(part(a, u, CURLUPART_HOST, 0));
    out->port = part(a, u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if (strcmp(out->scheme, "http") != 0 && strcmp(out->scheme, "https") != 0)
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "URL \"%s\": expected scheme http or https, "
                             "got \"%s\"",
                             url_masked(a, sonde_cstr(out->text)), out->scheme);
    return SONDE_OK;
}

sonde_code url_parse(struct arena *a, sonde_str text, struct url *out,
                     struct sonde_err *err)
{
    CURLU *u = curl_url();
    sonde_code rc;

    if (!u)
        return sonde_err_set(err, SONDE_ENOMEM, "parse URL: out of memory");
    rc = take_apart(a, u, text, out, err);
    curl_url_cleanup(u);
    return rc;
}

sonde_code url_follow(struct arena *a, const struct url *base,
                      sonde_str location, struct url *out,
                      struct sonde_err *err)
{
    CURLU *u = curl_url();
    sonde_code rc;

    if (!u || curl_url_set(u, CURLUPART_URL, base->text, 0) != CURLUE_OK)
        rc = sonde_err_set(err, SONDE_ENOMEM, "parse URL: out of memory");
    else
        rc = take_apart(a, u, location, out, err);
    curl_url_cleanup(u);
    return rc;
}

const char *url_with_host(struct arena *a, const struct url *url,
                          const char *host)
{
    CURLU *u = curl_url();
    const char *text = NULL;

    if (u && curl_url_set(u, CURLUPART_URL, url->text, 0) == CURLUE_OK &&
        curl_url_set(u, CURLUPART_HOST, host, 0) == CURLUE_OK)
        text = part(a, u, CURLUPART_URL, 0);
    curl_url_cleanup(u);
    return text;
}

bool url_same_party(const struct url *from, const struct url *to)
{
    bool up = !strcmp(from->scheme, "http") && !strcmp(to->scheme, "https");

    if (strcmp(from->host, to->host) != 0)
        return false;
    return up ||
           (!strcmp(from->scheme, to->scheme) && !strcmp(from->port, to->port));
}

/* The part between "//" and the path: where a password may stand. */
static sonde_str authority(sonde_str text)
{
    const char *at = memmem(text.ptr, text.len, "://", 3);
    size_t from = at ? (size_t)(at - text.ptr) + 3 : 0;
    size_t to = from;

    while (to < text.len && !strchr("/?#", text.ptr[to]))
        to++;
    return str_sub(text, from, to);
}

const char *url_masked(struct arena *a, sonde_str text)
{
    sonde_str auth = text.len ? authority(text) : text;
    const char *host = memrchr(auth.ptr, '@', auth.len);
    const char *colon =
        host ? memchr(auth.ptr, ':', (size_t)(host - auth.ptr)) : NULL;
    sonde_str head, tail;

    if (!colon)
        return arena_cstr(a, text);
    head = str_sub(text, 0, (size_t)(colon - text.ptr) + 1);
    tail = str_sub(text, (size_t)(host - text.ptr), text.len);
    return arena_printf(a, "%.*sxxxxx%.*s", SONDE_ARG(head), SONDE_ARG(tail))
        .ptr;
}

bool url_is_loopback(const struct url *url)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, url->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return !strcmp(url->host, "localhost") || !strcmp(url->host, "[::1]");
}
