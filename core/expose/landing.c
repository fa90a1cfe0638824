/* SPDX-License-Identifier: Apache-2.0 */
/* The page for people, and the one for probes. */
#include <string.h>

#include "expose/door.h"
#include "model/number.h"
#include "util/log.h"
#include "util/str.h"

static void put_html(struct buf *b, sonde_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        switch (s.ptr[i]) {
        case '<':
            buf_cstr(b, "&lt;");
            break;
        case '>':
            buf_cstr(b, "&gt;");
            break;
        case '&':
            buf_cstr(b, "&amp;");
            break;
        case '"':
            buf_cstr(b, "&quot;");
            break;
        default:
            buf_char(b, s.ptr[i]);
        }
    }
}

static void put_link(struct buf *b, sonde_str path, const char *what)
{
    buf_cstr(b, "<li><a href=\"");
    put_html(b, path);
    buf_cstr(b, "\">");
    put_html(b, path);
    buf_printf(b, "</a> %s</li>\n", what);
}

static void put_form(struct buf *b, sonde_str path)
{
    buf_cstr(b, "<li><form action=\"");
    put_html(b, path);
    buf_cstr(b, "\">");
    put_html(b, path);
    buf_cstr(b, "?target=<input name=\"target\" placeholder=\"host:port\"> "
                "<button>collect</button></form></li>\n");
}

void door_landing(struct visit *v)
{
    const struct door *d = v->door;
    sonde_str title =
        sonde_cstr(d->exporter ? d->exporter->name : d->plugin->name);
    struct buf b;

    buf_init(&b);
    buf_cstr(&b, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
                 "charset=\"utf-8\"><title>");
    put_html(&b, title);
    buf_cstr(&b, "</title></head><body>\n<h1>");
    put_html(&b, title);
    buf_cstr(&b, "</h1>\n<p>");
    put_html(&b, sonde_cstr(d->plugin->summary));
    buf_cstr(&b, "; by sonde " PACKAGE_VERSION "</p>\n<ul>\n");
    put_link(&b, v->config ? v->config->expose.path : SONDE_STR("/metrics"),
             "the metrics");
    if (d->target_path.len)
        put_form(&b, d->target_path);
    if (d->discover_path.len)
        put_link(&b, d->discover_path, "the targets that are known");
    put_link(&b, SONDE_STR("/health"), "whether it works");
    buf_cstr(&b, "</ul>\n</body></html>\n");
    http_call_set_header(v->call, "Content-Security-Policy",
                         SONDE_STR("default-src 'none'"));
    http_reply_take(v->call, 200, "text/html; charset=utf-8", &b);
}

/* ---- /health --------------------------------------------------------------
 */

/* Whether a sample of the family is 0. */
struct looking {
    sonde_str family;
    bool zero, any;
};

static sonde_code look(void *arg, const struct expo_sample *s,
                       struct sonde_err *err)
{
    struct looking *l = arg;
    sonde_str rest = str_sub(s->series, l->family.len, s->series.len);

    (void)err;
    if (str_starts(s->series, l->family) &&
        (rest.len == 0 || rest.ptr[0] == '{')) {
        l->any = true;
        l->zero |= s->value == 0;
    }
    return SONDE_OK;
}

static void look_at(struct looking *l, struct target *t, const struct visit *v)
{
    const struct expo_handler handler = { .sample = look, .arg = l };
    struct scrape_page *p = scrape_last_page(t);
    struct expo_scanner scanner;
    struct scrape_ticket ticket;
    struct sonde_err err;

    if (v->config->expose.on_demand) {
        scrape_page_unref(p);
        scrape_demand(t, v->deadline, &ticket);
        p = scrape_demand_wait(t, &ticket, v->until, NULL, NULL);
    }
    if (p && p->code == SONDE_OK) {
        expo_scanner_init(&scanner, EXPO_TEXT, &handler);
        /* Of a text that breaks off, what was read counts. */
        if (expo_scan(&scanner, buf_str(&p->text), &err) != SONDE_OK ||
            expo_scan_end(&scanner, &err) != SONDE_OK)
            log_debug("expose", "health", LOG_ERRTEXT(&err));
        expo_scanner_fini(&scanner);
    }
    scrape_page_unref(p);
}

static bool is_well(const struct visit *v, const char *family)
{
    struct looking l = { .family = sonde_cstr(family) };
    struct target **targets;
    size_t n;

    if (!v->job)
        return false;
    n = scrape_job_targets(v->job, http_call_arena(v->call), &targets);
    for (size_t i = 0; i < n; i++) {
        look_at(&l, targets[i], v);
        scrape_target_put(targets[i]);
    }
    return n == 0 || (l.any && !l.zero);
}

void door_health(struct visit *v)
{
    const struct sonde_exporter *x = v->door->exporter;
    const char *family = x && SONDE_HAS(struct sonde_exporter, x, health_family)
                             ? x->health_family
                             : NULL;

    if (!family || is_well(v, family))
        door_reply_text(v, 200, "ok");
    else
        door_reply_text(v, 500,
                        "not ok: the server is not reached, see the "
                        "metrics and the log\n");
}
