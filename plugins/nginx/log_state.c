/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlives the process: where each file was left, and what was counted
 * up to there. Both are one document, which the host replaces as a whole, so
 * that a line is either in the counters or still to be read, whenever the
 * process ends: no line is lost and none is counted twice. It is saved before
 * the collection is stored, so that what is in the store never is ahead of it.
 *
 * Counters are taken over when the options that give them their shape are the
 * same (log_counts' fingerprint); offsets are in any case. Series that do not
 * fit into a document are not kept: then only the offsets are.
 *
 *     number of files; of each: path, lines, rotations, truncations, when the
 *         last one was born and written; its tails
 *     the counters (log_series.c), or nothing
 */
#include "log.h"

#define STATE_NAME "access_log"

/* ---- files --------------------------------------------------------------- */

static void put_file(struct log_doc *d, const struct log_file *f)
{
    log_doc_put_text(d, f->path);
    log_doc_put(d, f->lines);
    log_doc_put(d, f->rotations);
    log_doc_put(d, f->truncations);
    log_doc_put_fixed(d, (uint64_t)f->last.born);
    log_doc_put_fixed(d, (uint64_t)f->last.written);
    log_doc_put(d, f->count);
    for (size_t i = 0; i < f->count; i++) {
        const struct log_tail *t = &f->tails[i];

        log_doc_put(d, t->device);
        log_doc_put(d, t->inode);
        log_doc_put(d, t->offset);
        log_doc_put(d, t->mark_len);
        log_doc_put_fixed(d, t->mark);
        log_doc_put(d, t->skipping);
    }
}

static struct log_tail take_tail(struct log_cursor *c)
{
    struct log_tail t = { .fd = -1 };
    uint64_t len;

    t.device = log_doc_take(c);
    t.inode = log_doc_take(c);
    t.offset = log_doc_take(c);
    len = log_doc_take(c);
    t.mark = log_doc_take_fixed(c);
    t.skipping = log_doc_take(c) != 0;
    c->failed |= len > UINT32_MAX || t.offset > INT64_MAX;
    t.mark_len = (uint32_t)len;
    return t;
}

static struct log_file *file_of(const struct log_state *s, sonde_str path)
{
    for (size_t i = 0; i < s->file_count; i++)
        if (sonde_str_eq(s->files[i].path, path))
            return &s->files[i];
    return NULL;
}

static void take_file(struct log_state *s, struct log_cursor *c,
                      struct log_reader *r)
{
    struct log_file *f = file_of(s, log_doc_take_text(c)), other;

    if (!f || f->seen) {
        other = (struct log_file){ 0 };
        f = &other; /* not asked for any more */
    }
    f->lines = log_doc_take(c);
    f->rotations = log_doc_take(c);
    f->truncations = log_doc_take(c);
    f->last.born = (int64_t)log_doc_take_fixed(c);
    f->last.written = (int64_t)log_doc_take_fixed(c);
    for (uint64_t n = log_doc_take(c); n > 0 && !c->failed; n--) {
        struct log_tail t = take_tail(c);

        if (!c->failed && f != &other)
            log_file_resume(f, r, &t);
    }
}

/* ---- the document -------------------------------------------------------- */

bool log_state_put(struct log_state *s)
{
    struct log_doc *d = &s->doc;
    uint64_t files;
    size_t len;

    log_doc_begin(d);
    log_doc_put(d, s->file_count);
    for (size_t i = 0; i < s->file_count; i++)
        put_file(d, &s->files[i]);
    if (d->failed)
        return false;
    /* No line is counted without a file going on. */
    files = log_doc_checksum(d);
    if (s->saved && files == s->saved_files)
        return false;
    s->saved_files = files;
    len = d->len;
    if (!s->too_big)
        log_counts_put(s->counts, d);
    if (d->failed) {
        s->too_big = true; /* and will not get smaller */
        d->failed = false;
        d->len = len;
        s->host->log(s->target, SONDE_LOG_WARN,
                     "counters of access logs do not fit into the %d bytes "
                     "that can be saved and will begin at 0 with the next "
                     "start: lower series_max or have fewer time_buckets",
                     LOG_DOC_MAX);
    }
    log_doc_seal(d);
    return true;
}

bool log_state_take(struct log_state *s, sonde_str doc, struct log_reader *r)
{
    struct log_cursor c;

    if (!log_doc_open(&c, doc))
        return false;
    for (uint64_t n = log_doc_take(&c); n > 0 && !c.failed; n--)
        take_file(s, &c, r);
    return !c.failed && (c.left == 0 || log_counts_take(s->counts, &c));
}

/* ---- the host ------------------------------------------------------------ */

void log_state_load(struct log_state *s, struct log_reader *r)
{
    struct sonde_err err;
    sonde_str doc = { 0 };
    sonde_code rc;

    s->off = !SONDE_HAS(struct sonde_host, s->host, state_load) ||
             !SONDE_HAS(struct sonde_host, s->host, state_save);
    if (s->off)
        return;
    rc = s->host->state_load(s->target, STATE_NAME, &doc, &err);
    if (rc == SONDE_OK && !log_state_take(s, doc, r))
        s->host->log(s->target, SONDE_LOG_WARN,
                     "what was saved of access logs is damaged or of another "
                     "version: counters begin at 0");
    if (rc != SONDE_OK && rc != SONDE_ENOTFOUND && rc != SONDE_EUNSUPPORTED)
        s->host->log(s->target, SONDE_LOG_WARN,
                     "what was saved of access logs can not be read: %s",
                     err.text);
}

void log_state_save(struct log_state *s)
{
    struct sonde_err err;
    sonde_code rc;

    if (s->off || !log_state_put(s))
        return;
    rc = s->host->state_save(s->target, STATE_NAME, s->doc.bytes, s->doc.len,
                             &err);
    s->saved = rc == SONDE_OK;
    s->off = rc == SONDE_EUNSUPPORTED;
    if (rc != SONDE_OK && !s->off && !s->told)
        s->host->log(s->target, SONDE_LOG_WARN,
                     "counters and offsets of access logs can not be saved: %s",
                     err.text);
    s->told = rc != SONDE_OK;
}

void log_state_fini(struct log_state *s)
{
    log_doc_fini(&s->doc);
}
