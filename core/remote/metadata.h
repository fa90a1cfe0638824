/* SPDX-License-Identifier: Apache-2.0 */
/* Type, unit and help of all families, now and then: metadata.c. */
#ifndef REMOTE_METADATA_H
#define REMOTE_METADATA_H

#include "remote/remote.h"
#include "remote/sending.h"

/* All of the endpoint's thread. */
struct metadata_sender {
    struct attempt attempt; /* must come first                            */
    struct sending *sending;
    const struct remote_deps *deps;
    struct arena arena; /* of the families that are being sent            */
    struct metadata *families;
    size_t count, begin, end; /* families [begin, end) are in the body    */
    bool in_flight;
    sonde_msec round_ms; /* when the next round begins                    */
    struct net_timer timer;
};

/* Does nothing if the endpoint, or the agent, has no metadata. */
void metadata_sender_init(struct metadata_sender *m, struct sending *s,
                          const struct remote_deps *deps);
void metadata_sender_fini(struct metadata_sender *m);

#endif
