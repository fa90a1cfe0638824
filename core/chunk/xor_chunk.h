/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' XOR chunk: float samples, a bit or a few bytes each. */
#ifndef CHUNK_XOR_CHUNK_H
#define CHUNK_XOR_CHUNK_H

#include <sonde/base.h>

#define XOR_SAMPLES_MAX 65535

/* Where an encoder stands; 32 bytes, so that it can sit in the series. */
struct xor_state {
    sonde_msec t;   /* of the last sample, also of a chunk before this one */
    uint64_t v;     /* its bits                                            */
    uint64_t delta; /* between the last two times                          */
    uint32_t bits : 24; /* written, header included                       */
    uint32_t tail : 8;  /* the last byte if it is not full, as in memory  */
    uint16_t count;     /* 0: no chunk begun                               */
    uint8_t leading, trailing; /* window of the last XOR                   */
};

/* Begins a chunk; `t` and `v` of the state stay what they were. */
void xor_begin(struct xor_state *s);
static inline size_t xor_len(const struct xor_state *s)
{
    return (s->bits + 7u) / 8;
}

/* Appends a sample to the chunk in `data`, which has room for `cap` bytes.
 * Returns 0, or, having changed nothing, how many bytes the chunk needs. The
 * number of samples in the first two bytes is written by xor_seal only; at
 * XOR_SAMPLES_MAX samples the caller must begin another chunk. */
size_t xor_append(struct xor_state *s, uint8_t *data, size_t cap, sonde_msec t,
                  double v);

/* Which bits of a value's XOR with the one before are written. */
struct xor_window {
    uint8_t leading, trailing; /* bits that are not                         */
};
/* Chooses the windows for `n` values so that a chunk of them gets small; a
 * new one where a value does not fit, or where it pays for what comes. What
 * is chosen for the first value means nothing. */
void xor_windows(const double *v, size_t n, struct xor_window *out);
/* As xor_append, in a window that xor_windows chose. Any reader takes it. */
size_t xor_append_within(struct xor_state *s, uint8_t *data, size_t cap,
                         sonde_msec t, double v, struct xor_window w);
/* Writes the number of samples: the first xor_len() bytes are a chunk now. */
void xor_seal(const struct xor_state *s, uint8_t *data);

/* The number of samples that a chunk says it has; 0 if it is cut short. */
size_t xor_count(sonde_str chunk);
/* The first time of an open or sealed chunk with samples. */
sonde_msec xor_first_time(const uint8_t *data);

/* Decodes all of a chunk into arrays with room for xor_count() elements.
 * `*n` is how many there are; also on SONDE_ECORRUPT, then the good ones
 * before the damage. Never reads outside of the chunk. */
SONDE_NODISCARD sonde_code xor_decode(sonde_str chunk, sonde_msec *t, double *v,
                                      size_t *n, struct sonde_err *err);

#endif
