/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page with the targets that the plugin knows of, for Prometheus' HTTP
 * service discovery: one group, its labels empty.
 *
 * Each of the job's targets is asked, one after the other, and each time with
 * an equal share of what time is left, so that one that hangs leaves time for
 * the others. They are the ways into one cluster: what they name is joined,
 * and one that does not answer is no matter as long as another does. Whoever
 * reads the page takes what is not on it for gone, so an answer that broke off
 * or is too long fails as a whole.
 */
#include <jansson.h>
#include <stdlib.h>

#include "expose/door.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

#define ADDRESSES_MAX     4096
#define ADDRESS_BYTES_MAX 512

struct found {
    struct arena *arena;
    sonde_str *items; /* ADDRESSES_MAX */
    size_t count;
    size_t answers; /* of targets */
    bool too_many, malformed;
    struct buf why; /* of those that did not answer */
};

static bool is_known(const struct found *f, sonde_str address)
{
    for (size_t i = 0; i < f->count; i++)
        if (sonde_str_eq(f->items[i], address))
            return true;
    return false;
}

static void on_address(void *arg, sonde_str address)
{
    struct found *f = arg;

    if (address.len == 0 || address.len > ADDRESS_BYTES_MAX ||
        !str_is_utf8(address))
        f->malformed = true;
    else if (is_known(f, address))
        return;
    else if (f->count == ADDRESSES_MAX)
        f->too_many = true;
    else
        f->items[f->count++] = arena_str(f->arena, address);
}

static sonde_code check_found(const struct found *f, struct sonde_err *err)
{
    if (f->malformed)
        return sonde_err_set(err, SONDE_EPROTO,
                             "an address is no text of up to %d bytes",
                             ADDRESS_BYTES_MAX);
    if (f->too_many)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "there are more than %d addresses", ADDRESSES_MAX);
    return SONDE_OK;
}

static void put_why(struct found *f, const struct visit *v,
                    const struct target *t, const struct sonde_err *err)
{
    static struct log_limit limit;
    sonde_str name = scrape_target_name(t);
    uint64_t held;

    buf_printf(&f->why, "target %.*s: %s\n", SONDE_ARG(name), err->text);
    if (log_limit_pass(&limit, 60000, &held))
        log_warn("expose", "a target names no others",
                 LOG_STR("job", v->door->job), LOG_STR("target", name),
                 LOG_ERRTEXT(err), LOG_NUM("more", held));
}

/* What one target names, or nothing of it. SONDE_EUNSUPPORTED: none would
 * name any. */
static sonde_code ask(struct found *f, const struct visit *v,
                      const struct target *t, sonde_msec deadline)
{
    struct sonde_err err = { 0 };
    size_t before = f->count;
    sonde_code rc = scrape_target_discover(t, deadline, on_address, f, &err);

    if (rc == SONDE_OK)
        rc = check_found(f, &err);
    if (rc == SONDE_OK) {
        f->answers++;
        return SONDE_OK;
    }
    f->count = before;
    f->malformed = f->too_many = false;
    if (rc == SONDE_EUNSUPPORTED)
        buf_printf(&f->why, "%s\n", err.text);
    else
        put_why(f, v, t, &err);
    return rc;
}

static sonde_code ask_all(struct found *f, const struct visit *v,
                          struct target **targets, size_t n)
{
    sonde_code rc = SONDE_OK;

    for (size_t i = 0; i < n && rc != SONDE_EUNSUPPORTED; i++) {
        sonde_msec now = clock_monotonic(&clock_system);
        sonde_msec left = v->deadline - now;

        rc = ask(f, v, targets[i], now + left / (sonde_msec)(n - i));
    }
    return rc;
}

/* NULL: no memory. */
static json_t *groups_of(const struct found *f)
{
    json_t *targets = json_array();
    bool ok = true;

    for (size_t i = 0; ok && i < f->count; i++)
        ok = json_array_append_new(
                 targets, json_stringn(f->items[i].ptr, f->items[i].len)) == 0;
    if (ok)
        return json_pack("[{s:o,s:{}}]", "targets", targets, "labels");
    json_decref(targets);
    return NULL;
}

static void reply_found(struct visit *v, const struct found *f)
{
    json_t *groups = groups_of(f);
    char *text = groups ? json_dumps(groups, JSON_INDENT(2)) : NULL;

    if (text)
        http_reply(v->call, 200, "application/json", sonde_cstr(text));
    else
        door_reply_text(v, 500, "out of memory\n");
    free(text);
    json_decref(groups);
}

static void reply_none(struct visit *v, struct found *f, sonde_code rc)
{
    if (f->why.len == 0)
        buf_cstr(&f->why, "the job has no targets\n");
    buf_char(&f->why, '\0');
    door_reply_text(v, rc == SONDE_EUNSUPPORTED ? 400 : 500, f->why.data);
}

void door_discover(struct visit *v)
{
    struct arena *a = http_call_arena(v->call);
    struct found f = { .arena = a };
    struct target **targets;
    sonde_code rc;
    size_t n;

    if (!v->job) {
        door_reply_text(v, 503, "the job is not there yet\n");
        return;
    }
    f.items = arena_array(a, sonde_str, ADDRESSES_MAX);
    buf_init(&f.why);
    n = scrape_job_targets(v->job, a, &targets);
    rc = ask_all(&f, v, targets, n);
    if (f.answers)
        reply_found(v, &f);
    else
        reply_none(v, &f, rc);
    for (size_t i = 0; i < n; i++)
        scrape_target_put(targets[i]);
    buf_fini(&f.why);
}
