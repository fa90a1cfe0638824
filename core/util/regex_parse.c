/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RE2's syntax (the Perl flavour that Go's regexp reads), strictly: what RE2
 * does not know is an error here, with the words of Go's messages, since
 * these are what users of Prometheus search for. Reference: RE2's syntax
 * page, and Go's regexp/syntax documentation.
 *
 * A recursive descent over groups; the depth is bounded, so is the height of
 * the tree, as quantifiers stack up without parentheses ("a*(?i)*(?i)*").
 * Characters that follow each other become one literal node; a quantifier
 * takes the last one off again. Literal text lives in one array: no escape
 * makes more bytes than it has.
 *
 * Flags: s is on from the start, as everywhere in Prometheus; m, s and U are
 * resolved here (into the kind of node), only i is left to the engine.
 */
#include "util/regex_syntax.h"
#include "util/str.h"
#include "util/utf8.h"

#define WHERE_MAX 480 /* of a pattern in a message                       */

enum {
    FLAG_I = 1 << 0, /* case does not matter                              */
    FLAG_M = 1 << 1, /* ^ and $ match at lines                            */
    FLAG_S = 1 << 2, /* . matches LF                                      */
    FLAG_U = 1 << 3, /* x* is lazy, x*? is not                            */
    FLAG_ALL = FLAG_I | FLAG_M | FLAG_S | FLAG_U,
};

struct parser {
    struct arena *arena;
    sonde_str whole;
    sonde_str rest;   /* not read yet                                     */
    sonde_str repeat; /* from the quantifier that was read last, if that is
                         what stands directly before `rest`; else empty   */
    unsigned flags;
    size_t depth;
    char *text; /* where the next literal goes                            */
    struct regex_tree *tree;
    struct sonde_err *err;
};

/* Children of a concatenation under construction. */
struct sequence {
    struct regex_node *first, *last;
    struct regex_node *before_last;
};

sonde_code regex_fail(struct sonde_err *err, const char *what, sonde_str where)
{
    if (where.len > WHERE_MAX) {
        where.len = WHERE_MAX;
        while ((where.ptr[where.len] & 0xc0) == 0x80)
            where.len--; /* not in the middle of a character */
    }
    return sonde_err_set(err, SONDE_EPARSE, "error parsing regexp: %s: `%.*s`",
                         what, SONDE_ARG(where));
}

static void skip(struct parser *p, size_t n)
{
    p->rest = str_sub(p->rest, n, p->rest.len);
}

/* What was read between `from` and here. */
static sonde_str since(const struct parser *p, sonde_str from)
{
    return str_sub(from, 0, from.len - p->rest.len);
}

static bool next_is(const struct parser *p, char c)
{
    return p->rest.len && p->rest.ptr[0] == c;
}

static struct regex_node *node_new(struct parser *p, enum regex_op op)
{
    struct regex_node *n = arena_new(p->arena, struct regex_node);

    n->op = op;
    n->height = 1;
    n->weight = 1;
    return n;
}

static sonde_code node_adopt(struct parser *p, struct regex_node *parent,
                             struct regex_node *children)
{
    parent->sub = children;
    for (const struct regex_node *c = children; c; c = c->next) {
        if (c->height >= parent->height)
            parent->height = c->height + 1;
        if (c->weight > parent->weight)
            parent->weight = c->weight;
    }
    if (parent->height > REGEX_HEIGHT_MAX)
        return regex_fail(p->err, "expression nests too deeply", p->whole);
    return SONDE_OK;
}

static void push(struct sequence *s, struct regex_node *n)
{
    if (s->last)
        s->last->next = n;
    else
        s->first = n;
    s->before_last = s->last;
    s->last = n;
}

/* ---- literals ------------------------------------------------------------ */

static bool has_case(uint32_t r)
{
    return r >= 0x80 || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
}

static void push_rune(struct parser *p, struct sequence *s, uint32_t r)
{
    bool fold = (p->flags & FLAG_I) && has_case(r);
    size_t n = utf8_encode(p->text, r);
    struct regex_node *last = s->last;

    if (!last || last->op != REGEX_LITERAL || last->fold != fold) {
        last = node_new(p, REGEX_LITERAL);
        last->fold = fold;
        last->text.ptr = p->text;
        push(s, last);
    }
    last->text.len += n;
    last->tail = (uint8_t)n;
    p->text += n;
}

static uint32_t take_rune(struct parser *p)
{
    uint32_t r;
    bool ok = true; /* the pattern was checked as a whole */

    skip(p, utf8_decode(p->rest, &r, &ok));
    return r;
}

/* \Q...\E */
static void push_quoted(struct parser *p, struct sequence *s)
{
    skip(p, 2);
    while (p->rest.len) {
        if (str_starts(p->rest, SONDE_STR("\\E"))) {
            skip(p, 2);
            return;
        }
        push_rune(p, s, take_rune(p));
    }
}

/* ---- quantifiers --------------------------------------------------------- */

/* A quantifier takes one character, not the literal it ends. */
static void split_literal(struct parser *p, struct sequence *s)
{
    struct regex_node *l = s->last, *c;

    if (l->op != REGEX_LITERAL || l->text.len == l->tail)
        return;
    l->text.len -= l->tail;
    c = node_new(p, REGEX_LITERAL);
    c->fold = l->fold;
    c->text = (sonde_str){ l->text.ptr + l->text.len, l->tail };
    c->tail = l->tail;
    push(s, c);
}

/* Digits without a leading zero; -1 if there are none, too many read as one
 * more than allowed. */
static int take_count(struct parser *p)
{
    sonde_str s = p->rest;
    size_t n = 0;
    int v = 0;

    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9') {
        if (v <= REGEX_REPEAT_MAX)
            v = v * 10 + (s.ptr[n] - '0');
        n++;
    }
    if (n == 0 || (n > 1 && s.ptr[0] == '0'))
        return -1;
    skip(p, n);
    return v <= REGEX_REPEAT_MAX ? v : REGEX_REPEAT_MAX + 1;
}

/* {2}, {2,} or {2,3}; anything else is literal text and leaves `rest`. */
static bool take_braces(struct parser *p, int *min, int *max)
{
    sonde_str start = p->rest;

    skip(p, 1);
    *min = *max = take_count(p);
    if (*min >= 0 && next_is(p, ',')) {
        skip(p, 1);
        *max = -1;
        if (!next_is(p, '}')) {
            *max = take_count(p);
            if (*max < 0)
                *min = -1;
        }
    }
    if (*min >= 0 && next_is(p, '}')) {
        skip(p, 1);
        return true;
    }
    p->rest = start;
    return false;
}

/* What counts against REGEX_REPEAT_MAX: {n} and {n,m}, not * and +. */
static unsigned counted_weight(const struct regex_node *r, unsigned below)
{
    int m = r->max < 0 ? r->min : r->max;

    if (r->max == 0)
        return 1;
    return m > 0 ? (unsigned)m * below : below;
}

/* `start` is where the quantifier began; `rest` stands behind it. */
static sonde_code push_repeat(struct parser *p, struct sequence *s,
                              sonde_str start, int min, int max)
{
    struct regex_node *r;
    unsigned weight;
    bool counted = start.ptr[0] == '{';
    bool lazy = next_is(p, '?');
    sonde_str stacked = p->repeat;
    sonde_code rc;

    if (lazy)
        skip(p, 1);
    if (stacked.len)
        return regex_fail(p->err, "invalid nested repetition operator",
                          since(p, stacked));
    if (!s->last)
        return regex_fail(p->err, "missing argument to repetition operator",
                          since(p, start));
    split_literal(p, s);
    r = node_new(p, REGEX_REPEAT);
    r->min = (int16_t)min;
    r->max = (int16_t)max;
    r->lazy = lazy != ((p->flags & FLAG_U) != 0);
    rc = node_adopt(p, r, s->last);
    if (rc != SONDE_OK)
        return rc;
    if (counted) {
        weight = counted_weight(r, s->last->weight);
        if (weight > REGEX_REPEAT_MAX && (min >= 2 || max >= 2))
            return regex_fail(p->err, "invalid repeat count", since(p, start));
        r->weight = (uint16_t)(weight > REGEX_REPEAT_MAX ? REGEX_REPEAT_MAX + 1
                                                         : weight);
    }
    if (s->before_last)
        s->before_last->next = r;
    else
        s->first = r;
    s->last = r;
    p->repeat = start;
    return SONDE_OK;
}

static sonde_code push_quantifier(struct parser *p, struct sequence *s)
{
    sonde_str start = p->rest;
    int min = start.ptr[0] == '+', max = start.ptr[0] == '?' ? 1 : -1;

    if (start.ptr[0] != '{') {
        skip(p, 1);
        return push_repeat(p, s, start, min, max);
    }
    if (!take_braces(p, &min, &max)) {
        p->repeat = (sonde_str){ 0 };
        push_rune(p, s, take_rune(p));
        return SONDE_OK;
    }
    if (min > REGEX_REPEAT_MAX || max > REGEX_REPEAT_MAX ||
        (max >= 0 && min > max))
        return regex_fail(p->err, "invalid repeat count", since(p, start));
    return push_repeat(p, s, start, min, max);
}

/* ---- groups -------------------------------------------------------------- */

static sonde_code parse_alternate(struct parser *p, struct regex_node **out);

/* Behind the opening parenthesis and what belongs to it. */
static sonde_code parse_inside(struct parser *p, struct regex_node **out)
{
    sonde_code rc;

    if (++p->depth > REGEX_NESTING_MAX)
        return regex_fail(p->err, "expression nests too deeply", p->whole);
    rc = parse_alternate(p, out);
    if (rc != SONDE_OK)
        return rc;
    if (!next_is(p, ')'))
        return regex_fail(p->err, "missing closing )", p->whole);
    skip(p, 1);
    p->depth--;
    return SONDE_OK;
}

static sonde_code push_capture(struct parser *p, struct sequence *s,
                               sonde_str name)
{
    struct regex_node *g = node_new(p, REGEX_GROUP), *inside = NULL;
    unsigned flags = p->flags;
    sonde_code rc;

    if (p->tree->groups == REGEX_GROUPS_MAX)
        return regex_fail(p->err, "expression too large", p->whole);
    g->group = (uint16_t)++p->tree->groups;
    p->tree->names[g->group] = name;
    rc = parse_inside(p, &inside);
    if (rc == SONDE_OK)
        rc = node_adopt(p, g, inside);
    p->flags = flags;
    if (rc == SONDE_OK)
        push(s, g);
    return rc;
}

static bool name_ok(sonde_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        if (c >= 0x80 || (c != '_' && !rune_is_word(c)))
            return false;
    }
    return name.len > 0;
}

/* (?P<name>re) and (?<name>re) */
static sonde_code push_named(struct parser *p, struct sequence *s, size_t head)
{
    size_t end = str_index(p->rest, '>');
    sonde_str name;

    if (end == p->rest.len)
        return regex_fail(p->err, "invalid named capture", p->rest);
    name = str_sub(p->rest, head, end);
    if (!name_ok(name))
        return regex_fail(p->err, "invalid named capture",
                          str_sub(p->rest, 0, end + 1));
    skip(p, end + 1);
    return push_capture(p, s, arena_str(p->arena, name));
}

static unsigned flag_of(char c)
{
    switch (c) {
    case 'i':
        return FLAG_I;
    case 'm':
        return FLAG_M;
    case 's':
        return FLAG_S;
    case 'U':
        return FLAG_U;
    default:
        return 0;
    }
}

/* Reads "(?flags-flags:" or "(?flags)"; `*closer` is the last character. */
static sonde_code take_flags(struct parser *p, unsigned *flags, char *closer)
{
    sonde_str start = p->rest;
    bool minus = false, any = false;

    *flags = p->flags;
    skip(p, 2);
    while (p->rest.len) {
        char c = p->rest.ptr[0];
        unsigned flag = flag_of(c);

        (void)take_rune(p);
        if (flag) {
            *flags = minus ? *flags & ~flag : *flags | flag;
            any = true;
        } else if (c == '-' && !minus) {
            minus = true;
            any = false;
        } else if ((c == ':' || c == ')') && (any || !minus)) {
            *closer = c;
            return SONDE_OK;
        } else {
            break;
        }
    }
    return regex_fail(p->err, "invalid or unsupported Perl syntax",
                      since(p, start));
}

static sonde_code push_group(struct parser *p, struct sequence *s)
{
    unsigned outside = p->flags, flags;
    struct regex_node *inside;
    char closer = 0;
    sonde_code rc;

    if (!str_starts(p->rest, SONDE_STR("(?"))) {
        skip(p, 1);
        return push_capture(p, s, (sonde_str){ 0 });
    }
    if (p->rest.len > 4 && str_starts(p->rest, SONDE_STR("(?P<")))
        return push_named(p, s, 4);
    if (p->rest.len > 3 && str_starts(p->rest, SONDE_STR("(?<")))
        return push_named(p, s, 3);
    rc = take_flags(p, &flags, &closer);
    if (rc != SONDE_OK)
        return rc;
    p->flags = flags;
    if (closer == ')') /* they hold to the end of the group around */
        return SONDE_OK;
    rc = parse_inside(p, &inside);
    p->flags = outside;
    if (rc != SONDE_OK)
        return rc;
    if (inside->op == REGEX_LITERAL) { /* one unit for what follows */
        struct regex_node *unit = node_new(p, REGEX_CONCAT);

        rc = node_adopt(p, unit, inside);
        inside = unit;
    }
    push(s, inside);
    return rc;
}

/* ---- the rest ------------------------------------------------------------ */

static void push_op(struct parser *p, struct sequence *s, enum regex_op op,
                    size_t length)
{
    skip(p, length);
    push(s, node_new(p, op));
}

static void push_class(struct parser *p, struct sequence *s,
                       struct regex_class *class)
{
    struct regex_node *n = node_new(p, REGEX_CLASS);

    n->class = class;
    n->fold = p->flags & FLAG_I;
    push(s, n);
}

static sonde_code push_escape(struct parser *p, struct sequence *s)
{
    char c = p->rest.len > 1 ? p->rest.ptr[1] : '\0';
    struct regex_class *class;
    uint32_t rune;
    sonde_code rc;

    switch (c) {
    case 'A':
        push_op(p, s, REGEX_BEGIN_TEXT, 2);
        return SONDE_OK;
    case 'z':
        push_op(p, s, REGEX_END_TEXT, 2);
        return SONDE_OK;
    case 'b':
        push_op(p, s, REGEX_WORD_EDGE, 2);
        return SONDE_OK;
    case 'B':
        push_op(p, s, REGEX_NO_WORD_EDGE, 2);
        return SONDE_OK;
    case 'Q':
        push_quoted(p, s);
        return SONDE_OK;
    default:
        break;
    }
    rc = regex_class_escape(p->arena, &p->rest, p->flags & FLAG_I, &class,
                            p->err);
    if (rc != SONDE_OK)
        return rc;
    if (class) {
        push_class(p, s, class);
        return SONDE_OK;
    }
    rc = regex_escape_parse(&p->rest, &rune, p->err);
    if (rc == SONDE_OK)
        push_rune(p, s, rune);
    return rc;
}

static sonde_code push_brackets(struct parser *p, struct sequence *s)
{
    struct regex_class *class;
    sonde_code rc = regex_class_parse(p->arena, &p->rest, p->flags & FLAG_I,
                                      &class, p->err);

    if (rc == SONDE_OK)
        push_class(p, s, class);
    return rc;
}

static sonde_code push_item(struct parser *p, struct sequence *s)
{
    unsigned f = p->flags;

    switch (p->rest.ptr[0]) {
    case '(':
        return push_group(p, s);
    case '[':
        return push_brackets(p, s);
    case '\\':
        return push_escape(p, s);
    case '^':
        push_op(p, s, f & FLAG_M ? REGEX_BEGIN_LINE : REGEX_BEGIN_TEXT, 1);
        return SONDE_OK;
    case '$':
        push_op(p, s, f & FLAG_M ? REGEX_END_LINE : REGEX_END_TEXT, 1);
        return SONDE_OK;
    case '.':
        push_op(p, s, f & FLAG_S ? REGEX_ANY : REGEX_ANY_BUT_LF, 1);
        return SONDE_OK;
    default:
        push_rune(p, s, take_rune(p));
        return SONDE_OK;
    }
}

static sonde_code parse_concat(struct parser *p, struct regex_node **out)
{
    struct sequence s = { 0 };
    sonde_code rc = SONDE_OK;

    p->repeat = (sonde_str){ 0 };
    while (rc == SONDE_OK && p->rest.len && !next_is(p, '|') &&
           !next_is(p, ')')) {
        if (p->arena->used_bytes > REGEX_TREE_BYTES_MAX)
            return regex_fail(p->err, "expression too large", p->whole);
        if (memchr("*+?{", p->rest.ptr[0], 4)) {
            rc = push_quantifier(p, &s);
            continue;
        }
        rc = push_item(p, &s);
        p->repeat = (sonde_str){ 0 };
    }
    if (rc != SONDE_OK)
        return rc;
    if (s.first && s.first == s.last) {
        *out = s.first;
        return SONDE_OK;
    }
    *out = node_new(p, s.first ? REGEX_CONCAT : REGEX_EMPTY);
    return node_adopt(p, *out, s.first);
}

static sonde_code parse_alternate(struct parser *p, struct regex_node **out)
{
    struct sequence s = { 0 };

    for (;;) {
        struct regex_node *branch = NULL;
        sonde_code rc = parse_concat(p, &branch);

        if (rc != SONDE_OK)
            return rc;
        push(&s, branch);
        if (!next_is(p, '|'))
            break;
        skip(p, 1);
    }
    if (s.first == s.last) {
        *out = s.first;
        return SONDE_OK;
    }
    *out = node_new(p, REGEX_ALTERNATE);
    return node_adopt(p, *out, s.first);
}

sonde_code regex_parse(struct arena *a, sonde_str pattern,
                       struct regex_tree *out, struct sonde_err *err)
{
    struct parser p = {
        .arena = a,
        .whole = pattern,
        .rest = pattern,
        .flags = FLAG_S,
        .tree = out,
        .err = err,
    };
    sonde_code rc;

    *out = (struct regex_tree){ 0 };
    if (pattern.len > REGEX_PATTERN_MAX)
        return regex_fail(err, "expression too large", str_sub(pattern, 0, 40));
    if (!str_is_utf8(pattern))
        return regex_fail(err, "invalid UTF-8", (sonde_str){ 0 });
    p.text = arena_alloc(a, pattern.len + UTF8_MAX_BYTES);
    rc = parse_alternate(&p, &out->root);
    if (rc == SONDE_OK && p.rest.len)
        rc = regex_fail(err, "unexpected )", pattern);
    return rc;
}
