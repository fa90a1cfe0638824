/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of an expression in PCRE2's syntax. Nothing of the pattern's own
 * text is passed on: every character comes out escaped or as itself, every
 * class as ranges, so what PCRE2 reads is what the parser understood, and a
 * construct that RE2 lacks can not slip through.
 *
 * (?i) is switched on and off in the stream where it changes; a group ends
 * what was switched inside it, in PCRE2 as in the counting done here.
 * Written for PCRE2_UTF | PCRE2_DOTALL | PCRE2_ALT_CIRCUMFLEX without
 * PCRE2_UCP, with LF as the only newline.
 */
#include "util/regex_syntax.h"
#include "util/utf8.h"

struct emitter {
    struct buf *out;
    bool fold;     /* what is switched on here                            */
    bool captures; /* else groups are mere parentheses                    */
};

static void emit(struct emitter *e, const struct regex_node *n);

static void emit_ascii(struct buf *out, unsigned char c)
{
    if (c >= 0x80 || rune_is_word(c))
        buf_char(out, (char)c);
    else if (c < ' ' || c == 0x7f)
        buf_printf(out, "\\x%02x", c);
    else
        buf_printf(out, "\\%c", c);
}

static void emit_range(struct buf *out, uint32_t lo, uint32_t hi)
{
    /* Surrogates are no characters; PCRE2 refuses them by name. */
    if (lo >= 0xd800 && lo < 0xe000)
        lo = 0xe000;
    if (hi >= 0xd800 && hi < 0xe000)
        hi = 0xd7ff;
    if (lo > hi)
        return;
    buf_printf(out, "\\x{%x}", (unsigned)lo);
    if (hi > lo)
        buf_printf(out, "-\\x{%x}", (unsigned)hi);
}

static void emit_class(struct buf *out, const struct regex_class *c)
{
    size_t start = out->len + 1 + c->negated;

    buf_cstr(out, c->negated ? "[^" : "[");
    for (size_t i = 0; i < c->count; i++)
        emit_range(out, c->ranges[i].lo, c->ranges[i].hi);
    buf_put(out, c->properties);
    if (out->len == start) { /* nothing, or anything but nothing */
        out->len = start - 1 - c->negated;
        buf_cstr(out, c->negated ? "." : "(?!)");
        return;
    }
    buf_char(out, ']');
}

static void emit_fold(struct emitter *e, bool fold)
{
    if (e->fold == fold)
        return;
    buf_cstr(e->out, fold ? "(?i)" : "(?-i)");
    e->fold = fold;
}

/* What is inside parentheses can not switch what is outside. */
static void emit_inside(struct emitter *e, const char *open,
                        const struct regex_node *n)
{
    bool fold = e->fold;

    buf_cstr(e->out, open);
    emit(e, n);
    buf_char(e->out, ')');
    e->fold = fold;
}

static void emit_repeat(struct emitter *e, const struct regex_node *n)
{
    if (n->sub->op == REGEX_GROUP)
        emit(e, n->sub);
    else
        emit_inside(e, "(?:", n->sub);
    if (n->max < 0 && n->min <= 1)
        buf_char(e->out, n->min ? '+' : '*');
    else if (n->max < 0)
        buf_printf(e->out, "{%d,}", n->min);
    else
        buf_printf(e->out, "{%d,%d}", n->min, n->max);
    if (n->lazy)
        buf_char(e->out, '?');
}

static void emit_children(struct emitter *e, const struct regex_node *n)
{
    const char *open = n->op == REGEX_CONCAT ? "(?:" : NULL;

    for (const struct regex_node *c = n->sub; c; c = c->next) {
        if (n->op == REGEX_ALTERNATE && c != n->sub)
            buf_char(e->out, '|');
        if (open && c->op == REGEX_ALTERNATE)
            emit_inside(e, open, c);
        else
            emit(e, c);
    }
}

static void emit(struct emitter *e, const struct regex_node *n)
{
    static const char *const fixed[] = {
        [REGEX_EMPTY] = "",
        [REGEX_ANY] = ".",
        [REGEX_ANY_BUT_LF] = "[^\\n]",
        [REGEX_BEGIN_TEXT] = "\\A",
        [REGEX_END_TEXT] = "\\z",
        [REGEX_BEGIN_LINE] = "(?m:^)",
        [REGEX_END_LINE] = "(?m:$)",
        [REGEX_WORD_EDGE] = "\\b",
        [REGEX_NO_WORD_EDGE] = "\\B",
        [REGEX_REPEAT] = NULL,
    };

    switch (n->op) {
    case REGEX_LITERAL:
        emit_fold(e, n->fold);
        for (size_t i = 0; i < n->text.len; i++)
            emit_ascii(e->out, (unsigned char)n->text.ptr[i]);
        break;
    case REGEX_CLASS:
        emit_fold(e, n->fold);
        emit_class(e->out, n->class);
        break;
    case REGEX_GROUP:
        emit_inside(e, e->captures ? "(" : "(?:", n->sub);
        break;
    case REGEX_CONCAT:
    case REGEX_ALTERNATE:
        emit_children(e, n);
        break;
    case REGEX_REPEAT:
        emit_repeat(e, n);
        break;
    default:
        buf_cstr(e->out, fixed[n->op]);
    }
}

void regex_emit(const struct regex_node *root, bool captures, struct buf *out)
{
    struct emitter e = { .out = out, .captures = captures };

    emit(&e, root);
}
