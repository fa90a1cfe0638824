/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From files to one immutable configuration.
 *
 * The main file is read first; it says which files are included. Every
 * file's jobs and remote writes go into one array, the main file's first,
 * then by file name. Only then are they finished, because `global` and the
 * other jobs' names are known by then: what a job left unset is inherited,
 * names are compared over all files, and plugins check their options.
 *
 * A load that fails leaves nothing behind. What the tables made outside of
 * the arena (compiled expressions of relabel rules) is found through the
 * list of blocks that the reading kept, also for blocks that an error cut
 * short and for those that nobody looks at.
 *
 * A struct config is written by config_load alone and then read by any
 * number of threads; only its reference count changes.
 */
#include "agent/config.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_tables.h"
#include "util/arena.h"
#include "util/fs.h"
#include "util/mem.h"
#include "util/str.h"

#define INCLUDED_FILES_MAX 10000u
#define PRINTED_MAX_BYTES  (64u << 20)

struct config_file {
    struct config_blocks scrape_configs, remote_write;
    struct sonde_list rule_files;
};

struct loading {
    const struct config_load *load;
    struct config *c;
    struct config_ctx ctx;
    struct root_config *root;
    struct config_file *files; /* the main one first */
    size_t file_count, file_cap;
    sonde_str *names; /* of all files read */
    size_t name_count, name_cap;
    sonde_str *warnings;
    size_t warning_count, warning_cap;
    const struct config_made *made;
    struct sonde_err *err;
};

/* What must outlive the loading, before the contract's struct. */
struct config_owner {
    struct config config;
    const struct config_made *made;
};

static void add_warning(void *arg, const char *text)
{
    struct loading *l = arg;

    /* An aliased block is one place, however often it is used. */
    for (size_t i = 0; i < l->warning_count; i++)
        if (str_eq_cstr(l->warnings[i], text))
            return;
    l->warnings = mem_grow(l->warnings, &l->warning_cap, l->warning_count + 1,
                           sizeof(l->warnings[0]));
    l->warnings[l->warning_count++] = arena_str(l->ctx.arena, sonde_cstr(text));
}

/* ---- reading files ----------------------------------------------------- */

static void add_file(struct loading *l, sonde_str name,
                     const struct config_file *file)
{
    l->files = mem_grow(l->files, &l->file_cap, l->file_count + 1,
                        sizeof(l->files[0]));
    l->files[l->file_count++] = *file;
    l->names = mem_grow(l->names, &l->name_cap, l->name_count + 1,
                        sizeof(l->names[0]));
    l->names[l->name_count++] = arena_str(l->ctx.arena, name);
}

static sonde_code read_tree(struct loading *l, const char *path,
                            struct yaml_node **out)
{
    struct buf text;
    sonde_code rc;

    buf_init(&text);
    rc = fs_read(path, YAML_TEXT_MAX_BYTES, &text, l->err);
    if (rc == SONDE_OK)
        rc = yaml_parse(l->ctx.arena, path, buf_str(&text), out, l->err);
    buf_fini(&text);
    return rc;
}

static sonde_code read_main(struct loading *l)
{
    struct root_config *r = arena_new(l->ctx.arena, struct root_config);
    const char *path = l->load->file;
    struct yaml_node *tree;
    sonde_code rc = read_tree(l, path, &tree);

    if (rc == SONDE_ENOTFOUND)
        return sonde_err_set(l->err, rc,
                             "there is no configuration file %s: create it, "
                             "or name another one with --config.file",
                             path);
    if (rc == SONDE_OK)
        rc = config_read(&l->ctx, &root_config_block, tree, r, l->err);
    if (rc != SONDE_OK)
        return rc;
    l->root = r;
    add_file(l, sonde_cstr(path),
             &(struct config_file){ r->scrape_configs, r->remote_write,
                                    r->rule_files });
    return SONDE_OK;
}

static sonde_code read_included(struct loading *l, const char *path)
{
    struct included_config *i = arena_new(l->ctx.arena, struct included_config);
    struct yaml_node *tree;
    sonde_code rc;

    for (size_t k = 0; k < l->name_count; k++)
        if (str_eq_cstr(l->names[k], path))
            return SONDE_OK;
    if (l->name_count > INCLUDED_FILES_MAX)
        return sonde_err_set(l->err, SONDE_ELIMIT,
                             "%s: more than %u included files", path,
                             INCLUDED_FILES_MAX);
    rc = read_tree(l, path, &tree);
    if (rc == SONDE_OK)
        rc = config_read(&l->ctx, &included_config_block, tree, i, l->err);
    if (rc == SONDE_OK)
        add_file(l, sonde_cstr(path),
                 &(struct config_file){ i->scrape_configs, i->remote_write,
                                        i->rule_files });
    return rc;
}

/* ---- globs ------------------------------------------------------------- */

static bool is_glob(sonde_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (strchr("*?[", s.ptr[i]))
            return true;
    return false;
}

/* A folder that is not there matches nothing; one that can not be read is an
 * error. */
static int on_glob_error(const char *path, int errnum)
{
    (void)path;
    return errnum != ENOENT && errnum != ENOTDIR;
}

static sonde_code read_glob(struct loading *l, sonde_str pattern,
                            const struct yaml_node *at)
{
    glob_t found = { 0 };
    const char *z = arena_cstr(l->ctx.arena, pattern);
    int status = glob(z, 0, on_glob_error, &found);
    sonde_code rc = SONDE_OK;

    if (status == GLOB_NOMATCH && at && !is_glob(pattern))
        rc = yaml_error(at, l->err, "scrape_config_files: %s: no such file", z);
    else if (status != 0 && status != GLOB_NOMATCH)
        rc = yaml_error(at, l->err,
                        "scrape_config_files: %s: a folder can not be read", z);
    for (size_t i = 0; rc == SONDE_OK && i < found.gl_pathc; i++)
        rc = read_included(l, found.gl_pathv[i]);
    globfree(&found);
    return rc;
}

static sonde_code read_default_snippets(struct loading *l)
{
    static const char *const patterns[] = { "conf.d/*.yaml", "conf.d/*.yml" };
    sonde_str dir = fs_dirname(sonde_cstr(l->load->file));

    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        sonde_str pattern = sonde_cstr(patterns[i]);
        sonde_code rc;

        if (!str_eq_cstr(dir, "."))
            pattern = sonde_cstr(fs_join(l->ctx.arena, dir, pattern));
        rc = read_glob(l, pattern, NULL);
        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

static sonde_code read_includes(struct loading *l)
{
    const struct yaml_node *list =
        yaml_get(l->root->head.node, "scrape_config_files");
    const struct sonde_list *globs = &l->root->scrape_config_files;

    if (!list)
        return read_default_snippets(l);
    for (size_t i = 0; i < globs->count; i++) {
        sonde_code rc = read_glob(l, globs->items[i], list->items[i]);

        if (rc != SONDE_OK)
            return rc;
    }
    return SONDE_OK;
}

/* ---- one array of all files -------------------------------------------- */

static void join_jobs(struct loading *l)
{
    struct config *c = l->c;
    struct scrape_config *all;

    for (size_t i = 0; i < l->file_count; i++)
        c->job_count += l->files[i].scrape_configs.count;
    all = arena_array(&c->arena, struct scrape_config, c->job_count + 1);
    c->jobs =
        arena_array(&c->arena, const struct scrape_config *, c->job_count + 1);
    for (size_t i = 0, n = 0; i < l->file_count; i++) {
        const struct config_blocks *b = &l->files[i].scrape_configs;

        if (b->count)
            memcpy(all + n, b->items, b->count * sizeof(all[0]));
        n += b->count;
    }
    for (size_t i = 0; i < c->job_count; i++)
        c->jobs[i] = &all[i];
    l->root->scrape_configs = (struct config_blocks){ all, c->job_count };
}

static void join_remotes(struct loading *l)
{
    struct config *c = l->c;
    struct remote_write_config *all;

    for (size_t i = 0; i < l->file_count; i++)
        c->remote_count += l->files[i].remote_write.count;
    all =
        arena_array(&c->arena, struct remote_write_config, c->remote_count + 1);
    c->remotes = arena_array(&c->arena, const struct remote_write_config *,
                             c->remote_count + 1);
    for (size_t i = 0, n = 0; i < l->file_count; i++) {
        const struct config_blocks *b = &l->files[i].remote_write;

        if (b->count)
            memcpy(all + n, b->items, b->count * sizeof(all[0]));
        n += b->count;
    }
    for (size_t i = 0; i < c->remote_count; i++)
        c->remotes[i] = &all[i];
    l->root->remote_write = (struct config_blocks){ all, c->remote_count };
}

static struct sonde_list copy_list(struct arena *a, const sonde_str *items,
                                   size_t n)
{
    sonde_str *copy = arena_array(a, sonde_str, n + 1);

    if (n)
        memcpy(copy, items, n * sizeof(copy[0]));
    return (struct sonde_list){ copy, n };
}

static void join_rule_files(struct loading *l)
{
    size_t total = 0, n = 0;
    sonde_str *all;

    for (size_t i = 0; i < l->file_count; i++)
        total += l->files[i].rule_files.count;
    all = arena_array(&l->c->arena, sonde_str, total + 1);
    for (size_t i = 0; i < l->file_count; i++)
        for (size_t k = 0; k < l->files[i].rule_files.count; k++)
            all[n++] = l->files[i].rule_files.items[k];
    l->c->rule_files = (struct sonde_list){ all, total };
    l->root->rule_files = l->c->rule_files;
}

/* ---- what is known only with all files --------------------------------- */

static void set_globals(struct config *c, const struct global_config *g)
{
    c->evaluation_interval = g->evaluation_interval;
    c->query_log_file = arena_cstr(&c->arena, g->query_log_file);
    c->globals = (struct scrape_globals){
        .scrape_interval = g->scrape_interval,
        .scrape_timeout = g->scrape_timeout,
        .scrape_protocols = g->scrape_protocols,
        .body_size_limit = g->body_size_limit,
        .sample_limit = g->sample_limit,
        .label_limit = g->label_limit,
        .label_name_length_limit = g->label_name_length_limit,
        .label_value_length_limit = g->label_value_length_limit,
        .target_limit = g->target_limit,
        .keep_dropped_targets = g->keep_dropped_targets,
        .metric_name_validation_scheme = g->metric_name_validation_scheme,
        .external_labels = g->external_labels,
    };
}

static void set_store(struct config *c, const struct storage_config *s)
{
    const struct tsdb_config *tsdb = s ? s->tsdb : NULL;
    const struct retention_config *keep = tsdb ? tsdb->retention : NULL;

    c->store = (struct config_store){ .max_exemplars = EXEMPLARS_DEFAULT };
    if (s && s->exemplars)
        c->store.max_exemplars = s->exemplars->max_exemplars;
    if (tsdb)
        c->store.out_of_order_ms = tsdb->out_of_order_time_window;
    if (!keep)
        return;
    c->store.retention_ms = keep->time;
    c->store.retention_bytes = keep->size;
    c->store.retention_percent = keep->percentage;
}

struct named {
    sonde_str name;
    const struct yaml_node *node;
    size_t order;
};

static int by_name(const void *va, const void *vb)
{
    const struct named *a = va, *b = vb;
    int c = str_cmp(a->name, b->name);

    if (c != 0)
        return c;
    return a->order < b->order ? -1 : a->order > b->order;
}

static const struct yaml_node *key_of(const struct yaml_node *block,
                                      const char *key)
{
    const struct yaml_node *n = yaml_get(block, key);

    return n ? n : block;
}

/* Empty names are none. `items` is sorted. */
static sonde_code check_unique(struct loading *l, const char *key,
                               struct named *items, size_t n)
{
    if (n)
        qsort(items, n, sizeof(items[0]), by_name);
    for (size_t i = 1; i < n; i++) {
        const struct yaml_node *at = key_of(items[i].node, key);
        const struct yaml_node *first = key_of(items[i - 1].node, key);

        if (items[i].name.len == 0 ||
            !sonde_str_eq(items[i].name, items[i - 1].name))
            continue;
        return yaml_error(at, l->err,
                          "%s \"%.*s\" is used already at %s:%zu:%zu", key,
                          SONDE_ARG(str_sub(items[i].name, 0, 128)),
                          first->file, first->line, first->column);
    }
    return SONDE_OK;
}

static sonde_code check_names(struct loading *l)
{
    const struct config *c = l->c;
    size_t most =
        c->job_count > c->remote_count ? c->job_count : c->remote_count;
    struct named *items = arena_array(l->ctx.arena, struct named, most + 1);
    sonde_code rc;

    for (size_t i = 0; i < c->job_count; i++)
        items[i] =
            (struct named){ c->jobs[i]->job_name, c->jobs[i]->head.node, i };
    rc = check_unique(l, "job_name", items, c->job_count);
    if (rc != SONDE_OK)
        return rc;
    for (size_t i = 0; i < c->remote_count; i++)
        items[i] =
            (struct named){ c->remotes[i]->name, c->remotes[i]->head.node, i };
    return check_unique(l, "name", items, c->remote_count);
}

static sonde_code check_plugin(struct loading *l,
                               const struct scrape_config *job)
{
    const struct plugin *p;
    const struct sonde_plugin *desc;
    struct sonde_err why = { 0 };
    sonde_code rc = plugin_find(l->load->plugins, job->plugin, &p, &why);

    if (rc != SONDE_OK)
        return yaml_error(key_of(job->head.node, "plugin"), l->err,
                          "job \"%.*s\": %s",
                          SONDE_ARG(str_sub(job->job_name, 0, 64)), why.text);
    desc = plugin_desc(p);
    if (job->options)
        options_mark_secrets(desc->options, desc->option_count,
                             desc->option_size, job->options);
    rc = plugin_check_options(p, &l->ctx, job->options, &why);
    if (rc == SONDE_OK)
        return rc;
    if (job->options)
        return sonde_err_set(l->err, SONDE_EPARSE, "%s", why.text);
    return yaml_error(job->head.node, l->err, "job \"%.*s\": %s",
                      SONDE_ARG(str_sub(job->job_name, 0, 64)), why.text);
}

/* What a door would refuse to open with. */
static sonde_code check_expose(struct loading *l,
                               const struct scrape_config *job)
{
    const struct yaml_node *node = job->expose.head.node;
    sonde_str file = job->expose.web_config_file;
    struct sonde_err why = { 0 };

    if (job->expose.address.len == 0 || file.len == 0 ||
        web_config_check(file.ptr, &why) == SONDE_OK)
        return SONDE_OK;
    return yaml_error(key_of(node, "web_config_file"), l->err, "expose: %s",
                      why.text);
}

static sonde_code finish(struct loading *l)
{
    struct scrape_config *jobs;
    sonde_code rc;

    join_jobs(l);
    join_remotes(l);
    join_rule_files(l);
    set_globals(l->c, &l->root->global);
    set_store(l->c, l->root->storage);
    rc = check_names(l);
    jobs = l->root->scrape_configs.items;
    for (size_t i = 0; rc == SONDE_OK && i < l->c->job_count; i++) {
        rc = scrape_config_finish(&jobs[i], &l->c->globals, l->err);
        if (rc == SONDE_OK && l->load->plugins)
            rc = check_plugin(l, &jobs[i]);
        if (rc == SONDE_OK)
            rc = check_expose(l, &jobs[i]);
    }
    if (rc == SONDE_OK)
        rc = expose_config_check_all(l->c->jobs, l->c->job_count, l->err);
    return rc;
}

/* Aliases are expanded in print, so a small file may have a long one. */
static sonde_code print_all(struct loading *l)
{
    struct buf b;
    sonde_code rc = SONDE_OK;

    buf_init(&b);
    b.limit = PRINTED_MAX_BYTES;
    config_print(&b, &root_config_block, l->root, 0);
    if (buf_failed(&b))
        rc = sonde_err_set(l->err, SONDE_ELIMIT,
                           "%s: the configuration is longer than %u bytes "
                           "when its aliases are expanded",
                           l->load->file, PRINTED_MAX_BYTES);
    else
        l->c->yaml = arena_str(&l->c->arena, buf_str(&b));
    buf_fini(&b);
    return rc;
}

/* ---- the object -------------------------------------------------------- */

static void config_free(struct config_owner *o)
{
    for (const struct config_made *m = o->made; m; m = m->next)
        if (m->def == &relabel_block)
            relabel_rules_fini(m->block, 1);
    arena_fini(&o->config.arena);
    free(o);
}

sonde_code config_load(const struct config_load *load, struct config **out,
                       struct sonde_err *err)
{
    struct config_owner *o = mem_new(struct config_owner);
    struct sonde_err ignored = { 0 };
    struct loading l = { .load = load,
                         .c = &o->config,
                         .err = err ? err : &ignored };
    sonde_code rc;

    *out = NULL;
    arena_init(&o->config.arena);
    l.ctx = (struct config_ctx){ .arena = &o->config.arena,
                                 .expand_env = load->expand_env,
                                 .warn = add_warning,
                                 .warn_arg = &l,
                                 .made = &l.made };
    rc = read_main(&l);
    if (rc == SONDE_OK)
        rc = read_includes(&l);
    if (rc == SONDE_OK)
        rc = finish(&l);
    if (rc == SONDE_OK)
        rc = print_all(&l);
    o->made = l.made;
    if (rc == SONDE_OK) {
        o->config.warnings =
            copy_list(l.ctx.arena, l.warnings, l.warning_count);
        o->config.files = copy_list(l.ctx.arena, l.names, l.name_count);
        o->config.refs = 1;
        *out = &o->config;
    } else {
        config_free(o);
    }
    free(l.files);
    free(l.names);
    free(l.warnings);
    return rc;
}

struct config *config_ref(struct config *c)
{
    c->refs++;
    return c;
}

void config_unref(struct config *c)
{
    if (c && --c->refs == 0)
        config_free((struct config_owner *)c);
}

void config_document_all(struct buf *b)
{
    config_document(b, &root_config_block);
    config_document(b, &included_config_block);
}
