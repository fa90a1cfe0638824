/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of samples, cut into chunks: each is filled until a limit, a multiple
 * of the range or a sample of another kind ends it. Floats and histograms are
 * encoded by the encoders of the head, so that what a compaction writes is
 * what the head would have written with other limits.
 */
#include "chunk/chunk.h"
#include "chunk/hist_chunk.h"
#include "chunk/xor_chunk.h"
#include "util/mem.h"

#define FIRST_BYTES 1024

struct cutter {
    const struct columns *c;
    size_t at, to;
    const struct chunk_limits *limits;
    bool first_unknown; /* and no histogram was encoded yet                 */
    chunk_emit emit;
    void *arg;
    uint8_t *floats; /* of xor chunks                               */
    size_t cap;      /* of it                                       */
    struct xor_window *windows; /* of the samples from `from` on            */
    size_t window_cap, from;
    struct hist_chunk *hist; /* the kind before was this; else NULL         */
};

static const struct histogram *histogram_at(const struct cutter *k, size_t i)
{
    return k->c->h ? k->c->h[i] : NULL;
}

static int64_t range_of(sonde_msec t, sonde_msec range)
{
    return t / range - (t % range < 0);
}

/* Where the chunk that begins at `from` must end for the limits that are not
 * bytes. */
static size_t latest_end(const struct cutter *k, size_t from)
{
    uint32_t most = k->limits->samples;
    sonde_msec range = k->limits->range_ms;
    size_t end = from + 1;

    if (most == 0 || most > XOR_SAMPLES_MAX)
        most = XOR_SAMPLES_MAX;
    while (end < k->to && end - from < most &&
           (range <= 0 ||
            range_of(k->c->t[end], range) == range_of(k->c->t[from], range)))
        end++;
    return end;
}

static sonde_code hand_over(struct cutter *k, enum chunk_encoding encoding,
                            sonde_str data, size_t from, struct sonde_err *err)
{
    struct chunk chunk = {
        .encoding = encoding,
        .data = data,
        .mint = k->c->t[from],
        .maxt = k->c->t[k->at - 1],
        .count = (uint32_t)(k->at - from),
    };

    return k->emit(k->arg, &chunk, err);
}

/* False if the sample does not fit in the bytes that a chunk may have. */
static bool append_float(struct cutter *k, struct xor_state *x)
{
    sonde_msec t = k->c->t[k->at];
    double v = k->c->v[k->at];
    size_t most = k->limits->bytes, need;

    if (most == 0 || x->count == 0)
        most = SIZE_MAX;
    need = xor_append_within(x, k->floats, k->cap < most ? k->cap : most, t, v,
                             k->windows[k->at - k->from]);
    if (need == 0)
        return true;
    if (need > most)
        return false;
    k->floats = mem_grow(k->floats, &k->cap, need, 1);
    (void)xor_append_within(x, k->floats, need, t, v,
                            k->windows[k->at - k->from]);
    return true;
}

static sonde_code cut_floats(struct cutter *k, struct sonde_err *err)
{
    size_t from = k->at, end = latest_end(k, from);
    struct xor_state x = { 0 };

    k->from = from;
    k->windows =
        mem_grow(k->windows, &k->window_cap, end - from, sizeof(*k->windows));
    xor_windows(k->c->v + from, end - from, k->windows);
    xor_begin(&x);
    while (k->at < end && !histogram_at(k, k->at) && append_float(k, &x))
        k->at++;
    xor_seal(&x, k->floats);
    return hand_over(k, CHUNK_XOR,
                     (sonde_str){ (char *)k->floats, xor_len(&x) }, from, err);
}

/* Of the first, which may not tell what nobody knows. */
static bool append_first(struct cutter *k, const struct histogram *h)
{
    struct histogram first = *h;

    if (k->first_unknown && first.hint != HISTOGRAM_GAUGE)
        first.hint = HISTOGRAM_UNKNOWN_RESET;
    k->first_unknown = false;
    return hist_chunk_append(k->hist, k->c->t[k->at], &first);
}

static bool append_histogram(struct cutter *k, size_t from)
{
    const struct histogram *h = histogram_at(k, k->at);
    uint32_t bytes = k->limits->bytes;

    if (!h || h->is_float != hist_chunk_is_float(k->hist))
        return false;
    if (k->at == from)
        return append_first(k, h);
    if (bytes && hist_chunk_bytes(k->hist).len >= bytes)
        return false;
    return hist_chunk_append(k->hist, k->c->t[k->at], h);
}

static sonde_code cut_histograms(struct cutter *k, struct sonde_err *err)
{
    size_t from = k->at, end = latest_end(k, from);
    bool is_float = histogram_at(k, from)->is_float;

    if (k->hist && hist_chunk_is_float(k->hist) == is_float) {
        hist_chunk_begin(k->hist);
    } else {
        hist_chunk_free(k->hist);
        k->hist = hist_chunk_new(is_float);
    }
    while (k->at < end && append_histogram(k, from))
        k->at++;
    return hand_over(k, hist_encoding(is_float), hist_chunk_bytes(k->hist),
                     from, err);
}

sonde_code chunks_cut(const struct columns *c, size_t from, size_t to,
                      const struct chunk_limits *limits, bool first_unknown,
                      chunk_emit emit, void *arg, struct sonde_err *err)
{
    struct cutter k = {
        .c = c,
        .at = from,
        .to = to,
        .limits = limits,
        .first_unknown = first_unknown,
        .emit = emit,
        .arg = arg,
        .cap = FIRST_BYTES,
    };
    sonde_code rc = SONDE_OK;

    k.floats = mem_alloc(k.cap);
    while (rc == SONDE_OK && k.at < to) {
        if (histogram_at(&k, k.at)) {
            rc = cut_histograms(&k, err);
        } else {
            hist_chunk_free(k.hist);
            k.hist = NULL;
            rc = cut_floats(&k, err);
        }
    }
    hist_chunk_free(k.hist);
    free(k.windows);
    free(k.floats);
    return rc;
}
