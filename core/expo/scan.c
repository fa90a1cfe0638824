/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanner: from pieces of a body to samples and metadata. This runs for
 * every sample of every scrape, so a line that looks as lines do is cut
 * without reading it through: find the LF, find the last '}' before it, and
 * parse the number behind it. The rest of this comment says why that cut is
 * exact although label values may hold anything, raw LFs and '}' included.
 *
 * Call a series text *valid* if expo_series takes it. A valid text with
 * braces ends at its first '}' outside of quotes, so no valid text is the
 * beginning of another one: if what was cut off a line is valid, it is the
 * series of that line, whatever found the cut. A wrong cut is hence never
 * taken for another series; the worst it could do is to refuse a line that
 * should be read. That does not happen either, because the short cut only
 * takes lines that go
 *
 *     first  ... X  "  }  tail  LF
 *
 * where `first` begins a name or is '{', X is none of  \ = , { " space tab,
 * and the tail is blank, a number, perhaps a timestamp. In a text that is
 * readable up to that quote, the quote can not be escaped (X is no
 * backslash), and it does not open a string (an opening quote follows one of
 * = , { or a blank, or another quote); so it closes one, and the '}' after it
 * ends the braces, and the LF is outside of quotes. In a text that is not
 * readable up to that quote, the cut is not valid and the scrape fails, as it
 * must. An OpenMetrics line can have a second pair of braces, the
 * exemplar's; there the short cut also asks that no '#' is in the cut.
 *
 * Without any '}' before the LF, the series is the run of name characters
 * that the line begins with, if a blank follows and the tail is a number:
 * a '{' cannot be in between.
 *
 * All other lines (comments, empty last values, exemplars, errors) are read
 * slowly and exactly by line.c. Where such a line ends is decided by
 * line_ends(), which walks over quotes and remembers how far it came, so that
 * a value of a million LFs, fed byte by byte, costs one pass.
 *
 * Complete lines are read in place. A torn one is copied to `rest` and
 * finished there when more comes; nothing else is copied or allocated.
 *
 * Rejected: a vectorised pass over all quotes, braces and LFs (exact without
 * the argument above, but two to three times the cost, as it looks at each
 * byte four times), and reading the series into labels here (most lines are
 * known by their bytes).
 */
#include "expo/expo_int.h"
#include "model/number.h"
#include "model/sample.h"

/* How line_ends() reads the line at hand. */
enum quoting {
    QUOTING_NEW,    /* nothing of it is known                             */
    QUOTING_NAME,   /* before the brace that opens the labels             */
    QUOTING_LABELS, /* between the braces, outside of quotes              */
    QUOTING_VALUE,  /* in quotes there                                    */
    QUOTING_FAMILY, /* in the quoted name of a HELP or TYPE line          */
    QUOTING_NONE,   /* quotes mean nothing (any more): the next LF ends   */
};

void expo_scanner_init(struct expo_scanner *s, enum expo_format format,
                       const struct expo_handler *handler)
{
    *s = (struct expo_scanner){ .format = format,
                                .handler = handler,
                                .line_max_bytes = EXPO_LINE_MAX_BYTES,
                                .line = 1 };
    buf_init(&s->rest);
    buf_init(&s->scratch);
}

void expo_scanner_fini(struct expo_scanner *s)
{
    buf_fini(&s->rest);
    buf_fini(&s->scratch);
}

static sonde_code too_long(const struct expo_scanner *s, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ELIMIT,
                         "line %zu: a line is longer than %zu bytes", s->line,
                         s->line_max_bytes);
}

static sonde_code at_line(const struct expo_scanner *s, sonde_code rc,
                          struct sonde_err *err)
{
    if (rc == SONDE_EPARSE)
        (void)sonde_err_prefix(err, "line %zu", s->line);
    return rc;
}

/* ---- the short cut ------------------------------------------------------ */

/* Digits of a timestamp, followed by the LF; more than 18 are left to the
 * exact reader. */
static inline bool cut_time(const char *p, const char *lf, sonde_msec *out)
{
    const char *first = p;
    sonde_msec t = 0;

    if (lf - p > 18)
        return false;
    for (; char_is(*p, CHAR_DIGIT); p++)
        t = t * 10 + (*p - '0');
    *out = t;
    return p == lf && p != first;
}

/* ' ' value [' ' milliseconds] LF; the timestamp in text only. The LF stops
 * every loop. */
static inline bool cut_tail(enum expo_format format, const char *p,
                            const char *lf, struct expo_sample *out)
{
    const char *first;

    if (*p != ' ')
        return false;
    first = ++p;
    while ((unsigned char)*p > ' ')
        p++;
    if (!number_parse((sonde_str){ first, (size_t)(p - first) }, &out->value))
        return false;
    out->has_t = p != lf;
    if (p == lf)
        return true;
    return format == EXPO_TEXT && *p == ' ' && cut_time(p + 1, lf, &out->t);
}

/* Cuts the line [p, lf), *lf being a LF. False: it takes the long way. */
static inline bool cut(enum expo_format format, const char *p, const char *lf,
                       struct expo_sample *out)
{
    const char *brace, *after;

    if (!char_is(*p, CHAR_NAME_START) && *p != '{')
        return false;
    brace = memrchr(p, '}', (size_t)(lf - p));
    if (brace) {
        if (brace - p < 2 || brace[-1] != '"' ||
            char_is(brace[-2], CHAR_QUOTE_OPENS))
            return false;
        if (format == EXPO_OPENMETRICS && memchr(p, '#', (size_t)(brace - p)))
            return false;
        after = brace + 1;
    } else {
        after = p;
        while (char_is(*after, CHAR_NAME))
            after++;
    }
    out->series = (sonde_str){ p, (size_t)(after - p) };
    return cut_tail(format, after, lf, out);
}

static inline sonde_code give_sample(struct expo_scanner *s,
                                     struct expo_sample *sample,
                                     struct sonde_err *err)
{
    if (__builtin_isnan(sample->value))
        sample->value = bits_double(NORMAL_NAN_BITS);
    return s->handler->sample(s->handler->arg, sample, err);
}

/* ---- the long way ------------------------------------------------------- */

static sonde_code read_sample(struct expo_scanner *s, const char *p,
                              const char *end, struct sonde_err *err)
{
    struct expo_sample sample = { .type = s->type };
    const char *after = line_series_end(s->format, p, end, err);
    sonde_code rc;

    if (!after)
        return SONDE_EPARSE;
    sample.series = (sonde_str){ p, (size_t)(after - p) };
    rc = line_tail(s->format, after, end, &sample, err);
    return rc ? rc : give_sample(s, &sample, err);
}

static sonde_code read_meta(struct expo_scanner *s, const char *p,
                            const char *end, struct sonde_err *err)
{
    struct meta_line l = {
        .format = s->format, .p = p, .end = end, .scratch = &s->scratch
    };
    sonde_code rc = line_meta(&l, err);

    if (rc)
        return rc;
    s->ended = l.kind == LINE_EOF;
    if (l.kind != LINE_META)
        return SONDE_OK;
    if (l.meta.kind == EXPO_META_TYPE)
        s->type = l.meta.type;
    return s->handler->meta ? s->handler->meta(s->handler->arg, &l.meta, err)
                            : SONDE_OK;
}

/* A complete line without its LF. */
static sonde_code read_line(struct expo_scanner *s, const char *p,
                            const char *end, struct sonde_err *err)
{
    const char *first = s->format == EXPO_TEXT ? skip_blanks(p, end) : p;

    if (first == end)
        return s->format == EXPO_TEXT
                   ? SONDE_OK
                   : sonde_err_set(err, SONDE_EPARSE, "a line is empty");
    if (*first == '\0' && s->format == EXPO_TEXT) {
        s->ended = true;
        return SONDE_OK;
    }
    if (*first == '#')
        return read_meta(s, first, end, err);
    return read_sample(s, p, end, err);
}

static size_t count_lines(const char *p, const char *end)
{
    size_t n = 0;

    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        p++;
        n++;
    }
    return n;
}

/* ---- where a line ends -------------------------------------------------- */

static void quoting_begin(struct expo_scanner *s, const char *line, size_t n)
{
    const char *end = line + n;
    const char *quote = line_meta_quote(s->format, line, end);
    const char *first = skip_blanks(line, end);

    s->quoting_at = 0;
    if (quote) {
        s->quoting = QUOTING_FAMILY;
        s->quoting_at = (size_t)(quote - line) + 1;
    } else if (s->format == EXPO_TEXT && first < end && *first != '#' &&
               *first != '\0') {
        s->quoting = QUOTING_NAME;
    } else {
        s->quoting = QUOTING_NONE;
    }
}

/* One byte further; two over what a backslash escapes. */
static void quoting_step(struct expo_scanner *s, char c)
{
    s->quoting_at++;
    if (s->quoting == QUOTING_NAME) {
        if (c == '{')
            s->quoting = QUOTING_LABELS;
    } else if (s->quoting == QUOTING_LABELS) {
        if (c == '}')
            s->quoting = QUOTING_NONE;
        else if (c == '"')
            s->quoting = QUOTING_VALUE;
    } else if (c == '\\') {
        s->quoting_at++;
    } else if (c == '"') {
        s->quoting =
            s->quoting == QUOTING_VALUE ? QUOTING_LABELS : QUOTING_NONE;
    }
}

/* Whether the LF at line[n] ends the line; the LFs before it did not. */
static bool line_ends(struct expo_scanner *s, const char *line, size_t n)
{
    if (s->quoting == QUOTING_NEW)
        quoting_begin(s, line, n);
    while (s->quoting_at < n && s->quoting != QUOTING_NONE)
        quoting_step(s, line[s->quoting_at]);
    return s->quoting != QUOTING_VALUE && s->quoting != QUOTING_FAMILY;
}

/* The LF that ends the line at `p`, given its first LF; NULL if it has not
 * come yet. */
static const char *find_end(struct expo_scanner *s, const char *p,
                            const char *lf, const char *end)
{
    s->quoting = QUOTING_NEW;
    while (lf && !line_ends(s, p, (size_t)(lf - p)))
        lf = memchr(lf + 1, '\n', (size_t)(end - lf) - 1);
    return lf;
}

/* ---- pieces ------------------------------------------------------------- */

/* The complete line [p, lf) the long way. */
static sonde_code long_way(struct expo_scanner *s, const char *p,
                           const char *lf, struct sonde_err *err)
{
    sonde_code rc;

    if ((size_t)(lf - p) > s->line_max_bytes)
        return too_long(s, err);
    rc = read_line(s, p, lf, err);
    if (rc)
        return at_line(s, rc, err);
    s->line += count_lines(p, lf + 1);
    return SONDE_OK;
}

/* Reads the complete lines from *at on; *at is then at the torn one. */
static sonde_code read_lines(struct expo_scanner *s, const char **at,
                             const char *end, struct sonde_err *err)
{
    const enum expo_format format = s->format;
    struct expo_sample sample = { 0 };
    const char *p = *at, *lf;
    sonde_code rc = SONDE_OK;

    while (p < end && !s->ended) {
        lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf)
            break;
        if ((size_t)(lf - p) <= s->line_max_bytes &&
            cut(format, p, lf, &sample)) {
            sample.type = s->type;
            rc = at_line(s, give_sample(s, &sample, err), err);
            s->line++;
        } else {
            lf = find_end(s, p, lf, end);
            if (!lf)
                break;
            rc = long_way(s, p, lf, err);
        }
        if (rc)
            break;
        p = lf + 1;
    }
    *at = p;
    return rc;
}

/* Takes from *at what finishes the torn line in `rest`, and reads it. */
static sonde_code finish_rest(struct expo_scanner *s, const char **at,
                              const char *end, struct sonde_err *err)
{
    while (*at < end && s->rest.len) {
        const char *lf = memchr(*at, '\n', (size_t)(end - *at));
        size_t n = (size_t)((lf ? lf : end) - *at);
        sonde_code rc;

        if (s->rest.len + n > s->line_max_bytes)
            return too_long(s, err);
        buf_bytes(&s->rest, *at, n);
        *at += n;
        if (!lf)
            return SONDE_OK;
        buf_char(&s->rest, '\n');
        ++*at;
        if (!line_ends(s, s->rest.data, s->rest.len - 1))
            continue;
        rc = long_way(s, s->rest.data, s->rest.data + s->rest.len - 1, err);
        if (rc)
            return rc;
        buf_reset(&s->rest);
        s->quoting = QUOTING_NEW;
    }
    return SONDE_OK;
}

/* Keeps the torn line. If it has LFs (in quotes), find_end() left off in
 * it. */
static sonde_code keep_rest(struct expo_scanner *s, const char *p,
                            const char *end, struct sonde_err *err)
{
    size_t n = (size_t)(end - p);

    if (n > s->line_max_bytes)
        return too_long(s, err);
    if (!memchr(p, '\n', n))
        s->quoting = QUOTING_NEW;
    buf_bytes(&s->rest, p, n);
    return SONDE_OK;
}

static sonde_code after_end(const struct expo_scanner *s, size_t n,
                            struct sonde_err *err)
{
    if (s->format == EXPO_TEXT || n == 0)
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EPARSE, "unexpected data after # EOF");
}

static sonde_code scan(struct expo_scanner *s, sonde_str piece,
                       struct sonde_err *err)
{
    const char *p = piece.ptr, *end = p + piece.len;
    sonde_code rc = SONDE_OK;

    if (!s->ended && s->rest.len)
        rc = finish_rest(s, &p, end, err);
    if (rc == SONDE_OK && !s->ended && s->rest.len == 0)
        rc = read_lines(s, &p, end, err);
    if (rc == SONDE_OK && s->ended)
        rc = after_end(s, (size_t)(end - p), err);
    else if (rc == SONDE_OK && p < end)
        rc = keep_rest(s, p, end, err);
    return rc;
}

/* The line that the body ends in without a LF. */
static sonde_code scan_rest(struct expo_scanner *s, struct sonde_err *err)
{
    sonde_str rest = buf_str(&s->rest);

    if (s->ended)
        return SONDE_OK;
    if (s->format == EXPO_TEXT) {
        if (rest.len == 0)
            return SONDE_OK;
        buf_char(&s->rest, '\n');
        return long_way(s, s->rest.data, s->rest.data + rest.len, err);
    }
    /* A body of no bytes at all is an empty scrape. */
    if (sonde_str_eq(rest, SONDE_STR("# EOF")) ||
        (rest.len == 0 && s->line == 1))
        return SONDE_OK;
    return sonde_err_set(err, SONDE_EPARSE, "data does not end with # EOF");
}

static sonde_code failed_before(const struct expo_scanner *s,
                                struct sonde_err *err)
{
    return sonde_err_set(err, s->failed,
                         "line %zu: the scan of this body has failed", s->line);
}

sonde_code expo_scan(struct expo_scanner *s, sonde_str piece,
                     struct sonde_err *err)
{
    if (s->failed)
        return failed_before(s, err);
    if (piece.len)
        s->failed = scan(s, piece, err);
    return s->failed;
}

sonde_code expo_scan_end(struct expo_scanner *s, struct sonde_err *err)
{
    if (s->failed)
        return failed_before(s, err);
    s->failed = scan_rest(s, err);
    return s->failed;
}
