/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health and readiness are the same question with other names. Good is a
 * status between the two bounds and, if a text is given, that text in the
 * first 64 KiB of the answer. No answer is an answer too: 0, status 0, and
 * the time that it took to know.
 */
#include "probe.h"

#define BODY_BYTES_MAX 65536
#define PATH_BYTES_MAX 2048

static sonde_code check_path(const struct probe *p, struct sonde_err *err)
{
    if (p->path.len && p->path.ptr[0] != '/')
        return sonde_err_set(err, SONDE_EINVAL,
                             "%s_path: expected a path that begins with '/', "
                             "got \"%.100s\"",
                             p->name, p->path.ptr);
    for (size_t i = 0; i < p->path.len; i++) {
        unsigned char c = (unsigned char)p->path.ptr[i];

        if (c <= ' ' || c == 0x7f || p->path.len > PATH_BYTES_MAX)
            return sonde_err_set(err, SONDE_EINVAL,
                                 "%s_path: expected up to %d bytes, blanks "
                                 "written as %%20",
                                 p->name, PATH_BYTES_MAX);
    }
    return SONDE_OK;
}

sonde_code probe_check(const struct probe *p, struct sonde_err *err)
{
    if (p->status_min > p->status_max)
        return sonde_err_set(err, SONDE_EINVAL,
                             "%s_status_min (%lld) is above %s_status_max "
                             "(%lld)",
                             p->name, (long long)p->status_min, p->name,
                             (long long)p->status_max);
    return check_path(p, err);
}

static bool holds(sonde_str body, sonde_str text)
{
    size_t len = body.len < BODY_BYTES_MAX ? body.len : BODY_BYTES_MAX;

    return text.len == 0 || (len && memmem(body.ptr, len, text.ptr, text.len));
}

const char *probe_illness(const struct probe *p, const struct sonde_response *r)
{
    if (r->code != SONDE_OK)
        return r->error ? r->error : sonde_code_text(r->code);
    if (r->status < p->status_min || r->status > p->status_max)
        return "its status is not one of a healthy application";
    if (!holds(r->body, p->body))
        return "the text that was asked for is not in its answer";
    return NULL;
}

void probe_emit(const struct probe *p, const struct sonde_host *host,
                struct sonde_sink *sink, const struct sonde_response *r)
{
    bool answered = r->code == SONDE_OK;

    (void)host->sample(sink, p->base + PROBE_UP, NULL,
                       probe_illness(p, r) ? 0 : 1);
    (void)host->sample(sink, p->base + PROBE_DURATION, NULL,
                       r->duration_seconds);
    (void)host->sample(sink, p->base + PROBE_STATUS, NULL,
                       answered ? r->status : 0);
    if (answered)
        (void)host->sample(sink, p->base + PROBE_SIZE, NULL,
                           (double)r->body.len);
}
