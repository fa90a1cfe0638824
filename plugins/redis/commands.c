/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of commandstats, found again by name for percentiles and
 * histograms, whose sums are not in their own replies. A histogram of `config`
 * counts what its subcommands (`config|get`) took too, so each row of a
 * subcommand is also added to a row of its container, listed or not.
 *
 * Names are views into INFO; the table is as old as the reply.
 */
#include <stdlib.h>

#include "redis.h"

#define SLOTS (2 * REDIS_COMMANDS_MAX)

struct redis_commands {
    size_t count;
    struct redis_command rows[REDIS_COMMANDS_MAX];
    uint16_t slots[SLOTS]; /* row + 1, or 0 */
};

struct redis_commands *commands_new(void)
{
    return calloc(1, sizeof(struct redis_commands));
}

void commands_free(struct redis_commands *c)
{
    free(c);
}

void commands_reset(struct redis_commands *c)
{
    if (c->count)
        memset(c->slots, 0, sizeof(c->slots));
    c->count = 0;
}

/* The slot of a name, or the free one where it belongs. */
static size_t slot_of(const struct redis_commands *c, sonde_str name)
{
    uint32_t h = 2166136261u;
    size_t i;

    for (i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)name.ptr[i]) * 16777619u;
    i = (h ^ h >> 15) % SLOTS;
    while (c->slots[i] && !sonde_str_eq(c->rows[c->slots[i] - 1].name, name))
        i = (i + 1) % SLOTS;
    return i;
}

static struct redis_command *row_for(struct redis_commands *c, sonde_str name)
{
    size_t i = slot_of(c, name);

    if (!c->slots[i]) {
        if (c->count == REDIS_COMMANDS_MAX)
            return NULL;
        c->rows[c->count] = (struct redis_command){ .name = name };
        c->slots[i] = (uint16_t)++c->count;
    }
    return &c->rows[c->slots[i] - 1];
}

bool commands_add(struct redis_commands *c, sonde_str name, double calls,
                  double usec)
{
    const char *bar = memchr(name.ptr, '|', name.len);
    struct redis_command *row = row_for(c, name), *container;

    if (!row || row->listed)
        return false;
    row->listed = true;
    row->calls = calls;
    row->usec = usec;
    row->family_usec += usec;
    if (bar) {
        container =
            row_for(c, (sonde_str){ name.ptr, (size_t)(bar - name.ptr) });
        if (container)
            container->family_usec += usec;
    }
    return true;
}

const struct redis_command *commands_find(const struct redis_commands *c,
                                          sonde_str name)
{
    size_t i = slot_of(c, name);

    return c->slots[i] ? &c->rows[c->slots[i] - 1] : NULL;
}
