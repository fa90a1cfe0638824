/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags of role OPTION become options of the job, those of role ADDRESS its
 * targets. An option may have several flags (old spellings): what was given
 * counts before what is only a default.
 *
 * A fetch plugin's exporter names a page by its URL. That is taken apart here
 * into what a scrape_config has keys for, so that the daemon's client fetches
 * it as it fetches any target; the text as it was given stays the target's
 * name, which is what dashboards have in a label.
 */
#include "cli/exporter_targets.h"

#include <stdlib.h>
#include <string.h>

#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

static sonde_code fail(struct job_parts *p, sonde_code rc)
{
    if (p->code == SONDE_OK)
        p->code = rc;
    return rc;
}

/* ---- options ------------------------------------------------------------- */

static const struct sonde_option *find_row(const struct sonde_plugin *d,
                                           sonde_str name)
{
    for (size_t i = 0; i < d->option_count; i++) {
        const struct sonde_option *row =
            (const struct sonde_option *)((const char *)d->options +
                                          i * d->option_size);

        if (str_eq_cstr(name, row->name))
            return row;
    }
    return NULL;
}

static struct job_option *find_option(struct job_parts *p, sonde_str name)
{
    for (size_t i = 0; i < p->option_count; i++)
        if (sonde_str_eq(p->options[i].name, name))
            return &p->options[i];
    return NULL;
}

static struct job_option *get_option(struct job_parts *p, sonde_str name)
{
    struct job_option *o = find_option(p, name);
    const struct sonde_option *row = find_row(p->plugin, name);

    if (o)
        return o;
    if (!row) {
        (void)fail(p, sonde_err_set(p->err, SONDE_EINVAL,
                                    "exporter %s sets an option \"%.*s\" that "
                                    "plugin %s does not have",
                                    p->flags->exporter->name, SONDE_ARG(name),
                                    p->plugin->name));
        return NULL;
    }
    p->options = mem_grow(p->options, &p->option_cap, p->option_count + 1,
                          sizeof(*p->options));
    o = &p->options[p->option_count++];
    *o = (struct job_option){ .name = arena_str(p->flags->arena, name),
                              .row = row };
    return o;
}

static void put_value(struct job_option *o, sonde_str value)
{
    o->values = mem_grow(o->values, &o->cap, o->count + 1, sizeof(*o->values));
    o->values[o->count++] = value;
}

static sonde_str option_name(struct arena *a, const struct sonde_flag *row)
{
    char *z = arena_cstr(a, sonde_cstr(row->to ? row->to : row->name));

    for (char *c = z; !row->to && *c; c++)
        if (*c == '.' || *c == '-')
            *c = '_';
    return sonde_cstr(z);
}

static sonde_str inverted(const struct exporter_flag *flag, sonde_str value)
{
    if (!(flag->row.flags & SONDE_FLAG_INVERTED))
        return value;
    return str_eq_cstr(value, "true") ? SONDE_STR("false") : SONDE_STR("true");
}

static void take_option(struct job_parts *p, const struct exporter_flag *flag)
{
    struct job_option *o;

    if (flag->source == FROM_NOWHERE || flag->count == 0)
        return;
    o = get_option(p, option_name(p->flags->arena, &flag->row));
    if (!o || flag->source < o->source)
        return;
    if (flag->source > o->source || o->row->kind != SONDE_OPT_KIND_LIST)
        o->count = 0;
    o->source = flag->source;
    for (size_t i = 0; i < flag->count; i++)
        put_value(o, inverted(flag, flag->values[i]));
}

/* ---- targets ------------------------------------------------------------- */

static size_t after_scheme(sonde_str s)
{
    const char *at = s.len ? memmem(s.ptr, s.len, "://", 3) : NULL;

    return at ? (size_t)(at - s.ptr) + 3 : 0;
}

/* Cuts "password=..." out of a connection string, quotes minded. */
static sonde_str without_password(struct arena *a, sonde_str s)
{
    static const char word[] = "password=";
    const char *at =
        s.len ? memmem(s.ptr, s.len, word, sizeof(word) - 1) : NULL;
    size_t from, to;
    bool quoted;

    if (!at)
        return s;
    from = (size_t)(at - s.ptr);
    to = from + sizeof(word) - 1;
    quoted = to < s.len && s.ptr[to] == '\'';
    to += quoted;
    while (to < s.len &&
           (quoted ? s.ptr[to] != '\'' : s.ptr[to] != ' ' && s.ptr[to] != '&'))
        to += s.ptr[to] == '\\' && to + 1 < s.len ? 2 : 1;
    to += quoted && to < s.len;
    return arena_printf(a, "%.*s%.*s", SONDE_ARG(str_sub(s, 0, from)),
                        SONDE_ARG(str_sub(s, to, s.len)));
}

/* Takes what stands before an @ of the authority; what is left in `*s`. */
static sonde_str take_user(struct arena *a, sonde_str *s)
{
    size_t from = after_scheme(*s), end = from, at = SIZE_MAX;
    sonde_str user = { 0 };

    while (end < s->len && !strchr("/?#", s->ptr[end]))
        end++;
    for (size_t i = from; i < end; i++)
        if (s->ptr[i] == '@')
            at = i;
    if (at == SIZE_MAX)
        return user;
    user = str_sub(*s, from, at);
    *s = arena_printf(a, "%.*s%.*s", SONDE_ARG(str_sub(*s, 0, from)),
                      SONDE_ARG(str_sub(*s, at + 1, s->len)));
    return user;
}

static sonde_code split_url(struct job_parts *p, struct job_target *t,
                            sonde_str s)
{
    struct arena *a = p->flags->arena;
    size_t from = after_scheme(s), slash;
    sonde_str user = take_user(a, &s);
    size_t colon = str_index(user, ':');

    t->user = str_sub(user, 0, colon);
    t->password = str_sub(user, colon + 1, user.len);
    if (from)
        t->scheme = str_sub(s, 0, from - 3);
    s = str_sub(s, from, s.len);
    slash = 0;
    while (slash < s.len && !strchr("/?", s.ptr[slash]))
        slash++;
    t->address = str_sub(s, 0, slash);
    s = str_sub(s, slash, s.len);
    t->path = str_sub(s, 0, str_index(s, '?'));
    t->query = str_sub(s, t->path.len + 1, s.len);
    if (t->scheme.len == 0 || str_eq_cstr(t->scheme, "http") ||
        str_eq_cstr(t->scheme, "https"))
        return SONDE_OK;
    return sonde_err_set(p->err, SONDE_EINVAL,
                         "target %.*s: expected http://, https:// or "
                         "unix:/SOCKET:/PATH",
                         SONDE_ARG(t->name));
}

/* unix:/run/x.sock:/path */
static void split_unix(struct job_target *t, sonde_str s)
{
    size_t colon = sizeof("unix:") - 1;

    colon += str_index(str_sub(s, colon, s.len), ':');
    t->address = str_sub(s, 0, colon);
    t->path = str_sub(s, colon + 1, s.len);
}

static sonde_code add_target(struct job_parts *p, sonde_str given)
{
    struct arena *a = p->flags->arena;
    sonde_str s = arena_str(a, str_trim(given)), shown = s;
    struct job_target *t;

    if (s.len == 0)
        return SONDE_OK;
    p->targets = mem_grow(p->targets, &p->target_cap, p->target_count + 1,
                          sizeof(*p->targets));
    t = &p->targets[p->target_count++];
    (void)take_user(a, &shown);
    *t =
        (struct job_target){ .address = s, .name = without_password(a, shown) };
    if (!p->plugin->plan)
        return SONDE_OK;
    if (str_starts(s, SONDE_STR("unix:")))
        split_unix(t, s);
    else
        return split_url(p, t, s);
    return SONDE_OK;
}

/* ---- what the exporter's callback is shown ------------------------------- */

struct values {
    struct sonde_flag_values ops; /* first: it is what the callback gets    */
    struct job_parts *parts;
};

static struct job_parts *parts_of(const struct sonde_flag_values *values)
{
    return ((const struct values *)values)->parts;
}

static bool get(const struct sonde_flag_values *values, const char *name,
                size_t i, sonde_str *out)
{
    const struct exporter_flags *f = parts_of(values)->flags;

    for (size_t k = 0; k < f->count; k++) {
        const struct exporter_flag *flag = &f->rows[k];

        if (strcmp(flag->row.name, name) != 0)
            continue;
        if (i >= flag->count)
            return false;
        *out = flag->values[i];
        return true;
    }
    return false;
}

static bool get_env(const struct sonde_flag_values *values, const char *name,
                    sonde_str *out)
{
    const struct exporter_flags *f = parts_of(values)->flags;
    const char *z = f->env(name);

    if (z)
        *out = arena_str(f->arena, sonde_cstr(z));
    return z != NULL;
}

static bool get_file(const struct sonde_flag_values *values, sonde_str path,
                     sonde_str *out, struct sonde_err *err)
{
    struct arena *a = parts_of(values)->flags->arena;
    struct buf b;
    sonde_code rc;

    buf_init(&b);
    rc = fs_read(arena_cstr(a, path), FILE_MAX_BYTES, &b, err);
    *out = arena_str(a, str_trim(buf_str(&b)));
    buf_fini(&b);
    return rc == SONDE_OK;
}

static void put_target(const struct sonde_flag_values *values,
                       sonde_str address)
{
    struct job_parts *p = parts_of(values);

    (void)fail(p, add_target(p, address));
}

static void put_option(const struct sonde_flag_values *values, const char *name,
                       sonde_str value)
{
    struct job_parts *p = parts_of(values);
    struct job_option *o = get_option(p, sonde_cstr(name));
    sonde_str part;

    if (!o)
        return;
    o->count = 0;
    o->source = FROM_FLAG;
    value = arena_str(p->flags->arena, value);
    if (o->row->kind != SONDE_OPT_KIND_LIST) {
        put_value(o, value);
        return;
    }
    while (str_split(&value, ',', &part))
        if (str_trim(part).len)
            put_value(o, str_trim(part));
}

static sonde_code ask_exporter(struct job_parts *p)
{
    const struct sonde_exporter *x = p->flags->exporter;
    const struct values values = { .ops = { .get = get,
                                            .env = get_env,
                                            .file = get_file,
                                            .target = put_target,
                                            .option = put_option },
                                   .parts = p };
    sonde_code rc;

    if (!SONDE_HAS(struct sonde_exporter, x, targets))
        return SONDE_OK;
    rc = x->targets(&values.ops, p->err);
    return rc == SONDE_OK ? p->code : rc;
}

/* ---- all of it ----------------------------------------------------------- */

sonde_code job_parts_read(struct job_parts *p, const struct exporter_flags *f,
                          const struct sonde_plugin *plugin,
                          struct sonde_err *err)
{
    *p = (struct job_parts){ .flags = f, .plugin = plugin, .err = err };
    for (size_t i = 0; i < f->count && p->code == SONDE_OK; i++) {
        const struct exporter_flag *flag = &f->rows[i];

        if (flag->role == SONDE_FLAG_OPTION)
            take_option(p, flag);
        for (size_t k = 0; flag->role == SONDE_FLAG_ADDRESS && k < flag->count;
             k++)
            (void)fail(p, add_target(p, flag->values[k]));
    }
    return p->code == SONDE_OK ? ask_exporter(p) : p->code;
}

void job_parts_fini(struct job_parts *p)
{
    for (size_t i = 0; i < p->option_count; i++)
        free(p->options[i].values);
    free(p->options);
    free(p->targets);
}
