/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin's tables as people read them: `sonde plugins show`, and a snippet
 * for conf.d that works as it stands, with every option as a comment.
 */
#include <string.h>

#include "plugin/plugin_int.h"
#include "util/str.h"

static const char *kind_name(enum sonde_option_kind kind)
{
    static const char *const names[] = { "string",   "secret",  "file",
                                         "boolean",  "integer", "number",
                                         "duration", "size",    "list" };
    size_t i = (size_t)kind;

    return i < sizeof(names) / sizeof(names[0]) ? names[i] : "?";
}

static const char *type_name(enum sonde_metric_type type)
{
    static const char *const names[] = { "unknown",   "counter", "gauge",
                                         "histogram", "summary", "info",
                                         "stateset" };
    size_t i = (size_t)type;

    return i < sizeof(names) / sizeof(names[0]) ? names[i] : "?";
}

static void show_option(struct buf *b, const struct sonde_option *o)
{
    buf_printf(b, "  %s  %s", o->name, kind_name(o->kind));
    if (o->flags & SONDE_OPT_REQUIRED)
        buf_cstr(b, ", required");
    if (o->fallback)
        buf_printf(b, ", default %s", *o->fallback ? o->fallback : "\"\"");
    if (o->env)
        buf_printf(b, ", from $%s", o->env);
    if (o->min || o->max)
        buf_printf(b, ", %lld to %lld", (long long)o->min, (long long)o->max);
    for (size_t i = 0; o->choices && o->choices[i]; i++)
        buf_printf(b, "%s%s", i ? ", " : ", one of ", o->choices[i]);
    buf_printf(b, "\n      %s\n", o->help ? o->help : "");
}

static void show_family(struct buf *b, const struct sonde_family *f)
{
    buf_printf(b, "  %s", f->name);
    for (size_t i = 0; i < SONDE_LABELS_MAX && f->labels[i]; i++)
        buf_printf(b, "%s%s", i ? "," : "{", f->labels[i]);
    buf_printf(b, "%s  %s\n      %s\n", f->labels[0] ? "}" : "",
               type_name(f->type), f->help);
}

static void show_collectors(struct buf *b, const struct plugin *p)
{
    size_t n = plugin_collector_count(p);

    if (n)
        buf_cstr(b, "\nCollectors\n");
    for (size_t i = 0; i < n; i++) {
        const struct sonde_collector *c = plugin_collector(p, i);

        buf_printf(b, "  %s%s\n      %s\n", c->name,
                   c->flags & SONDE_COLLECTOR_SLOW ? "  at the slow_interval"
                                                   : "",
                   c->help);
    }
}

static const char *form_text(const struct sonde_plugin *d)
{
    if (!d->plan)
        return "collect (speaks with the target itself)";
    return d->collect ? "fetch (the agent does the HTTP) and collect"
                      : "fetch (the agent does the HTTP)";
}

void plugin_show(struct buf *b, const struct plugin *p)
{
    const struct sonde_plugin *d = p->desc;

    buf_printf(b, "%s %s: %s\n\n", d->name, d->version, d->summary);
    buf_printf(b, "file       %s\n", p->path);
    buf_printf(b, "interface  %u.%u\n", d->abi_major, d->abi_minor);
    buf_printf(b, "form       %s\n", form_text(d));
    if (d->default_address)
        buf_printf(b, "target     %s\n", d->default_address);
    if (d->default_port)
        buf_printf(b, "port       %u, added to a target without one\n",
                   (unsigned)d->default_port);
    if (d->expose_port)
        buf_printf(b, "exporter   usually on port %u (expose: \":%u\")\n",
                   (unsigned)d->expose_port, (unsigned)d->expose_port);
    buf_cstr(b, "\nOptions\n");
    for (size_t i = 0; i < d->option_count; i++)
        show_option(b, plugin_option(d, i));
    if (d->option_count == 0)
        buf_cstr(b, "  none\n");
    show_collectors(b, p);
    buf_cstr(b, "\nMetrics\n");
    for (size_t i = 0; i < d->family_count; i++)
        show_family(b, plugin_family(p, i));
    if (d->family_count == 0)
        buf_cstr(b, "  those that the target exposes\n");
}

/* A scalar that YAML can not take for anything else. */
static void put_quoted(struct buf *b, const char *z)
{
    buf_char(b, '\'');
    for (; *z; z++) {
        if (*z == '\'')
            buf_char(b, '\'');
        buf_char(b, *z);
    }
    buf_char(b, '\'');
}

static bool is_plain(const char *z)
{
    return *z &&
           strspn(z, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789_./") == strlen(z);
}

/* What an option without a fallback is when it is not given. */
static const char *zero_of(enum sonde_option_kind kind)
{
    switch (kind) {
    case SONDE_OPT_KIND_BOOL:
        return "false";
    case SONDE_OPT_KIND_INT:
    case SONDE_OPT_KIND_FLOAT:
    case SONDE_OPT_KIND_DURATION:
    case SONDE_OPT_KIND_SIZE:
        return "0";
    case SONDE_OPT_KIND_LIST:
        return "[]";
    case SONDE_OPT_KIND_STR:
    case SONDE_OPT_KIND_SECRET:
    case SONDE_OPT_KIND_FILE:
        break;
    }
    return "''";
}

static void sample_option(struct buf *b, const struct sonde_option *o)
{
    const char *value = o->example ? o->example : o->fallback;

    buf_printf(b, "    #  # %s\n    #  %s: ", o->help ? o->help : "", o->name);
    if (!value || o->kind == SONDE_OPT_KIND_LIST)
        buf_cstr(b, value ? value : zero_of(o->kind));
    else if (is_plain(value))
        buf_cstr(b, value);
    else
        put_quoted(b, value);
    buf_char(b, '\n');
}

/* Required options stand uncommented; true if there are any. */
static bool sample_required(struct buf *b, const struct sonde_plugin *d)
{
    bool any = false;

    for (size_t i = 0; i < d->option_count; i++) {
        const struct sonde_option *o = plugin_option(d, i);

        if (!(o->flags & SONDE_OPT_REQUIRED))
            continue;
        buf_printf(b, "%s      %s: ", any ? "" : "    options:\n", o->name);
        put_quoted(b, o->example ? o->example : "");
        buf_char(b, '\n');
        any = true;
    }
    return any;
}

static void sample_slow(struct buf *b, const struct plugin *p)
{
    for (size_t i = 0; i < plugin_collector_count(p); i++) {
        if (plugin_collector(p, i)->flags & SONDE_COLLECTOR_SLOW) {
            buf_cstr(b, "    # How often the slow collectors work.\n"
                        "    #slow_interval: 5m\n");
            return;
        }
    }
}

void plugin_sample(struct buf *b, const struct plugin *p)
{
    const struct sonde_plugin *d = p->desc;

    buf_printf(b, "# %s: %s\n", d->name, d->summary);
    buf_printf(b, "# `sonde plugins show %s` lists its options and metrics.\n",
               d->name);
    buf_printf(b, "scrape_configs:\n  - job_name: %s\n    plugin: %s\n",
               d->name, d->name);
    buf_cstr(b, "    static_configs:\n      - targets: [");
    put_quoted(b, d->default_address ? d->default_address : "localhost");
    buf_cstr(b, "]\n    # Default: that of the main file.\n"
                "    #scrape_interval: 30s\n");
    if (d->expose_port)
        buf_printf(b,
                   "    # Serve the last collection where the exporter would.\n"
                   "    #expose: ':%u'\n",
                   (unsigned)d->expose_port);
    sample_slow(b, p);
    if (!sample_required(b, d) && d->option_count)
        buf_cstr(b, "    #options:\n");
    for (size_t i = 0; i < d->option_count; i++) {
        if (!(plugin_option(d, i)->flags & SONDE_OPT_REQUIRED))
            sample_option(b, plugin_option(d, i));
    }
}
