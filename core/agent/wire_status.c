/* SPDX-License-Identifier: Apache-2.0 */
/* What the status pages ask of the store and of scraping's configuration; see
 * wire.c. All is copied into the request's arena. */
#include "agent/agent_int.h"
#include "pipeline/pipeline.h"
#include "util/str.h"

static void tops(void *arg, size_t limit, struct arena *arena,
                 struct api_top_list out[API_TOPS])
{
    struct agent *a = arg;
    struct tsdb_top_lists found = { 0 };
    const struct tsdb_top_list *lists[API_TOPS] = {
        [API_TOP_METRICS] = &found.metrics,
        [API_TOP_LABEL_VALUES] = &found.label_values,
        [API_TOP_LABEL_BYTES] = &found.label_bytes,
        [API_TOP_PAIRS] = &found.pairs,
    };

    if (!atomic_load(&a->ready))
        return;
    tsdb_top(a->db, limit, arena, &found);
    for (size_t k = 0; k < API_TOPS; k++) {
        out[k].count = lists[k]->count;
        out[k].items = arena_array(arena, struct api_top, lists[k]->count);
        for (size_t i = 0; i < lists[k]->count; i++)
            out[k].items[i] = (struct api_top){ lists[k]->items[i].name,
                                                lists[k]->items[i].count };
    }
}

static void copy_block(struct arena *arena, const struct block_meta *m,
                       struct api_block *out)
{
    sonde_str *sources = arena_array(arena, sonde_str, m->source_count);
    sonde_str *hints = arena_array(arena, sonde_str, m->other_hint_count + 1);
    size_t n = 0;

    *out = (struct api_block){
        .ulid = arena_str(arena, sonde_cstr(m->ulid.text)),
        .min_time = m->mint,
        .max_time = m->maxt,
        .samples = m->stats.samples,
        .float_samples = m->stats.float_samples,
        .histogram_samples = m->stats.histogram_samples,
        .series = m->stats.series,
        .chunks = m->stats.chunks,
        .tombstones = m->stats.tombstones,
        .level = m->level,
        .deletable = m->deletable,
        .failed = m->failed,
        .parents = arena_array(arena, struct api_block_parent, m->parent_count),
        .parent_count = m->parent_count,
    };
    for (size_t i = 0; i < m->source_count; i++)
        sources[i] = arena_str(arena, sonde_cstr(m->sources[i].text));
    out->sources = (struct sonde_list){ sources, m->source_count };
    if (m->from_out_of_order)
        hints[n++] = SONDE_STR("from-out-of-order");
    for (size_t i = 0; i < m->other_hint_count; i++)
        hints[n++] = arena_str(arena, sonde_cstr(m->other_hints[i]));
    out->hints = (struct sonde_list){ hints, n };
    for (size_t i = 0; i < m->parent_count; i++)
        out->parents[i] = (struct api_block_parent){
            arena_str(arena, sonde_cstr(m->parents[i].ulid.text)),
            m->parents[i].mint, m->parents[i].maxt
        };
}

static void blocks(void *arg, struct arena *arena, struct api_block **out,
                   size_t *n)
{
    struct agent *a = arg;
    struct block **found;

    *n = 0;
    if (!atomic_load(&a->ready))
        return;
    found = tsdb_blocks(a->db, n);
    *out = arena_array(arena, struct api_block, *n);
    for (size_t i = 0; i < *n; i++)
        copy_block(arena, block_meta(found[i]), &(*out)[i]);
    tsdb_blocks_free(found, *n);
}

static struct sonde_list copy_list(struct arena *arena,
                                   const struct sonde_list *l)
{
    sonde_str *items = arena_array(arena, sonde_str, l->count);

    for (size_t i = 0; i < l->count; i++)
        items[i] = arena_str(arena, l->items[i]);
    return (struct sonde_list){ items, l->count };
}

static void copy_rule(struct arena *arena, const struct relabel_rule *r,
                      struct api_relabel_rule *out)
{
    *out = (struct api_relabel_rule){
        .source_labels = copy_list(arena, &r->source_labels),
        .separator = arena_str(arena, r->separator),
        .regex = arena_str(arena, r->regex),
        .target_label = arena_str(arena, r->target_label),
        .replacement = arena_str(arena, r->replacement),
        .action = sonde_cstr(relabel_action_name(r->action)),
        .modulus = (uint64_t)r->modulus,
    };
}

static void run_steps(const struct config_blocks *chain,
                      const struct labels *labels, struct arena *arena,
                      struct api_relabel_step *out)
{
    const struct relabel_rule *rules = chain->items;
    struct labels_builder lb;
    bool keep = true;

    labels_builder_init(&lb, arena);
    labels_builder_from(&lb, labels);
    for (size_t i = 0; i < chain->count; i++) {
        struct labels now = { 0 };

        copy_rule(arena, &rules[i], &out[i].rule);
        keep = keep && relabel(&rules[i], 1, &lb);
        if (keep) {
            now = labels_builder_view(&lb);
            out[i].output = labels_dup(arena, &now);
        }
        out[i].keep = keep;
    }
}

static bool relabel_steps(void *arg, sonde_str pool,
                          const struct labels *labels, struct arena *arena,
                          struct api_relabel_step **out, size_t *n)
{
    struct agent *a = arg;
    bool found = false;

    (void)pthread_mutex_lock(&a->lock);
    for (size_t i = 0; a->config && !found && i < a->config->job_count; i++) {
        const struct scrape_config *job = a->config->jobs[i];

        found = sonde_str_eq(job->job_name, pool);
        if (!found)
            continue;
        *n = job->relabel_configs.count;
        *out = arena_array(arena, struct api_relabel_step, *n);
        run_steps(&job->relabel_configs, labels, arena, *out);
    }
    (void)pthread_mutex_unlock(&a->lock);
    return found;
}

void agent_wire_status(struct api_ops *ops)
{
    ops->tops = tops;
    ops->blocks = blocks;
    ops->relabel_steps = relabel_steps;
}
