/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a collection, as the sink sees them. A part's lines are chunks of
 * their own behind a mark; one that fails is undone by going back to the
 * mark. An error inside a part (a label that is not UTF-8, a series twice, a
 * limit) sticks to the part alone and becomes its failure at `end`.
 */
#include <math.h>

#include "plugin/parts.h"
#include "plugin/sink_int.h"
#include "util/clock.h"

static const struct sonde_collector *row_of(struct sonde_sink *s, size_t i)
{
    const struct sonde_collector *row = parts_row(s->parts, i);

    if (!row)
        (void)sink_fail(s, SONDE_EINVAL,
                        "collector %zu was named, the plugin declares %zu", i,
                        plugin_collector_count(s->plugin));
    return row;
}

bool sink_due(struct sonde_sink *s, size_t collector)
{
    return row_of(s, collector) && parts_is_due(s->parts, collector);
}

void sink_begin(struct sonde_sink *s, size_t collector)
{
    const struct sonde_collector *row = row_of(s, collector);

    if (!row)
        return;
    if (s->part) {
        (void)sink_fail(s, SONDE_EINVAL,
                        "collector %s was begun inside of collector %s",
                        row->name, parts_row(s->parts, s->part - 1)->name);
        return;
    }
    s->part = collector + 1;
    s->part_code = SONDE_OK;
    s->part_began_ns = clock_ns();
    s->current = SIZE_MAX;
    s->mark = (struct sink_mark){ .text = s->text.len,
                                  .chunks = s->chunk_count,
                                  .order = s->order_count,
                                  .samples = s->samples };
}

/* What is to be kept is bounded more narrowly than a collection. */
static void check_kept(struct sonde_sink *s)
{
    const struct sonde_collector *row = parts_row(s->parts, s->part - 1);

    if ((row->flags & SONDE_COLLECTOR_SLOW) &&
        s->text.len - s->mark.text > PLUGIN_KEPT_BYTES_MAX)
        (void)sink_fail(s, SONDE_ELIMIT,
                        "more than %zu bytes of samples in a slow part",
                        PLUGIN_KEPT_BYTES_MAX);
}

void sink_end(struct sonde_sink *s, sonde_code code, const char *why,
              double seconds)
{
    if (!s->part) {
        (void)sink_fail(s, SONDE_EINVAL, "a part was ended and not begun");
        return;
    }
    if (!isfinite(seconds) || seconds < 0)
        seconds = (double)(clock_ns() - s->part_began_ns) / 1e9;
    if (code == SONDE_OK)
        check_kept(s);
    if (s->part_code != SONDE_OK) {
        code = s->part_code;
        why = s->part_err.text;
    }
    if (code != SONDE_OK)
        sink_rewind(s, &s->mark);
    parts_note(s->parts, s->part - 1, code, why, seconds);
    s->part = 0;
    s->part_code = SONDE_OK;
    s->current = SIZE_MAX;
}

void sink_discard(struct sonde_sink *s)
{
    s->mark = (struct sink_mark){ 0 };
    sink_rewind(s, &s->mark);
    parts_discard(s->parts);
}
