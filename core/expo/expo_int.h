/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this room share: classes of characters, the reader of
 * name="value" pairs, and the readers of one line's parts.
 */
#ifndef EXPO_EXPO_INT_H
#define EXPO_EXPO_INT_H

#include <sonde/base.h>

#include "expo/expo.h"

/* Labels of one line; more are an error, so that looking for duplicates
 * stays cheap whatever a target sends. */
#define EXPO_LABELS_MAX 1024

enum {
    CHAR_NAME_START = 1 << 0, /* [a-zA-Z_:]                               */
    CHAR_NAME = 1 << 1,       /* [a-zA-Z0-9_:]                            */
    CHAR_BLANK = 1 << 2,      /* space, tab                               */
    /* What may stand before an opening quote, or escape a quote: after one
     * of these a quote is not surely a closing one. */
    CHAR_QUOTE_OPENS = 1 << 3,
    CHAR_DIGIT = 1 << 4,
};
extern const uint8_t expo_char[256];

static inline bool char_is(char c, unsigned classes)
{
    return (expo_char[(unsigned char)c] & classes) != 0;
}

/* Past the name that begins at `p`; `p` itself if none does. */
const char *name_end(const char *p, const char *end);
const char *skip_blanks(const char *p, const char *end);
/* Past the closing quote of the string whose opening quote is at `p`, or
 * NULL. A backslash takes the next byte with it, but never a LF; `lf_ok`:
 * the string may hold raw LFs. */
const char *quoted_end(const char *p, const char *end, bool lf_ok);

/* Escapes, as each place has them. */
enum expo_escapes {
    ESCAPES_VALUE, /* \\ \" \n: label values, quoted names, OpenMetrics HELP */
    ESCAPES_HELP,  /* \\ \n: HELP of the text format                      */
};
/* `s` itself if nothing is escaped, else unescaped into `to`, which has room
 * for s.len bytes. Other backslash pairs stay as they are. */
sonde_str unescape(sonde_str s, enum expo_escapes escapes, char *to);

/* A piece of input made fit for an error message. */
struct shown {
    char text[100];
};
struct shown show(const char *p, const char *end);
static inline struct shown show_str(sonde_str s)
{
    return show(s.ptr, s.ptr + s.len);
}

/* ---- series.c: what stands in braces ------------------------------------ */

/* Pairs one by one; `p` is past the opening brace at first, past the closing
 * one when pairs_next says that no more come. */
struct pairs {
    const char *p, *end;
    enum expo_format format;
    bool exemplar; /* has no metric name */
    size_t count;
};
struct pair {
    sonde_str name; /* without quotes, still escaped */
    sonde_str value;
    bool quoted;   /* the name was */
    bool is_value; /* false: a quoted metric name alone */
};
SONDE_NODISCARD sonde_code pairs_next(struct pairs *r, struct pair *out,
                                      bool *more, struct sonde_err *err);

/* A label's name or value without escapes; the arena's if there were any. */
sonde_str unescape_in(struct arena *a, sonde_str s);

/* ---- line.c: one complete line ------------------------------------------ */

/* The text after the series: value, timestamp, exemplar; all of [p, end). */
SONDE_NODISCARD sonde_code line_tail(enum expo_format format, const char *p,
                                     const char *end, struct expo_sample *out,
                                     struct sonde_err *err);
/* Past the series part of the sample line [p, end), however it is written;
 * NULL and an error if it has no end. */
const char *line_series_end(enum expo_format format, const char *p,
                            const char *end, struct sonde_err *err);

/* ---- meta.c: lines that begin with # ------------------------------------- */

enum line_kind {
    LINE_COMMENT,
    LINE_META,
    LINE_EOF
};
struct meta_line {
    enum expo_format format;
    const char *p, *end;   /* from the '#' on */
    struct buf *scratch;   /* gets texts that are unescaped                 */
    enum line_kind kind;   /* what it turned out to be ...                  */
    struct expo_meta meta; /* ... and LINE_META's                          */
};
/* Reads a line whose first four fields are set. */
SONDE_NODISCARD sonde_code line_meta(struct meta_line *l,
                                     struct sonde_err *err);
/* If [p, end) begins a HELP, TYPE or UNIT line whose family is quoted: where
 * the opening quote is. NULL otherwise. */
const char *line_meta_quote(enum expo_format format, const char *p,
                            const char *end);

#endif
