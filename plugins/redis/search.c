/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search indexes: FT._LIST comes with the round trip of the collection, then
 * FT.INFO of those whose name matches check_search_indexes, all in one more.
 * The names matter only until that; they are copied out of the reply.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "redis.h"

#define MIB 1048576.0

static const struct {
    const char *field;
    size_t family;
    double scale;
} fields[] = {
    { "num_docs", F_INDEX_NUM_DOCS, 1 },
    { "max_doc_id", F_INDEX_MAX_DOC_ID, 1 },
    { "num_terms", F_INDEX_NUM_TERMS, 1 },
    { "num_records", F_INDEX_NUM_RECORDS, 1 },
    { "inverted_sz_mb", F_INDEX_INVERTED, MIB },
    { "total_inverted_index_blocks", F_INDEX_BLOCKS, 1 },
    { "vector_index_sz_mb", F_INDEX_VECTOR, MIB },
    { "offset_vectors_sz_mb", F_INDEX_OFFSETS, MIB },
    { "doc_table_size_mb", F_INDEX_DOC_TABLE, MIB },
    { "sortable_values_size_mb", F_INDEX_SORTABLE, MIB },
    { "key_table_size_mb", F_INDEX_KEY_TABLE, MIB },
    { "tag_overhead_sz_mb", F_INDEX_TAGS, MIB },
    { "text_overhead_sz_mb", F_INDEX_TEXTS, MIB },
    { "total_index_memory_sz_mb", F_INDEX_MEMORY, MIB },
    { "geoshapes_sz_mb", F_INDEX_GEOSHAPES, MIB },
    { "records_per_doc_avg", F_INDEX_DOC_RECORDS, 1 },
    { "bytes_per_record_avg", F_INDEX_RECORD_BYTES, 1 },
    { "offsets_per_term_avg", F_INDEX_TERM_OFFSETS, 1 },
    { "offset_bits_per_record_avg", F_INDEX_OFFSET_BITS, 1 },
    { "indexing", F_INDEX_INDEXING, 1 },
    { "percent_indexed", F_INDEX_PERCENT, 1 },
    { "hash_indexing_failures", F_INDEX_FAILURES, 1 },
    { "number_of_uses", F_INDEX_USES, 1 },
    { "cleaning", F_INDEX_CLEANING, 1 },
};

/* ---- which indexes ------------------------------------------------------- */

sonde_code search_compile(sonde_str pattern, void **out, struct sonde_err *err)
{
    PCRE2_SIZE at = 0;
    int code = 0;
    PCRE2_UCHAR what[120];

    *out = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, 0, &code, &at,
                         NULL);
    if (*out)
        return SONDE_OK;
    (void)pcre2_get_error_message(code, what, sizeof(what));
    return sonde_err_set(err, SONDE_EINVAL,
                         "check_search_indexes: not a regular expression: %s "
                         "at byte %zu",
                         (const char *)what, (size_t)at);
}

void search_free(void *pattern)
{
    pcre2_code_free(pattern);
}

static bool is_wanted(const struct sonde_instance *i, pcre2_match_data *data,
                      sonde_str name)
{
    return pcre2_match(i->search_pattern, (PCRE2_SPTR)name.ptr, name.len, 0, 0,
                       data, NULL) >= 0;
}

static size_t take_names(const struct sonde_instance *i,
                         const struct redis_reply *list, char **out)
{
    pcre2_match_data *data =
        pcre2_match_data_create_from_pattern(i->search_pattern, NULL);
    size_t n = 0;

    for (size_t k = 0; data && k < list->count && n < REDIS_INDEXES_MAX; k++) {
        if (!reply_is_text(list->items[k]) ||
            !is_wanted(i, data, list->items[k]->str))
            continue;
        out[n] = strndup(list->items[k]->str.ptr, list->items[k]->str.len);
        n += out[n] != NULL;
    }
    pcre2_match_data_free(data);
    return n;
}

/* ---- what they say ------------------------------------------------------- */

static void emit_index(struct sonde_instance *i, const struct redis_reply *r)
{
    const struct redis_reply *name = reply_field(r, "index_name");

    for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++) {
        double v = 0;

        (void)reply_number(reply_field(r, fields[k].field), &v);
        emit_sample(
            &i->emit, fields[k].family,
            SONDE_LABELS(reply_is_text(name) ? name->str : (sonde_str){ 0 }),
            v * fields[k].scale);
    }
}

static sonde_code ask(struct sonde_instance *i, char **names, size_t n,
                      sonde_msec deadline, struct sonde_err *err)
{
    struct redis_reply **r = NULL;
    struct redis_conn *c;
    sonde_code rc = redis_conn_for(i, &c, err);

    if (rc == SONDE_OK)
        rc = conn_begin(c, err);
    for (size_t k = 0; rc == SONDE_OK && k < n; k++)
        rc = conn_add(c, err, SONDE_STR("FT.INFO"), sonde_cstr(names[k]));
    if (rc == SONDE_OK)
        rc = conn_exchange(c, deadline, &r, err);
    for (size_t k = 0; rc == SONDE_OK && k < n; k++) {
        if (r[k]->type == REDIS_REPLY_ARRAY)
            emit_index(i, r[k]);
        else if (reply_is_error(r[k], "NOPERM"))
            rc = reply_verdict(r[k], err);
    }
    return rc;
}

void search_collect(struct sonde_instance *i, sonde_msec deadline)
{
    const struct redis_reply *list = i->replies[Q_SEARCH_LIST];
    char *names[REDIS_INDEXES_MAX];
    struct sonde_err why = { 0 };
    sonde_code rc = SONDE_OK;
    size_t n;

    if (!list)
        return;
    part_begin(i, P_SEARCH);
    n = take_names(i, list, names);
    if (n)
        rc = ask(i, names, n, deadline, &why);
    part_end(i, rc, &why);
    for (size_t k = 0; k < n; k++)
        free(names[k]);
}
