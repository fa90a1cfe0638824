/* SPDX-License-Identifier: Apache-2.0 */
/* MD5, for what is defined by it (hashmod); never for secrets. */
#ifndef UTIL_MD5_H
#define UTIL_MD5_H

#include <sonde/base.h>

#define MD5_BYTES 16
void md5(uint8_t out[MD5_BYTES], sonde_str s);

#endif
