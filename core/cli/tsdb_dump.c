/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde tsdb dump` and `sonde tsdb export`: samples of a data directory,
 * log included, opened for reading only. One series is in memory at a time.
 *
 * They differ by what they are for: dump prints promtool's lines in the
 * order in which series are found; export writes a file that others read,
 * sorted by labels so that a family's lines are together.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/tsdb_cmd.h"
#include "expo/expo.h"
#include "promql/promql.h"
#include "tsdb/tsdb.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"

#define FLUSH_BYTES ((size_t)1 << 18)

struct dump;
typedef void (*put_sample)(struct dump *d, sonde_msec t, double v,
                           const struct histogram *h);

struct dump {
    const char *dir, *format, *output;
    struct sonde_list matches;
    int64_t mint, maxt; /* closed                                         */
    bool sorted;
    FILE *file;
    put_sample put;
    struct buf out, labels, name; /* of the series at hand                */
    struct columns samples;
    struct progress progress;
    struct sonde_err err;
};

/* ---- formats ------------------------------------------------------------ */

static void put_prom(struct dump *d, sonde_msec t, double v,
                     const struct histogram *h)
{
    buf_put(&d->out, buf_str(&d->labels));
    buf_char(&d->out, ' ');
    if (h)
        print_histogram(&d->out, h);
    else
        print_value(&d->out, v);
    buf_char(&d->out, ' ');
    buf_int(&d->out, t);
    buf_char(&d->out, '\n');
}

/* Seconds with three digits. */
static void put_seconds(struct buf *b, sonde_msec t)
{
    uint64_t ms = t < 0 ? 0 - (uint64_t)t : (uint64_t)t;

    if (t < 0)
        buf_char(b, '-');
    buf_printf(b, "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
}

/* Native histograms have no form in this format: they are left out. */
static void put_openmetrics(struct dump *d, sonde_msec t, double v,
                            const struct histogram *h)
{
    if (h)
        return;
    buf_put(&d->out, buf_str(&d->labels));
    buf_char(&d->out, ' ');
    print_value(&d->out, v);
    buf_char(&d->out, ' ');
    put_seconds(&d->out, t);
    buf_char(&d->out, '\n');
}

static void put_csv_text(struct buf *b, sonde_str s)
{
    buf_char(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"')
            buf_char(b, '"');
        buf_char(b, s.ptr[i]);
    }
    buf_char(b, '"');
}

static void put_csv(struct dump *d, sonde_msec t, double v,
                    const struct histogram *h)
{
    struct buf value;

    buf_init(&value);
    if (h) {
        print_histogram(&value, h);
    } else {
        print_value(&value, v);
    }
    put_csv_text(&d->out, buf_str(&d->name));
    buf_char(&d->out, ',');
    put_csv_text(&d->out, buf_str(&d->labels));
    buf_char(&d->out, ',');
    buf_int(&d->out, t);
    buf_char(&d->out, ',');
    if (h)
        put_csv_text(&d->out, buf_str(&value));
    else
        buf_put(&d->out, buf_str(&value));
    buf_char(&d->out, '\n');
    buf_fini(&value);
}

static void begin_prom(struct dump *d, const struct labels *l)
{
    print_labels(&d->labels, l);
}

static struct labels without_name(struct arena *a, const struct labels *l)
{
    struct label *items = arena_array(a, struct label, l->count + 1);
    size_t n = 0;

    for (size_t i = 0; i < l->count; i++)
        if (!sonde_str_eq(l->items[i].name, SONDE_STR(LABEL_NAME)))
            items[n++] = l->items[i];
    return (struct labels){ items, n };
}

static void put_pair(struct buf *b, sonde_str name, sonde_str value)
{
    if (label_name_is_legacy(name)) {
        buf_put(b, name);
    } else {
        buf_char(b, '"');
        expo_write_escaped(b, name);
        buf_char(b, '"');
    }
    buf_cstr(b, "=\"");
    expo_write_escaped(b, value);
    buf_char(b, '"');
}

static void begin_openmetrics(struct dump *d, const struct labels *l)
{
    sonde_str name = labels_get(l, SONDE_STR(LABEL_NAME));
    bool plain = metric_name_is_legacy(name);
    const char *separator = "";

    if (plain)
        buf_put(&d->labels, name);
    if (plain && l->count == 1)
        return;
    buf_char(&d->labels, '{');
    if (!plain) {
        buf_char(&d->labels, '"');
        expo_write_escaped(&d->labels, name);
        buf_char(&d->labels, '"');
        separator = ",";
    }
    for (size_t i = 0; i < l->count; i++) {
        if (sonde_str_eq(l->items[i].name, SONDE_STR(LABEL_NAME)))
            continue;
        buf_cstr(&d->labels, separator);
        put_pair(&d->labels, l->items[i].name, l->items[i].value);
        separator = ",";
    }
    buf_char(&d->labels, '}');
}

static void begin_csv(struct dump *d, const struct labels *l)
{
    struct arena a;
    struct labels rest;

    arena_init(&a);
    rest = without_name(&a, l);
    buf_put(&d->name, labels_get(l, SONDE_STR(LABEL_NAME)));
    print_labels(&d->labels, &rest);
    arena_fini(&a);
}

static const struct format {
    const char *name, *head, *tail;
    void (*begin)(struct dump *d, const struct labels *l);
    put_sample put;
} formats[] = {
    { "prom", "", "", begin_prom, put_prom },
    { "openmetrics", "", "# EOF\n", begin_openmetrics, put_openmetrics },
    { "csv", "name,labels,timestamp_ms,value\n", "", begin_csv, put_csv },
};

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

/* ---- series ------------------------------------------------------------- */

static sonde_code flush(struct dump *d)
{
    if (d->out.len && fwrite(d->out.data, 1, d->out.len, d->file) != d->out.len)
        return sonde_err_set(&d->err, SONDE_EIO, "write %s: %s",
                             d->output ? d->output : "output", strerror(errno));
    buf_reset(&d->out);
    return SONDE_OK;
}

static sonde_code dump_series(struct dump *d, const struct format *f,
                              struct storage_series *s)
{
    const struct columns *c = &d->samples;
    sonde_code rc;

    columns_reset(&d->samples);
    rc = s->ops->read(s, d->mint, d->maxt, &d->samples, &d->err);
    if (rc != SONDE_OK)
        return rc;
    buf_reset(&d->labels);
    buf_reset(&d->name);
    f->begin(d, &s->labels);
    for (size_t i = 0; i < c->count && rc == SONDE_OK; i++) {
        f->put(d, c->t[i], c->v[i], c->h ? c->h[i] : NULL);
        if (d->out.len >= FLUSH_BYTES)
            rc = flush(d);
    }
    return rc;
}

static sonde_code dump_in_order(struct dump *d, const struct format *f,
                                struct series_set *set)
{
    struct storage_series *s;
    sonde_code rc;

    while ((rc = set->ops->next(set, &s, &d->err)) == SONDE_OK) {
        rc = dump_series(d, f, s);
        if (rc != SONDE_OK)
            return rc;
    }
    return rc == SONDE_ENOTFOUND ? SONDE_OK : rc;
}

static int cmp_series(const void *a, const void *b)
{
    const struct storage_series *x = *(struct storage_series *const *)a;
    const struct storage_series *y = *(struct storage_series *const *)b;
    int cmp = str_cmp(labels_get(&x->labels, SONDE_STR(LABEL_NAME)),
                      labels_get(&y->labels, SONDE_STR(LABEL_NAME)));

    return cmp ? cmp : labels_cmp(&x->labels, &y->labels);
}

static sonde_code dump_sorted(struct dump *d, const struct format *f,
                              struct series_set *set)
{
    struct storage_series **list = NULL, *s;
    size_t n = 0, cap = 0;
    sonde_code rc;

    while ((rc = set->ops->next(set, &s, &d->err)) == SONDE_OK) {
        list = mem_grow(list, &cap, n + 1, sizeof(*list));
        list[n++] = s;
    }
    if (rc == SONDE_ENOTFOUND)
        rc = SONDE_OK;
    if (n)
        qsort(list, n, sizeof(*list), cmp_series);
    progress_begin(&d->progress, "exporting series", PROGRESS_COUNT, n);
    d->progress.quiet = d->file == stdout && d->progress.terminal;
    for (size_t i = 0; i < n && rc == SONDE_OK; i++) {
        rc = dump_series(d, f, list[i]);
        progress_add(&d->progress, 1);
    }
    progress_end(&d->progress);
    free(list);
    return rc;
}

/* ---- selecting ---------------------------------------------------------- */

static sonde_code dump_selected(struct dump *d, const struct format *f,
                                struct querier *q, const struct matcher *ms,
                                size_t n)
{
    const struct select_hints hints = { .mint = d->mint, .maxt = d->maxt };
    struct series_set *set;
    sonde_code rc = q->ops->select(q, ms, n, &hints, &set, &d->err);

    if (rc != SONDE_OK)
        return rc;
    rc = d->sorted ? dump_sorted(d, f, set) : dump_in_order(d, f, set);
    set->ops->free(set);
    return rc;
}

static sonde_code dump_match(struct dump *d, const struct format *f,
                             struct querier *q, sonde_str selector)
{
    struct arena a;
    struct matcher *ms = NULL;
    size_t n = 0;
    sonde_code rc;

    arena_init(&a);
    rc = promql_parse_selector(&a, selector, &ms, &n, &d->err);
    if (rc == SONDE_OK)
        rc = dump_selected(d, f, q, ms, n);
    for (size_t i = 0; i < n; i++)
        matcher_fini(&ms[i]);
    arena_fini(&a);
    return rc;
}

/* As promtool: the series of each selector, one selector after the other;
 * without any, all series, those without a name too. */
static sonde_code dump_matches(struct dump *d, const struct format *f,
                               struct querier *q)
{
    struct matcher all;
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < d->matches.count && rc == SONDE_OK; i++)
        rc = dump_match(d, f, q, d->matches.items[i]);
    if (d->matches.count)
        return rc;
    rc = matcher_init(&all, MATCH_RE, SONDE_STR(LABEL_NAME), SONDE_STR(".*"),
                      &d->err);
    if (rc != SONDE_OK)
        return rc;
    rc = dump_selected(d, f, q, &all, 1);
    matcher_fini(&all);
    return rc;
}

/* What was left out because it is damaged. */
static sonde_code say_warnings(struct dump *d, struct querier *q)
{
    struct arena a;
    struct sonde_list lines;

    arena_init(&a);
    lines = querier_warnings(q, &a);
    for (size_t i = 0; i < lines.count; i++)
        cli_error("%.*s", SONDE_ARG(lines.items[i]));
    arena_fini(&a);
    return lines.count ? sonde_err_set(&d->err, SONDE_ECORRUPT,
                                       "what is printed is not all")
                       : SONDE_OK;
}

static sonde_code dump_store(struct dump *d, const struct format *f)
{
    const struct tsdb_options options = { .clock = &clock_system,
                                          .read_only = true,
                                          .no_lockfile = true,
                                          .no_thread = true };
    struct storage *s;
    struct querier *q;
    struct tsdb *db;
    sonde_code rc = tsdb_open(d->dir, &options, &db, &d->err);

    if (rc != SONDE_OK)
        return rc;
    s = tsdb_storage(db);
    rc = s->ops->querier(s, d->mint, d->maxt, &q, &d->err);
    if (rc == SONDE_OK) {
        buf_cstr(&d->out, f->head);
        rc = dump_matches(d, f, q);
        buf_cstr(&d->out, f->tail);
        if (rc == SONDE_OK)
            rc = flush(d);
        if (rc == SONDE_OK)
            rc = say_warnings(d, q);
        q->ops->free(q);
    }
    tsdb_close(db);
    return rc;
}

static sonde_code dump_to_file(struct dump *d, const struct format *f)
{
    bool failed;
    sonde_code rc;

    d->file = d->output ? fopen(d->output, "wb") : stdout;
    if (!d->file)
        return sonde_err_set(&d->err, SONDE_EIO, "create %s: %s", d->output,
                             strerror(errno));
    rc = dump_store(d, f);
    failed = fflush(d->file) != 0;
    if (d->output && fclose(d->file) != 0)
        failed = true;
    if (failed && rc == SONDE_OK)
        rc = sonde_err_set(&d->err, SONDE_EIO, "write %s: %s",
                           d->output ? d->output : "output", strerror(errno));
    return rc;
}

/* ---- the commands ------------------------------------------------------- */

static int run(struct dump *d)
{
    const struct format *f = find_format(d->format);
    sonde_code rc;

    if (!f) {
        cli_error("unknown format \"%s\": prom, openmetrics or csv", d->format);
        return CLI_USAGE;
    }
    rc = dump_to_file(d, f);
    buf_fini(&d->out);
    buf_fini(&d->labels);
    buf_fini(&d->name);
    columns_fini(&d->samples);
    if (rc != SONDE_OK)
        cli_error("%s", d->err.text);
    return rc == SONDE_OK ? CLI_OK : CLI_FAILED;
}

static int command(struct dump *d, const char *usage, const char *help,
                   int argc, char **argv)
{
    const struct arg rows[] = {
        { "match", 0, ARG_TEXTS, &d->matches,
          "Selector of series; may be repeated." },
        { "min-time", 0, ARG_INT, &d->mint, "From here on, milliseconds." },
        { "max-time", 0, ARG_INT, &d->maxt, "Up to here, milliseconds." },
        { "format", 0, ARG_TEXT, &d->format, "prom, openmetrics or csv." },
        { "output", 'o', ARG_TEXT, &d->output, "A file (standard output)." },
        { 0 },
    };
    const struct args args = { usage, help, rows, &d->dir, 1 };
    struct arena a;
    int code;

    arena_init(&a);
    code = args_read(&a, &args, argc, argv);
    if (code == ARGS_GO)
        code = run(d);
    arena_fini(&a);
    return code;
}

int tsdb_dump(int argc, char **argv)
{
    struct dump d = { .dir = TSDB_DIR_DEFAULT,
                      .format = "prom",
                      .mint = INT64_MIN,
                      .maxt = INT64_MAX };

    return command(&d,
                   "sonde tsdb dump [--match=SELECTOR]... [--min-time=MS] "
                   "[--max-time=MS] [--format=prom|openmetrics|csv] [DIR]",
                   "Samples of a data directory (" TSDB_DIR_DEFAULT
                   "), blocks and log, as promtool tsdb dump\nprints them. "
                   "Nothing is written; a server may be running.",
                   argc, argv);
}

int tsdb_export(int argc, char **argv)
{
    struct dump d = { .dir = TSDB_DIR_DEFAULT,
                      .format = "openmetrics",
                      .sorted = true,
                      .mint = INT64_MIN,
                      .maxt = INT64_MAX };

    return command(&d,
                   "sonde tsdb export [--match=SELECTOR]... [--min-time=MS] "
                   "[--max-time=MS] [--format=openmetrics|csv|prom] [-o FILE] "
                   "[DIR]",
                   "Samples of a data directory (" TSDB_DIR_DEFAULT
                   "), blocks and log, sorted by series, for sonde\ntsdb "
                   "import and others. Native histograms have no form in "
                   "OpenMetrics text\nand are left out there.",
                   argc, argv);
}
