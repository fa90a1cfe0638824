/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes gzip piece by piece, so that the reader decides when it is enough. */
#ifndef NET_GUNZIP_H
#define NET_GUNZIP_H

#include <sonde/base.h>

struct gunzip;

struct gunzip *gunzip_new(void);
void gunzip_free(struct gunzip *g); /* NULL is fine */
/* The next piece; must stay until gunzip_next has used it up. */
void gunzip_input(struct gunzip *g, sonde_str piece);
/* Up to `cap` decoded bytes; `*got` is 0 when the input is used up. */
SONDE_NODISCARD sonde_code gunzip_next(struct gunzip *g, char *out, size_t cap,
                                       size_t *got, struct sonde_err *err);
/* All that came is whole: the stream may end here. */
bool gunzip_complete(const struct gunzip *g);

#endif
