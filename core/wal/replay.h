/* SPDX-License-Identifier: Apache-2.0 */
/* More ways to replay: reader.c. */
#ifndef WAL_REPLAY_H
#define WAL_REPLAY_H

#include "wal/wal.h"

/* From the beginning, and up to a segment. */
SONDE_NODISCARD sonde_code wal_replay_upto(const char *dir, uint64_t last,
                                           const struct wal_replay *replay,
                                           struct sonde_err *err);
/* One segment that lies in memory: for fuzzing and tests. */
SONDE_NODISCARD sonde_code wal_replay_bytes(sonde_str segment,
                                            const struct wal_replay *replay,
                                            struct sonde_err *err);

#endif
