/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which route answers a request. A path is matched exactly or by the longest
 * prefix that ends in '*'. What does not fit is answered here, as
 * Prometheus' router does: an unclean path and one with a slash too many are
 * redirected (keeping prefix, query and, by 308, the method), an unknown one
 * is 404, a wrong method 405 with the sorted list of right ones. Below a
 * route prefix nothing else exists, except "/" itself, which leads there.
 *
 * A redirect's target is built from the decoded path, encoded again, so that
 * nothing in it can name another host.
 */
#include "net/server_int.h"
#include "util/str.h"

static const char *const method_names[] = {
    [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD",       [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT", [HTTP_OPTIONS] = "OPTIONS", [HTTP_DELETE] = "DELETE",
};

/* In the order of their names. */
static const enum http_method method_order[] = { HTTP_DELETE, HTTP_GET,
                                                 HTTP_HEAD,   HTTP_OPTIONS,
                                                 HTTP_POST,   HTTP_PUT };

static const struct http_route *route_find(const struct http_server *s,
                                           sonde_str path)
{
    const struct http_route *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < s->options.route_count; i++) {
        const struct http_route *r = &s->options.routes[i];
        sonde_str p = sonde_cstr(r->path);

        if (p.len > 0 && p.ptr[p.len - 1] == '*') {
            p.len--;
            if (str_starts(path, p) && (!best || p.len > best_len)) {
                best = r;
                best_len = p.len;
            }
        } else if (sonde_str_eq(path, p)) {
            return r;
        }
    }
    return best;
}

static void reply_redirect(struct http_call *c, sonde_str path)
{
    bool safe = c->method == HTTP_GET || c->method == HTTP_HEAD;
    struct buf b;

    buf_init(&b);
    http_encode_path(&b, c->server->options.route_prefix);
    http_encode_path(&b, path);
    if (c->query.len > 0) {
        buf_char(&b, '?');
        buf_put(&b, c->query);
    }
    http_call_set_header(c, "Location", buf_str(&b));
    buf_fini(&b);
    http_reply(c, safe ? 301 : 308, "", (sonde_str){ 0 });
}

static void reply_not_allowed(struct http_call *c)
{
    struct buf allow;

    buf_init(&allow);
    for (size_t i = 0; i < sizeof(method_order) / sizeof(method_order[0]);
         i++) {
        if (!(c->route->methods & (1u << method_order[i])))
            continue;
        if (allow.len > 0)
            buf_cstr(&allow, ", ");
        buf_cstr(&allow, method_names[method_order[i]]);
    }
    http_call_set_header(c, "Allow", buf_str(&allow));
    buf_fini(&allow);
    server_reply_error(c, 405, "Method Not Allowed\n");
}

static bool route_is_exact(const struct http_route *r)
{
    return r && r->path[strlen(r->path) - 1] != '*';
}

/* Whether the path only has a slash too many at its end. */
static bool has_twin(const struct http_call *c, sonde_str *twin)
{
    *twin = c->path;
    if (twin->len < 2 || twin->ptr[twin->len - 1] != '/')
        return false;
    twin->len--;
    return route_is_exact(route_find(c->server, *twin));
}

static void reply_not_ready(struct http_call *c)
{
    const struct http_server_options *o = &c->server->options;
    bool stopping = o->stopping && o->stopping(o->ready_arg);

    http_call_set_header(c, "X-Prometheus-Stopping",
                         stopping ? SONDE_STR("true") : SONDE_STR("false"));
    server_reply_error(c, 503, "Service Unavailable");
}

/* Splits the target into path and query; false: it was replied to. */
static bool target_split(struct http_call *c, sonde_str *path)
{
    sonde_str t = sonde_cstr(c->target);
    size_t mark;

    if (t.len > 0 && t.ptr[0] != '/') { /* absolute form: after the host */
        size_t scheme = str_index(t, ':');
        sonde_str rest = str_sub(t, scheme + 1, t.len);

        t = (sonde_str){ 0 };
        if (str_starts(rest, SONDE_STR("//"))) {
            rest = str_sub(rest, 2, rest.len);
            t = str_sub(rest, str_index(rest, '/'), rest.len);
        }
        if (t.len == 0)
            t = SONDE_STR("/");
    }
    mark = str_index(t, '?');
    c->query = str_sub(t, mark + 1, t.len);
    if (!http_decode(&c->arena, str_sub(t, 0, mark), false, path) ||
        str_index(*path, '\0') < path->len) {
        server_reply_error(c, 400, "400 Bad Request\n");
        return false;
    }
    return true;
}

/* Takes the prefix off; false: it was replied to. */
static bool prefix_strip(struct http_call *c, sonde_str path)
{
    sonde_str prefix = c->server->options.route_prefix;

    c->path = path;
    if (prefix.len == 0)
        return true;
    c->path = str_sub(path, prefix.len, path.len);
    if (str_starts(path, prefix) &&
        (c->path.len == 0 || c->path.ptr[0] == '/')) {
        if (c->path.len == 0)
            c->path = SONDE_STR("/");
        return true;
    }
    if (str_eq_cstr(path, "/")) {
        http_call_set_header(
            c, "Location", arena_printf(&c->arena, "%.*s/", SONDE_ARG(prefix)));
        http_reply(c, 302, "", (sonde_str){ 0 });
    } else {
        server_reply_error(c, 404, "404 page not found\n");
    }
    return false;
}

void server_call_route(struct http_call *c)
{
    const struct http_server_options *o = &c->server->options;
    const struct http_route *r;
    sonde_str path, clean, twin;

    if (!target_split(c, &path) || !prefix_strip(c, path))
        return;
    clean = http_path_clean(&c->arena, c->path);
    if (!sonde_str_eq(clean, c->path)) {
        reply_redirect(c, clean);
        return;
    }
    r = route_find(c->server, c->path);
    if (!route_is_exact(r) && has_twin(c, &twin)) {
        reply_redirect(c, twin);
        return;
    }
    if (!r) {
        server_reply_error(c, 404, "404 page not found\n");
        return;
    }
    c->route = r;
    if (!r->before_ready && o->ready && !o->ready(o->ready_arg))
        reply_not_ready(c);
    else if (!(r->methods & (1u << c->method)))
        reply_not_allowed(c);
}
