/* SPDX-License-Identifier: Apache-2.0 */
/* expose: pages out of several texts; ranges of addresses; `expose` blocks. */
#include <stdlib.h>
#include <string.h>

#include "expose/compose.h"
#include "expose/place.h"
#include "scrape/scrape.h"
#include "unit/tap.h"
#include "util/str.h"

/* ---- compose ------------------------------------------------------------- */

struct text {
    const char *text, *target;
    enum expo_format format;
};

static const struct config_map *labels_of(struct arena *a, const char *key,
                                          const char *value)
{
    struct config_map *m = arena_new(a, struct config_map);
    sonde_str *v = arena_new(a, sonde_str);

    *v = sonde_cstr(value);
    m->items = arena_new(a, struct config_pair);
    m->items[0] =
        (struct config_pair){ .key = sonde_cstr(key), .values = { v, 1 } };
    m->count = 1;
    return m;
}

static void composed(const struct compose_rules *rules,
                     const struct text *texts, const char *want, int line)
{
    struct compose *c = compose_new(rules);
    struct sonde_err err = { 0 };
    struct buf out;

    buf_init(&out);
    for (; texts->text; texts++)
        if (compose_text(c, sonde_cstr(texts->text), texts->format,
                         sonde_cstr(texts->target), &err) != SONDE_OK)
            buf_printf(&out, "error: %s\n", err.text);
    compose_write(c, &out);
    buf_char(&out, '\0');
    if (strcmp(out.data, want) != 0)
        tap_note("line %d, got:\n%s", line, out.data);
    CU_ASSERT_STRING_EQUAL(out.data, want);
    buf_fini(&out);
    compose_free(c);
}
#define COMPOSED(rules, want, ...)                                             \
    composed((rules),                                                          \
             (const struct text[]){ __VA_ARGS__, { NULL, NULL, EXPO_TEXT } },  \
             (want), __LINE__)

static const struct compose_rules plain_rules = { .target_label = { "addr",
                                                                    4 } };

static void test_families_once(void)
{
    COMPOSED(&plain_rules,
             "# HELP a An a.\n# TYPE a gauge\na{addr=\"x\"} 1\na{addr=\"y\"} "
             "3\n# HELP b_total A b.\n# TYPE b_total counter\n"
             "b_total{addr=\"x\",l=\"1\"} 2\n",
             { "# HELP a An a.\n# TYPE a gauge\na 1\n# HELP b_total A b.\n"
               "# TYPE b_total counter\nb_total{l=\"1\"} 2\n",
               "x", EXPO_TEXT },
             { "# HELP a An a.\n# TYPE a gauge\na 3\n", "y", EXPO_TEXT });
}

static void test_histograms_and_strays(void)
{
    COMPOSED(&plain_rules,
             "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"
             "h_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
             "# TYPE stray untyped\nstray 5\n"
             "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n"
             "# TYPE s_total untyped\ns_total 9\n",
             { "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"
               "h_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\nstray 5\n"
               "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n"
               "s_total 9\n",
               "", EXPO_TEXT });
}

static void test_openmetrics(void)
{
    COMPOSED(&plain_rules,
             "# HELP c_total C.\n# TYPE c_total counter\nc_total 1\n"
             "# TYPE c_created untyped\nc_created 5\n"
             "# HELP i_info I.\n# TYPE i_info gauge\ni_info{v=\"1\"} 1\n"
             "# HELP g_bytes G.\n# TYPE g_bytes gauge\ng_bytes 2 1500\n",
             { "# HELP c C.\n# TYPE c counter\nc_total 1 # {t=\"x\"} 1\n"
               "c_created 5\n# TYPE i info\n# HELP i I.\ni_info{v=\"1\"} 1\n"
               "# TYPE g_bytes gauge\n# UNIT g_bytes bytes\n# HELP g_bytes "
               "G.\ng_bytes 2 1.5\n# EOF\n",
               "", EXPO_OPENMETRICS });
}

static void test_same_series_once(void)
{
    COMPOSED(&plain_rules, "# TYPE a gauge\na{x=\"1\",y=\"2\"} 1\n",
             { "# TYPE a gauge\na{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 7\n",
               "", EXPO_TEXT },
             { "# TYPE a gauge\na{x=\"1\",y=\"2\"} 3\n", "", EXPO_TEXT });
}

static void test_labels_and_prefix(void)
{
    struct compose_rules rules = { .target_label = { "addr", 4 },
                                   .prefix = { "door_", 5 },
                                   .prefix_instead = { "porta_", 6 } };
    struct arena a;

    arena_init(&a);
    rules.labels = labels_of(&a, "env", "a\"b");
    COMPOSED(&rules,
             "# TYPE porta_up gauge\nporta_up{env=\"a\\\"b\"} 1\n"
             "# TYPE other gauge\n"
             "other{env=\"a\\\"b\",exported_env=\"mine\"} 1\n"
             "# TYPE porta_h histogram\nporta_h_sum{env=\"a\\\"b\"} 1\n",
             { "# TYPE door_up gauge\ndoor_up 1\n# TYPE other gauge\n"
               "other{env=\"mine\"} 1\n# TYPE door_h histogram\ndoor_h_sum "
               "1\n",
               "", EXPO_TEXT });
    COMPOSED(&rules,
             "# TYPE x gauge\n"
             "x{addr=\"t\",env=\"a\\\"b\",exported_addr=\"own\"} 1\n",
             { "# TYPE x gauge\nx{addr=\"own\"} 1\n", "t", EXPO_TEXT });
    arena_fini(&a);
}

static void test_garbage(void)
{
    COMPOSED(&plain_rules,
             "error: line 2: expected a closing '}' or '\"' in \"b {\"\n"
             "# TYPE a gauge\na 1\n",
             { "a 1\nb {\n", "", EXPO_TEXT },
             { "# TYPE a gauge\na 2\n", "", EXPO_TEXT });
}

/* ---- target= ------------------------------------------------------------- */

static void test_places(void)
{
    static const struct {
        int line;
        const char *text, *scheme, *host, *port, *name;
    } rows[] = {
        { __LINE__, "h", "", "h", "", "" },
        { __LINE__, "h:1", "", "h", "1", "" },
        { __LINE__, "redis://h-1.x_y:6379/2", "redis://", "h-1.x_y", "6379",
          "/2" },
        { __LINE__, "[::1]:5", "", "::1", "5", "" },
        { __LINE__, "[::ffff:1.2.3.4]", "", "::ffff:1.2.3.4", "", "" },
        { __LINE__, "x://[fe80::1]/", "x://", "fe80::1", "", "/" },
        { __LINE__, "", NULL, NULL, NULL, NULL },
        { __LINE__, ":1", NULL, NULL, NULL, NULL },
        { __LINE__, "h:", NULL, NULL, NULL, NULL },
        { __LINE__, "h:0", NULL, NULL, NULL, NULL },
        { __LINE__, "h:65536", NULL, NULL, NULL, NULL },
        { __LINE__, "h:1:2", NULL, NULL, NULL, NULL },
        { __LINE__, "::1", NULL, NULL, NULL, NULL },
        { __LINE__, "[h]:1", NULL, NULL, NULL, NULL },
        { __LINE__, "[::1", NULL, NULL, NULL, NULL },
        { __LINE__, "[::1%eth0]:1", NULL, NULL, NULL, NULL },
        { __LINE__, "u@h:1", NULL, NULL, NULL, NULL },
        { __LINE__, "h,i:1", NULL, NULL, NULL, NULL },
        { __LINE__, "h:1/a/b", NULL, NULL, NULL, NULL },
        { __LINE__, "h:1/a?b=c", NULL, NULL, NULL, NULL },
        { __LINE__, "h:1/%61", NULL, NULL, NULL, NULL },
        { __LINE__, "h:1#x", NULL, NULL, NULL, NULL },
        { __LINE__, "host=h port=1", NULL, NULL, NULL, NULL },
        { __LINE__, "h :1", NULL, NULL, NULL, NULL },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_str text = sonde_cstr(rows[i].text);
        struct arena a;
        struct place p;
        bool ok;

        arena_init(&a);
        ok = place_split(text, &p);
        ROW_ASSERT(&rows[i], ok == (rows[i].host != NULL));
        if (ok && rows[i].host) {
            ROW_ASSERT(&rows[i], str_eq_cstr(p.scheme, rows[i].scheme));
            ROW_ASSERT(&rows[i], str_eq_cstr(p.host, rows[i].host));
            ROW_ASSERT(&rows[i], str_eq_cstr(p.port, rows[i].port));
            ROW_ASSERT(&rows[i], str_eq_cstr(p.name, rows[i].name));
            ROW_ASSERT(&rows[i], sonde_str_eq(place_join(&a, &p), text));
        }
        arena_fini(&a);
    }
}

static void test_public(void)
{
    static const struct {
        int line;
        const char *text, *want;
        bool plain;
    } rows[] = {
        { __LINE__, "h:1", "h:1", true },
        { __LINE__, "u:p@h:1/2", "h:1/2", true },
        { __LINE__, "redis://u:p@h:1/2", "redis://h:1/2", true },
        { __LINE__, "redis://u:p@x@h:1", "redis://h:1", true },
        { __LINE__, "redis://u:a?b@h:1", "redis://u:a", false },
        { __LINE__, "redis://u:a/b@h:1", "redis://u:a/b@h:1", false },
        { __LINE__, "redis://u:a#b@h:1", "redis://u:a#b@h:1", false },
        { __LINE__, "h:1/2?password=p", "h:1/2", false },
        { __LINE__, "", "", true },
        { __LINE__, "h\n", "h\n", false },
        { __LINE__, "h\xc3\xa4", "h\xc3\xa4", false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sonde_str text = sonde_cstr(rows[i].text);
        struct arena a;

        arena_init(&a);
        ROW_ASSERT(&rows[i], str_eq_cstr(place_public(&a, text), rows[i].want));
        ROW_ASSERT(&rows[i], place_is_plain(text) == rows[i].plain);
        arena_fini(&a);
    }
}

/* ---- ranges of addresses ------------------------------------------------- */

static void test_ranges(void)
{
    static const struct {
        int line;
        const char *range, *ip;
        bool has;
    } rows[] = {
        { __LINE__, "10.0.0.0/8", "10.255.0.1", true },
        { __LINE__, "10.0.0.0/8", "11.0.0.1", false },
        { __LINE__, "10.0.0.0/8", "::ffff:10.0.0.1", true },
        { __LINE__, "192.168.1.128/25", "192.168.1.127", false },
        { __LINE__, "192.168.1.128/25", "192.168.1.200", true },
        { __LINE__, "192.168.1.7", "192.168.1.7", true },
        { __LINE__, "192.168.1.7", "192.168.1.6", false },
        { __LINE__, "0.0.0.0/0", "1.2.3.4", true },
        { __LINE__, "0.0.0.0/0", "2001:db8::1", false },
        { __LINE__, "::/0", "1.2.3.4", true },
        { __LINE__, "fd00::/8", "fdff::1", true },
        { __LINE__, "fd00::/8", "fe00::1", false },
        { __LINE__, "[::1]", "::1", true },
        { __LINE__, "2001:db8::/33", "2001:db8:8000::", false },
        { __LINE__, "2001:db8::/33", "2001:db8:7fff::", true },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct net_range range;
        struct net_ip ip;

        ROW_ASSERT(&rows[i],
                   net_range_parse(sonde_cstr(rows[i].range), &range));
        ROW_ASSERT(&rows[i], net_ip_parse(sonde_cstr(rows[i].ip), &ip));
        ROW_ASSERT(&rows[i], net_range_has(&range, &ip) == rows[i].has);
    }
}

static void test_no_ranges(void)
{
    static const char *const texts[] = {
        "",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0/8",
        "10.0.0.0.0",
        "host",
        "fd00::/129",
        "[::1",
        "1.2.3.4:80",
        "0x7f.0.0.1",
        "10.0.0.0/8/8",
        "2130706433",
        " 1.2.3.4",
        "::ffff:1.2.3.4.5",
    };
    struct net_range range;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CU_ASSERT_FALSE(net_range_parse(sonde_cstr(texts[i]), &range));
        if (net_range_parse(sonde_cstr(texts[i]), &range))
            tap_note("taken: %s", texts[i]);
    }
}

static void test_link_local(void)
{
    static const struct {
        int line;
        const char *text;
        bool ip, range;
    } rows[] = {
        { __LINE__, "169.254.169.254", true, true },
        { __LINE__, "169.253.169.254", false, false },
        { __LINE__, "fe80::1", true, true },
        { __LINE__, "fec0::1", false, false },
        { __LINE__, "::ffff:169.254.1.1", true, true },
        { __LINE__, "169.254.0.0/16", true, true },
        { __LINE__, "169.254.0.0/15", true, false },
        { __LINE__, "0.0.0.0/0", false, false },
        { __LINE__, "::/0", false, false },
        { __LINE__, "fe80::/10", true, true },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct net_range range;

        ROW_ASSERT(&rows[i], net_range_parse(sonde_cstr(rows[i].text), &range));
        ROW_ASSERT(&rows[i], net_ip_is_link_local(&range.base) == rows[i].ip);
        ROW_ASSERT(&rows[i], net_range_is_link_local(&range) == rows[i].range);
    }
}

/* ---- configuration ------------------------------------------------------- */

static sonde_code read_job(struct arena *a, const char *expose,
                           struct scrape_config *out, struct sonde_err *err)
{
    struct config_ctx ctx = { .arena = a };
    struct yaml_node *node;
    sonde_str text = arena_printf(a, "job_name: j\nexpose: %s\n", expose);
    sonde_code rc = yaml_parse(a, "f", text, &node, err);

    return rc == SONDE_OK
               ? config_read(&ctx, &scrape_config_block, node, out, err)
               : rc;
}

static void test_expose_addresses(void)
{
    static const struct {
        int line;
        const char *expose, *address, *error;
    } rows[] = {
        { __LINE__, "9121", "127.0.0.1:9121", NULL },
        { __LINE__, "':9121'", ":9121", NULL },
        { __LINE__, "10.1.2.3:80", "10.1.2.3:80", NULL },
        { __LINE__, "'[::1]:9121'", "[::1]:9121", NULL },
        { __LINE__, "localhost:9121", "localhost:9121", NULL },
        { __LINE__, "{address: 9121, on_demand: true}", "127.0.0.1:9121",
          NULL },
        { __LINE__, "", "", NULL },
        { __LINE__, "x", NULL, "no address to listen on" },
        { __LINE__, "':99999'", NULL, "no address to listen on" },
        { __LINE__, "'::1:80'", NULL, "no address to listen on" },
        { __LINE__, "{on_demand: true}", NULL, "address" },
        { __LINE__, "{address: 1, pth: /x}", NULL, "path" },
        { __LINE__, "{address: 1, path: x}", NULL, "begins with /" },
        { __LINE__, "{address: 1, allow: [a/b]}", NULL, "allow:" },
        { __LINE__, "{address: 1, allow: ['http://x']}", NULL, "allow:" },
        { __LINE__, "{address: 1, allow: [10.0.0.0/8, db-1.x, '::1']}",
          "127.0.0.1:1", NULL },
        { __LINE__, "[1, 2]", NULL, "list" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scrape_config c;
        struct sonde_err err = { 0 };
        struct arena a;
        sonde_code rc;

        arena_init(&a);
        rc = read_job(&a, rows[i].expose, &c, &err);
        ROW_ASSERT(&rows[i], (rc == SONDE_OK) == (rows[i].error == NULL));
        if (rc == SONDE_OK && rows[i].address)
            ROW_ASSERT(&rows[i],
                       str_eq_cstr(c.expose.address, rows[i].address));
        if (rc != SONDE_OK && rows[i].error)
            ROW_ASSERT(&rows[i], strstr(err.text, rows[i].error) != NULL);
        if (rc != SONDE_OK)
            ROW_ASSERT(&rows[i], strstr(err.text, "f:") == err.text);
        arena_fini(&a);
    }
}

static void test_expose_collisions(void)
{
    static const struct {
        int line;
        const char *one, *two;
        bool collide;
    } rows[] = {
        { __LINE__, "9121", "9121", true },
        { __LINE__, "9121", "9122", false },
        { __LINE__, "9121", "':9121'", true },
        { __LINE__, "10.0.0.1:1", "10.0.0.2:1", false },
        { __LINE__, "10.0.0.1:1", "0.0.0.0:1", true },
        { __LINE__, "localhost:1", "LOCALHOST:1", true },
        { __LINE__, "':0'", "':0'", false },
        { __LINE__, "", "9121", false },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scrape_config c[2];
        const struct scrape_config *jobs[2] = { &c[0], &c[1] };
        struct sonde_err err = { 0 };
        struct arena a;

        arena_init(&a);
        ROW_ASSERT(&rows[i],
                   read_job(&a, rows[i].one, &c[0], &err) == SONDE_OK);
        ROW_ASSERT(&rows[i],
                   read_job(&a, rows[i].two, &c[1], &err) == SONDE_OK);
        ROW_ASSERT(&rows[i], (expose_config_check_all(jobs, 2, &err) !=
                              SONDE_OK) == rows[i].collide);
        arena_fini(&a);
    }
}

int main(void)
{
    static const struct tap_test tests[] = {
        { "families stand once", test_families_once },
        { "histograms, and lines of no family", test_histograms_and_strays },
        { "OpenMetrics becomes text", test_openmetrics },
        { "a series stands once", test_same_series_once },
        { "labels and prefix", test_labels_and_prefix },
        { "garbage", test_garbage },
        { "places taken apart", test_places },
        { "places without secrets", test_public },
        { "ranges of addresses", test_ranges },
        { "what is no range", test_no_ranges },
        { "link-local addresses", test_link_local },
        { "where a job is exposed", test_expose_addresses },
        { "jobs on one address", test_expose_collisions },
    };

    return TAP_RUN("expose", tests);
}
