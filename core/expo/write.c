/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing text 0.0.4, as Prometheus' own encoder writes it: HELP if there is
 * one, always TYPE, labels in the order of the set, numbers in the shortest
 * form. The format knows five types; the others become what scrapers of it
 * make of them (an info or a stateset is a gauge). Names that are not plain
 * are written quoted, inside of the braces, which readers of "escaping=
 * allow-utf-8" take.
 */
#include "expo/expo_int.h"
#include "model/number.h"

/* Runs of bytes that need no escaping go over in one piece. */
static void write_escaped(struct buf *b, sonde_str s, enum expo_escapes escapes)
{
    size_t from = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c != '\\' && c != '\n' && (c != '"' || escapes == ESCAPES_HELP))
            continue;
        buf_bytes(b, s.ptr + from, i - from);
        buf_char(b, '\\');
        buf_char(b, c == '\n' ? 'n' : c);
        from = i + 1;
    }
    if (from < s.len)
        buf_bytes(b, s.ptr + from, s.len - from);
}

void expo_write_escaped(struct buf *b, sonde_str value)
{
    write_escaped(b, value, ESCAPES_VALUE);
}

static void write_quoted(struct buf *b, sonde_str s)
{
    buf_char(b, '"');
    write_escaped(b, s, ESCAPES_VALUE);
    buf_char(b, '"');
}

static const char *text_type(enum metric_type t)
{
    switch (t) {
    case METRIC_COUNTER:
    case METRIC_GAUGE:
    case METRIC_HISTOGRAM:
    case METRIC_SUMMARY:
        return metric_type_name(t);
    case METRIC_GAUGE_HISTOGRAM:
        return "histogram";
    case METRIC_INFO:
    case METRIC_STATESET:
        return "gauge";
    case METRIC_UNKNOWN:
    case METRIC_TYPE_COUNT:
        break;
    }
    return "untyped";
}

static void write_family_name(struct buf *b, sonde_str name)
{
    if (metric_name_is_legacy(name))
        buf_put(b, name);
    else
        write_quoted(b, name);
}

void expo_write_family(struct buf *b, const struct metadata *m)
{
    if (m->help.len) {
        buf_cstr(b, "# HELP ");
        write_family_name(b, m->family);
        buf_char(b, ' ');
        write_escaped(b, m->help, ESCAPES_HELP);
        buf_char(b, '\n');
    }
    buf_cstr(b, "# TYPE ");
    write_family_name(b, m->family);
    buf_char(b, ' ');
    buf_cstr(b, text_type(m->type));
    buf_char(b, '\n');
}

static void write_label(struct buf *b, const struct label *l)
{
    if (label_name_is_legacy(l->name))
        buf_put(b, l->name);
    else
        write_quoted(b, l->name);
    buf_char(b, '=');
    write_quoted(b, l->value);
}

void expo_write_sample(struct buf *b, const struct labels *l, double v,
                       const sonde_msec *t)
{
    sonde_str name = labels_get(l, SONDE_STR(LABEL_NAME));
    bool plain = metric_name_is_legacy(name);
    char before = '{';

    if (plain) {
        buf_put(b, name);
    } else if (name.len) {
        buf_char(b, '{');
        write_quoted(b, name);
        before = ',';
    }
    for (size_t i = 0; i < l->count; i++) {
        if (sonde_str_eq(l->items[i].name, SONDE_STR(LABEL_NAME)))
            continue;
        buf_char(b, before);
        write_label(b, &l->items[i]);
        before = ',';
    }
    if (before == ',')
        buf_char(b, '}');
    buf_char(b, ' ');
    buf_number(b, v, NUMBER_TEXT);
    if (t) {
        buf_char(b, ' ');
        buf_int(b, *t);
    }
    buf_char(b, '\n');
}
