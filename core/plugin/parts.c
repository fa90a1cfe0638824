/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin's parts leave from one collection for the next.
 *
 * A slow part keeps the lines that it emitted last, as runs of lines of one
 * family, each with the moment of its collection. While the part is not due,
 * and when it fails, its lines are emitted again; a line whose series was
 * emitted afresh is left out, so a part that is begun once per database and
 * fails for one of them has new values for the others and old ones for that
 * one. What could not be read anew for three slow intervals is let go, but not
 * while the part works on in pieces.
 *
 * A plugin that fetches has several sinks in one collection, one per answer.
 * So what is fresh is collected from each sink (parts_take), and settled once
 * at the end, into a sink that knows the fresh series.
 *
 * What a part came to is decided when the collection ends: schedules go on
 * from there, three families report it, and the log says when a part begins
 * to fail and when it is well again. In a collection that fails as a whole
 * the log has said why.
 */
#include "plugin/parts.h"

#include <stdlib.h>
#include <string.h>

#include "plugin/sink_int.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#define KEPT_INTERVALS 3

/* Lines of one family, of one moment. */
struct run {
    size_t family;                  /* declared; else SIZE_MAX and ...     */
    const struct sonde_family *row; /* ... in the arena                    */
    size_t from, to;                /* in the text                         */
    sonde_msec when;
};

struct kept {
    struct buf text;
    struct run *runs;
    size_t count, cap;
    struct arena arena;
    bool used; /* text and arena are initialised                           */
};

/* A collection under way. */
struct round {
    bool ok, again, failed, unsupported; /* at least once                  */
    double seconds;
    char why[256]; /* of the first failure                                 */
};

struct part {
    struct round *round;    /* NULL: not begun in this collection          */
    struct kept kept;       /* what is emitted again                       */
    struct kept fresh;      /* of this collection                          */
    sonde_msec due_at;      /* monotonic                                   */
    sonde_msec last_ok;     /* since the epoch; 0: never                   */
    double seconds;         /* of the last outcome                         */
    double pending_seconds; /* of the pieces of one that is not through    */
    bool known, success;    /* there is an outcome; it is good             */
    bool failing;           /* and the log said so                         */
};

struct parts {
    const struct plugin *plugin;
    const struct sonde_target *target;
    sonde_msec interval, slow;
    struct parts_time when; /* of this collection                          */
    bool under_way;
    size_t count;
    struct part items[];
};

/* ---- kept lines ---------------------------------------------------------- */

static void kept_clear(struct kept *k)
{
    if (k->used) {
        buf_fini(&k->text);
        arena_fini(&k->arena);
        free(k->runs);
    }
    *k = (struct kept){ 0 };
}

static void kept_use(struct kept *k)
{
    if (k->used)
        return;
    buf_init(&k->text);
    arena_init(&k->arena);
    k->used = true;
}

static const struct sonde_family *copy_row(struct kept *k,
                                           const struct sonde_family *row)
{
    struct sonde_family *copy = arena_new(&k->arena, struct sonde_family);

    copy->name = arena_cstr(&k->arena, sonde_cstr(row->name));
    copy->help = arena_cstr(&k->arena, sonde_cstr(row->help));
    copy->type = row->type;
    return copy;
}

static bool same_family(const struct run *a, const struct run *b)
{
    return a->family == b->family &&
           (a->family != SIZE_MAX || strcmp(a->row->name, b->row->name) == 0);
}

/* Appends lines; `like` says of what family and when. */
static void kept_add(struct kept *k, const struct run *like, sonde_str lines)
{
    struct run *last;

    kept_use(k);
    last = k->count ? &k->runs[k->count - 1] : NULL;
    if (!last || last->when != like->when || !same_family(last, like)) {
        k->runs = mem_grow(k->runs, &k->cap, k->count + 1, sizeof(*k->runs));
        last = &k->runs[k->count++];
        *last = *like;
        last->from = k->text.len;
        if (like->family == SIZE_MAX)
            last->row = copy_row(k, like->row);
    }
    buf_put(&k->text, lines);
    last->to = k->text.len;
}

static sonde_str next_line(sonde_str *rest)
{
    size_t n = str_index(*rest, '\n');
    sonde_str line = str_sub(*rest, 0, n);

    *rest = str_sub(*rest, n + 1, rest->len);
    return line;
}

/* With a slow interval of 0 what failed has nothing to show. */
static bool expired(const struct parts *p, const struct run *r)
{
    return p->when.monotonic - r->when >
           KEPT_INTERVALS * p->slow + p->interval / 2;
}

/* Emits a run's lines but those whose series is there; what was emitted is
 * added to `into`, if that is not NULL. */
static void run_again(const struct kept *k, const struct run *r,
                      struct sonde_sink *s, struct kept *into)
{
    sonde_str rest = { k->text.data + r->from, r->to - r->from };
    size_t family = r->family;

    if (family == SIZE_MAX &&
        sink_dynamic_family(s, r->row, &family) != SONDE_OK)
        return;
    while (rest.len) {
        sonde_str line = next_line(&rest);

        if (sink_put_again(s, family, line) && into)
            kept_add(into, r, (sonde_str){ line.ptr, line.len + 1 });
    }
}

/* Emits what is kept and not too old; work that goes on keeps it whatever its
 * age. */
static void kept_again(struct parts *p, struct part *part, struct sonde_sink *s,
                       struct kept *into)
{
    bool goes_on = part->round && part->round->again;
    size_t old = 0;

    for (size_t i = 0; i < part->kept.count; i++) {
        if (!goes_on && expired(p, &part->kept.runs[i]))
            old++;
        else
            run_again(&part->kept, &part->kept.runs[i], s, into);
    }
    if (old && old == part->kept.count)
        kept_clear(&part->kept);
}

static void kept_note(const struct kept *k, struct sonde_sink *s)
{
    sonde_str rest = { k->text.data, k->text.len };

    while (rest.len)
        sink_note(s, next_line(&rest));
}

/* ---- life ---------------------------------------------------------------- */

struct parts *parts_new(const struct plugin *plugin,
                        const struct sonde_target *t, sonde_msec interval,
                        sonde_msec slow_interval)
{
    size_t n = plugin_collector_count(plugin);
    struct parts *p;

    if (n == 0)
        return NULL;
    p = mem_zalloc(sizeof(*p) + n * sizeof(p->items[0]));
    p->plugin = plugin;
    p->target = t;
    p->interval = interval;
    p->slow = slow_interval;
    p->count = n;
    return p;
}

void parts_free(struct parts *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++) {
        kept_clear(&p->items[i].kept);
        kept_clear(&p->items[i].fresh);
        free(p->items[i].round);
    }
    free(p);
}

struct parts_time parts_now(void)
{
    return (struct parts_time){ .monotonic = clock_monotonic(&clock_system),
                                .now = clock_now(&clock_system) };
}

/* ---- during a collection ------------------------------------------------- */

const struct sonde_collector *parts_row(const struct parts *p, size_t i)
{
    return p ? plugin_collector(p->plugin, i) : NULL;
}

static bool is_slow(const struct parts *p, size_t i)
{
    return parts_row(p, i)->flags & SONDE_COLLECTOR_SLOW;
}

/* At the collection that is nearest to its time. */
bool parts_is_due(const struct parts *p, size_t i)
{
    return !is_slow(p, i) ||
           p->when.monotonic >= p->items[i].due_at - p->interval / 2;
}

void parts_note(struct parts *p, size_t i, sonde_code code, const char *why,
                double seconds)
{
    struct part *part = &p->items[i];
    struct round *r = part->round;

    if (!r)
        r = part->round = mem_new(struct round);
    r->seconds += seconds;
    if (code == SONDE_OK) {
        r->ok = true;
    } else if (code == SONDE_EAGAIN) {
        r->again = true;
    } else if (code == SONDE_EUNSUPPORTED) {
        r->unsupported = true;
    } else if (!r->failed) {
        r->failed = true;
        (void)snprintf(r->why, sizeof(r->why), "%s",
                       why && *why ? why : sonde_code_text(code));
    }
}

/* Only failures of before are still reported: what was read well is gone. */
void parts_discard(struct parts *p)
{
    for (size_t i = 0; p && i < p->count; i++) {
        struct part *part = &p->items[i];

        kept_clear(&part->kept);
        kept_clear(&part->fresh);
        part->known = false;
        part->due_at = p->when.monotonic;
        if (part->round && !part->round->failed) {
            free(part->round);
            part->round = NULL;
        }
    }
}

void parts_take(struct parts *p, struct sonde_sink *s, bool ok)
{
    if (s->part)
        sink_end(s, SONDE_EPROTO,
                 ok ? "it was begun and not ended" : "it was broken off", -1);
    for (size_t i = 0; p && i < s->chunk_count; i++) {
        const struct chunk *c = &s->chunks[i];
        bool dynamic = c->family >= s->plugin->desc->family_count;
        const struct run run = { .family = dynamic ? SIZE_MAX : c->family,
                                 .row = s->families[c->family].row,
                                 .when = p->when.monotonic };

        if (c->part && is_slow(p, c->part - 1))
            kept_add(&p->items[c->part - 1].fresh, &run,
                     (sonde_str){ s->text.data + c->from, c->to - c->from });
    }
}

/* ---- the end of a collection --------------------------------------------- */

static void settle_lines(struct parts *p, struct part *part,
                         struct sonde_sink *s)
{
    const struct round *r = part->round;

    if (!r) {
        kept_again(p, part, s, NULL);
        return;
    }
    if (r->again || r->failed)
        kept_again(p, part, s, &part->fresh);
    kept_clear(&part->kept);
    part->kept = part->fresh;
    part->fresh = (struct kept){ 0 };
    part->due_at = r->again ? p->when.monotonic : p->when.monotonic + p->slow;
}

static void say(struct parts *p, size_t i, bool failing, const char *why)
{
    struct part *part = &p->items[i];
    const struct sonde_target *t = p->target;
    const char *name = parts_row(p, i)->name;

    if (part->failing == failing)
        return;
    part->failing = failing;
    if (failing)
        log_warn("plugin", "a collector fails", LOG_CSTR("plugin", t->plugin),
                 LOG_STR("job", t->job), LOG_STR("target", t->address),
                 LOG_CSTR("collector", name), LOG_CSTR("err", why));
    else
        log_info("plugin", "a collector is well again",
                 LOG_CSTR("plugin", t->plugin), LOG_STR("job", t->job),
                 LOG_STR("target", t->address), LOG_CSTR("collector", name));
}

static void settle_outcome(const struct parts *p, struct part *part)
{
    const struct round *r = part->round;

    if (!r)
        return;
    part->pending_seconds += r->seconds;
    if (r->again && !r->failed)
        return;
    part->seconds = part->pending_seconds;
    part->pending_seconds = 0;
    part->known = r->ok || r->failed;
    part->success = !r->failed;
    if (part->known && part->success)
        part->last_ok = p->when.now;
}

static void report(const struct parts *p, size_t i, struct sonde_sink *s)
{
    static const struct sonde_family rows[] = {
        { .name = PLUGIN_COLLECTOR_PREFIX "success",
          .type = SONDE_METRIC_GAUGE,
          .help = "Whether the part of the collection succeeded",
          .labels = { "collector" } },
        { .name = PLUGIN_COLLECTOR_PREFIX "duration_seconds",
          .type = SONDE_METRIC_GAUGE,
          .help = "What the part of the collection took",
          .labels = { "collector" } },
        { .name = PLUGIN_COLLECTOR_PREFIX "last_success_timestamp_seconds",
          .type = SONDE_METRIC_GAUGE,
          .help = "When the part of the collection succeeded last",
          .labels = { "collector" } },
    };
    const struct part *part = &p->items[i];
    const sonde_str *name = SONDE_LABELS(sonde_cstr(parts_row(p, i)->name));

    if (!part->known || (!part->round && !is_slow(p, i)))
        return;
    (void)sink_dynamic(s, &rows[0], name, part->success);
    (void)sink_dynamic(s, &rows[1], name, part->seconds);
    if (part->last_ok)
        (void)sink_dynamic(s, &rows[2], name, (double)part->last_ok / 1000);
}

void parts_begin(struct parts *p, struct parts_time when)
{
    if (!p)
        return;
    if (p->under_way) {
        struct sonde_sink *s = sink_new(p->plugin, p);

        parts_end(p, s, false);
        sink_free(s);
    }
    p->when = when;
    p->under_way = true;
}

void parts_end(struct parts *p, struct sonde_sink *s, bool ok)
{
    if (!p)
        return;
    parts_take(p, s, ok);
    for (size_t i = 0; i < p->count; i++)
        kept_note(&p->items[i].fresh, s);
    for (size_t i = 0; i < p->count; i++) {
        struct part *part = &p->items[i];
        const struct round *r = part->round;

        if (is_slow(p, i))
            settle_lines(p, part, s);
        settle_outcome(p, part);
        if (r && ok && !(r->again && !r->failed))
            say(p, i, r->failed, r->why);
    }
    for (size_t i = 0; i < p->count; i++) {
        report(p, i, s);
        free(p->items[i].round);
        p->items[i].round = NULL;
    }
    p->under_way = false;
}
