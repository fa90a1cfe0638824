/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INFO MODULES and Tile38's SERVER EXT: fields of the same table as INFO's,
 * and a line for each module.
 */
#include "redis.h"

/* name=ReJSON,ver=20008,api=1,filters=0,usedby=[search],using=[],options=[]:
 * seven parts, the first six by position. */
static void emit_module(struct redis_emit *e, sonde_str value)
{
    sonde_str parts[8], name;
    size_t n = 0;

    while (n < 8 && text_split(&value, ',', &parts[n]))
        n++;
    if (n != 7)
        return;
    for (size_t k = 0; k < 6; k++) {
        (void)text_split(&parts[k], '=', &name);
        if (!parts[k].ptr)
            return;
    }
    emit_sample(e, F_MODULE_INFO, parts, 1);
}

static void emit_field(struct redis_emit *e, sonde_str field, sonde_str value)
{
    int row = redis_find_field(field);
    double v;

    if (row >= 0 && emit_value(value, &v))
        emit_sample(e, F_FIELDS + (size_t)row, NULL,
                    v / redis_fields[row].divisor);
}

sonde_code modules_emit(struct sonde_instance *i, const struct redis_reply *r,
                        struct sonde_err *why)
{
    sonde_str text = r->str, line, field;

    (void)why;
    while (text_split(&text, '\n', &line)) {
        line = text_trim(line);
        (void)text_split(&line, ':', &field);
        if (!line.ptr)
            continue;
        if (text_is(field, "module"))
            emit_module(&i->emit, line);
        else
            emit_field(&i->emit, field, line);
    }
    return SONDE_OK;
}

/* A list of names and values; Tile38 leaves its own name out of most. */
sonde_code tile38_emit(struct sonde_instance *i, const struct redis_reply *r,
                       struct sonde_err *why)
{
    (void)why;
    for (size_t k = 0; k + 1 < r->count; k += 2) {
        const struct redis_reply *name = r->items[k], *value = r->items[k + 1];
        char full[128];
        int n;

        if (!reply_is_text(name) || !reply_is_text(value) ||
            name->str.len > 100)
            continue;
        n = snprintf(full, sizeof(full), "%s%s",
                     text_starts(name->str, "tile38_") ? "" : "tile38_",
                     name->str.ptr);
        emit_field(&i->emit, (sonde_str){ full, (size_t)n }, value->str);
    }
    return SONDE_OK;
}
