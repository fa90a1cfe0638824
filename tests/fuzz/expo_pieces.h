/* SPDX-License-Identifier: Apache-2.0 */
/* The property that both formats' targets check; see expo_pieces.c. */
#ifndef FUZZ_EXPO_PIECES_H
#define FUZZ_EXPO_PIECES_H

#include "expo/expo.h"

void expo_pieces(enum expo_format format, sonde_str body);

#endif
