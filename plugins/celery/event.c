/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What workers and clients say.
 *
 * An event is a JSON object; workers send their task events in arrays of up
 * to 24. On Redis each message is wrapped into an envelope, a JSON object
 * too, with the body as base64 in it; on AMQP the body comes as it is. Any
 * shape is taken on any channel, as senders differ by version and pool.
 *
 * jansson reads about 100 MB/s, which is some microseconds an event: a
 * hundredth of a core for each thousand events a second, so there is no need
 * for a reader of our own.
 */
#include "event.h"

#include <math.h>
#include <string.h>

/* ---- documents ----------------------------------------------------------- */

static int hex4(const char *p)
{
    int v = 0;

    for (int i = 0; i < 4; i++) {
        char c = (char)(p[i] | 0x20);
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                       : -1;

        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* Replaces each lone surrogate escape by \ufffd; true if there was one. */
static bool repair(struct text *t)
{
    bool found = false;
    size_t i = 0;

    while (i + 6 <= t->len) {
        char *p = t->ptr + i;
        int v = p[0] == '\\' && p[1] == 'u' ? hex4(p + 2) : 0;
        bool pair = v >= 0xd800 && v < 0xdc00 && i + 12 <= t->len &&
                    p[6] == '\\' && p[7] == 'u' && (hex4(p + 8) >> 10) == 0x37;

        if (v >= 0xd800 && v < 0xe000 && !pair) {
            memcpy(p + 2, "fffd", 4);
            found = true;
        }
        i += pair ? 12 : p[0] == '\\' ? 2 : 1;
    }
    return found;
}

json_t *json_read(sonde_str text)
{
    struct text copy = { 0 };
    json_t *root;

    if (text.len == 0)
        return NULL;
    root = json_loadb(text.ptr, text.len, JSON_ALLOW_NUL, NULL);
    if (root || !memmem(text.ptr, text.len, "\\u", 2))
        return root;
    if (text_add(&copy, text.ptr, text.len) && repair(&copy))
        root = json_loadb(copy.ptr, copy.len, JSON_ALLOW_NUL, NULL);
    text_fini(&copy);
    return root;
}

sonde_str member_text(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    if (!json_is_string(v))
        return (sonde_str){ 0 };
    return (sonde_str){ json_string_value(v), json_string_length(v) };
}

double member_number(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

bool json_is_type(sonde_str content_type)
{
    return content_type.len == 0 || text_is(content_type, "application/json") ||
           text_starts(content_type, "application/json;");
}

/* ---- envelopes ----------------------------------------------------------- */

bool envelope_open(sonde_str payload, struct envelope *out)
{
    const json_t *properties;

    *out = (struct envelope){ .root = json_read(payload) };
    if (!json_is_string(json_object_get(out->root, "body")))
        return false;
    out->content_type = member_text(out->root, "content-type");
    out->body = member_text(out->root, "body");
    out->id = member_text(json_object_get(out->root, "headers"), "id");
    properties = json_object_get(out->root, "properties");
    if (!text_is(member_text(properties, "body_encoding"), "base64"))
        return true;
    if (!text_add_base64(&out->decoded, out->body))
        return false;
    out->body = text_str(&out->decoded);
    return true;
}

void envelope_close(struct envelope *e)
{
    json_decref(e->root);
    text_fini(&e->decoded);
    *e = (struct envelope){ 0 };
}

/* ---- events -------------------------------------------------------------- */

const char *const event_names[EVENT_TYPES] = {
    [EVENT_SENT] = "task-sent",         [EVENT_RECEIVED] = "task-received",
    [EVENT_STARTED] = "task-started",   [EVENT_SUCCEEDED] = "task-succeeded",
    [EVENT_FAILED] = "task-failed",     [EVENT_REJECTED] = "task-rejected",
    [EVENT_REVOKED] = "task-revoked",   [EVENT_RETRIED] = "task-retried",
    [EVENT_ONLINE] = "worker-online",   [EVENT_HEARTBEAT] = "worker-heartbeat",
    [EVENT_OFFLINE] = "worker-offline", [EVENT_OTHER] = "other",
};

static enum event_type type_of(sonde_str name)
{
    for (size_t i = 0; i < EVENT_OTHER; i++) {
        if (text_is(name, event_names[i]))
            return (enum event_type)i;
    }
    return EVENT_OTHER;
}

static void read_task(const json_t *o, struct event *e)
{
    e->uuid = member_text(o, "uuid");
    e->name = member_text(o, "name");
    e->queue = member_text(o, "queue");
    e->exception = member_text(o, "exception");
    e->eta = member_text(o, "eta");
    e->runtime = member_number(o, "runtime");
    e->requeue = json_is_true(json_object_get(o, "requeue"));
}

static void read_worker(const json_t *o, struct event *e)
{
    const json_t *load = json_object_get(o, "loadavg");

    e->freq = member_number(o, "freq");
    e->active = member_number(o, "active");
    e->processed = member_number(o, "processed");
    for (size_t i = 0; i < 3; i++) {
        const json_t *v = json_array_get(load, i);

        e->load[i] = json_is_number(v) ? json_number_value(v) : NAN;
    }
    e->sw_ident = member_text(o, "sw_ident");
    e->sw_ver = member_text(o, "sw_ver");
    e->sw_sys = member_text(o, "sw_sys");
}

bool event_read(const json_t *object, struct event *out)
{
    sonde_str type = member_text(object, "type");

    if (type.len == 0)
        return false;
    *out = (struct event){ .type = type_of(type),
                           .hostname = member_text(object, "hostname"),
                           .timestamp = member_number(object, "timestamp") };
    if (out->type < EVENT_TASKS)
        read_task(object, out);
    else if (out->type != EVENT_OTHER)
        read_worker(object, out);
    return (out->hostname.len || out->type == EVENT_OTHER) &&
           (out->uuid.len || out->type >= EVENT_TASKS);
}

/* What Python's \w takes, and all of UTF-8. */
static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

sonde_str event_exception(sonde_str repr)
{
    size_t n = 0;

    while (n < repr.len && is_word(repr.ptr[n]))
        n++;
    if (n == 0 || n == repr.len || repr.ptr[n] != '(')
        return SONDE_STR("UnknownException");
    return (sonde_str){ repr.ptr, n };
}

sonde_str event_host(sonde_str node)
{
    sonde_str rest = node, name;

    (void)text_split(&rest, '@', &name);
    return rest.len ? rest : node;
}
