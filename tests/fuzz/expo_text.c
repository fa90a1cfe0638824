/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "fuzz/expo_pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    expo_pieces(EXPO_TEXT, (sonde_str){ (const char *)data, size });
    return 0;
}
