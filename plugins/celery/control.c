/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands to workers: Celery's remote control, which goes through a fan-out
 * exchange called pidbox. A command that wants replies says to which exchange
 * and routing key.
 *
 * Commands expire after five minutes by the sender's clock: long enough for
 * clocks that differ, short enough that a worker that hung for an hour does
 * not answer all of them.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/random.h>

#include "transport.h"

void control_uuid(char out[37])
{
    uint64_t r[2] = { 0 };

    (void)!getrandom(r, sizeof(r), GRND_NONBLOCK);
    (void)snprintf(out, 37, "%08x-%04x-4%03x-%04x-%012" PRIx64,
                   (unsigned int)(r[0] >> 32), (unsigned int)(r[0] & 0xffff),
                   (unsigned int)(r[0] >> 16 & 0xfff),
                   (unsigned int)(r[1] >> 48 & 0x3fff) | 0x8000,
                   r[1] & UINT64_C(0xffffffffffff));
}

char *control_command(const char *method, const char *reply_exchange,
                      const char *oid)
{
    char ticket[37];
    char *text;
    json_t *root = json_pack("{s:s, s:{}, s:n, s:n, s:n}", "method", method,
                             "arguments", "destination", "pattern", "matcher");

    control_uuid(ticket);
    if (root && reply_exchange)
        (void)json_object_update_new(
            root, json_pack("{s:s, s:{s:s, s:s}}", "ticket", ticket, "reply_to",
                            "exchange", reply_exchange, "routing_key", oid));
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

char *control_envelope(const char *command, const char *exchange,
                       double expires)
{
    char tag[37];
    char *text;
    json_t *root;

    control_uuid(tag);
    root = json_pack(
        "{s:s, s:s, s:s, s:{s:i, s:f}, s:{s:i, s:{s:s, s:s}, s:i, s:s}}",
        "body", command, "content-encoding", "utf-8", "content-type",
        "application/json", "headers", "clock", 1, "expires", expires,
        "properties", "delivery_mode", 2, "delivery_info", "exchange", exchange,
        "routing_key", "", "priority", 0, "delivery_tag", tag);
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}
