/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Success and duration by the exporter's collectors, of which some are two
 * parts here (what is cheap, and sizes at their own interval). A part that
 * was not due keeps what it said last.
 */
#include "report.h"

#include "families.h"

static void emit_plain(struct sonde_instance *i, size_t family, double value)
{
    emit_sample(&i->emit, family, NULL, value);
}

static bool first_of_group(size_t c)
{
    for (size_t k = 0; k < c; k++) {
        if (collectors[k].group &&
            strcmp(collectors[k].group, collectors[c].group) == 0)
            return false;
    }
    return true;
}

static void emit_group(struct sonde_instance *i, size_t first)
{
    const char *group = collectors[first].group;
    bool on = false, ok = true;
    double seconds = 0;

    for (size_t c = first; c < COLLECTOR_COUNT; c++) {
        const struct part *p = &i->parts[c];

        if (!collectors[c].group || strcmp(collectors[c].group, group) != 0 ||
            !collector_on(i, c))
            continue;
        on = true;
        ok = ok && !p->failed && !p->missing;
        seconds += p->ran ? p->seconds : 0;
    }
    if (!on)
        return;
    emit_sample(&i->emit, F_COLLECTOR_SUCCESS, SONDE_LABELS(sonde_cstr(group)),
                ok);
    emit_sample(&i->emit, F_COLLECTOR_DURATION, SONDE_LABELS(sonde_cstr(group)),
                seconds);
}

/* "15.18.0", "9.6.24": always three numbers. */
static void emit_static(struct sonde_instance *i)
{
    char number[48];

    if (i->version >= 100000)
        (void)snprintf(number, sizeof(number), "%d.%d.0", i->version / 10000,
                       i->version % 10000);
    else
        (void)snprintf(number, sizeof(number), "%d.%d.%d", i->version / 10000,
                       i->version / 100 % 100, i->version % 100);
    if (i->version_text)
        emit_sample(&i->emit, F_STATIC,
                    SONDE_LABELS(sonde_cstr(i->version_text),
                                 sonde_cstr(number), i->server),
                    1);
}

static bool any_failed(const struct sonde_instance *i)
{
    for (size_t c = 0; c < COLLECTOR_COUNT; c++) {
        if (i->parts[c].ran && i->parts[c].failed)
            return true;
    }
    return i->queries_bad;
}

void report_emit(struct sonde_instance *i, bool up, double seconds)
{
    for (size_t c = 0; up && c < COLLECTOR_COUNT; c++) {
        if (collectors[c].group && first_of_group(c))
            emit_group(i, c);
    }
    if (up && !i->options->disable_default_metrics)
        emit_static(i);
    queries_report(i);
    if (i->options->auth_modules.len) {
        emit_plain(i, F_RELOAD_OK, i->auth_ok);
        emit_plain(i, F_RELOAD_TIME, i->auth_time);
    }
    emit_plain(i, F_UP, up);
    emit_plain(i, F_LAST_ERROR, !up || any_failed(i));
    emit_plain(i, F_LAST_DURATION, seconds);
    emit_plain(i, F_SCRAPES, (double)i->scrapes);
    emit_plain(i, F_CONNECT_DURATION, i->connect_seconds);
    emit_plain(i, F_CONNECTS, (double)i->connects);
    emit_plain(i, F_DROPPED, (double)i->emit.dropped);
}
