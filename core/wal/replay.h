/* SPDX-License-Identifier: Apache-2.0 */
/* Replay of one segment that lies in memory: for fuzzing and tests. */
#ifndef WAL_REPLAY_H
#define WAL_REPLAY_H

#include "wal/wal.h"

SONDE_NODISCARD sonde_code wal_replay_bytes(sonde_str segment,
                                            const struct wal_replay *replay,
                                            struct sonde_err *err);

#endif
