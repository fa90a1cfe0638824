/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families that a plugin only knows at run time: found by name in a hash
 * table beside the declared ones, their labels sorted by name, so that the
 * same labels given in another order are the same series.
 */
#include <string.h>
#include <xxhash.h>

#include "plugin/sink_int.h"
#include "util/arena.h"
#include "util/mem.h"
#include "util/str.h"

static size_t *name_slot(const struct sonde_sink *s, const char *name)
{
    size_t i = (size_t)XXH3_64bits(name, strlen(name)) & (s->names_cap - 1);

    while (s->names[i] &&
           strcmp(s->families[s->names[i] - 1].row->name, name) != 0)
        i = (i + 1) & (s->names_cap - 1);
    return &s->names[i];
}

static void names_grow(struct sonde_sink *s)
{
    size_t *old = s->names;
    size_t old_cap = s->names_cap;

    s->names_cap = old_cap ? old_cap * 2 : 64;
    s->names = mem_zalloc(s->names_cap * sizeof(*s->names));
    for (size_t i = 0; old && i < old_cap; i++) {
        if (old[i])
            *name_slot(s, s->families[old[i] - 1].row->name) = old[i];
    }
    free(old);
}

/* Declared names are in the table too, so that one that is given here is
 * found without comparing it with all of them. */
static void names_declare(struct sonde_sink *s)
{
    size_t n = s->plugin->desc->family_count;

    while (!s->names || s->names_cap < (n + 1) * 2)
        names_grow(s);
    for (size_t i = 0; i < n; i++)
        *name_slot(s, s->families[i].row->name) = i + 1;
}

static sonde_code dynamic_check(struct sonde_sink *s,
                                const struct sonde_family *f)
{
    if (!plugin_metric_name_ok(f->name))
        return sink_fail(s, SONDE_EINVAL, "\"%.300s\" is not a metric name",
                         f->name);
    if (s->names_count >= PLUGIN_DYNAMIC_MAX)
        return sink_fail(s, SONDE_ELIMIT,
                         "more than %d families that are not declared",
                         PLUGIN_DYNAMIC_MAX);
    return SONDE_OK;
}

sonde_code sink_dynamic_family(struct sonde_sink *s,
                               const struct sonde_family *f, size_t *out)
{
    struct sonde_family *row;
    size_t *slot;

    if (!f->name)
        return sink_fail(s, SONDE_EINVAL, "\"\" is not a metric name");
    if (!s->names)
        names_declare(s);
    if ((s->plugin->desc->family_count + s->names_count + 1) * 2 > s->names_cap)
        names_grow(s);
    slot = name_slot(s, f->name);
    if (*slot && *slot <= s->plugin->desc->family_count)
        return sink_fail(s, SONDE_EINVAL,
                         "%s is declared: emit it by its index", f->name);
    if (*slot) {
        *out = *slot - 1;
        return SONDE_OK;
    }
    if (dynamic_check(s, f) != SONDE_OK)
        return sink_code(s);
    row = arena_new(&s->arena, struct sonde_family);
    row->name = arena_cstr(&s->arena, sonde_cstr(f->name));
    row->type = f->type;
    row->help = arena_cstr(
        &s->arena, str_sub(sonde_cstr(f->help), 0, PLUGIN_HELP_BYTES_MAX));
    s->families = mem_grow(s->families, &s->family_cap, s->family_count + 1,
                           sizeof(*s->families));
    s->families[s->family_count] = (struct sink_family){ .row = row };
    s->names_count++;
    *out = s->family_count++;
    *slot = s->family_count;
    return SONDE_OK;
}

/* Copies names and values sorted by name. */
static sonde_code dynamic_labels(struct sonde_sink *s,
                                 const struct sonde_family *f,
                                 const sonde_str *labels,
                                 struct sonde_family *names, sonde_str *values)
{
    size_t n = 0;

    for (; n < SONDE_LABELS_MAX && f->labels[n]; n++) {
        const char *name = f->labels[n];
        size_t k = n;

        if (!plugin_label_name_ok(name))
            return sink_fail(s, SONDE_EINVAL,
                             "%s: label name \"%.300s\" is not valid", f->name,
                             name);
        for (; k > 0 && strcmp(names->labels[k - 1], name) > 0; k--) {
            names->labels[k] = names->labels[k - 1];
            values[k] = values[k - 1];
        }
        if (k > 0 && strcmp(names->labels[k - 1], name) == 0)
            return sink_fail(s, SONDE_EDUPLICATE, "%s has label %s twice",
                             f->name, name);
        names->labels[k] = name;
        values[k] = labels ? labels[n] : (sonde_str){ 0 };
    }
    return SONDE_OK;
}

/* A line of a dynamic family, and what it points to. */
struct dynamic_line {
    struct line line;
    struct sonde_family names;
    sonde_str values[SONDE_LABELS_MAX];
};

static sonde_code dynamic_begin(struct sonde_sink *s,
                                const struct sonde_family *f,
                                const sonde_str *labels, struct dynamic_line *d)
{
    size_t i = 0;

    d->names = (struct sonde_family){ .name = f->name };
    if (sink_code(s) != SONDE_OK || sink_dynamic_family(s, f, &i) != SONDE_OK ||
        dynamic_labels(s, f, labels, &d->names, d->values) != SONDE_OK)
        return sink_code(s);
    d->names.type = s->families[i].row->type;
    d->line = (struct line){
        .family = i, .suffix = "", .labels = d->values, .names = &d->names
    };
    return SONDE_OK;
}

sonde_code sink_dynamic(struct sonde_sink *s, const struct sonde_family *family,
                        const sonde_str *labels, double value)
{
    struct dynamic_line d;

    if (dynamic_begin(s, family, labels, &d) != SONDE_OK)
        return sink_code(s);
    if (d.names.type != SONDE_METRIC_COUNTER &&
        d.names.type != SONDE_METRIC_GAUGE &&
        d.names.type != SONDE_METRIC_UNKNOWN)
        return sink_fail(s, SONDE_EINVAL,
                         "%s: `dynamic` is for a counter, a gauge or unknown; "
                         "histograms and summaries have their own functions",
                         family->name);
    d.line.value = value;
    return sink_put_line(s, &d.line);
}

sonde_code sink_dynamic_histogram(struct sonde_sink *s,
                                  const struct sonde_family *family,
                                  const sonde_str *labels,
                                  const struct sonde_bucket *buckets, size_t n,
                                  uint64_t count, double sum)
{
    struct dynamic_line d;

    if (dynamic_begin(s, family, labels, &d) != SONDE_OK)
        return sink_code(s);
    if (d.names.type != SONDE_METRIC_HISTOGRAM)
        return sink_fail(s, SONDE_EINVAL, "%s is not a histogram",
                         family->name);
    for (size_t i = 0; i < SONDE_LABELS_MAX && d.names.labels[i]; i++) {
        if (strcmp(d.names.labels[i], "le") == 0)
            return sink_fail(s, SONDE_EINVAL,
                             "%s: label \"le\" is the host's to add to a "
                             "histogram",
                             family->name);
    }
    return sink_put_histogram(s, d.line, buckets, n, count, sum);
}

sonde_code sink_dynamic_summary(struct sonde_sink *s,
                                const struct sonde_family *family,
                                const sonde_str *labels, uint64_t count,
                                double sum)
{
    struct dynamic_line d;

    if (dynamic_begin(s, family, labels, &d) != SONDE_OK)
        return sink_code(s);
    if (d.names.type != SONDE_METRIC_SUMMARY)
        return sink_fail(s, SONDE_EINVAL, "%s is not a summary", family->name);
    d.line.skip = "quantile";
    return sink_put_summary(s, d.line, count, sum);
}
