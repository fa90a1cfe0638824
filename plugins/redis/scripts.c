/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lua scripts of the operator, run in the server: EVAL with no key and one
 * argument, which scripts do not look at. The reply is a list of names and
 * values. A script that fails is a part that fails, with its reason; the rest
 * of the collection stands, unlike with the exporter.
 *
 * Files are read each time: they are small and may change.
 */
#include <stdlib.h>

#include "redis.h"

/* 1: it answered, 2: with nothing, 0: it failed. */
static int emit_values(struct sonde_instance *i, sonde_str file,
                       const struct redis_reply *r, struct sonde_err *why)
{
    if (r->type == REDIS_REPLY_ERROR) {
        (void)sonde_err_set(why, SONDE_EUNAVAILABLE, "script %.*s: %.300s",
                            SONDE_ARG(file), r->str.ptr);
        return 0;
    }
    for (size_t k = 0; k + 1 < r->count; k += 2) {
        double v;

        if (!reply_is_text(r->items[k]) || !reply_number(r->items[k + 1], &v)) {
            (void)sonde_err_set(why, SONDE_EPROTO,
                                "script %.*s: value %zu is no number",
                                SONDE_ARG(file), k / 2 + 1);
            return 0;
        }
        emit_sample(&i->emit, F_SCRIPT_VALUES,
                    SONDE_LABELS(r->items[k]->str, file), v);
    }
    return r->count ? 1 : 2;
}

static sonde_code run(struct sonde_instance *i, sonde_str file, int *result,
                      sonde_msec deadline, struct sonde_err *err)
{
    sonde_str source;
    struct redis_conn *c;
    struct redis_reply **r = NULL;
    int64_t db = i->address.database >= 0 ? i->address.database : 0;
    bool selected;
    sonde_code rc = i->host->read_file(i->open->target, file, &source, err);

    if (rc == SONDE_OK)
        rc = redis_conn_for(i, &c, err);
    if (rc == SONDE_OK)
        rc = conn_begin(c, err);
    if (rc == SONDE_OK)
        rc = conn_select(c, db, &selected, err);
    if (rc == SONDE_OK)
        rc = conn_add(c, err,
                      i->options->lua_script_read_only ? SONDE_STR("EVAL_RO")
                                                       : SONDE_STR("EVAL"),
                      source, SONDE_STR("0"), SONDE_STR(""));
    if (rc == SONDE_OK)
        rc = conn_exchange(c, deadline, &r, err);
    if (rc != SONDE_OK)
        return rc;
    *result = emit_values(i, file, r[selected], err);
    return *result ? SONDE_OK : err->code;
}

void scripts_collect(struct sonde_instance *i, sonde_msec deadline)
{
    sonde_str files = i->options->script, file;

    for (size_t n = 0;
         n < REDIS_SCRIPTS_MAX && files.len && text_split(&files, ',', &file);
         n++) {
        struct sonde_err why = { 0 };
        int result = 0;
        sonde_code rc;

        file = text_trim(file);
        if (file.len == 0)
            continue;
        part_begin(i, P_SCRIPTS);
        rc = run(i, file, &result, deadline, &why);
        part_end(i, rc, &why);
        /* Not of the part: it is there when the part fails. */
        emit_sample(&i->emit, F_SCRIPT_RESULT, &file, result);
    }
}
