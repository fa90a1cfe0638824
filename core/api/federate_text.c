/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A federated page as text 0.0.4: one TYPE line a name, everything untyped.
 * Native histograms have no place in it and are left out, as Prometheus leaves
 * them out. A name that is not legal in the text format is shown by its
 * underscored form, unless the client says that it reads quoted names.
 */
#include "api/federate.h"
#include "expo/expo.h"
#include "model/number.h"
#include "util/str.h"

void federate_put_name(struct buf *b, sonde_str name, bool colon)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        bool digit = c >= '0' && c <= '9' && i > 0;

        if ((c & 0xc0) == 0x80)
            continue; /* one underscore for a whole character */
        buf_char(b, letter || digit || c == '_' || (c == ':' && colon) ? (char)c
                                                                       : '_');
    }
}

static void put_quoted(struct buf *b, sonde_str s)
{
    buf_char(b, '"');
    expo_write_escaped(b, s);
    buf_char(b, '"');
}

static void put_label(const struct federation *f, struct buf *b,
                      const struct label *l, bool *comma)
{
    buf_char(b, *comma ? ',' : '{');
    *comma = true;
    if (label_name_is_legacy(l->name) || !f->utf8)
        federate_put_name(b, l->name, false);
    else
        put_quoted(b, l->name);
    buf_char(b, '=');
    put_quoted(b, l->value);
}

static void put_sample(const struct federation *f, struct buf *b,
                       const struct fed_sample *s)
{
    bool quoted = f->utf8 && !metric_name_is_legacy(s->name), comma = false;

    if (quoted) {
        buf_char(b, '{');
        put_quoted(b, s->name);
        comma = true;
    } else {
        federate_put_name(b, s->name, true);
    }
    for (size_t i = 0; i < s->labels->count; i++)
        if (!str_eq_cstr(s->labels->items[i].name, LABEL_NAME))
            put_label(f, b, &s->labels->items[i], &comma);
    for (size_t i = 0; i < f->external.count; i++)
        if (labels_get(s->labels, f->external.items[i].name).len == 0)
            put_label(f, b, &f->external.items[i], &comma);
    if (comma)
        buf_char(b, '}');
    buf_char(b, ' ');
    buf_number(b, s->v, NUMBER_TEXT);
    buf_char(b, ' ');
    buf_int(b, s->t);
    buf_char(b, '\n');
}

static void put_type(const struct federation *f, struct buf *b, sonde_str name)
{
    buf_cstr(b, "# TYPE ");
    if (f->utf8 && !metric_name_is_legacy(name))
        put_quoted(b, name);
    else
        federate_put_name(b, name, true);
    buf_cstr(b, " untyped\n");
}

void federate_text(const struct federation *f, struct http_stream *h)
{
    const sonde_str *last = NULL;

    for (size_t i = 0; i < f->count && http_stream_flush(h); i++) {
        const struct fed_sample *s = &f->samples[i];

        if (s->kind != FED_FLOAT)
            continue;
        if (!last || !sonde_str_eq(s->name, *last))
            put_type(f, &h->buf, s->name);
        last = &s->name;
        put_sample(f, &h->buf, s);
    }
}
