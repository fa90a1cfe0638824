/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a log segment: records and damage must cover it in order. */
#include <stdlib.h>

#include "wal/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t pos;
    uint64_t sum;
};

static sonde_code record(void *arg, sonde_str r, struct wal_position end,
                         struct sonde_err *err)
{
    struct seen *seen = arg;

    (void)err;
    if (end.offset <= seen->pos)
        abort();
    seen->pos = end.offset;
    for (size_t i = 0; i < r.len; i++)
        seen->sum += (unsigned char)r.ptr[i];
    return SONDE_OK;
}

static void damage(void *arg, const struct wal_damage *d)
{
    struct seen *seen = arg;

    if (d->at.offset < seen->pos)
        abort();
    seen->pos = d->at.offset + d->bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = { 0 };
    struct wal_replay replay = { .record = record,
                                 .damage = damage,
                                 .arg = &seen };

    if (wal_replay_bytes((sonde_str){ (const char *)data, size }, &replay,
                         NULL) != SONDE_OK)
        abort();
    return 0;
}
