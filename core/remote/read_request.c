/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ReadRequest out of bytes from outside:
 *
 *     ReadRequest   1 queries*  2 accepted response types (packed or not)
 *     Query         1 start  2 end  3 matchers*  4 hints
 *     LabelMatcher  1 type (= != =~ !~)  2 name  3 value
 *
 * Hints only say what the caller will do; they are not looked at. Numbers of
 * queries and matchers are bounded by what their bytes can hold.
 */
#include "remote/read.h"
#include "remote/wire.h"
#include "util/str.h"

#define ACCEPT_MAX 16 /* types of answers that are looked at               */

enum answer_type {
    ANSWER_SAMPLES,
    ANSWER_STREAMED
};

static sonde_code broken(const char *what, struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_EPARSE, "a broken %s", what);
}

/* Room for one more in an array of the arena's. */
static void *grow(struct arena *a, void *items, size_t *cap, size_t count,
                  size_t size)
{
    char *grown;

    if (count < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 4;
    grown = arena_alloc_array(a, size, *cap);
    if (count)
        memcpy(grown, items, count * size);
    return grown;
}

static sonde_code parse_matcher(struct arena *a, sonde_str bytes,
                                struct read_query *q, struct sonde_err *err)
{
    struct reader r = reader_of(bytes);
    struct wire_field f;
    uint64_t type = 0;
    sonde_str name = SONDE_STR(""), value = SONDE_STR("");
    sonde_code rc;

    while (wire_next(&r, &f)) {
        if (f.number == 1 && wire_is(&r, &f, WIRE_VARINT))
            type = f.bits;
        else if (f.number == 2 && wire_is(&r, &f, WIRE_BYTES))
            name = f.bytes;
        else if (f.number == 3 && wire_is(&r, &f, WIRE_BYTES))
            value = f.bytes;
    }
    if (r.failed)
        return broken("matcher", err);
    if (type > MATCH_NRE)
        return sonde_err_set(err, SONDE_EINVAL, "invalid matcher type");
    q->matchers = grow(a, q->matchers, &q->matcher_cap, q->matcher_count,
                       sizeof(*q->matchers));
    rc = matcher_init(&q->matchers[q->matcher_count], (enum matcher_op)type,
                      name, value, err);
    if (rc != SONDE_OK)
        return err->code = SONDE_EINVAL; /* the text says why already */
    q->matcher_count++;
    return SONDE_OK;
}

static sonde_code parse_query(struct arena *a, sonde_str bytes,
                              struct read_query *q, struct sonde_err *err)
{
    struct reader r = reader_of(bytes);
    struct wire_field f;
    sonde_code rc = SONDE_OK;

    while (rc == SONDE_OK && wire_next(&r, &f)) {
        if (f.number == 1 && wire_is(&r, &f, WIRE_VARINT))
            q->start = (sonde_msec)f.bits;
        else if (f.number == 2 && wire_is(&r, &f, WIRE_VARINT))
            q->end = (sonde_msec)f.bits;
        else if (f.number == 3 && wire_is(&r, &f, WIRE_BYTES))
            rc = parse_matcher(a, f.bytes, q, err);
    }
    return rc == SONDE_OK && r.failed ? broken("query", err) : rc;
}

/* The first that is known decides. */
static void accept_type(struct read_request *out, uint64_t type, size_t *seen)
{
    if (++*seen > ACCEPT_MAX)
        return;
    out->accepts = true;
    if (out->samples || out->streamed)
        return;
    out->samples = type == ANSWER_SAMPLES;
    out->streamed = type == ANSWER_STREAMED;
    buf_printf(&out->unknown, "%s%llu", out->unknown.len ? " " : "",
               (unsigned long long)type);
}

static void accept_types(struct read_request *out, struct reader *r,
                         const struct wire_field *f, size_t *seen)
{
    struct reader packed = reader_of(f->bytes);

    if (f->type == WIRE_VARINT) {
        accept_type(out, f->bits, seen);
        return;
    }
    if (!wire_is(r, f, WIRE_BYTES))
        return;
    while (reader_left(&packed) > 0 && !packed.failed)
        accept_type(out, wire_uvarint(&packed), seen);
    r->failed |= packed.failed;
}

sonde_code read_request_parse(struct arena *a, sonde_str body,
                              struct read_request *out, struct sonde_err *err)
{
    struct reader r = reader_of(body);
    struct wire_field f;
    sonde_code rc = SONDE_OK;
    size_t seen = 0;

    *out = (struct read_request){ .count = 0 };
    buf_init(&out->unknown);
    while (rc == SONDE_OK && wire_next(&r, &f)) {
        if (f.number == 1 && wire_is(&r, &f, WIRE_BYTES)) {
            out->queries = grow(a, out->queries, &out->cap, out->count,
                                sizeof(*out->queries));
            rc = parse_query(a, f.bytes, &out->queries[out->count++], err);
        } else if (f.number == 2) {
            accept_types(out, &r, &f, &seen);
        }
    }
    return rc == SONDE_OK && r.failed ? broken("request", err) : rc;
}

void read_request_fini(struct read_request *r)
{
    for (size_t i = 0; i < r->count; i++)
        for (size_t k = 0; k < r->queries[i].matcher_count; k++)
            matcher_fini(&r->queries[i].matchers[k]);
    buf_fini(&r->unknown);
}
