/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a document that outlives the process: a line that says what it is
 * and of which version, a checksum of the rest, then numbers and texts one
 * after the other. Numbers have seven bits in a byte, the lowest first, since
 * most counters are small; checksums and doubles have eight bytes.
 *
 * Writing beyond the bound and reading beyond the end (or what can not have
 * been written) set `failed`, which is looked at once, at the end.
 */
#include <stdlib.h>

#include "log.h"

static const char head[] = "sonde nginx access_log 2\n";

#define HEAD_BYTES (sizeof(head) - 1)
#define BODY_AT    (HEAD_BYTES + sizeof(uint64_t))

uint64_t log_checksum(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

uint64_t log_doc_checksum(const struct log_doc *d)
{
    return log_checksum(LOG_CHECKSUM_SEED, d->bytes + BODY_AT,
                        d->len - BODY_AT);
}

/* ---- writing ------------------------------------------------------------- */

static bool make_room(struct log_doc *d, size_t n)
{
    size_t cap = d->cap ? d->cap : 4096;
    unsigned char *bytes;

    if (d->failed || n > LOG_DOC_MAX - d->len) {
        d->failed = true;
        return false;
    }
    while (cap - d->len < n)
        cap *= 2;
    if (cap == d->cap)
        return true;
    bytes = realloc(d->bytes, cap);
    if (!bytes) {
        d->failed = true;
        return false;
    }
    d->bytes = bytes;
    d->cap = cap;
    return true;
}

void log_doc_put_bytes(struct log_doc *d, const void *data, size_t n)
{
    if (n && make_room(d, n)) {
        memcpy(d->bytes + d->len, data, n);
        d->len += n;
    }
}

static void store_fixed(unsigned char *out, uint64_t v)
{
    for (size_t i = 0; i < sizeof(v); i++, v >>= 8)
        out[i] = (unsigned char)v;
}

void log_doc_begin(struct log_doc *d)
{
    d->len = 0;
    d->failed = false;
    log_doc_put_bytes(d, head, HEAD_BYTES);
    log_doc_put_fixed(d, 0);
}

void log_doc_put(struct log_doc *d, uint64_t v)
{
    unsigned char bytes[10];
    size_t n = 0;

    for (; v > 127; v >>= 7)
        bytes[n++] = (unsigned char)(v | 128);
    bytes[n++] = (unsigned char)v;
    log_doc_put_bytes(d, bytes, n);
}

void log_doc_put_fixed(struct log_doc *d, uint64_t v)
{
    unsigned char bytes[sizeof(v)];

    store_fixed(bytes, v);
    log_doc_put_bytes(d, bytes, sizeof(bytes));
}

void log_doc_put_double(struct log_doc *d, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    log_doc_put_fixed(d, bits);
}

void log_doc_put_text(struct log_doc *d, sonde_str s)
{
    log_doc_put(d, s.len);
    log_doc_put_bytes(d, s.ptr, s.len);
}

void log_doc_seal(struct log_doc *d)
{
    if (d->len >= BODY_AT)
        store_fixed(d->bytes + HEAD_BYTES, log_doc_checksum(d));
}

void log_doc_fini(struct log_doc *d)
{
    free(d->bytes);
    *d = (struct log_doc){ 0 };
}

/* ---- reading ------------------------------------------------------------- */

static const unsigned char *take_bytes(struct log_cursor *c, size_t n)
{
    const unsigned char *p = c->at;

    if (c->failed || n > c->left) {
        c->failed = true;
        return NULL;
    }
    c->at += n;
    c->left -= n;
    return p;
}

bool log_doc_open(struct log_cursor *c, sonde_str doc)
{
    *c = (struct log_cursor){ .at = (const unsigned char *)doc.ptr,
                              .left = doc.len };
    if (doc.len < BODY_AT || memcmp(doc.ptr, head, HEAD_BYTES) != 0)
        return false;
    (void)take_bytes(c, HEAD_BYTES);
    return log_doc_take_fixed(c) == log_checksum(LOG_CHECKSUM_SEED,
                                                 doc.ptr + BODY_AT,
                                                 doc.len - BODY_AT);
}

uint64_t log_doc_take(struct log_cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        const unsigned char *p = take_bytes(c, 1);

        if (!p || (shift == 63 && *p > 1))
            break;
        v |= (uint64_t)(*p & 127) << shift;
        if (*p < 128)
            return v;
    }
    c->failed = true;
    return 0;
}

uint64_t log_doc_take_fixed(struct log_cursor *c)
{
    const unsigned char *p = take_bytes(c, sizeof(uint64_t));
    uint64_t v = 0;

    for (size_t i = sizeof(v); p && i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

double log_doc_take_double(struct log_cursor *c)
{
    uint64_t bits = log_doc_take_fixed(c);
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

sonde_str log_doc_take_text(struct log_cursor *c)
{
    uint64_t n = log_doc_take(c);
    const unsigned char *p = take_bytes(c, n <= c->left ? (size_t)n : SIZE_MAX);

    return p ? (sonde_str){ (const char *)p, (size_t)n } : (sonde_str){ 0 };
}
