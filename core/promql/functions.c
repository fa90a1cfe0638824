/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions' signatures, as the 3.x reference documents them. The parser
 * checks calls against this table; what evaluates them joins the engine.
 */
#include "promql/ast.h"
#include "util/str.h"

#define S PROMQL_SCALAR
#define T PROMQL_STRING
#define V PROMQL_VECTOR
#define M PROMQL_MATRIX

#define F(fname, ret, n, var, exp, ...)                                        \
    {                                                                          \
        .name = (fname), .returns = (ret), .arg_count = (n),                   \
        .variadic = (var), .experimental = (exp), .args = {                    \
            __VA_ARGS__                                                        \
        }                                                                      \
    }

/* Sorted by name. */
static const struct promql_function functions[] = {
    F("abs", V, 1, 0, false, V),
    F("absent", V, 1, 0, false, V),
    F("absent_over_time", V, 1, 0, false, M),
    F("acos", V, 1, 0, false, V),
    F("acosh", V, 1, 0, false, V),
    F("asin", V, 1, 0, false, V),
    F("asinh", V, 1, 0, false, V),
    F("atan", V, 1, 0, false, V),
    F("atanh", V, 1, 0, false, V),
    F("avg_over_time", V, 1, 0, false, M),
    F("ceil", V, 1, 0, false, V),
    F("changes", V, 1, 0, false, M),
    F("clamp", V, 3, 0, false, V, S, S),
    F("clamp_max", V, 2, 0, false, V, S),
    F("clamp_min", V, 2, 0, false, V, S),
    F("cos", V, 1, 0, false, V),
    F("cosh", V, 1, 0, false, V),
    F("count_over_time", V, 1, 0, false, M),
    F("day_of_month", V, 1, 1, false, V),
    F("day_of_week", V, 1, 1, false, V),
    F("day_of_year", V, 1, 1, false, V),
    F("days_in_month", V, 1, 1, false, V),
    F("deg", V, 1, 0, false, V),
    F("delta", V, 1, 0, false, M),
    F("deriv", V, 1, 0, false, M),
    F("double_exponential_smoothing", V, 3, 0, true, M, S, S),
    F("end", S, 0, 0, true, S),
    F("exp", V, 1, 0, false, V),
    F("first_over_time", V, 1, 0, false, M),
    F("floor", V, 1, 0, false, V),
    F("histogram_avg", V, 1, 0, false, V),
    F("histogram_count", V, 1, 0, false, V),
    F("histogram_fraction", V, 3, 0, false, S, S, V),
    F("histogram_quantile", V, 2, 0, false, S, V),
    F("histogram_quantiles", V, 4, 9, true, V, T, S, S),
    F("histogram_stddev", V, 1, 0, false, V),
    F("histogram_stdvar", V, 1, 0, false, V),
    F("histogram_sum", V, 1, 0, false, V),
    F("hour", V, 1, 1, false, V),
    F("idelta", V, 1, 0, false, M),
    F("increase", V, 1, 0, false, M),
    F("info", V, 2, 1, true, V, V),
    F("irate", V, 1, 0, false, M),
    F("label_join", V, 4, -1, false, V, T, T, T),
    F("label_replace", V, 5, 0, false, V, T, T, T, T),
    F("last_over_time", V, 1, 0, false, M),
    F("ln", V, 1, 0, false, V),
    F("log10", V, 1, 0, false, V),
    F("log2", V, 1, 0, false, V),
    F("mad_over_time", V, 1, 0, true, M),
    F("max_of", S, 2, 0, true, S, S),
    F("max_over_time", V, 1, 0, false, M),
    F("min_of", S, 2, 0, true, S, S),
    F("min_over_time", V, 1, 0, false, M),
    F("minute", V, 1, 1, false, V),
    F("month", V, 1, 1, false, V),
    F("pi", S, 0, 0, false, S),
    F("predict_linear", V, 2, 0, false, M, S),
    F("present_over_time", V, 1, 0, false, M),
    F("quantile_over_time", V, 2, 0, false, S, M),
    F("rad", V, 1, 0, false, V),
    F("range", S, 0, 0, true, S),
    F("rate", V, 1, 0, false, M),
    F("resets", V, 1, 0, false, M),
    F("round", V, 2, 1, false, V, S),
    F("scalar", S, 1, 0, false, V),
    F("sgn", V, 1, 0, false, V),
    F("sin", V, 1, 0, false, V),
    F("sinh", V, 1, 0, false, V),
    F("sort", V, 1, 0, false, V),
    F("sort_by_label", V, 2, -1, true, V, T),
    F("sort_by_label_desc", V, 2, -1, true, V, T),
    F("sort_desc", V, 1, 0, false, V),
    F("sqrt", V, 1, 0, false, V),
    F("start", S, 0, 0, true, S),
    F("start_timestamp", V, 1, 0, true, V),
    F("stddev_over_time", V, 1, 0, false, M),
    F("stdvar_over_time", V, 1, 0, false, M),
    F("step", S, 0, 0, true, S),
    F("sum_over_time", V, 1, 0, false, M),
    F("tan", V, 1, 0, false, V),
    F("tanh", V, 1, 0, false, V),
    F("time", S, 0, 0, false, S),
    F("timestamp", V, 1, 0, false, V),
    F("ts_of_first_over_time", V, 1, 0, true, M),
    F("ts_of_last_over_time", V, 1, 0, true, M),
    F("ts_of_max_over_time", V, 1, 0, true, M),
    F("ts_of_min_over_time", V, 1, 0, true, M),
    F("vector", V, 1, 0, false, S),
    F("year", V, 1, 1, false, V),
};

const struct promql_function *promql_function_find(sonde_str name)
{
    size_t low = 0, high = sizeof(functions) / sizeof(functions[0]);

    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = str_cmp(name, sonde_cstr(functions[mid].name));

        if (c == 0)
            return &functions[mid];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const struct promql_function *promql_function_at(size_t i)
{
    return i < sizeof(functions) / sizeof(functions[0]) ? &functions[i] : NULL;
}
