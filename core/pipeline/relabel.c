/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relabeling: a chain of small rules that rewrite a label set or drop it,
 * with Prometheus' semantics to the letter, since every configuration in the
 * world leans on them. The same chain serves targets, scraped series, and
 * what is sent on.
 *
 * A rule's input is the values of its source labels, joined. Expressions are
 * anchored; they are compiled once, by the configuration's check, and shared
 * by all threads. Strings that rules make are the builder's arena's. Rules
 * that act on names look at a snapshot of the set, so that what they add is
 * not seen by themselves.
 *
 * Names that a rule makes are checked as UTF-8 names; the legacy scheme is
 * checked where a series is complete (merge.c), because a name may pass
 * through other rules first.
 */
#include "pipeline/pipeline.h"
#include "util/bytes.h"
#include "util/casemap.h"
#include "util/md5.h"
#include "util/str.h"

struct run {
    const struct relabel_rule *rule;
    struct labels_builder *lb;
    struct buf joined, made;
};

/* The source labels' values; a view into the set, or into `joined`. */
static sonde_str source(struct run *r)
{
    const struct sonde_list *names = &r->rule->source_labels;

    if (names->count == 1)
        return labels_builder_get(r->lb, names->items[0]);
    buf_reset(&r->joined);
    for (size_t i = 0; i < names->count; i++) {
        if (i)
            buf_put(&r->joined, r->rule->separator);
        buf_put(&r->joined, labels_builder_get(r->lb, names->items[i]));
    }
    return buf_str(&r->joined);
}

static void set_made(struct run *r, sonde_str name)
{
    struct labels_builder *lb = r->lb;

    labels_builder_set(lb, name, arena_str(lb->arena, buf_str(&r->made)));
}

static bool has_variable(sonde_str template)
{
    return str_index(template, '$') < template.len;
}

static void replace(struct run *r, sonde_str value)
{
    const struct relabel_rule *rule = r->rule;
    sonde_str target = rule->target_label;

    buf_reset(&r->made);
    if (has_variable(target)) {
        if (!regex_expand(rule->compiled, value, target, &r->made))
            return;
        target = arena_str(r->lb->arena, buf_str(&r->made));
        if (target.len == 0 || !str_is_utf8(target))
            return;
        buf_reset(&r->made);
    }
    if (regex_expand(rule->compiled, value, rule->replacement, &r->made))
        set_made(r, target); /* an empty value removes the label */
}

/* The last 8 bytes of the MD5, as Prometheus has taken them from the start. */
static void hashmod(struct run *r, sonde_str value)
{
    uint8_t sum[MD5_BYTES];

    md5(sum, value);
    buf_reset(&r->made);
    buf_uint(&r->made, be64_get(sum + 8) % (uint64_t)r->rule->modulus);
    set_made(r, r->rule->target_label);
}

static struct labels snapshot(struct run *r)
{
    struct labels now = labels_builder_view(r->lb);
    struct label *copy = arena_array(r->lb->arena, struct label, now.count + 1);

    if (now.count)
        memcpy(copy, now.items, now.count * sizeof(*copy));
    return (struct labels){ copy, now.count };
}

static void labelmap(struct run *r)
{
    struct labels before = snapshot(r);

    for (size_t i = 0; i < before.count; i++) {
        const struct label *x = &before.items[i];

        buf_reset(&r->made);
        if (!regex_expand(r->rule->compiled, x->name, r->rule->replacement,
                          &r->made) ||
            r->made.len == 0)
            continue;
        labels_builder_set(r->lb, arena_str(r->lb->arena, buf_str(&r->made)),
                           x->value);
    }
}

static void labeldrop(struct run *r, bool drop_matching)
{
    struct labels before = snapshot(r);

    for (size_t i = 0; i < before.count; i++)
        if (regex_match(r->rule->compiled, before.items[i].name) ==
            drop_matching)
            labels_builder_del(r->lb, before.items[i].name);
}

static void change_case(struct run *r, sonde_str value, bool upper)
{
    buf_reset(&r->made);
    if (upper)
        buf_upper(&r->made, value);
    else
        buf_lower(&r->made, value);
    set_made(r, r->rule->target_label);
}

static bool equals_target(struct run *r, sonde_str value)
{
    return sonde_str_eq(labels_builder_get(r->lb, r->rule->target_label),
                        value);
}

/* False: dropped. */
static bool apply(struct run *r)
{
    sonde_str value = source(r);

    switch ((enum relabel_action)r->rule->action) {
    case RELABEL_REPLACE:
        replace(r, value);
        return true;
    case RELABEL_KEEP:
        return regex_match(r->rule->compiled, value);
    case RELABEL_DROP:
        return !regex_match(r->rule->compiled, value);
    case RELABEL_KEEPEQUAL:
        return equals_target(r, value);
    case RELABEL_DROPEQUAL:
        return !equals_target(r, value);
    case RELABEL_HASHMOD:
        hashmod(r, value);
        return true;
    case RELABEL_LABELMAP:
        labelmap(r);
        return true;
    case RELABEL_LABELDROP:
        labeldrop(r, true);
        return true;
    case RELABEL_LABELKEEP:
        labeldrop(r, false);
        return true;
    case RELABEL_LOWERCASE:
        change_case(r, value, false);
        return true;
    case RELABEL_UPPERCASE:
        change_case(r, value, true);
        return true;
    }
    return true;
}

bool relabel(const struct relabel_rule *rules, size_t n,
             struct labels_builder *lb)
{
    struct run r = { .lb = lb };
    bool keep = true;

    buf_init(&r.joined);
    buf_init(&r.made);
    for (size_t i = 0; keep && i < n; i++) {
        r.rule = &rules[i];
        keep = apply(&r);
    }
    buf_fini(&r.joined);
    buf_fini(&r.made);
    return keep;
}

void relabel_rules_fini(struct relabel_rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        regex_unref(rules[i].compiled);
        rules[i].compiled = NULL;
    }
}
