/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), as all checksums of the TSDB formats. */
#ifndef UTIL_CRC32C_H
#define UTIL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `len` bytes; initial and final inversion
 * are done inside, so that values chain. Uses the processor's instruction
 * where it has one. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
