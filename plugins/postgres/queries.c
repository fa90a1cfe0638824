/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of queries: the exporter's format, and a few keys more.
 *
 *     NAMESPACE:
 *       query: SELECT ...
 *       metrics:                       # a list of maps, or one map
 *         - column: {usage: GAUGE, description: ...}
 *       master: true                   # not in discovered databases
 *       cache_seconds: 30
 *       runonserver: ">=10.0.0 <13.0.0 || >=14.1.0"
 *       # ours:
 *       databases: all                 # or one, or a list of names
 *       interval: 5m                   # like cache_seconds
 *       timeout: 2s
 *       min_version: 10
 *       max_version: 12                # 12.x is still in
 *
 * A namespace without a query switches off the built-in collector of that
 * name. Keys nobody knows are errors here: the exporter skips them, and a
 * misspelt `cache_second` then asks the server at every scrape.
 */
#include "queries.h"

#include <ctype.h>
#include <stdlib.h>

#include "yaml_file.h"

static void column_fini(struct query_column *c)
{
    for (size_t i = 0; i < c->mapping_count; i++)
        free(c->mapping[i].text);
    free(c->mapping);
    free(c->name);
    free(c->family);
    free(c->help);
}

void queries_fini(struct query_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct query *q = &set->items[i];

        free(q->name);
        free(q->sql);
        for (size_t k = 0; k < q->database_count; k++)
            free(q->databases[k]);
        for (size_t k = 0; k < q->column_count; k++)
            column_fini(&q->columns[k]);
    }
    free(set->items);
    *set = (struct query_set){ 0 };
}

const struct query *queries_find(const struct query_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->items[i].name, name) == 0)
            return &set->items[i];
    }
    return NULL;
}

SONDE_PRINTF(3, 4)
static sonde_code wrong(struct sonde_err *err, const yaml_node_t *n,
                        const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return sonde_err_set(err, SONDE_EPARSE, "line %zu: %s", yaml_line(n), text);
}

static sonde_code take_text(char **out, sonde_str s, struct sonde_err *err)
{
    free(*out);
    *out = text_copy(s);
    return *out ? SONDE_OK : sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

/* ---- words --------------------------------------------------------------- */

/* A name of metrics: other bytes become '_'. */
static void make_name(char *z)
{
    for (char *p = z; *p; p++) {
        if (!(isalnum((unsigned char)*p) || *p == '_' || *p == ':') ||
            (unsigned char)*p >= 0x80)
            *p = '_';
    }
}

static bool take_bool(sonde_str s, bool *out)
{
    *out = text_is(s, "true") || text_is(s, "True") || text_is(s, "yes");
    return *out || text_is(s, "false") || text_is(s, "False") ||
           text_is(s, "no");
}

bool query_duration(sonde_str s, double *ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = { { "ns", 1e-6 },  { "us", 1e-3 },  { "\xc2\xb5s", 1e-3 },
                  { "ms", 1 },     { "s", 1e3 },    { "m", 60e3 },
                  { "h", 3600e3 }, { "d", 86400e3 } };
    bool negative = s.len && s.ptr[0] == '-', any = false;

    if (text_number(s, ms))
        return true;
    *ms = 0;
    if (negative)
        s = text_after(s, 1);
    while (s.len) {
        size_t n = 0, u = 0, best = 0;
        double v;

        while (n < s.len &&
               (isdigit((unsigned char)s.ptr[n]) || s.ptr[n] == '.'))
            n++;
        if (!text_number((sonde_str){ s.ptr, n }, &v))
            return false;
        s = text_after(s, n);
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            size_t len = strlen(units[i].unit);

            if (len > best && text_starts(s, units[i].unit)) {
                best = len;
                u = i;
            }
        }
        if (best == 0)
            return false;
        *ms += v * units[u].ms;
        s = text_after(s, best);
        any = true;
    }
    if (negative)
        *ms = -*ms;
    return any;
}

static bool take_duration(sonde_str s, double plain_ms, sonde_msec *out)
{
    double ms;
    bool plain = text_number(s, &ms);

    if (!plain && !query_duration(s, &ms))
        return false;
    if (plain)
        ms *= plain_ms;
    if (!(ms >= 0 && ms <= 30.0 * 86400e3))
        return false;
    *out = (sonde_msec)ms;
    return true;
}

/* "15", "9.6", "15.2.0"; `parts` says how many numbers there were. */
static bool take_version(sonde_str s, int64_t *out, size_t *parts)
{
    static const int64_t weight[] = { 1000000, 1000, 1 };
    sonde_str part;
    int64_t n;

    *out = 0;
    *parts = 0;
    while (text_split(&s, '.', &part)) {
        if (*parts == 3 || part.len > 3 || !text_whole(part, INT64_MAX, &n))
            return false;
        *out += n * weight[(*parts)++];
    }
    return *parts > 0;
}

int64_t query_server_version(int libpq)
{
    int64_t v = libpq;

    if (v >= 100000)
        return v / 10000 * 1000000 + v % 10000 * 1000;
    return v / 10000 * 1000000 + v / 100 % 100 * 1000 + v % 100;
}

/* ---- runonserver --------------------------------------------------------- */

static bool add_rule(struct query *q, sonde_str op, int64_t version)
{
    struct version_rule *r = &q->rules[q->rule_count];

    if (q->rule_count == QUERY_RANGE_MAX || op.len > 2)
        return false;
    *r = (struct version_rule){ .version = version, .group = q->group_count };
    memcpy(r->op, op.len ? op.ptr : "=", op.len ? op.len : 1);
    q->rule_count++;
    return true;
}

static bool take_range(struct query *q, sonde_str s)
{
    for (s = text_trim(s); s.len; s = text_trim(s)) {
        sonde_str op = { s.ptr, 0 }, number;
        int64_t version;
        size_t parts;

        if (text_starts(s, "||")) {
            if (q->rule_count == 0 ||
                q->rules[q->rule_count - 1].group != q->group_count)
                return false;
            q->group_count++;
            s = text_after(s, 2);
            continue;
        }
        while (op.len < s.len && strchr("<>=!", s.ptr[op.len]))
            op.len++;
        s = text_trim(text_after(s, op.len));
        number = (sonde_str){ s.ptr, 0 };
        while (number.len < s.len &&
               (isdigit((unsigned char)s.ptr[number.len]) ||
                s.ptr[number.len] == '.'))
            number.len++;
        if (!take_version(number, &version, &parts) ||
            !add_rule(q, op, version))
            return false;
        s = text_after(s, number.len);
    }
    return q->rule_count > 0 &&
           q->rules[q->rule_count - 1].group == q->group_count;
}

static bool is_op(const char *op)
{
    static const char *const ops[] = { "=", "==", "!=", "!",
                                       ">", ">=", "<",  "<=" };

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(op, ops[i]) == 0)
            return true;
    }
    return false;
}

static bool rule_holds(const struct version_rule *r, int64_t v)
{
    bool equal = v == r->version;

    switch (r->op[0]) {
    case '>':
        return v > r->version || (equal && r->op[1] == '=');
    case '<':
        return v < r->version || (equal && r->op[1] == '=');
    case '!':
        return !equal;
    default:
        return equal;
    }
}

bool query_applies(const struct query *q, int64_t version)
{
    size_t group = 0;
    bool all = true, any = q->rule_count == 0;

    if ((q->min_version && version < q->min_version) ||
        (q->max_version && version > q->max_version))
        return false;
    for (size_t i = 0; i < q->rule_count; i++) {
        if (q->rules[i].group != group) {
            any = any || all;
            group = q->rules[i].group;
            all = true;
        }
        all = all && rule_holds(&q->rules[i], version);
    }
    return any || (q->rule_count && all);
}

/* ---- columns ------------------------------------------------------------- */

/* An unknown word is DISCARD there and an error here. */
static const struct {
    const char *word;
    enum usage usage;
} usages[] = {
    { "LABEL", USAGE_LABEL },         { "COUNTER", USAGE_COUNTER },
    { "GAUGE", USAGE_GAUGE },         { "HISTOGRAM", USAGE_HISTOGRAM },
    { "MAPPEDMETRIC", USAGE_MAPPED }, { "DURATION", USAGE_DURATION },
    { "DISCARD", USAGE_DISCARD },     { "UNTYPED", USAGE_UNTYPED },
};

static bool take_usage(sonde_str s, enum usage *out)
{
    for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
        if (s.len == strlen(usages[i].word) &&
            strncasecmp(s.ptr, usages[i].word, s.len) == 0) {
            *out = usages[i].usage;
            return true;
        }
    }
    return false;
}

static sonde_code read_mapping(struct yaml_file *f, const yaml_node_t *n,
                               struct query_column *c, struct sonde_err *err)
{
    yaml_node_t *value;
    sonde_str key, text;

    if (!yaml_is_mapping(n))
        return wrong(err, n, "expected a map of texts to numbers");
    for (size_t i = 0; yaml_pair(f, n, i, &key, &value); i++) {
        struct query_mapping *m;

        if (i == QUERY_MAPPING_MAX)
            return wrong(err, n, "more than %d texts", QUERY_MAPPING_MAX);
        m = realloc(c->mapping, (i + 1) * sizeof(*m));
        if (!m)
            return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
        c->mapping = m;
        m[i] = (struct query_mapping){ .text = text_copy(key) };
        if (!m[i].text)
            return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
        c->mapping_count = i + 1;
        if (!yaml_scalar(value, &text) || !text_number(text, &m[i].value))
            return wrong(err, value, "expected a number for %.*s",
                         SONDE_ARG(key));
    }
    return SONDE_OK;
}

static sonde_code read_column_key(struct yaml_file *f, sonde_str key,
                                  yaml_node_t *value, struct query_column *c,
                                  struct sonde_err *err)
{
    sonde_str text = { 0 };

    if (text_is(key, "metric_mapping"))
        return read_mapping(f, value, c, err);
    if (!yaml_scalar(value, &text))
        return wrong(err, value, "expected a text for %.*s", SONDE_ARG(key));
    if (text_is(key, "usage"))
        return take_usage(text, &c->usage)
                   ? SONDE_OK
                   : wrong(err, value,
                           "expected LABEL, COUNTER, GAUGE, HISTOGRAM, "
                           "MAPPEDMETRIC, DURATION or DISCARD, got %.*s",
                           (int)(text.len < 40 ? text.len : 40), text.ptr);
    if (text_is(key, "description"))
        return take_text(&c->help, text, err);
    if (text_is(key, "name"))
        return take_text(&c->family, text, err);
    if (text_is(key, "supported_versions"))
        return SONDE_OK; /* the exporter has it and does not look at it */
    return wrong(err, value, "%.*s: no key of a column", SONDE_ARG(key));
}

static sonde_code name_column(const struct query *q, struct query_column *c,
                              struct sonde_err *err)
{
    struct text t = { 0 };
    bool label = c->usage == USAGE_LABEL;

    if (!c->family && label)
        c->family = text_copy(sonde_cstr(c->name));
    if (!c->family) {
        text_addf(&t, "%.200s_%.200s%s", q->name, c->name,
                  c->usage == USAGE_DURATION ? "_milliseconds" : "");
        c->family = t.ptr;
    }
    if (!c->family)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    make_name(c->family);
    if (!*c->family || isdigit((unsigned char)c->family[0]) ||
        (label && (strchr(c->family, ':') || strncmp(c->family, "__", 2) == 0)))
        return sonde_err_set(err, SONDE_EPARSE, "\"%.100s\" is no name of a %s",
                             c->family, label ? "label" : "metric");
    if (!c->help)
        return take_text(&c->help, SONDE_STR(""), err);
    return SONDE_OK;
}

static sonde_code read_column(struct yaml_file *f, sonde_str name,
                              yaml_node_t *n, struct query *q,
                              struct sonde_err *err)
{
    struct query_column *c = &q->columns[q->column_count];
    sonde_str key;
    yaml_node_t *value;
    sonde_code rc;

    if (q->column_count == QUERY_COLUMNS_MAX)
        return wrong(err, n, "more than %d columns", QUERY_COLUMNS_MAX);
    if (name.len == 0 || !yaml_is_mapping(n))
        return wrong(err, n, "expected column: {usage: ..., description: ...}");
    *c = (struct query_column){ 0 };
    q->column_count++;
    rc = take_text(&c->name, name, err);
    for (size_t i = 0; rc == SONDE_OK && yaml_pair(f, n, i, &key, &value); i++)
        rc = read_column_key(f, key, value, c, err);
    return rc == SONDE_OK ? name_column(q, c, err) : rc;
}

static sonde_code read_columns(struct yaml_file *f, yaml_node_t *n,
                               struct query *q, struct sonde_err *err)
{
    yaml_node_t *item, *value;
    sonde_code rc = SONDE_OK;
    sonde_str name;

    if (yaml_is_mapping(n)) {
        for (size_t i = 0; rc == SONDE_OK && yaml_pair(f, n, i, &name, &value);
             i++)
            rc = read_column(f, name, value, q, err);
        return rc;
    }
    if (!yaml_is_sequence(n))
        return wrong(err, n, "expected a list of columns");
    for (size_t i = 0; rc == SONDE_OK && (item = yaml_item(f, n, i)); i++) {
        if (!yaml_pair(f, item, 0, &name, &value))
            return wrong(err, item, "expected column: {usage: ...}");
        for (size_t k = 0;
             rc == SONDE_OK && yaml_pair(f, item, k, &name, &value); k++)
            rc = read_column(f, name, value, q, err);
    }
    return rc;
}

/* ---- queries ------------------------------------------------------------- */

static sonde_code read_databases(struct yaml_file *f, yaml_node_t *n,
                                 struct query *q, struct sonde_err *err)
{
    sonde_str text;
    yaml_node_t *item;

    q->scope_given = true;
    if (yaml_scalar(n, &text)) {
        q->scope = text_is(text, "all") ? SCOPE_ALL : SCOPE_ONE;
        if (q->scope == SCOPE_ALL || text_is(text, "one"))
            return SONDE_OK;
    }
    if (!yaml_is_sequence(n))
        return wrong(err, n, "expected all, one or a list of databases");
    q->scope = SCOPE_LIST;
    for (size_t i = 0; (item = yaml_item(f, n, i)); i++) {
        if (i == QUERY_DATABASES_MAX || !yaml_scalar(item, &text))
            return wrong(err, item, "expected at most %d names",
                         QUERY_DATABASES_MAX);
        q->databases[i] = text_copy(text);
        if (!q->databases[i])
            return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
        q->database_count = i + 1;
    }
    return SONDE_OK;
}

static sonde_code read_bound(sonde_str text, bool max, int64_t *out,
                             const yaml_node_t *n, struct sonde_err *err)
{
    static const int64_t rest[] = { 0, 999999, 999, 0 };
    size_t parts;

    if (!take_version(text, out, &parts))
        return wrong(err, n, "expected a version, like 15 or 9.6");
    if (max)
        *out += rest[parts];
    return SONDE_OK;
}

static bool take_timeout(sonde_str text, struct query *q)
{
    if (!take_duration(text, 1000, &q->timeout))
        return false;
    (void)snprintf(q->set_timeout, sizeof(q->set_timeout),
                   "SET statement_timeout = %lld", (long long)q->timeout);
    return true;
}

static sonde_code read_key(struct yaml_file *f, sonde_str key, yaml_node_t *n,
                           struct query *q, struct sonde_err *err)
{
    sonde_str text = { 0 };

    if (text_is(key, "metrics"))
        return read_columns(f, n, q, err);
    if (text_is(key, "databases"))
        return read_databases(f, n, q, err);
    if (!yaml_scalar(n, &text))
        return wrong(err, n, "expected a text for %.*s", SONDE_ARG(key));
    if (text_is(key, "query"))
        return text_trim(text).len ? take_text(&q->sql, text, err) : SONDE_OK;
    if (text_is(key, "min_version"))
        return read_bound(text, false, &q->min_version, n, err);
    if (text_is(key, "max_version"))
        return read_bound(text, true, &q->max_version, n, err);
    if (text_is(key, "master")) {
        q->master_given = true;
        return take_bool(text, &q->master)
                   ? SONDE_OK
                   : wrong(err, n, "expected true or false");
    }
    if (text_is(key, "runonserver"))
        return text.len == 0 || take_range(q, text)
                   ? SONDE_OK
                   : wrong(err, n, "expected versions, like \">=10.0.0\"");
    if (text_is(key, "cache_seconds") || text_is(key, "interval"))
        return take_duration(text, 1000, &q->interval)
                   ? SONDE_OK
                   : wrong(err, n, "expected seconds, or like 5m");
    if (text_is(key, "timeout"))
        return take_timeout(text, q)
                   ? SONDE_OK
                   : wrong(err, n, "expected seconds, or like 500ms");
    return wrong(err, n, "%.*s: no key of a query",
                 (int)(key.len < 60 ? key.len : 60), key.ptr);
}

static sonde_code check_rules(const struct query *q, const yaml_node_t *n,
                              struct sonde_err *err)
{
    for (size_t i = 0; i < q->rule_count; i++) {
        if (!is_op(q->rules[i].op))
            return wrong(err, n, "runonserver: %s compares nothing",
                         q->rules[i].op);
    }
    return SONDE_OK;
}

static sonde_code read_query(struct yaml_file *f, sonde_str name,
                             yaml_node_t *n, struct query *q,
                             struct sonde_err *err)
{
    sonde_str key, text;
    yaml_node_t *value;
    sonde_code rc = take_text(&q->name, name, err);

    if (rc != SONDE_OK)
        return rc;
    make_name(q->name);
    if (name.len == 0 || isdigit((unsigned char)q->name[0]))
        return wrong(err, n, "expected the name of a namespace");
    if (yaml_scalar(n, &text) && text.len == 0)
        return SONDE_OK; /* switched off */
    if (!yaml_is_mapping(n))
        return wrong(err, n, "expected query: and metrics: for %s", q->name);
    for (size_t i = 0; rc == SONDE_OK && yaml_pair(f, n, i, &key, &value); i++)
        rc = read_key(f, key, value, q, err);
    return rc == SONDE_OK ? check_rules(q, n, err) : rc;
}

sonde_code queries_read(sonde_str text, struct query_set *out,
                        struct sonde_err *err)
{
    struct yaml_file f;
    yaml_node_t *value;
    sonde_str name;
    sonde_code rc = yaml_file_read(text, &f, err);

    *out = (struct query_set){ 0 };
    if (rc == SONDE_OK && f.root && !yaml_is_mapping(f.root)) {
        sonde_str nothing;

        if (!yaml_scalar(f.root, &nothing) || nothing.len)
            rc = wrong(err, f.root, "expected a map of namespaces");
    }
    for (size_t i = 0;
         rc == SONDE_OK && yaml_pair(&f, f.root, i, &name, &value); i++) {
        struct query *grown;

        if (i == QUERIES_MAX) {
            rc = wrong(err, value, "more than %d queries", QUERIES_MAX);
            break;
        }
        grown = realloc(out->items, (i + 1) * sizeof(*grown));
        if (!grown) {
            rc = sonde_err_set(err, SONDE_ENOMEM, "out of memory");
            break;
        }
        out->items = grown;
        grown[i] = (struct query){ 0 };
        out->count = i + 1;
        rc = read_query(&f, name, value, &grown[i], err);
        if (rc == SONDE_OK && queries_find(out, grown[i].name) != &grown[i])
            rc = wrong(err, value, "%s is there twice", grown[i].name);
    }
    yaml_file_fini(&f);
    return rc;
}
