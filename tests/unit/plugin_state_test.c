/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that plugins keep: whose they are, limits, sweeping. */
#include <stdlib.h>
#include <sys/stat.h>
#include <utime.h>

#include "plugin/plugin_int.h"
#include "unit/tap.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/str.h"

static char *folder(void)
{
    static char path[600];

    (void)snprintf(path, sizeof(path), "%s/state", tap_tmpdir());
    return path;
}

static void target_init(struct sonde_target *t, const char *job,
                        const char *address)
{
    const struct plugin_target from = { .job = sonde_cstr(job),
                                        .address = sonde_cstr(address) };

    *t = (struct sonde_target){ .plugin = "p", .state_dir = folder() };
    buf_init(&t->state);
    plugin_state_id(&from, t->state_id);
}

static bool loads(const struct sonde_target *t, const char *name,
                  const char *want)
{
    struct sonde_err err = { 0 };
    sonde_str got = { 0 };
    sonde_code rc = plugin_state_load(t, name, &got, &err);

    return want ? rc == SONDE_OK && str_eq_cstr(got, want)
                : rc == SONDE_ENOTFOUND;
}

static sonde_code save(const struct sonde_target *t, const char *name,
                       const char *text)
{
    return plugin_state_save(t, name, text, strlen(text), NULL);
}

static void test_whose(void)
{
    struct sonde_target a, b, other_job;

    target_init(&a, "j", "h:1");
    target_init(&b, "j", "h:2");
    target_init(&other_job, "k", "h:1");
    CU_ASSERT(loads(&a, "x", NULL));
    CU_ASSERT_EQUAL(save(&a, "x", "one"), SONDE_OK);
    CU_ASSERT_EQUAL(save(&b, "x", "two"), SONDE_OK);
    CU_ASSERT_EQUAL(save(&a, "y", ""), SONDE_OK);
    CU_ASSERT(loads(&a, "x", "one"));
    CU_ASSERT(loads(&b, "x", "two"));
    CU_ASSERT(loads(&a, "y", ""));
    CU_ASSERT(loads(&b, "y", NULL));
    CU_ASSERT(loads(&other_job, "x", NULL));
    CU_ASSERT_EQUAL(save(&a, "x", "longer than before"), SONDE_OK);
    CU_ASSERT(loads(&a, "x", "longer than before"));
    CU_ASSERT_EQUAL(save(&a, "x", "short"), SONDE_OK);
    CU_ASSERT(loads(&a, "x", "short"));
    buf_fini(&a.state);
    buf_fini(&b.state);
    buf_fini(&other_job.state);
}

/* "ab" and "c" are not "a" and "bc". */
static void test_ids(void)
{
    struct config_pair pair = { .key = SONDE_STR("db"),
                                .values = { &SONDE_STR("x"), 1 } };
    const struct config_map map = { .items = &pair, .count = 1 };
    const struct plugin_target targets[] = {
        { .job = SONDE_STR("ab"), .address = SONDE_STR("c") },
        { .job = SONDE_STR("a"), .address = SONDE_STR("bc") },
        { .job = SONDE_STR("a"),
          .address = SONDE_STR("bc"),
          .metrics_path = SONDE_STR("/x") },
        { .job = SONDE_STR("a"),
          .address = SONDE_STR("bc"),
          .overrides = &map },
    };
    char ids[4][PLUGIN_STATE_ID];

    for (size_t i = 0; i < 4; i++) {
        plugin_state_id(&targets[i], ids[i]);
        CU_ASSERT_EQUAL(strlen(ids[i]), 32);
        for (size_t k = 0; k < i; k++)
            CU_ASSERT_STRING_NOT_EQUAL(ids[i], ids[k]);
    }
}

static void test_refusals(void)
{
    static const struct {
        int line;
        const char *name;
        sonde_code code;
    } rows[] = {
        { __LINE__, "", SONDE_EINVAL },
        { __LINE__, "../x", SONDE_EINVAL },
        { __LINE__, "X", SONDE_EINVAL },
        { __LINE__,
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          SONDE_EINVAL },
        { __LINE__, "a_1", SONDE_OK },
    };
    struct sonde_err err = { 0 };
    struct sonde_target t;
    char *much = calloc(1, PLUGIN_STATE_MAX + 1);
    sonde_str out;

    target_init(&t, "j", "r:1");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ROW_ASSERT(&rows[i], save(&t, rows[i].name, "x") == rows[i].code);
    CU_ASSERT_EQUAL(plugin_state_save(&t, "much", much, PLUGIN_STATE_MAX, &err),
                    SONDE_OK);
    CU_ASSERT_EQUAL(
        plugin_state_save(&t, "much", much, PLUGIN_STATE_MAX + 1, &err),
        SONDE_ELIMIT);
    CU_ASSERT_EQUAL(plugin_state_load(&t, "much", &out, &err), SONDE_OK);
    CU_ASSERT_EQUAL(out.len, PLUGIN_STATE_MAX);
    t.state_dir = NULL;
    CU_ASSERT_EQUAL(save(&t, "x", "x"), SONDE_EUNSUPPORTED);
    CU_ASSERT_EQUAL(plugin_state_load(&t, "x", &out, &err), SONDE_EUNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no data directory"));
    buf_fini(&t.state);
    free(much);
}

static void test_sweep(void)
{
    const struct utimbuf long_ago = { 1000000000, 1000000000 };
    struct sonde_target t;
    char path[1000];

    target_init(&t, "j", "s:1");
    CU_ASSERT_EQUAL(save(&t, "old", "x"), SONDE_OK);
    CU_ASSERT_EQUAL(save(&t, "new", "x"), SONDE_OK);
    (void)snprintf(path, sizeof(path), "%s/p/%s.old", folder(), t.state_id);
    CU_ASSERT_EQUAL(utime(path, &long_ago), 0);
    plugin_state_sweep(folder());
    CU_ASSERT(loads(&t, "old", NULL));
    CU_ASSERT(loads(&t, "new", "x"));
    plugin_state_sweep("/no/such/folder");
    buf_fini(&t.state);
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "whose they are", test_whose },
        { "what makes a target itself", test_ids },
        { "refusals", test_refusals },
        { "sweeping", test_sweep },
    };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    return TAP_RUN("plugin state", tests);
}
