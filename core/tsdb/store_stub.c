/* SPDX-License-Identifier: Apache-2.0 */
/* What is not there yet; each goes when it is. */
#include "tsdb/head.h"

#define WEAK __attribute__((weak))

WEAK void head_close_before(struct head *h, sonde_msec t)
{
    (void)h;
    (void)t;
}

WEAK sonde_code head_truncate(struct head *h, sonde_msec t,
                              struct sonde_err *err)
{
    (void)h;
    (void)t;
    return sonde_err_set(err, SONDE_EAGAIN, "truncate the head: not yet");
}

WEAK sonde_code head_cut_log(struct head *h, const char *wal_dir, sonde_msec t,
                             uint64_t needed, struct sonde_err *err)
{
    (void)h;
    (void)wal_dir;
    (void)t;
    (void)needed;
    (void)err;
    return SONDE_OK;
}

WEAK sonde_code head_cut_log_only(struct head *h, const char *wal_dir,
                                  sonde_msec t, uint64_t needed,
                                  struct sonde_err *err)
{
    return head_cut_log(h, wal_dir, t, needed, err);
}
