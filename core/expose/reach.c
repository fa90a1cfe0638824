/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page that dials whatever `target=` says is a way into the network for
 * everybody who can reach it, and hands the job's password to whatever
 * answers. So:
 *
 * - What is named as one of the job's targets is that target.
 * - Anything else must be [scheme://]host[:port][/name], of plain characters.
 *   A driver's own syntax has more ways to name a host than can be judged
 *   here (`?host=`, `hostaddr=`, `service=`, escapes), so it is not let
 *   through. A user and a password are cut off: credentials are the job's.
 * - Host and port of a configured target are allowed with any name behind
 *   them (another database); the scheme is then the configured one, so that
 *   nobody can turn TLS off.
 * - A name on the allow list is dialled by that name. Any other name is
 *   looked up, all its addresses must be in the allowed networks, and the
 *   plugin is given the address, not the name: what was checked is what is
 *   dialled, whatever the name server says the next moment. Names are not
 *   looked up at all when no network is allowed.
 * - Link-local addresses, where clouds keep their credentials, are only in
 *   networks that are themselves link-local: 0.0.0.0/0 does not have them.
 */
#include "expose/reach.h"

#include <string.h>

#include <sonde/exporter.h>

#include "expose/place.h"
#include "util/str.h"

#define TEXT_MAX_BYTES 512
#define ADDRESSES_MAX  32

static const struct sonde_exporter *exporter_of(const struct job *job)
{
    const struct sonde_plugin *d = scrape_job_plugin(job);

    return SONDE_HAS(struct sonde_plugin, d, exporter) ? d->exporter : NULL;
}

static bool scheme_is(const char *z, sonde_str scheme)
{
    return z && str_eq_nocase(scheme, sonde_cstr(z));
}

static bool scheme_known(const struct sonde_exporter *x, sonde_str scheme)
{
    if (scheme.len == 0)
        return true;
    if (!x)
        return false;
    if (scheme_is(x->scheme, scheme))
        return true;
    if (!SONDE_HAS(struct sonde_exporter, x, schemes))
        return false;
    for (const char *const *z = x->schemes; *z; z++)
        if (scheme_is(*z, scheme))
            return true;
    return false;
}

/* ---- the job's own targets ------------------------------------------------
 */

static sonde_str port_or_default(sonde_str port, uint16_t usual,
                                 struct arena *a)
{
    return port.len || !usual ? port : arena_printf(a, "%u", usual);
}

/* The same thing, said with or without scheme, user and default port. */
static bool same_text(const struct job *job, struct arena *a, sonde_str x,
                      sonde_str y)
{
    uint16_t usual = scrape_job_plugin(job)->default_port;
    struct place p, q;

    if (sonde_str_eq(x, y))
        return true;
    if (!place_split(x, &p) || !place_split(y, &q))
        return false;
    return str_eq_nocase(p.host, q.host) &&
           sonde_str_eq(port_or_default(p.port, usual, a),
                        port_or_default(q.port, usual, a)) &&
           (sonde_str_eq(p.name, q.name) ||
            (p.name.len < 2 && q.name.len < 2)) &&
           (p.scheme.len == 0 || q.scheme.len == 0 ||
            str_eq_nocase(p.scheme, q.scheme));
}

static bool same_server(const struct job *job, struct arena *a,
                        const struct place *p, sonde_str configured)
{
    uint16_t usual = scrape_job_plugin(job)->default_port;
    struct place q;

    return place_split(configured, &q) && str_eq_nocase(p->host, q.host) &&
           sonde_str_eq(port_or_default(p->port, usual, a),
                        port_or_default(q.port, usual, a));
}

struct candidates {
    struct target **items;
    size_t count;
};

/* The target that is named, a reference; or NULL. */
static struct target *find_named(const struct job *job, struct arena *a,
                                 const struct candidates *all, sonde_str shown)
{
    for (size_t i = 0; i < all->count; i++) {
        sonde_str address =
            place_public(a, scrape_target_address(all->items[i]));

        if (same_text(job, a, shown, address) ||
            sonde_str_eq(shown, scrape_target_name(all->items[i])))
            return scrape_target_get(all->items[i]);
    }
    return NULL;
}

/* Whether host and port are a target's; its scheme is taken over. */
static bool find_server(const struct job *job, struct arena *a,
                        const struct candidates *all, struct place *p)
{
    for (size_t i = 0; i < all->count; i++) {
        sonde_str address =
            place_public(a, scrape_target_address(all->items[i]));

        if (!same_server(job, a, p, address))
            continue;
        p->scheme = str_sub(address, 0, place_scheme_bytes(address));
        return true;
    }
    return false;
}

/* ---- the allow list -------------------------------------------------------
 */

static bool is_allowed_name(const struct sonde_list *allow, sonde_str host)
{
    struct net_range range;

    for (size_t i = 0; i < allow->count; i++)
        if (!net_range_parse(allow->items[i], &range) &&
            str_eq_nocase(allow->items[i], host))
            return true;
    return false;
}

static bool has_ranges(const struct sonde_list *allow)
{
    struct net_range range;

    for (size_t i = 0; i < allow->count; i++)
        if (net_range_parse(allow->items[i], &range))
            return true;
    return false;
}

static bool is_allowed_ip(const struct sonde_list *allow,
                          const struct net_ip *ip)
{
    bool link_local = net_ip_is_link_local(ip);
    struct net_range range;

    for (size_t i = 0; i < allow->count; i++)
        if (net_range_parse(allow->items[i], &range) &&
            net_range_has(&range, ip) &&
            (!link_local || net_range_is_link_local(&range)))
            return true;
    return false;
}

static sonde_code forbidden(sonde_str shown, struct sonde_err *err)
{
    return sonde_err_set(
        err, SONDE_EACCESS,
        "target %.*s is not allowed: it is not one of the configured targets. "
        "Name it, or its network, in `allow` of the job's `expose` "
        "(`sonde exporter`: --allow=ADDRESS, NETWORK/BITS or NAME)",
        SONDE_ARG(shown));
}

/* The host as numbers, if all of its addresses are allowed. */
static sonde_code judge_host(struct arena *a, const struct sonde_list *allow,
                             sonde_str host, sonde_str shown,
                             sonde_msec deadline, sonde_str *out,
                             struct sonde_err *err)
{
    struct net_ip ips[ADDRESSES_MAX];
    struct buf text;
    size_t n;
    sonde_code rc;

    if (!has_ranges(allow))
        return forbidden(shown, err);
    rc = net_lookup(host, deadline, ips, ADDRESSES_MAX, &n, err);
    if (rc != SONDE_OK)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (!is_allowed_ip(allow, &ips[i]))
            return forbidden(shown, err);
    buf_init(&text);
    net_ip_write(&text, &ips[0]);
    *out = arena_str(a, buf_str(&text));
    buf_fini(&text);
    return SONDE_OK;
}

static sonde_code judge(struct job *job, struct arena *a,
                        const struct candidates *all, sonde_msec deadline,
                        struct reach *out, struct sonde_err *err)
{
    const struct sonde_list *allow = &scrape_job_config(job)->expose.allow;
    sonde_code rc = SONDE_OK;
    struct place p;

    if (str_starts(out->shown, SONDE_STR("unix:"))) {
        out->address = out->shown;
        return is_allowed_name(allow, out->shown) ? SONDE_OK
                                                  : forbidden(out->shown, err);
    }
    if (!place_split(out->shown, &p) ||
        !scheme_known(exporter_of(job), p.scheme))
        return sonde_err_set(err, SONDE_EINVAL,
                             "target %.*s can not be reached: expected "
                             "HOST:PORT, with a plain name behind it at most, "
                             "or one of the configured targets as it is "
                             "configured",
                             SONDE_ARG(out->shown));
    if (!find_server(job, a, all, &p) && !is_allowed_name(allow, p.host))
        rc = judge_host(a, allow, p.host, out->shown, deadline, &p.host, err);
    if (rc == SONDE_OK)
        out->address = place_join(a, &p);
    return rc;
}

sonde_code reach_target(struct job *job, struct arena *a, sonde_str text,
                        sonde_msec deadline, struct reach *out,
                        struct sonde_err *err)
{
    struct candidates all;
    sonde_code rc = SONDE_OK;

    *out = (struct reach){ 0 };
    if (text.len == 0 || text.len > TEXT_MAX_BYTES || !place_is_plain(text))
        return sonde_err_set(err, SONDE_EINVAL,
                             "target: expected HOST:PORT of up to %d plain "
                             "characters, maybe with a scheme in front and a "
                             "name behind it; parameters can not be given in "
                             "a request",
                             TEXT_MAX_BYTES);
    out->shown = place_public(a, text);
    all.count = scrape_job_targets(job, a, &all.items);
    out->configured = find_named(job, a, &all, out->shown);
    if (!out->configured)
        rc = judge(job, a, &all, deadline, out, err);
    for (size_t i = 0; i < all.count; i++)
        scrape_target_put(all.items[i]);
    return rc;
}
