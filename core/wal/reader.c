/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay: the newest checkpoint, then every segment behind it, record by
 * record. A checkpoint N stands for all segments up to N, even if they are
 * still there.
 *
 * Damage never ends a replay. It is reported with where and how much, and
 * reading goes on behind it (see frame.c); a segment that is missing in the
 * row, or can not be opened, is reported the same way. Only a callback that
 * says so, or a folder that can not be listed, stops it.
 *
 * No threads: the callbacks run on the caller's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"
#include "wal/frame.h"
#include "wal/replay.h"
#include "wal/segments.h"
#include "wal/wal.h"

#define WINDOW_PAGES 16 /* half a megabyte at once */

struct replaying {
    const struct wal_replay *replay;
    struct frames frames;
    const char *path;
    uint64_t segment;
    uint64_t upto;   /* the last one of the log that is read              */
    bool checkpoint; /* its records have no position in the log          */
    bool strict;     /* the first segment must be the one asked for      */
};

static void report(const struct replaying *r, uint64_t from, uint64_t to,
                   const char *why)
{
    struct wal_damage damage = { .path = r->path,
                                 .at = { r->segment, from },
                                 .bytes = to > from ? to - from : 0,
                                 .why = why };

    if (r->replay->damage)
        r->replay->damage(r->replay->arg, &damage);
}

static sonde_code replay_frames(struct replaying *r, struct sonde_err *err)
{
    for (;;) {
        struct wal_position end = { 0 };
        struct frames_damage damage;
        sonde_str record;
        sonde_code rc;

        switch (frames_next(&r->frames, &record, &damage)) {
        case FRAMES_END:
            return SONDE_OK;
        case FRAMES_DAMAGE:
            report(r, damage.from, damage.to, damage.why);
            continue;
        case FRAMES_RECORD:
            break;
        }
        if (!r->checkpoint)
            end = (struct wal_position){ r->segment, r->frames.pos };
        rc = r->replay->record(r->replay->arg, record, end, err);
        if (rc != SONDE_OK)
            return rc;
    }
}

static sonde_code replay_file(struct replaying *r, uint64_t offset,
                              struct sonde_err *err)
{
    struct stat st;
    int fd = open(r->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0) {
        report(r, 0, 0, "the file can not be opened");
        if (fd >= 0)
            (void)close(fd);
        return SONDE_OK;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    frames_reopen(&r->frames, fd);
    frames_set_size(&r->frames, (uint64_t)st.st_size);
    r->frames.final = true;
    r->frames.pos = offset;
    return replay_frames(r, err);
}

/* The files of a folder from `from` on; gaps are damage. */
static sonde_code replay_files(struct replaying *r, const char *dir,
                               struct wal_position from, struct sonde_err *err)
{
    const struct wal_replay *replay = r->replay;
    uint64_t expected = from.segment;
    struct segments all;
    sonde_code rc = segments_list(dir, &all, err);

    for (size_t i = segments_at(&all, from.segment);
         rc == SONDE_OK && i < all.count; i++) {
        uint64_t number = all.numbers[i];
        char *path;

        if (!r->checkpoint && number > r->upto)
            break;
        path = segment_path(dir, number);
        r->path = path;
        r->segment = number;
        if (number != expected && r->strict)
            report(r, 0, 0, "segments before this one are missing");
        r->strict = true;
        expected = number + 1;
        if (replay->segment && !r->checkpoint)
            replay->segment(replay->arg, number, all.numbers[all.count - 1]);
        rc = replay_file(r, number == from.segment ? from.offset : 0, err);
        r->path = NULL;
        free(path);
    }
    segments_fini(&all);
    return rc;
}

/* The checkpoint, if there is one; `from` is moved behind it. */
static sonde_code replay_checkpoint(struct replaying *r, const char *dir,
                                    struct wal_position *from,
                                    struct sonde_err *err)
{
    uint64_t number;
    bool found;
    char *path;
    sonde_code rc = checkpoint_find(dir, &found, &number, err);

    if (rc != SONDE_OK || !found)
        return rc;
    path = checkpoint_path(dir, number);
    r->checkpoint = true;
    rc = replay_files(r, path, *from, err);
    r->checkpoint = false;
    r->strict = true;
    free(path);
    from->segment = number + 1;
    return rc;
}

static sonde_code replay_all(struct replaying *r, const char *dir,
                             struct wal_position from, struct sonde_err *err)
{
    sonde_code rc = SONDE_OK;

    frames_init(&r->frames, -1, WINDOW_PAGES);
    r->strict = from.segment != 0 || from.offset != 0;
    if (!r->strict)
        rc = replay_checkpoint(r, dir, &from, err);
    if (rc == SONDE_OK)
        rc = replay_files(r, dir, from, err);
    frames_fini(&r->frames);
    return rc;
}

sonde_code wal_replay(const char *dir, struct wal_position from,
                      const struct wal_replay *replay, struct sonde_err *err)
{
    struct replaying r = { .replay = replay, .upto = UINT64_MAX };

    return replay_all(&r, dir, from, err);
}

sonde_code wal_replay_upto(const char *dir, uint64_t last,
                           const struct wal_replay *replay,
                           struct sonde_err *err)
{
    struct replaying r = { .replay = replay, .upto = last };

    return replay_all(&r, dir, (struct wal_position){ 0 }, err);
}

sonde_code wal_replay_bytes(sonde_str segment, const struct wal_replay *replay,
                            struct sonde_err *err)
{
    struct replaying r = { .replay = replay, .path = "memory" };
    sonde_code rc;

    frames_init_memory(&r.frames, segment);
    rc = replay_frames(&r, err);
    frames_fini(&r.frames);
    return rc;
}
