/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables: every family that the plugin declares (families.def, then one
 * for each row of fields.def), and the sorted fields of INFO.
 */
#include "emit.h"

/* clang-format off */
#define ROLE "instance_role"
#define REDIS_FAMILY(id, n, t, u, h, ...)                                     \
    [F_##id] = { .name = "redis_" n, .type = SONDE_METRIC_##t, .unit = (u),   \
                 .help = (h), .labels = { __VA_ARGS__ } },
#define REDIS_FIELD(f, n, t, u, s, h)                                         \
    { .name = "redis_" n, .type = SONDE_METRIC_##t, .unit = (u),              \
      .help = (h), .labels = { ROLE } },
const struct sonde_family redis_families[REDIS_FAMILY_COUNT] = {
#include "families.def"
#include "fields.def"
};
#undef REDIS_FAMILY
#undef REDIS_FIELD

#define REDIS_FIELD(f, n, t, u, s, h) { f, s },
const struct redis_field redis_fields[REDIS_FIELD_COUNT] = {
#include "fields.def"
};
#undef REDIS_FIELD
/* clang-format on */

static int compare(sonde_str s, const char *z)
{
    int c = strncmp(s.ptr, z, s.len);

    return c ? c : z[s.len] ? -1 : 0;
}

int redis_find_field(sonde_str field)
{
    int low = 0, high = REDIS_FIELD_COUNT - 1;

    if (field.len == 0 || memchr(field.ptr, '\0', field.len))
        return -1;
    while (low <= high) {
        int middle = (low + high) / 2;
        int c = compare(field, redis_fields[middle].field);

        if (c == 0)
            return middle;
        if (c < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return -1;
}
