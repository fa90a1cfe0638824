/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From argv to struct flags.
 *
 * Three passes: defaults of all rows, the arguments in their order, then what
 * depends on several flags (the configuration file's default, the route
 * prefix, flags of the other posture). The table is walked linearly; there
 * are some eighty rows and it is done once.
 *
 * Every row keeps its value as text besides the field, because status/flags
 * shows all of them, also those that have no field.
 */
#include "cli/flags.h"

#include <stdlib.h>
#include <string.h>

#include "cli/flags_table.h"
#include "model/number.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

struct parsing {
    struct arena *arena;
    struct flags *out;
    struct sonde_err *err;
    sonde_str *values; /* of each row, as text */
    bool *given;       /* on the command line  */
    struct list_under_way {
        sonde_str *items;
        size_t count, cap;
    } * lists, warnings;
};

static void list_add(struct list_under_way *l, sonde_str s)
{
    l->items = mem_grow(l->items, &l->cap, l->count + 1, sizeof(l->items[0]));
    l->items[l->count++] = s;
}

/* ---- values ------------------------------------------------------------ */

static sonde_code wrong_value(const struct parsing *p, const struct flag *f,
                              const char *expected, sonde_str got)
{
    return sonde_err_set(p->err, SONDE_EINVAL,
                         "--%s: expected %s, got \"%.*s\"", f->name, expected,
                         SONDE_ARG(str_sub(got, 0, 128)));
}

static bool parse_bool(sonde_str s, bool *out)
{
    *out = str_eq_cstr(s, "true");
    return *out || str_eq_cstr(s, "false");
}

static sonde_code out_of_bounds(const struct parsing *p, const struct flag *f,
                                sonde_str got)
{
    struct buf b;
    sonde_code rc;

    buf_init(&b);
    buf_cstr(&b, "at least ");
    for (int i = 0; i < (f->max == INT64_MAX ? 1 : 2); i++) {
        int64_t v = i ? f->max : f->min;

        buf_cstr(&b, i ? " and at most " : "");
        if (f->kind == FLAG_DURATION)
            buf_duration(&b, v);
        else if (f->kind == FLAG_SIZE)
            buf_size(&b, v);
        else
            buf_int(&b, v);
    }
    buf_char(&b, 0);
    rc = wrong_value(p, f, b.data, got);
    buf_fini(&b);
    return rc;
}

static sonde_code parse_int64(const struct parsing *p, const struct flag *f,
                              sonde_str s, int64_t *out)
{
    if (f->kind == FLAG_INT && !str_to_i64(s, out))
        return wrong_value(p, f, "a whole number", s);
    if (f->kind == FLAG_DURATION && !duration_parse(s, out))
        return wrong_value(p, f, "a duration such as 30s, 5m or 15d", s);
    if (f->kind == FLAG_SIZE && !size_parse(s, out))
        return wrong_value(p, f, "a size with a unit such as 512MB", s);
    if ((f->min || f->max) && (*out < f->min || *out > f->max))
        return out_of_bounds(p, f, s);
    return SONDE_OK;
}

static sonde_code wrong_choice(const struct parsing *p, const struct flag *f,
                               sonde_str got)
{
    struct buf b;
    sonde_code rc;

    buf_init(&b);
    buf_cstr(&b, "one of");
    for (size_t i = 0; f->choices[i]; i++)
        buf_printf(&b, "%s %s", i ? "," : "", f->choices[i]);
    buf_char(&b, 0);
    rc = wrong_value(p, f, b.data, got);
    buf_fini(&b);
    return rc;
}

static void add_items(struct parsing *p, size_t row, sonde_str s)
{
    sonde_str part;

    while (str_split(&s, ',', &part)) {
        part = str_trim(part);
        if (part.len)
            list_add(&p->lists[row], arena_str(p->arena, part));
    }
}

static sonde_code set_value(struct parsing *p, size_t row, sonde_str s)
{
    const struct flag *f = &flag_rows[row];
    /* Rows without a field are checked all the same. */
    union {
        bool flag;
        sonde_str text;
        int64_t number;
    } nowhere;
    void *field =
        f->offset == SIZE_MAX ? (void *)&nowhere : (char *)p->out + f->offset;
    sonde_str text = arena_str(p->arena, s);

    p->values[row] = text;
    switch (f->kind) {
    case FLAG_BOOL:
        return parse_bool(s, field) ? SONDE_OK
                                    : wrong_value(p, f, "true or false", s);
    case FLAG_CHOICE:
        for (size_t i = 0; f->choices[i]; i++)
            if (str_eq_cstr(s, f->choices[i])) {
                *(sonde_str *)field = text;
                return SONDE_OK;
            }
        return wrong_choice(p, f, s);
    case FLAG_STR:
        *(sonde_str *)field = text;
        return SONDE_OK;
    case FLAG_INT:
    case FLAG_DURATION:
    case FLAG_SIZE:
        return parse_int64(p, f, s, field);
    case FLAG_LIST:
        add_items(p, row, s);
        return SONDE_OK;
    }
    return SONDE_OK;
}

static sonde_code set_defaults(struct parsing *p)
{
    for (size_t i = 0; i < flag_count; i++) {
        const struct flag *f = &flag_rows[i];
        sonde_code rc = SONDE_OK;

        if (f->fallback && f->kind != FLAG_LIST)
            rc = set_value(p, i, sonde_cstr(f->fallback));
        else if (f->kind == FLAG_STR && f->offset != SIZE_MAX)
            *(sonde_str *)((char *)p->out + f->offset) = SONDE_STR("");
        if (rc != SONDE_OK)
            SONDE_BUG("default of --%s", f->name);
    }
    return SONDE_OK;
}

/* ---- arguments --------------------------------------------------------- */

static sonde_code unknown_flag(const struct parsing *p, sonde_str name)
{
    const char **names = arena_array(p->arena, const char *, flag_count);
    const char *nearest;
    sonde_str shown = str_sub(name, 0, 64);

    for (size_t i = 0; i < flag_count; i++)
        names[i] = flag_rows[i].name;
    nearest = str_nearest(name, names, flag_count);
    if (nearest)
        return sonde_err_set(p->err, SONDE_EINVAL,
                             "there is no flag --%.*s; did you mean --%s?",
                             SONDE_ARG(shown), nearest);
    return sonde_err_set(p->err, SONDE_EINVAL,
                         "there is no flag --%.*s; see --help",
                         SONDE_ARG(shown));
}

static size_t find_flag(sonde_str name)
{
    for (size_t i = 0; i < flag_count; i++)
        if (str_eq_cstr(name, flag_rows[i].name))
            return i;
    return flag_count;
}

/* The row of NAME, or of NO-NAME of a boolean one. */
static size_t find_flag_or_negation(sonde_str name, bool *negated)
{
    size_t row = find_flag(name);

    *negated = false;
    if (row < flag_count || !str_starts(name, SONDE_STR("no-")))
        return row;
    row = find_flag(str_sub(name, 3, name.len));
    *negated = row < flag_count && flag_rows[row].kind == FLAG_BOOL;
    return *negated ? row : flag_count;
}

struct arguments {
    char *const *argv;
    int argc, next;
};

static sonde_code take_long(struct parsing *p, struct arguments *a,
                            sonde_str arg)
{
    size_t eq = str_index(arg, '=');
    sonde_str name = str_sub(arg, 0, eq), value;
    bool has_value = eq < arg.len, negated;
    size_t row = find_flag_or_negation(name, &negated);

    if (row == flag_count)
        return unknown_flag(p, name);
    p->given[row] = true;
    value = str_sub(arg, eq + 1, arg.len);
    if (negated && has_value)
        return sonde_err_set(p->err, SONDE_EINVAL, "--%.*s takes no value",
                             SONDE_ARG(name));
    if (flag_rows[row].kind == FLAG_BOOL && !has_value)
        value = negated ? SONDE_STR("false") : SONDE_STR("true");
    else if (!has_value && a->next == a->argc)
        return sonde_err_set(p->err, SONDE_EINVAL, "--%s: a value is missing",
                             flag_rows[row].name);
    else if (!has_value)
        value = sonde_cstr(a->argv[a->next++]);
    return set_value(p, row, value);
}

static sonde_code take_argument(struct parsing *p, struct arguments *a,
                                sonde_str arg)
{
    if (str_starts(arg, SONDE_STR("--")) && arg.len > 2)
        return take_long(p, a, str_sub(arg, 2, arg.len));
    for (size_t i = 0; i < flag_count && arg.len == 2; i++)
        if (arg.ptr[0] == '-' && flag_rows[i].letter == arg.ptr[1]) {
            p->given[i] = true;
            return set_value(p, i, SONDE_STR("true"));
        }
    if (arg.len > 1 && arg.ptr[0] == '-')
        return sonde_err_set(p->err, SONDE_EINVAL,
                             "there is no flag %.*s; flags begin with two "
                             "dashes, see --help",
                             SONDE_ARG(str_sub(arg, 0, 64)));
    return sonde_err_set(p->err, SONDE_EINVAL,
                         "unexpected argument \"%.*s\"; see --help",
                         SONDE_ARG(str_sub(arg, 0, 64)));
}

/* ---- what depends on several flags ------------------------------------- */

static void warn_no_effect(struct parsing *p)
{
    for (size_t i = 0; i < flag_count; i++) {
        const struct flag *f = &flag_rows[i];

        if (p->given[i] && (f->group == FLAG_NO_EFFECT || f->not_yet))
            list_add(&p->warnings,
                     arena_printf(p->arena, "--%s has no effect: %s", f->name,
                                  f->not_yet ? f->not_yet : f->help));
    }
    for (size_t i = 0; i < p->out->enable_features.count; i++) {
        sonde_str name = p->out->enable_features.items[i];
        const char *why;

        if (!feature_has_effect(name, &why))
            list_add(&p->warnings,
                     arena_printf(p->arena,
                                  "--enable-feature=%.*s has no effect: %s",
                                  SONDE_ARG(str_sub(name, 0, 64)), why));
        if (str_eq_cstr(name, "agent"))
            p->out->agent = true;
        p->out->promql_features |= feature_of_promql(name);
        if (str_eq_cstr(name, "remote-write-receiver"))
            p->out->remote_write_receiver = true;
    }
}

static sonde_code check_posture(const struct parsing *p)
{
    enum flag_mode wrong = p->out->agent ? FLAG_SERVER : FLAG_AGENT;
    struct buf b;
    sonde_code rc = SONDE_OK;

    buf_init(&b);
    for (size_t i = 0; i < flag_count; i++)
        if (p->given[i] && flag_rows[i].mode == wrong)
            buf_printf(&b, "%s--%s", b.len ? ", " : "", flag_rows[i].name);
    if (b.len)
        rc = sonde_err_set(p->err, SONDE_EINVAL, "only for %s: %.*s",
                           p->out->agent ? "a server, not with --agent"
                                         : "an agent, with --agent",
                           SONDE_ARG(buf_str(&b)));
    buf_fini(&b);
    return rc;
}

static bool is_listen_address(sonde_str s)
{
    size_t colon = s.len;
    uint64_t port;

    while (colon > 0 && s.ptr[colon - 1] != ':')
        colon--;
    return colon > 0 && str_to_u64(str_sub(s, colon, s.len), &port) &&
           port <= 65535;
}

static sonde_code check_addresses(const struct parsing *p)
{
    const struct sonde_list *l = &p->out->listen_addresses;

    for (size_t i = 0; i < l->count; i++)
        if (!is_listen_address(l->items[i]))
            return wrong_value(
                p, &flag_rows[find_flag(SONDE_STR("web.listen-address"))],
                "host:port or :port", l->items[i]);
    return SONDE_OK;
}

static sonde_code check_wal_sync(const struct parsing *p)
{
    sonde_str s = p->out->wal_sync;
    sonde_msec interval;

    if (str_eq_cstr(s, "never") || str_eq_cstr(s, "always") ||
        (duration_parse(s, &interval) && interval > 0))
        return SONDE_OK;
    return wrong_value(p, &flag_rows[find_flag(SONDE_STR("storage.wal-sync"))],
                       "never, always or a duration such as 1s", s);
}

/* "/x/y" of "http://host/x/y/"; of "/x/", "/x"; empty of "/". */
static sonde_str path_of_url(sonde_str url)
{
    const char *scheme = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
    sonde_str rest = url;

    if (scheme) {
        rest = str_sub(url, (size_t)(scheme - url.ptr) + 3, url.len);
        rest = str_sub(rest, str_index(rest, '/'), rest.len);
    }
    return rest;
}

static void set_route_prefix(struct parsing *p)
{
    struct flags *f = p->out;
    size_t row = find_flag(SONDE_STR("web.route-prefix"));
    sonde_str s =
        p->given[row] ? f->route_prefix : path_of_url(f->external_url);

    while (s.len && s.ptr[0] == '/')
        s = str_sub(s, 1, s.len);
    while (s.len && s.ptr[s.len - 1] == '/')
        s = str_sub(s, 0, s.len - 1);
    f->route_prefix =
        s.len ? arena_printf(p->arena, "/%.*s", SONDE_ARG(s)) : SONDE_STR("");
    p->values[row] = s.len ? f->route_prefix : SONDE_STR("/");
}

static void set_config_file(struct parsing *p)
{
    size_t row = find_flag(SONDE_STR("config.file"));

    if (p->given[row])
        return;
    p->out->config_file = fs_exists("sonde.yml") ? SONDE_STR("sonde.yml")
                                                 : SONDE_STR("prometheus.yml");
    p->values[row] = p->out->config_file;
}

static struct sonde_list to_list(struct arena *a,
                                 const struct list_under_way *l)
{
    sonde_str *items = arena_array(a, sonde_str, l->count + 1);

    if (l->count)
        memcpy(items, l->items, l->count * sizeof(items[0]));
    return (struct sonde_list){ items, l->count };
}

static sonde_str join(struct arena *a, const struct sonde_list *l)
{
    struct buf b;
    sonde_str out;

    buf_init(&b);
    for (size_t i = 0; i < l->count; i++) {
        buf_cstr(&b, i ? "," : "");
        buf_put(&b, l->items[i]);
    }
    out = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return out;
}

static void set_lists(struct parsing *p)
{
    for (size_t i = 0; i < flag_count; i++) {
        const struct flag *f = &flag_rows[i];
        struct sonde_list l;

        if (f->kind != FLAG_LIST)
            continue;
        if (!p->given[i] && f->fallback)
            add_items(p, i, sonde_cstr(f->fallback));
        l = to_list(p->arena, &p->lists[i]);
        p->values[i] = join(p->arena, &l);
        if (f->offset != SIZE_MAX)
            *(struct sonde_list *)((char *)p->out + f->offset) = l;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* As Prometheus shows them: what was not given and has no default is false,
 * 0s, 0B or 0; a retention that was not given is the one in force. */
static void set_all(struct parsing *p)
{
    static const char *const zeros[] = {
        [FLAG_BOOL] = "false", [FLAG_STR] = "",        [FLAG_CHOICE] = "",
        [FLAG_INT] = "0",      [FLAG_DURATION] = "0s", [FLAG_SIZE] = "0B",
        [FLAG_LIST] = "",
    };
    struct flags *f = p->out;
    size_t n = 0;

    if (f->retention_time == 0 && f->retention_size == 0)
        p->values[find_flag(SONDE_STR("storage.tsdb.retention.time"))] =
            SONDE_STR("15d");
    f->all = arena_alloc_array(p->arena, sizeof(f->all[0]), flag_count);
    for (size_t i = 0; i < flag_count; i++) {
        const struct flag *row = &flag_rows[i];

        if (row->letter || str_eq_cstr(sonde_cstr(row->name), "version"))
            continue;
        f->all[n].name = row->name;
        f->all[n++].value =
            p->values[i].len ? p->values[i] : sonde_cstr(zeros[row->kind]);
    }
    f->all_count = n;
    qsort(f->all, n, sizeof(f->all[0]), by_name);
}

static sonde_code finish(struct parsing *p)
{
    sonde_code rc;

    set_lists(p);
    set_config_file(p);
    set_route_prefix(p);
    warn_no_effect(p);
    p->out->warnings = to_list(p->arena, &p->warnings);
    set_all(p);
    rc = check_posture(p);
    if (rc == SONDE_OK)
        rc = check_addresses(p);
    return rc == SONDE_OK ? check_wal_sync(p) : rc;
}

sonde_code flags_parse(struct arena *a, int argc, char *const *argv,
                       struct flags *out, struct sonde_err *err)
{
    struct parsing p = { .arena = a, .out = out, .err = err };
    struct arguments args = { argv, argc, 1 };
    sonde_code rc;

    memset(out, 0, sizeof(*out));
    p.values = arena_array(a, sonde_str, flag_count);
    p.given = arena_array(a, bool, flag_count);
    p.lists = arena_array(a, struct list_under_way, flag_count);
    rc = set_defaults(&p);
    while (rc == SONDE_OK && args.next < argc)
        rc = take_argument(&p, &args, sonde_cstr(argv[args.next++]));
    if (rc == SONDE_OK)
        rc = finish(&p);
    for (size_t i = 0; i < flag_count; i++)
        free(p.lists[i].items);
    free(p.warnings.items);
    return rc;
}
