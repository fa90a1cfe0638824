/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exporters are started by manifests and unit files that somebody wrote years
 * ago, in the manner of two libraries: Go's own flags (one dash or two, a
 * boolean takes no separate value) and kingpin's (two dashes, --no-x,
 * letters). Both are taken for all exporters.
 *
 * The rows of the exporter's table come first and win: a flag of ours of the
 * same name, or of a role that the exporter has a flag for, is not there.
 */
#include "cli/exporter_flags.h"

#include <stdlib.h>
#include <string.h>

#include "model/number.h"
#include "util/mem.h"
#include "util/str.h"

#define OWN(n, k, r, ...)                                                      \
    {                                                                          \
        { .name = (n), .kind = SONDE_OPT_KIND_##k, __VA_ARGS__ }, (r)          \
    }

static const struct {
    struct sonde_flag row;
    int role;
} own_rows[] = {
    OWN("web.listen-address", STR, SONDE_FLAG_LISTEN,
        .flags = SONDE_FLAG_REPEATED,
        .help = "Address of the pages, :PORT for all of the machine's"),
    OWN("web.telemetry-path", STR, SONDE_FLAG_METRICS_PATH,
        .help = "Path of the metrics' page"),
    OWN("web.config.file", FILE, SONDE_FLAG_WEB_CONFIG,
        .help = "Prometheus' web config file: TLS and passwords of the pages"),
    OWN("log.level", STR, SONDE_FLAG_LOG_LEVEL,
        .help = "debug, info, warn or error"),
    OWN("log.format", STR, SONDE_FLAG_LOG_FORMAT, .help = "logfmt or json"),
    OWN("timeout", DURATION, SONDE_FLAG_TIMEOUT,
        .help = "Of a collection, where the scraper does not say one"),
    OWN("allow", STR, OWN_ALLOW, .env = "SONDE_ALLOW",
        .flags = SONDE_FLAG_REPEATED | SONDE_FLAG_COMMAS,
        .help = "What target= may name beside the configured targets: "
                "addresses, NETWORK/BITS, host names"),
    OWN("max-targets", INT, OWN_MAX_TARGETS,
        .help = "How many targets that target= named are kept connected"),
    OWN("slow-interval", DURATION, OWN_SLOW_INTERVAL,
        .env = "SONDE_SLOW_INTERVAL",
        .help = "How often expensive parts are collected, the last values "
                "being shown in between; 0: at each request"),
    OWN("plugin.path", STR, OWN_PLUGIN_PATH, .flags = SONDE_FLAG_REPEATED,
        .help = "Folder with plugins, instead of the installed ones"),
    OWN("version", BOOL, OWN_VERSION, .help = "Show the version"),
    OWN("help", BOOL, OWN_HELP, .letter = 'h', .help = "Show this help"),
};
#define OWN_ROWS (sizeof(own_rows) / sizeof(own_rows[0]))

/* ---- the rows --------------------------------------------------------------
 */

static bool name_is(const struct exporter_flag *f, sonde_str name)
{
    return str_eq_cstr(name, f->row.name);
}

static bool is_there(const struct exporter_flags *f,
                     const struct sonde_flag *row, int role)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->rows[i].row.name, row->name) == 0 ||
            f->rows[i].role == role)
            return true;
        if (role == SONDE_FLAG_LISTEN &&
            f->rows[i].role == SONDE_FLAG_LISTEN_PORT)
            return true;
    }
    return false;
}

static void add_row(struct exporter_flags *f, const struct sonde_flag *row,
                    int role, bool own)
{
    f->rows[f->count++] =
        (struct exporter_flag){ .row = *row, .role = role, .own = own };
}

void exporter_flags_init(struct exporter_flags *f, struct arena *a,
                         const struct sonde_exporter *x,
                         const char *(*env)(const char *name))
{
    *f = (struct exporter_flags){ .arena = a, .exporter = x, .env = env };
    f->rows = arena_array(a, struct exporter_flag, x->flag_count + OWN_ROWS);
    for (size_t i = 0; i < x->flag_count; i++) {
        struct sonde_flag row = { 0 };

        memcpy(&row, (const char *)x->flags + i * x->flag_size,
               x->flag_size < sizeof(row) ? x->flag_size : sizeof(row));
        /* These two are ours, whatever the table says. */
        if (strcmp(row.name, "help") != 0 && strcmp(row.name, "version") != 0)
            add_row(f, &row, (int)row.role, false);
    }
    for (size_t i = 0; i < OWN_ROWS; i++)
        if (!is_there(f, &own_rows[i].row, own_rows[i].role))
            add_row(f, &own_rows[i].row, own_rows[i].role, true);
}

void exporter_flags_fini(struct exporter_flags *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->rows[i].values);
    free(f->warnings);
}

/* ---- values ----------------------------------------------------------------
 */

/* As Go's strconv.ParseBool. */
static bool parse_bool(sonde_str s, bool *out)
{
    static const char *const yes[] = { "1", "t", "true" };
    static const char *const no[] = { "0", "f", "false" };

    for (size_t i = 0; i < 3; i++) {
        *out = str_eq_nocase(s, sonde_cstr(yes[i]));
        if (*out || str_eq_nocase(s, sonde_cstr(no[i])))
            return true;
    }
    return false;
}

/* As Go's time.ParseDuration: "1m30s", "1.5h", "300ms", "0"; also "1d". */
static bool parse_duration(sonde_str s, sonde_msec *out)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = { { "ms", 1 },    { "us", 1e-3 }, { "ns", 1e-6 },
                  { "s", 1000 },  { "m", 60000 }, { "h", 3600000 },
                  { "d", 864e5 }, { "w", 6048e5 } };
    double total = 0;

    if (str_eq_cstr(s, "0")) {
        *out = 0;
        return true;
    }
    if (s.len == 0)
        return false;
    while (s.len) {
        size_t digits = 0, unit = 0;
        double v;

        while (digits < s.len &&
               ((s.ptr[digits] >= '0' && s.ptr[digits] <= '9') ||
                s.ptr[digits] == '.'))
            digits++;
        if (!number_parse(str_sub(s, 0, digits), &v))
            return false;
        s = str_sub(s, digits, s.len);
        while (unit < sizeof(units) / sizeof(units[0]) &&
               !str_starts(s, sonde_cstr(units[unit].unit)))
            unit++;
        if (unit == sizeof(units) / sizeof(units[0]))
            return false;
        total += v * units[unit].ms;
        s = str_sub(s, strlen(units[unit].unit), s.len);
    }
    *out = (sonde_msec)(total + 0.5);
    return total < 1e15;
}

static const char *expected(enum sonde_option_kind kind)
{
    switch (kind) {
    case SONDE_OPT_KIND_BOOL:
        return "true or false";
    case SONDE_OPT_KIND_INT:
        return "a whole number";
    case SONDE_OPT_KIND_FLOAT:
        return "a number";
    case SONDE_OPT_KIND_DURATION:
        return "a duration with a unit such as 500ms, 15s or 1m30s";
    case SONDE_OPT_KIND_SIZE:
        return "a size with a unit such as 512KB";
    default:
        return "a text";
    }
}

/* The value as it is kept; false: it is none of its kind. */
static bool normalise(struct exporter_flags *f, const struct sonde_flag *row,
                      sonde_str s, sonde_str *out)
{
    int64_t number;
    double real;
    bool flag;

    *out = arena_str(f->arena, s);
    switch (row->kind) {
    case SONDE_OPT_KIND_BOOL:
        *out = parse_bool(s, &flag) && flag ? SONDE_STR("true")
                                            : SONDE_STR("false");
        return parse_bool(s, &flag);
    case SONDE_OPT_KIND_INT:
        return str_to_i64(s, &number);
    case SONDE_OPT_KIND_FLOAT:
        return number_parse(s, &real);
    case SONDE_OPT_KIND_SIZE:
        return size_parse(s, &number);
    case SONDE_OPT_KIND_DURATION:
        if (!parse_duration(s, &number))
            return false;
        *out = arena_printf(f->arena, "%lldms", (long long)number);
        return true;
    default:
        return true;
    }
}

static void push(struct exporter_flag *flag, sonde_str value)
{
    flag->values = mem_grow(flag->values, &flag->cap, flag->count + 1,
                            sizeof(*flag->values));
    flag->values[flag->count++] = value;
}

/* One value from a source; the first of a stronger source pushes the weaker
 * ones out, and so does each further one of a flag that has but one. */
static bool add_value(struct exporter_flags *f, struct exporter_flag *flag,
                      enum exporter_source source, sonde_str s)
{
    bool list = flag->row.flags & (SONDE_FLAG_REPEATED | SONDE_FLAG_COMMAS);
    sonde_str part = s, value;

    if (source > flag->source || !(flag->row.flags & SONDE_FLAG_REPEATED))
        flag->count = 0;
    flag->source = source;
    if (!(flag->row.flags & SONDE_FLAG_COMMAS)) {
        if (!normalise(f, &flag->row, s, &value))
            return false;
        push(flag, value);
        return true;
    }
    while (list && str_split(&s, ',', &part)) {
        part = str_trim(part);
        if (part.len == 0)
            continue;
        if (!normalise(f, &flag->row, part, &value))
            return false;
        push(flag, value);
    }
    return true;
}

static bool is_secret(const struct exporter_flag *flag)
{
    return flag->row.kind == SONDE_OPT_KIND_SECRET ||
           flag->role == SONDE_FLAG_PASSWORD ||
           flag->role == SONDE_FLAG_PASSWORD_HASH;
}

static sonde_code wrong(const struct exporter_flag *flag, const char *dashes,
                        const char *name, sonde_str got, struct sonde_err *err)
{
    return sonde_err_set(
        err, SONDE_EINVAL, "%s%s: expected %s, got \"%.*s\"", dashes, name,
        expected(flag->row.kind),
        SONDE_ARG(is_secret(flag) ? SONDE_STR("...") : str_sub(got, 0, 128)));
}

/* ---- the environment and defaults -------------------------------------------
 */

static void warn(struct exporter_flags *f, const char *text)
{
    f->warnings = mem_grow(f->warnings, &f->warning_cap, f->warning_count + 1,
                           sizeof(*f->warnings));
    f->warnings[f->warning_count++] = arena_str(f->arena, sonde_cstr(text));
}

/* An empty variable is one that is not set; but an empty address is how some
 * exporters are told to have no target. */
static void read_env(struct exporter_flags *f, struct exporter_flag *flag)
{
    const char *z = flag->row.env ? f->env(flag->row.env) : NULL;
    sonde_str s, line;
    struct sonde_err err;

    if (!z || (!*z && flag->role != SONDE_FLAG_ADDRESS))
        return;
    s = sonde_cstr(z);
    flag->count = 0;
    flag->source = FROM_ENV;
    line = s;
    while (!(flag->row.flags & SONDE_FLAG_REPEATED) ||
           str_split(&s, '\n', &line)) {
        if (!add_value(f, flag, FROM_ENV, line)) {
            (void)wrong(flag, "$", flag->row.env, line, &err);
            warn(f, err.text);
            flag->count = 0;
            flag->source = FROM_NOWHERE;
            return;
        }
        if (!(flag->row.flags & SONDE_FLAG_REPEATED))
            return;
    }
}

static sonde_code read_defaults(struct exporter_flags *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct exporter_flag *flag = &f->rows[i];

        if (flag->source == FROM_FLAG)
            continue;
        read_env(f, flag);
        if (flag->source == FROM_NOWHERE && flag->row.fallback &&
            !add_value(f, flag, FROM_FALLBACK, sonde_cstr(flag->row.fallback)))
            SONDE_BUG("default of --%s of exporter %s", flag->row.name,
                      f->exporter->name);
    }
    return SONDE_OK;
}

/* ---- arguments ----------------------------------------------------------- */

static struct exporter_flag *find(struct exporter_flags *f, sonde_str name)
{
    for (size_t i = 0; i < f->count; i++)
        if (name_is(&f->rows[i], name))
            return &f->rows[i];
    return NULL;
}

/* NAME, or no-NAME of a boolean. */
static struct exporter_flag *find_long(struct exporter_flags *f, sonde_str name,
                                       bool *negated)
{
    struct exporter_flag *flag = find(f, name);

    *negated = false;
    if (flag || !str_starts(name, SONDE_STR("no-")))
        return flag;
    flag = find(f, str_sub(name, 3, name.len));
    *negated = flag && flag->row.kind == SONDE_OPT_KIND_BOOL;
    return *negated ? flag : NULL;
}

static struct exporter_flag *find_letter(struct exporter_flags *f, char c)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->rows[i].row.letter && f->rows[i].row.letter == c)
            return &f->rows[i];
    return NULL;
}

static sonde_code unknown(const struct exporter_flags *f, sonde_str name,
                          struct sonde_err *err)
{
    const char **names = arena_array(f->arena, const char *, f->count + 1);
    const char *near;

    for (size_t i = 0; i < f->count; i++)
        names[i] = f->rows[i].row.name;
    near = str_nearest(name, names, f->count);
    if (near)
        return sonde_err_set(err, SONDE_EINVAL,
                             "there is no flag --%.*s; did you mean --%s?",
                             SONDE_ARG(str_sub(name, 0, 64)), near);
    return sonde_err_set(err, SONDE_EINVAL,
                         "there is no flag --%.*s; see --help",
                         SONDE_ARG(str_sub(name, 0, 64)));
}

struct arguments {
    char *const *argv;
    int argc, next;
};

/* One flag as it stands in an argument. */
struct given {
    struct exporter_flag *flag;
    bool negated, has_value;
    sonde_str name, value;
};

static sonde_code take(struct exporter_flags *f, struct arguments *a,
                       struct given *g, struct sonde_err *err)
{
    bool boolean = g->flag->row.kind == SONDE_OPT_KIND_BOOL;

    if (g->negated && g->has_value)
        return sonde_err_set(err, SONDE_EINVAL, "--%.*s takes no value",
                             SONDE_ARG(g->name));
    if (boolean && !g->has_value)
        g->value = g->negated ? SONDE_STR("false") : SONDE_STR("true");
    else if (!g->has_value && a->next == a->argc)
        return sonde_err_set(err, SONDE_EINVAL, "--%s: a value is missing",
                             g->flag->row.name);
    else if (!g->has_value)
        g->value = sonde_cstr(a->argv[a->next++]);
    if (add_value(f, g->flag, FROM_FLAG, g->value))
        return SONDE_OK;
    return wrong(g->flag, "--", g->flag->row.name, g->value, err);
}

/* `text` is what follows the dashes. */
static sonde_code take_flag(struct exporter_flags *f, struct arguments *a,
                            sonde_str text, bool one_dash,
                            struct sonde_err *err)
{
    size_t eq = str_index(text, '=');
    struct given g = { .name = str_sub(text, 0, eq),
                       .has_value = eq < text.len,
                       .value = str_sub(text, eq + 1, text.len) };

    g.flag = find_long(f, g.name, &g.negated);
    if (!g.flag && one_dash) {
        g.flag = find_letter(f, text.ptr[0]);
        if (g.flag && g.name.len > 1) {
            /* -Qcelery, -Q=celery */
            g.has_value = true;
            g.value = str_sub(text, 1, text.len);
            if (g.flag->row.kind == SONDE_OPT_KIND_BOOL)
                g.flag = NULL;
        }
    }
    return g.flag ? take(f, a, &g, err) : unknown(f, g.name, err);
}

static sonde_code take_argument(struct exporter_flags *f, struct arguments *a,
                                sonde_str arg, struct sonde_err *err)
{
    if (str_starts(arg, SONDE_STR("--")) && arg.len > 2)
        return take_flag(f, a, str_sub(arg, 2, arg.len), false, err);
    if (arg.len > 1 && arg.ptr[0] == '-')
        return take_flag(f, a, str_sub(arg, 1, arg.len), true, err);
    return sonde_err_set(err, SONDE_EINVAL,
                         "unexpected argument \"%.*s\"; a boolean flag takes "
                         "its value as --flag=false; see --help",
                         SONDE_ARG(str_sub(arg, 0, 64)));
}

sonde_code exporter_flags_parse(struct exporter_flags *f, int argc,
                                char *const *argv, struct sonde_err *err)
{
    struct arguments a = { .argv = argv, .argc = argc, .next = 1 };

    while (a.next < a.argc) {
        sonde_str arg = sonde_cstr(a.argv[a.next++]);
        sonde_code rc;

        if (str_eq_cstr(arg, "--"))
            continue;
        rc = take_argument(f, &a, arg, err);
        if (rc != SONDE_OK)
            return rc;
    }
    return read_defaults(f);
}

/* ---- asking -------------------------------------------------------------- */

const struct exporter_flag *exporter_flag_of(const struct exporter_flags *f,
                                             int role)
{
    const struct exporter_flag *best = NULL;

    for (size_t i = 0; i < f->count; i++)
        if (f->rows[i].role == role && f->rows[i].count &&
            (!best || f->rows[i].source > best->source))
            best = &f->rows[i];
    return best;
}

sonde_str exporter_text_of(const struct exporter_flags *f, int role)
{
    const struct exporter_flag *flag = exporter_flag_of(f, role);

    return flag ? flag->values[flag->count - 1] : (sonde_str){ "", 0 };
}

bool exporter_bool_of(const struct exporter_flags *f, int role)
{
    const struct exporter_flag *flag = exporter_flag_of(f, role);
    bool inverted = flag && (flag->row.flags & SONDE_FLAG_INVERTED);

    return flag &&
           str_eq_cstr(flag->values[flag->count - 1], "true") != inverted;
}
