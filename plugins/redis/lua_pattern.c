/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lua's patterns (of 5.1, which Redis has), for groups of keys: matched here
 * instead of in a script that blocks the server.
 *
 * A pattern is turned into a list of items first: what is malformed is found
 * when the configuration is read, not at the first key. Everything that
 * matches one byte (a letter, '.', %a, [set]) is the same item, a set of 256
 * bits. Matching goes back at quantifiers only, and each level of recursion
 * is one item further, so the depth is the length of the pattern. Patterns
 * can still take exponential time; the steps of one search are bounded, and a
 * search that gives up says so.
 */
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

#define ITEMS_MAX    256
#define CAPTURES_MAX 32
#define STEPS_MAX    100000

enum kind {
    ONE,      /* a byte of the set, with a quantifier */
    OPEN,     /* ( */
    CLOSE,    /* ) */
    POSITION, /* () */
    BALANCED, /* %bxy */
    FRONTIER, /* %f[set] */
    AGAIN,    /* %1: what a capture had */
    LAST,     /* $ at the end */
};

struct item {
    enum kind kind;
    char quantifier; /* of ONE: * + - ? or 0 */
    unsigned char capture, x, y;
    uint64_t set[4];
};

struct lua_pattern {
    bool anchored;
    size_t count, captures;
    struct item items[ITEMS_MAX];
};

/* ---- sets ---------------------------------------------------------------- */

static bool in_set(const uint64_t *set, unsigned char c)
{
    return set[c / 64] >> (c % 64) & 1;
}

static void put(uint64_t *set, unsigned char c)
{
    set[c / 64] |= UINT64_C(1) << (c % 64);
}

static bool is_between(unsigned c, unsigned low, unsigned high)
{
    return c >= low && c <= high;
}

/* Whether `c` is of the class of a lower-case letter; `known` says whether
 * the letter is a class at all. */
static bool of_class(char letter, unsigned c, bool *known)
{
    bool lower = is_between(c, 'a', 'z'), upper = is_between(c, 'A', 'Z');
    bool digit = is_between(c, '0', '9');

    *known = true;
    switch (letter) {
    case 'a':
        return lower || upper;
    case 'c':
        return c < 32 || c == 127;
    case 'd':
        return digit;
    case 'l':
        return lower;
    case 'p':
        return is_between(c, 33, 126) && !lower && !upper && !digit;
    case 's':
        return c == ' ' || is_between(c, 9, 13);
    case 'u':
        return upper;
    case 'w':
        return lower || upper || digit;
    case 'x':
        return digit || is_between(c, 'a', 'f') || is_between(c, 'A', 'F');
    case 'z':
        return c == 0;
    default:
        *known = false;
        return false;
    }
}

/* What follows a '%': a class, its contrary in upper case, or the byte. */
static void put_class(uint64_t *set, char letter)
{
    bool upper = is_between((unsigned char)letter, 'A', 'Z'), known = false;
    char lower = (char)(upper ? letter | 0x20 : letter);

    for (unsigned c = 0; c < 256; c++) {
        if (of_class(lower, c, &known) != upper && known)
            put(set, (unsigned char)c);
    }
    if (!known)
        put(set, (unsigned char)letter);
}

/* ---- reading a pattern --------------------------------------------------- */

struct reader {
    sonde_str in;
    size_t at;
    struct lua_pattern *out;
    unsigned char open[CAPTURES_MAX];
    size_t open_count;
    bool closed[CAPTURES_MAX];
    struct sonde_err *err;
};

static sonde_code malformed(struct reader *r, const char *what)
{
    return sonde_err_set(r->err, SONDE_EINVAL, "Lua pattern %.*s: %s",
                         SONDE_ARG(r->in), what);
}

static bool more(const struct reader *r, size_t n)
{
    return r->at + n <= r->in.len;
}

static char peek(const struct reader *r)
{
    return more(r, 1) ? r->in.ptr[r->at] : '\0';
}

/* A set, from behind its '[' to behind its ']'. A ']' in front is itself. */
static sonde_code read_set(struct reader *r, uint64_t *set)
{
    bool negated = peek(r) == '^', first = true;

    r->at += negated;
    for (; more(r, 1) && (first || peek(r) != ']'); first = false) {
        unsigned char low = (unsigned char)r->in.ptr[r->at++];

        if (low == '%') {
            if (!more(r, 1))
                return malformed(r, "it ends with %");
            put_class(set, r->in.ptr[r->at++]);
        } else if (peek(r) == '-' && more(r, 2) &&
                   r->in.ptr[r->at + 1] != ']') {
            unsigned high = (unsigned char)r->in.ptr[r->at + 1];

            for (unsigned c = low; c <= high; c++)
                put(set, (unsigned char)c);
            r->at += 2;
        } else {
            put(set, low);
        }
    }
    if (!more(r, 1))
        return malformed(r, "a [ has no ]");
    r->at++;
    for (size_t i = 0; negated && i < 4; i++)
        set[i] = ~set[i];
    return SONDE_OK;
}

static sonde_code read_open(struct reader *r, struct item *item)
{
    size_t n = r->out->captures;

    if (n == CAPTURES_MAX)
        return malformed(r, "it has more than 32 captures");
    item->capture = (unsigned char)n;
    item->kind = peek(r) == ')' ? POSITION : OPEN;
    r->out->captures++;
    if (item->kind == OPEN) {
        r->open[r->open_count++] = (unsigned char)n;
    } else {
        r->closed[n] = true;
        r->at++;
    }
    return SONDE_OK;
}

static sonde_code read_close(struct reader *r, struct item *item)
{
    if (r->open_count == 0)
        return malformed(r, "a ) has no (");
    item->kind = CLOSE;
    item->capture = r->open[--r->open_count];
    r->closed[item->capture] = true;
    return SONDE_OK;
}

static void read_quantifier(struct reader *r, struct item *item)
{
    item->kind = ONE;
    if (more(r, 1) && memchr("*+-?", peek(r), 4))
        item->quantifier = r->in.ptr[r->at++];
}

static sonde_code read_escape(struct reader *r, struct item *item)
{
    char c;

    if (!more(r, 1))
        return malformed(r, "it ends with %");
    c = r->in.ptr[r->at++];
    if (c == 'b') {
        if (!more(r, 2))
            return malformed(r, "%b needs two characters");
        item->kind = BALANCED;
        item->x = (unsigned char)r->in.ptr[r->at];
        item->y = (unsigned char)r->in.ptr[r->at + 1];
        r->at += 2;
    } else if (c == 'f') {
        if (peek(r) != '[')
            return malformed(r, "%f needs a [set]");
        r->at++;
        item->kind = FRONTIER;
        return read_set(r, item->set);
    } else if (is_between((unsigned char)c, '0', '9')) {
        item->kind = AGAIN;
        item->capture = (unsigned char)(c - '1');
        if (c == '0' || !r->closed[item->capture])
            return malformed(r, "it names a capture that is not there");
    } else {
        put_class(item->set, c);
        read_quantifier(r, item);
    }
    return SONDE_OK;
}

static sonde_code read_item(struct reader *r, struct item *item)
{
    char c = r->in.ptr[r->at++];
    sonde_code rc = SONDE_OK;

    if (c == '(')
        return read_open(r, item);
    if (c == ')')
        return read_close(r, item);
    if (c == '%')
        return read_escape(r, item);
    if (c == '$' && !more(r, 1)) {
        item->kind = LAST;
        return SONDE_OK;
    }
    if (c == '.')
        memset(item->set, 0xff, sizeof(item->set));
    else if (c == '[')
        rc = read_set(r, item->set);
    else
        put(item->set, (unsigned char)c);
    if (rc == SONDE_OK)
        read_quantifier(r, item);
    return rc;
}

sonde_code lua_pattern_new(sonde_str source, struct lua_pattern **out,
                           struct sonde_err *err)
{
    struct lua_pattern *p = calloc(1, sizeof(*p));
    struct reader r = { .in = source, .out = p, .err = err };
    sonde_code rc = SONDE_OK;

    *out = NULL;
    if (!p)
        return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
    p->anchored = peek(&r) == '^';
    r.at = p->anchored;
    while (rc == SONDE_OK && more(&r, 1)) {
        if (p->count == ITEMS_MAX)
            rc = malformed(&r, "it is too long");
        else
            rc = read_item(&r, &p->items[p->count++]);
    }
    if (rc == SONDE_OK && r.open_count)
        rc = malformed(&r, "a ( has no )");
    if (rc != SONDE_OK) {
        free(p);
        return rc;
    }
    *out = p;
    return SONDE_OK;
}

void lua_pattern_free(struct lua_pattern *p)
{
    free(p);
}

/* ---- matching ------------------------------------------------------------ */

struct search {
    const struct lua_pattern *p;
    sonde_str s;
    size_t steps;
    size_t from[CAPTURES_MAX], to[CAPTURES_MAX];
};

static bool one_matches(const struct search *m, const struct item *item,
                        size_t at)
{
    return at < m->s.len && in_set(item->set, (unsigned char)m->s.ptr[at]);
}

/* Where a balanced run that begins at `at` ends; SIZE_MAX: nowhere. */
static size_t balanced_end(struct search *m, const struct item *item, size_t at)
{
    size_t depth = 0;

    if (at >= m->s.len || (unsigned char)m->s.ptr[at] != item->x)
        return SIZE_MAX;
    for (; at < m->s.len; at++, m->steps++) {
        unsigned char c = (unsigned char)m->s.ptr[at];

        if (c == item->y && depth > 0)
            depth--;
        else if (c == item->x)
            depth++;
        if (depth == 0)
            return at + 1;
    }
    return SIZE_MAX;
}

static bool is_frontier(const struct search *m, const struct item *item,
                        size_t at)
{
    unsigned char before = at ? (unsigned char)m->s.ptr[at - 1] : 0;
    unsigned char here = at < m->s.len ? (unsigned char)m->s.ptr[at] : 0;

    return !in_set(item->set, before) && in_set(item->set, here);
}

/* Where a capture's text ends if it is found again at `at`. */
static size_t again_end(const struct search *m, const struct item *item,
                        size_t at)
{
    size_t from = m->from[item->capture], n = m->to[item->capture] - from;

    if (n > m->s.len - at ||
        (n && memcmp(m->s.ptr + from, m->s.ptr + at, n) != 0))
        return SIZE_MAX;
    return at + n;
}

static bool match(struct search *m, size_t i, size_t at);

static bool match_greedy(struct search *m, size_t i, size_t at)
{
    const struct item *item = &m->p->items[i];
    size_t least = item->quantifier == '+', n = 0;

    while (one_matches(m, item, at + n))
        n++;
    m->steps += n;
    for (; n + 1 > least; n--) {
        if (match(m, i + 1, at + n))
            return true;
        if (n == 0)
            return false;
    }
    return false;
}

static bool match_lazy(struct search *m, size_t i, size_t at)
{
    for (;; at++) {
        if (match(m, i + 1, at))
            return true;
        if (m->steps > STEPS_MAX || !one_matches(m, &m->p->items[i], at))
            return false;
    }
}

/* One item without choice: where it ends, or SIZE_MAX. */
static size_t step(struct search *m, const struct item *item, size_t at)
{
    switch (item->kind) {
    case OPEN:
        m->from[item->capture] = at;
        return at;
    case CLOSE:
        m->to[item->capture] = at;
        return at;
    case POSITION: /* to before from: a number */
        m->from[item->capture] = at + 1;
        m->to[item->capture] = at;
        return at;
    case BALANCED:
        return balanced_end(m, item, at);
    case FRONTIER:
        return is_frontier(m, item, at) ? at : SIZE_MAX;
    case AGAIN:
        return again_end(m, item, at);
    case LAST:
        return at == m->s.len ? at : SIZE_MAX;
    case ONE:
        break;
    }
    return one_matches(m, item, at) ? at + 1 : SIZE_MAX;
}

static bool match(struct search *m, size_t i, size_t at)
{
    for (; i < m->p->count; i++) {
        const struct item *item = &m->p->items[i];

        if (++m->steps > STEPS_MAX)
            return false;
        if (item->quantifier == '*' || item->quantifier == '+')
            return match_greedy(m, i, at);
        if (item->quantifier == '-')
            return match_lazy(m, i, at);
        if (item->quantifier == '?') {
            if (one_matches(m, item, at) && match(m, i + 1, at + 1))
                return true;
            continue;
        }
        at = step(m, item, at);
        if (at == SIZE_MAX)
            return false;
    }
    return true;
}

static bool add_captures(const struct search *m, struct text *out)
{
    char number[24];

    for (size_t i = 0; i < m->p->captures; i++) {
        if (m->to[i] < m->from[i])
            (void)snprintf(number, sizeof(number), "%zu", m->from[i]);
        if (!(m->to[i] < m->from[i] ? text_addz(out, number)
                                    : text_add(out, m->s.ptr + m->from[i],
                                               m->to[i] - m->from[i])))
            return false;
    }
    return true;
}

enum lua_match lua_pattern_find(const struct lua_pattern *p, sonde_str subject,
                                struct text *captures)
{
    struct search m = { .p = p, .s = subject };

    if (!subject.ptr)
        m.s.ptr = "";
    for (size_t at = 0; at <= subject.len; at++) {
        if (match(&m, 0, at))
            return add_captures(&m, captures) ? LUA_YES : LUA_GAVE_UP;
        if (m.steps > STEPS_MAX)
            return LUA_GAVE_UP;
        if (p->anchored)
            break;
    }
    return LUA_NO;
}
