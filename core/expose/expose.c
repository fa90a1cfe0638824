/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of doors. A reload opens the new ones first and closes the old ones
 * only when all new ones are open, so that an address that is taken leaves
 * everything as it was. The one thing that can not be done in that order is a
 * new web config file on an old address: there the old door closes first, and
 * is opened again when the caller goes back to the old configuration.
 */
#include "expose/expose.h"

#include <stdlib.h>

#include "expose/door.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

struct expose {
    struct expose_deps deps;
    pthread_mutex_t lock; /* guards the rest */
    struct door **doors;
    size_t count, cap;
};

struct expose *expose_new(const struct expose_deps *deps)
{
    struct expose *e = mem_new(struct expose);

    e->deps = *deps;
    (void)pthread_mutex_init(&e->lock, NULL);
    return e;
}

static void add(struct expose *e, struct door *d)
{
    e->doors = mem_grow(e->doors, &e->cap, e->count + 1, sizeof(*e->doors));
    e->doors[e->count++] = d;
}

static void close_at(struct expose *e, size_t i)
{
    struct door *d = e->doors[i];

    e->doors[i] = e->doors[--e->count];
    door_close(d);
}

void expose_stop(struct expose *e)
{
    if (!e)
        return;
    (void)pthread_mutex_lock(&e->lock);
    while (e->count)
        close_at(e, 0);
    (void)pthread_mutex_unlock(&e->lock);
}

void expose_free(struct expose *e)
{
    if (!e)
        return;
    expose_stop(e);
    free(e->doors);
    (void)pthread_mutex_destroy(&e->lock);
    free(e);
}

sonde_code expose_open(struct expose *e, const struct expose_door *door,
                       struct sonde_err *err)
{
    struct door *d;
    sonde_code rc = door_open(&e->deps, door, &d, err);

    if (rc != SONDE_OK)
        return rc;
    (void)pthread_mutex_lock(&e->lock);
    add(e, d);
    (void)pthread_mutex_unlock(&e->lock);
    return SONDE_OK;
}

int expose_port(const struct expose *e, sonde_str job, size_t i)
{
    for (size_t k = 0; k < e->count; k++)
        if (sonde_str_eq(e->doors[k]->job, job))
            return http_server_port(e->doors[k]->server, i);
    return 0;
}

/* ---- a reload ---------------------------------------------------------------
 */

static bool same_address(const struct door *d, const struct scrape_config *c)
{
    return str_eq_cstr(c->expose.address, d->address);
}

/* Whether the door can serve the job as it is now. */
static bool serves(const struct door *d, const struct scrape_config *c)
{
    return sonde_str_eq(d->job, c->job_name) && same_address(d, c) &&
           str_eq_cstr(c->expose.web_config_file, d->web_config_file) &&
           str_eq_cstr(c->plugin, d->plugin->name);
}

static bool is_served(const struct expose *e, const struct scrape_config *c)
{
    for (size_t i = 0; i < e->count; i++)
        if (serves(e->doors[i], c))
            return true;
    return false;
}

static bool is_wanted(const struct door *d,
                      const struct scrape_config *const *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (jobs[i]->expose.address.len && serves(d, jobs[i]))
            return true;
    return false;
}

/* Closes the door that has the job's address for something else. */
static void make_way(struct expose *e, const struct scrape_config *c)
{
    if (str_ends(c->expose.address, SONDE_STR(":0")))
        return; /* another port each time */
    for (size_t i = 0; i < e->count; i++)
        if (same_address(e->doors[i], c)) {
            close_at(e, i);
            return;
        }
}

static sonde_code open_new(struct expose *e,
                           const struct scrape_config *const *jobs, size_t n,
                           struct sonde_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct expose_door door = { .job = jobs[i] };
        struct door *d;
        sonde_code rc;

        if (jobs[i]->expose.address.len == 0 || is_served(e, jobs[i]))
            continue;
        make_way(e, jobs[i]);
        rc = door_open(&e->deps, &door, &d, err);
        if (rc != SONDE_OK)
            return rc;
        add(e, d);
    }
    return SONDE_OK;
}

/* On an error the caller applies the old configuration again, which closes
 * what was opened for the new one and opens what made way. */
sonde_code expose_apply(struct expose *e,
                        const struct scrape_config *const *jobs, size_t n,
                        struct sonde_err *err)
{
    sonde_code rc;

    (void)pthread_mutex_lock(&e->lock);
    rc = open_new(e, jobs, n, err);
    for (size_t i = e->count; rc == SONDE_OK && i-- > 0;)
        if (!is_wanted(e->doors[i], jobs, n))
            close_at(e, i);
    (void)pthread_mutex_unlock(&e->lock);
    return rc;
}
