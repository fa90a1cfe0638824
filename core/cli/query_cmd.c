/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde query instant|range|series|labels`: promtool's arguments, flags and
 * defaults, and what it has not: a data directory instead of a server, other
 * formats, a chart, the plan.
 *
 * The answer goes to standard output, everything about it (warnings, the
 * plan) to standard error, so that a pipe gets the answer alone.
 */
#include "cli/query_cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/times.h"
#include "cli/args.h"
#include "cli/chart.h"
#include "cli/cli.h"
#include "cli/flags_table.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

#define CHART_WIDTH  80
#define CHART_HEIGHT 16
#define RANGE_MS     (INT64_C(5) * 60 * 1000)
#define STEPS        250
#define STEPS_MAX    11000
/* As promtool, so that the earliest stamps do not pass what a server takes. */
#define LONG_AGO_MS (INT64_C(9999) * 3600 * 1000)

/* ---- times --------------------------------------------------------------- */

static sonde_code range_times(struct query *q, struct sonde_err *err)
{
    if (!q->start.given)
        q->start.t = q->end.t - RANGE_MS;
    if (q->start.t >= q->end.t)
        return sonde_err_set(err, SONDE_EINVAL,
                             "start time is not before end time");
    if (q->step == 0) {
        q->step = (q->end.t - q->start.t) / STEPS / 1000 * 1000;
        if (q->step < 1000)
            q->step = 1000;
    }
    if ((q->end.t - q->start.t) / q->step > STEPS_MAX)
        return sonde_err_set(err, SONDE_EINVAL,
                             "more than 11,000 steps: take a longer --step");
    return SONDE_OK;
}

sonde_code query_times(struct query *q, sonde_msec now, struct sonde_err *err)
{
    if (!q->time.given)
        q->time.t = now;
    if (!q->end.given)
        q->end.t = now;
    if (q->kind == QUERY_RANGE)
        return range_times(q, err);
    if (!q->start.given)
        q->start.t = q->end.t - LONG_AGO_MS;
    if (q->kind != QUERY_INSTANT && q->start.t > q->end.t)
        return sonde_err_set(err, SONDE_EINVAL, "start time is after end time");
    return SONDE_OK;
}

/* ---- the command line ---------------------------------------------------- */

struct command {
    struct query query;
    struct query_server server;
    const char *dir; /* NULL: a server                                      */
    const char *format;
    const char *time, *start, *end, *step; /* as written                   */
    struct sonde_list features;
    bool chart;
};

static bool read_time(const char *what, const char *text,
                      struct query_time *out)
{
    if (!text)
        return true;
    out->given = api_time_parse(sonde_cstr(text), &out->t);
    if (!out->given)
        cli_error("--%s %s: neither RFC 3339 nor seconds since 1970", what,
                  text);
    return out->given;
}

static bool read_step(const char *text, sonde_msec *out)
{
    if (!text)
        return true;
    if (api_duration_parse(sonde_cstr(text), out) && *out > 0)
        return true;
    cli_error("--step %s: not a duration above 0", text);
    return false;
}

bool query_features(const struct sonde_list *given, unsigned *out)
{
    for (size_t i = 0; i < given->count; i++) {
        sonde_str rest = given->items[i], name;

        while (str_split(&rest, ',', &name)) {
            unsigned bit = feature_of_promql(name);

            if (!bit) {
                cli_error("--enable-feature: \"%.*s\" is no part of PromQL",
                          SONDE_ARG(name));
                return false;
            }
            *out |= bit;
        }
    }
    return true;
}

static bool check_use(const struct command *c, const struct args *args)
{
    const char *what = NULL;

    if (!c->dir && !c->server.url)
        what = "a SERVER or --data=DIR is missing";
    else if (c->query.kind != QUERY_SERIES && !c->query.text)
        what = c->query.kind == QUERY_LABELS ? "the label's NAME is missing"
                                             : "the expression is missing";
    else if (c->query.kind == QUERY_SERIES && c->query.matches.count == 0)
        what = "at least one --match is needed";
    else if (c->query.explain && !c->dir)
        what = "--explain needs --data=DIR: servers do not tell their plans";
    else if (c->chart && c->query.kind != QUERY_RANGE)
        what = "--chart is for range queries";
    else if (!answer_printer_find(c->format))
        what = "--format is one of table, csv, json, promql";
    if (what)
        cli_error("%s; usage: %s", what, args->usage);
    return !what;
}

/* With --data there is no SERVER, so the first argument is the text. */
static bool place_arguments(struct command *c, const char *rest[3],
                            const struct args *args)
{
    const char *first = c->dir ? NULL : rest[0];
    const char *second = c->dir ? rest[0] : rest[1];
    const char *extra = c->dir ? rest[1] : rest[2];

    c->server.url = first;
    if (c->query.kind == QUERY_SERIES) {
        extra = second;
        second = NULL;
    }
    c->query.text = second;
    if (extra)
        cli_error("one argument too many: %s; usage: %s", extra, args->usage);
    return !extra;
}

static bool settle(struct command *c, const char *rest[3],
                   const struct args *args)
{
    return place_arguments(c, rest, args) && check_use(c, args) &&
           read_time("time", c->time, &c->query.time) &&
           read_time("start", c->start, &c->query.start) &&
           read_time("end", c->end, &c->query.end) &&
           read_step(c->step, &c->query.step) &&
           query_features(&c->features, &c->query.features);
}

/* ---- printing ------------------------------------------------------------ */

static void say_notes(const struct answer *a)
{
    for (size_t i = 0; i < a->note_count; i++)
        (void)fprintf(stderr, "%s: %.*s\n",
                      a->notes[i].warning ? "warning" : "info",
                      SONDE_ARG(a->notes[i].text));
}

static const char *locale_name(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

    for (size_t i = 0; i < 3; i++) {
        const char *v = getenv(names[i]);

        if (v && *v)
            return v;
    }
    return NULL;
}

static void print_chart(struct buf *b, const struct answer *a)
{
    size_t columns = terminal_columns();
    const struct chart chart = {
        .series = a->series,
        .count = a->count,
        .start = a->start,
        .end = a->end,
        .step = a->step,
        .width = columns ? columns : CHART_WIDTH,
        .height = CHART_HEIGHT,
        .style = chart_style_of(columns != 0, getenv("NO_COLOR"), locale_name(),
                                a->count),
    };

    chart_draw(b, &chart);
}

static int print(const struct command *c, const struct answer *a)
{
    struct buf b;
    bool ok;

    buf_init(&b);
    if (c->chart)
        print_chart(&b, a);
    else
        answer_printer_find(c->format)(&b, a);
    ok = (b.len == 0 || fwrite(b.data, 1, b.len, stdout) == b.len) &&
         fflush(stdout) == 0;
    say_notes(a);
    buf_reset(&b);
    if (c->query.explain) {
        answer_print_plan(&b, a,
                          isatty(STDERR_FILENO) ? terminal_columns() : 0);
        (void)fwrite(b.data, 1, b.len, stderr);
    }
    buf_fini(&b);
    if (!ok)
        cli_error("write the answer: output is closed or full");
    return ok ? CLI_OK : CLI_FAILED;
}

/* ---- running ------------------------------------------------------------- */

static int run(struct command *c, struct arena *a)
{
    struct answer answer = { .arena = a };
    struct sonde_err err;
    sonde_code rc;

    if (c->dir) {
        rc = query_ask_data(c->dir, &c->query, &answer, &err);
    } else {
        rc = query_times(&c->query, clock_now(&clock_system), &err);
        if (rc == SONDE_OK)
            rc = query_ask_server(&c->server, &c->query, &answer, &err);
    }
    if (rc == SONDE_OK)
        return print(c, &answer);
    cli_error("query: %s", err.text);
    return CLI_FAILED;
}

/* Where an answer comes from, and how it is printed. */
#define SOURCE_ROWS(c)                                                         \
    { "data", 0, ARG_TEXT, &(c)->dir,                                          \
      "A data directory instead of a server." },                               \
        { "http.config.file", 0, ARG_TEXT, &(c)->server.config_file,           \
          "Prometheus' http_config: users, tokens, TLS." },                    \
        { "header", 0, ARG_TEXTS, &(c)->server.headers,                        \
          "NAME: VALUE, sent to the server; may be repeated." },               \
        { "timeout", 0, ARG_DURATION, &(c)->query.timeout_ms,                  \
          "How long it may take (the server's limit)." },                      \
    {                                                                          \
        "format", 'o', ARG_TEXT, &(c)->format,                                 \
            "table, csv, json, or promql: promtool's."                         \
    }
#define EXPRESSION_ROWS(c)                                                     \
    { "lookback", 0, ARG_DURATION, &(c)->query.lookback_ms,                    \
      "How old a sample may be (5m)." },                                       \
        { "explain", 0, ARG_BOOL, &(c)->query.explain,                         \
          "With --data: what each node costs, on stderr." },                   \
    {                                                                          \
        "enable-feature", 0, ARG_TEXTS, &(c)->features,                        \
            "With --data: parts of PromQL, as the server's flag."              \
    }
#define START_ROW(c, text)                                                     \
    {                                                                          \
        "start", 0, ARG_TEXT, &(c)->start, text                                \
    }
#define END_ROW(c)                                                             \
    {                                                                          \
        "end", 0, ARG_TEXT, &(c)->end, "The end (now; newest of --data)."      \
    }
#define MATCH_ROW(c)                                                           \
    {                                                                          \
        "match", 0, ARG_TEXTS, &(c)->query.matches,                            \
            "Selector of series; may be repeated."                             \
    }

#define TIMES                                                                  \
    "Times are RFC 3339 or seconds since 1970. With --data, \"now\" is the "   \
    "time of the\nnewest sample there; nothing is written, and a server may "  \
    "be running."

static int command(struct command *c, const struct arg *rows, const char *usage,
                   const char *help, int argc, char **argv)
{
    const char *rest[3] = { NULL, NULL, NULL };
    const struct args args = { usage, help, rows, rest, 3 };
    struct arena a;
    int code;

    arena_init(&a);
    code = args_read(&a, &args, argc, argv);
    if (code == ARGS_GO)
        code = settle(c, rest, &args) ? run(c, &a) : CLI_USAGE;
    arena_fini(&a);
    return code;
}

static int query_instant(int argc, char **argv)
{
    struct command c = { .query.kind = QUERY_INSTANT, .format = "table" };
    const struct arg rows[] = {
        { "time", 0, ARG_TEXT, &c.time, "When (now; newest of --data)." },
        SOURCE_ROWS(&c),
        EXPRESSION_ROWS(&c),
        { 0 },
    };

    return command(&c, rows,
                   "sonde query instant [FLAGS] SERVER|--data=DIR EXPR",
                   "Values of an expression at one time.\n" TIMES, argc, argv);
}

static int query_range(int argc, char **argv)
{
    struct command c = { .query.kind = QUERY_RANGE, .format = "table" };
    const struct arg rows[] = {
        START_ROW(&c, "The first step (5m before the end)."),
        END_ROW(&c),
        { "step", 0, ARG_TEXT, &c.step,
          "Between steps (a 250th of the range, 1s at least)." },
        { "chart", 0, ARG_BOOL, &c.chart, "Lines over time, for the eye." },
        SOURCE_ROWS(&c),
        EXPRESSION_ROWS(&c),
        { 0 },
    };

    return command(&c, rows, "sonde query range [FLAGS] SERVER|--data=DIR EXPR",
                   "Values of an expression at regular times.\n" TIMES, argc,
                   argv);
}

static int query_series(int argc, char **argv)
{
    struct command c = { .query.kind = QUERY_SERIES, .format = "table" };
    const struct arg rows[] = {
        MATCH_ROW(&c), START_ROW(&c, "Series with samples from here on."),
        END_ROW(&c),   SOURCE_ROWS(&c),
        { 0 },
    };

    return command(&c, rows,
                   "sonde query series --match=SELECTOR... [FLAGS] "
                   "SERVER|--data=DIR",
                   "Label sets of series.\n" TIMES, argc, argv);
}

static int query_labels(int argc, char **argv)
{
    struct command c = { .query.kind = QUERY_LABELS, .format = "table" };
    const struct arg rows[] = {
        MATCH_ROW(&c), START_ROW(&c, "Of series with samples from here on."),
        END_ROW(&c),   SOURCE_ROWS(&c),
        { 0 },
    };

    return command(&c, rows,
                   "sonde query labels [FLAGS] SERVER|--data=DIR NAME",
                   "Values of a label.\n" TIMES, argc, argv);
}

/* ---- the sub-commands ---------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "instant", query_instant },
    { "range", query_range },
    { "series", query_series },
    { "labels", query_labels },
};

int cli_query(int argc, char **argv)
{
    log_setup(LOG_ERROR, LOG_LOGFMT);
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands);
         i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    cli_error("usage: sonde query instant|range|series|labels [FLAGS] "
              "SERVER|--data=DIR [EXPR|NAME]; each has --help");
    return argc > 1 && strcmp(argv[1], "--help") == 0 ? CLI_OK : CLI_USAGE;
}
