/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The appender: collects a transaction and hands it to the commit. It holds
 * memory only while a transaction is open: from the first series asked for or
 * sample handed in until the end. Series are made at once, because their
 * references are needed; they are seen with their first sample.
 *
 * One thread at a time uses an appender; any number of them may be open.
 */
#include <stdlib.h>

#include "tsdb/head.h"
#include "tsdb/walk.h"
#include "util/mem.h"

struct head_appender {
    struct appender base;
    struct head *head;
    struct batch *batch;  /* NULL: nothing was handed in                   */
    bool open;            /* a transaction is                              */
    struct presence here; /* among the head's writers while it is          */
};

static struct head_appender *self(struct appender *base)
{
    return (struct head_appender *)base;
}

static void open_transaction(struct head_appender *a)
{
    if (!a->open)
        readers_enter(&a->head->writers, &a->here);
    a->open = true;
}

static struct batch *open_batch(struct head_appender *a)
{
    open_transaction(a);
    if (!a->batch)
        a->batch = batch_get(&a->head->batches);
    return a->batch;
}

static void close_transaction(struct head_appender *a)
{
    batch_put(&a->head->batches, a->batch);
    a->batch = NULL;
    if (a->open)
        readers_leave(&a->head->writers, &a->here);
    a->open = false;
}

static sonde_code appender_op_series(struct appender *base,
                                     const struct labels *labels,
                                     series_ref *out, struct sonde_err *err)
{
    open_transaction(self(base));
    return head_series(self(base)->head, labels, out, err);
}

static bool appender_op_known(struct appender *base, series_ref ref)
{
    return head_hold(self(base)->head, ref);
}

static uint64_t appender_op_generation(struct appender *base)
{
    struct head_appender *a = self(base);

    open_transaction(a);
    return atomic_load(&a->head->generation);
}

static void appender_op_append(struct appender *base,
                               const struct storage_sample *samples, size_t n)
{
    if (n)
        batch_append(open_batch(self(base)), samples, n);
}

static void appender_op_histogram(struct appender *base, series_ref ref,
                                  sonde_msec t, const struct histogram *h)
{
    batch_histogram(open_batch(self(base)), ref, t, h);
}

static void appender_op_exemplar(struct appender *base, series_ref ref,
                                 const struct exemplar *e)
{
    if (exemplars_wanted(&self(base)->head->exemplars))
        batch_exemplar(open_batch(self(base)), ref, e);
}

static void appender_op_metadata(struct appender *base, series_ref ref,
                                 const struct metadata *m)
{
    struct batch *b;

    if (!appender_op_known(base, ref))
        return;
    b = open_batch(self(base));
    if (b->metadata.len == 0)
        wal_metadata_begin(&b->metadata);
    wal_metadata_add(&b->metadata, ref, m);
    ref_list_push(&b->described, (uint32_t)ref);
}

static sonde_code appender_op_commit(struct appender *base,
                                     struct append_stats *stats,
                                     struct sonde_err *err)
{
    struct head_appender *a = self(base);
    struct append_stats own = { 0 };
    sonde_code rc = SONDE_OK;

    if (a->batch)
        rc = head_commit(a->head, a->batch, &own, err);
    close_transaction(a);
    if (stats)
        *stats = own;
    return rc;
}

static void appender_op_rollback(struct appender *base)
{
    close_transaction(self(base));
}

static void appender_op_free(struct appender *base)
{
    close_transaction(self(base));
    free(base);
}

static const struct appender_ops ops = {
    .series = appender_op_series,
    .known = appender_op_known,
    .generation = appender_op_generation,
    .append = appender_op_append,
    .histogram = appender_op_histogram,
    .exemplar = appender_op_exemplar,
    .metadata = appender_op_metadata,
    .commit = appender_op_commit,
    .rollback = appender_op_rollback,
    .free = appender_op_free,
};

struct appender *head_appender(struct head *h)
{
    struct head_appender *a = mem_new(struct head_appender);

    a->base.ops = &ops;
    a->head = h;
    return &a->base;
}
