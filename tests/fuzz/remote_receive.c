/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The remote-write receiver on any bytes. The first says which version, and
 * whether the rest is a body or a message to be put into one. Sent twice,
 * with the store's memory lost between: the second finds the cache filled and
 * its series gone. The answer must be the same.
 */
#include <stdlib.h>

#include "remote/encode.h"
#include "remote/receive_int.h"
#include "unit/spy_store.h"
#include "util/log.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int work(struct remote_receiver *r, int version, sonde_str body)
{
    struct receive_desk *d = receive_desk_get(r);
    struct sonde_err err = { 0 };
    sonde_code rc = receive_work(d, version, body, &err);
    struct buf text;
    int status;

    buf_init(&text);
    status = receive_verdict(d, rc, &err, &text);
    if ((status == 204) != (text.len == 0))
        abort();
    if (receive_written(&d->tally, RECEIVED_SAMPLES) > d->tally.samples)
        abort();
    buf_fini(&text);
    receive_desk_put(d);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remote_receiver_options options = { .cache_limit = 16 };
    struct spy_store *store = mem_new(struct spy_store);
    struct remote_receiver *r;
    struct buf body;
    int version, first, second;

    if (size == 0) {
        free(store);
        return 0;
    }
    log_setup(LOG_ERROR, LOG_LOGFMT);
    version = 1 + (data[0] & 1);
    buf_init(&body);
    if (data[0] & 2)
        buf_bytes(&body, data + 1, size - 1);
    else
        encode_body((sonde_str){ (const char *)data + 1, size - 1 }, &body);
    spy_init(store);
    options.storage = &store->storage;
    if (remote_receiver_new(&options, &r, NULL) != SONDE_OK)
        abort();
    first = work(r, version, buf_str(&body));
    spy_forget(store);
    second = work(r, version, buf_str(&body));
    if (first != second && first < 500 && second < 500)
        abort();
    remote_receiver_free(r);
    spy_fini(store);
    buf_fini(&body);
    free(store);
    return 0;
}
