/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a relabeling rule: its keys, and what an action needs
 * or forbids. As in Prometheus a key counts as given when it differs from
 * its default. `$` is a template's own here, so the keys are read raw and
 * never expanded from the environment.
 */
#include <stdarg.h>

#include "pipeline/pipeline.h"
#include "util/str.h"

#define DEFAULT_SEPARATOR   ";"
#define DEFAULT_REGEX       "(.*)"
#define DEFAULT_REPLACEMENT "$1"

static const char *const actions[] = {
    [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",
    [RELABEL_DROP] = "drop",           [RELABEL_KEEPEQUAL] = "keepequal",
    [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop",
    [RELABEL_LABELKEEP] = "labelkeep", [RELABEL_LOWERCASE] = "lowercase",
    [RELABEL_UPPERCASE] = "uppercase", NULL,
};

const char *relabel_action_name(int action)
{
    return actions[action];
}

/* What an action does with the keys. */
enum {
    NEEDS_TARGET = 1 << 0,
    TARGET_IS_TEMPLATE = 1 << 1,
    NO_REPLACEMENT = 1 << 2,
    ONLY_SOURCE_AND_TARGET = 1 << 3,
    ONLY_REGEX = 1 << 4,
};

static const unsigned duties[] = {
    [RELABEL_REPLACE] = NEEDS_TARGET | TARGET_IS_TEMPLATE,
    [RELABEL_KEEPEQUAL] = NEEDS_TARGET | ONLY_SOURCE_AND_TARGET,
    [RELABEL_DROPEQUAL] = NEEDS_TARGET | ONLY_SOURCE_AND_TARGET,
    [RELABEL_HASHMOD] = NEEDS_TARGET,
    [RELABEL_LABELDROP] = ONLY_REGEX,
    [RELABEL_LABELKEEP] = ONLY_REGEX,
    [RELABEL_LOWERCASE] = NEEDS_TARGET | NO_REPLACEMENT,
    [RELABEL_UPPERCASE] = NEEDS_TARGET | NO_REPLACEMENT,
};

/* An error at a key of the rule, or at the rule if the key is not there. */
SONDE_PRINTF(4, 5)
static sonde_code fail(const struct relabel_rule *r, const char *key,
                       struct sonde_err *err, const char *fmt, ...)
{
    const struct yaml_node *at = r->head.node;
    struct sonde_err why;
    va_list ap;

    va_start(ap, fmt);
    (void)sonde_err_vset(&why, SONDE_EPARSE, fmt, ap);
    va_end(ap);
    if (!at)
        return sonde_err_set(err, SONDE_EPARSE, "%s", why.text);
    if (at->kind == YAML_MAPPING && yaml_get(at, key))
        at = yaml_get(at, key);
    return yaml_error(at, err, "%s", why.text);
}

static bool is_default(sonde_str s, const char *fallback)
{
    return str_eq_cstr(s, fallback);
}

static bool is_name(sonde_str s)
{
    return s.len > 0 && str_is_utf8(s);
}

static sonde_code check_target(const struct relabel_rule *r, unsigned duty,
                               struct sonde_err *err)
{
    const char *action = actions[r->action];
    sonde_str target = r->target_label;
    bool variable = str_index(target, '$') < target.len;

    if (!(duty & NEEDS_TARGET))
        return SONDE_OK;
    if (target.len == 0)
        return fail(r, "action", err,
                    "relabel configuration for %s action requires "
                    "'target_label' value",
                    action);
    if (!is_name(target) || (variable && !(duty & TARGET_IS_TEMPLATE)))
        return fail(r, "target_label", err,
                    "\"%.*s\" is invalid 'target_label' for %s action",
                    SONDE_ARG(target), action);
    return SONDE_OK;
}

static sonde_code check_others(const struct relabel_rule *r, unsigned duty,
                               struct sonde_err *err)
{
    const char *action = actions[r->action];
    bool plain = is_default(r->separator, DEFAULT_SEPARATOR) &&
                 is_default(r->replacement, DEFAULT_REPLACEMENT) &&
                 r->modulus == 0;

    if ((duty & NO_REPLACEMENT) &&
        !is_default(r->replacement, DEFAULT_REPLACEMENT))
        return fail(r, "replacement", err,
                    "'replacement' can not be set for %s action", action);
    if ((duty & ONLY_SOURCE_AND_TARGET) &&
        !(plain && is_default(r->regex, DEFAULT_REGEX)))
        return fail(r, "action", err,
                    "%s action requires only 'source_labels' and "
                    "'target_label', and no other fields",
                    action);
    if ((duty & ONLY_REGEX) &&
        !(plain && r->source_labels.count == 0 && r->target_label.len == 0))
        return fail(r, "action", err,
                    "%s action requires only 'regex', and no other fields",
                    action);
    if (r->action == RELABEL_LABELMAP && !is_name(r->replacement))
        return fail(r, "replacement", err,
                    "\"%.*s\" is invalid 'replacement' for %s action",
                    SONDE_ARG(r->replacement), action);
    if (r->action == RELABEL_HASHMOD && r->modulus == 0)
        return fail(r, "action", err,
                    "relabel configuration for hashmod requires non-zero "
                    "modulus");
    return SONDE_OK;
}

static sonde_code compile(struct relabel_rule *r, struct sonde_err *err)
{
    struct sonde_err why;
    bool expands =
        r->action == RELABEL_REPLACE || r->action == RELABEL_LABELMAP;

    if (regex_new(r->regex, &r->compiled, &why) != SONDE_OK)
        return fail(r, "regex", err, "%s", why.text);
    if (!expands || regex_can_expand(r->compiled))
        return SONDE_OK;
    relabel_rules_fini(r, 1);
    return fail(r, "regex", err,
                "error parsing regexp: expression too large for a rule that "
                "uses its groups");
}

static sonde_code check_rule(struct config_ctx *ctx, void *block,
                             struct sonde_err *err)
{
    struct relabel_rule *r = block;
    unsigned duty = (size_t)r->action < sizeof(duties) / sizeof(duties[0])
                        ? duties[r->action]
                        : 0;
    const struct yaml_node *regex = NULL;
    sonde_code rc;

    (void)ctx;
    if (r->head.node && r->head.node->kind == YAML_MAPPING)
        regex = yaml_get(r->head.node, "regex");
    if (regex && regex->kind == YAML_NULL)
        r->regex = SONDE_STR(""); /* "regex:" is the empty one */
    for (size_t i = 0; i < r->source_labels.count; i++)
        if (!is_name(r->source_labels.items[i]))
            return fail(r, "source_labels", err,
                        "\"%.*s\" is not a valid label name",
                        SONDE_ARG(r->source_labels.items[i]));
    rc = check_target(r, duty, err);
    if (rc == SONDE_OK)
        rc = check_others(r, duty, err);
    if (rc == SONDE_OK)
        rc = compile(r, err);
    return rc;
}

static const struct config_key rows[] = {
    CONFIG_ROW_STR_LIST(struct relabel_rule, source_labels,
                        .flags = CONFIG_RAW | CONFIG_FLOW,
                        .help = "Labels whose values, joined by the "
                                "separator, the rule looks at"),
    CONFIG_ROW_STR(struct relabel_rule, separator, .flags = CONFIG_RAW,
                   .fallback = DEFAULT_SEPARATOR,
                   .help = "Put between the values of the source labels"),
    CONFIG_ROW_STR(struct relabel_rule, regex,
                   .flags = CONFIG_RAW | CONFIG_QUIET,
                   .fallback = DEFAULT_REGEX,
                   .help = "RE2 expression that all of the joined value must "
                           "match; of the label's name for labelmap, "
                           "labeldrop and labelkeep"),
    CONFIG_ROW_INT(struct relabel_rule, modulus, .min = 0, .max = INT64_MAX,
                   .help = "Divisor of hashmod"),
    CONFIG_ROW_STR(struct relabel_rule, target_label, .flags = CONFIG_RAW,
                   .help = "Label that the rule sets; may hold $1 or ${name} "
                           "for replace"),
    CONFIG_ROW_STR(struct relabel_rule, replacement, .flags = CONFIG_RAW,
                   .fallback = DEFAULT_REPLACEMENT,
                   .help = "New value, or new name for labelmap; $1 and "
                           "${name} stand for groups of the regex, $$ for a "
                           "dollar sign"),
    CONFIG_ROW_ENUM(struct relabel_rule, action, .flags = CONFIG_FOLD,
                    .fallback = "replace", .choices = actions,
                    .help = "What is done"),
};

const struct config_block_def relabel_block =
    CONFIG_BLOCK_DEF("relabel_config", struct relabel_rule, rows, check_rule,
                     "A rule that rewrites a label set or drops it");
