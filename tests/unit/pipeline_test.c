/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline: relabeling rules, their configuration, merging, limits. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/pipeline.h"
#include "unit/tap.h"
#include "util/casemap.h"
#include "util/md5.h"
#include "util/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- small language: "a=1,b=2" ------------------------------------------- */

static void fill(struct labels_builder *lb, const char *text)
{
    sonde_str rest = sonde_cstr(text), one;

    while (*text && str_split(&rest, ',', &one)) {
        size_t at = str_index(one, '=');

        labels_builder_set(lb, str_sub(one, 0, at),
                           str_sub(one, at + 1, one.len));
    }
}

static bool holds(struct labels_builder *lb, const char *want)
{
    struct labels l = labels_builder_view(lb);
    struct buf b;
    bool same;

    buf_init(&b);
    for (size_t i = 0; i < l.count; i++)
        buf_printf(&b, "%s%.*s=%.*s", i ? "," : "", SONDE_ARG(l.items[i].name),
                   SONDE_ARG(l.items[i].value));
    same = str_eq_cstr(buf_str(&b), want);
    if (!same)
        tap_note("got %.*s", SONDE_ARG(buf_str(&b)));
    buf_fini(&b);
    return same;
}

/* Rules as YAML lists, read by the table. */
static sonde_code read_rules(struct arena *a, const char *yaml,
                             struct config_blocks *out, struct sonde_err *err)
{
    struct config_ctx ctx = { .arena = a };
    struct yaml_node *root;
    struct relabel_rule *rules;
    sonde_code rc = yaml_parse(a, "t.yml", sonde_cstr(yaml), &root, err);

    *out = (struct config_blocks){ 0 };
    if (rc != SONDE_OK)
        return rc;
    rules = arena_array(a, struct relabel_rule, root->count);
    out->items = rules;
    for (size_t i = 0; rc == SONDE_OK && i < root->count; i++) {
        rc = config_read(&ctx, &relabel_block, root->items[i], &rules[i], err);
        out->count++;
    }
    return rc;
}

#define DROPPED NULL

static const struct {
    int line;
    const char *rules, *before, *after;
} chains[] = {
    /* replace */
    { __LINE__, "[{source_labels: [a], target_label: b}]", "a=1", "a=1,b=1" },
    { __LINE__, "[{source_labels: [a, c], target_label: b}]", "a=1,c=2",
      "a=1,b=1;2,c=2" },
    { __LINE__, "[{source_labels: [a, x], separator: '', target_label: b}]",
      "a=1", "a=1,b=1" },
    { __LINE__,
      "[{source_labels: [a], regex: 'f(.*)', replacement: '${1}x', "
      "target_label: a}]",
      "a=foo", "a=oox" },
    { __LINE__, "[{source_labels: [a], regex: f, target_label: b}]", "a=foo",
      "a=foo" },
    { __LINE__,
      "[{source_labels: [a], regex: (.*), replacement: $1x, target_label: b}]",
      "a=foo,b=old", "a=foo" },
    { __LINE__, "[{target_label: b, replacement: fixed}]", "a=1",
      "a=1,b=fixed" },
    { __LINE__, "[{target_label: b, replacement: ''}]", "a=1,b=2", "a=1" },
    { __LINE__, "[{source_labels: [x], target_label: b}]", "a=1,b=2", "a=1" },
    { __LINE__,
      "[{source_labels: [a], regex: '(.*)=(.*)', target_label: 'l_$1', "
      "replacement: $2}]",
      "a=x=y", "a=x=y,l_x=y" },
    { __LINE__,
      "[{source_labels: [a], regex: '(.*)', target_label: '$2', "
      "replacement: x}]",
      "a=1", "a=1" },
    { __LINE__,
      "[{source_labels: [a], regex: '(?P<n>.)(.*)', target_label: b, "
      "replacement: '$n-$2-$$'}]",
      "a=xyz", "a=xyz,b=x-yz-$" },
    { __LINE__,
      "[{source_labels: [a], target_label: b}, {source_labels: [b], "
      "target_label: c}]",
      "a=1", "a=1,b=1,c=1" },
    { __LINE__,
      "[{source_labels: [a], regex: '', target_label: b, "
      "replacement: none}]",
      "x=1", "b=none,x=1" },
    { __LINE__,
      "[{source_labels: [a], regex: , target_label: b, "
      "replacement: none}]",
      "a=1", "a=1" },
    /* keep, drop */
    { __LINE__, "[{source_labels: [a], regex: 1|2, action: keep}]", "a=2",
      "a=2" },
    { __LINE__, "[{source_labels: [a], regex: 1|2, action: keep}]", "a=22",
      DROPPED },
    { __LINE__, "[{source_labels: [a], regex: 1, action: Drop}]", "a=1",
      DROPPED },
    { __LINE__, "[{source_labels: [a], regex: 1, action: drop}]", "a=2",
      "a=2" },
    { __LINE__, "[{source_labels: [x], regex: .+, action: keep}]", "a=1",
      DROPPED },
    { __LINE__,
      "[{source_labels: [a], regex: 1, action: drop}, {target_label: b, "
      "replacement: x}]",
      "a=1", DROPPED },
    { __LINE__, "[{source_labels: [a], target_label: b, action: keepequal}]",
      "a=1,b=1", "a=1,b=1" },
    { __LINE__, "[{source_labels: [a], target_label: b, action: keepequal}]",
      "a=1,b=2", DROPPED },
    { __LINE__, "[{source_labels: [a], target_label: b, action: KeepEqual}]",
      "c=1", "c=1" },
    { __LINE__, "[{source_labels: [a], target_label: b, action: dropequal}]",
      "a=1,b=1", DROPPED },
    { __LINE__, "[{source_labels: [a], target_label: b, action: dropequal}]",
      "a=1,b=2", "a=1,b=2" },
    /* hashmod: the same numbers as Prometheus gives */
    { __LINE__,
      "[{source_labels: [c], target_label: d, modulus: 1000, action: hashmod}]",
      "a=foo,b=bar,c=baz", "a=foo,b=bar,c=baz,d=976" },
    { __LINE__,
      "[{source_labels: [a], target_label: d, modulus: 1000, action: hashmod}]",
      "a=foo\nbar", "a=foo\nbar,d=734" },
    /* labelmap, labeldrop, labelkeep */
    { __LINE__, "[{regex: 'meta_(.+)', action: labelmap}]",
      "meta_a=1,meta_b=2,c=3", "a=1,b=2,c=3,meta_a=1,meta_b=2" },
    { __LINE__,
      "[{regex: 'meta_(ng.+)', replacement: 'x_$1', "
      "action: labelmap}]",
      "meta_ng_a=1,meta_b=2", "meta_b=2,meta_ng_a=1,x_ng_a=1" },
    { __LINE__, "[{regex: '(.*)_x', action: labelmap}]", "a_x=1,a_x_x=2",
      "a=1,a_x=2,a_x_x=2" },
    { __LINE__, "[{regex: 'a.*', action: labeldrop}]", "a=1,ab=2,b=3", "b=3" },
    { __LINE__, "[{regex: 'a|__name__', action: labelkeep}]",
      "__name__=n,a=1,ab=2", "__name__=n,a=1" },
    { __LINE__, "[{regex: 'x', action: labelkeep}]", "a=1", "" },
    /* case */
    { __LINE__, "[{source_labels: [a], target_label: b, action: uppercase}]",
      "a=aB\xc3\xa4\xd0\xb6", "a=aB\xc3\xa4\xd0\xb6,b=AB\xc3\x84\xd0\x96" },
    { __LINE__, "[{source_labels: [a], target_label: a, action: lowercase}]",
      "a=AbC-1", "a=abc-1" },
    { __LINE__, "[{source_labels: [x], target_label: a, action: lowercase}]",
      "a=1,b=2", "b=2" },
};

static void test_relabel(void)
{
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < COUNT(chains); i++) {
        struct config_blocks rules;
        struct labels_builder lb;
        struct sonde_err err = { 0 };
        bool kept;

        arena_reset(&a);
        if (read_rules(&a, chains[i].rules, &rules, &err) != SONDE_OK)
            tap_note("%s", err.text);
        ROW_ASSERT(&chains[i], err.code == SONDE_OK);
        labels_builder_init(&lb, &a);
        fill(&lb, chains[i].before);
        kept = relabel(rules.items, rules.count, &lb);
        ROW_ASSERT(&chains[i], kept == (chains[i].after != DROPPED));
        ROW_ASSERT(&chains[i], !kept || holds(&lb, chains[i].after));
        relabel_rules_fini(rules.items, rules.count);
        relabel_rules_fini(rules.items, rules.count); /* does no harm */
    }
    arena_fini(&a);
}

static void test_rule_errors(void)
{
    static const struct {
        int line;
        const char *rule, *error;
    } rows[] = {
        { __LINE__, "{action: replace}",
          "t.yml:1:11: relabel configuration for replace action requires "
          "'target_label' value" },
        { __LINE__, "{source_labels: [a]}",
          "t.yml:1:2: relabel configuration for replace action requires "
          "'target_label' value" },
        { __LINE__, "{action: hashmod, target_label: a}",
          "t.yml:1:11: relabel configuration for hashmod requires non-zero "
          "modulus" },
        { __LINE__, "{action: hashmod, target_label: $1, modulus: 8}",
          "t.yml:1:34: \"$1\" is invalid 'target_label' for hashmod action" },
        { __LINE__, "{action: lowercase, target_label: a, replacement: x}",
          "t.yml:1:52: 'replacement' can not be set for lowercase action" },
        { __LINE__, "{action: keepequal, target_label: a, regex: x}",
          "t.yml:1:11: keepequal action requires only 'source_labels' and "
          "'target_label', and no other fields" },
        { __LINE__, "{action: labeldrop, source_labels: [a]}",
          "t.yml:1:11: labeldrop action requires only 'regex', and no other "
          "fields" },
        { __LINE__, "{action: labelmap, replacement: ''}",
          "t.yml:1:34: \"\" is invalid 'replacement' for labelmap action" },
        { __LINE__, "{action: keep, regex: '('}",
          "t.yml:1:24: error parsing regexp: missing closing ): `(`" },
        { __LINE__, "{action: keep, source_labels: ['']}",
          "t.yml:1:32: \"\" is not a valid label name" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct config_blocks rules;
        struct sonde_err err = { 0 };
        struct arena a;
        sonde_code rc;

        arena_init(&a);
        rc = read_rules(&a, arena_printf(&a, "[%s]", rows[i].rule).ptr, &rules,
                        &err);
        if (strcmp(err.text, rows[i].error) != 0)
            tap_note("%s", err.text);
        ROW_ASSERT(&rows[i], rc == SONDE_EPARSE);
        ROW_ASSERT(&rows[i], strcmp(err.text, rows[i].error) == 0);
        relabel_rules_fini(rules.items, rules.count);
        arena_fini(&a);
    }
}

static void test_unknown_action(void)
{
    struct config_blocks rules;
    struct sonde_err err = { 0 };
    struct arena a;

    arena_init(&a);
    CU_ASSERT_NOT_EQUAL(read_rules(&a, "[{action: kep}]", &rules, &err),
                        SONDE_OK);
    CU_ASSERT_NOT_EQUAL(read_rules(&a, "[{source_label: [a]}]", &rules, &err),
                        SONDE_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "source_labels"));
    arena_fini(&a);
}

/* ---- merging ------------------------------------------------------------- */

static const struct {
    int line;
    const char *target, *scraped;
    bool honor;
    const char *after;
} merges[] = {
    { __LINE__, "instance=i,job=j", "__name__=n,a=1", false,
      "__name__=n,a=1,instance=i,job=j" },
    { __LINE__, "instance=i,job=j", "__name__=n,job=x", false,
      "__name__=n,exported_job=x,instance=i,job=j" },
    { __LINE__, "instance=i,job=j",
      "__name__=n,exported_job=y,instance=z,job=x", false,
      "__name__=n,exported_exported_job=x,exported_instance=z,exported_job=y,"
      "instance=i,job=j" },
    { __LINE__, "exported_job=t,job=j", "__name__=n,exported_job=y,job=x",
      false,
      "__name__=n,exported_exported_exported_job=y,exported_exported_job=x,"
      "exported_job=t,job=j" },
    { __LINE__, "instance=i,job=j", "__name__=n,job=x", true,
      "__name__=n,instance=i,job=x" },
    { __LINE__, "instance=i,job=j", "__name__=n,job=", true,
      "__name__=n,instance=i,job=j" },
    { __LINE__, "instance=i,job=j", "__name__=n,job=", false,
      "__name__=n,instance=i,job=j" },
};

static void test_merge(void)
{
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < COUNT(merges); i++) {
        struct labels_builder target, lb;
        struct labels t;
        struct series_rules rules = { .target = &t,
                                      .honor_labels = merges[i].honor };

        labels_builder_init(&target, &a);
        labels_builder_init(&lb, &a);
        fill(&target, merges[i].target);
        t = labels_builder_view(&target);
        fill(&lb, merges[i].scraped);
        ROW_ASSERT(&merges[i], series_labels(&rules, &lb, NULL) == SONDE_OK);
        ROW_ASSERT(&merges[i], holds(&lb, merges[i].after));
    }
    arena_fini(&a);
}

static void test_merge_relabels(void)
{
    struct labels none = { 0 };
    struct relabel_rule rules[] = {
        { .source_labels = { &SONDE_STR(LABEL_NAME), 1 },
          .action = RELABEL_DROP },
        { .action = RELABEL_LABELDROP },
    };
    struct series_rules r = { .target = &none,
                              .metric_relabel = rules,
                              .metric_relabel_count = 2 };
    struct labels_builder lb;
    struct sonde_err err;
    struct arena a;

    arena_init(&a);
    CU_ASSERT_EQUAL(regex_new(SONDE_STR("go_.*"), &rules[0].compiled, NULL),
                    SONDE_OK);
    CU_ASSERT_EQUAL(regex_new(SONDE_STR("__name__"), &rules[1].compiled, NULL),
                    SONDE_OK);
    labels_builder_init(&lb, &a);
    fill(&lb, "__name__=go_x,a=1");
    CU_ASSERT_EQUAL(series_labels(&r, &lb, &err), SONDE_ENOTFOUND);
    labels_builder_reset(&lb);
    fill(&lb, "__name__=x");
    CU_ASSERT_EQUAL(series_labels(&r, &lb, &err), SONDE_ENOTFOUND);
    labels_builder_reset(&lb);
    fill(&lb, "__name__=x,a=1");
    CU_ASSERT_EQUAL(series_labels(&r, &lb, &err), SONDE_EPARSE);
    CU_ASSERT_STRING_EQUAL(err.text, "missing metric name (__name__ label)");
    relabel_rules_fini(rules, 2);
    arena_fini(&a);
}

static const struct {
    int line;
    const char *labels;
    bool legacy;
    struct series_limits limits;
    sonde_code code;
    const char *error;
} checks[] = {
    { __LINE__, "__name__=a.b,c.d=1", false, { 0 }, SONDE_OK, "" },
    { __LINE__, "__name__=a:b,c=1", true, { 0 }, SONDE_OK, "" },
    { __LINE__,
      "__name__=a.b",
      true,
      { 0 },
      SONDE_EPARSE,
      "invalid metric name or label names: {__name__=\"a.b\"}" },
    { __LINE__,
      "__name__=a,c:d=1",
      true,
      { 0 },
      SONDE_EPARSE,
      "invalid metric name or label names: a{\"c:d\"=\"1\"}" },
    { __LINE__,
      "__name__=a,b=\xff",
      false,
      { 0 },
      SONDE_EPARSE,
      "invalid metric name or label names: a{b=\"\\xff\"}" },
    { __LINE__,
      "__name__=a,\xff=1",
      false,
      { 0 },
      SONDE_EPARSE,
      "invalid metric name or label names: a{\"\\xff\"=\"1\"}" },
    { __LINE__, "__name__=a,b=1", false, { .labels = 2 }, SONDE_OK, "" },
    { __LINE__,
      "__name__=a,b=1,c=2",
      false,
      { .labels = 2 },
      SONDE_ELIMIT,
      "label_limit exceeded (metric: a, number of labels: 3, limit: 2)" },
    { __LINE__,
      "__name__=a,b12345678=1",
      false,
      { .name_bytes = 9 },
      SONDE_OK,
      "" },
    { __LINE__,
      "__name__=a,b12345678=1",
      false,
      { .name_bytes = 8 },
      SONDE_ELIMIT,
      "label_name_length_limit exceeded (metric: a, label name: b12345678, "
      "length: 9, limit: 8)" },
    { __LINE__,
      "__name__=a,b=12\n4",
      false,
      { .value_bytes = 4 },
      SONDE_OK,
      "" },
    { __LINE__,
      "__name__=a,b=12\n45",
      false,
      { .value_bytes = 4 },
      SONDE_ELIMIT,
      "label_value_length_limit exceeded (metric: a, label name: b, value: "
      "\"12\\n45\", length: 5, limit: 4)" },
    { __LINE__,
      "__name__=a,b="
      "\xc3\xa4"
      "bcdefghij0123456789012345678901234567890123456789",
      false,
      { .value_bytes = 4 },
      SONDE_ELIMIT,
      "label_value_length_limit exceeded (metric: a, label name: b, value: "
      "\"\xc3\xa4"
      "bcdefghij0123456789012345678901234567890123456789\", length: 51, "
      "limit: 4)" },
};

static void test_checks(void)
{
    struct labels none = { 0 };
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < COUNT(checks); i++) {
        struct series_rules r = { .target = &none,
                                  .legacy_names = checks[i].legacy,
                                  .limits = checks[i].limits };
        struct sonde_err err = { 0 };
        struct labels_builder lb;
        sonde_code rc;

        labels_builder_init(&lb, &a);
        fill(&lb, checks[i].labels);
        rc = series_labels(&r, &lb, &err);
        if (strcmp(err.text, checks[i].error) != 0)
            tap_note("%s", err.text);
        ROW_ASSERT(&checks[i], rc == checks[i].code);
        ROW_ASSERT(&checks[i], strcmp(err.text, checks[i].error) == 0);
    }
    arena_fini(&a);
}

/* A line can not make the agent work for ever over one label. */
static void test_clash_bound(void)
{
    struct label t = { SONDE_STR("a"), SONDE_STR("t") };
    struct labels target = { &t, 1 };
    struct series_rules r = { .target = &target };
    struct labels_builder lb;
    struct sonde_err err;
    struct arena a;
    sonde_str name = SONDE_STR("a");

    arena_init(&a);
    labels_builder_init(&lb, &a);
    labels_builder_set(&lb, SONDE_STR(LABEL_NAME), SONDE_STR("n"));
    for (int i = 0; i <= 1000; i++) {
        labels_builder_set(&lb, name, SONDE_STR("x"));
        name = arena_printf(&a, "exported_%.*s", SONDE_ARG(name));
    }
    CU_ASSERT_EQUAL(series_labels(&r, &lb, &err), SONDE_ELIMIT);
    arena_fini(&a);
}

/* ---- helpers ------------------------------------------------------------- */

/* The test suite of RFC 1321, and lengths around the padding. */
static void test_md5(void)
{
    static const struct {
        int line;
        const char *s, *want;
    } rows[] = {
        { __LINE__, "", "d41d8cd98f00b204e9800998ecf8427e" },
        { __LINE__, "abc", "900150983cd24fb0d6963f7d28e17f72" },
        { __LINE__, "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
        { __LINE__,
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
          "d174ab98d277d9f5a5611c2c9f419d9f" },
        { __LINE__,
          "1234567890123456789012345678901234567890123456789012345678901234567"
          "8901234567890",
          "57edf4a22be3c955ac49da2e2107b67a" },
        { __LINE__, "1234567890123456789012345678901234567890123456789012345",
          "c9ccf168914a1bcfc3229f1948e67da0" },
        { __LINE__, "12345678901234567890123456789012345678901234567890123456",
          "49f193adce178490e34d1b3a4ec0064c" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t sum[MD5_BYTES];
        char hex[2 * MD5_BYTES + 1];

        md5(sum, sonde_cstr(rows[i].s));
        for (size_t j = 0; j < MD5_BYTES; j++)
            (void)snprintf(hex + 2 * j, 3, "%02x", sum[j]);
        ROW_ASSERT(&rows[i], strcmp(hex, rows[i].want) == 0);
    }
}

static void test_case(void)
{
    struct buf b;

    buf_init(&b);
    buf_upper(&b, SONDE_STR("aZ-\xce\xb1"));
    buf_lower(&b, SONDE_STR("|AZ@[\xce\x91\xff"));
    CU_ASSERT_TRUE(
        str_eq_cstr(buf_str(&b), "AZ-\xce\x91|az@[\xce\xb1\xef\xbf\xbd"));
    buf_fini(&b);
}

static const struct tap_test tests[] = {
    { "rules rewrite and drop", test_relabel },
    { "rules are checked", test_rule_errors },
    { "unknown actions and keys", test_unknown_action },
    { "target labels join", test_merge },
    { "metric relabeling", test_merge_relabels },
    { "names and limits", test_checks },
    { "clashes are bounded", test_clash_bound },
    { "MD5", test_md5 },
    { "case mapping", test_case },
};

int main(void)
{
    return TAP_RUN("pipeline", tests);
}
