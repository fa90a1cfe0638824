/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scraped line is called in the store. The target's labels join the
 * line's; where both have one the target's wins and the line's is kept as
 * exported_NAME (with as many prefixes as it takes), or, if the job honours
 * the line's labels, the line's wins. Then metric relabeling, then checks.
 *
 * A label set that fails a check fails the whole scrape, as in Prometheus,
 * and with the same words: a dashboard that silently misses some series is
 * worse than a target that is down and says why.
 *
 * Clashes are resolved shortest name first, so that job and exported_job
 * always end up the same way whatever order the line had.
 */
#include <stdlib.h>

#include "pipeline/pipeline.h"
#include "util/str.h"
#include "util/utf8.h"

#define EXPORTED_PREFIX "exported_"
/* Names and values in messages are cut to this many characters. */
#define SHOWN_MAX 50
/* exported_exported_...: longer chains only an attacker makes. */
#define PREFIXES_MAX 1000

static sonde_str cut(sonde_str s)
{
    size_t runes = 0, i = 0;

    while (i < s.len && runes++ < SHOWN_MAX) {
        uint32_t r;
        bool ok = true;

        i += utf8_decode(str_sub(s, i, s.len), &r, &ok);
    }
    return str_sub(s, 0, i);
}

/* ---- joining ------------------------------------------------------------- */

static int by_length(const void *a, const void *b)
{
    const struct label *x = a, *y = b;

    if (x->name.len != y->name.len)
        return x->name.len < y->name.len ? -1 : 1;
    return str_cmp(x->name, y->name);
}

static sonde_code export_label(struct labels_builder *lb, const struct label *x,
                               struct sonde_err *err)
{
    sonde_str name = x->name;

    for (int i = 0; i < PREFIXES_MAX; i++) {
        name = arena_printf(lb->arena, EXPORTED_PREFIX "%.*s", SONDE_ARG(name));
        if (labels_builder_get(lb, name).len)
            continue;
        labels_builder_set(lb, name, x->value);
        return SONDE_OK;
    }
    return sonde_err_set(err, SONDE_ELIMIT,
                         "label %.*s clashes with the target's, and so do %d "
                         "names with " EXPORTED_PREFIX " before it",
                         SONDE_ARG(cut(x->name)), PREFIXES_MAX);
}

static sonde_code join_target(const struct labels *target,
                              struct labels_builder *lb, struct sonde_err *err)
{
    struct label *clashes = NULL;
    size_t n = 0;

    for (size_t i = 0; i < target->count; i++) {
        const struct label *x = &target->items[i];
        sonde_str theirs = labels_builder_get(lb, x->name);

        if (theirs.len && !clashes)
            clashes = arena_array(lb->arena, struct label, target->count);
        if (theirs.len)
            clashes[n++] = (struct label){ x->name, theirs };
        labels_builder_set(lb, x->name, x->value);
    }
    if (n > 1)
        qsort(clashes, n, sizeof(*clashes), by_length);
    for (size_t i = 0; i < n; i++) {
        sonde_code rc = export_label(lb, &clashes[i], err);

        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

static void join_missing(const struct labels *target, struct labels_builder *lb)
{
    for (size_t i = 0; i < target->count; i++)
        if (labels_builder_get(lb, target->items[i].name).len == 0)
            labels_builder_set(lb, target->items[i].name,
                               target->items[i].value);
}

/* ---- checks -------------------------------------------------------------- */

static bool label_ok(const struct label *x, bool legacy)
{
    if (!str_is_utf8(x->value))
        return false;
    if (sonde_str_eq(x->name, SONDE_STR(LABEL_NAME)))
        return !legacy || metric_name_is_legacy(x->value);
    return legacy ? label_name_is_legacy(x->name)
                  : x->name.len && str_is_utf8(x->name);
}

static sonde_code check_names(const struct labels *l, bool legacy,
                              struct sonde_err *err)
{
    struct buf b;

    for (size_t i = 0; i < l->count; i++) {
        if (label_ok(&l->items[i], legacy))
            continue;
        buf_init(&b);
        labels_print(&b, l);
        (void)sonde_err_set(err, SONDE_EPARSE,
                            "invalid metric name or label names: %.*s",
                            SONDE_ARG(buf_str(&b)));
        buf_fini(&b);
        return SONDE_EPARSE;
    }
    return SONDE_OK;
}

static sonde_code value_too_long(const struct label *x, sonde_str metric,
                                 int64_t limit, struct sonde_err *err)
{
    struct buf b;

    buf_init(&b);
    buf_quote(&b, cut(x->value));
    (void)sonde_err_set(
        err, SONDE_ELIMIT,
        "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, "
        "value: %.*s, length: %zu, limit: %lld)",
        SONDE_ARG(cut(metric)), SONDE_ARG(cut(x->name)), SONDE_ARG(buf_str(&b)),
        x->value.len, (long long)limit);
    buf_fini(&b);
    return SONDE_ELIMIT;
}

static bool above(size_t n, int64_t limit)
{
    return limit > 0 && (uint64_t)n > (uint64_t)limit;
}

static sonde_code check_limits(const struct labels *l,
                               const struct series_limits *limits,
                               struct sonde_err *err)
{
    sonde_str metric = labels_get(l, SONDE_STR(LABEL_NAME));

    if (above(l->count, limits->labels))
        return sonde_err_set(err, SONDE_ELIMIT,
                             "label_limit exceeded (metric: %.*s, number of "
                             "labels: %zu, limit: %lld)",
                             SONDE_ARG(cut(metric)), l->count,
                             (long long)limits->labels);
    for (size_t i = 0; i < l->count; i++) {
        const struct label *x = &l->items[i];

        if (above(x->name.len, limits->name_bytes))
            return sonde_err_set(
                err, SONDE_ELIMIT,
                "label_name_length_limit exceeded (metric: %.*s, label name: "
                "%.*s, length: %zu, limit: %lld)",
                SONDE_ARG(cut(metric)), SONDE_ARG(cut(x->name)), x->name.len,
                (long long)limits->name_bytes);
        if (above(x->value.len, limits->value_bytes))
            return value_too_long(x, metric, limits->value_bytes, err);
    }
    return SONDE_OK;
}

sonde_code series_labels(const struct series_rules *rules,
                         struct labels_builder *lb, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;
    struct labels l;

    if (rules->honor_labels)
        join_missing(rules->target, lb);
    else
        rc = join_target(rules->target, lb, err);
    if (rc != SONDE_OK)
        return rc;
    if (!relabel(rules->metric_relabel, rules->metric_relabel_count, lb))
        return sonde_err_set(err, SONDE_ENOTFOUND, "dropped by relabeling");
    l = labels_builder_view(lb);
    if (l.count == 0)
        return sonde_err_set(err, SONDE_ENOTFOUND, "no label is left");
    if (labels_get(&l, SONDE_STR(LABEL_NAME)).len == 0)
        return sonde_err_set(err, SONDE_EPARSE,
                             "missing metric name (" LABEL_NAME " label)");
    rc = check_names(&l, rules->legacy_names, err);
    if (rc == SONDE_OK)
        rc = check_limits(&l, &rules->limits, err);
    return rc;
}
