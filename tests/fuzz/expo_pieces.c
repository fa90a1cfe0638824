/* SPDX-License-Identifier: Apache-2.0 */
/*
 * However a body is cut into pieces, the scanner gives the same samples and
 * metadata and fails or not alike: the body is read whole, byte by byte, and
 * in pieces whose sizes follow from the body, and what the callbacks were
 * given is compared as text. (Whole bodies mostly take the scanner's short
 * cut, single bytes never do, so this also says that both mean the same.)
 * Each series that is accepted is written out and read again.
 */
#include "fuzz/expo_pieces.h"

#include <stdlib.h>

#include "util/bytes.h"
#include "util/mem.h"

struct record {
    struct buf text;
    enum expo_format format;
    struct arena arena;
    struct labels_builder lb;
    bool failed;
};

static void put_labels(struct buf *b, const struct labels *l)
{
    for (size_t i = 0; i < l->count; i++) {
        buf_uvarint_str(b, l->items[i].name);
        buf_uvarint_str(b, l->items[i].value);
    }
}

/* Text that we write means what it was written from. */
static void read_again(struct record *r, const struct labels *l)
{
    struct labels_builder lb;
    struct labels again;
    struct buf text = { 0 };
    sonde_str series;

    expo_write_sample(&text, l, 1, NULL);
    series = (sonde_str){ text.data, text.len - 3 };
    labels_builder_init(&lb, &r->arena);
    if (expo_series(series, EXPO_TEXT, &lb, NULL))
        SONDE_BUG("cannot read our own %.*s", SONDE_ARG(series));
    again = labels_builder_view(&lb);
    if (!labels_eq(l, &again))
        SONDE_BUG("read something else from %.*s", SONDE_ARG(series));
    buf_fini(&text);
}

static bool has_leading_blank(sonde_str s)
{
    return s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t');
}

static sonde_code on_sample(void *arg, const struct expo_sample *s,
                            struct sonde_err *err)
{
    struct record *r = arg;
    struct labels l;
    sonde_code rc;

    arena_reset(&r->arena);
    labels_builder_init(&r->lb, &r->arena);
    rc = expo_series(s->series, r->format, &r->lb, err);
    if (rc)
        return rc;
    expo_normalise_bounds(&r->lb, s->type);
    l = labels_builder_view(&r->lb);
    buf_char(&r->text, 's');
    buf_uvarint_str(&r->text, s->series);
    put_labels(&r->text, &l);
    buf_be64(&r->text, double_bits(s->value));
    buf_varint(&r->text, s->has_t ? s->t : -1);
    buf_uvarint_str(&r->text, s->exemplar);
    buf_uvarint(&r->text, (uint64_t)s->type);
    if (!has_leading_blank(s->series))
        read_again(r, &l);
    return SONDE_OK;
}

static sonde_code on_meta(void *arg, const struct expo_meta *m,
                          struct sonde_err *err)
{
    struct record *r = arg;

    (void)err;
    buf_char(&r->text, 'm');
    buf_uvarint(&r->text, (uint64_t)m->kind);
    buf_uvarint(&r->text, (uint64_t)m->type);
    buf_uvarint_str(&r->text, m->family);
    buf_uvarint_str(&r->text, m->text);
    return SONDE_OK;
}

/* `step` 0: sizes taken from the body itself. Each piece is a copy of its
 * own, so that reads beyond it are seen. */
static void run(struct record *r, sonde_str body, size_t step)
{
    struct expo_handler handler = { on_sample, on_meta, r };
    struct expo_scanner s;
    struct sonde_err err;
    size_t at = 0, seed = body.len;
    sonde_code rc = SONDE_OK;

    expo_scanner_init(&s, r->format, &handler);
    s.line_max_bytes = 4096;
    while (at < body.len && rc == SONDE_OK) {
        size_t n = step ? step : 1 + seed % 61;
        char *piece;

        if (n > body.len - at)
            n = body.len - at;
        piece = mem_alloc(n);
        memcpy(piece, body.ptr + at, n);
        rc = expo_scan(&s, (sonde_str){ piece, n }, &err);
        free(piece);
        at += n;
        seed = seed * 31 + (unsigned char)body.ptr[at - 1];
    }
    if (rc == SONDE_OK)
        rc = expo_scan_end(&s, &err);
    r->failed = rc != SONDE_OK;
    expo_scanner_fini(&s);
}

void expo_pieces(enum expo_format format, sonde_str body)
{
    const size_t steps[] = { body.len ? body.len : 1, 1, 0 };
    struct record r[3];

    for (size_t i = 0; i < 3; i++) {
        r[i] = (struct record){ .format = format };
        arena_init(&r[i].arena);
        buf_init(&r[i].text);
        run(&r[i], body, steps[i]);
        if (r[i].failed != r[0].failed ||
            !sonde_str_eq(buf_str(&r[i].text), buf_str(&r[0].text)))
            SONDE_BUG("pieces of %zu read something else", steps[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        buf_fini(&r[i].text);
        arena_fini(&r[i].arena);
    }
}
