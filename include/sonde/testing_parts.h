/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fake host's parts of a collection: what each was begun and ended with
 * is recorded, what a failed one emitted is dropped. Include
 * <sonde/testing.h>.
 */
#ifndef SONDE_TESTING_PARTS_H
#define SONDE_TESTING_PARTS_H

#include <sonde/testing_fake.h>

/* Whether a part is due from here on. */
static inline void sonde_fake_due(struct sonde_fake *f, size_t collector,
                                  bool due)
{
    f->parts[collector % SONDE_FAKE_PARTS].not_due = !due;
}

static inline bool sonde_fake_has_part(struct sonde_sink *sink, size_t i)
{
    size_t n = sonde_fake_in_use->plugin->collector_count;

    if (i < n && i < SONDE_FAKE_PARTS)
        return true;
    (void)sonde_fake_refuse(sink, "collector %zu is not declared", i);
    return false;
}

static inline bool sonde_fake_is_due(struct sonde_sink *sink, size_t i)
{
    return sonde_fake_has_part(sink, i) && !sonde_fake_in_use->parts[i].not_due;
}

static inline void sonde_fake_part_begin(struct sonde_sink *sink, size_t i)
{
    struct sonde_fake *f = sonde_fake_in_use;

    if (sink->part) {
        (void)sonde_fake_refuse(sink, "collector %zu was begun inside of %zu",
                                i, sink->part - 1);
        return;
    }
    if (!sonde_fake_has_part(sink, i))
        return;
    f->parts[i].begun++;
    sink->part = i + 1;
    sink->part_code = SONDE_OK;
    sink->part_text = f->text.len;
    sink->part_keys = f->keys.len;
    sink->part_samples = sink->samples;
}

static inline void sonde_fake_cut(struct sonde_fake_text *t, size_t len)
{
    t->len = len;
    if (t->ptr)
        t->ptr[len] = '\0';
}

static inline void sonde_fake_part_end(struct sonde_sink *sink, sonde_code code,
                                       const char *why, double seconds)
{
    struct sonde_fake *f = sonde_fake_in_use;
    struct sonde_fake_part *p;

    if (!sink->part) {
        (void)sonde_fake_refuse(sink, "a part was ended and not begun");
        return;
    }
    p = &f->parts[sink->part - 1];
    if (sink->part_code != SONDE_OK) { /* what was emitted was wrong */
        code = sink->part_code;
        why = sink->part_err;
    }
    if (code != SONDE_OK) {
        sonde_fake_cut(&f->text, sink->part_text);
        sonde_fake_cut(&f->keys, sink->part_keys);
        sink->samples = sink->part_samples;
    }
    if (!p->failed) {
        p->code = code;
        (void)snprintf(p->why, sizeof(p->why), "%s", why ? why : "");
    }
    p->failed +=
        code != SONDE_OK && code != SONDE_EAGAIN && code != SONDE_EUNSUPPORTED;
    p->seconds += seconds > 0 ? seconds : 0;
    sink->part = 0;
    sink->part_code = SONDE_OK;
}

static inline void sonde_fake_discard(struct sonde_sink *sink)
{
    struct sonde_fake *f = sonde_fake_in_use;

    sonde_fake_clear(&f->text);
    sonde_fake_clear(&f->keys);
    sink->samples = sink->part_samples = 0;
    sink->part_text = sink->part_keys = 0;
    f->discarded++;
}

#endif
