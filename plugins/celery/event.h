/* SPDX-License-Identifier: Apache-2.0 */
/* What workers and clients say: JSON, Redis' envelopes, events. */
#ifndef PLUGINS_CELERY_EVENT_H
#define PLUGINS_CELERY_EVENT_H

#include <jansson.h>

#include <sonde/base.h>

#include "encodings.h"

/* ---- documents ----------------------------------------------------------- */

/* The document, or NULL when it is no JSON; json_decref it. Half of a
 * surrogate pair, which Python writes and JSON forbids, becomes U+FFFD. */
json_t *json_read(sonde_str text);
/* The member's text; empty when it is not there or no string. */
sonde_str member_text(const json_t *object, const char *key);
/* The member's number, or NaN. */
double member_number(const json_t *object, const char *key);
/* Whether the content type says JSON; one that is not given does. */
bool json_is_type(sonde_str content_type);

/* ---- envelopes ----------------------------------------------------------- */

/* A message as kombu puts it into Redis. */
struct envelope {
    json_t *root;
    struct text decoded;
    sonde_str content_type;
    sonde_str body; /* decoded; of root or of `decoded` */
    sonde_str id;   /* headers.id: of a task; else empty */
};
/* False when it is none; envelope_close in either case. */
bool envelope_open(sonde_str payload, struct envelope *out);
void envelope_close(struct envelope *e);

/* ---- events -------------------------------------------------------------- */

enum event_type {
    EVENT_SENT,
    EVENT_RECEIVED,
    EVENT_STARTED,
    EVENT_SUCCEEDED,
    EVENT_FAILED,
    EVENT_REJECTED,
    EVENT_REVOKED,
    EVENT_RETRIED,
    EVENT_TASKS, /* those before it are counted per task */
    EVENT_ONLINE = EVENT_TASKS,
    EVENT_HEARTBEAT,
    EVENT_OFFLINE,
    EVENT_OTHER, /* task-cancelled, custom types */
    EVENT_TYPES
};
/* "task-sent", ...; "other". */
extern const char *const event_names[EVENT_TYPES];

/* Views into the document. Numbers that are not given are NaN. */
struct event {
    enum event_type type;
    sonde_str hostname; /* the node's name: "w1@host" */
    double timestamp;
    /* of tasks */
    sonde_str uuid, name, queue, exception, eta;
    double runtime;
    bool requeue;
    /* of workers */
    double freq, active, processed, load[3];
    sonde_str sw_ident, sw_ver, sw_sys;
};
/* False when it is no event: no object, no type or no node's name, or a task
 * event without the task's id. */
bool event_read(const json_t *object, struct event *out);

/* "ValueError" of "ValueError('x')"; "UnknownException" when the text does
 * not begin with a plain name and a parenthesis. */
sonde_str event_exception(sonde_str repr);
/* "host" of "w1@host". */
sonde_str event_host(sonde_str node);

#endif
