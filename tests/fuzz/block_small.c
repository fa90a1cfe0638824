/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as meta.json and as tombstones (the checksum put right): what reads
 * well is written, read again, and must be the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];

static void clean(void)
{
    if (fs_remove_all(dir, NULL) != SONDE_OK)
        perror(dir);
}

static void begin(void)
{
    if (dir[0])
        return;
    (void)snprintf(dir, sizeof(dir), "/tmp/block_small.XXXXXX");
    if (!mkdtemp(dir))
        abort();
    (void)atexit(clean);
}

static void put(const char *name, const void *data, size_t size)
{
    char path[96];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size)
        abort();
    (void)fclose(f);
}

static void check_meta(void)
{
    struct block_meta m, again;

    if (block_meta_read(dir, &m, NULL) != SONDE_OK)
        return;
    if (block_meta_write(dir, &m, NULL) != SONDE_OK ||
        block_meta_read(dir, &again, NULL) != SONDE_OK ||
        again.mint != m.mint || again.maxt != m.maxt ||
        memcmp(&again.stats, &m.stats, sizeof(m.stats)) != 0 ||
        again.source_count != m.source_count ||
        again.parent_count != m.parent_count ||
        again.other_hint_count != m.other_hint_count)
        abort();
    block_meta_fini(&m);
    block_meta_fini(&again);
}

static void check_tombstones(void)
{
    struct tombstones t, again;

    if (tombstones_read(dir, &t, NULL) != SONDE_OK)
        return;
    for (size_t i = 0; i < t.count; i++)
        for (size_t j = 0; j < t.items[i].count; j++)
            if (t.items[i].ranges[j].mint > t.items[i].ranges[j].maxt ||
                (j &&
                 t.items[i].ranges[j].mint <= t.items[i].ranges[j - 1].maxt))
                abort();
    if (tombstones_write(dir, &t, NULL) != SONDE_OK ||
        tombstones_read(dir, &again, NULL) != SONDE_OK ||
        tombstones_ranges(&again) != tombstones_ranges(&t) ||
        again.count != t.count)
        abort();
    tombstones_fini(&t);
    tombstones_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t head[] = { 0x01, 0x30, 0xba, 0x30, 1 };
    uint8_t *file;

    begin();
    put("meta.json", data, size);
    check_meta();
    file = malloc(sizeof(head) + size + 4);
    if (!file)
        abort();
    memcpy(file, head, sizeof(head));
    memcpy(file + sizeof(head), data, size);
    be32_put(file + sizeof(head) + size, crc32c(0, data, size));
    put("tombstones", file, sizeof(head) + size + 4);
    free(file);
    check_tombstones();
    return 0;
}
