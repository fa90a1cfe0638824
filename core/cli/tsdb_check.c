/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sonde tsdb check`: reads everything in a data directory and says what is
 * damaged. With --repair, blocks that are damaged are moved to quarantine/,
 * where no server looks; the log and head chunks are put right by the next
 * start of the server, which keeps all that is intact.
 */
#include "cli/tsdb_check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/tsdb_cmd.h"
#include "util/fs.h"

#define SAID_MAX 10 /* faults of one block that are said one by one */

void check_fault(struct check *c, const char *fmt, ...)
{
    va_list ap;

    progress_hide(&c->progress);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)putchar('\n');
    (void)fflush(stdout);
    c->faults++;
}

/* ---- blocks ------------------------------------------------------------- */

struct block_check {
    struct check *check;
    const char *name;
    uint64_t faults;
};

static void on_fault(void *arg, const struct block_fault *f)
{
    struct block_check *b = arg;

    if (b->faults++ < SAID_MAX)
        check_fault(b->check, "block %s: %s at %" PRIu64 ": %s", b->name,
                    f->file, f->offset, f->what);
}

/* True if all of it is well. */
static bool check_block(struct check *c, const char *name)
{
    struct block_check bc = { .check = c, .name = name };
    struct sonde_err err;
    struct arena a;
    struct block *b;
    sonde_code rc;

    arena_init(&a);
    rc = block_open(arena_printf(&a, "%s/%s", c->dir, name).ptr, &b, &err);
    arena_fini(&a);
    if (rc != SONDE_OK) {
        check_fault(c, "block %s: %s", name, err.text);
        return false;
    }
    rc = block_verify(b, on_fault, &bc, &err);
    if (bc.faults > SAID_MAX)
        check_fault(c, "block %s: and %" PRIu64 " more", name,
                    bc.faults - SAID_MAX);
    progress_add(&c->progress, block_bytes(b));
    block_unref(b);
    return rc == SONDE_OK;
}

static void quarantine(struct check *c, const char *name)
{
    struct sonde_err err;
    struct arena a;
    const char *from, *folder, *to;
    sonde_code rc;

    arena_init(&a);
    from = arena_printf(&a, "%s/%s", c->dir, name).ptr;
    folder = arena_printf(&a, "%s/quarantine", c->dir).ptr;
    to = arena_printf(&a, "%s/%s", folder, name).ptr;
    rc = fs_mkdirs(folder, 0777, &err);
    if (rc == SONDE_OK && rename(from, to) != 0)
        rc = fs_err(&err, errno, "move to", to);
    if (rc == SONDE_OK)
        rc = fs_sync_dir(c->dir, &err);
    if (rc == SONDE_OK)
        (void)printf("block %s: moved to %s\n", name, to);
    else
        check_fault(c, "block %s: %s", name, err.text);
    arena_fini(&a);
}

static void check_blocks(struct check *c, const struct fs_names *names,
                         bool repair)
{
    struct ulid u;

    for (size_t i = 0; i < names->count; i++) {
        if (!ulid_parse(sonde_cstr(names->items[i]), &u))
            continue;
        c->blocks++;
        if (check_block(c, u.text))
            continue;
        c->bad_blocks++;
        if (repair)
            quarantine(c, u.text);
    }
}

/* ---- the command -------------------------------------------------------- */

/* What moves blocks must be alone. Returns the lock's descriptor. */
static int lock_dir(const char *dir)
{
    struct arena a;
    const char *path;
    int fd;

    arena_init(&a);
    path = arena_printf(&a, "%s/lock", dir).ptr;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        cli_error("open %s: %s", path, strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        cli_error("%s is open in another process: stop it, or leave --repair "
                  "out",
                  dir);
        (void)close(fd);
        fd = -1;
    }
    arena_fini(&a);
    return fd;
}

static void summary(const struct check *c)
{
    (void)printf("%s: %zu blocks, %" PRIu64 " log records, %" PRIu64
                 " head chunks: ",
                 c->dir, c->blocks, c->records, c->head_chunks);
    if (c->faults)
        (void)printf("%" PRIu64 " faults, %zu blocks damaged\n", c->faults,
                     c->bad_blocks);
    else
        (void)printf("ok\n");
}

static int check(const char *dir, bool repair)
{
    struct check c = { .dir = dir };
    struct fs_names names;
    struct sonde_err err;
    int lock = -1;

    if (repair && (lock = lock_dir(dir)) < 0)
        return CLI_FAILED;
    if (fs_list(dir, &names, &err) != SONDE_OK) {
        cli_error("%s", err.text);
        return CLI_FAILED;
    }
    progress_begin(&c.progress, "checking", PROGRESS_BYTES, 0);
    check_blocks(&c, &names, repair);
    fs_names_fini(&names);
    check_head_chunks(&c);
    check_log(&c, "wal");
    check_log(&c, "wbl");
    progress_hide(&c.progress);
    summary(&c);
    if (lock >= 0)
        (void)close(lock);
    return c.faults ? CLI_FAILED : CLI_OK;
}

int tsdb_check(int argc, char **argv)
{
    const char *dir = TSDB_DIR_DEFAULT;
    bool repair = false;
    const struct arg rows[] = {
        { "repair", 0, ARG_BOOL, &repair,
          "Move damaged blocks to DIR/quarantine; no server may run." },
        { 0 },
    };
    const struct args args = {
        "sonde tsdb check [--repair] [DIR]",
        "Reads all of a data directory (" TSDB_DIR_DEFAULT
        ") and checks every checksum, order and\nreference: blocks, head "
        "chunks, log, checkpoint. Exit code 1: something is damaged.\n"
        "Of a running server, what is being written may look cut off.",
        rows, &dir, 1
    };
    struct arena a;
    int code;

    arena_init(&a);
    code = args_read(&a, &args, argc, argv);
    if (code == ARGS_GO)
        code = check(dir, repair);
    arena_fini(&a);
    return code;
}
