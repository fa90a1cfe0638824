/* SPDX-License-Identifier: Apache-2.0 */
/* Writes files as prometheus_client's processes do, for tests: in the form
 * that has times behind the values, or in the older one. */
#ifndef TESTS_PLUGINS_DB_WRITER_H
#define TESTS_PLUGINS_DB_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct db_writer {
    bool stamps;
    char data[65536];
    uint32_t used;
};

static inline void db_writer_begin(struct db_writer *w, bool stamps)
{
    memset(w, 0, sizeof(*w));
    w->stamps = stamps;
    w->used = 8;
    memcpy(w->data, &w->used, 4);
}

static inline void db_writer_put(struct db_writer *w, const void *p, size_t n)
{
    if (w->used + n > sizeof(w->data))
        abort();
    memcpy(w->data + w->used, p, n);
    w->used += (uint32_t)n;
}

static inline void db_writer_add(struct db_writer *w, const char *key,
                                 double value, double stamp)
{
    uint32_t len = (uint32_t)strlen(key);

    db_writer_put(w, &len, 4);
    db_writer_put(w, key, len);
    db_writer_put(w, "        ", 8 - (len + 4) % 8);
    db_writer_put(w, &value, 8);
    if (w->stamps)
        db_writer_put(w, &stamp, 8);
    memcpy(w->data, &w->used, 4);
}

/* Writes `len` bytes to DIR/NAME; 0: the whole, as large as it is in life. */
static inline void db_writer_save(const struct db_writer *w, const char *dir,
                                  const char *name, size_t len)
{
    char path[4096];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "we");
    if (!f || fwrite(w->data, 1, len ? len : sizeof(w->data), f) !=
                  (len ? len : sizeof(w->data)))
        abort();
    (void)fclose(f);
}

#endif
