/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a plugin's description can be believed.
 *
 * A description is data from another compiler run, perhaps of another year:
 * before any of it is used, its own size, the interface version and the
 * strides of its tables are looked at, in that order, because each says how
 * the next may be read. Then everything that the agent would otherwise have
 * to check at each use is checked once: names, types, duplicates, that each
 * option's field lies inside the plugin's struct. After that the rest of the
 * folder trusts the description.
 *
 * A minor above ours is fine: fields are only appended, and a plugin asks
 * with SONDE_HAS for what it wants of the host. A foreign major is not; the
 * message names both versions and the remedy, because "does not load" is the
 * first thing that a user sees after an upgrade.
 */
#include "plugin/plugin_int.h"
#include "util/mem.h"
#include "util/str.h"

/* Sizes as of interface 1.0: the least that a plugin of major 1 can have. */
#define END_OF(T, f) (offsetof(T, f) + sizeof(((T *)0)->f))
#define DESC_MIN     END_OF(struct sonde_plugin, check)
#define OPTION_MIN   END_OF(struct sonde_option, example)
#define FAMILY_MIN   END_OF(struct sonde_family, labels)
#define HEAD_MIN     END_OF(struct sonde_plugin, abi_minor)
/* Since 1.1. */
#define PARTS_MIN     END_OF(struct sonde_plugin, collector_size)
#define COLLECTOR_MIN END_OF(struct sonde_collector, help)

const struct sonde_option *plugin_option(const struct sonde_plugin *desc,
                                         size_t i)
{
    const char *rows = (const char *)desc->options;

    return (const struct sonde_option *)(const void *)(rows +
                                                       i * desc->option_size);
}

static const struct sonde_family *family_at(const struct sonde_plugin *desc,
                                            size_t i)
{
    const char *rows = (const char *)desc->families;

    return (const struct sonde_family *)(const void *)(rows +
                                                       i * desc->family_size);
}

/* ---- names --------------------------------------------------------------- */

static bool name_ok(const char *z, size_t max, const char *first,
                    const char *rest)
{
    size_t n = z ? strlen(z) : 0;

    return n > 0 && n <= max && strchr(first, z[0]) && strspn(z, rest) == n;
}

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

bool plugin_name_ok(const char *z)
{
    return name_ok(z, PLUGIN_NAME_MAX, LOWER, LOWER DIGITS "_");
}

bool plugin_metric_name_ok(const char *z)
{
    return name_ok(z, PLUGIN_METRIC_BYTES_MAX,
                   LOWER UPPER "_:", LOWER UPPER DIGITS "_:");
}

bool plugin_label_name_ok(const char *z)
{
    return name_ok(z, PLUGIN_METRIC_BYTES_MAX, LOWER UPPER "_",
                   LOWER UPPER DIGITS "_") &&
           strncmp(z, "__", 2) != 0;
}

/* The index of the second of two equal names, or `n`. */
static size_t twice(const char **names, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names[i], names[k]) == 0)
                return i;
        }
    }
    return n;
}

/* ---- options ------------------------------------------------------------- */

static sonde_code check_option(const struct sonde_plugin *d, size_t i,
                               struct sonde_err *err)
{
    const struct sonde_option *o = plugin_option(d, i);
    size_t size = option_field_size(o->kind);

    if (!plugin_name_ok(o->name))
        return sonde_err_set(err, SONDE_EINVAL,
                             "option %zu: expected a name of [a-z][a-z0-9_]*, "
                             "got \"%s\"",
                             i, o->name ? o->name : "");
    if (size == 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "option %s: kind %d is not known", o->name,
                             (int)o->kind);
    if (o->offset > d->options_size || size > d->options_size - o->offset)
        return sonde_err_set(err, SONDE_EINVAL,
                             "option %s: its field (%zu bytes at %zu) is not "
                             "inside the options' struct of %zu bytes",
                             o->name, size, o->offset, d->options_size);
    if (o->min > o->max)
        return sonde_err_set(err, SONDE_EINVAL,
                             "option %s: its least value is above its most",
                             o->name);
    return SONDE_OK;
}

static sonde_code check_options(const struct sonde_plugin *d,
                                struct sonde_err *err)
{
    const char *names[PLUGIN_OPTIONS_MAX];
    size_t i;

    if (d->option_count == 0)
        return SONDE_OK;
    if (!d->options || d->option_count > PLUGIN_OPTIONS_MAX ||
        d->option_size < OPTION_MIN ||
        d->option_size % _Alignof(struct sonde_option) != 0 ||
        d->options_size > PLUGIN_OPTIONS_SIZE_MAX)
        return sonde_err_set(err, SONDE_EINVAL,
                             "options: expected up to %d rows of at least %zu "
                             "bytes, got %zu of %zu for a struct of %zu",
                             PLUGIN_OPTIONS_MAX, OPTION_MIN, d->option_count,
                             d->option_size, d->options_size);
    for (i = 0; i < d->option_count; i++) {
        sonde_code rc = check_option(d, i, err);

        if (rc != SONDE_OK)
            return rc;
        names[i] = plugin_option(d, i)->name;
    }
    i = twice(names, d->option_count);
    if (i < d->option_count)
        return sonde_err_set(err, SONDE_EDUPLICATE,
                             "option %s is declared twice", names[i]);
    return SONDE_OK;
}

/* ---- families ------------------------------------------------------------ */

static sonde_code check_labels(const struct sonde_family *f,
                               struct sonde_err *err)
{
    const char *names[SONDE_LABELS_MAX];
    size_t n = 0, i;

    for (; n < SONDE_LABELS_MAX && f->labels[n]; n++) {
        names[n] = f->labels[n];
        if (!plugin_label_name_ok(names[n]))
            return sonde_err_set(err, SONDE_EINVAL,
                                 "family %s: label name \"%s\" is not valid",
                                 f->name, names[n]);
        if (f->type == SONDE_METRIC_HISTOGRAM && strcmp(names[n], "le") == 0)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "family %s: label \"le\" is the host's to "
                                 "add to a histogram",
                                 f->name);
    }
    i = twice(names, n);
    if (i < n)
        return sonde_err_set(err, SONDE_EDUPLICATE,
                             "family %s has label %s twice", f->name, names[i]);
    return SONDE_OK;
}

static sonde_code check_family(const struct sonde_family *f, size_t i,
                               struct sonde_err *err)
{
    if (!plugin_metric_name_ok(f->name))
        return sonde_err_set(err, SONDE_EINVAL,
                             "family %zu: \"%s\" is not a metric name", i,
                             f->name ? f->name : "");
    if ((unsigned)f->type > SONDE_METRIC_STATESET)
        return sonde_err_set(err, SONDE_EINVAL,
                             "family %s: type %d is not "
                             "known",
                             f->name, (int)f->type);
    if (!f->help || strlen(f->help) > PLUGIN_HELP_BYTES_MAX)
        return sonde_err_set(err, SONDE_EINVAL,
                             "family %s: expected a help text of up to %d "
                             "bytes",
                             f->name, PLUGIN_HELP_BYTES_MAX);
    return check_labels(f, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static sonde_code check_families_unique(const struct sonde_plugin *d,
                                        struct sonde_err *err)
{
    const char **names = mem_alloc(d->family_count * sizeof(*names));
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < d->family_count; i++)
        names[i] = family_at(d, i)->name;
    qsort(names, d->family_count, sizeof(*names), by_name);
    for (size_t i = 1; i < d->family_count && rc == SONDE_OK; i++) {
        if (strcmp(names[i], names[i - 1]) == 0)
            rc = sonde_err_set(err, SONDE_EDUPLICATE,
                               "family %s is declared twice", names[i]);
    }
    free(names);
    return rc;
}

static sonde_code check_families(const struct sonde_plugin *d,
                                 struct sonde_err *err)
{
    sonde_code rc;

    if (d->family_count == 0)
        return SONDE_OK;
    if (!d->families || d->family_count > PLUGIN_FAMILIES_MAX ||
        d->family_size < FAMILY_MIN ||
        d->family_size % _Alignof(struct sonde_family) != 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "families: expected up to %d rows of at least "
                             "%zu bytes, got %zu of %zu",
                             PLUGIN_FAMILIES_MAX, FAMILY_MIN, d->family_count,
                             d->family_size);
    for (size_t i = 0; i < d->family_count; i++) {
        rc = check_family(family_at(d, i), i, err);
        if (rc != SONDE_OK)
            return rc;
    }
    return check_families_unique(d, err);
}

/* ---- collectors ---------------------------------------------------------- */

static sonde_code check_collector(const struct sonde_collector *c, size_t i,
                                  struct sonde_err *err)
{
    if (!plugin_name_ok(c->name))
        return sonde_err_set(err, SONDE_EINVAL,
                             "collector %zu: expected a name of "
                             "[a-z][a-z0-9_]*, got \"%s\"",
                             i, c->name ? c->name : "");
    if (!c->help || strlen(c->help) > PLUGIN_HELP_BYTES_MAX)
        return sonde_err_set(err, SONDE_EINVAL,
                             "collector %s: expected a help text of up to %d "
                             "bytes",
                             c->name, PLUGIN_HELP_BYTES_MAX);
    return SONDE_OK;
}

/* The host reports on collectors under names of its own. */
static sonde_code check_reserved(const struct sonde_plugin *d,
                                 struct sonde_err *err)
{
    for (size_t i = 0; i < d->family_count; i++) {
        const char *name = family_at(d, i)->name;

        if (strncmp(name, PLUGIN_COLLECTOR_PREFIX,
                    sizeof(PLUGIN_COLLECTOR_PREFIX) - 1) == 0)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "family %s: names that begin with "
                                 "%s are the host's",
                                 name, PLUGIN_COLLECTOR_PREFIX);
    }
    return SONDE_OK;
}

static sonde_code check_collectors(const struct sonde_plugin *d,
                                   struct sonde_err *err)
{
    const struct plugin p = { .desc = d };
    const char *names[PLUGIN_COLLECTORS_MAX];
    size_t i;

    if (d->struct_size < PARTS_MIN || d->collector_count == 0)
        return SONDE_OK;
    if (!d->collectors || d->collector_count > PLUGIN_COLLECTORS_MAX ||
        d->collector_size < COLLECTOR_MIN ||
        d->collector_size % _Alignof(struct sonde_collector) != 0)
        return sonde_err_set(err, SONDE_EINVAL,
                             "collectors: expected up to %d rows of at least "
                             "%zu bytes, got %zu of %zu",
                             PLUGIN_COLLECTORS_MAX, COLLECTOR_MIN,
                             d->collector_count, d->collector_size);
    for (i = 0; i < d->collector_count; i++) {
        sonde_code rc = check_collector(plugin_collector(&p, i), i, err);

        if (rc != SONDE_OK)
            return rc;
        names[i] = plugin_collector(&p, i)->name;
    }
    i = twice(names, d->collector_count);
    if (i < d->collector_count)
        return sonde_err_set(err, SONDE_EDUPLICATE,
                             "collector %s is declared twice", names[i]);
    return check_reserved(d, err);
}

/* ---- the whole ----------------------------------------------------------- */

static sonde_code check_version(const struct sonde_plugin *d,
                                struct sonde_err *err)
{
    if (d->struct_size < HEAD_MIN)
        return sonde_err_set(err, SONDE_EINVAL,
                             "its description says to be %u bytes long: it "
                             "does not begin with SONDE_PLUGIN_HEAD",
                             d->struct_size);
    if (d->abi_major != SONDE_ABI_MAJOR)
        return sonde_err_set(
            err, SONDE_EUNSUPPORTED,
            "it was built for plugin interface %u.%u, this agent has %u.%u: "
            "rebuild it against this agent's headers (pkg-config "
            "sonde-plugin), or install the package that matches the agent",
            d->abi_major, d->abi_minor, SONDE_ABI_MAJOR, SONDE_ABI_MINOR);
    if (d->struct_size < DESC_MIN)
        return sonde_err_set(err, SONDE_EINVAL,
                             "its description has %u bytes, interface %u.0 "
                             "has at least %zu: rebuild it",
                             d->struct_size, SONDE_ABI_MAJOR, DESC_MIN);
    return SONDE_OK;
}

static sonde_code check_form(const struct sonde_plugin *d,
                             struct sonde_err *err)
{
    if (!d->collect && !d->plan)
        return sonde_err_set(err, SONDE_EINVAL,
                             "it has neither `collect` nor `plan`: nothing to "
                             "ask it for");
    if (d->parse && !d->plan)
        return sonde_err_set(err, SONDE_EINVAL, "it has `parse` but no `plan`");
    if (!d->open != !d->close)
        return sonde_err_set(err, SONDE_EINVAL,
                             "`open` and `close` go together: it has only "
                             "`%s`",
                             d->open ? "open" : "close");
    return SONDE_OK;
}

static sonde_code check_texts(const struct sonde_plugin *d,
                              struct sonde_err *err)
{
    if (!plugin_name_ok(d->name))
        return sonde_err_set(err, SONDE_EINVAL,
                             "expected a plugin name of [a-z][a-z0-9_]*, got "
                             "\"%s\"",
                             d->name ? d->name : "");
    if (!d->version || !d->summary)
        return sonde_err_set(err, SONDE_EINVAL, "plugin %s has no %s", d->name,
                             d->version ? "summary" : "version");
    return SONDE_OK;
}

sonde_code plugin_check_desc(const struct sonde_plugin *desc, const char *path,
                             struct sonde_err *err)
{
    static sonde_code (*const steps[])(const struct sonde_plugin *,
                                       struct sonde_err *) = {
        check_version, check_texts,    check_form,
        check_options, check_families, check_collectors
    };
    struct sonde_err local;

    if (!err)
        err = &local;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i](desc, err) != SONDE_OK)
            return sonde_err_prefix(err, "plugin file %s is refused", path);
    }
    return SONDE_OK;
}
