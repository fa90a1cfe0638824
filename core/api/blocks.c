/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1/status/tsdb/blocks: the blocks that are served, as their meta.json
 * has them: what is zero or empty there is left out. */
#include "api/api_int.h"

static void put_count(struct jsonw *j, const char *key, uint64_t v)
{
    if (v == 0)
        return;
    jsonw_key(j, key);
    jsonw_uint(j, v);
}

static void put_int(struct jsonw *j, const char *key, int64_t v)
{
    jsonw_key(j, key);
    jsonw_int(j, v);
}

static void put_str(struct jsonw *j, const char *key, sonde_str v)
{
    jsonw_key(j, key);
    jsonw_str(j, v);
}

static void put_list(struct jsonw *j, const char *key,
                     const struct sonde_list *l)
{
    if (l->count == 0)
        return;
    jsonw_key(j, key);
    jsonw_array(j);
    for (size_t i = 0; i < l->count; i++)
        jsonw_str(j, l->items[i]);
    jsonw_array_end(j);
}

static void put_flag(struct jsonw *j, const char *key, bool v)
{
    if (!v)
        return;
    jsonw_key(j, key);
    jsonw_bool(j, v);
}

static void put_compaction(struct jsonw *j, const struct api_block *b)
{
    jsonw_object(j);
    put_int(j, "level", b->level);
    put_list(j, "sources", &b->sources);
    put_flag(j, "deletable", b->deletable);
    if (b->parent_count) {
        jsonw_key(j, "parents");
        jsonw_array(j);
        for (size_t i = 0; i < b->parent_count; i++) {
            jsonw_object(j);
            put_str(j, "ulid", b->parents[i].ulid);
            put_int(j, "minTime", b->parents[i].min_time);
            put_int(j, "maxTime", b->parents[i].max_time);
            jsonw_object_end(j);
        }
        jsonw_array_end(j);
    }
    put_flag(j, "failed", b->failed);
    put_list(j, "hints", &b->hints);
    jsonw_object_end(j);
}

static void put_block(struct jsonw *j, const struct api_block *b)
{
    jsonw_object(j);
    put_str(j, "ulid", b->ulid);
    put_int(j, "minTime", b->min_time);
    put_int(j, "maxTime", b->max_time);
    jsonw_key(j, "stats");
    jsonw_object(j);
    put_count(j, "numSamples", b->samples);
    put_count(j, "numFloatSamples", b->float_samples);
    put_count(j, "numHistogramSamples", b->histogram_samples);
    put_count(j, "numSeries", b->series);
    put_count(j, "numChunks", b->chunks);
    put_count(j, "numTombstones", b->tombstones);
    jsonw_object_end(j);
    jsonw_key(j, "compaction");
    put_compaction(j, b);
    put_int(j, "version", 1);
    jsonw_object_end(j);
}

void api_handle_blocks(struct api *api, struct http_call *call)
{
    const struct api_ops *ops = &api->options.ops;
    struct api_block *blocks = NULL;
    struct api_answer a;
    struct jsonw *j;
    size_t n = 0;

    if (ops->blocks)
        ops->blocks(ops->arg, http_call_arena(call), &blocks, &n);
    j = api_answer_begin(&a, call);
    jsonw_object(j);
    jsonw_key(j, "blocks");
    jsonw_array(j);
    for (size_t i = 0; i < n && api_answer_flush(&a); i++)
        put_block(j, &blocks[i]);
    jsonw_array_end(j);
    jsonw_object_end(j);
    api_answer_send(&a);
}
