/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings as gauges: numbers in seconds and bytes, switches as 0 and 1.
 *
 * A unit scales the value and names the family (`_seconds`, `_bytes`). -1
 * means "off" and stays -1. Some servers of the clouds put the unit into the
 * value ("4 GB"), which then wins over the column.
 */
#include <ctype.h>
#include <string.h>

#include "special.h"

#define NAME_MAX_BYTES 200

static const struct unit {
    const char *name, *suffix;
    double factor;
} units[] = {
    { "", "", 1 },
    { "ms", "_seconds", 0.001 },
    { "s", "_seconds", 1 },
    { "min", "_seconds", 60 },
    { "h", "_seconds", 3600 },
    { "d", "_seconds", 86400 },
    { "B", "_bytes", 1 },
    { "kB", "_bytes", 0x1p10 },
    { "MB", "_bytes", 0x1p20 },
    { "GB", "_bytes", 0x1p30 },
    { "TB", "_bytes", 0x1p40 },
    { "1kB", "_bytes", 0x1p10 },
    { "2kB", "_bytes", 0x1p11 },
    { "4kB", "_bytes", 0x1p12 },
    { "8kB", "_bytes", 0x1p13 },
    { "16kB", "_bytes", 0x1p14 },
    { "32kB", "_bytes", 0x1p15 },
    { "64kB", "_bytes", 0x1p16 },
    { "16MB", "_bytes", 0x1p24 },
    { "32MB", "_bytes", 0x1p25 },
    { "64MB", "_bytes", 0x1p26 },
};
enum {
    UNIT_COUNT = sizeof(units) / sizeof(units[0])
};

static const struct unit *find_unit(sonde_str name)
{
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (text_is(name, units[i].name))
            return &units[i];
    }
    return NULL;
}

/* Cuts a word off the end of the value, and the byte before it if that is a
 * blank; returns its unit, or NULL if there is none. */
static const struct unit *unit_in_value(sonde_str *setting)
{
    size_t n = setting->len;
    const struct unit *u;

    while (n > 0 && isalpha((unsigned char)setting->ptr[n - 1]))
        n--;
    if (n == setting->len || n == 0)
        return NULL;
    u = find_unit(text_after(*setting, n));
    if (u)
        setting->len = setting->ptr[n - 1] == ' ' ? n - 1 : n;
    return u;
}

/* By hand: there are hundreds at every collection. */
static void family_name(sonde_str name, const char *suffix, char *out,
                        size_t cap)
{
    static const char prefix[] = "pg_settings_";
    size_t n = name.len < NAME_MAX_BYTES ? name.len : NAME_MAX_BYTES;
    size_t m = strlen(suffix);
    char *p = out + sizeof(prefix) - 1;

    if (cap < sizeof(prefix) + n + m) {
        *out = '\0';
        return;
    }
    memcpy(out, prefix, sizeof(prefix) - 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        *p++ = c < 0x80 && isalnum(c) ? (char)c : '_';
    }
    memcpy(p, suffix, m + 1);
}

static void help_text(sonde_str name, char *out)
{
    static const char prefix[] = "Server parameter ";
    size_t n = name.len < NAME_MAX_BYTES ? name.len : NAME_MAX_BYTES;

    memcpy(out, prefix, sizeof(prefix) - 1);
    memcpy(out + sizeof(prefix) - 1, name.ptr, n);
    out[sizeof(prefix) - 1 + n] = '\0';
}

bool settings_value(sonde_str name, sonde_str setting, sonde_str unit,
                    sonde_str kind, char *family, size_t cap, double *value)
{
    const struct unit *u = find_unit(unit), *inside = NULL;

    if (text_is(kind, "bool")) {
        *value = text_is(setting, "on");
        family_name(name, "", family, cap);
        return true;
    }
    if (!text_number(setting, value)) {
        inside = unit_in_value(&setting);
        if (!inside || !text_number(setting, value))
            return false;
        u = inside;
    }
    if (!u)
        return false;
    family_name(name, u->suffix, family, cap);
    if (*value != -1)
        *value = u->factor == 0.001 ? *value / 1000 : *value * u->factor;
    return true;
}

sonde_code settings_emit(struct emit *e, const struct rows *r,
                         struct sonde_err *err)
{
    char name[NAME_MAX_BYTES + 32], help[NAME_MAX_BYTES + 40];
    const struct sonde_family f = { .name = name,
                                    .type = SONDE_METRIC_GAUGE,
                                    .help = help };

    if (r->count && r->columns != 4)
        return sonde_err_set(err, SONDE_EPROTO,
                             "expected 4 columns of settings, got %zu",
                             r->columns);
    for (size_t i = 0; i < r->count; i++) {
        sonde_str setting = rows_text(r, i, 0);
        double value;

        if (!settings_value(setting, rows_text(r, i, 1), rows_text(r, i, 2),
                            rows_text(r, i, 3), name, sizeof(name), &value)) {
            e->dropped++;
            continue;
        }
        help_text(setting, help);
        emit_dynamic(e, &f, NULL, value);
    }
    return SONDE_OK;
}
