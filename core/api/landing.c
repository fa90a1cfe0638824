/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page at "/": what is scraped and how it goes, and where the rest is.
 * One HTML text without scripts, images or anything from elsewhere, so it
 * also works from a machine that has nothing but a browser and a tunnel; the
 * Content-Security-Policy says the same to the browser. Everything that is
 * not ours (labels, URLs, errors) is escaped; only http and https addresses
 * become links.
 */
#include "api/api_int.h"
#include "config.h"
#include "model/number.h"
#include "util/clock.h"
#include "util/str.h"

/* Rows of the table; the rest is counted. */
#define ROWS_MAX 1000

static const char page_head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>sonde</title>\n<style>\n"
    ":root{color-scheme:light dark;--line:#8884;--soft:#888;--up:#1a7f37;"
    "--down:#cf222e;--wait:#9a6700}\n"
    "@media(prefers-color-scheme:dark){:root{--up:#3fb950;--down:#f85149;"
    "--wait:#d29922}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem "
    "auto;padding:0 1rem}\n"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}\n"
    "p{margin:.3rem 0}.soft{color:var(--soft)}\n"
    "nav a{margin-right:1rem;white-space:nowrap}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;"
    "border-bottom:1px solid var(--line)}\n"
    "th{font-weight:600}td.n{text-align:right;font-variant-numeric:"
    "tabular-nums;white-space:nowrap}\n"
    ".url{word-break:break-all}.labels{color:var(--soft);font-size:.85em}\n"
    ".up{color:var(--up)}.down{color:var(--down)}.unknown{color:var(--wait)}\n"
    ".up,.down,.unknown{font-weight:600}\n"
    "</style></head><body>\n<header><h1>sonde</h1>\n";

static void put_html(struct buf *b, sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '<')
            buf_cstr(b, "&lt;");
        else if (c == '>')
            buf_cstr(b, "&gt;");
        else if (c == '&')
            buf_cstr(b, "&amp;");
        else if (c == '"')
            buf_cstr(b, "&quot;");
        else if (c == '\'')
            buf_cstr(b, "&#39;");
        else if (c == '\0')
            buf_cstr(b, "\xef\xbf\xbd");
        else
            buf_char(b, c);
    }
}

/* "3.2 s ago", from ms. */
static void put_age(struct buf *b, sonde_msec age)
{
    if (age < 0)
        age = 0;
    if (age < 60 * 1000) {
        buf_printf(b, "%.1f&nbsp;s ago", (double)age / 1000);
        return;
    }
    buf_duration(b, age / 1000 * 1000);
    buf_cstr(b, " ago");
}

static void put_url(struct buf *b, sonde_str url)
{
    bool link = str_starts(url, SONDE_STR("http://")) ||
                str_starts(url, SONDE_STR("https://"));

    if (link) {
        buf_cstr(b, "<a rel=\"noreferrer\" href=\"");
        put_html(b, url);
        buf_cstr(b, "\">");
    }
    put_html(b, url);
    if (link)
        buf_cstr(b, "</a>");
}

static void put_target(struct buf *b, const struct api_target *t,
                       sonde_msec now)
{
    buf_cstr(b, "<tr><td>");
    put_html(b, t->job);
    buf_cstr(b, "</td><td class=\"url\">");
    put_url(b, t->global_url.len ? t->global_url : t->scrape_url);
    buf_cstr(b, "<div class=\"labels\">");
    for (size_t i = 0; i < t->labels.count; i++) {
        const struct label *l = &t->labels.items[i];

        if (str_eq_cstr(l->name, "job"))
            continue;
        put_html(b, l->name);
        buf_cstr(b, "=\"");
        put_html(b, l->value);
        buf_cstr(b, "\" ");
    }
    buf_printf(b, "</div></td><td class=\"%s\">%s</td><td class=\"n\">",
               t->health, t->health);
    if (t->last_scrape == 0)
        buf_cstr(b, "not yet</td><td class=\"n\">");
    else {
        put_age(b, now - t->last_scrape);
        buf_printf(b, "</td><td class=\"n\">%.1f&nbsp;ms",
                   t->last_scrape_seconds * 1000);
    }
    buf_cstr(b, "</td><td>");
    put_html(b, t->last_error);
    buf_cstr(b, "</td></tr>\n");
}

static void put_summary(struct buf *b, const struct api_targets *ts)
{
    size_t up = 0, down = 0;

    for (size_t i = 0; i < ts->active_count; i++) {
        up += strcmp(ts->active[i].health, "up") == 0;
        down += strcmp(ts->active[i].health, "down") == 0;
    }
    buf_printf(b,
               "<h2>Targets</h2>\n<p>%zu in %zu jobs: <span class=\"up\">%zu "
               "up</span>, <span class=\"down\">%zu down</span>, "
               "<span class=\"unknown\">%zu not scraped yet</span></p>\n",
               ts->active_count, ts->pool_count, up, down,
               ts->active_count - up - down);
}

static void put_targets(struct buf *b, const struct api *api,
                        struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    sonde_msec now = clock_now(api->options.clock);
    struct api_targets ts = { 0 };

    if (!ops->targets)
        return;
    ops->targets(ops->arg, http_call_arena(call), &ts);
    put_summary(b, &ts);
    if (ts.active_count == 0)
        return;
    buf_cstr(b, "<div class=\"wide\"><table><thead><tr><th>Job</th>"
                "<th>Target</th><th>State</th><th>Last scrape</th>"
                "<th>Took</th><th>Error</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < ts.active_count && i < ROWS_MAX; i++)
        put_target(b, &ts.active[i], now);
    buf_cstr(b, "</tbody></table></div>\n");
    if (ts.active_count > ROWS_MAX)
        buf_printf(b, "<p class=\"soft\">and %zu more: see the API</p>\n",
                   ts.active_count - ROWS_MAX);
}

static void put_links(struct buf *b, const struct api *api)
{
    static const struct {
        const char *path, *text;
        bool store;
    } links[] = {
        { "/metrics", "own metrics", false },
        { "/api/v1/targets", "targets", false },
        { "/api/v1/metadata", "metadata", false },
        { "/api/v1/query?query=up", "query: up", true },
        { "/api/v1/status/config", "configuration", false },
        { "/api/v1/status/flags", "flags", false },
        { "/api/v1/status/runtimeinfo", "runtime", false },
        { "/-/healthy", "healthy", false },
        { "/-/ready", "ready", false },
    };

    buf_cstr(b, "<nav>");
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (links[i].store && api->options.agent_mode)
            continue;
        buf_cstr(b, "<a href=\"");
        put_html(b, api->options.route_prefix);
        buf_printf(b, "%s\">%s</a>\n", links[i].path, links[i].text);
    }
    buf_cstr(b, "</nav></header>\n");
}

static void put_state(struct buf *b, const struct api *api)
{
    const struct api_ops *ops = &api->options.ops;
    bool stopping = ops->stopping && ops->stopping(ops->arg);
    bool ready = !ops->ready || ops->ready(ops->arg);

    buf_printf(b, "<p>%s %s &middot; %s</p>\n", PACKAGE_NAME, PACKAGE_VERSION,
               stopping ? "<span class=\"down\">stopping</span>"
               : ready  ? "<span class=\"up\">ready</span>"
                        : "<span class=\"unknown\">starting</span>");
}

void api_handle_landing(struct api *api, struct http_call *call)
{
    struct buf b;

    buf_init(&b);
    buf_cstr(&b, page_head);
    put_state(&b, api);
    put_links(&b, api);
    buf_cstr(&b, "<main>");
    put_targets(&b, api, call);
    buf_cstr(&b, "</main></body></html>\n");
    http_call_set_header(call, "Content-Security-Policy",
                         SONDE_STR("default-src 'none'; style-src "
                                   "'unsafe-inline'; base-uri 'none'; "
                                   "form-action 'none'; frame-ancestors "
                                   "'none'"));
    http_call_set_header(call, "X-Content-Type-Options", SONDE_STR("nosniff"));
    http_call_set_header(call, "Referrer-Policy", SONDE_STR("no-referrer"));
    http_reply_take(call, 200, "text/html; charset=utf-8", &b);
}
