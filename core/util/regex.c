/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions as Prometheus has them, on PCRE2 as the engine.
 *
 * RE2 runs in linear time by leaving out what can not be; PCRE2 backtracks.
 * So the language is RE2's (regex_parse.c refuses the rest and writes down
 * what differs, regex_emit.c says it in PCRE2's words), a match has a budget
 * of steps, and most expressions never reach the engine (regex_plan.c).
 *
 * Deviations, all towards refusing: patterns above 512 KiB, nesting above
 * 250 and programs above the 64 KiB that PCRE2 can address are "too large".
 * What grows so big in practice is an alternation: one of literals needs no
 * program, any other is compiled in pieces, which can be matched but not
 * expanded. A match that runs out of its budget is no match. And a group that
 * is repeated and could match nothing once more holds that nothing, not what
 * it matched before ("(a*)+").
 *
 * A subject that is not UTF-8 (labels are, what gets here from elsewhere may
 * not be) is matched with U+FFFD for each bad byte, as Go does.
 *
 * Threads: compiled once, then read only; each match has its own match data.
 * The JIT runs on the caller's stack first (32 KiB of it); what needs more
 * is tried again on a stack of its own, bounded as well. Where the system
 * forbids executable memory PCRE2's interpreter does the same work.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "util/regex.h"

#include <pcre2.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "util/arena.h"
#include "util/mem.h"
#include "util/regex_syntax.h"
#include "util/str.h"
#include "util/utf8.h"

#define MATCH_STEPS_MAX     1000000
#define MATCH_HEAP_KIB      4096
#define JIT_STACK_FIRST     (32u * 1024)
#define JIT_STACK_MAX       (1024u * 1024)
#define ENGINE_NESTING      (4 * REGEX_HEIGHT_MAX)
#define ENGINE_PIECE_BYTES  16384 /* of pattern; some 40 KiB of program    */
#define TEMPLATE_NUMBER_MAX 100000000

struct regex {
    _Atomic uint32_t refs;
    struct arena arena; /* of all below                                    */
    sonde_str pattern;
    struct regex_plan plan;
    size_t groups;
    sonde_str *names;   /* by group; empty: none                             */
    pcre2_code **codes; /* none: the plan is enough                       */
    size_t code_count, code_cap;
    bool captures; /* the only code is all of it, groups included         */
    pcre2_match_context *context;
};

/* ---- compiling ----------------------------------------------------------- */

static sonde_code compile_error(int number, sonde_str pattern,
                                struct sonde_err *err)
{
    PCRE2_UCHAR text[160];

    switch (number) {
    case PCRE2_ERROR_PATTERN_TOO_LARGE:
    case PCRE2_ERROR_PATTERN_TOO_COMPLICATED:
    case PCRE2_ERROR_PATTERN_STRING_TOO_LONG:
    case PCRE2_ERROR_HEAP_FAILED:
    case PCRE2_ERROR_PARENTHESES_NEST_TOO_DEEP:
    case PCRE2_ERROR_PARENTHESES_STACK_CHECK:
        return regex_fail(err, "expression too large", pattern);
    default:
        (void)pcre2_get_error_message(number, text, sizeof(text));
        return regex_fail(err, (const char *)text, pattern);
    }
}

static sonde_code engine_compile(struct regex *re, sonde_str text,
                                 struct sonde_err *err)
{
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    int number = PCRE2_ERROR_HEAP_FAILED;
    pcre2_code *code = NULL;
    size_t at;

    if (c) {
        (void)pcre2_set_newline(c, PCRE2_NEWLINE_LF);
        (void)pcre2_set_parens_nest_limit(c, ENGINE_NESTING);
        code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
                             PCRE2_UTF | PCRE2_DOTALL | PCRE2_ALT_CIRCUMFLEX |
                                 PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C,
                             &number, &at, c);
        pcre2_compile_context_free(c);
    }
    if (!code)
        return compile_error(number, re->pattern, err);
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    re->codes = mem_grow(re->codes, &re->code_cap, re->code_count + 1,
                         sizeof(pcre2_code *));
    re->codes[re->code_count++] = code;
    return SONDE_OK;
}

#define ENGINE_OPEN  "\\A(?:"
#define ENGINE_CLOSE ")\\z"

/* An alternation that is too large for one program, as several. */
static sonde_code engine_split(struct regex *re, const struct regex_node *n,
                               struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;
    struct buf b;

    while (n->op == REGEX_GROUP)
        n = n->sub;
    if (n->op != REGEX_ALTERNATE)
        return SONDE_EPARSE; /* with the error that is there */
    buf_init(&b);
    for (const struct regex_node *c = n->sub; c && rc == SONDE_OK;
         c = c->next) {
        buf_cstr(&b, b.len ? "|(?:" : ENGINE_OPEN "(?:");
        regex_emit(c, false, &b);
        buf_char(&b, ')');
        if (c->next && b.len < ENGINE_PIECE_BYTES)
            continue;
        buf_cstr(&b, ENGINE_CLOSE);
        rc = engine_compile(re, buf_str(&b), err);
        buf_reset(&b);
    }
    buf_fini(&b);
    return rc;
}

static sonde_code engine_make(struct regex *re, const struct regex_node *root,
                              struct sonde_err *err)
{
    struct buf b;
    sonde_code rc;

    re->context = pcre2_match_context_create(NULL);
    if (!re->context)
        return sonde_err_set(err, SONDE_ENOMEM, "compiling a regexp");
    (void)pcre2_set_match_limit(re->context, MATCH_STEPS_MAX);
    (void)pcre2_set_heap_limit(re->context, MATCH_HEAP_KIB);
    buf_init(&b);
    buf_cstr(&b, ENGINE_OPEN);
    regex_emit(root, true, &b);
    buf_cstr(&b, ENGINE_CLOSE);
    rc = engine_compile(re, buf_str(&b), err);
    buf_fini(&b);
    re->captures = rc == SONDE_OK;
    /* Thousands of literals in some group: can be matched, not expanded. */
    if (rc != SONDE_OK && regex_plan_decides(&re->plan))
        return SONDE_OK;
    return rc == SONDE_OK ? rc : engine_split(re, root, err);
}

static sonde_code regex_make(struct regex *re, struct arena *scratch,
                             struct sonde_err *err)
{
    struct regex_tree *tree = arena_new(scratch, struct regex_tree);
    sonde_code rc = regex_parse(scratch, re->pattern, tree, err);

    if (rc != SONDE_OK)
        return rc;
    regex_plan_make(&re->arena, tree, &re->plan);
    re->groups = tree->groups;
    re->names = arena_array(&re->arena, sonde_str, tree->groups + 1);
    for (size_t i = 1; i <= tree->groups; i++)
        if (tree->names[i].len)
            re->names[i] = arena_str(&re->arena, tree->names[i]);
    if (re->plan.spans_known)
        return SONDE_OK;
    return engine_make(re, tree->root, err);
}

sonde_code regex_new(sonde_str pattern, struct regex **out,
                     struct sonde_err *err)
{
    struct regex *re = mem_new(struct regex);
    struct arena scratch;
    sonde_code rc;

    re->refs = 1;
    arena_init(&re->arena);
    arena_init(&scratch);
    re->pattern = arena_str(&re->arena, pattern);
    rc = regex_make(re, &scratch, err);
    arena_fini(&scratch);
    *out = re;
    if (rc != SONDE_OK) {
        regex_unref(re);
        *out = NULL;
    }
    return rc;
}

struct regex *regex_ref(struct regex *re)
{
    (void)atomic_fetch_add_explicit(&re->refs, 1, memory_order_relaxed);
    return re;
}

void regex_unref(struct regex *re)
{
    if (!re ||
        atomic_fetch_sub_explicit(&re->refs, 1, memory_order_acq_rel) > 1)
        return;
    pcre2_match_context_free(re->context);
    for (size_t i = 0; i < re->code_count; i++)
        pcre2_code_free(re->codes[i]);
    free(re->codes);
    arena_fini(&re->arena);
    free(re);
}

sonde_str regex_pattern(const struct regex *re)
{
    return re->pattern;
}

bool regex_literals(const struct regex *re, const sonde_str **items,
                    size_t *count)
{
    *items = re->plan.literals;
    *count = re->plan.literal_count;
    return re->plan.literals != NULL;
}

sonde_str regex_prefix(const struct regex *re)
{
    return re->plan.prefix;
}

bool regex_can_expand(const struct regex *re)
{
    return re->plan.spans_known || re->captures;
}

/* ---- matching ------------------------------------------------------------ */

/* Once more, with a stack that is larger than the one borrowed. */
static int match_with_stack(const struct regex *re, const pcre2_code *code,
                            sonde_str s, pcre2_match_data *data)
{
    pcre2_jit_stack *stack =
        pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
    pcre2_match_context *context = pcre2_match_context_copy(re->context);
    int rc = PCRE2_ERROR_NOMEMORY;

    if (stack && context) {
        pcre2_jit_stack_assign(context, NULL, stack);
        rc = pcre2_match(code, (PCRE2_SPTR)s.ptr, s.len, 0, PCRE2_NO_UTF_CHECK,
                         data, context);
    }
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
    return rc;
}

static bool engine_match(const struct regex *re, const pcre2_code *code,
                         sonde_str s, pcre2_match_data *data)
{
    int rc;

    if (s.len == 0)
        s.ptr = "";
    rc = pcre2_match(code, (PCRE2_SPTR)s.ptr, s.len, 0, PCRE2_NO_UTF_CHECK,
                     data, re->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = match_with_stack(re, code, s, data);
    return rc >= 0;
}

static bool is_clean(sonde_str s)
{
    return str_is_ascii(s) || str_is_utf8(s);
}

/* A copy with U+FFFD for each byte that is no UTF-8. */
static void clean_copy(struct buf *out, sonde_str s)
{
    buf_init(out);
    while (s.len) {
        char text[UTF8_MAX_BYTES];
        bool ok = true;
        uint32_t r;
        size_t n = utf8_decode(s, &r, &ok);

        buf_bytes(out, text, utf8_encode(text, r));
        s = str_sub(s, n, s.len);
    }
}

static bool engine_matches(const struct regex *re, sonde_str s)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    bool matches = false;

    for (size_t i = 0; data && !matches && i < re->code_count; i++)
        matches = engine_match(re, re->codes[i], s, data);
    pcre2_match_data_free(data);
    return matches;
}

bool regex_match(const struct regex *re, sonde_str s)
{
    struct buf copy;
    bool matches;

    if (regex_plan_decides(&re->plan))
        return regex_plan_match(&re->plan, s);
    if (!str_starts(s, re->plan.prefix))
        return false;
    if (is_clean(s))
        return engine_matches(re, s);
    clean_copy(&copy, s);
    matches = engine_matches(re, buf_str(&copy));
    buf_fini(&copy);
    return matches;
}

/* ---- expanding ----------------------------------------------------------- */

/* What the groups captured; an unset one has a NULL ptr. */
struct captures {
    const struct regex *re;
    sonde_str whole;
    const size_t *offsets; /* of the engine; NULL: of the plan             */
};

static sonde_str capture(const struct captures *c, size_t group)
{
    const struct regex_glob *glob = c->re->plan.globs;
    size_t from, to;

    if (group > c->re->groups)
        return (sonde_str){ 0 };
    if (c->offsets) {
        from = c->offsets[2 * group];
        to = c->offsets[2 * group + 1];
        if (from == PCRE2_UNSET || to == PCRE2_UNSET)
            return (sonde_str){ 0 };
        return str_sub(c->whole, from, to);
    }
    if (c->re->plan.spans[group] == REGEX_SPAN_WHOLE)
        return c->whole;
    return str_sub(c->whole, glob->parts[0].len,
                   c->whole.len - glob->parts[1].len);
}

/* Of groups with the same name, the first that took part. */
static sonde_str capture_named(const struct captures *c, sonde_str name)
{
    for (size_t i = 1; i <= c->re->groups; i++) {
        sonde_str s;

        if (!sonde_str_eq(c->re->names[i], name))
            continue;
        s = capture(c, i);
        if (s.ptr)
            return s;
    }
    return (sonde_str){ 0 };
}

/* The name behind a "$": letters, digits, underscores, as many as there
 * are, or the same in braces. Returns the bytes used, 0 if there is none. */
static size_t template_name(sonde_str s, sonde_str *name)
{
    bool brace = s.len && s.ptr[0] == '{';
    size_t i = brace;

    while (i < s.len) {
        bool ok = true;
        uint32_t r;
        size_t n = utf8_decode(str_sub(s, i, s.len), &r, &ok);

        if (!ok || (r != '_' && !rune_is_word(r)))
            break;
        i += n;
    }
    *name = str_sub(s, brace, i);
    if (name->len == 0)
        return 0;
    if (!brace)
        return i;
    return i < s.len && s.ptr[i] == '}' ? i + 1 : 0;
}

/* Whether a name is a group's number; "01" is not. */
static bool template_number(sonde_str name, size_t *out)
{
    uint64_t v;

    if (!str_to_u64(name, &v) || (name.len > 1 && name.ptr[0] == '0'))
        return false;
    *out = v < TEMPLATE_NUMBER_MAX ? (size_t)v : TEMPLATE_NUMBER_MAX;
    return true;
}

static void expand(const struct captures *c, sonde_str template,
                   struct buf *out)
{
    for (;;) {
        size_t at = str_index(template, '$'), used, number;
        sonde_str name;

        buf_put(out, str_sub(template, 0, at));
        if (at == template.len)
            return;
        template = str_sub(template, at + 1, template.len);
        used = template_name(template, &name);
        if (used == 0) {
            buf_char(out, '$');
            used = template.len && template.ptr[0] == '$';
        } else if (template_number(name, &number)) {
            buf_put(out, capture(c, number));
        } else {
            buf_put(out, capture_named(c, name));
        }
        template = str_sub(template, used, template.len);
    }
}

static bool engine_expand(const struct regex *re, sonde_str s,
                          sonde_str template, struct buf *out)
{
    pcre2_match_data *data =
        pcre2_match_data_create_from_pattern(re->codes[0], NULL);
    bool matches = data && engine_match(re, re->codes[0], s, data);

    if (matches)
        expand(&(struct captures){ .re = re,
                                   .whole = s,
                                   .offsets = pcre2_get_ovector_pointer(data) },
               template, out);
    pcre2_match_data_free(data);
    return matches;
}

bool regex_expand(const struct regex *re, sonde_str s, sonde_str replacement,
                  struct buf *out)
{
    struct buf copy;
    bool matches;

    if (regex_plan_decides(&re->plan) && !regex_plan_match(&re->plan, s))
        return false;
    if (re->plan.spans_known) {
        expand(&(struct captures){ .re = re, .whole = s }, replacement, out);
        return true;
    }
    if (!re->captures || !str_starts(s, re->plan.prefix))
        return false;
    if (is_clean(s))
        return engine_expand(re, s, replacement, out);
    clean_copy(&copy, s);
    matches = engine_expand(re, buf_str(&copy), replacement, out);
    buf_fini(&copy);
    return matches;
}
