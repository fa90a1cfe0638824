/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde tsdb snapshot`: hard links to all blocks and a block of what is in
 * the head. Of a running server by its admin API; of a stopped one by opening
 * the directory here, as the server would.
 */
#include <jansson.h>
#include <stdio.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/tsdb_cmd.h"
#include "net/net.h"
#include "tsdb/tsdb.h"

#define ANSWER_BYTES_MAX (1u << 20)
#define TIMEOUT_MS       (60 * 60 * 1000) /* of a large head                */

struct snapshot {
    const char *dir, *server, *output;
    bool skip_head;
};

/* ---- of a running server ------------------------------------------------ */

/* The name, or NULL and what went wrong. */
static sonde_code read_answer(struct arena *a, sonde_str body, int status,
                              sonde_str *name, struct sonde_err *err)
{
    json_t *root = json_loadb(body.ptr ? body.ptr : "", body.len, 0, NULL);
    const char *text, *error;

    text = json_string_value(
        json_object_get(json_object_get(root, "data"), "name"));
    error = json_string_value(json_object_get(root, "error"));
    if (text)
        *name = arena_str(a, sonde_cstr(text));
    else
        (void)sonde_err_set(err, SONDE_EUNAVAILABLE, "status %d%s%s", status,
                            error ? ": " : "", error ? error : "");
    json_decref(root);
    return name->ptr ? SONDE_OK : SONDE_EUNAVAILABLE;
}

static sonde_code of_server(struct arena *a, const struct snapshot *s,
                            sonde_str *name, struct sonde_err *err)
{
    sonde_str base = sonde_cstr(s->server);
    struct http_request request = { .method = SONDE_STR("POST"),
                                    .timeout_ms = TIMEOUT_MS,
                                    .body_limit_bytes = ANSWER_BYTES_MAX,
                                    .error_body = true };
    struct buf body;
    int status = 0;
    sonde_code rc;

    while (base.len && base.ptr[base.len - 1] == '/')
        base.len--;
    request.url =
        arena_printf(a, "%.*s/api/v1/admin/tsdb/snapshot?skip_head=%s",
                     SONDE_ARG(base), s->skip_head ? "true" : "false");
    buf_init(&body);
    rc = http_fetch(NULL, &request, &body, &status, err);
    if (rc == SONDE_OK)
        rc = read_answer(a, buf_str(&body), status, name, err);
    if (rc != SONDE_OK)
        (void)sonde_err_prefix(err, "snapshot of %s", s->server);
    buf_fini(&body);
    return rc;
}

/* ---- of a stopped one --------------------------------------------------- */

static sonde_code of_dir(struct arena *a, const struct snapshot *s,
                         sonde_str *name, struct sonde_err *err)
{
    const struct tsdb_options options = { .clock = &clock_system,
                                          .no_thread = true };
    char made[TSDB_SNAPSHOT_NAME];
    struct tsdb *db;
    sonde_code rc = tsdb_open(s->dir, &options, &db, err);

    if (rc != SONDE_OK) {
        if (rc == SONDE_ELOCKED)
            (void)sonde_err_prefix(err, "a server runs there; use --server");
        return rc;
    }
    if (s->output) {
        rc = tsdb_snapshot_to(db, !s->skip_head, s->output, err);
        *name = sonde_cstr(s->output);
    } else {
        rc = tsdb_snapshot(db, !s->skip_head, made, err);
        *name = arena_printf(a, "%s/snapshots/%s", s->dir, made);
    }
    tsdb_close(db);
    return rc;
}

static int run(struct arena *a, const struct snapshot *s)
{
    struct sonde_err err;
    sonde_str name = { 0 };
    sonde_code rc =
        s->server ? of_server(a, s, &name, &err) : of_dir(a, s, &name, &err);

    if (rc != SONDE_OK) {
        cli_error("%s", err.text);
        return CLI_FAILED;
    }
    (void)printf("%.*s\n", SONDE_ARG(name));
    return CLI_OK;
}

int tsdb_snapshot_cmd(int argc, char **argv)
{
    struct snapshot s = { .dir = TSDB_DIR_DEFAULT };
    const struct arg rows[] = {
        { "server", 0, ARG_TEXT, &s.server,
          "URL of a running server with --web.enable-admin-api." },
        { "skip-head", 0, ARG_BOOL, &s.skip_head,
          "Leave out what is not in blocks yet." },
        { "output", 'o', ARG_TEXT, &s.output,
          "Folder to make (DIR/snapshots/NAME); not with --server." },
        { 0 },
    };
    const struct args args = {
        "sonde tsdb snapshot [--server=URL] [--skip-head] [-o FOLDER] [DIR]",
        "A snapshot of a store: hard links to its blocks and a block of the "
        "head. Of a\nstopped server's data directory (" TSDB_DIR_DEFAULT
        "), or of a running one by its URL. Prints where\nit is.",
        rows, &s.dir, 1
    };
    struct arena a;
    int code;

    arena_init(&a);
    code = args_read(&a, &args, argc, argv);
    if (code == ARGS_GO && s.server && s.output) {
        cli_error("--output does not go with --server");
        code = CLI_USAGE;
    }
    if (code == ARGS_GO)
        code = run(&a, &s);
    arena_fini(&a);
    return code;
}
