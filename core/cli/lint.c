/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' rules for metrics (its promlint, as of 3.x): a help text, base
 * units spelled out, suffixes that fit the type, snake case, no types in
 * names, no series twice. promtool says a fault of a label once for each
 * metric that has it; here it is said once for each family.
 *
 * Lines of a family may stand anywhere on the page, but what a family is must
 * be said before its first sample, and once: that is an error of the format,
 * although servers forgive it when they scrape.
 */
#include "cli/lint.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "expo/expo.h"
#include "model/labels.h"
#include "model/symtab.h"
#include "util/mem.h"
#include "util/str.h"

/* What was seen of a family; `faults` are of its labels. */
enum {
    HAS_HELP = 1 << 0, /* a text                                           */
    HAS_TYPE = 1 << 1,
    SAW_HELP = 1 << 2, /* the line, perhaps without a text                 */
    LABEL_LE = 1 << 3,
    LABEL_QUANTILE = 1 << 4,
    LABEL_CAMEL = 1 << 5,
};
struct family {
    sonde_str name;
    enum metric_type type;
    unsigned seen;
    size_t series;
    size_t twice; /* series that were there before                         */
};

struct reading {
    struct lint *out;
    struct symtab *names; /* of families: the symbol is the index          */
    struct family *families;
    size_t count, cap;
    struct labels_builder labels;
    struct arena line; /* reset for each                                   */
    struct mark {
        uint64_t hash;
        size_t family;
    } * marks; /* one for each series                                      */
    size_t mark_count, mark_cap;
};

/* ---- families -------------------------------------------------------------
 */

static struct family *family_find(struct reading *r, sonde_str name)
{
    symbol id;

    return symtab_find(r->names, name, &id) ? &r->families[id] : NULL;
}

static struct family *family_get(struct reading *r, sonde_str name)
{
    symbol id = symtab_intern(r->names, name);

    if (id >= r->cap || !r->families) {
        size_t before = r->cap;

        r->families = mem_grow(r->families, &r->cap, (size_t)id + 1,
                               sizeof(*r->families));
        memset(r->families + before, 0,
               (r->cap - before) * sizeof(*r->families));
    }
    if (id >= r->count)
        r->count = (size_t)id + 1;
    if (!r->families[id].name.ptr)
        r->families[id].name = arena_str(r->out->arena, name);
    return &r->families[id];
}

/* x_count belongs to x if that is a summary or histogram. */
static struct family *family_of(struct reading *r, sonde_str name)
{
    static const struct {
        const char *suffix;
        bool summary;
    } parts[] = { { "_count", true }, { "_sum", true }, { "_bucket", false } };
    struct family *f = family_find(r, name);

    for (size_t i = 0; !f && i < sizeof(parts) / sizeof(*parts); i++) {
        sonde_str suffix = sonde_cstr(parts[i].suffix);
        struct family *of;

        if (!str_ends(name, suffix))
            continue;
        of = family_find(r, str_sub(name, 0, name.len - suffix.len));
        if (of && (of->type == METRIC_HISTOGRAM ||
                   (of->type == METRIC_SUMMARY && parts[i].summary)))
            f = of;
    }
    return f ? f : family_get(r, name);
}

/* ---- lines ------------------------------------------------------------------
 */

static sonde_code on_meta(void *arg, const struct expo_meta *m,
                          struct sonde_err *err)
{
    struct reading *r = arg;
    struct family *f = family_get(r, m->family);

    if (m->kind == EXPO_META_HELP) {
        if (f->seen & SAW_HELP)
            return sonde_err_set(err, SONDE_EPARSE,
                                 "second HELP line for metric name \"%.*s\"",
                                 SONDE_ARG(m->family));
        f->seen |= SAW_HELP | (m->text.len ? HAS_HELP : 0);
    } else if (m->kind == EXPO_META_TYPE) {
        if (f->series || f->seen & HAS_TYPE)
            return sonde_err_set(err, SONDE_EPARSE,
                                 "second TYPE line for metric name \"%.*s\", "
                                 "or TYPE reported after samples",
                                 SONDE_ARG(m->family));
        f->type = m->type;
        f->seen |= HAS_TYPE;
    }
    return SONDE_OK;
}

static bool is_camel(sonde_str s)
{
    for (size_t i = 0; i + 1 < s.len; i++)
        if (islower((unsigned char)s.ptr[i]) &&
            isupper((unsigned char)s.ptr[i + 1]))
            return true;
    return false;
}

static void look_at_labels(struct family *f, const struct labels *l)
{
    for (size_t i = 0; i < l->count; i++) {
        sonde_str name = l->items[i].name;

        if (str_eq_cstr(name, "le"))
            f->seen |= LABEL_LE;
        else if (str_eq_cstr(name, "quantile"))
            f->seen |= LABEL_QUANTILE;
        if (is_camel(name))
            f->seen |= LABEL_CAMEL;
    }
}

static sonde_code on_sample(void *arg, const struct expo_sample *s,
                            struct sonde_err *err)
{
    struct reading *r = arg;
    struct family *f;
    struct labels l;
    sonde_code rc;

    arena_reset(&r->line);
    labels_builder_init(&r->labels, &r->line);
    rc = expo_series(s->series, EXPO_TEXT, &r->labels, err);
    if (rc != SONDE_OK)
        return rc;
    l = labels_builder_view(&r->labels);
    f = family_of(r, labels_get(&l, SONDE_STR(LABEL_NAME)));
    f->series++;
    look_at_labels(f, &l);
    if (r->mark_count == r->mark_cap)
        r->marks = mem_grow(r->marks, &r->mark_cap, r->mark_count + 1,
                            sizeof(*r->marks));
    r->marks[r->mark_count++] =
        (struct mark){ labels_hash(&l), (size_t)(f - r->families) };
    return SONDE_OK;
}

static int by_hash(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;

    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static void count_twice(struct reading *r)
{
    if (r->mark_count)
        qsort(r->marks, r->mark_count, sizeof(*r->marks), by_hash);
    for (size_t i = 1; i < r->mark_count; i++)
        if (r->marks[i].hash == r->marks[i - 1].hash)
            r->families[r->marks[i].family].twice++;
}

/* ---- rules --------------------------------------------------------------- */

SONDE_PRINTF(3, 4)
static void problem(struct lint *out, const struct family *f, const char *fmt,
                    ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (out->count == out->cap) {
        struct lint_problem *more;

        out->cap = out->cap ? out->cap * 2 : 32;
        more = arena_array(out->arena, struct lint_problem, out->cap);
        if (out->count)
            memcpy(more, out->problems, out->count * sizeof(*more));
        out->problems = more;
    }
    out->problems[out->count++] =
        (struct lint_problem){ f->name,
                               arena_str(out->arena, sonde_cstr(text)) };
}

static bool is_untyped(const struct family *f)
{
    return f->type == METRIC_UNKNOWN;
}

static bool ends(const struct family *f, const char *suffix)
{
    return str_ends(f->name, sonde_cstr(suffix));
}

static void rule_help(struct lint *out, const struct family *f)
{
    if (!(f->seen & HAS_HELP))
        problem(out, f, "no help text");
}

struct unit {
    const char *name, *base;
};
static const struct unit units[] = {
    { "amperes", "amperes" }, { "bytes", "bytes" },
    { "celsius", "celsius" }, { "grams", "grams" },
    { "joules", "joules" },   { "kelvin", "kelvin" },
    { "meters", "meters" },   { "metres", "metres" },
    { "seconds", "seconds" }, { "volts", "volts" },
    { "minutes", "seconds" }, { "hours", "seconds" },
    { "days", "seconds" },    { "weeks", "seconds" },
    { "kelvins", "kelvin" },  { "fahrenheit", "celsius" },
    { "rankine", "celsius" }, { "inches", "meters" },
    { "yards", "meters" },    { "miles", "meters" },
    { "bits", "bytes" },      { "calories", "joules" },
    { "pounds", "grams" },    { "ounces", "grams" },
};
static const char *const prefixes[] = {
    "",     "pico",  "nano", "micro", "milli", "centi", "deci",
    "deca", "hecto", "kilo", "kibi",  "mega",  "mibi",  "giga",
    "gibi", "tera",  "tebi", "peta",  "pebi",
};

/* The unit that a word is, with or without a prefix. */
static const struct unit *unit_of(sonde_str word)
{
    for (size_t p = 0; p < sizeof(prefixes) / sizeof(*prefixes); p++) {
        sonde_str prefix = sonde_cstr(prefixes[p]);

        if (!str_starts(word, prefix))
            continue;
        for (size_t u = 0; u < sizeof(units) / sizeof(*units); u++)
            if (str_eq_cstr(str_sub(word, prefix.len, word.len), units[u].name))
                return &units[u];
    }
    return NULL;
}

static void rule_units(struct lint *out, const struct family *f)
{
    sonde_str rest = f->name, word;

    while (str_split(&rest, '_', &word)) {
        const struct unit *u = unit_of(word);

        if (!u)
            continue;
        if (!str_eq_cstr(word, u->base))
            problem(out, f, "use base unit \"%s\" instead of \"%.*s\"", u->base,
                    SONDE_ARG(word));
        return;
    }
}

static void rule_counter(struct lint *out, const struct family *f)
{
    bool counter = f->type == METRIC_COUNTER, total = ends(f, "_total");

    if (counter && !total)
        problem(out, f, "counter metrics should have \"_total\" suffix");
    else if (!is_untyped(f) && !counter && total)
        problem(out, f,
                "non-counter metrics should not have \"_total\" suffix");
}

static void rule_reserved(struct lint *out, const struct family *f)
{
    bool histogram = f->type == METRIC_HISTOGRAM;
    bool summary = f->type == METRIC_SUMMARY;

    if (is_untyped(f))
        return;
    if (!histogram && ends(f, "_bucket"))
        problem(out, f,
                "non-histogram metrics should not have \"_bucket\" suffix");
    if (!histogram && !summary && ends(f, "_count"))
        problem(out, f,
                "non-histogram and non-summary metrics should not have "
                "\"_count\" suffix");
    if (!histogram && !summary && ends(f, "_sum"))
        problem(out, f,
                "non-histogram and non-summary metrics should not have "
                "\"_sum\" suffix");
    if (!histogram && f->seen & LABEL_LE)
        problem(out, f, "non-histogram metrics should not have \"le\" label");
    if (!summary && f->seen & LABEL_QUANTILE)
        problem(out, f,
                "non-summary metrics should not have \"quantile\" label");
}

/* Whether "_WORD" ends the name or "_WORD_" is in it, whatever the case. */
static bool has_word(sonde_str name, const char *word)
{
    sonde_str rest = name, part;
    size_t at = 0;

    while (str_split(&rest, '_', &part)) {
        if (at > 0 && str_eq_nocase(part, sonde_cstr(word)))
            return true;
        at += part.len + 1;
    }
    return false;
}

static void rule_type_in_name(struct lint *out, const struct family *f)
{
    static const struct {
        enum metric_type type;
        const char *name;
    } types[] = { { METRIC_COUNTER, "counter" },
                  { METRIC_GAUGE, "gauge" },
                  { METRIC_SUMMARY, "summary" },
                  { METRIC_HISTOGRAM, "histogram" } };

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (f->type == types[i].type && has_word(f->name, types[i].name))
            problem(out, f, "metric name should not include type '%s'",
                    types[i].name);
}

static void rule_letters(struct lint *out, const struct family *f)
{
    if (str_index(f->name, ':') < f->name.len)
        problem(out, f, "metric names should not contain ':'");
    if (is_camel(f->name))
        problem(out, f,
                "metric names should be written in 'snake_case' not "
                "'camelCase'");
    if (f->seen & LABEL_CAMEL)
        problem(out, f,
                "label names should be written in 'snake_case' not "
                "'camelCase'");
}

static void rule_abbreviations(struct lint *out, const struct family *f)
{
    static const char *const words[] = { "s",  "ms", "us", "ns", "sec",
                                         "b",  "kb", "mb", "gb", "tb",
                                         "pb", "m",  "h",  "d" };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (has_word(f->name, words[i]))
            problem(out, f,
                    "metric names should not contain abbreviated units");
}

static void rule_unique(struct lint *out, const struct family *f)
{
    for (size_t i = 0; i < f->twice; i++)
        problem(out, f, "metric not unique");
}

static void (*const rules[])(struct lint *out, const struct family *f) = {
    rule_help,         rule_units,   rule_counter,       rule_reserved,
    rule_type_in_name, rule_letters, rule_abbreviations, rule_unique,
};

/* ---- all of it ----------------------------------------------------------- */

static int by_family(const void *a, const void *b)
{
    const struct lint_problem *x = a, *y = b;
    int order = str_cmp(x->family, y->family);

    return order ? order : str_cmp(x->text, y->text);
}

static int by_series(const void *a, const void *b)
{
    const struct lint_family *x = a, *y = b;

    if (x->series != y->series)
        return x->series > y->series ? -1 : 1;
    return str_cmp(x->name, y->name);
}

/* Families without samples are not there. */
static void judge(struct reading *r)
{
    struct lint *out = r->out;

    out->families = arena_array(out->arena, struct lint_family, r->count);
    for (size_t i = 0; i < r->count; i++) {
        const struct family *f = &r->families[i];

        if (f->series == 0)
            continue;
        out->families[out->family_count++] =
            (struct lint_family){ f->name, f->series };
        out->series += f->series;
        for (size_t k = 0; k < sizeof(rules) / sizeof(*rules); k++)
            rules[k](out, f);
    }
    if (out->count)
        qsort(out->problems, out->count, sizeof(*out->problems), by_family);
    if (out->family_count)
        qsort(out->families, out->family_count, sizeof(*out->families),
              by_series);
}

sonde_code lint_text(struct arena *a, sonde_str text, struct lint *out,
                     struct sonde_err *err)
{
    struct reading r = { .out = out, .names = symtab_new() };
    const struct expo_handler handler = { on_sample, on_meta, &r };
    struct expo_scanner scanner;
    sonde_code rc;

    *out = (struct lint){ .arena = a };
    arena_init(&r.line);
    expo_scanner_init(&scanner, EXPO_TEXT, &handler);
    rc = expo_scan(&scanner, text, err);
    if (rc == SONDE_OK)
        rc = expo_scan_end(&scanner, err);
    expo_scanner_fini(&scanner);
    if (rc == SONDE_OK) {
        count_twice(&r);
        judge(&r);
    }
    symtab_free(r.names);
    arena_fini(&r.line);
    free(r.families);
    free(r.marks);
    return rc;
}
