/* SPDX-License-Identifier: Apache-2.0 */
/* config: yaml, schema, print, options, document. */
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "unit/tap.h"
#include "util/mem.h"
#include "util/str.h"

/* ---- the tree ---------------------------------------------------------- */

struct fixture {
    struct arena arena;
    struct sonde_err err;
    struct yaml_node *root;
};

static sonde_code parse(struct fixture *f, const char *text)
{
    arena_init(&f->arena);
    f->err = (struct sonde_err){ 0 };
    return yaml_parse(&f->arena, "f.yml", sonde_cstr(text), &f->root, &f->err);
}

/* A tree as one line: {k: v} [a] and kinds of scalars as ~ 'quoted' plain. */
static void dump(struct buf *b, const struct yaml_node *n)
{
    const char *q = n->quoted ? "'" : "";

    if (n->kind == YAML_NULL)
        buf_char(b, '~');
    else if (n->kind == YAML_SCALAR)
        buf_printf(b, "%s%.*s%s", q, SONDE_ARG(n->scalar), q);
    else
        buf_char(b, n->kind == YAML_MAPPING ? '{' : '[');
    for (size_t i = 0; i < n->count; i++) {
        buf_cstr(b, i ? ", " : "");
        if (n->kind == YAML_MAPPING)
            buf_printf(b, "%.*s: ", SONDE_ARG(n->keys[i]->scalar));
        dump(b, n->items[i]);
    }
    if (n->kind == YAML_SEQUENCE || n->kind == YAML_MAPPING)
        buf_char(b, n->kind == YAML_MAPPING ? '}' : ']');
}

static void test_trees(void)
{
    static const struct {
        int line;
        const char *text, *want;
    } rows[] = {
        { __LINE__, "", "~" },
        { __LINE__, "# nothing\n", "~" },
        { __LINE__, "---\n", "~" },
        { __LINE__,
          "\xef\xbb\xbf"
          "a: 1",
          "{a: 1}" },
        { __LINE__, "a: 1\nb: '1'\nc: \"x\\ny\"", "{a: 1, b: '1', c: 'x\ny'}" },
        { __LINE__, "a: ~\nb:\nc: null\nd: 'null'",
          "{a: ~, b: ~, c: ~, d: 'null'}" },
        { __LINE__, "{\"a\": [1, {\"b\": true}]}", "{a: [1, {b: true}]}" },
        { __LINE__, "a: &x [1]\nb: *x", "{a: [1], b: [1]}" },
        { __LINE__, "a: &x 1\nb: &x 2\nc: *x", "{a: 1, b: 2, c: 2}" },
        { __LINE__, "m: &m {a: 1, b: 2}\nn: {b: 3, <<: *m}",
          "{m: {a: 1, b: 2}, n: {b: 3, a: 1}}" },
        { __LINE__, "n: {<<: [{a: 1}, {a: 2, b: 3}]}", "{n: {a: 1, b: 3}}" },
        { __LINE__, "n: {'<<': 1}", "{n: {<<: 1}}" },
        { __LINE__, "a: !!str 1", "{a: '1'}" },
        { __LINE__, "a: |\n  x\n  y\n", "{a: 'x\ny\n'}" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct buf b = { 0 };
        sonde_code rc = parse(&f, rows[i].text);

        ROW_ASSERT(&rows[i], rc == SONDE_OK);
        if (rc == SONDE_OK)
            dump(&b, f.root);
        ROW_ASSERT(&rows[i], str_eq_cstr(buf_str(&b), rows[i].want));
        buf_fini(&b);
        arena_fini(&f.arena);
    }
}

static void test_tree_errors(void)
{
    static const struct {
        int line;
        const char *text, *want;
    } rows[] = {
        { __LINE__, "a: 1\na: 2", "f.yml:2:1: key \"a\" is given twice" },
        { __LINE__, "a: {b: 1, 'b': 2}", "f.yml:1:11: key \"b\"" },
        { __LINE__, "a: *x", "f.yml:1:4: there is no anchor \"x\"" },
        { __LINE__, "a: &x [*x]", "anchor \"x\" is used inside itself" },
        { __LINE__, "a: b: c", "f.yml:1:5: mapping values" },
        { __LINE__, "a: [1", "f.yml:2:1: did not find" },
        { __LINE__, "a:\n\t- 1", "f.yml:2:1: " },
        { __LINE__, "? [a]\n: 1", "f.yml:1:3: a key must be a text" },
        { __LINE__, "a: 1\n---\nb: 2", "f.yml:2:1: a second document" },
        { __LINE__, "a: !x 1", "tag \"!x\" is not supported" },
        { __LINE__, "a: \"\\0\"", "f.yml:1:4: a NUL character" },
        { __LINE__, "a: 1\nb: \xff", "f.yml:2:4: " },
        { __LINE__, "<<: 1", "f.yml:1:5: a merge key (<<) takes a mapping" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        sonde_code rc = parse(&f, rows[i].text);

        ROW_ASSERT(&rows[i], rc == SONDE_EPARSE);
        ROW_ASSERT(&rows[i], strstr(f.err.text, rows[i].want) != NULL);
        if (!strstr(f.err.text, rows[i].want))
            tap_note("%s", f.err.text);
        arena_fini(&f.arena);
    }
}

static void test_tree_bounds(void)
{
    struct fixture f;
    struct buf b = { 0 };
    char *big;

    for (int i = 0; i < 70; i++)
        buf_cstr(&b, "[");
    buf_char(&b, 0);
    CU_ASSERT_EQUAL(parse(&f, b.data), SONDE_EPARSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "nested deeper than 64"));
    arena_fini(&f.arena);

    buf_reset(&b);
    buf_cstr(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 10; i++)
        buf_printf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
                   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    buf_char(&b, 0);
    CU_ASSERT_EQUAL(parse(&f, b.data), SONDE_EPARSE);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "more than 1000000 values"));
    arena_fini(&f.arena);
    buf_fini(&b);

    big = mem_alloc(YAML_TEXT_MAX_BYTES + 2);
    memset(big, '#', YAML_TEXT_MAX_BYTES + 1);
    big[YAML_TEXT_MAX_BYTES + 1] = 0;
    CU_ASSERT_EQUAL(parse(&f, big), SONDE_ELIMIT);
    arena_fini(&f.arena);
    free(big);
}

/* ---- tables ------------------------------------------------------------ */

struct sub {
    struct config_head head;
    sonde_str name, secret;
};
static const struct config_key sub_rows[] = {
    CONFIG_ROW_STR(struct sub, name, .flags = CONFIG_REQUIRED),
    CONFIG_ROW_SECRET(struct sub, secret),
};
static const struct config_block_def sub_block =
    CONFIG_BLOCK_DEF("sub", struct sub, sub_rows, NULL, "A part");

struct inner {
    struct config_head head;
    sonde_str text;
    bool flag;
};
static const struct config_key inner_rows[] = {
    CONFIG_ROW_STR(struct inner, text),
    CONFIG_ROW_BOOL(struct inner, flag),
};
static const struct config_block_def inner_block =
    CONFIG_BLOCK_DEF("inner", struct inner, inner_rows, NULL, "Inside");

struct top {
    struct config_head head;
    sonde_str text, secret, path, url;
    bool flag, live;
    int64_t number, bytes;
    double real;
    sonde_msec wait;
    int word;
    struct sonde_list names, paths, flow;
    struct config_map labels, params;
    struct sub *block;
    struct inner in;
    struct config_blocks blocks;
    const struct yaml_node *node;
};
static const char *const words[] = { "", "red", "Blue", NULL };
static const struct config_key top_rows[] = {
    CONFIG_ROW_STR(struct top, text, .fallback = "default", .help = "A text"),
    CONFIG_ROW_SECRET(struct top, secret),
    CONFIG_ROW_PATH(struct top, path),
    CONFIG_ROW_URL(struct top, url),
    CONFIG_ROW_BOOL(struct top, flag),
    CONFIG_ROW_BOOL(struct top, live, .fallback = "true"),
    CONFIG_ROW_INT(struct top, number, .min = 1, .max = 10, .fallback = "3"),
    CONFIG_ROW_SIZE(struct top, bytes),
    CONFIG_ROW_FLOAT(struct top, real),
    CONFIG_ROW_DURATION(struct top, wait, .min = 1, .max = INT64_MAX,
                        .fallback = "1m"),
    CONFIG_ROW_ENUM(struct top, word, .choices = words, .flags = CONFIG_FOLD),
    CONFIG_ROW_STR_LIST(struct top, names, .fallback = "[a, b]"),
    CONFIG_ROW_PATH_LIST(struct top, paths),
    CONFIG_ROW_STR_LIST(struct top, flow, .flags = CONFIG_FLOW),
    CONFIG_ROW_STR_MAP(struct top, labels),
    CONFIG_ROW_LIST_MAP(struct top, params),
    CONFIG_ROW_BLOCK(struct top, block, struct sub *, &sub_block),
    CONFIG_ROW_INLINE(struct top, in, struct inner, &inner_block),
    CONFIG_ROW_BLOCK_LIST(struct top, blocks, &sub_block),
    CONFIG_ROW_NODE(struct top, node),
    CONFIG_ROW_UNUSED("later"),
    CONFIG_ROW_UNUSED_AS("later_block", CONFIG_BLOCK, .block = &sub_block),
    CONFIG_ROW_UNUSED_AS("later_url", CONFIG_URL),
};
static const struct config_block_def top_block =
    CONFIG_BLOCK_DEF("top", struct top, top_rows, NULL, "All kinds");

struct reader {
    struct fixture f;
    struct config_ctx ctx;
    struct top top;
    char warnings[512];
};

static void note_warning(void *arg, const char *text)
{
    struct reader *r = arg;
    size_t len = strlen(r->warnings);

    (void)snprintf(r->warnings + len, sizeof(r->warnings) - len, "%s\n", text);
}

static sonde_code read_top(struct reader *r, const char *text)
{
    sonde_code rc = parse(&r->f, text);

    r->warnings[0] = 0;
    r->ctx.arena = &r->f.arena;
    r->ctx.warn = note_warning;
    r->ctx.warn_arg = r;
    if (rc != SONDE_OK)
        return rc;
    return config_read(&r->ctx, &top_block, r->f.root, &r->top, &r->f.err);
}

static void test_defaults(void)
{
    struct reader r = { 0 };

    CU_ASSERT_EQUAL(read_top(&r, "text:\n"), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(r.top.text.ptr, "default");
    CU_ASSERT_STRING_EQUAL(r.top.secret.ptr, "");
    CU_ASSERT_TRUE(r.top.live);
    CU_ASSERT_EQUAL(r.top.number, 3);
    CU_ASSERT_EQUAL(r.top.wait, 60000);
    CU_ASSERT_EQUAL(r.top.names.count, 2);
    CU_ASSERT_PTR_NULL(r.top.block);
    arena_fini(&r.f.arena);
}

static void test_values(void)
{
    static const struct {
        int line;
        const char *text, *want; /* the part of the print that matters */
    } rows[] = {
        { __LINE__, "text: 12", "text: \"12\"\n" },
        { __LINE__, "text: 'a: b'", "text: 'a: b'\n" },
        { __LINE__, "text: \"it's\"", "text: it's\n" },
        { __LINE__, "text: \"a\\tb\\u0085\"", "text: \"a\\tb\\u0085\"\n" },
        { __LINE__, "text: ''", "text: \"\"\n" },
        { __LINE__, "secret: hush", "secret: <secret>\n" },
        { __LINE__, "path: x/y", "path: dir/x/y\n" },
        { __LINE__, "path: /x", "path: /x\n" },
        { __LINE__, "paths: ['*.yml', /b]", "paths:\n- dir/*.yml\n- /b\n" },
        { __LINE__, "url: http://u:p@h:1/x@y",
          "url: http://u:xxxxx@h:1/x@y\n" },
        { __LINE__, "url: http://u@h", "url: http://u@h\n" },
        { __LINE__, "flag: yes", "flag: true\n" },
        { __LINE__, "flag: On", "flag: true\n" },
        { __LINE__, "live: off", "live: false\n" },
        { __LINE__, "number: 0x0a", "number: 10\n" },
        { __LINE__, "number: 1e0", "number: 1\n" },
        { __LINE__, "number: 07", "number: 7\n" },
        { __LINE__, "bytes: 1MB", "bytes: 1MiB\n" },
        { __LINE__, "real: 1_0", "real: 10\n" },
        { __LINE__, "real: -.inf", "real: -.inf\n" },
        { __LINE__, "wait: 90s", "wait: 1m30s\n" },
        { __LINE__, "word: RED", "word: red\n" },
        { __LINE__, "word: blue", "word: Blue\n" },
        { __LINE__, "flow: [a, 'b,c']", "flow: [a, 'b,c']\n" },
        { __LINE__, "labels: {b: 1, a: ~}",
          "labels:\n  a: \"\"\n  b: \"1\"\n" },
        { __LINE__, "params: {m: [x], a: []}",
          "params:\n  a: []\n  m:\n  - x\n" },
        { __LINE__, "block: {name: n, secret: s}",
          "block:\n  name: \"n\"\n  secret: <secret>\n" },
        { __LINE__, "in: {flag: true}", "in:\n  flag: true\n" },
        { __LINE__, "blocks: [{name: a}, {name: b, secret: ''}]",
          "blocks:\n- name: a\n- name: b\n" },
        { __LINE__, "node: {a: [1, {b: 'x y'}], my_password: [p], c: ~}",
          "node:\n  a:\n  - 1\n  - b: x y\n  my_password:\n  - <secret>\n"
          "  c: null\n" },
        { __LINE__, "node: [[1, 2], [], {}]",
          "node:\n-\n  - 1\n  - 2\n- []\n- {}\n" },
        { __LINE__, "later_block: {secret: s, name: x}",
          "later_block:\n  secret: <secret>\n  name: x\n" },
        { __LINE__, "later_url: ftp://a:b@c", "later_url: ftp://a:xxxxx@c\n" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reader r = { 0 };
        struct buf b = { 0 };
        sonde_code rc = parse(&r.f, rows[i].text);

        r.ctx.arena = &r.f.arena;
        if (rc == SONDE_OK)
            rc = yaml_parse(&r.f.arena, "dir/f.yml", sonde_cstr(rows[i].text),
                            &r.f.root, &r.f.err);
        if (rc == SONDE_OK)
            rc = config_read(&r.ctx, &top_block, r.f.root, &r.top, &r.f.err);
        ROW_ASSERT(&rows[i], rc == SONDE_OK);
        if (rc == SONDE_OK)
            config_print(&b, &top_block, &r.top, 0);
        buf_char(&b, 0);
        ROW_ASSERT(&rows[i], strstr(b.data, rows[i].want) != NULL);
        if (!strstr(b.data, rows[i].want))
            tap_note("%s%s", r.f.err.text, b.data);
        buf_fini(&b);
        arena_fini(&r.f.arena);
    }
}

static void test_errors(void)
{
    static const struct {
        int line;
        const char *text, *want;
    } rows[] = {
        { __LINE__, "[]", "f.yml:1:1: expected top, a mapping" },
        { __LINE__, "tex: 1",
          "f.yml:1:1: field \"tex\" not known in top; did you mean \"text\"?" },
        { __LINE__, "zzzzzz: 1", "field \"zzzzzz\" not known in top" },
        { __LINE__, "text: [a]", "text: expected a text, got a list" },
        { __LINE__, "flag: 'true'",
          "flag: expected true or false, got the text \"true\"" },
        { __LINE__, "flag: maybe", "flag: expected true or false" },
        { __LINE__, "number: 11",
          "f.yml:1:9: number: expected at least 1 and at most 10, got \"11\"" },
        { __LINE__, "number: x", "number: expected a whole number" },
        { __LINE__, "number: 1.5", "number: expected a whole number" },
        { __LINE__, "number: 99999999999999999999",
          "number: expected a whole number" },
        { __LINE__, "wait: 10", "wait: expected a duration such as" },
        { __LINE__, "wait: 0s", "wait: expected at least 1ms" },
        { __LINE__, "bytes: 10", "bytes: expected a size with a unit" },
        { __LINE__, "real: nan", "real: expected a number" },
        { __LINE__, "word: green",
          "word: expected one of \"\", \"red\", \"Blue\", got \"green\"" },
        { __LINE__, "url: nowhere", "url: expected a URL" },
        { __LINE__, "url: 'http:// x'", "url: expected a URL" },
        { __LINE__, "names: a", "names: expected a list, got \"a\"" },
        { __LINE__, "names: [~]", "names: expected a list of texts" },
        { __LINE__, "labels: [a]", "labels: expected a mapping" },
        { __LINE__, "params: {a: b}", "params: expected a list" },
        { __LINE__, "block: {}", "f.yml:1:8: missing \"name\" in sub" },
        { __LINE__, "block: {name: ''}", "missing \"name\" in sub" },
        { __LINE__, "blocks: [~]", "blocks: expected a list of mappings" },
        { __LINE__, "later_block: {nam: x}",
          "field \"nam\" not known in sub; did you mean \"name\"?" },
        { __LINE__, "secret: [hush]", "secret: expected a text, got a list" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reader r = { 0 };
        sonde_code rc = read_top(&r, rows[i].text);

        ROW_ASSERT(&rows[i], rc == SONDE_EPARSE);
        ROW_ASSERT(&rows[i], strstr(r.f.err.text, rows[i].want) != NULL);
        if (!strstr(r.f.err.text, rows[i].want))
            tap_note("%s", r.f.err.text);
        arena_fini(&r.f.arena);
    }
}

static void test_unused_warns_once(void)
{
    struct reader r = { 0 };

    CU_ASSERT_EQUAL(read_top(&r, "later: 1\nlater_block: {name: x}\n"),
                    SONDE_OK);
    CU_ASSERT_STRING_EQUAL(
        r.warnings, "f.yml:1:1: \"later\" in top has no effect yet\n"
                    "f.yml:2:1: \"later_block\" in top has no effect yet\n");
    arena_fini(&r.f.arena);
    CU_ASSERT_EQUAL(read_top(&r, "later: ~\n"), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(r.warnings, "");
    arena_fini(&r.f.arena);
}

static void test_expand_env(void)
{
    static const struct {
        int line;
        const char *text, *want; /* NULL: an error */
    } rows[] = {
        { __LINE__, "text: a${CONFIG_TEST_VAR}b", "aXb" },
        { __LINE__, "text: $CONFIG_TEST_VAR", "$CONFIG_TEST_VAR" },
        { __LINE__, "text: $${CONFIG_TEST_VAR}", "${CONFIG_TEST_VAR}" },
        { __LINE__, "text: ${1}-$1-$", "${1}-$1-$" },
        { __LINE__, "text: a$$", "a$" },
        { __LINE__, "text: ${unclosed", "${unclosed" },
        { __LINE__, "text: ${CONFIG_TEST_NOT_SET}", NULL },
    };

    (void)setenv("CONFIG_TEST_VAR", "X", 1);
    (void)unsetenv("CONFIG_TEST_NOT_SET");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reader r = { .ctx = { .expand_env = true } };
        sonde_code rc = read_top(&r, rows[i].text);

        ROW_ASSERT(&rows[i], (rc == SONDE_OK) == (rows[i].want != NULL));
        if (rc == SONDE_OK)
            ROW_ASSERT(&rows[i], str_eq_cstr(r.top.text, rows[i].want));
        else
            ROW_ASSERT(&rows[i],
                       strstr(r.f.err.text, "f.yml:1:7: environment variable "
                                            "\"CONFIG_TEST_NOT_SET\""));
        arena_fini(&r.f.arena);
    }
}

/* What is printed reads back as the same, secrets apart. */
static void test_print_is_stable(void)
{
    static const char text[] =
        "text: '- x # y'\nnames: ['', ' a', '~', 'tr\"ue', true, '1', \"\\n\","
        " 'a: b', '# c', '@', '%', 'x:', \"\\u2028\", '...', '!a', '&b']\n"
        "labels: {'a b': \"'\", '': x, 'y': '{}', '[': \"\\\\\"}\n";
    struct reader r = { 0 };
    struct buf one = { 0 }, two = { 0 };

    CU_ASSERT_EQUAL(read_top(&r, text), SONDE_OK);
    config_print(&one, &top_block, &r.top, 0);
    buf_char(&one, 0);
    arena_fini(&r.f.arena);
    CU_ASSERT_EQUAL(read_top(&r, one.data), SONDE_OK);
    if (r.f.err.text[0])
        tap_note("%s\n%s", r.f.err.text, one.data);
    CU_ASSERT_EQUAL(r.top.names.count, 16);
    config_print(&two, &top_block, &r.top, 0);
    buf_char(&two, 0);
    CU_ASSERT_STRING_EQUAL(one.data, two.data);
    arena_fini(&r.f.arena);
    buf_fini(&one);
    buf_fini(&two);
}

static void test_document(void)
{
    struct buf b = { 0 };

    config_document(&b, &top_block);
    buf_char(&b, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "### top\n\nAll kinds.\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(b.data, "| `text` | text | `default` | A text |\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "list of [sub](#sub)"));
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "**No effect yet.**"));
    CU_ASSERT_PTR_NOT_NULL(strstr(b.data, "### sub\n"));
    CU_ASSERT_PTR_NULL(strstr(strstr(b.data, "### sub\n") + 1, "### sub\n"));
    buf_fini(&b);
}

/* ---- options ----------------------------------------------------------- */

struct opts {
    sonde_str password, file, mode;
    bool flag;
    int64_t n;
    sonde_msec timeout;
    struct sonde_list list;
};
static const char *const modes[] = { "fast", "slow", NULL };
static const struct sonde_option opt_rows[] = {
    SONDE_OPT_SECRET(struct opts, password, .env = "CONFIG_TEST_PASSWORD"),
    SONDE_OPT_FILE(struct opts, file),
    SONDE_OPT_STR(struct opts, mode, .choices = modes, .fallback = "fast"),
    SONDE_OPT_BOOL(struct opts, flag),
    SONDE_OPT_INT(struct opts, n, .min = 1, .max = 5, .fallback = "2"),
    SONDE_OPT_DURATION(struct opts, timeout, .fallback = "2s"),
    SONDE_OPT_LIST(struct opts, list, .fallback = "[a, b]"),
};
#define OPT_COUNT (sizeof(opt_rows) / sizeof(opt_rows[0]))

static sonde_code read_opts(struct fixture *f, const char *text,
                            const struct config_map *overrides,
                            struct opts *out)
{
    struct config_ctx ctx = { .arena = &f->arena };
    sonde_code rc;

    arena_init(&f->arena);
    memset(out, 0xff, sizeof(*out));
    rc = yaml_parse(&f->arena, "d/f.yml", sonde_cstr(text), &f->root, &f->err);
    if (rc != SONDE_OK)
        return rc;
    return options_read(&ctx, opt_rows, OPT_COUNT, sizeof(opt_rows[0]), f->root,
                        overrides, out, &f->err);
}

static void test_options(void)
{
    struct fixture f;
    struct opts o;

    (void)unsetenv("CONFIG_TEST_PASSWORD");
    CU_ASSERT_EQUAL(read_opts(&f, "file: x\nlist: [p, q, r]", NULL, &o), 0);
    CU_ASSERT_STRING_EQUAL(o.file.ptr, "d/x");
    CU_ASSERT_STRING_EQUAL(o.password.ptr, "");
    CU_ASSERT_STRING_EQUAL(o.mode.ptr, "fast");
    CU_ASSERT_FALSE(o.flag);
    CU_ASSERT_EQUAL(o.n, 2);
    CU_ASSERT_EQUAL(o.timeout, 2000);
    CU_ASSERT_EQUAL(o.list.count, 3);
    arena_fini(&f.arena);
}

static void test_options_precedence(void)
{
    sonde_str n4 = SONDE_STR("4"), pw = SONDE_STR("label");
    struct config_pair pairs[] = {
        { .key = SONDE_STR("n"), .values = { &n4, 1 } },
        { .key = SONDE_STR("password"), .values = { &pw, 1 } },
        { .key = SONDE_STR("unknown"), .values = { &pw, 1 } },
    };
    struct config_map overrides = { pairs, 3 };
    struct fixture f;
    struct opts o;

    (void)setenv("CONFIG_TEST_PASSWORD", "env", 1);
    CU_ASSERT_EQUAL(read_opts(&f, "", NULL, &o), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(o.password.ptr, "env");
    arena_fini(&f.arena);
    CU_ASSERT_EQUAL(read_opts(&f, "password: node\nn: 3", NULL, &o), SONDE_OK);
    CU_ASSERT_STRING_EQUAL(o.password.ptr, "node");
    CU_ASSERT_EQUAL(o.n, 3);
    arena_fini(&f.arena);
    CU_ASSERT_EQUAL(read_opts(&f, "password: node\nn: 3", &overrides, &o),
                    SONDE_OK);
    CU_ASSERT_STRING_EQUAL(o.password.ptr, "label");
    CU_ASSERT_EQUAL(o.n, 4);
    arena_fini(&f.arena);
    (void)unsetenv("CONFIG_TEST_PASSWORD");
}

static void test_options_errors(void)
{
    static const struct {
        int line;
        const char *text, *want;
    } rows[] = {
        { __LINE__, "pasword: x",
          "d/f.yml:1:1: option \"pasword\" not known; did you mean "
          "\"password\"?" },
        { __LINE__, "n: 9",
          "d/f.yml:1:4: option \"n\": expected at least 1 and at most 5, got "
          "\"9\"" },
        { __LINE__, "mode: x",
          "option \"mode\": expected one of \"fast\", \"slow\", got \"x\"" },
        { __LINE__, "flag: [a]",
          "option \"flag\": expected true or false, got a list" },
        { __LINE__, "timeout: soon", "option \"timeout\": expected a dur" },
        { __LINE__, "- a", "options: expected a mapping" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        struct opts o;
        sonde_code rc = read_opts(&f, rows[i].text, NULL, &o);

        ROW_ASSERT(&rows[i], rc == SONDE_EPARSE);
        ROW_ASSERT(&rows[i], strstr(f.err.text, rows[i].want) != NULL);
        arena_fini(&f.arena);
    }
}

/* A plugin compiled against a shorter row, and secrets in the dump. */
static void test_options_stride_and_marks(void)
{
    size_t stride = offsetof(struct sonde_option, env);
    char *packed = mem_alloc(stride * OPT_COUNT);
    struct config_ctx ctx = { 0 };
    struct fixture f;
    struct opts o;

    for (size_t i = 0; i < OPT_COUNT; i++)
        memcpy(packed + i * stride, &opt_rows[i], stride);
    CU_ASSERT_EQUAL(parse(&f, "n: 5\npassword: p"), SONDE_OK);
    ctx.arena = &f.arena;
    CU_ASSERT_EQUAL(options_read(&ctx, (const void *)packed, OPT_COUNT, stride,
                                 f.root, NULL, &o, &f.err),
                    SONDE_OK);
    CU_ASSERT_EQUAL(o.n, 5);
    options_mark_secrets((const void *)packed, OPT_COUNT, stride, f.root);
    CU_ASSERT_TRUE(yaml_get(f.root, "password")->secret);
    CU_ASSERT_FALSE(yaml_get(f.root, "n")->secret);
    arena_fini(&f.arena);
    free(packed);
}

static const struct tap_test tests[] = {
    { "documents become trees", test_trees },
    { "broken documents are errors with their place", test_tree_errors },
    { "depth, aliases and size are bounded", test_tree_bounds },
    { "defaults are filled in", test_defaults },
    { "values are read and printed", test_values },
    { "wrong values are errors with their place", test_errors },
    { "an unused key warns once", test_unused_warns_once },
    { "variables are expanded where asked", test_expand_env },
    { "what is printed reads back", test_print_is_stable },
    { "tables document themselves", test_document },
    { "options have defaults", test_options },
    { "options: labels, node, environment, default", test_options_precedence },
    { "wrong options are errors with their place", test_options_errors },
    { "rows of another length and secret marks",
      test_options_stride_and_marks },
};

int main(void)
{
    return TAP_RUN("config", tests);
}
