/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples that are found in one collection and emitted in a later one: a walk
 * over a large database takes several, and its results appear all at once
 * when it is through. Labels stand one after the other in one text.
 */
#include <stdlib.h>

#include "emit.h"

struct kept_row {
    size_t family;
    size_t at; /* of the first label's length */
    double value;
};

bool kept_add(struct redis_kept *k, size_t family, const sonde_str *labels,
              double value)
{
    size_t at = k->labels.len, n = emit_label_count(family);

    if (k->count == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 64;
        struct kept_row *grown = realloc(k->rows, cap * sizeof(*grown));

        if (!grown)
            return false;
        k->rows = grown;
        k->cap = cap;
    }
    for (size_t i = 0; i < n; i++) {
        sonde_str v = labels[i];
        uint16_t len;

        if (v.len > REDIS_LABEL_MAX)
            v.len = REDIS_LABEL_MAX;
        len = (uint16_t)v.len;
        if (!text_add(&k->labels, &len, sizeof(len)) ||
            !text_add(&k->labels, v.ptr, v.len))
            return false;
    }
    k->rows[k->count++] = (struct kept_row){ family, at, value };
    return true;
}

void kept_emit(const struct redis_kept *k, struct redis_emit *e)
{
    if (!k->labels.ptr) /* what is kept has labels */
        return;
    for (size_t i = 0; i < k->count; i++) {
        const struct kept_row *row = &k->rows[i];
        const char *p = k->labels.ptr + row->at;
        size_t n = emit_label_count(row->family);
        sonde_str labels[SONDE_LABELS_MAX] = { { 0 } };

        for (size_t j = 0; j < n; j++) {
            uint16_t len;

            memcpy(&len, p, sizeof(len));
            labels[j] = (sonde_str){ p + sizeof(len), len };
            p += sizeof(len) + len;
        }
        emit_sample(e, row->family, labels, row->value);
    }
}

void kept_fini(struct redis_kept *k)
{
    free(k->rows);
    text_fini(&k->labels);
    *k = (struct redis_kept){ 0 };
}
