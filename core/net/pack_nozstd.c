/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for pack_zstd.c where sonde is built without libzstd. */
#include "net/pack.h"

const bool pack_has_zstd = false;

struct packer *packer_zstd_new(void)
{
    return NULL;
}
