/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer: escaping, commas, numbers. */
#include <math.h>
#include <string.h>

#include "api/json.h"
#include "unit/tap.h"
#include "util/str.h"

static void strings(void)
{
    static const struct {
        int line;
        sonde_str in;
        const char *want;
    } cases[] = {
        { __LINE__, SONDE_STR(""), "\"\"" },
        { __LINE__, SONDE_STR("plain"), "\"plain\"" },
        { __LINE__, SONDE_STR("a\"b\\c/"), "\"a\\\"b\\\\c/\"" },
        { __LINE__, SONDE_STR("\n\r\t\b\x1f\x7f\0"),
          "\"\\n\\r\\t\\u0008\\u001f\x7f\\u0000\"" },
        { __LINE__, SONDE_STR("<a>&</a>"),
          "\"\\u003ca\\u003e\\u0026\\u003c/a\\u003e\"" },
        { __LINE__, SONDE_STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
          "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { __LINE__, SONDE_STR("\xe2\x80\xa8x\xe2\x80\xa9\xe2\x80\xaa"),
          "\"\\u2028x\\u2029\xe2\x80\xaa\"" },
        { __LINE__, SONDE_STR("a\xff\xfe"), "\"a\\ufffd\\ufffd\"" },
        { __LINE__, SONDE_STR("\xe2\x82"), "\"\\ufffd\\ufffd\"" },
        { __LINE__, SONDE_STR("\xc0\x80"), "\"\\ufffd\\ufffd\"" },
        { __LINE__, SONDE_STR("\xe0\x9f\xbf"), "\"\\ufffd\\ufffd\\ufffd\"" },
        { __LINE__, SONDE_STR("\xe0\xa0\x80"), "\"\xe0\xa0\x80\"" },
        { __LINE__, SONDE_STR("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" },
        { __LINE__, SONDE_STR("\xed\x9f\xbf"), "\"\xed\x9f\xbf\"" },
        { __LINE__, SONDE_STR("\xf4\x90\x80\x80"),
          "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
        { __LINE__, SONDE_STR("\xf4\x8f\xbf\xbf"), "\"\xf4\x8f\xbf\xbf\"" },
        { __LINE__, SONDE_STR("\xf0\x8f\xbf\xbf"),
          "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b;
        struct jsonw j = jsonw_to(&b);

        buf_init(&b);
        jsonw_str(&j, cases[i].in);
        ROW_ASSERT(&cases[i], str_eq_cstr(buf_str(&b), cases[i].want));
        buf_fini(&b);
    }
}

static void structure(void)
{
    const struct label items[] = { { SONDE_STR("a"), SONDE_STR("1") },
                                   { SONDE_STR("b<"), SONDE_STR("\"") } };
    const struct labels labels = { items, 2 };
    struct buf b;
    struct jsonw j = jsonw_to(&b);

    buf_init(&b);
    jsonw_object(&j);
    jsonw_key(&j, "empty");
    jsonw_array(&j);
    jsonw_array_end(&j);
    jsonw_key(&j, "list");
    jsonw_array(&j);
    jsonw_int(&j, -1);
    jsonw_uint(&j, UINT64_MAX);
    jsonw_bool(&j, true);
    jsonw_null(&j);
    jsonw_object(&j);
    jsonw_object_end(&j);
    jsonw_array_end(&j);
    jsonw_key(&j, "labels");
    jsonw_labels(&j, &labels);
    jsonw_key_str(&j, SONDE_STR("k\""));
    jsonw_bool(&j, false);
    jsonw_object_end(&j);
    CU_ASSERT(
        str_eq_cstr(buf_str(&b),
                    "{\"empty\":[],\"list\":[-1,18446744073709551615,true,null,"
                    "{}],\"labels\":{\"a\":\"1\",\"b\\u003c\":\"\\\"\"},"
                    "\"k\\\"\":false}"));
    buf_fini(&b);
}

static void times(void)
{
    static const struct {
        int line;
        sonde_msec t;
        const char *seconds, *rfc3339;
    } cases[] = {
        { __LINE__, 0, "0", "\"0001-01-01T00:00:00Z\"" },
        { __LINE__, 1500, "1.500", "\"1970-01-01T00:00:01.500Z\"" },
        { __LINE__, 1700000000000, "1700000000",
          "\"2023-11-14T22:13:20.000Z\"" },
        { __LINE__, 1700000000001, "1700000000.001",
          "\"2023-11-14T22:13:20.001Z\"" },
        { __LINE__, -1, "-0.001", "\"1969-12-31T23:59:59.999Z\"" },
        { __LINE__, -2000, "-2", "\"1969-12-31T23:59:58.000Z\"" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b;
        struct jsonw j = jsonw_to(&b);

        buf_init(&b);
        jsonw_seconds(&j, cases[i].t);
        ROW_ASSERT(&cases[i], str_eq_cstr(buf_str(&b), cases[i].seconds));
        buf_reset(&b);
        j.comma = false;
        jsonw_time(&j, cases[i].t);
        ROW_ASSERT(&cases[i], str_eq_cstr(buf_str(&b), cases[i].rfc3339));
        buf_fini(&b);
    }
}

static void values(void)
{
    static const struct {
        int line;
        double v;
        const char *value, *real;
    } cases[] = {
        { __LINE__, 0, "\"0\"", "0" },
        { __LINE__, 1.5, "\"1.5\"", "1.5" },
        { __LINE__, 1e21, "\"1e+21\"", "1e+21" },
        { __LINE__, 123456789012345680000.0, "\"123456789012345680000\"",
          "123456789012345680000" },
        { __LINE__, 1e-7, "\"1e-07\"", "1e-07" },
        { __LINE__, INFINITY, "\"+Inf\"", "null" },
        { __LINE__, -INFINITY, "\"-Inf\"", "null" },
        { __LINE__, NAN, "\"NaN\"", "null" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b;
        struct jsonw j = jsonw_to(&b);

        buf_init(&b);
        jsonw_value(&j, cases[i].v);
        ROW_ASSERT(&cases[i], str_eq_cstr(buf_str(&b), cases[i].value));
        buf_reset(&b);
        j.comma = false;
        jsonw_real(&j, cases[i].v);
        ROW_ASSERT(&cases[i], str_eq_cstr(buf_str(&b), cases[i].real));
        buf_fini(&b);
    }
}

static const struct tap_test tests[] = {
    { "strings", strings },
    { "structure", structure },
    { "times", times },
    { "values", values },
};

int main(void)
{
    return TAP_RUN("json", tests);
}
