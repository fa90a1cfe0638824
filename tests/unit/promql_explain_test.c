/* SPDX-License-Identifier: Apache-2.0 */
/* promql: the plan of a query, node by node. */
#include "unit/promql_kit.h"
#include "unit/tap.h"

struct want {
    unsigned depth;
    const char *text;
    size_t steps, series, rows;
};

static const struct {
    int line;
    const char *query;
    sonde_msec end, step;
    struct want want[6];
} cases[] = {
    { __LINE__,
      "sum by (a) (rate(c[1m]))",
      300000,
      60000,
      { { 0, "sum by (a) (rate(c[1m]))", 6, 2, 2 },
        { 1, "rate(c[1m])", 6, 3, 3 },
        { 2, "c[1m]", 6, 3, 3 } } },
    { __LINE__,
      "(c) / on (a) group_left sum by (a) (c)",
      0,
      0,
      { { 0, "(c) / on (a) group_left () sum by (a) (c)", 1, 3, 3 },
        { 1, "c", 1, 3, 3 },
        { 1, "sum by (a) (c)", 1, 2, 2 },
        { 2, "c", 1, 3, 3 } } },
    /* Once for all steps. */
    { __LINE__, "c @ 60", 300000, 60000, { { 0, "c @ 60.000", 1, 3, 3 } } },
    /* What is there without being evaluated. */
    { __LINE__, "1", 0, 0, { { 0, "1", 1, 1, 1 } } },
};

static bool same(const struct promql_plan_node *p, const struct want *w)
{
    if (p->depth == w->depth && p->steps == w->steps &&
        p->series == w->series && p->rows == w->rows &&
        sonde_str_eq(p->text, sonde_cstr(w->text)))
        return true;
    tap_note("got %u \"%.*s\" %zu steps, %zu series, %zu rows; want \"%s\"",
             p->depth, SONDE_ARG(p->text), p->steps, p->series, p->rows,
             w->text);
    return false;
}

static struct promql_result *run(struct promql_kit *k, const char *text,
                                 sonde_msec end, sonde_msec step, bool explain)
{
    struct promql_query q = k->query;
    struct promql_result *r = NULL;
    struct promql_expr *e;
    struct sonde_err err;
    struct arena a;

    arena_init(&a);
    q.text = sonde_cstr(text);
    q.start = step ? 0 : 300000;
    q.end = step ? end : 300000;
    q.step = step;
    q.explain = explain;
    CU_ASSERT_EQUAL_FATAL(promql_parse(&a, q.text, NULL, &e, &err), SONDE_OK);
    CU_ASSERT_EQUAL_FATAL(promql_run(&q, e, &r, &err), SONDE_OK);
    promql_fini(e);
    arena_fini(&a); /* the plan's texts are the result's                   */
    return r;
}

static void load(struct promql_kit *k)
{
    kit_init(k);
    kit_load(k,
             "c{a=\"1\",b=\"1\"} 0+10x40\nc{a=\"1\",b=\"2\"} 0+20x40\n"
             "c{a=\"2\",b=\"1\"} 0+30x40",
             15000);
}

static void test_plans(void)
{
    struct promql_kit k;

    load(&k);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct promql_result *r =
            run(&k, cases[i].query, cases[i].end, cases[i].step, true);
        size_t n = 0;

        for (; n < r->plan_count && cases[i].want[n].text; n++)
            ROW_ASSERT(&cases[i], same(&r->plan[n], &cases[i].want[n]));
        ROW_ASSERT(&cases[i], r->plan_count == n && !cases[i].want[n].text);
        promql_result_free(r);
    }
    kit_fini(&k);
}

/* What a node cost includes what is below it, and nothing is counted twice. */
static void test_costs(void)
{
    struct promql_result *r;
    struct promql_kit k;

    load(&k);
    r = run(&k, "sum(rate(c[1m])) + on () count(c)", 300000, 15000, true);
    CU_ASSERT_EQUAL_FATAL(r->plan_count, 6);
    CU_ASSERT_EQUAL(r->plan[0].samples, r->stats.samples_read);
    CU_ASSERT_EQUAL(r->plan[0].samples,
                    r->plan[1].samples + r->plan[4].samples);
    CU_ASSERT_EQUAL(r->plan[1].samples, r->plan[3].samples);
    CU_ASSERT(r->plan[3].samples > 0);
    CU_ASSERT(r->plan[0].wall_ns >= r->plan[1].wall_ns);
    CU_ASSERT(r->plan[2].wall_ns >= r->plan[3].wall_ns);
    promql_result_free(r);
    kit_fini(&k);
}

static void test_not_asked(void)
{
    struct promql_result *r;
    struct promql_kit k;

    load(&k);
    r = run(&k, "sum(rate(c[1m]))", 300000, 15000, false);
    CU_ASSERT_PTR_NULL(r->plan);
    CU_ASSERT_EQUAL(r->plan_count, 0);
    promql_result_free(r);
    kit_fini(&k);
}

static const struct tap_test tests[] = {
    { "plans", test_plans },
    { "costs", test_costs },
    { "nobody asked", test_not_asked },
};

int main(void)
{
    return TAP_RUN("promql explain", tests);
}
