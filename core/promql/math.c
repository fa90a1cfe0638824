/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mathematics of single values. Minimum and maximum follow Go's rules: any
 * NaN gives NaN, but for an infinity that decides already, and 0 is above -0.
 */
#include <math.h>

#include "promql/element.h"
#include "util/str.h"

double min_of(double a, double b)
{
    if ((isinf(a) && a < 0) || (isinf(b) && b < 0))
        return -INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}

double max_of(double a, double b)
{
    if ((isinf(a) && a > 0) || (isinf(b) && b > 0))
        return INFINITY;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

/* ---- functions of one argument --------------------------------------------
 */

static double degrees(double v)
{
    return v * 180 / M_PI;
}

static double radians(double v)
{
    return v * M_PI / 180;
}

/* Zeros and NaN stay what they are. */
static double sign(double v)
{
    return v < 0 ? -1 : v > 0 ? 1 : v;
}

static const struct unary_function {
    const char *name;
    double (*fn)(double v);
} unary_functions[] = {
    { "abs", fabs },    { "acos", acos }, { "acosh", acosh }, { "asin", asin },
    { "asinh", asinh }, { "atan", atan }, { "atanh", atanh }, { "ceil", ceil },
    { "cos", cos },     { "cosh", cosh }, { "deg", degrees }, { "exp", exp },
    { "floor", floor }, { "ln", log },    { "log10", log10 }, { "log2", log2 },
    { "rad", radians }, { "sgn", sign },  { "sin", sin },     { "sinh", sinh },
    { "sqrt", sqrt },   { "tan", tan },   { "tanh", tanh },
};

struct unary_call {
    struct node node;
    struct node *of;
    double (*fn)(double v);
};

static sonde_code unary_row(struct node *n, size_t i, struct worker *w,
                            struct row *out, struct sonde_err *err)
{
    struct unary_call *c = (struct unary_call *)n;
    sonde_code rc = node_row(c->of, i, w, out, err);

    if (rc != SONDE_OK)
        return rc;
    row_own(n, w, out);
    for (size_t k = 0; k < n->steps.count; k++) {
        if (!row_has(out, k))
            continue;
        if (row_histogram(out, k))
            row_clear(out, k);
        else
            row_put(n, w, out, k, &(struct point){ c->fn(out->v[k]), NULL });
    }
    return SONDE_OK;
}

static const struct node_ops unary_ops = { .row = unary_row };

static double (*unary_find(const char *name))(double)
{
    for (size_t i = 0; i < sizeof(unary_functions) / sizeof(*unary_functions);
         i++)
        if (strcmp(unary_functions[i].name, name) == 0)
            return unary_functions[i].fn;
    SONDE_BUG("no function %s", name);
}

static sonde_code unary_make(struct exec *x, const struct promql_expr *e,
                             const struct steps *steps, struct node **out,
                             struct sonde_err *err)
{
    struct unary_call *c = node_new(x, sizeof(*c), &unary_ops, e, steps);
    sonde_code rc = node_make(x, e->call.args[0], steps, &c->of, err);

    if (rc != SONDE_OK)
        return rc;
    c->fn = unary_find(e->call.function->name);
    series_drop_names(&c->node, c->of);
    return node_unique(&c->node, out, err);
}

/* ---- clamp, round ---------------------------------------------------------
 */

static double clamp(double v, const double *args)
{
    if (args[1] < args[0])
        return bits_double(PROMQL_ABSENT_BITS);
    return max_of(args[0], min_of(args[1], v));
}

static double clamp_min(double v, const double *args)
{
    return max_of(args[0], v);
}

static double clamp_max(double v, const double *args)
{
    return min_of(args[0], v);
}

/* Ties up; the inverse is multiplied with, for what whole digits need. */
static double round_to(double v, const double *args)
{
    double inverse = 1 / args[0];

    return floor(v * inverse + 0.5) / inverse;
}

static double round_whole(double v, const double *args)
{
    (void)args;
    return floor(v + 0.5);
}

static sonde_code clamp_min_make(struct exec *x, const struct promql_expr *e,
                                 const struct steps *steps, struct node **out,
                                 struct sonde_err *err)
{
    return element_make(x, e, steps, 0, clamp_min, out, err);
}

static sonde_code clamp_max_make(struct exec *x, const struct promql_expr *e,
                                 const struct steps *steps, struct node **out,
                                 struct sonde_err *err)
{
    return element_make(x, e, steps, 0, clamp_max, out, err);
}

static sonde_code clamp_make(struct exec *x, const struct promql_expr *e,
                             const struct steps *steps, struct node **out,
                             struct sonde_err *err)
{
    return element_make(x, e, steps, 0, clamp, out, err);
}

static sonde_code round_make(struct exec *x, const struct promql_expr *e,
                             const struct steps *steps, struct node **out,
                             struct sonde_err *err)
{
    return element_make(x, e, steps, 0,
                        e->call.count > 1 ? round_to : round_whole, out, err);
}

#define UNARY(name)                                                            \
    {                                                                          \
        name, unary_make                                                       \
    }

const struct call_maker math_makers[] = {
    UNARY("abs"),
    UNARY("acos"),
    UNARY("acosh"),
    UNARY("asin"),
    UNARY("asinh"),
    UNARY("atan"),
    UNARY("atanh"),
    UNARY("ceil"),
    { "clamp", clamp_make },
    { "clamp_max", clamp_max_make },
    { "clamp_min", clamp_min_make },
    UNARY("cos"),
    UNARY("cosh"),
    UNARY("deg"),
    UNARY("exp"),
    UNARY("floor"),
    UNARY("ln"),
    UNARY("log10"),
    UNARY("log2"),
    UNARY("rad"),
    { "round", round_make },
    UNARY("sgn"),
    UNARY("sin"),
    UNARY("sinh"),
    UNARY("sqrt"),
    UNARY("tan"),
    UNARY("tanh"),
    { 0 },
};
