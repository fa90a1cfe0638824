/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes that need no engine. Nearly all expressions in real configurations
 * and queries are one of: a literal, "a|b|c" (often thousands, from a
 * dashboard's variable, often inside a group), "prefix.*", ".*part.*", or an
 * alternation of these. They are found in the tree, not in the text, so that
 * "(a|b)", "^a$" and "foo(bar)?" count as well.
 *
 *  - A finite language is spelled out, within a bound on bytes; matching is
 *    a binary search.
 *  - Literals with ".*" or ".+" between them: the first must stand at the
 *    front, the last at the end, those between are found leftmost, which
 *    leaves most room for what follows, so no backtracking is needed.
 *  - A prefix that every match begins with; all others are refused early.
 *
 * Where a group captures the whole, or the only gap, relabeling needs no
 * engine either: "(.*)" and "__meta_label_(.+)" are most of what there is.
 */
#include <stdlib.h>

#include "util/regex_syntax.h"
#include "util/str.h"
#include "util/utf8.h"

#define SET_BYTES_MAX (8u << 20)
#define CLASS_MAX     32 /* characters of a class that are spelled out     */
#define GLOBS_MAX     32
#define GAPS_MAX      16
#define PREFIX_MAX    256 /* longer ones refuse no more                    */

/* ---- finite languages ---------------------------------------------------- */

struct set {
    sonde_str *items;
    size_t count, cap;
};

struct speller {
    struct arena *arena;
    size_t bytes; /* spent                                                 */
};

static bool set_add(struct speller *sp, struct set *set, sonde_str s)
{
    sp->bytes += s.len + sizeof(s);
    if (sp->bytes > SET_BYTES_MAX)
        return false;
    if (set->count == set->cap) {
        size_t cap = set->cap ? set->cap * 2 : 4;
        sonde_str *items = arena_array(sp->arena, sonde_str, cap);

        if (set->count)
            memcpy(items, set->items, set->count * sizeof(*items));
        set->items = items;
        set->cap = cap;
    }
    set->items[set->count++] = s;
    return true;
}

static sonde_str joined(struct arena *a, sonde_str x, sonde_str y)
{
    char *p;

    if (x.len == 0 || y.len == 0)
        return x.len ? x : y;
    p = arena_alloc(a, x.len + y.len);
    memcpy(p, x.ptr, x.len);
    memcpy(p + x.len, y.ptr, y.len);
    return (sonde_str){ p, x.len + y.len };
}

static bool set_product(struct speller *sp, struct set *x, const struct set *y)
{
    struct set product = { 0 };

    for (size_t i = 0; i < x->count; i++)
        for (size_t j = 0; j < y->count; j++)
            if (!set_add(sp, &product,
                         joined(sp->arena, x->items[i], y->items[j])))
                return false;
    *x = product;
    return true;
}

static bool spell_class(struct speller *sp, const struct regex_node *n,
                        struct set *out)
{
    const struct regex_class *c = n->class;
    size_t total = 0;

    if (n->fold || c->negated || c->properties.len)
        return false;
    for (size_t i = 0; i < c->count; i++) {
        if (c->ranges[i].hi - c->ranges[i].lo >= CLASS_MAX)
            return false;
        total += c->ranges[i].hi - c->ranges[i].lo + 1;
    }
    if (total > CLASS_MAX)
        return false;
    for (size_t i = 0; i < c->count; i++)
        for (uint32_t r = c->ranges[i].lo; r <= c->ranges[i].hi; r++) {
            char text[UTF8_MAX_BYTES];
            size_t len = utf8_encode(text, r);

            if (!set_add(sp, out,
                         arena_str(sp->arena, (sonde_str){ text, len })))
                return false;
        }
    return true;
}

static bool spell(struct speller *sp, const struct regex_node *n,
                  struct set *out);

static bool spell_concat(struct speller *sp, const struct regex_node *n,
                         struct set *out)
{
    struct set product = { 0 };

    if (!set_add(sp, &product, (sonde_str){ 0 }))
        return false;
    for (const struct regex_node *c = n->sub; c; c = c->next) {
        struct set part = { 0 };

        if (!spell(sp, c, &part) || !set_product(sp, &product, &part))
            return false;
    }
    for (size_t i = 0; i < product.count; i++)
        if (!set_add(sp, out, product.items[i]))
            return false;
    return true;
}

/* All strings of the node; false if they are too many or without end. */
static bool spell(struct speller *sp, const struct regex_node *n,
                  struct set *out)
{
    switch (n->op) {
    case REGEX_EMPTY:
        return set_add(sp, out, (sonde_str){ 0 });
    case REGEX_LITERAL:
        return !n->fold && set_add(sp, out, n->text);
    case REGEX_CLASS:
        return spell_class(sp, n, out);
    case REGEX_GROUP:
        return spell(sp, n->sub, out);
    case REGEX_REPEAT:
        return n->min == 0 && n->max == 1 &&
               set_add(sp, out, (sonde_str){ 0 }) && spell(sp, n->sub, out);
    case REGEX_ALTERNATE:
        for (const struct regex_node *c = n->sub; c; c = c->next)
            if (!spell(sp, c, out))
                return false;
        return true;
    case REGEX_CONCAT:
        return spell_concat(sp, n, out);
    default:
        return false;
    }
}

static int by_str(const void *a, const void *b)
{
    return str_cmp(*(const sonde_str *)a, *(const sonde_str *)b);
}

static bool plan_literals(struct arena *a, const struct regex_node *root,
                          struct regex_plan *out)
{
    struct arena scratch;
    struct speller sp = { .arena = &scratch };
    struct set set = { 0 };
    bool ok;

    arena_init(&scratch);
    ok = spell(&sp, root, &set) && set.count;
    if (ok) {
        qsort(set.items, set.count, sizeof(*set.items), by_str);
        out->literals = arena_array(a, sonde_str, set.count);
        for (size_t i = 0; i < set.count; i++)
            if (i == 0 || !sonde_str_eq(set.items[i], set.items[i - 1]))
                out->literals[out->literal_count++] =
                    arena_str(a, set.items[i]);
    }
    arena_fini(&scratch);
    return ok;
}

/* ---- globs --------------------------------------------------------------- */

struct globber {
    struct arena *arena;
    struct regex_glob glob;
    uint8_t *spans;
    struct buf part; /* the literal that grows                             */
};

static bool is_gap(const struct regex_node *n)
{
    return n->op == REGEX_REPEAT && n->max < 0 && n->min <= 1 &&
           n->sub->op == REGEX_ANY;
}

static void part_end(struct globber *g)
{
    g->glob.parts[g->glob.gaps] = arena_str(g->arena, buf_str(&g->part));
    buf_reset(&g->part);
}

static bool gap_add(struct globber *g, uint8_t least)
{
    struct regex_glob *glob = &g->glob;

    /* Two gaps side by side: how they share is the engine's business. */
    if (glob->gaps == GAPS_MAX || (glob->gaps && g->part.len == 0))
        return false;
    part_end(g);
    glob->least[glob->gaps++] = least;
    return true;
}

static bool glob_add(struct globber *g, const struct regex_node *n)
{
    switch (n->op) {
    case REGEX_EMPTY:
        return true;
    case REGEX_LITERAL:
        buf_put(&g->part, n->text);
        return !n->fold;
    case REGEX_REPEAT:
        return is_gap(n) && gap_add(g, (uint8_t)n->min);
    case REGEX_GROUP:
        if (is_gap(n->sub))
            g->spans[n->group] = REGEX_SPAN_GAP;
        return glob_add(g, n->sub);
    case REGEX_CONCAT:
        for (const struct regex_node *c = n->sub; c; c = c->next)
            if (!glob_add(g, c))
                return false;
        return true;
    default:
        return false;
    }
}

static bool glob_make(struct arena *a, const struct regex_node *n,
                      /* NOLINTNEXTLINE(readability-non-const-parameter) */
                      uint8_t *spans, struct regex_glob *out)
{
    struct globber g = { .arena = a, .spans = spans };
    bool ok;

    g.glob.parts = arena_array(a, sonde_str, GAPS_MAX + 1);
    g.glob.least = arena_alloc(a, GAPS_MAX);
    buf_init(&g.part);
    ok = glob_add(&g, n);
    if (ok)
        part_end(&g);
    buf_fini(&g.part);
    *out = g.glob;
    return ok;
}

static bool plan_globs(struct arena *a, const struct regex_node *root,
                       struct regex_plan *out)
{
    const struct regex_node *first = root;
    size_t n = 0;

    while (first->op == REGEX_GROUP)
        first = first->sub;
    if (first->op == REGEX_ALTERNATE)
        first = first->sub;
    else
        first = root; /* groups on the way matter for the spans */
    out->globs = arena_array(a, struct regex_glob, GLOBS_MAX);
    for (const struct regex_node *c = first; c; c = c->next) {
        if (n == GLOBS_MAX || !glob_make(a, c, out->spans, &out->globs[n])) {
            out->globs = NULL;
            return false;
        }
        n++;
        if (c == root)
            break;
    }
    out->glob_count = n;
    return true;
}

static bool glob_match(const struct regex_glob *g, sonde_str s)
{
    sonde_str last = g->parts[g->gaps];

    if (g->gaps == 0)
        return sonde_str_eq(s, last);
    if (!str_starts(s, g->parts[0]))
        return false;
    s = str_sub(s, g->parts[0].len, s.len);
    if (!str_ends(s, last))
        return false;
    s = str_sub(s, 0, s.len - last.len);
    for (size_t i = 1; i < g->gaps; i++) {
        sonde_str part = g->parts[i];
        const char *at;

        if (s.len < g->least[i - 1])
            return false;
        s = str_sub(s, g->least[i - 1], s.len);
        at = s.len ? memmem(s.ptr, s.len, part.ptr, part.len) : NULL;
        if (!at)
            return false;
        s = str_sub(s, (size_t)(at - s.ptr) + part.len, s.len);
    }
    return s.len >= g->least[g->gaps - 1];
}

/* ---- prefixes ------------------------------------------------------------ */

static sonde_str common(sonde_str a, sonde_str b)
{
    size_t n = 0;

    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return str_sub(a, 0, n);
}

/* What every match of the node begins with; `*all`: it is all of it. */
static sonde_str prefix_of(struct arena *a, const struct regex_node *n,
                           bool *all)
{
    sonde_str prefix = { 0 };
    bool part = true;

    *all = false;
    switch (n->op) {
    case REGEX_EMPTY:
    case REGEX_BEGIN_TEXT:
    case REGEX_END_TEXT:
        *all = true;
        return prefix;
    case REGEX_LITERAL:
        *all = !n->fold;
        return n->fold ? prefix : n->text;
    case REGEX_GROUP:
        return prefix_of(a, n->sub, all);
    case REGEX_CONCAT:
        for (const struct regex_node *c = n->sub; c && part; c = c->next) {
            if (prefix.len > PREFIX_MAX)
                return prefix;
            prefix = joined(a, prefix, prefix_of(a, c, &part));
        }
        *all = part;
        return prefix;
    case REGEX_ALTERNATE:
        prefix = prefix_of(a, n->sub, all);
        for (const struct regex_node *c = n->sub->next; c; c = c->next)
            prefix = common(prefix, prefix_of(a, c, &part));
        *all = false;
        return prefix;
    default:
        return prefix;
    }
}

/* ---- the plan ------------------------------------------------------------ */

/* "^...$" says nothing that is not so anyway. */
static const struct regex_node *without_anchors(struct arena *a,
                                                const struct regex_node *n)
{
    struct regex_node *copy;
    const struct regex_node *first, *end;

    if (n->op == REGEX_BEGIN_TEXT || n->op == REGEX_END_TEXT) {
        copy = arena_new(a, struct regex_node);
        copy->op = REGEX_EMPTY;
        return copy;
    }
    if (n->op != REGEX_CONCAT)
        return n;
    copy = arena_new(a, struct regex_node);
    *copy = *n;
    first = n->sub;
    while (first && first->op == REGEX_BEGIN_TEXT)
        first = first->next;
    end = first;
    for (const struct regex_node *c = first; c; c = c->next)
        if (c->op != REGEX_END_TEXT)
            end = c->next;
    copy->sub = NULL;
    for (struct regex_node **last = &copy->sub; first != end;
         first = first->next, last = &(*last)->next) {
        *last = arena_new(a, struct regex_node);
        **last = *first;
        (*last)->next = NULL;
    }
    if (!copy->sub)
        copy->op = REGEX_EMPTY;
    else if (!copy->sub->next)
        return copy->sub;
    return copy;
}

static void plan_spans(const struct regex_tree *tree,
                       const struct regex_node *root, struct regex_plan *out)
{
    out->spans[0] = REGEX_SPAN_WHOLE;
    for (; root->op == REGEX_GROUP; root = root->sub)
        out->spans[root->group] = REGEX_SPAN_WHOLE;
    out->spans_known = regex_plan_decides(out);
    for (size_t i = 1; i <= tree->groups; i++) {
        bool gap = out->spans[i] == REGEX_SPAN_GAP && out->globs &&
                   out->glob_count == 1 && out->globs[0].gaps == 1;

        if (out->spans[i] != REGEX_SPAN_WHOLE && !gap)
            out->spans_known = false;
    }
}

void regex_plan_make(struct arena *a, const struct regex_tree *tree,
                     struct regex_plan *out)
{
    struct arena scratch;
    const struct regex_node *root;
    bool all;

    *out = (struct regex_plan){ 0 };
    arena_init(&scratch);
    root = without_anchors(&scratch, tree->root);
    out->spans = arena_alloc(a, tree->groups + 1);
    if (!plan_literals(a, root, out))
        (void)plan_globs(a, root, out);
    out->prefix = arena_str(a, prefix_of(&scratch, root, &all));
    plan_spans(tree, root, out);
    arena_fini(&scratch);
}

bool regex_plan_decides(const struct regex_plan *p)
{
    return p->literals || p->globs;
}

bool regex_plan_match(const struct regex_plan *p, sonde_str s)
{
    if (p->literals)
        return bsearch(&s, p->literals, p->literal_count, sizeof(s), by_str) !=
               NULL;
    for (size_t i = 0; i < p->glob_count; i++)
        if (glob_match(&p->globs[i], s))
            return true;
    return false;
}
